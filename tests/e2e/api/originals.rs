//! The stored bytes and how HTTP hands them out: headers, conditions, ranges.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::client::{Answer, Request};
use crate::support::harness::{Node, sha1};
use crate::support::pictures::{Picture, jpeg, large_png};

/// A node with one small and one large image: their URLs and bytes.
fn node_with_two() -> (Node, [(String, Vec<u8>); 2]) {
    let node = Node::plain();
    let images = [(jpeg(60, 40, 1), "jpg"), (large_png(1), "png")].map(|(bytes, extension)| {
        let id = node.upload(&bytes);
        (format!("/image/{id}/full/image.{extension}"), bytes)
    });
    (node, images)
}

fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", sha1(bytes))
}

#[test]
fn stored_bytes_come_back_untouched() {
    for shards in [1, 2] {
        let node = Node::with_shards(shards);
        let mut images = vec![(large_png(1), "png")];
        images.extend(["jpg", "png", "gif", "webp"].map(|e| (Picture::corners(60, 40, 3).encode(e), e)));
        for (bytes, extension) in images {
            let id = node.upload(&bytes);
            let answer = node.get(&format!("/image/{id}/full/any-name.{extension}")).expect(200);
            assert!(answer.body == bytes, "other bytes for {extension}");
        }
    }
}

#[test]
fn stored_bytes_carry_every_promised_header() {
    let (node, images) = node_with_two();
    for ((url, bytes), kind) in images.iter().zip(["image/jpeg", "image/png"]) {
        let answer = node.get(url).expect(200);
        for (name, value) in [
            ("content-type", kind),
            ("content-length", &bytes.len().to_string()),
            ("etag", &tag(bytes)),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'"),
            ("access-control-allow-origin", "*"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("timing-allow-origin", "*"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
    }
}

#[test]
fn last_modified_is_the_time_of_the_upload() {
    let node = Node::plain();
    let before = SystemTime::now() - Duration::from_secs(1);
    let id = node.upload(&jpeg(60, 40, 1));
    let answer = node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
    let time = httpdate::parse_http_date(answer.expect_header("last-modified")).expect("an HTTP date");
    assert!(before <= time && time <= SystemTime::now(), "{time:?}");
    let file = fs::metadata(node.stored(&id, "jpg")).and_then(|facts| facts.modified()).expect("a time");
    assert!(file.duration_since(time).is_ok_and(|rest| rest < Duration::from_secs(1)), "{file:?} {time:?}");
}

/// The headers that must not differ between two answers about the same thing.
fn lasting(answer: &Answer) -> Vec<&(String, String)> {
    let passing = ["date", "server-timing", "x-cache"];
    answer.headers.iter().filter(|(name, _)| !passing.contains(&name.as_str())).collect()
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let (node, images) = node_with_two();
    let variant = images[0].0.replace("full", "30w");
    for url in [&images[0].0, &images[1].0, &variant] {
        let mut connection = node.connect();
        let get = connection.ask(&Request::get(url)).expect(200);
        let head = connection.ask(&Request::new("HEAD", url)).expect(200);
        assert_eq!(lasting(&head), lasting(&get));
        // Had a body followed, it would stand before the next answer.
        connection.ask(&Request::get("/healthz")).expect(200);
    }
}

#[test]
fn a_connection_is_reused_and_may_pipeline() {
    let (node, images) = node_with_two();
    let mut connection = node.connect();
    for _ in 0..3 {
        for (url, bytes) in &images {
            assert!(connection.ask(&Request::get(url)).expect(200).body == *bytes);
        }
    }
    for (url, _) in &images {
        connection.send(&Request::get(url).head());
    }
    for (_, bytes) in &images {
        assert!(connection.answer().expect(200).body == *bytes);
    }
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let (node, images) = node_with_two();
    let mut connection = node.connect();
    connection.send(format!("GET {} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", images[0].0).as_bytes());
    let raw = connection.read_until_closed();
    assert!(raw.starts_with(b"HTTP/1.") && raw.ends_with(&images[0].1), "{} bytes", raw.len());
}

#[test]
fn if_none_match_that_matches_is_304() {
    let (node, images) = node_with_two();
    let (url, bytes) = &images[0];
    let tag = tag(bytes);
    for condition in
        [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), format!("\"a\",W/{tag}"), "*".into()]
    {
        let mut connection = node.connect();
        let answer = connection.ask(&Request::get(url).header("If-None-Match", &condition)).expect(304);
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), Some(tag.as_str()), "{condition}");
        assert!(answer.expect_header("cache-control").contains("immutable"), "{condition}");
        connection.ask(&Request::get("/healthz")).expect(200);
    }
}

