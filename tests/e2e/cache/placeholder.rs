//! What `/info` tells of an image at a glance: unknown at first, learnt after a first variant, kept with the cache.

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

const UNKNOWN: [Value; 2] = [Value::Null, Value::Null];

#[test]
fn an_image_is_learnt_after_its_first_variant_and_known_until_the_cache_goes() {
    let mut node = Node::with_shards(2);
    // Half of it is transparent, and so half of the average is white.
    let picture = Picture::draw(300, 200, |x, _| if x < 150 { [0, 0, 255, 255] } else { [9, 9, 9, 0] });
    let id = node.upload(&picture.png());
    assert_eq!(glance(&node, &id), UNKNOWN);
    let known = learnt(&node, &id, "50w/x.jpg");
    let average = known[0].as_str().expect("a text");
    let channels: Vec<_> =
        (0..3).map(|at| u8::from_str_radix(&average[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert!(average.len() == 6 && average == average.to_lowercase(), "{average}");
    assert!(channels[0].abs_diff(128) < 4 && channels[0] == channels[1] && channels[2] > 253, "{average}");
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
    assert_eq!(learnt(&node, &id, "60w/x.png"), known);
}

#[test]
fn what_is_learnt_does_not_depend_on_the_variant_asked_for() {
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
    assert!(known.windows(2).all(|pair| pair[0] == pair[1]), "{known:?}");
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
    assert_eq!(learnt(&node, &id, "50w/x.jpg"), known);
}
