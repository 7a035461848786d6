//! Keys in upload forms: where they may stand, and that nothing is stored, nor anybody held up, before they are proven.

use std::path::PathBuf;

use crate::api::access::{BOTH_KEYS, UPLOAD_KEY, kind};
use crate::support::client::{Connection, Form};
use crate::support::harness::{Node, put, wait_until};
use crate::support::pictures::jpeg;

/// Places of a shard for forms that have shown no key.
const UNPROVEN_MAX: usize = 32;

#[test]
fn a_key_may_come_in_the_forms_field_before_the_image() {
    let node = Node::with_config(BOTH_KEYS);
    let bytes = jpeg(30, 20, 1);
    let image = |form: Form| form.file("image", "a.jpg", &bytes);
    for key in ["up", "other", "op"] {
        node.ask(&image(Form::default().field("key", key)).post()).expect(200);
        node.ask(&image(Form::default().field("x", "y").field("size_hints", "9w").field("key", key)).post())
            .expect(200);
    }
    node.ask(&image(Form::default()).post().header("Authorization", "Bearer up")).expect(200);
    // With a key in the header the field means nothing.
    let field = image(Form::default()).field("key", "nonsense").post();
    node.ask(&field.header("Authorization", "Bearer up")).expect(200);
}

#[test]
fn a_form_with_a_wrong_key_a_late_one_or_none_leaves_nothing() {
    let node = Node::with_config(BOTH_KEYS);
    let bytes = jpeg(30, 20, 1);
    for form in [
        Form::default().file("image", "a.jpg", &bytes),
        Form::default().field("key", "nonsense").file("image", "a.jpg", &bytes),
        Form::default().field("key", "").file("image", "a.jpg", &bytes),
        Form::default().file("image", "a.jpg", &bytes).field("key", "nonsense"),
        Form::default().file("image", "a.jpg", &bytes).field("key", "up"),
    ] {
        node.ask(&form.post()).problem(403);
    }
    let late = Form::default().file("image", "a.jpg", &bytes).field("key", "up").post();
    let sentence = node.ask(&late).json()["detail"].as_str().expect("a sentence").to_owned();
    assert!(sentence.contains("before the field \"image\""), "{sentence}");
    let right_field = Form::default().field("key", "up").file("image", "a.jpg", &bytes);
    node.ask(&right_field.post().header("Authorization", "Bearer nonsense")).problem(403);
    let two = Form::default().field("key", "up").field("key", "up").file("image", "a.jpg", &bytes);
    node.ask(&two.post()).problem(400);
    let fields = (0..20).fold(Form::default(), |form, _| form.field("x", &"y".repeat(8000)));
    node.ask(&fields.field("key", "up").file("image", "a.jpg", &bytes).post()).problem(403);
    node.expect_nothing_stored();
}

#[test]
fn nothing_of_a_form_is_written_before_its_key_is_proven() {
    let node = Node::with_config(BOTH_KEYS);
    let mut bytes = jpeg(30, 20, 1);
    bytes.resize(4 << 20, 0);
    let body = Form::default().file("image", "a.jpg", &bytes).field("key", "up").bytes();
    let mut connection = node.connect();
    connection.send(&Form::announce().header("Content-Length", &body.len().to_string()).head());
    // Enough for an image to begin, and then nothing: the answer does not wait for the rest.
    connection.send(&body[..100_000]);
    assert_eq!(kind(&connection.answer(), 403), "key");
    assert_eq!(node.files("tmp"), Vec::<PathBuf>::new());
}

#[test]
fn slow_forms_without_a_key_keep_nobody_from_uploading() {
    let node = Node::with_config(BOTH_KEYS);
    // More than the uploads and the unproven forms that a shard takes at once.
    let mut slow: Vec<_> = (0..149).map(|_| slow_form(&node)).collect();
    // The server reads them in an order of its own. All have been read when the places are left to as many as there are.
    let kept = |slow: &[Connection]| slow.iter().filter(|connection| !connection.has_received()).count();
    wait_until("the other forms to lose their places", || kept(&slow) == UNPROVEN_MAX);
    let newest = slow_form(&node);
    wait_until("one more to lose its place", || kept(&slow) == UNPROVEN_MAX - 1);
    assert!(!newest.has_received(), "the newest form has its place");
    let refused = slow.iter().position(Connection::has_received).expect("a refused form");
    slow.swap_remove(refused).answer().problem(503);
    let bytes = jpeg(30, 20, 1);
    node.ask(&put(&bytes).header(UPLOAD_KEY.0, UPLOAD_KEY.1)).expect(200);
    node.ask(&Form::default().field("key", "up").file("image", "a.jpg", &bytes).post()).expect(200);
    assert!(!newest.has_received(), "the newest form still has its place");
    // It shows its key in the end.
    let rest = Form::default().field("key", "up").file("image", "a.jpg", &jpeg(30, 20, 2)).bytes();
    let mut late = node.connect();
    late.send(&Form::announce().header("Content-Length", &rest.len().to_string()).head());
    late.send(&rest[..10]);
    late.send(&rest[10..]);
    late.answer().expect(200);
}

/// A form that announces many bytes and sends its first field.
fn slow_form(node: &Node) -> Connection {
    let mut connection = node.connect();
    connection.send(&Form::announce().header("Content-Length", "20000000").head());
    connection.send(b"------7d93ab20e1f64\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n");
    connection
}

#[test]
fn undelete_by_form_needs_the_operator_key_in_the_field() {
    let node = Node::with_config(BOTH_KEYS);
    for (key, status) in [("up", 403), ("nonsense", 403)] {
        let body = Form::default().field("key", key).file("image", "a.jpg", &jpeg(30, 20, 1)).bytes();
        node.ask(&Form::announce_at("/?undelete").body(&body)).problem(status);
    }
    node.expect_nothing_stored();
}
