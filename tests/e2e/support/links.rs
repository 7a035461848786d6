//! The links between the nodes of a cluster, to be broken by tests: each node is reached by the others through a door
//! of its own, which knows who knocks.
//!
//! A node tells the others the URL of its door. The first thing on a connection between nodes is the hello of who
//! opened it, so the door finds its id there, and with it the directed link. Only bytes are passed on: nothing of the
//! protocol but that one header is known here.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::support::harness::free_port;

/// The header of a hello; the sender's id is the second word of its value.
const HELLO: &str = "reticulum-hello:";

/// Bytes of the first request of a connection.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What is wrong with a link: with the connections that one node opens to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They end, and new ones are refused.
    Cut,
    /// They stay, and nothing of what the asking node sends gets through.
    AsksHeld,
    /// They stay, and nothing of what the asked one answers gets through.
    AnswersHeld,
    /// Of what the asked one answers, the pieces that begin within the first so many bytes of a connection get
    /// through, and then nothing: 1 is the welcome alone.
    AnswersHeldAfter(usize),
    /// Everything is late by this.
    Late(Duration),
    /// One bit of every piece that the asking node sends is another, but for the hello's.
    AsksChanged,
    /// One bit of every piece that the asked one answers is another, but for the hello's.
    AnswersChanged,
}

/// Which half of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Asks,
    Answers,
}

/// One half of a connection: what comes in here goes out there, unless the link is at fault.
struct Half {
    from: TcpStream,
    to: TcpStream,
    way: Way,
    link: Link,
    pieces: usize,
    passed: usize,
}

/// Who opens connections (an id as text), and to which door.
type Link = (String, usize);

/// All links of one cluster.
#[derive(Default)]
struct Board {
    state: Mutex<State>,
    changed: Condvar,
    is_over: AtomicBool,
}

#[derive(Default)]
struct State {
    faults: HashMap<Link, Fault>,
    /// Both sockets of each connection, some of which may have ended.
    open: HashMap<Link, Vec<TcpStream>>,
    ids: Vec<String>,
}

/// The doors of a cluster's nodes, by their numbers.
pub(crate) struct Links {
    board: Arc<Board>,
    ports: Vec<u16>,
}

impl Links {
    /// A door for each of the nodes that will listen on these ports.
    pub(crate) fn to(nodes: &[u16]) -> Self {
        let board = Arc::<Board>::default();
        let open = |(door, node): (usize, &u16)| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).expect("a free port");
            let port = listener.local_addr().expect("an address").port();
            let (board, node) = (Arc::clone(&board), *node);
            std::thread::spawn(move || board.answer(&listener, door, node));
            port
        };
        let ports = nodes.iter().enumerate().map(open).collect();
        Self { board, ports }
    }

    /// The port by which others reach node number `node`.
    pub(crate) fn port(&self, node: usize) -> u16 {
        self.ports[node]
    }

    /// Who the nodes are, in order: from then on their links can be at fault.
    pub(crate) fn know(&self, ids: Vec<String>) {
        self.board.lock().ids = ids;
    }

    /// Breaks the connections that `from` opens to `to`, in this way.
    pub(crate) fn fault(&self, from: usize, to: usize, fault: Fault) {
        let mut state = self.board.lock();
        let link = (state.ids[from].clone(), to);
        state.faults.insert(link.clone(), fault);
        if fault == Fault::Cut {
            for stream in state.open.remove(&link).unwrap_or_default() {
                // It may have ended already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        drop(state);
        self.board.changed.notify_all();
    }

    /// What `from` sends to `to` is lost, on whosever connections; what `to` sends is not.
    pub(crate) fn lose(&self, from: usize, to: usize) {
        self.fault(from, to, Fault::AsksHeld);
        self.fault(to, from, Fault::AnswersHeld);
    }

    /// No connection between a node of one and a node of the other side.
    pub(crate) fn part(&self, one: &[usize], other: &[usize]) {
        for (here, there) in one.iter().flat_map(|here| other.iter().map(move |there| (*here, *there))) {
            self.fault(here, there, Fault::Cut);
            self.fault(there, here, Fault::Cut);
        }
    }

    /// Nothing is at fault any more.
    pub(crate) fn heal(&self) {
        self.board.lock().faults.clear();
        self.board.changed.notify_all();
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.board.is_over.store(true, Ordering::SeqCst);
        self.heal();
        for port in &self.ports {
            // Wakes the thread that waits for a connection.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, *port));
        }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn answer(self: &Arc<Self>, listener: &TcpListener, door: usize, node: u16) {
        for asking in listener.incoming() {
            if self.is_over() {
                return;
            }
            let (Ok(asking), board) = (asking, Arc::clone(self)) else { continue };
            std::thread::spawn(move || board.lead(asking, door, node));
        }
    }

    /// Reads who asks, and passes bytes both ways from then on. Whatever fails ends the connection, as a link does.
    fn lead(self: &Arc<Self>, mut asking: TcpStream, door: usize, node: u16) -> Option<()> {
        let head = read_head(&mut asking)?;
        let link = (sender(&head), door);
        let mut asked = TcpStream::connect((Ipv4Addr::LOCALHOST, node)).ok()?;
        for stream in [&asking, &asked] {
            stream.set_nodelay(true).ok()?;
        }
        let mut state = self.lock();
        if state.faults.get(&link) == Some(&Fault::Cut) {
            return None;
        }
        let both = [asking.try_clone().ok()?, asked.try_clone().ok()?];
        state.open.entry(link.clone()).or_default().extend(both);
        drop(state);
        let (answers, asks) = (asked.try_clone().ok()?, asking.try_clone().ok()?);
        let half =
            Half { from: answers, to: asks, way: Way::Answers, link: link.clone(), pieces: 0, passed: 0 };
        let board = Arc::clone(self);
        std::thread::spawn(move || half.run(&board));
        // The hello is held back like anything else, but never changed.
        let mut head = head;
        self.admit(&link, Way::Asks, 0, 0, &mut head)?;
        asked.write_all(&head).ok()?;
        Half { from: asking, to: asked, way: Way::Asks, link, pieces: 1, passed: head.len() }.run(self);
        Some(())
    }

    /// Waits until these bytes may pass, and changes them on the way; `None` when they never may.
    fn admit(&self, link: &Link, way: Way, pieces: usize, passed: usize, bytes: &mut [u8]) -> Option<()> {
        let mut state = self.lock();
        loop {
            if self.is_over() {
                return None;
            }
            match (state.faults.get(link), way) {
                (Some(Fault::Cut), _) => return None,
                (Some(Fault::AsksHeld), Way::Asks) | (Some(Fault::AnswersHeld), Way::Answers) => {}
                (Some(Fault::AnswersHeldAfter(bytes)), Way::Answers) if passed >= *bytes => {}
                (Some(Fault::AsksChanged), Way::Asks) | (Some(Fault::AnswersChanged), Way::Answers) => {
                    if pieces > 0 {
                        change(bytes);
                    }
                    return Some(());
                }
                (Some(Fault::Late(by)), _) => {
                    let (by, begin) = (*by, Instant::now());
                    while let Some(left) = by.checked_sub(begin.elapsed()) {
                        state = self.changed.wait_timeout(state, left).expect("no panic while held").0;
                    }
                    return Some(());
                }
                _ => return Some(()),
            }
            state = self.changed.wait(state).expect("no panic while held");
        }
    }
}

impl Half {
    fn run(mut self, board: &Board) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = self.from.read(&mut buffer) {
            let bytes = &mut buffer[..count];
            let admitted = board.admit(&self.link, self.way, self.pieces, self.passed, bytes);
            if admitted.is_none() || self.to.write_all(bytes).is_err() {
                break;
            }
            self.pieces += 1;
            self.passed += count;
        }
        for stream in [&self.from, &self.to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Flips one bit, at another place each time.
fn change(bytes: &mut [u8]) {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(7919, Ordering::Relaxed);
    let length = bytes.len();
    bytes[turn % length] ^= 1 << (turn % 7);
}

fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 4 << 10];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&buffer[..count]);
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
    }
    Some(head)
}

