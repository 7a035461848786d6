//! A disk that lies or is full: never wrong bytes, never a half-written image, reads go on.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::support::client::Request;
use crate::support::disks::Disk;
use crate::support::harness::{Node, Options, put, sha1, wait_until};
use crate::support::pictures::{Picture, large_png};

/// What is done to the file of a stored image.
#[derive(Clone, Copy, Debug)]
enum Damage {
    FlipFirst,
    FlipMiddle,
    FlipLast,
    Cut,
    Empty,
    Append,
}

const DAMAGES: [Damage; 6] =
    [Damage::FlipFirst, Damage::FlipMiddle, Damage::FlipLast, Damage::Cut, Damage::Empty, Damage::Append];

impl Damage {
    /// Does it, and again until the file's change time tells: clocks of file systems are coarse.
    fn inflict(self, path: &Path) {
        let whole = fs::read(path).expect("read");
        let facts = || fs::metadata(path).map(|facts| (facts.ctime(), facts.ctime_nsec())).expect("facts");
        let before = facts();
        let last = whole.len() - 1;
        wait_until("a later change time", || {
            match self {
                Self::FlipFirst => flip(path, &whole, 0),
                Self::FlipMiddle => flip(path, &whole, whole.len() / 2),
                Self::FlipLast => flip(path, &whole, last),
                Self::Cut => fs::write(path, &whole[..last]).expect("write"),
                Self::Empty => fs::write(path, b"").expect("write"),
                Self::Append => fs::write(path, [&whole[..], b"x"].concat()).expect("write"),
            }
            facts() != before
        });
    }
}

fn flip(path: &Path, whole: &[u8], at: usize) {
    let file = fs::File::options().write(true).open(path).expect("open");
    file.write_all_at(&[!whole[at]], at as u64).expect("write");
}

/// The status and the body as far as it came, and whether it came whole.
fn fetch(node: &Node, request: &Request) -> (u16, Vec<u8>, bool) {
    let mut connection = node.connect();
    connection.send(&request.clone().header("Connection", "close").head());
    let raw = connection.read_until_closed();
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&raw[..end]).to_lowercase();
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let body = raw[end..].to_vec();
    let whole = length.is_none_or(|length| length.parse() == Ok(body.len()));
    (status, body, whole)
}

/// Panics unless the damage is found: the file set aside, the id no longer served, a right upload served again.
#[track_caller]
fn expect_mended_by_upload(node: &Node, bytes: &[u8], what: &str) {
    let url = format!("/image/{}/full/x.png", sha1(bytes));
    wait_until("the damaged file in quarantine/", || !node.files("quarantine").is_empty());
    let stored = node.stored(&sha1(bytes), "png");
    wait_until("the damaged file to leave store/", || !stored.exists());
    assert!(node.metric("reticulum_corrupt_total") >= 1.0, "{what}");
    assert!(node.get(&url).status >= 400, "{what}");
    node.upload(bytes);
    assert!(node.get(&url).expect(200).body == bytes, "{what}");
    node.expect_store_is_whole();
}

#[test]
fn a_small_image_that_was_damaged_is_an_error_before_its_first_byte() {
    for shards in [1, 2] {
        for damage in DAMAGES {
            let node = Node::with_shards(shards);
            let bytes = Picture::noise(60, 40, 1).png();
            let id = node.upload(&bytes);
            damage.inflict(&node.stored(&id, "png"));
            let answer = node.get(&format!("/image/{id}/full/x.png"));
            assert!(answer.status >= 500, "{damage:?}: {answer:?}");
            answer.problem(answer.status);
            expect_mended_by_upload(&node, &bytes, &format!("{damage:?}"));
        }
    }
}

#[test]
fn a_large_image_that_was_damaged_never_completes() {
    for damage in DAMAGES {
        let node = Node::plain();
        let bytes = large_png(1);
        let id = node.upload(&bytes);
        damage.inflict(&node.stored(&id, "png"));
        let (status, body, whole) = fetch(&node, &Request::get(&format!("/image/{id}/full/x.png")));
        assert!(status >= 500 || (status == 200 && !whole), "{damage:?}: {status}, {} bytes", body.len());
        expect_mended_by_upload(&node, &bytes, &format!("{damage:?}"));
    }
}

#[test]
fn damage_is_found_after_a_restart_too() {
    for bytes in [Picture::noise(60, 40, 1).png(), large_png(1)] {
        let mut node = Node::plain();
        let id = node.upload(&bytes);
        assert_eq!(node.terminate(), Some(0));
        Damage::FlipMiddle.inflict(&node.stored(&id, "png"));
        node.restart();
        let (status, _, whole) = fetch(&node, &Request::get(&format!("/image/{id}/full/x.png")));
        assert!(status >= 500 || (status == 200 && !whole), "{status}");
        expect_mended_by_upload(&node, &bytes, "after a restart");
    }
}

#[test]
fn a_range_of_a_damaged_image_never_completes_with_wrong_bytes() {
    for bytes in [Picture::noise(60, 40, 1).png(), large_png(1)] {
        let node = Node::plain();
        let id = node.upload(&bytes);
        Damage::FlipMiddle.inflict(&node.stored(&id, "png"));
        let (from, to) = (bytes.len() / 2 - 10, bytes.len() / 2 + 10);
        let request =
            Request::get(&format!("/image/{id}/full/x.png")).header("Range", &format!("bytes={from}-{to}"));
        let (status, body, whole) = fetch(&node, &request);
        assert!(status >= 500 || !whole, "{status}: {} bytes", body.len());
    }
}

#[test]
fn no_variant_is_made_of_a_damaged_image() {
    for bytes in [Picture::noise(60, 40, 1).png(), large_png(1)] {
        let node = Node::plain();
        let id = node.upload(&bytes);
        Damage::FlipMiddle.inflict(&node.stored(&id, "png"));
        let answer = node.get(&format!("/image/{id}/30w/x.png"));
        assert!(answer.status >= 500, "{answer:?}");
        expect_mended_by_upload(&node, &bytes, "through a variant");
        node.get(&format!("/image/{id}/30w/x.png")).expect(200);
    }
}

#[test]
fn a_full_disk_is_507_and_reads_go_on() {
    for shards in [1, 2] {
        let Some(disk) = Disk::small("size=4m") else { return };
        let data = Some(disk.data());
        let node = Node::start(Options { shards, data, ..Options::default() });
        let images = (0..200).map(|seed| Picture::noise(200, 150, seed).png());
        let mut taken = Vec::new();
        let mut full = None;
        for bytes in images {
            let answer = node.ask(&put(&bytes));
            if answer.status != 200 {
                full = Some((answer, bytes));
                break;
            }
            taken.push(bytes);
        }
        let (answer, refused) = full.expect("200 images of 90 kB fill 4 MiB");
        answer.problem(507);
        assert!(!taken.is_empty(), "an empty disk takes an image");
        node.wait_until_tmp_is_empty();
        node.expect_store_is_whole();
        assert_eq!(node.files("store").len(), taken.len());
        for bytes in &taken {
            let id = sha1(bytes);
            assert!(node.get(&format!("/image/{id}/full/x.png")).expect(200).body == *bytes);
            node.get(&format!("/image/{id}/100w/x.jpg")).expect(200);
        }
        node.get(&format!("/image/{}/full/x.png", sha1(&refused))).problem(404);
        node.get("/healthz").expect(200);
    }
}
