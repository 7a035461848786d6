//! Ports on 127.0.0.1 for the nodes of tests.

use std::collections::HashSet;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// A port that nobody listens on, different on every call.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().expect("no panic while held");
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if given.get_or_insert_default().insert(port) {
            return port;
        }
    }
}

/// The first of so many ports in a row that nobody listens on. They lie below those that the kernel gives to clients: such
/// a port stays in use for a minute after its connection, and a busy run has thousands of them.
pub(crate) fn free_ports(count: u16) -> u16 {
    const RANGE: Range<u16> = 20_000..32_000;
    static USED: AtomicU16 = AtomicU16::new(0);
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in RANGE {
        let first = RANGE.start + USED.fetch_add(count, Relaxed) % (RANGE.len() as u16 - count);
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no {count} free ports in a row");
}
