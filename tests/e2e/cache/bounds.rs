//! What strangers can make the node hold: variants on the disk, bodies in memory for clients that do not read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::client::{Connection, Request};
use crate::support::harness::{Node, wait_until};
use crate::support::pictures::{Picture, jpeg};

/// Beside that: what a job of 1600 × 1200 pixels decodes and writes, what the allocator keeps of it, and connections.
const ALLOWANCE: u64 = 64 << 20;

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
        let config = format!(
            "[cache]\nmemory = 0\ndisk = \"{disk}\"\n[limits]\nbyte_rate_min = 0\nbody_progress = \"1h\"\n"
        );
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
            cut(20, 1600, 1200).map(|options| format!("/image/{id}/full{options}/x.png")).collect();
        let mut readers: Vec<_> = urls.iter().map(|url| slow_reader(&node, url)).collect();
        let grown = node.rss().saturating_sub(before);
        assert!(grown < SENDING + ALLOWANCE, "disk = {disk}: {grown} bytes more");
        assert!(node.files("tmp").is_empty());
        let mut sent = 0;
        for reader in &mut readers {
            let answer = reader.answer().expect(200);
            assert_eq!(answer.header("x-cache"), Some("miss"));
            assert!((1580..1600).contains(&Picture::decode(&answer.body).size().0));
            sent += answer.body.len() as u64;
        }
        // Held in memory, this would have been too much.
        assert!(sent > SENDING + ALLOWANCE, "{sent} bytes");
        assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 23.0);
    }
}

#[test]
fn slow_readers_of_hits_hold_no_more_than_the_memory_tier_and_a_bit() {
    const MEMORY: u64 = 64 << 20;
    let node = Node::with_config(
        "[cache]\nmemory = \"64MiB\"\n[limits]\nbyte_rate_min = 0\nbody_progress = \"1h\"\n",
    );
    let id = node.upload(&Picture::noise(1600, 1200, 1).png());
    let before = node.rss();
    let (mut readers, mut sent) = (Vec::new(), 0);
    for options in cut(40, 1600, 1200) {
        let url = format!("/image/{id}/full{options}/x.png");
        sent += node.get(&url).expect(200).body.len() as u64;
        readers.push(slow_reader(&node, &url));
    }
    let grown = node.rss().saturating_sub(before);
    // Bodies that stay lie between what comes and goes, so the allocator keeps more than elsewhere.
    let most = MEMORY + SENDING + ALLOWANCE * 3 / 2;
    assert!(grown < most, "{grown} bytes more");
    assert!(sent > most, "{sent} bytes");
    // Those that come now are served all the same, and so are those that wait.
    let newest = node.get(&format!("/image/{id}/100w/x.png")).expect(200);
    assert_eq!(Picture::decode(&newest.body).size().0, 100);
    for (left, reader) in (1..).zip(&mut readers) {
        assert_eq!(Picture::decode(&reader.answer().expect(200).body).size(), (1600 - left, 1200));
    }
}

#[test]
fn slow_readers_of_a_file_hold_small_pieces_of_it() {
    const READERS: u64 = 450;
    let node =
        Node::with_config("[cache]\nmemory = 0\n[limits]\nbyte_rate_min = 0\nbody_progress = \"1h\"\n");
    let image = Picture::noise(1600, 1200, 1).png();
    let url = format!("/image/{}/full/x.png", node.upload(&image));
    assert!(node.get(&url).expect(200).body == image);
    let before = node.rss();
    let mut readers: Vec<_> = (0..READERS).map(|_| slow_reader(&node, &url)).collect();
    let grown = node.rss().saturating_sub(before);
    assert!(grown < SENDING + ALLOWANCE, "{grown} bytes more");
    // A read of the usual size for each would have been too much.
    const { assert!(READERS * (256 << 10) > SENDING + ALLOWANCE) };
    // Some of those with a large first piece, and some with small ones.
    for reader in readers.iter_mut().step_by(44) {
        assert!(reader.answer().expect(200).body == image);
    }
}
