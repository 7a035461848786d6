//! Uploads that are taken: what they may look like, what the answer says, what lies on disk afterwards.

use std::collections::BTreeSet;
use std::fs;

use super::upload_in_chunks;
use crate::support::client::{Form, Request};
use crate::support::harness::{Node, OPERATOR_KEY, at_once, put, sha1};
use crate::support::pictures::{Picture, jpeg};

const FORMATS: [&str; 4] = ["jpg", "png", "gif", "webp"];

#[test]
fn a_form_upload_is_answered_with_id_url_and_facts() {
    let node = Node::with_config("[node]\nname = \"solo\"\n");
    let bytes = jpeg(60, 40, 1);
    let id = sha1(&bytes);
    let answer = node.ask(&Form::default().file("image", "holiday.jpg", &bytes).post()).expect(200);
    let expected = serde_json::json!({
        "hash": id,
        "length": bytes.len(),
        "extension": "jpg",
        "full_url": format!("/image/{id}/full/image.jpg"),
        "satisfied": true,
        "nodes": ["solo"],
        "width": 60,
        "height": 40,
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn the_answer_and_info_say_that_a_photo_tells_where_it_was_taken() {
    let node = Node::plain();
    let plain = jpeg(60, 40, 1);
    // A first directory whose one entry leads to a GPS directory, whose one entry is a latitude.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x25\x88\x04\0\x01\0\0\0\x1A\0\0\0\0\0\0\0\
        \x01\0\x02\0\x05\0\x03\0\0\0\0\0\0\0\0\0\0\0";
    let length = (2 + 6 + tiff.len() as u16).to_be_bytes();
    let located = [&plain[..2], &[0xFF, 0xE1], &length, b"Exif\0\0", tiff, &plain[2..]].concat();
    for (bytes, has_location) in [(&plain, false), (&located, true)] {
        for request in [put(bytes), Form::default().file("image", "a.jpg", bytes).post()] {
            let answer = node.ask(&request).expect(200).json();
            // Only what there is to know is said.
            assert_eq!(answer.get("location"), has_location.then_some(&true.into()));
        }
        let info = node.get(&format!("/info/{}", sha1(bytes))).expect(200).json();
        assert_eq!(info["location"], has_location);
    }
}

#[test]
fn the_answer_tells_the_size_as_displayed() {
    let node = Node::plain();
    let bytes = Picture::corners(60, 40, 1).jpeg_oriented(6);
    let answer = node.ask(&put(&bytes)).expect(200).json();
    assert_eq!((&answer["width"], &answer["height"]), (&40.into(), &60.into()));
}

#[test]
fn every_way_of_upload_gives_the_same_answer() {
    let node = Node::plain();
    let bytes = jpeg(60, 40, 1);
    let ways = [
        Form::default().file("image", "a.jpg", &bytes).post(),
        Request::new("POST", "/image").body(&bytes),
        put(&bytes),
    ];
    let answers: Vec<_> = ways.iter().map(|way| node.ask(way).expect(200).json()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn a_form_is_taken_however_its_sender_writes_it() {
    let node = Node::plain();
    let bytes = jpeg(60, 40, 1);
    let id = sha1(&bytes);
    let boundary = "=_Part/1:2?3";
    let part = |disposition: &str, data: &[u8]| {
        let head = format!("--{boundary} \t\r\ncontent-disposition: {disposition}\r\n\r\n");
        [head.as_bytes(), data, b"\r\n"].concat()
    };
    let image = |disposition: &str| part(disposition, &bytes);
    let other = |data: &[u8]| part(r#"form-data; name="thumb"; filename="image""#, data);
    let long = vec![b'\r'; 60_000];
    for (name, parts) in [
        ("upper case", image(r#"FORM-DATA; FILENAME="a.jpg"; NAME="image""#)),
        ("marks in a quoted value", image(r#"form-data; filename="a; name=\"b\" =c.jpg"; name="image""#)),
        ("a name in another character set", image("form-data; name=image; filename*=UTF-8''%D1%84.jpg")),
        ("another file", [other(&jpeg(16, 16, 2)), image(r#"form-data; name="image""#)].concat()),
        ("bytes that are no text", [other(b"\xE9t\xE9\0"), image("form-data; name=image")].concat()),
        ("a long field", [image("form-data; name=image"), other(&long)].concat()),
        ("a field without a name", [part("form-data", b"x"), image("form-data; name=image")].concat()),
    ] {
        let end = format!("--{boundary}--");
        for body in [
            [&parts, end.as_bytes()].concat(),
            [b"A preamble\nof two lines\n".as_slice(), &parts, end.as_bytes(), b"\r\nan epilogue"].concat(),
        ] {
            for kind in [format!("boundary={boundary}"), format!("charset=x; Boundary=\"{boundary}\"")] {
                let kind = format!("multipart/form-data; {kind}");
                let answer = node.ask(&Request::new("POST", "/").header("Content-Type", &kind).body(&body));
                assert_eq!(answer.status, 200, "{name}, {kind}: {:?}", answer.json());
                assert_eq!(answer.json()["hash"], id.as_str(), "{name}, {kind}");
            }
        }
    }
}

#[test]
fn every_way_takes_a_chunked_body() {
    let node = Node::plain();
    let bytes = jpeg(60, 40, 1);
    upload_in_chunks(&node, &bytes, 100, |answer| {
        assert_eq!(answer.expect(200).json()["hash"], sha1(&bytes).as_str());
    });
}

#[test]
fn form_fields_may_come_in_any_order() {
    let node = Node::plain();
    let parts: [fn(Form, &[u8]) -> Form; 3] = [
        |form, bytes| form.file("image", "a.jpg", bytes),
        |form, _| form.field("key", OPERATOR_KEY),
        |form, _| form.field("size_hints", "300w200h,fill,q70,50s"),
    ];
    for (seed, order) in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].iter().enumerate()
    {
        let bytes = jpeg(60, 40, seed as u32);
        let form = order.iter().fold(Form::default(), |form, &part| parts[part](form, &bytes));
        let answer = node.ask(&form.post()).expect(200);
        assert_eq!(answer.json()["hash"], sha1(&bytes).as_str(), "order {order:?}");
    }
}

#[test]
fn the_type_is_read_from_the_bytes() {
    let node = Node::plain();
    for extension in FORMATS {
        let bytes = Picture::corners(30, 20, 1).encode(extension);
        let form = Form::default().file("image", "holiday.bmp", &bytes).post();
        let answer = node.ask(&form).expect(200).json();
        assert_eq!(answer["extension"], extension);
        assert_eq!(fs::read(node.stored(&sha1(&bytes), extension)).expect("stored"), bytes);
    }
}

#[test]
fn the_store_holds_exactly_the_uploaded_bytes() {
    for shards in [1, 2] {
        let node = Node::with_shards(shards);
        for seed in 0..8 {
            let bytes = jpeg(30, 20, seed);
            let id = node.upload(&bytes);
            assert_eq!(fs::read(node.stored(&id, "jpg")).expect("stored"), bytes);
        }
        assert_eq!(node.files("store").len(), 8);
        node.wait_until_tmp_is_empty();
    }
}

#[test]
fn bytes_after_the_end_of_an_image_are_kept() {
    let node = Node::plain();
    for extension in FORMATS {
        let mut bytes = Picture::corners(30, 20, 2).encode(extension);
        bytes.extend_from_slice(b"more than an image");
        let id = node.upload(&bytes);
        let answer = node.get(&format!("/image/{id}/full/x.{extension}")).expect(200);
        assert_eq!(answer.body, bytes);
    }
}

#[test]
fn the_same_bytes_again_are_200_and_stored_once() {
    let node = Node::plain();
    let bytes = jpeg(60, 40, 1);
    let first = node.ask(&put(&bytes)).expect(200).json();
    let again = node.ask(&put(&bytes)).expect(200).json();
    assert_eq!(first, again);
    assert_eq!(node.files("store").len(), 1);
}

#[test]
fn a_second_upload_keeps_the_time_of_the_first() {
    let node = Node::plain();
    let bytes = jpeg(60, 40, 1);
    let id = node.upload(&bytes);
    let time = || fs::metadata(node.stored(&id, "jpg")).and_then(|facts| facts.modified()).expect("a time");
    let first = time();
    node.upload(&bytes);
    assert_eq!(time(), first);
}

#[test]
fn many_uploads_of_the_same_bytes_at_once_are_safe() {
    for (shards, count) in [(1, 2), (2, 2), (1, 16), (2, 16)] {
        let node = Node::with_shards(shards);
        let bytes = Picture::noise(200, 150, count as u32).png();
        let ways = [
            Form::default().file("image", "a.png", &bytes).post(),
            Request::new("POST", "/image").body(&bytes),
            put(&bytes),
        ];
        let answers = at_once(count, |index| node.ask(&ways[index % 3]));
        let hashes: BTreeSet<_> =
            answers.into_iter().map(|a| a.expect(200).json()["hash"].to_string()).collect();
        assert_eq!(hashes.len(), 1);
        assert_eq!(node.files("store"), [node.stored(&sha1(&bytes), "png")]);
        node.expect_store_is_whole();
        node.wait_until_tmp_is_empty();
    }
}

#[test]
fn a_connection_carries_one_upload_after_another() {
    let node = Node::plain();
    let mut connection = node.connect();
    for seed in 0..20 {
        let bytes = jpeg(30, 20, seed);
        let answer = connection.ask(&Form::default().file("image", "a.jpg", &bytes).post()).expect(200);
        assert_eq!(answer.json()["hash"], sha1(&bytes).as_str());
    }
}

/// Phones put trailers of their own in place of the end marker, and every reader shows such files.
#[test]
fn a_jpeg_without_its_end_marker_is_taken_if_all_of_it_is_there() {
    let node = Node::plain();
    for (seed, jpeg) in
        [(1, Picture::corners(60, 40, 1).jpeg()), (2, Picture::corners(61, 43, 2).jpeg_progressive())]
    {
        let whole = &jpeg[..jpeg.len() - 2];
        let embedded = Picture::corners(8, 8, 3).jpeg();
        for (at, trailer) in
            [&b""[..], b"\0\0\x01\x0A\x0E\0\0\0SEFHe\0\0\0SEFT", &embedded].into_iter().enumerate()
        {
            let bytes = [whole, trailer].concat();
            let ways = [
                Form::default().file("image", "a.jpg", &bytes).post(),
                Request::new("POST", "/image").body(&bytes),
                put(&bytes),
            ];
            let answer = node.ask(&ways[at]).expect(200).json();
            assert_eq!(answer["hash"], sha1(&bytes).as_str(), "{seed}");
            let expected = node.upload(&jpeg);
            for spec in ["full/x.png", "30w/x.png"] {
                let made = |id: &str| node.get(&format!("/image/{id}/{spec}")).expect(200).body;
                assert_eq!(made(&sha1(&bytes)), made(&expected), "{seed} {at} {spec}");
            }
        }
    }
}
