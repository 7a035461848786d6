//! The process dies or is told to stop: what was acknowledged stays, what was not leaves nothing torn.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::cache::variants::{ask_until_kept, without_memory};
use crate::support::client::{Connection, Request};
use crate::support::harness::{Node, at_once, put, sha1, wait_until};
use crate::support::pictures::jpeg;

/// Panics unless every one of these images comes back byte for byte.
#[track_caller]
fn expect_readable(node: &Node, images: &[Vec<u8>]) {
    at_once(8, |thread| {
        let mut connection = node.connect();
        for bytes in images.iter().skip(thread).step_by(8) {
            let url = format!("/image/{}/full/x.jpg", sha1(bytes));
            let answer = connection.ask(&Request::get(&url)).expect(200);
            assert!(answer.body == *bytes, "other bytes for {url}");
        }
    });
}

/// Uploads image after image until the node is gone; those that were acknowledged.
fn upload_until_gone(port: u16, seeds: &AtomicU32, acknowledged: &Mutex<Vec<Vec<u8>>>) {
    let Ok(mut connection) = Connection::try_open(port) else { return };
    loop {
        let bytes = jpeg(200, 150, seeds.fetch_add(1, Ordering::Relaxed));
        match connection.try_ask(&put(&bytes)) {
            Ok(answer) if answer.status == 200 => acknowledged.lock().expect("no panic").push(bytes),
            Ok(answer) => panic!("an upload was refused: {answer:?}"),
            Err(_) => return,
        }
    }
}

#[test]
fn a_kill_in_the_middle_of_uploads_loses_nothing_acknowledged_and_tears_nothing() {
    for shards in [1, 2] {
        let mut node = Node::with_shards(shards);
        let port = node.port();
        let (seeds, acknowledged) = (AtomicU32::new(1), Mutex::new(Vec::new()));
        let halves: Vec<_> = (0..8).map(|seed| begin_half_an_upload(&node, 1_000_000 + seed)).collect();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| upload_until_gone(port, &seeds, &acknowledged));
            }
            wait_until("uploads", || acknowledged.lock().expect("no panic").len() >= 60);
            node.kill9();
        });
        node.restart();
        node.wait_until_tmp_is_empty();
        node.expect_store_is_whole();
        expect_readable(&node, &acknowledged.into_inner().expect("no panic"));
        for (_, bytes) in &halves {
            node.get(&format!("/image/{}/full/x.jpg", sha1(bytes))).problem(404);
            node.upload(bytes);
        }
    }
}

fn begin_half_an_upload(node: &Node, seed: u32) -> (Connection, Vec<u8>) {
    let bytes = jpeg(200, 150, seed);
    let mut connection = node.connect();
    connection.send(&put(&bytes).header("Expect", "100-continue").head());
    assert_eq!(connection.interim_status(), 100);
    connection.send(&bytes[..bytes.len() / 2]);
    (connection, bytes)
}

#[test]
fn a_thousand_acknowledged_uploads_survive_a_kill() {
    for shards in [1, 2] {
        let mut node = Node::with_shards(shards);
        let images: Vec<_> = (0..1000).map(|seed| jpeg(32, 24, seed)).collect();
        let next = AtomicUsize::new(0);
        at_once(16, |_| {
            let mut connection = node.connect();
            while let Some(bytes) = images.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.ask(&put(bytes)).expect(200);
            }
        });
        node.kill9();
        node.restart();
        expect_readable(&node, &images);
        node.expect_store_is_whole();
        assert_eq!(node.files("store").len(), 1000);
    }
}

#[test]
fn nothing_on_disk_depends_on_the_number_of_shards() {
    let mut node = without_memory(2);
    let images: Vec<_> = (0..20).map(|seed| jpeg(200, 150, seed)).collect();
    let url = |bytes: &Vec<u8>| format!("/image/{}/100w/x.jpg", sha1(bytes));
    for bytes in &images {
        node.upload(bytes);
        ask_until_kept(&node, &url(bytes));
    }
    for shards in [1, 3] {
        assert_eq!(node.terminate(), Some(0));
        node.restart_with_shards(shards);
        expect_readable(&node, &images);
        for bytes in &images {
            assert_eq!(node.get(&url(bytes)).expect(200).header("x-cache"), Some("disk"));
        }
    }
}

#[test]
fn leftovers_in_tmp_are_swept_at_the_start() {
    let mut node = Node::plain();
    node.upload(&jpeg(60, 40, 1));
    node.kill9();
    std::fs::write(node.data().join("tmp").join("left-by-a-crash"), b"half an image").expect("write");
    node.restart();
    node.wait_until_tmp_is_empty();
}

#[test]
fn sigterm_and_sigint_end_with_exit_code_0() {
    for shards in [1, 2] {
        for signal in [Signal::TERM, Signal::INT] {
            let mut node = Node::with_shards(shards);
            node.upload(&jpeg(60, 40, 1));
            node.signal(signal);
            assert_eq!(node.wait_for_exit().code(), Some(0), "{signal:?}");
        }
    }
}

#[test]
fn uploads_in_flight_are_finished_before_the_end() {
    for shards in [1, 2] {
        let mut node = Node::start(crate::support::harness::Options {
            shards,
            config: "[limits]\ndrain_delay = \"50ms\"\n".into(),
            ..Default::default()
        });
        // Enough that a shard that has none left to receive still owns some that another receives.
        let begun: Vec<_> = (0..4).map(|seed| begin_half_an_upload(&node, seed)).collect();
        node.signal(Signal::TERM);
        let port = node.port();
        wait_until("the end of accepting", || {
            let answer =
                Connection::try_open(port).and_then(|mut new| new.try_ask(&Request::get("/healthz")));
            answer.is_err()
        });
        let mut images = Vec::new();
        for (mut connection, bytes) in begun {
            connection.send(&bytes[bytes.len() / 2..]);
            connection.answer().expect(200);
            connection.expect_closed();
            images.push(bytes);
        }
        assert_eq!(node.wait_for_exit().code(), Some(0));
        node.restart();
        expect_readable(&node, &images);
    }
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut node = Node::plain();
    let mut idle = node.connect();
    idle.ask(&Request::get("/healthz")).expect(200);
    let mut silent = node.connect();
    assert_eq!(node.terminate(), Some(0));
    idle.expect_closed();
    silent.expect_closed();
}

#[test]
fn a_node_starts_again_on_its_port_at_once() {
    let mut node = Node::plain();
    for _ in 0..5 {
        // Served connections leave the port in TIME_WAIT on the server's side.
        node.ask(&Request::get("/healthz").header("Connection", "close")).expect(200);
        node.kill9();
        node.restart();
    }
}
