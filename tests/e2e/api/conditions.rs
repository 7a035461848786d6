//! Conditions by date, and ranges that hold only for what the client has: for stored bytes and variants alike.

use std::time::{Duration, SystemTime};

use crate::support::client::{Answer, Request};
use crate::support::harness::Node;
use crate::support::pictures::{jpeg, large_png};

/// A node, and URLs of stored bytes, short and long, and of a variant.
fn node_with_three() -> (Node, [String; 3]) {
    let node = Node::plain();
    let (small, large) = (node.upload(&jpeg(60, 40, 1)), node.upload(&large_png(1)));
    let urls = [
        format!("/image/{small}/full/x.jpg"),
        format!("/image/{large}/full/x.png"),
        format!("/image/{small}/30w/x.jpg"),
    ];
    (node, urls)
}

fn ask(node: &Node, url: &str, headers: &[(&str, &str)]) -> Answer {
    node.ask(&headers.iter().fold(Request::get(url), |request, (name, value)| request.header(name, value)))
}

fn shifted(date: &str, seconds: i64) -> String {
    let date = httpdate::parse_http_date(date).expect("an HTTP date");
    let shift = Duration::from_secs(seconds.unsigned_abs());
    httpdate::fmt_http_date(if seconds < 0 { date - shift } else { date + shift })
}

#[test]
fn if_modified_since_is_304_unless_it_is_older_or_no_date() {
    let (node, urls) = node_with_three();
    for url in &urls {
        let whole = node.get(url).expect(200);
        let date = whole.expect_header("last-modified");
        for since in [date.to_owned(), shifted(date, 60), httpdate::fmt_http_date(SystemTime::now())] {
            let answer = ask(&node, url, &[("If-Modified-Since", &since)]).expect(304);
            assert_eq!(answer.header("etag"), whole.header("etag"), "{url}");
        }
        for since in [shifted(date, -1), "yesterday".to_owned()] {
            let answer = ask(&node, url, &[("If-Modified-Since", &since)]).expect(200);
            assert!(answer.body == whole.body, "{url}: {since}");
        }
    }
}

#[test]
fn if_modified_since_does_not_count_beside_if_none_match() {
    let (node, urls) = node_with_three();
    for url in &urls {
        let whole = node.get(url).expect(200);
        let (date, tag) = (whole.expect_header("last-modified"), whole.expect_header("etag"));
        ask(&node, url, &[("If-Modified-Since", date), ("If-None-Match", "\"other\"")]).expect(200);
        let old = shifted(date, -60);
        ask(&node, url, &[("If-Modified-Since", &old), ("If-None-Match", tag)]).expect(304);
    }
}

#[test]
fn a_precondition_that_fails_is_412_and_one_that_holds_changes_nothing() {
    let (node, urls) = node_with_three();
    for url in &urls {
        // First of a variant that was never made, then from disk or memory.
        for _ in 0..3 {
            let failed = ask(&node, url, &[("If-Match", "\"other\""), ("If-None-Match", "*")]);
            failed.problem(412);
            assert_eq!(failed.json()["type"], "precondition", "{url}");
            let whole = node.get(url).expect(200);
            let (date, tag) = (whole.expect_header("last-modified"), whole.expect_header("etag"));
            let old = shifted(date, -60);
            ask(&node, url, &[("If-Unmodified-Since", &old)]).expect(412);
            ask(&node, url, &[("If-Match", &format!("W/{tag}"))]).expect(412);
            ask(&node, url, &[("If-Unmodified-Since", date)]).expect(200);
            ask(&node, url, &[("If-Match", tag), ("If-Unmodified-Since", &old)]).expect(200);
            ask(&node, url, &[("If-Match", "*"), ("Range", "bytes=0-4")]).expect(206);
            ask(&node, url, &[("If-Match", tag), ("If-None-Match", tag)]).expect(304);
        }
    }
    let unknown = "/image/da39a3ee5e6b4b0d3255bfef95601890afd80709/full/x.jpg";
    ask(&node, unknown, &[("If-Match", "\"other\"")]).expect(404);
}

#[test]
fn if_range_gives_the_part_for_an_equal_strong_tag_or_date_and_else_the_whole() {
    let (node, urls) = node_with_three();
    for url in &urls {
        let whole = node.get(url).expect(200);
        let (date, tag) = (whole.expect_header("last-modified"), whole.expect_header("etag"));
        for equal in [tag, date] {
            let part = ask(&node, url, &[("Range", "bytes=3-9"), ("If-Range", equal)]).expect(206);
            assert_eq!(part.body, whole.body[3..10], "{url}: {equal}");
        }
        let weak = format!("W/{tag}");
        for other in ["\"other\"", &weak, &shifted(date, 60), &shifted(date, -60), "nonsense", "*"] {
            let answer = ask(&node, url, &[("Range", "bytes=3-9"), ("If-Range", other)]).expect(200);
            assert!(answer.body == whole.body, "{url}: {other}");
        }
    }
}

#[test]
fn head_ignores_a_range() {
    let (node, urls) = node_with_three();
    for url in &urls {
        let whole = node.get(url).expect(200);
        for range in ["bytes=0-4", "bytes=999999999-"] {
            let head = node.ask(&Request::new("HEAD", url).header("Range", range)).expect(200);
            assert_eq!(head.header("content-length"), Some(&*whole.body.len().to_string()), "{url}");
            assert_eq!(head.header("content-range"), None, "{url}");
        }
    }
}

#[test]
fn an_upload_time_in_the_future_is_not_sent() {
    let (node, urls) = node_with_three();
    let ahead = SystemTime::now() + Duration::from_secs(30 * 86_400);
    for path in node.files("store") {
        std::fs::File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(ahead))
            .expect("a file");
    }
    for url in &urls {
        let answer = node.get(url).expect(200);
        let modified = answer.expect_header("last-modified");
        let date = httpdate::parse_http_date(modified).expect("an HTTP date");
        assert!(date <= SystemTime::now(), "{url}: {modified}");
    }
}
