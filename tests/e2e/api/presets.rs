//! Presets: specs that the configuration names, and servers that make nothing else.

use crate::support::client::Request;
use crate::support::harness::Node;
use crate::support::pictures::{Picture, jpeg};

const PRESETS: &str = r#"[images]
presets = { thumb = "60s", tall = "40w80h,fill,g-n,q50", plain = "full,q50" }
"#;

fn node() -> Node {
    Node::with_config(PRESETS)
}

fn strict_node() -> Node {
    Node::with_config(&format!("{PRESETS}only_presets = true\n"))
}

#[test]
fn a_preset_is_what_the_config_says_with_the_urls_options_over_it() {
    let node = node();
    let id = node.upload(&jpeg(200, 100, 1));
    for (preset, spec) in [
        ("p-thumb", "60s"),
        ("p-thumb,g-w,dpr0.5", "60s,g-w,dpr0.5"),
        ("p-tall", "40w80h,fill,g-n,q50"),
        ("p-tall,g-c,q60,flip", "40w80h,fill,q60,flip"),
        ("p-tall,grey", "40w80h,fill,g-n,q50,grey"),
    ] {
        let by_preset = node.get(&format!("/image/{id}/{preset}/x.jpg")).expect(200);
        let written_out = node.get(&format!("/image/{id}/{spec}/x.jpg")).expect(200);
        assert_eq!(by_preset.body, written_out.body, "{preset}");
        assert_eq!(by_preset.header("etag"), written_out.header("etag"), "{preset}");
        assert_eq!(by_preset.header("cache-control"), Some("public, max-age=86400"), "{preset}");
        assert_ne!(written_out.header("x-cache"), Some("miss"), "{preset}: made twice");
    }
    assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 5.0);
}

#[test]
fn a_304_for_a_preset_holds_for_a_day_too() {
    let node = node();
    let id = node.upload(&jpeg(200, 100, 1));
    let url = format!("/image/{id}/p-thumb/x.jpg");
    let tag = node.get(&url).expect(200).expect_header("etag").to_owned();
    let answer = node.ask(&Request::get(&url).header("If-None-Match", &tag)).expect(304);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=86400"));
}

#[test]
fn a_presets_url_is_mended_and_never_written_out() {
    let node = node();
    let id = node.upload(&jpeg(200, 100, 1));
    for (asked, canonical) in [
        ("P-Thumb/x.jpg", "p-thumb/x.jpg"),
        ("q070,p-thumb/x.JPEG", "p-thumb,q70/x.jpg"),
        ("p-thumb,dpr1.0,g-C/x.png", "p-thumb,g-c,dpr1/x.png"),
    ] {
        let answer = node.get(&format!("/image/{id}/{asked}")).expect(301);
        assert_eq!(answer.header("location"), Some(format!("/image/{id}/{canonical}").as_str()));
        node.get(&format!("/image/{id}/{canonical}")).expect(200);
    }
}

#[test]
fn what_a_preset_cannot_take_is_400_and_named() {
    let node = node();
    let id = node.upload(&jpeg(60, 40, 1));
    for (spec, part) in
        [("p-thumb,fill", "fill"), ("p-tall,pad", "g-n"), ("p-plain,dpr2", "dpr2"), ("p-none", "p-none")]
    {
        let detail = node.get(&format!("/image/{id}/{spec}/x.jpg")).problem(400);
        assert!(detail.contains(part), "{spec}: {detail}");
    }
}

#[test]
fn where_only_presets_are_made_every_other_variant_is_403() {
    let node = strict_node();
    let source = jpeg(200, 100, 1);
    let id = node.upload(&source);
    for target in ["60s/x.jpg", "0060S/x.jpeg", "full,q50/x.jpg", "full/x.png", "full,grey/x.webp"] {
        node.get(&format!("/image/{id}/{target}")).problem(403);
    }
    assert_eq!(node.get(&format!("/image/{id}/full/x.jpg")).expect(200).body, source);
    let answer = node.get(&format!("/image/{id}/p-thumb/x.webp")).expect(200);
    assert_eq!(Picture::decode(&answer.body).size(), (60, 60));
    node.get(&format!("/image/{id}/p-plain/x.png")).expect(200);
}

#[test]
fn options_beside_a_preset_make_no_variant_unless_they_are_listed_whole() {
    let config =
        format!("{PRESETS}only_presets = true\n[access]\npreset_overrides = [\"q30\", \"dpr0.5\"]\n");
    let node = Node::with_config(&config);
    let id = node.upload(&jpeg(200, 100, 1));
    // A flood: each of these would be another file.
    for quality in (1..=100).filter(|quality| *quality != 30) {
        node.get(&format!("/image/{id}/p-thumb,q{quality}/x.jpg")).problem(403);
    }
    for options in ["dpr2", "dpr0.51", "q30,flip", "grey", "g-c", "bg-000000", "crop-0-0-9-9"] {
        for extension in ["jpg", "png", "auto"] {
            node.get(&format!("/image/{id}/p-thumb,{options}/x.{extension}")).problem(403);
        }
    }
    assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 0.0);
    for spec in ["p-thumb,q30", "p-thumb,dpr0.5", "p-thumb,dpr0.5,q30", "p-thumb"] {
        node.get(&format!("/image/{id}/{spec}/x.jpg")).expect(200);
    }
    // A bad spec first, then what is not admitted, then another form.
    node.get(&format!("/image/{id}/p-thumb,q030,fill/x.jpg")).problem(400);
    node.get(&format!("/image/{id}/P-thumb,q031/x.jpeg")).problem(403);
    node.get(&format!("/image/{id}/P-thumb,q030/x.jpeg")).expect(301);
}

#[test]
fn a_bad_spec_is_told_before_a_missing_preset_and_that_before_a_missing_image() {
    let node = strict_node();
    let unknown = crate::support::harness::sha1(b"unknown");
    node.get(&format!("/image/{unknown}/nonsense/x.jpg")).problem(400);
    node.get(&format!("/image/{unknown}/p-none/x.jpg")).problem(400);
    node.get(&format!("/image/{unknown}/60s/x.jpg")).problem(403);
    node.get(&format!("/image/{unknown}/p-thumb/x.jpg")).problem(404);
    node.get(&format!("/image/{unknown}/full/x.jpg")).problem(404);
}
