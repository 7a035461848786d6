//! `auto`: the format by `Accept`; and variants made ahead.

use crate::support::client::{Answer, Form, Request};
use crate::support::harness::{Node, sha1, wait_until};
use crate::support::pictures::{Picture, jpeg};

fn ask(node: &Node, url: &str, accept: &str) -> Answer {
    node.ask(&Request::get(url).header("Accept", accept)).expect(200)
}

#[test]
fn auto_is_avif_or_webp_for_those_who_name_it_and_natural_for_the_rest() {
    let node = Node::with_shards(2);
    let opaque = Picture::corners(80, 60, 1);
    let clear = Picture::half_transparent(80, 60);
    for (source, natural) in [
        (jpeg(80, 60, 1), "image/jpeg"),
        (opaque.encode("png"), "image/png"),
        (opaque.encode("gif"), "image/gif"),
        (opaque.encode("webp"), "image/jpeg"),
        (clear.encode("webp"), "image/png"),
    ] {
        let id = node.upload(&source);
        let url = format!("/image/{id}/40w/x.auto");
        for (accept, expected) in [
            ("image/avif,image/webp,*/*;q=0.8", "image/avif"),
            ("image/webp,image/avif;q=0.1", "image/avif"),
            ("image/webp,image/avif;q=0,*/*", "image/webp"),
            ("image/*,*/*", natural),
            ("image/webp;q=0, */*", natural),
            ("", natural),
        ] {
            let answer = ask(&node, &url, accept);
            assert_eq!(answer.header("content-type"), Some(expected), "{natural} for {accept:?}");
            assert_eq!(answer.header("vary"), Some("Accept"));
        }
        let natural = ask(&node, &url, "*/*");
        let webp = ask(&node, &url, "image/webp");
        assert_ne!(natural.header("etag"), webp.header("etag"));
    }
}

#[test]
fn full_auto_is_the_stored_bytes_where_they_may_be_shown() {
    let node = Node::plain();
    let webp = Picture::corners(80, 60, 1).encode("webp");
    let url = format!("/image/{}/full/x.auto", node.upload(&webp));
    assert!(ask(&node, &url, "image/webp").body == webp);
    assert_eq!(ask(&node, &url, "*/*").header("content-type"), Some("image/jpeg"));
    let bytes = jpeg(80, 60, 1);
    let url = format!("/image/{}/full/x.auto", node.upload(&bytes));
    // What is natural stays as it is stored, also for those who would take WebP.
    assert!(ask(&node, &url, "image/webp").body == bytes);
}

#[test]
fn every_answer_of_an_auto_url_varies() {
    let node = Node::plain();
    let id = node.upload(&jpeg(80, 60, 1));
    for (target, status) in [
        (format!("{}/40w", sha1(b"nothing")), 404),
        (format!("{id}/040w"), 301),
        (format!("{id}/nonsense"), 400),
    ] {
        let answer = node.get(&format!("/image/{target}/x.auto")).expect(status);
        assert_eq!(answer.header("vary"), Some("Accept"), "{target}");
    }
    let url = format!("/image/{id}/40w/x.auto");
    for (name, value, status) in
        [("If-None-Match", "*", 304), ("Range", "bytes=0-1", 206), ("Range", "bytes=999999-", 416)]
    {
        let answer = node.ask(&Request::get(&url).header(name, value)).expect(status);
        assert_eq!(answer.header("vary"), Some("Accept"), "{name}: {value}");
    }
}

#[test]
fn hinted_sizes_are_made_before_anybody_asks() {
    let node = Node::with_shards(2);
    for seed in 1..4 {
        let bytes = jpeg(400, 300, seed);
        let made = || node.metric("reticulum_resizes_total{outcome=\"ok\"}");
        let before = made();
        let form = Form::default().field("size_hints", "40w,50s,g-n,q70,full").file("image", "a.jpg", &bytes);
        node.ask(&form.post()).expect(200);
        wait_until("two variants", || made() >= before + 2.0);
        for spec in ["40w", "50s,g-n,q70"] {
            let answer = node.get(&format!("/image/{}/{spec}/x.jpg", sha1(&bytes))).expect(200);
            assert_ne!(answer.header("x-cache"), Some("miss"), "{spec}");
        }
        assert_eq!(made(), before + 2.0);
    }
}

#[test]
fn a_hint_that_no_size_can_follow_is_400_and_nothing_is_stored() {
    let node = Node::plain();
    let form = Form::default().field("size_hints", "9000w").file("image", "a.jpg", &jpeg(40, 30, 1));
    node.ask(&form.post()).problem(400);
    node.expect_nothing_stored();
}
