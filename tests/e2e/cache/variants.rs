//! Variants that are kept: made once, found again after a restart, bounded, and never missed when gone.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::client::{Answer, Request};
use crate::support::harness::{Node, Options, wait_until};
use crate::support::pictures::{Picture, jpeg};

const MADE: &str = "reticulum_resizes_total{outcome=\"ok\"}";

/// A node that keeps nothing in memory, so that what comes from disk can be told.
pub(crate) fn without_memory(shards: usize) -> Node {
    Node::start(Options { shards, config: "[cache]\nmemory = 0\n".into(), ..Options::default() })
}

/// Asks until the variant comes from disk (of a node [without memory](without_memory)): it is written beside its first answer, and those who ask before
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
        let node = without_memory(shards);
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
fn a_variant_asked_for_while_it_is_being_kept_is_not_made_again() {
    let node = without_memory(1);
    let id = node.upload(&jpeg(400, 300, 1));
    let mut connection = node.connect();
    for width in 100..200 {
        let request = Request::get(&format!("/image/{id}/{width}w/x.jpg"));
        for _ in 0..6 {
            connection.ask(&request).expect(200);
        }
    }
    assert_eq!(node.metric(MADE), 100.0);
}

#[test]
fn another_name_is_the_same_variant() {
    let node = without_memory(1);
    let id = node.upload(&jpeg(400, 300, 1));
    ask_until_kept(&node, &format!("/image/{id}/200w/one.jpg"));
    let answer = node.get(&format!("/image/{id}/200w/two.jpg?and=a-query")).expect(200);
    assert_eq!(answer.header("x-cache"), Some("disk"));
}

#[test]
fn kept_variants_survive_a_restart_and_a_kill() {
    for shards in [1, 2] {
        let mut node = without_memory(shards);
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
    let mut node = Node::with_config("[cache]\nmemory = 0\ndisk = \"200kB\"\n");
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
    let node = Node::with_config("[cache]\nmemory = 0\ndisk = \"200kB\"\n");
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
        let node = without_memory(shards);
        let ids: Vec<_> = (0..4).map(|seed| node.upload(&jpeg(400, 300, seed))).collect();
        let urls: Vec<_> = ids.iter().map(|id| format!("/image/{id}/200w/x.jpg")).collect();
        let before: Vec<_> = urls.iter().map(|url| ask_until_kept(&node, url).body).collect();
        node.remove_cache();
        for (url, before) in urls.iter().zip(&before) {
            assert_eq!(node.get(url).expect(200).body, *before);
            ask_until_kept(&node, url);
        }
        for id in &ids {
            ask_until_kept(&node, &format!("/image/{id}/201w/x.jpg"));
        }
    }
}

/// What a file of the cache is counted by: its blocks, its inode and its name.
fn file_cost(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| (found.blocks() * 512).max(4096) + 640)
}

/// The files of decoded samples.
fn samples(node: &Node) -> Vec<PathBuf> {
    let all = node.files("cache").into_iter();
    all.filter(|path| path.extension().is_some_and(|extension| extension == "samples")).collect()
}

/// Makes a variant of a fresh image and waits for what its decode has left.
fn with_samples(node: &Node, source: &[u8], width: u32) -> (String, PathBuf) {
    let id = node.upload(source);
    ask_until_kept(node, &format!("/image/{id}/{width}w/x.jpg"));
    let of_id = || samples(node).into_iter().find(|path| path.display().to_string().contains(&id));
    wait_until("decoded samples on disk", || of_id().is_some());
    (id.clone(), of_id().expect("the samples"))
}

#[test]
fn a_later_size_begins_with_the_samples_of_the_first_and_has_the_same_bytes() {
    let source = jpeg(400, 300, 1);
    let mut node = without_memory(1);
    let id = node.upload(&source);
    let url = format!("/image/{id}/40w/x.jpg");
    let first = node.get(&url).expect(200).body;
    node.terminate();

    let node = without_memory(1);
    let (_, path) = with_samples(&node, &source, 48);
    assert!(node.get(&url).expect(200).body == first, "other bytes than of a first request");
    // Whole but of another picture: the next size shows that picture.
    let mut gray = vec![128; fs::read(&path).expect("read").len() - 16];
    let trailer =
        [&b"RTV1"[..], &crc32fast::hash(&gray).to_le_bytes(), &(gray.len() as u64).to_le_bytes()].concat();
    gray.extend(trailer);
    fs::write(&path, gray).expect("write");
    let other = node.get(&format!("/image/{id}/41w/x.jpg")).expect(200).body;
    let right = Node::plain();
    let right_id = right.upload(&source);
    let right = right.get(&format!("/image/{right_id}/41w/x.jpg")).expect(200).body;
    assert!(other.len() < right.len(), "{} bytes are not all gray, {} the picture", other.len(), right.len());
}

