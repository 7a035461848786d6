//! Upload bodies that are too long, too slow, cut off or not wanted: refused early, readably, and without a trace.

use super::upload_in_chunks;
use crate::support::client::{Connection, Form, Request};
use crate::support::harness::{Node, Options, at_once, put, sha1, wait_until};
use crate::support::pictures::jpeg;

/// Every way to upload, as yet without a length.
fn ways() -> [Request; 3] {
    let put = Request::new("PUT", &format!("/image/{}", sha1(b"anything")));
    [Form::announce(), Request::new("POST", "/image"), put]
}

/// Something that is an image up to its end and goes on for so many bytes.
fn long_image(length: usize) -> Vec<u8> {
    let mut bytes = jpeg(60, 40, 1);
    bytes.resize(length, b'x');
    bytes
}

#[test]
fn ten_gigabytes_announced_are_413_at_once() {
    let node = Node::plain();
    for way in ways() {
        let mut connection = node.connect();
        connection.send(&way.header("Content-Length", "10000000000").head());
        let answer = connection.answer();
        answer.problem(413);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    node.expect_nothing_stored();
}

#[test]
fn a_client_that_keeps_sending_still_reads_the_refusal() {
    let node = Node::plain();
    for way in ways() {
        let mut connection = node.connect();
        connection.send(&way.header("Content-Length", "10000000000").head());
        // More than any socket buffer holds: without reading on, the server's close would be a reset.
        let body = vec![b'x'; 64 << 10];
        for _ in 0..128 {
            connection.send(&body);
        }
        connection.answer().problem(413);
    }
    node.expect_nothing_stored();
}

#[test]
fn a_body_of_max_bytes_is_taken_and_one_more_is_413() {
    let node = Node::with_config("[images]\nmax_bytes = \"64KiB\"\n");
    node.ask(&put(&long_image(65537))).problem(413);
    node.expect_nothing_stored();
    node.ask(&put(&long_image(65536))).expect(200);
}

#[test]
fn a_chunked_body_that_grows_past_max_bytes_is_413() {
    let node = Node::with_config("[images]\nmax_bytes = \"64KiB\"\n");
    let bytes = long_image(100_000);
    upload_in_chunks(&node, &bytes, 4096, |answer| _ = answer.problem(413));
    node.expect_nothing_stored();
}

#[test]
fn fault_16_a_body_without_a_byte_for_body_progress_is_408() {
    let node = Node::with_config("[limits]\nbody_progress = \"1s\"\n");
    for way in ways() {
        let mut connection = node.connect();
        connection.send(&way.header("Content-Length", "1000").head());
        connection.send(b"ten bytes.");
        let answer = connection.answer();
        answer.problem(408);
        assert_eq!(answer.header("connection"), Some("close"));
        connection.expect_closed();
    }
    node.expect_nothing_stored();
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    for shards in [1, 2] {
        let node = Node::with_shards(shards);
        let bytes = long_image(200_000);
        for _ in 0..8 {
            let mut connection = node.connect();
            connection.send(&put(&bytes).header("Expect", "100-continue").head());
            assert_eq!(connection.interim_status(), 100);
            connection.send(&bytes[..100_000]);
        }
        node.expect_nothing_stored();
        node.upload(&bytes);
    }
}

#[test]
fn expect_100_continue_is_granted_to_a_welcome_upload() {
    let node = Node::plain();
    let bytes = jpeg(30, 20, 1);
    let mut connection = node.connect();
    let request = put(&bytes).header("Expect", "100-continue");
    connection.send(&request.head());
    assert_eq!(connection.interim_status(), 100);
    connection.send(&bytes);
    connection.answer().expect(200);
}

#[test]
fn expect_100_continue_is_refused_before_the_100() {
    let node = Node::plain();
    for way in ways() {
        let mut connection = node.connect();
        let request = way.header("Expect", "100-continue").header("Content-Length", "10000000000");
        connection.send(&request.head());
        let answer = connection.answer();
        answer.problem(413);
        assert_eq!(answer.informational, [0_u16; 0]);
    }
}

/// Begins an upload and returns when the server has said that it wants the body.
fn begin_upload(node: &Node, bytes: &[u8]) -> Connection {
    let mut connection = node.connect();
    connection.send(&put(bytes).header("Expect", "100-continue").head());
    assert_eq!(connection.interim_status(), 100);
    connection
}

#[test]
fn an_upload_above_the_limit_is_503_before_its_body_is_read() {
    for shards in [1, 2] {
        let config = "[limits]\nuploads = 1\n".to_owned();
        let node = Node::start(Options { shards, config, ..Options::default() });
        let bytes = jpeg(60, 40, 1);
        let mut first = begin_upload(&node, &bytes);
        for expect in [None, Some("100-continue")] {
            let mut second = node.connect();
            let mut request = put(&jpeg(60, 40, 2));
            if let Some(value) = expect {
                request = request.header("Expect", value);
            }
            second.send(&request.head());
            let answer = second.answer();
            answer.problem(503);
            answer.retry_after();
            assert_eq!(answer.informational, [0_u16; 0]);
        }
        first.send(&bytes);
        first.answer().expect(200);
        wait_until("the place of the first upload", || node.ask(&put(&jpeg(60, 40, 2))).status == 200);
    }
}

#[test]
fn refused_and_broken_uploads_give_their_places_back() {
    let node = Node::with_config("[limits]\nuploads = 2\n");
    for _ in 0..5 {
        node.ask(&put(b"just some text")).problem(415);
        drop(begin_upload(&node, &jpeg(60, 40, 1)));
        wait_until("a free place", || node.ask(&put(&jpeg(60, 40, 2))).status == 200);
    }
    wait_until("both places", || {
        at_once(2, |index| node.ask(&put(&jpeg(60, 40, 10 + index as u32))).status) == [200, 200]
    });
}

#[test]
fn a_body_that_crawls_but_moves_is_taken() {
    let node = Node::with_config("[limits]\nbody_progress = \"5s\"\n");
    let bytes = jpeg(16, 16, 1);
    let mut connection = node.connect();
    connection.send(&put(&bytes).head());
    for byte in &bytes {
        connection.send(std::slice::from_ref(byte));
    }
    connection.answer().expect(200);
}
