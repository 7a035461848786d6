//! More asked than can be made: made once, refused early, and the node stays awake.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::Answer;
use crate::support::harness::{Node, Options, at_once};
use crate::support::pictures::{Picture, jpeg};

const MADE: &str = "reticulum_resizes_total{outcome=\"ok\"}";

#[test]
fn fifty_requests_for_one_cold_variant_make_it_once() {
    for shards in [1, 2] {
        let node = Node::with_shards(shards);
        let id = node.upload(&jpeg(1500, 1000, 1));
        for (round, target) in ["300w/x.jpg", "200w100h,fill/x.png"].into_iter().enumerate() {
            let url = format!("/image/{id}/{target}");
            let answers = at_once(50, |_| node.get(&url).expect(200));
            let bodies: BTreeSet<_> = answers.iter().map(|answer| &answer.body).collect();
            assert_eq!(bodies.len(), 1, "different bytes for one variant");
            let ways: Vec<_> = answers.iter().map(|answer| answer.expect_header("x-cache")).collect();
            assert!(ways.iter().all(|way| ["miss", "coalesced", "disk", "memory"].contains(way)), "{ways:?}");
            assert_eq!(ways.iter().filter(|way| **way == "miss").count(), 1, "{ways:?}");
            assert_eq!(node.metric(MADE), (round + 1) as f64);
        }
    }
}

#[test]
fn a_failure_is_told_to_all_who_wait_and_is_no_variant() {
    let node = Node::with_shards(2);
    let id = node.upload(&crate::support::pictures::undecodable_png());
    let url = format!("/image/{id}/30w/x.jpg");
    for answer in at_once(10, |_| node.get(&url)) {
        answer.problem(422);
    }
    assert_eq!(node.metric(MADE), 0.0);
    let kept = node.files("cache").into_iter().find(|path| path.to_string_lossy().contains(&id));
    assert_eq!(kept, None);
}

#[test]
fn different_variants_at_once_are_all_right() {
    let node = Node::with_shards(2);
    let ids: Vec<_> = (0..4).map(|seed| node.upload(&jpeg(400, 300, seed))).collect();
    let sizes = at_once(24, |index| {
        let width = 50 + index as u32;
        let answer = node.get(&format!("/image/{}/{width}w/x.png", ids[index % 4])).expect(200);
        assert_eq!(Picture::decode(&answer.body).width, width);
    });
    assert_eq!(node.metric(MADE), sizes.len() as f64);
}

/// Asks for so many different variants of one image at once.
fn storm(node: &Node, id: &str, first_width: usize, count: usize) -> Vec<Answer> {
    at_once(count, |index| node.get(&format!("/image/{id}/{}w/x.png", first_width + index)))
}

#[test]
fn a_full_resize_queue_is_503_with_retry_after_and_health_answers_meanwhile() {
    let config = "[limits]\nresize_queue = 1\nresize_deadline = \"100s\"\n".to_owned();
    let node = Node::start(Options { shards: 1, config, ..Options::default() });
    let id = node.upload(&Picture::corners(3000, 2000, 1).jpeg());
    let storming = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let health = scope.spawn(|| {
            while storming.load(Ordering::Relaxed) {
                node.get("/healthz").expect(200);
            }
        });
        // However quick the node, some round meets a full queue.
        let refused = (0..20).find_map(|round| {
            let answers = storm(&node, &id, 1000 + 24 * round, 24);
            let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
            assert!(!made.is_empty(), "a storm must not stop all work");
            for answer in &refused {
                answer.problem(503);
                answer.retry_after();
            }
            let place = answers.iter().position(|answer| answer.status == 503);
            place.map(|index| 1000 + 24 * round + index)
        });
        storming.store(false, Ordering::Relaxed);
        health.join().expect("health answers during the storm");
        let width = refused.expect("a queue of one is full at some time");
        node.get(&format!("/image/{id}/{width}w/x.png")).expect(200);
    });
    assert!(node.metric("reticulum_resizes_total{outcome=\"refused\"}") >= 1.0);
    assert_eq!(node.metric("reticulum_resize_queue"), 0.0);
}

#[test]
fn stored_bytes_and_kept_variants_are_served_while_the_queue_is_full() {
    let config = "[limits]\nresize_queue = 1\nresize_deadline = \"100s\"\n".to_owned();
    let node = Node::start(Options { shards: 1, config, ..Options::default() });
    let id = node.upload(&Picture::corners(3000, 2000, 1).jpeg());
    let kept = format!("/image/{id}/100w/x.jpg");
    node.get(&kept).expect(200);
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| storm(&node, &id, 1000, 24));
        while !storm.is_finished() {
            node.get(&kept).expect(200);
            node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
        }
        storm.join().expect("every storm ends");
    });
}

#[test]
fn a_client_that_leaves_spoils_nothing_for_the_next() {
    let node = Node::with_shards(2);
    let id = node.upload(&jpeg(1500, 1000, 1));
    for width in 300..310 {
        let url = format!("/image/{id}/{width}w/x.jpg");
        let mut leaving = node.connect();
        leaving.send(&crate::support::client::Request::get(&url).head());
        drop(leaving);
        assert_eq!(Picture::decode(&node.get(&url).expect(200).body).width, width);
    }
}
