//! Variants that are kept: made once, found again after a restart, bounded, and never missed when gone.

use std::fs;

use crate::client::Answer;
use crate::harness::{Node, wait_until};
use crate::pictures::{Picture, jpeg};

const MADE: &str = "reticulum_resizes_total{outcome=\"ok\"}";

/// Asks until the variant comes from disk: it is written beside its first answer, and those who ask before
/// that is done join it. The last answer.
#[track_caller]
pub(crate) fn ask_until_kept(node: &Node, url: &str) -> Answer {
    let mut last = node.get(url).expect(200);
    wait_until("the variant on disk", || {
        last = node.get(url).expect(200);
        let way = last.expect_header("x-cache");
        assert!(matches!(way, "disk" | "memory" | "coalesced"), "made again: {last:?}");
        way == "disk"
    });
    last
}

#[test]
fn a_variant_is_made_once_and_then_comes_from_disk() {
    for shards in [1, 2] {
        let node = Node::with_shards(shards);
        let id = node.upload(&jpeg(400, 300, 1));
        for target in ["200w/x.jpg", "200w/x.png", "200w/x.gif", "200w/x.webp"] {
            let url = format!("/image/{id}/{target}");
            let cold = node.get(&url).expect(200);
            let warm = ask_until_kept(&node, &url);
            assert_eq!(cold.header("x-cache"), Some("miss"), "{target}");
            assert_eq!(cold.body, warm.body, "{target}");
            for header in ["etag", "content-type", "last-modified", "cache-control", "content-length"] {
                assert_eq!(cold.header(header), warm.header(header), "{target}");
            }
        }
        assert_eq!(node.metric(MADE), 4.0);
    }
}

#[test]
fn another_name_is_the_same_variant() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    ask_until_kept(&node, &format!("/image/{id}/200w/one.jpg"));
    let answer = node.get(&format!("/image/{id}/200w/two.jpg?and=a-query")).expect(200);
    assert_eq!(answer.header("x-cache"), Some("disk"));
}

#[test]
fn kept_variants_survive_a_restart_and_a_kill() {
    for shards in [1, 2] {
        let mut node = Node::with_shards(shards);
        let urls: Vec<_> =
            (0..6).map(|seed| format!("/image/{}/200w/x.jpg", node.upload(&jpeg(400, 300, seed)))).collect();
        let before: Vec<_> = urls.iter().map(|url| ask_until_kept(&node, url)).collect();
        assert_eq!(node.terminate(), Some(0));
        for killed in [false, true] {
            node.restart();
            for (url, before) in urls.iter().zip(&before) {
                let after = node.get(url).expect(200);
                assert_eq!(after.header("x-cache"), Some("disk"), "killed: {killed}");
                assert_eq!(after.header("etag"), before.header("etag"));
                assert_eq!(after.body, before.body);
            }
            assert_eq!(node.metric(MADE), 0.0, "killed: {killed}");
            node.kill9();
        }
    }
}

fn cache_bytes(node: &Node) -> u64 {
    node.files("cache").iter().filter_map(|path| fs::metadata(path).ok()).map(|facts| facts.len()).sum()
}

#[test]
fn the_cache_directory_stays_bounded() {
    let mut node = Node::with_config("[cache]\ndisk = \"200kB\"\n");
    let id = node.upload(&Picture::noise(400, 300, 1).png());
    let urls: Vec<_> = (100..160).map(|width| format!("/image/{id}/{width}w/x.png")).collect();
    let mut made = 0;
    for _ in 0..2 {
        for url in &urls {
            made += node.get(url).expect(200).body.len();
        }
        wait_until("the cache to be back in its bounds", || cache_bytes(&node) <= 200_000);
    }
    assert!(made > 1_000_000, "{made} bytes do not fill a cache");
    assert!(node.metric("reticulum_cache_evictions_total{tier=\"disk\"}") >= 1.0);
    assert!(node.metric("reticulum_cache_bytes{tier=\"disk\"}") <= 200_000.0);
    // The bound holds for what an earlier run left, too.
    assert_eq!(node.terminate(), Some(0));
    node.restart();
    for url in &urls {
        node.get(url).expect(200);
    }
    wait_until("the cache to be back in its bounds", || cache_bytes(&node) <= 200_000);
}

#[test]
fn originals_are_never_evicted() {
    let node = Node::with_config("[cache]\ndisk = \"200kB\"\n");
    let images: Vec<_> = (0..10).map(|seed| Picture::noise(150, 100, seed).png()).collect();
    let ids: Vec<_> = images.iter().map(|bytes| node.upload(bytes)).collect();
    for id in &ids {
        for width in 90..100 {
            node.get(&format!("/image/{id}/{width}w/x.png")).expect(200);
        }
    }
    for (id, bytes) in ids.iter().zip(&images) {
        assert!(node.get(&format!("/image/{id}/full/x.png")).expect(200).body == *bytes);
    }
}

#[test]
fn deleting_the_cache_while_running_is_harmless() {
    for shards in [1, 2] {
        let node = Node::with_shards(shards);
        let ids: Vec<_> = (0..4).map(|seed| node.upload(&jpeg(400, 300, seed))).collect();
        let urls: Vec<_> = ids.iter().map(|id| format!("/image/{id}/200w/x.jpg")).collect();
        let before: Vec<_> = urls.iter().map(|url| ask_until_kept(&node, url).body).collect();
        fs::remove_dir_all(node.data().join("cache")).expect("remove the cache");
        for (url, before) in urls.iter().zip(&before) {
            assert_eq!(node.get(url).expect(200).body, *before);
            ask_until_kept(&node, url);
        }
        for id in &ids {
            ask_until_kept(&node, &format!("/image/{id}/201w/x.jpg"));
        }
    }
}
