//! Images that nobody on this project made, real and hostile: the corpus.

#[path = "../../../src/image/tests/corpus.rs"]
mod folder;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Answer;
use crate::support::harness::{Node, Options, at_once, put, sha1};
use crate::support::pictures::{Picture, extension, size_of};

/// No hostile file may hold an answer back for longer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// No file, and not all of them together, may take more memory.
const RSS_BYTES_MAX: u64 = 1 << 30;
/// Formats in which no variant is made.
const STORED_ONLY: [&str; 2] = ["heic", "jxl"];
/// Between a right thumbnail and one of the same photo stored another way up; a mirrored one has 6–16 dB.
const SAME_PICTURE_PSNR_MIN: f64 = 24.0;

/// What the manifest says of a file.
struct Entry {
    name: String,
    path: PathBuf,
    format: String,
    /// `ok`, `ok-first-frame`, `reject:…` or `either:…`.
    expected: String,
    /// Given where the file is to be accepted.
    displayed: Option<(u64, u64)>,
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("a file of the corpus")
    }

    fn is_supported(&self) -> bool {
        ["JPEG", "PNG", "GIF", "WebP", "AVIF"].contains(&self.format.as_str())
    }

    fn is_hostile(&self) -> bool {
        self.name.starts_with("bombs/") || self.name.starts_with("broken/")
    }
}

/// The files of the corpus that `wanted` picks; none, said loudly, where there is no corpus.
fn corpus(wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let Some(folder) = folder::folder() else { return Vec::new() };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.tsv")).expect("a readable manifest");
    let mut lines = manifest.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names = lines.next().expect("column names");
    let column = |name| names.iter().position(|&known| known == name).expect("a known column");
    let [path, format, expected, displayed] = ["path", "format", "expected", "displayed"].map(column);
    let entries = lines.map(|fields| Entry {
        name: fields[path].into(),
        path: folder.join(fields[path]),
        format: fields[format].into(),
        expected: fields[expected].into(),
        displayed: fields.get(displayed).and_then(|text| {
            let (width, height) = text.split_once('x')?;
            Some((width.parse().ok()?, height.parse().ok()?))
        }),
    });
    let picked: Vec<_> = entries.filter(wanted).collect();
    assert!(!picked.is_empty(), "the manifest has no such file");
    picked
}

/// Looks at every file, two at a time; panics with all complaints at the end.
fn check_each(entries: &[Entry], check: impl Fn(&Entry) -> Result<(), String> + Sync) {
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    at_once(2, |_| {
        while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(complaint) = check(entry) {
                complaints.lock().expect("no panic while held").push(format!("{}: {complaint}", entry.name));
            }
        }
    });
    let complaints = complaints.into_inner().expect("no panic while held");
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), entries.len(), complaints.join("\n"));
}

fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint()) }
}

/// A node on which no thumbnail of an honest photo is too slow, whatever the machine.
fn patient_node() -> Node {
    let config = "[limits]\nresize_deadline = \"300s\"\n".to_owned();
    Node::start(Options { shards: 2, config, ..Options::default() })
}

#[track_caller]
fn expect_modest(node: &Node) {
    let peak = node.rss_peak();
    assert!(peak < RSS_BYTES_MAX, "the node held {} MiB", peak >> 20);
}

/// Sizes of `300w`.
fn thumbnail_size((width, height): (u64, u64)) -> (u32, u32) {
    let target = width.min(300);
    let other = ((2 * height * target + width) / (2 * width)).max(1);
    (target as u32, other as u32)
}

#[test]
fn every_honest_file_is_taken_and_has_thumbnails_of_the_right_size() {
    let entries = corpus(|entry| {
        entry.expected.starts_with("ok") && entry.is_supported() && !entry.name.starts_with("bombs/")
    });
    let node = patient_node();
    check_each(&entries, |entry| {
        let bytes = entry.bytes();
        let displayed = entry.displayed.expect("honest files have a displayed size");
        let answer = node.ask(&put(&bytes));
        ensure(answer.status == 200, || format!("upload {answer:?}"))?;
        let natural = extension(&bytes);
        expect_info(&node, &sha1(&bytes), natural, displayed)?;
        for target in [natural, "jpg"] {
            let answer = node.get(&format!("/image/{}/300w/x.{target}", sha1(&bytes)));
            ensure(answer.status == 200, || format!("{target} {answer:?}"))?;
            let (size, wanted) = (size_of(&answer.body), thumbnail_size(displayed));
            ensure(size == wanted, || format!("{target} is {size:?} instead of {wanted:?}"))?;
            expect_clean(&answer)?;
        }
        Ok(())
    });
    expect_modest(&node);
}