/// Who says hello; nobody in particular if nobody does.
fn sender(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let hello = head.lines().find_map(|line| line.strip_prefix(HELLO));
    hello.and_then(|hello| hello.split_whitespace().nth(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that says back what it hears, and the connections of `a` through its door.
    fn echo() -> (Links, impl Fn() -> TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let links = Links::to(&[listener.local_addr().expect("an address").port()]);
        links.know(vec!["a".into()]);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut back = stream.try_clone().expect("a second handle");
                let mut stream = stream;
                std::thread::spawn(move || std::io::copy(&mut stream, &mut back));
            }
        });
        let port = links.port(0);
        (links, move || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a door");
            stream.set_read_timeout(Some(crate::support::client::PATIENCE)).expect("a socket");
            stream.write_all(b"GET / HTTP/1.1\r\nreticulum-hello: 1 a x\r\n\r\n").expect("room");
            stream
        })
    }

    fn echoed(stream: &mut TcpStream, text: &[u8]) -> Vec<u8> {
        stream.write_all(text).expect("room");
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).expect("an echo");
        back
    }

    #[test]
    fn a_link_passes_what_is_said_holds_it_changes_it_and_ends() {
        let (links, connect) = echo();
        let mut stream = connect();
        stream.read_exact(&mut [0; 42]).expect("the hello");
        assert_eq!(echoed(&mut stream, b"hello"), b"hello");
        links.fault(0, 0, Fault::AsksChanged);
        assert_ne!(echoed(&mut stream, b"hello"), b"hello");
        links.fault(0, 0, Fault::AnswersHeld);
        stream.write_all(b"held").expect("room");
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        stream.read(&mut [0; 8]).expect_err("nothing comes while it is held");
        stream.set_read_timeout(Some(crate::support::client::PATIENCE)).expect("a socket");
        links.heal();
        let mut back = [0; 4];
        stream.read_exact(&mut back).expect("what was held");
        assert_eq!(&back, b"held");
        links.fault(0, 0, Fault::Cut);
        assert_eq!(stream.read(&mut back).unwrap_or(0), 0);
        assert_eq!(connect().read(&mut back).unwrap_or(0), 0);
        links.heal();
        connect().read_exact(&mut [0; 42]).expect("the hello");
    }
}
