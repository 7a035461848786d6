//! What `/info` tells of an image at a glance: unknown at first, learnt with a first variant, kept with the cache.

use std::fs;

use serde_json::Value;

use crate::support::harness::{Node, wait_until};
use crate::support::pictures::Picture;

/// Average and ThumbHash as `/info` has them now.
fn glance(node: &Node, id: &str) -> [Value; 2] {
    let info = node.get(&format!("/info/{id}")).expect(200).json();
    ["average", "thumbhash"].map(|key| info[key].clone())
}

/// The same once it is known, after this variant was asked for.
fn learnt(node: &Node, id: &str, variant: &str) -> [Value; 2] {
    node.get(&format!("/image/{id}/{variant}")).expect(200);
    let mut known = glance(node, id);
    wait_until("the image to be learnt", || {
        known = glance(node, id);
        known.iter().all(Value::is_string)
    });
    known
}

/// Red, green and blue of the average.
fn average(known: &[Value; 2]) -> Vec<u8> {
    let text = known[0].as_str().expect("a text");
    assert!(text.len() == 6 && text == text.to_lowercase(), "{text}");
    (0..3).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("a number")).collect()
}

/// The picture comes from samples that depend on the variant, so that placeholders differ by rounding.
fn assert_close(left: &[Value; 2], right: &[Value; 2]) {
    let averages = average(left).into_iter().zip(average(right));
    averages.for_each(|(one, other)| assert!(one.abs_diff(other) < 4, "{left:?} {right:?}"));
    let hashes = [left, right].map(|known| known[1].as_str().expect("a text").len());
    assert_eq!(hashes[0], hashes[1], "{left:?} {right:?}");
}

const UNKNOWN: [Value; 2] = [Value::Null, Value::Null];

#[test]
fn an_image_is_learnt_after_its_first_variant_and_known_until_the_cache_goes() {
    let mut node = Node::with_shards(2);
    // Half of it is transparent, and so half of the average is white.
    let picture = Picture::draw(300, 200, |x, _| if x < 150 { [0, 0, 255, 255] } else { [9, 9, 9, 0] });
    let id = node.upload(&picture.png());
    assert_eq!(glance(&node, &id), UNKNOWN);
    let known = learnt(&node, &id, "50w/x.jpg");
    let channels = average(&known);
    assert!(channels[0].abs_diff(128) < 4 && channels[0] == channels[1] && channels[2] > 253, "{known:?}");
    // Six bytes before the factors mean alpha; 20 to 25 bytes are 28 to 36 digits.
    assert!((28..=36).contains(&known[1].as_str().expect("a text").len()), "{known:?}");
    // Learning is no variant.
    assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 1.0);

    assert_eq!(node.terminate(), Some(0));
    node.restart();
    assert_eq!(glance(&node, &id), known);
    assert_eq!(node.terminate(), Some(0));
    node.remove_cache();
    node.restart();
    assert_eq!(glance(&node, &id), UNKNOWN);
    assert_close(&learnt(&node, &id, "60w/x.png"), &known);
}

#[test]
fn what_is_learnt_hardly_depends_on_the_variant_asked_for() {
    let bytes = Picture::corners(300, 200, 3).jpeg_oriented(6);
    let variants =
        ["40w/x.jpg", "30s,g-nw,blur5,grey/x.webp", "full,crop-0-0-9-9,rot90/x.gif", "10s,g-smart/x.png"];
    let known: Vec<_> = variants
        .iter()
        .map(|variant| {
            let node = Node::plain();
            let id = node.upload(&bytes);
            learnt(&node, &id, variant)
        })
        .collect();
    known.windows(2).for_each(|pair| assert_close(&pair[0], &pair[1]));
}

#[test]
fn a_first_variant_leaves_what_is_learnt_and_only_one_with_few_samples_needs_another_decode() {
    let decodes = "reticulum_variant_stage_seconds_count{stage=\"decode\"}";
    let picture = Picture::corners(600, 400, 3);
    for (file, variant, expected) in [
        (picture.jpeg(), "300w/x.jpg", 1.0),
        (picture.jpeg(), "90s/x.webp", 1.0),
        (picture.png(), "300w/x.jpg", 1.0),
        (picture.png(), "300w/x.avif", 1.0),
        (picture.png(), "20w/x.jpg", 1.0),
        (picture.png(), "20w,crop-0-0-200-100/x.jpg", 2.0),
    ] {
        let node = Node::plain();
        let id = node.upload(&file);
        learnt(&node, &id, variant);
        assert_eq!(node.metric(decodes), expected, "{variant}");
        // Later sizes do not learn it again, and neither does a request for one that is there.
        node.get(&format!("/image/{id}/{variant}")).expect(200);
        assert_eq!(node.metric(decodes), expected, "{variant}");
    }
}

#[test]
fn damaged_facts_are_unknown_and_learnt_anew() {
    let mut node = Node::with_config("[cache]\nmemory = 0\n");
    let id = node.upload(&Picture::corners(90, 60, 1).png());
    let known = learnt(&node, &id, "50w/x.jpg");
    assert_eq!(node.terminate(), Some(0));
    for path in node.files("cache") {
        let mut bytes = fs::read(&path).expect("read");
        bytes[0] ^= 0xFF;
        fs::write(&path, bytes).expect("damage");
    }
    node.restart();
    assert_eq!(glance(&node, &id), UNKNOWN);
    assert_close(&learnt(&node, &id, "50w/x.jpg"), &known);
}