#[test]
fn if_none_match_that_does_not_match_is_200() {
    let (node, images) = node_with_two();
    let (url, bytes) = &images[0];
    for condition in ["\"other\"", &sha1(bytes), "\"a\", \"b\"", &tag(b"another image")] {
        let answer = node.ask(&Request::get(url).header("If-None-Match", condition)).expect(200);
        assert!(answer.body == *bytes, "{condition}");
    }
}

#[test]
fn if_none_match_on_an_unknown_image_is_404() {
    let node = Node::plain();
    let url = format!("/image/{}/full/x.jpg", sha1(b"unknown"));
    node.ask(&Request::get(&url).header("If-None-Match", "*")).problem(404);
}

#[test]
fn a_single_range_is_206() {
    let (node, images) = node_with_two();
    for (url, bytes) in &images {
        let (length, last) = (bytes.len(), bytes.len() - 1);
        for (range, from, to) in [
            ("0-99".to_owned(), 0, 99),
            ("100-299".to_owned(), 100, 299),
            ("-50".to_owned(), length - 50, last),
            (format!("{}-", length - 7), length - 7, last),
            ("0-".to_owned(), 0, last),
            (format!("{last}-{last}"), last, last),
            ("10-99999999999".to_owned(), 10, last),
            ("-99999999999".to_owned(), 0, last),
        ] {
            let request = Request::get(url).header("Range", &format!("bytes={range}"));
            let answer = node.ask(&request).expect(206);
            assert_eq!(answer.header("content-range"), Some(format!("bytes {from}-{to}/{length}").as_str()));
            assert!(answer.body == bytes[from..=to], "other bytes for {range}");
            assert_eq!(answer.header("etag"), Some(tag(bytes).as_str()));
        }
    }
}

#[test]
fn a_range_beyond_the_end_is_416() {
    let (node, images) = node_with_two();
    for (url, bytes) in &images {
        let length = bytes.len();
        for range in [format!("{length}-"), format!("{}-{}", length + 10, length + 20), "-0".to_owned()] {
            let answer = node.ask(&Request::get(url).header("Range", &format!("bytes={range}")));
            answer.problem(416);
            assert_eq!(answer.header("content-range"), Some(format!("bytes */{length}").as_str()), "{range}");
        }
    }
}

#[test]
fn several_ranges_are_200_whole() {
    let (node, images) = node_with_two();
    for (url, bytes) in &images {
        let answer = node.ask(&Request::get(url).header("Range", "bytes=0-9,20-29")).expect(200);
        assert!(answer.body == *bytes);
    }
}

#[test]
fn a_variant_has_ranges_too() {
    let (node, images) = node_with_two();
    let url = images[0].0.replace("full", "30w");
    let whole = node.get(&url).expect(200).body;
    let part = node.ask(&Request::get(&url).header("Range", "bytes=10-19")).expect(206);
    assert_eq!(part.body, whole[10..20]);
    assert_eq!(part.header("content-range"), Some(format!("bytes 10-19/{}", whole.len()).as_str()));
}

#[test]
fn an_unknown_id_is_404_for_ten_seconds() {
    let node = Node::plain();
    let id = sha1(b"unknown");
    for url in [format!("/image/{id}/full/x.jpg"), format!("/image/{id}/300w/x.png"), format!("/info/{id}")] {
        let answer = node.get(&url);
        answer.problem(404);
        assert!(answer.expect_header("cache-control").contains("max-age=10"), "{answer:?}");
        assert!(node.ask(&Request::new("HEAD", &url)).expect(404).body.is_empty());
    }
}
