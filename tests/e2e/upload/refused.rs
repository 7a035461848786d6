//! Uploads whose content is refused: each with its status, and nothing of it remains.

use crate::support::client::{Answer, Form, Request};
use crate::support::harness::{Node, OPERATOR_KEY, put, sha1};
use crate::support::pictures::{Picture, jpeg};

/// Sends one upload to a fresh node; it must be refused with this status and leave nothing.
#[track_caller]
fn refuses(request: &Request, status: u16) -> String {
    refuses_with("", request, status)
}

#[track_caller]
fn refuses_with(config: &str, request: &Request, status: u16) -> String {
    let node = Node::with_config(config);
    let detail = node.ask(request).problem(status);
    node.expect_nothing_stored();
    detail
}

/// Sends the same bytes in all three ways to one node.
#[track_caller]
fn refuses_bytes(bytes: &[u8], status: u16) {
    let node = Node::plain();
    let ways = [
        Form::default().file("image", "holiday.jpg", bytes).post(),
        Request::new("POST", "/image").body(bytes),
        put(bytes),
    ];
    for way in &ways {
        node.ask(way).problem(status);
    }
    node.expect_nothing_stored();
    node.upload(&jpeg(30, 20, 1));
}

#[test]
fn an_id_that_is_not_the_hash_of_the_bytes_is_422() {
    let request = Request::new("PUT", &format!("/image/{}", sha1(b"another"))).body(&jpeg(30, 20, 1));
    refuses(&request, 422);
}

#[test]
fn a_short_id_is_400() {
    refuses(&Request::new("PUT", "/image/abc123").body(&jpeg(30, 20, 1)), 400);
}

#[test]
fn a_form_cut_off_before_its_closing_boundary_is_400() {
    let mut body = Form::default().file("image", "a.jpg", &jpeg(30, 20, 1)).bytes();
    body.truncate(body.len() - 20);
    refuses(&Form::request(&body), 400);
}

#[test]
fn a_form_that_is_no_form_is_400() {
    refuses(&Form::request(b"this is not multipart at all"), 400);
    refuses(&Form::request(b""), 400);
}

#[test]
fn a_form_without_a_boundary_is_400() {
    let body = Form::default().file("image", "a.jpg", &jpeg(30, 20, 1)).bytes();
    refuses(&Request::new("POST", "/").header("Content-Type", "multipart/form-data").body(&body), 400);
}

#[test]
fn a_form_with_an_endless_preamble_or_head_is_400() {
    let long = "x".repeat(1 << 20);
    refuses(&Form::request(long.as_bytes()), 400);
    refuses(&Form::default().file("image", &long, &jpeg(30, 20, 1)).post(), 400);
}

#[test]
fn a_form_without_the_image_field_is_400_and_says_so() {
    let detail = refuses(&Form::default().field("key", OPERATOR_KEY).post(), 400);
    assert!(detail.contains("image"), "{detail}");
    let other = Form::default().file("picture", "a.jpg", &jpeg(30, 20, 1)).post();
    refuses(&other, 400);
}

#[test]
fn a_bad_size_hint_is_400_and_names_it() {
    for (hints, named) in [("300w,nonsense", "nonsense"), ("fill", "size"), ("300w,q70,q80", "q80")] {
        let bytes = jpeg(30, 20, 1);
        let before = Form::default().field("size_hints", hints).file("image", "a.jpg", &bytes).post();
        let after = Form::default().file("image", "a.jpg", &bytes).field("size_hints", hints).post();
        for form in [before, after] {
            let detail = refuses(&form, 400);
            assert!(detail.contains(named), "{hints}: {detail}");
        }
    }
}

#[test]
fn more_than_sixteen_size_hints_are_400() {
    let hints: Vec<_> = (1..=17).map(|width| format!("{width}00w")).collect();
    let bytes = jpeg(30, 20, 1);
    let form = |hints: &[String]| {
        Form::default().field("size_hints", &hints.join(",")).file("image", "a.jpg", &bytes).post()
    };
    refuses(&form(&hints), 400);
    Node::plain().ask(&form(&hints[..16])).expect(200);
}

#[test]
fn an_empty_file_is_415() {
    refuses_bytes(b"", 415);
}

#[test]
fn text_named_jpg_is_415() {
    refuses_bytes(b"just some text, and a name that lies about it", 415);
}

#[test]
fn formats_that_are_not_served_are_415() {
    refuses_bytes(b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>", 415);
    refuses_bytes(b"<html><script>alert(1)</script></html>", 415);
    refuses_bytes(b"BM\x36\x03\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", 415);
}

#[test]
fn an_image_cut_short_is_422() {
    for extension in ["jpg", "png", "gif", "webp"] {
        let bytes = Picture::corners(60, 40, 1).encode(extension);
        // The end marker of a JPEG and the trailer of a GIF may be missing, but none of the data.
        let least = match extension {
            "jpg" => 6,
            "gif" => 2,
            _ => 1,
        };
        for length in [bytes.len() / 2, bytes.len() - least] {
            println!("{extension} cut to {length} bytes");
            refuses_bytes(&bytes[..length], 422);
        }
    }
}

#[test]
fn an_image_of_no_pixels_is_422() {
    let mut png = Picture::corners(30, 20, 1).png();
    // The width in IHDR; its checksum is wrong then too, and either is reason enough.
    png[16..20].fill(0);
    refuses_bytes(&png, 422);
}

#[test]
fn more_than_max_pixels_is_422() {
    let config = "[images]\nmax_pixels = 1000\n";
    refuses_with(config, &put(&jpeg(50, 21, 1)), 422);
    Node::with_config(config).ask(&put(&jpeg(50, 20, 1))).expect(200);
}

#[test]
fn a_refusal_leaves_the_connection_usable_or_says_close() {
    let node = Node::plain();
    let mut connection = node.connect();
    let answer: Answer = connection.ask(&put(b"just some text"));
    answer.problem(415);
    if answer.header("connection") == Some("close") {
        connection.expect_closed();
    } else {
        connection.ask(&put(&jpeg(30, 20, 1))).expect(200);
    }
}

#[test]
fn a_jpeg_that_was_cut_within_its_data_is_422() {
    for jpeg in [Picture::corners(60, 40, 1).jpeg(), Picture::corners(60, 40, 1).jpeg_progressive()] {
        for missing in [6, 40, jpeg.len() / 4] {
            refuses_bytes(&jpeg[..jpeg.len() - missing], 422);
        }
        let trailer = b"\0\0\x01\x0A\x0E\0\0\0SEFHe\0\0\0SEFT";
        refuses_bytes(&[&jpeg[..jpeg.len() - 40], trailer].concat(), 422);
    }
}