#[test]
fn what_was_made_for_an_answer_says_how_long_each_step_took() {
    let steps = |answer: &Answer| -> Vec<String> {
        let times = answer.times();
        let (total, steps) = times.split_first().expect("a total");
        let sum: f64 = steps.iter().map(|(_, milliseconds)| milliseconds).sum();
        // Each was rounded to a thousandth.
        assert!(sum <= total.1 + 0.01, "{times:?}");
        steps.iter().map(|(name, _)| (*name).to_owned()).collect()
    };
    for shards in [1, 2] {
        let node = without_memory(shards);
        let id = node.upload(&jpeg(400, 300, 1));
        let url = |width: u32| format!("/image/{id}/{width}w/x.jpg");
        let first = node.get(&url(48)).expect(200);
        assert_eq!(first.header("x-cache"), Some("miss"));
        assert_eq!(steps(&first), ["decode", "resize", "encode"]);
        assert_eq!(steps(&ask_until_kept(&node, &url(48))), [""; 0], "found, not made");
        wait_until("decoded samples on disk", || !samples(&node).is_empty());
        let other = node.get(&url(40)).expect(200);
        assert_eq!(steps(&other), ["resize", "encode"], "of samples that were kept");
        for stage in ["decode", "resize", "encode"] {
            let count = format!("reticulum_variant_stage_seconds_count{{stage=\"{stage}\"}}");
            assert!(node.metric(&count) >= 1.0, "{stage}");
        }
    }
}

#[test]
fn damaged_samples_are_decoded_again_and_never_shown() {
    let source = jpeg(400, 300, 1);
    let node = without_memory(1);
    let (id, path) = with_samples(&node, &source, 48);
    let untouched = node.get(&format!("/image/{id}/44w/x.jpg")).expect(200).body;
    let whole = fs::read(&path).expect("read");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xFF;
    for (width, damaged) in
        [(43, &flipped[..]), (42, &whole[..100]), (41, b""), (40, &[&whole[..], b"more"].concat())]
    {
        fs::write(&path, damaged).expect("damage");
        let after = node.get(&format!("/image/{id}/{width}w/x.jpg")).expect(200).body;
        let right = Node::plain();
        let right_id = right.upload(&source);
        assert!(after == right.get(&format!("/image/{right_id}/{width}w/x.jpg")).expect(200).body, "{width}");
        wait_until("the samples to be whole again", || fs::read(&path).is_ok_and(|bytes| bytes == whole));
    }
    assert!(untouched.len() > 100);
}

#[test]
fn samples_take_a_quarter_of_the_cache_at_most_and_are_known_after_a_restart() {
    let mut node = Node::with_config("[cache]\nmemory = 0\ndisk = \"400kB\"\n");
    let bytes = |node: &Node| -> u64 { samples(node).iter().map(|path| file_cost(path)).sum() };
    // About 3 kB each, and so a block.
    let made: Vec<_> = (0..24).map(|seed| with_samples(&node, &jpeg(400, 300, seed), 48)).collect();
    wait_until("the samples to be in their bounds", || bytes(&node) <= 100_000);
    assert!(bytes(&node) > 80_000, "{} bytes of {} images", bytes(&node), made.len());
    let oldest = &made[0].1;
    assert!(!oldest.exists() && made[23].1.exists());
    assert_eq!(node.terminate(), Some(0));
    node.restart();
    wait_until("the node to know what it keeps", || {
        let files = node.files("cache");
        let mut directories: Vec<_> =
            files.iter().flat_map(|path| path.ancestors().skip(1).take(2)).collect();
        directories.sort();
        directories.dedup();
        let cost = files.iter().map(|path| file_cost(path)).sum::<u64>() + directories.len() as u64 * 4608;
        node.metric("reticulum_cache_bytes{tier=\"disk\"}") as u64 == cost
    });
}

#[test]
fn a_kept_variant_damaged_on_disk_is_made_again() {
    let damages: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        |_| Vec::new(),
        |bytes| [&bytes[..], b"more"].concat(),
        |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xFF;
            bytes
        },
    ];
    let mut node = without_memory(1);
    let id = node.upload(&jpeg(400, 300, 1));
    let url = format!("/image/{id}/200w/x.jpg");
    let before = ask_until_kept(&node, &url).body;
    for (index, damage) in damages.iter().enumerate() {
        assert_eq!(node.terminate(), Some(0));
        for path in node.files("cache") {
            fs::write(&path, damage(fs::read(&path).expect("read"))).expect("damage");
        }
        node.restart();
        assert!(node.get(&url).expect(200).body == before, "damage {index} was served");
        ask_until_kept(&node, &url);
    }
}

