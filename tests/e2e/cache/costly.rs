//! Requests that cost their sender nothing and the node a lot: refused from the header, ended at the deadline, given up with
//! their client, remembered, and never the end of the node.

use std::fs;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::{Answer, PATIENCE, Request};
use crate::support::harness::{Node, skipped, wait_until};
use crate::support::pictures::{Picture, jpeg, size_of};

const ALL: &str = "reticulum_resizes_total";
const CANCELLED: &str = "reticulum_resizes_total{outcome=\"cancelled\"}";

/// A PNG that passes the check at upload; of its pixels there is not a single one.
fn hollow_png(width: u32, height: u32) -> Vec<u8> {
    let chunk = |name: &[u8; 4], payload: &[u8]| {
        let mut sum = crc32fast::Hasher::new();
        sum.update(name);
        sum.update(payload);
        let length = payload.len() as u32;
        [&length.to_be_bytes()[..], name, payload, &sum.finalize().to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", b"nothing"), chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

/// 600 frames of noise in four colours: seconds of work for an encoder of photos.
fn restless_gif() -> Vec<u8> {
    const SIDE: u16 = 320;
    let mut seed = 1_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 30) as u8
    };
    let palette: Vec<u8> = (0..4_u8).flat_map(|color| [color * 64, 255 - color * 64, color * 28]).collect();
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, SIDE, SIDE, &palette).expect("a GIF");
    for _ in 0..600 {
        let buffer: Vec<u8> = (0..u32::from(SIDE) * u32::from(SIDE)).map(|_| next()).collect();
        let frame = gif::Frame {
            width: SIDE,
            height: SIDE,
            buffer: buffer.into(),
            delay: 5,
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).expect("a frame");
    }
    drop(encoder);
    bytes
}

/// What a node has had of all processors, its helper processes apart.
fn processor_seconds(node: &Node) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.process())).expect("the node runs");
    let fields = stat.rsplit_once(')').expect("a name").1.split_ascii_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}

/// The answer to a client that names these media types.
fn get_auto(node: &Node, target: &str, accept: &str) -> Answer {
    node.ask(&Request::get(target).header("Accept", accept))
}

/// The helper processes of a node, each with the bytes that it holds.
fn helpers(node: &Node) -> Vec<(u32, u64)> {
    let parent = format!("PPid:\t{}", node.process());
    let of_process = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        let process: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let status = fs::read_to_string(path.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().ok()?;
        status.lines().any(|line| line == parent).then_some((process, kilobytes * 1024))
    };
    fs::read_dir("/proc").expect("/proc").filter_map(of_process).collect()
}

/// Waits until a helper process is in the middle of a large job.
fn busy_helper(node: &Node) -> u32 {
    let mut found = None;
    wait_until("a helper process to be busy", || {
        found = helpers(node).into_iter().find(|(_, bytes)| *bytes > 60 << 20);
        found.is_some()
    });
    found.expect("it was found").0
}

#[test]
fn a_result_over_the_bound_of_its_format_is_refused_before_any_pixel_is_touched() {
    let node = Node::plain();
    let dot = node.upload(&Picture::corners(8, 8, 1).png());
    let large = node.upload(&hollow_png(6000, 5000));
    for (id, target, size, bound) in [
        (&dot, "8192s,up/x.avif", "67108864", "8000000"),
        (&dot, "8192s,up/x.jpg", "67108864", "50000000"),
        (&large, "full/x.avif", "30000000", "8000000"),
        (&large, "3000w/x.avif", "7500000", ""),
        (&large, "full,frame0/x.webp", "30000000", ""),
    ] {
        let sentence = node.get(&format!("/image/{id}/{target}")).problem(422);
        if bound.is_empty() {
            // Within the bound: then its pixels are looked at, and there are none.
            assert!(sentence.contains("damaged"), "{target}: {sentence}");
        } else {
            assert!(sentence.contains(size) && sentence.contains(bound), "{target}: {sentence}");
        }
    }
    // Stored bytes are no result.
    node.get(&format!("/image/{large}/full/x.png")).expect(200);
    node.get(&format!("/image/{dot}/4w/x.avif")).expect(200);
}

#[test]
fn auto_gives_a_cheaper_format_where_the_bound_of_a_named_one_is_passed() {
    let node =
        Node::with_config("[images]\nmax_output_pixels = { default = 3000, webp = 1000, avif = 300 }\n");
    // 60 × 40: 2,400 pixels.
    let id = node.upload(&jpeg(60, 40, 1));
    let both = "image/avif,image/webp";
    for (spec, accept, expected) in [
        ("full,grey", both, "image/jpeg"),
        ("full,grey", "image/webp", "image/jpeg"),
        ("30w", both, "image/webp"),
        ("30w", "image/avif", "image/jpeg"),
        ("18w", both, "image/avif"),
    ] {
        let answer = get_auto(&node, &format!("/image/{id}/{spec}/x.auto"), accept).expect(200);
        assert_eq!(answer.expect_header("content-type"), expected, "{spec} for {accept}");
        // The tag is that of the format which was chosen.
        let extension = expected.trim_start_matches("image/").replace("jpeg", "jpg");
        let named = node.get(&format!("/image/{id}/{spec}/x.{extension}")).expect(200);
        assert_eq!(answer.expect_header("etag"), named.expect_header("etag"));
    }
    node.get(&format!("/image/{id}/full/x.webp")).problem(422);
    // Nothing is left that holds it.
    let large = node.upload(&jpeg(90, 60, 1));
    get_auto(&node, &format!("/image/{large}/full,grey/x.auto"), both).problem(422);
}