fn expect_info(node: &Node, id: &str, extension: &str, (width, height): (u64, u64)) -> Result<(), String> {
    let answer = node.get(&format!("/info/{id}"));
    ensure(answer.status == 200, || format!("info {answer:?}"))?;
    let info = answer.json();
    let right = info["width"] == width && info["height"] == height && info["extension"] == extension;
    ensure(right, || format!("{info} instead of {width}x{height} {extension}"))
}

/// Nothing of the upload but its pixels may be in a thumbnail: no position, no camera, no script.
fn expect_clean(answer: &Answer) -> Result<(), String> {
    for smuggled in [&b"Exif\0\0"[..], b"http://ns.adobe.com", b"<x:xmpmeta", b"<script"] {
        let found = answer.body.windows(smuggled.len()).any(|window| window == smuggled);
        ensure(!found, || format!("holds {:?}", String::from_utf8_lossy(smuggled)))?;
    }
    Ok(())
}

/// Runs `work`; its answer must come in time.
fn in_time(work: impl FnOnce() -> Answer) -> Result<Answer, String> {
    let begin = Instant::now();
    let answer = work();
    let elapsed = begin.elapsed();
    ensure(elapsed < ANSWER_TIME_MAX, || format!("{} took {elapsed:?}", answer.status))?;
    Ok(answer)
}

#[test]
fn every_file_to_be_refused_is_refused_at_upload_and_leaves_nothing() {
    let entries = corpus(|entry| entry.expected.starts_with("reject"));
    let node = Node::with_shards(2);
    check_each(&entries, |entry| {
        let answer = in_time(|| node.ask(&put(&entry.bytes())))?;
        let right = match entry.format.as_str() {
            "SVG" | "HTML" | "text" | "none" => answer.status == 415,
            _ => answer.status == 415 || answer.status == 422,
        };
        ensure(right, || format!("{answer:?}"))?;
        answer.problem(answer.status);
        Ok(())
    });
    node.expect_nothing_stored();
    expect_modest(&node);
}

#[test]
fn fault_33_every_doubtful_or_hostile_file_gets_a_clean_answer_in_time() {
    let entries = corpus(|entry| {
        let doubtful = entry.expected.starts_with("either");
        doubtful || (entry.is_hostile() && entry.expected.starts_with("ok"))
    });
    let node = Node::with_shards(2);
    check_each(&entries, |entry| {
        let bytes = entry.bytes();
        let answer = in_time(|| node.ask(&put(&bytes)))?;
        if answer.status != 200 {
            return expect_clean_refusal(&answer, &[415, 422]);
        }
        let own = extension(&bytes);
        if STORED_ONLY.contains(&own) {
            let answer = in_time(|| node.get(&format!("/image/{}/full/x.{own}", sha1(&bytes))))?;
            ensure(answer.status == 200 && answer.body == bytes, || format!("full: {answer:?}"))?;
        }
        for target in [own, "jpg"].into_iter().filter(|target| !STORED_ONLY.contains(target)) {
            let answer = in_time(|| node.get(&format!("/image/{}/300w/x.{target}", sha1(&bytes))))?;
            if answer.status != 200 {
                expect_clean_refusal(&answer, &[422, 503])?;
            } else {
                ensure(extension(&answer.body) == target, || format!("no {target}: {answer:?}"))?;
                expect_clean(&answer)?;
            }
        }
        Ok(())
    });
    assert_eq!(node.get("/healthz").status, 200);
    node.expect_store_is_whole();
    expect_modest(&node);
}

fn expect_clean_refusal(answer: &Answer, allowed: &[u16]) -> Result<(), String> {
    ensure(allowed.contains(&answer.status), || format!("{answer:?}"))?;
    answer.problem(answer.status);
    Ok(())
}

#[test]
fn photos_stored_any_way_up_give_the_same_thumbnail() {
    let entries =
        corpus(|entry| entry.name.starts_with("exif/landscape-") || entry.name.starts_with("exif/portrait-"));
    let node = patient_node();
    let thumbnail = |path: &Path| {
        let id = node.upload(&std::fs::read(path).expect("a file of the corpus"));
        Picture::decode(&node.get(&format!("/image/{id}/300w/x.png")).expect(200).body)
    };
    let upright = ["landscape", "portrait"].map(|kind| {
        let entry = entries.iter().find(|entry| entry.name == format!("exif/{kind}-1.jpg"));
        entry.map(|entry| (kind, thumbnail(&entry.path)))
    });
    check_each(&entries, |entry| {
        let picture = thumbnail(&entry.path);
        let same = upright.iter().flatten().find(|(kind, _)| entry.name.contains(kind));
        let (_, same) = same.ok_or("no upright one to compare with")?;
        ensure(picture.size() == same.size(), || {
            format!("{:?} instead of {:?}", picture.size(), same.size())
        })?;
        let psnr = picture.psnr(same);
        ensure(psnr > SAME_PICTURE_PSNR_MIN, || format!("{psnr:.1} dB"))
    });
}