#[test]
fn what_is_asked_for_again_comes_from_memory_through_any_shard() {
    let node = Node::with_shards(2);
    let small = jpeg(60, 40, 1);
    let id = node.upload(&small);
    let variant = format!("/image/{id}/30w/x.jpg");
    let made = node.get(&variant).expect(200);
    let stored = format!("/image/{id}/full/x.jpg");
    assert!(node.get(&stored).expect(200).body == small);
    for (url, body) in [(&variant, &made.body), (&stored, &small)] {
        // Connections are spread over the shards by the kernel; each shard must come to hold it.
        wait_until("both shards to answer from memory", || {
            let answers: Vec<_> = (0..12).map(|_| node.get(url).expect(200)).collect();
            assert!(answers.iter().all(|answer| answer.body == *body));
            answers.iter().all(|answer| answer.header("x-cache") == Some("memory"))
        });
    }
    assert!(node.metric("reticulum_cache_bytes{tier=\"memory\"}") >= (small.len() + made.body.len()) as f64);
    assert!(node.metric("reticulum_cache_hits_total{tier=\"memory\"}") >= 24.0);
    assert_eq!(node.metric(MADE), 1.0);
}

/// What may differ between two answers of one URL from memory.
const PASSING: [&str; 2] = ["date", "server-timing"];

/// The headers of an answer but the passing ones, in order of their names.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !PASSING.contains(&name.as_str()));
    headers.sort();
    headers
}

#[test]
fn a_url_asked_for_again_and_again_is_answered_alike() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    for target in ["200w/x.jpg", "full/x.jpg", "100s/a%20b.png", "200w/x.webp"] {
        let url = format!("/image/{id}/{target}");
        let get = Request::get(&url);
        let mut connection = node.connect();
        connection.ask(&get).expect(200);
        // The second one is the first from memory, and the long way; from the third on it is short.
        let long = connection.ask(&get).expect(200);
        assert_eq!(long.header("x-cache"), Some("memory"), "{target}");
        let etag = long.expect_header("etag").to_owned();
        for _ in 0..3 {
            let short = connection.ask(&get).expect(200);
            assert_eq!((lasting(&short), &short.body), (lasting(&long), &long.body), "{target}");
            for header in PASSING {
                assert!(short.header(header).is_some(), "{target}: {header}");
            }
        }
        // A range makes it the long way again.
        let part = connection.ask(&Request::get(&url).header("Range", "bytes=1-4")).expect(206);
        assert_eq!(part.body, long.body[1..5], "{target}");
        let dated = Request::get(&url).header("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT");
        let long = connection.ask(&dated.header("If-None-Match", &etag));
        let short = connection
            .ask(&Request::get(&url).header("If-None-Match", &format!("\"x\", W/{etag}")))
            .expect(304);
        assert_eq!(lasting(&short), lasting(&long.expect(304)), "{target}");
        connection.ask(&Request::get(&url).header("If-None-Match", "\"x\"")).expect(200);
        connection.ask(&Request::get(&url).header("Connection", "close")).expect(200);
        connection.expect_closed();
    }
}

#[test]
fn short_answers_are_counted_like_long_ones() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    for _ in 0..10 {
        node.get(&format!("/image/{id}/200w/x.jpg")).expect(200);
    }
    let hits = "reticulum_http_requests_total{cache=\"memory\",route=\"image\",status=\"200\"}";
    assert_eq!(node.metric(hits), 9.0);
    assert_eq!(node.metric("reticulum_cache_hits_total{tier=\"memory\"}"), 9.0);
    assert_eq!(node.metric("reticulum_http_request_seconds_count{route=\"image\"}"), 10.0);
}

#[test]
fn requests_sent_behind_one_another_are_answered_in_order() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    let sizes = ["200w", "100w", "50w"];
    let urls = sizes.map(|size| format!("/image/{id}/{size}/x.jpg"));
    let bodies = urls.each_ref().map(|url| {
        node.get(url).expect(200);
        node.get(url).expect(200);
        node.get(url).expect(200).body
    });
    let mut connection = node.connect();
    let all: String = urls.iter().map(|url| format!("GET {url} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    for cut in [0, 10, all.len() / 3, all.len() / 2, all.len() - 1] {
        connection.send(&all.as_bytes()[..cut]);
        connection.send(&all.as_bytes()[cut..]);
        for body in &bodies {
            assert_eq!(&connection.answer().expect(200).body, body, "cut at {cut}");
        }
    }
}

#[test]
fn a_large_hit_reaches_a_slow_reader_whole() {
    let node = Node::plain();
    let bytes = crate::support::pictures::Picture::noise(1000, 700, 1).png();
    let id = node.upload(&bytes);
    let url = format!("/image/{id}/900w/x.png");
    let whole = node.get(&url).expect(200).body;
    node.get(&url).expect(200);
    node.get(&url).expect(200);
    let mut connection = node.connect();
    connection.narrow();
    let request = format!("GET {url} HTTP/1.1\r\nHost: a\r\n\r\n");
    // Neither fits into the buffers on the way, so the second waits behind the rest of the first.
    connection.send(request.as_bytes());
    connection.send(request.as_bytes());
    for _ in 0..2 {
        assert_eq!(connection.answer().expect(200).body, whole);
    }
}