#[test]
fn a_job_that_can_never_fit_into_the_memory_is_refused_and_others_are_not() {
    let config = "[images]\nmax_pixels = 5000000\n[limits]\ndecode_memory = \"40000000B\"\n";
    let node = Node::with_config(config);
    let id = node.upload(&Picture::corners(1000, 1000, 1).png());
    let sentence = node.get(&format!("/image/{id}/full/x.avif")).problem(422);
    assert!(sentence.contains("memory") && sentence.contains("40000000"), "{sentence}");
    let small = node.get(&format!("/image/{id}/100w/x.jpg")).expect(200);
    assert_eq!(size_of(&small.body), (100, 100));
}

#[test]
fn a_job_that_burnt_its_deadline_is_refused_at_once_the_next_time() {
    let node = Node::with_config("[limits]\nresize_deadline = \"1s\"\n");
    let id = node.upload(&restless_gif());
    let url = format!("/image/{id}/full/x.webp");
    // On a busy machine the worker may wait for its core so long that the next try may do better, which is the rule.
    let (begin, mut tries) = (Instant::now(), 0.0);
    loop {
        tries += 1.0;
        let answer = node.get(&url);
        answer.problem(503);
        if answer.retry_after() > 20 {
            break;
        }
        if begin.elapsed() > PATIENCE {
            let share = processor_seconds(&node) / begin.elapsed().as_secs_f64();
            assert!(share < 0.6, "it had {share:.2} of a processor, and is not remembered");
            return skipped("the machine is too busy: a job at the lowest priority hardly runs");
        }
    }
    for _ in 0..20 {
        let answer = node.get(&url);
        assert!(answer.problem(503).contains("took too long"), "{answer:?}");
        assert!((2..=31).contains(&answer.retry_after()), "{answer:?}");
    }
    // A job may end a moment after the answer to its request, so the ones before are bounded and not counted.
    assert!(node.metric(ALL) <= tries, "a job was started after {tries} tries");
    // Of the same image, what costs little is made.
    let still = node.get(&format!("/image/{id}/20w,frame3/x.png"));
    assert!([200, 503].contains(&still.status) && still.header("retry-after").is_none_or(|it| it == "1"));
}

#[test]
fn the_worker_is_free_again_when_the_client_of_an_uninterruptible_job_leaves() {
    let node = Node::plain();
    let id = node.upload(&Picture::corners(2600, 2600, 1).png());
    let mut connection = node.connect();
    connection.send(&Request::get(&format!("/image/{id}/full/x.avif")).head());
    let process = busy_helper(&node);
    drop(connection);
    // An encode that was left alone would end as made.
    wait_until("the job to be given up", || node.metric(CANCELLED) == 1.0);
    wait_until("its process to end", || !helpers(&node).iter().any(|(other, _)| *other == process));
    node.get(&format!("/image/{id}/10w/x.jpg")).expect(200);
    node.get(&format!("/image/{id}/10w/x.avif")).expect(200);
}

#[test]
fn a_decoder_that_ends_its_process_is_422_and_the_node_lives() {
    let node = Node::plain();
    let picture = reticulum::image::draw::sample(0, reticulum::image::shape::Size { width: 64, height: 48 });
    let avif =
        reticulum::image::encode::encode(picture.expect("a picture"), reticulum::object::Format::Avif, None);
    let small = node.upload(&avif.expect("an AVIF"));
    let id = node.upload(&Picture::corners(2600, 2600, 1).png());
    let url = format!("/image/{id}/full/x.avif");
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| node.get(&url));
        let process = busy_helper(&node);
        let process = Pid::from_raw(process.try_into().expect("a number")).expect("a process");
        kill_process(process, Signal::ABORT).expect("a signal");
        asked.join().expect("no panic")
    });
    assert!(answer.problem(422).contains("cannot be decoded"), "{answer:?}");
    let log = node.log();
    assert!(log.contains(&id) && log.contains("signal 6"), "{log}");
    let jobs = node.metric(ALL);
    node.get(&url).problem(422);
    assert_eq!(node.metric(ALL), jobs, "it was tried again");
    // The process is replaced.
    node.get(&format!("/image/{small}/20w/x.png")).expect(200);
    node.get(&format!("/image/{id}/20w/x.avif")).expect(200);
}

#[test]
fn no_helper_process_outlives_its_node() {
    let mut node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    node.get(&format!("/image/{id}/20w/x.avif")).expect(200);
    let [(process, _)] = helpers(&node)[..] else { panic!("one helper process for one shard") };
    node.kill9();
    wait_until("the helper process to end", || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
    });
}
