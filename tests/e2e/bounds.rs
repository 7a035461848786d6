//! What strangers can make the node hold: variants on the disk, bodies in memory for clients that do not read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::client::{Connection, Request};
use crate::harness::{Node, wait_until};
use crate::pictures::{Picture, jpeg};

/// Beside what the configuration allows for: the allocator's rest of what was decoded, and the connections.
const ALLOWANCE: u64 = 24 << 20;

/// What bodies may take in memory beside a small memory tier.
const SENDING: u64 = 16 << 20;

/// As `du` sees it.
fn disk_usage(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    let below = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| disk_usage(&entry.path()));
    found.blocks() * 512 + below.sum::<u64>()
}

/// Variants of an image, each nearly of its own size.
fn cut(count: u32, width: u32, height: u32) -> impl Iterator<Item = String> {
    (1..=count).map(move |left| format!(",crop-{left}-0-{}-{height}", width - left))
}

/// A client that asks and reads nothing of what comes.
fn slow_reader(node: &Node, url: &str) -> Connection {
    let mut connection = node.connect();
    connection.narrow();
    connection.send(&Request::get(url).head());
    wait_until("the answer to begin", || connection.has_received());
    connection
}

#[test]
fn a_flood_of_tiny_variants_stays_within_cache_disk_on_the_disk_itself() {
    const BOUND: u64 = 1 << 20;
    let mut node = Node::with_config("[cache]\nmemory = 0\ndisk = \"1MiB\"\n");
    let flood = |node: &Node| {
        let mut connection = node.connect();
        for seed in 0..3 {
            let id = node.upload(&jpeg(16, 16, seed));
            for quality in 1..=100 {
                for extension in ["jpg", "webp"] {
                    let url = format!("/image/{id}/8w,q{quality}/x.{extension}");
                    connection.ask(&Request::get(&url)).expect(200);
                }
            }
        }
    };
    flood(&node);
    let cache = node.data().join("cache");
    wait_until("the cache to be back in its bounds", || disk_usage(&cache) <= BOUND);
    assert!(disk_usage(&cache) > BOUND / 2, "{} bytes", disk_usage(&cache));
    assert!(node.metric("reticulum_cache_evictions_total{tier=\"disk\"}") > 300.0);
    let counted = node.metric("reticulum_cache_bytes{tier=\"disk\"}");
    assert!(counted > BOUND as f64 / 2.0 && counted <= BOUND as f64, "{counted}");
    assert_eq!(node.terminate(), Some(0));
    node.restart();
    flood(&node);
    wait_until("the cache to be back in its bounds", || disk_usage(&cache) <= BOUND);
}

#[test]
fn slow_readers_of_fresh_large_variants_hold_no_memory() {
    let picture = Picture::noise(1600, 1200, 1).png();
    // Where nothing is kept, too, what is sent lies on disk.
    for disk in ["1GiB", "0B"] {
        let config = format!("[cache]\nmemory = 0\ndisk = \"{disk}\"\n[limits]\nbody_progress = \"1h\"\n");
        let node = Node::with_config(&config);
        let id = node.upload(&picture);
        // What decoding leaves behind is there before.
        let other = node.upload(&Picture::noise(1600, 1200, 2).png());
        for options in cut(3, 1600, 1200) {
            assert!(
                node.get(&format!("/image/{other}/full{options}/x.png")).expect(200).body.len() > 1 << 20
            );
        }
        let before = node.rss();
        let urls: Vec<_> =
            cut(15, 1600, 1200).map(|options| format!("/image/{id}/full{options}/x.png")).collect();
        let mut readers: Vec<_> = urls.iter().map(|url| slow_reader(&node, url)).collect();
        let grown = node.rss().saturating_sub(before);
        assert!(grown < SENDING + ALLOWANCE, "disk = {disk}: {grown} bytes more");
        assert!(node.files("tmp").is_empty());
        let mut sent = 0;
        for reader in &mut readers {
            let answer = reader.answer().expect(200);
            assert_eq!(answer.header("x-cache"), Some("miss"));
            assert!((1585..1600).contains(&Picture::decode(&answer.body).size().0));
            sent += answer.body.len() as u64;
        }
        // Held in memory, this would have been too much.
        assert!(sent > 2 * (SENDING + ALLOWANCE), "{sent} bytes");
        assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 18.0);
    }
}

#[test]
fn slow_readers_of_hits_hold_no_more_than_the_memory_tier_and_a_bit() {
    const MEMORY: u64 = 16 << 20;
    let node = Node::with_config("[cache]\nmemory = \"16MiB\"\n[limits]\nbody_progress = \"1h\"\n");
    let id = node.upload(&Picture::noise(700, 600, 1).png());
    let before = node.rss();
    let (mut readers, mut whole) = (Vec::new(), Vec::new());
    for options in cut(72, 700, 600) {
        let url = format!("/image/{id}/full{options}/x.png");
        let body = node.get(&url).expect(200).body;
        readers.push(slow_reader(&node, &url));
        whole.push(body);
    }
    let grown = node.rss().saturating_sub(before);
    assert!(grown < MEMORY + SENDING + ALLOWANCE, "{grown} bytes more");
    let sent: usize = whole.iter().map(Vec::len).sum();
    assert!(sent as u64 > MEMORY + SENDING + 2 * ALLOWANCE, "{sent} bytes");
    // Those that come now are served all the same, and so are those that wait.
    let newest = node.get(&format!("/image/{id}/600w/x.png")).expect(200);
    assert_eq!(Picture::decode(&newest.body).size().0, 600);
    for (reader, whole) in readers.iter_mut().zip(&whole) {
        assert!(reader.answer().expect(200).body == *whole);
    }
}

#[test]
fn slow_readers_of_stored_images_hold_no_more_than_that() {
    let node = Node::with_config("[cache]\nmemory = 0\n[limits]\nbody_progress = \"1h\"\n");
    let images: Vec<_> = (0..80).map(|seed| Picture::noise(600, 500, seed).png()).collect();
    let ids: Vec<_> = images.iter().map(|image| node.upload(image)).collect();
    let before = node.rss();
    let url = |id: &String| format!("/image/{id}/full/x.png");
    let mut readers: Vec<_> = ids.iter().map(|id| slow_reader(&node, &url(id))).collect();
    let grown = node.rss().saturating_sub(before);
    assert!(grown < SENDING + ALLOWANCE, "{grown} bytes more");
    let sent: usize = images.iter().map(Vec::len).sum();
    assert!(sent as u64 > SENDING + 2 * ALLOWANCE, "{sent} bytes");
    for (reader, image) in readers.iter_mut().zip(&images) {
        assert!(reader.answer().expect(200).body == *image);
    }
}
