//! Disks that are full, read-only or hung: said everywhere, passed over by the cluster, and left by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::client::{Answer, Request};
use crate::support::disks::Disk;
use crate::support::harness::{Node, Options, free_port, put, sha1, wait_until};
use crate::support::nodes::{Cluster, member, status};
use crate::support::pictures::{Picture, jpeg};

/// How long copies may take to lie where they belong: the longest pause between two tries is a minute, and a fallback's
/// copy is kept for another while.
const AT_REST_WITHIN: Duration = Duration::from_secs(180);

/// A node that lives on this disk.
fn node_on(disk: &Disk) -> Node {
    Node::start(Options { data: Some(disk.data()), ..Options::default() })
}

fn kind(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap_or_default().to_owned()
}

/// Why a node is not ready, by name; empty when it is.
fn reason(node: &Node) -> String {
    let answer = node.get("/readyz");
    if answer.status == 200 { String::new() } else { kind(&answer.expect(503)) }
}

fn is_writable(asked: &Node, name: Option<&str>) -> bool {
    let status = status(asked);
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().any(|node| name.is_none_or(|name| node["name"] == name) && node["writable"] == true)
}

/// Fills a disk up to the last bytes with a file that is none of the node's.
fn fill(disk: &Disk) -> PathBuf {
    let path = disk.path().join("filler");
    let mut file = fs::File::create(&path).expect("a file");
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    path
}

#[test]
fn fault_8_a_full_disk_is_said_everywhere_and_left_by_itself() {
    let Some(disk) = Disk::small("size=8m") else { return };
    let node = node_on(&disk);
    let kept = node.upload(&jpeg(60, 40, 1));
    let filler = fill(&disk);
    wait_until("the node to see it", || reason(&node) == "disk-full");
    assert_eq!(kind(&node.ask(&put(&jpeg(60, 40, 2))).expect(507)), "disk-full");
    assert!(!is_writable(&node, None));
    wait_until("it to be counted", || node.metric("reticulum_store_writable") == 0.0);
    node.get(&format!("/image/{kept}/full/a.jpg")).expect(200);
    node.get(&format!("/image/{kept}/20w/a.png")).expect(200);
    fs::remove_file(filler).expect("remove");
    wait_until("the node to see that there is room", || reason(&node).is_empty());
    assert!(is_writable(&node, None));
    node.upload(&jpeg(60, 40, 2));
    wait_until("it to be on the log", || node.log().contains("the disk works again"));
    let log = node.log();
    assert_eq!(log.matches("has less room than node.reserve").count(), 1, "{log}");
    assert_eq!(log.matches("the disk works again").count(), 1, "{log}");
}

#[test]
fn fault_8_used_up_inodes_are_a_full_disk() {
    let Some(disk) = Disk::small("size=64m,nr_inodes=300") else { return };
    let node = node_on(&disk);
    let refused =
        (0..300).map(|seed| node.ask(&put(&jpeg(60, 40, seed)))).find(|answer| answer.status != 200);
    assert_eq!(kind(&refused.expect("300 images take more inodes").expect(507)), "disk-full");
    wait_until("the node to see it", || reason(&node) == "disk-full");
    assert!(!is_writable(&node, None));
    node.expect_store_is_whole();
    let gone = node.files("store").into_iter().take(40);
    // Somebody makes room with a blunt tool.
    gone.for_each(|path| fs::remove_file(path).expect("remove"));
    wait_until("the node to see that there is room", || reason(&node).is_empty());
    node.upload(&jpeg(60, 40, 1000));
}

#[test]
fn a_read_only_disk_is_said_everywhere_and_left_by_itself() {
    let Some(disk) = Disk::small("size=8m") else { return };
    let node = node_on(&disk);
    let kept = node.upload(&jpeg(60, 40, 1));
    disk.set_read_only(true);
    assert_eq!(kind(&node.ask(&put(&jpeg(60, 40, 2))).expect(503)), "disk-read-only");
    assert_eq!(reason(&node), "disk-read-only");
    assert!(!is_writable(&node, None));
    node.get(&format!("/image/{kept}/full/a.jpg")).expect(200);
    node.get(&format!("/image/{kept}/20w/a.png")).expect(200);
    disk.set_read_only(false);
    wait_until("the node to see that it can write", || reason(&node).is_empty());
    node.upload(&jpeg(60, 40, 2));
}

#[test]
fn fault_38_the_cache_gives_way_to_uploads_before_a_small_disk_is_full() {
    let Some(disk) = Disk::small("size=12m") else { return };
    let node = node_on(&disk);
    let source = Picture::noise(300, 200, 1).png();
    let id = node.upload(&source);
    // Each about 100 kB: with the default settings the cache may grow to 10 GiB.
    for width in 200..270 {
        node.get(&format!("/image/{id}/{width}w/a.png")).expect(200);
    }
    let before = node.files("cache").len();
    let images: Vec<_> = (2..62).map(|seed| Picture::noise(200, 150, seed).png()).collect();
    for bytes in &images {
        node.upload(bytes);
    }
    assert!(node.files("cache").len() < before, "{before}");
    assert!(node.metric("reticulum_cache_evictions_total{tier=\"disk\"}") > 0.0);
    assert_eq!(reason(&node), "");
    for bytes in &images {
        assert!(node.get(&format!("/image/{}/full/a.png", sha1(bytes))).expect(200).body == *bytes);
    }
}

#[test]
fn a_member_with_a_full_disk_passes_uploads_on_and_takes_none_of_others() {
    let Some(disk) = Disk::small("size=16m") else { return };
    let ports = [free_port(), free_port(), free_port(), free_port()];
    let options = |number: usize| {
        let options = member(number, ports[number], (number > 0).then_some(ports[0]));
        Options { data: (number == 1).then(|| disk.data()), ..options }
    };
    let cluster = Cluster::with((0..4).map(options));
    // Less than the reserve is left, which is what copies for others are received in.
    let filler = fill(&disk);
    fs::File::options().write(true).open(&filler).and_then(|it| it.set_len(16_300_000)).expect("some room");
    let full = &cluster.nodes[1];
    wait_until("the node to see it", || reason(full) == "disk-full");
    wait_until("all to know", || cluster.nodes.iter().all(|node| !is_writable(node, Some("n1"))));
    let images: Vec<_> = (0..8).map(|seed| jpeg(60, 40, seed)).collect();
    for (number, bytes) in images.iter().enumerate() {
        let answer = cluster.nodes[number % 4].ask(&put(bytes)).expect(200);
        assert!(!answer.json()["nodes"].to_string().contains("n1"), "{answer:?}");
    }
    assert_eq!(full.files("store").len(), 0);
    cluster.expect_readable_everywhere(&images);
    fs::remove_file(filler).expect("remove");
    wait_until("the node to see that there is room", || reason(full).is_empty());
    cluster.wait_until_at_rest(&images, AT_REST_WITHIN);
}

#[test]
fn fault_13_a_hung_disk_is_answered_in_time_said_everywhere_and_left_by_itself() {
    let Some(disk) = Disk::that_freezes() else { return };
    let node = node_on(&disk);
    let kept = node.upload(&jpeg(60, 40, 1));
    let began = Instant::now();
    let frozen = disk.freeze();
    let answer = node.ask(&put(&jpeg(60, 40, 2))).expect(503);
    assert_eq!(kind(&answer), "disk-hung");
    answer.retry_after();
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    wait_until("the node to see it", || reason(&node) == "disk-hung");
    assert!(!is_writable(&node, None));
    // From then on nobody waits for it.
    let began = Instant::now();
    assert_eq!(kind(&node.ask(&put(&jpeg(60, 40, 3))).expect(503)), "disk-hung");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    wait_until("it to be counted", || node.metric("reticulum_store_writable") == 0.0);
    // What it can read it gives.
    node.get(&format!("/image/{kept}/full/a.jpg")).expect(200);
    drop(frozen);
    wait_until("the node to see that it answers", || reason(&node).is_empty());
    node.upload(&jpeg(60, 40, 2));
    wait_until("it to be on the log", || node.log().contains("the disk works again"));
    let log = node.log();
    assert!(log.contains("the disk does not answer") && log.contains("the disk works again"), "{log}");
}

#[test]
fn a_member_whose_disk_hangs_holds_up_no_upload_to_others() {
    let Some(disk) = Disk::that_freezes() else { return };
    let ports = [free_port(), free_port(), free_port()];
    let options = |number: usize| {
        let options = member(number, ports[number], (number > 0).then_some(ports[0]));
        Options { data: (number == 1).then(|| disk.data()), ..options }
    };
    let cluster = Cluster::with((0..3).map(options));
    let before = jpeg(60, 40, 1);
    cluster.nodes[0].upload(&before);
    let frozen = disk.freeze();
    let images: Vec<_> = (2..6).map(|seed| jpeg(60, 40, seed)).collect();
    for (number, bytes) in images.iter().enumerate() {
        cluster.nodes[[0, 2][number % 2]].ask(&put(bytes)).expect(200);
    }
    for bytes in images.iter().chain([&before]) {
        assert_eq!(
            cluster.nodes[1].get(&format!("/image/{}/full/a.jpg", sha1(bytes))).expect(200).body,
            *bytes
        );
        let head = Request::new("HEAD", &format!("/image/{}/20w/a.png", sha1(bytes)));
        cluster.nodes[1].ask(&head).expect(200);
    }
    drop(frozen);
    wait_until("the node to see that it answers", || reason(&cluster.nodes[1]).is_empty());
    let images: Vec<_> = images.into_iter().chain([before]).collect();
    cluster.wait_until_at_rest(&images, AT_REST_WITHIN);
}

/// The permissions of everything below a folder, each with its path.
fn modes(path: &Path, found: &mut Vec<(PathBuf, u32, bool)>) {
    let facts = fs::symlink_metadata(path).expect("facts");
    found.push((path.to_path_buf(), facts.permissions().mode() & 0o7777, facts.is_dir()));
    if facts.is_dir() {
        for entry in fs::read_dir(path).expect("list") {
            modes(&entry.expect("an entry").path(), found);
        }
    }
}

#[test]
fn data_is_for_the_servers_user_alone_unless_configured() {
    for (config, directory, file) in [
        ("", 0o700, 0o600),
        ("[node]\ndata_mode = \"0750\"\n", 0o750, 0o640),
        ("[node]\ndata_mode = \"0770\"\n", 0o770, 0o660),
    ] {
        let mut node = Node::with_config(config);
        let id = node.upload(&jpeg(60, 40, 1));
        node.get(&format!("/image/{id}/20w/a.png")).expect(200);
        wait_until("the variant to be kept", || !node.files("cache").is_empty());
        node.wait_until_tmp_is_empty();
        // One that an older version left open to all.
        let store = node.data().join("store");
        fs::set_permissions(&store, fs::Permissions::from_mode(0o755)).expect("open");
        assert_eq!(node.terminate(), Some(0));
        node.restart();
        let mut found = Vec::new();
        modes(&node.data(), &mut found);
        assert!(found.iter().any(|(path, ..)| path.ends_with("node.id")) && found.len() > 12, "{found:?}");
        for (path, mode, is_directory) in found {
            // A key is nobody else's, whatever is configured.
            let file = if path.ends_with("operator.key") { 0o600 } else { file };
            let expected = if is_directory { directory } else { file };
            assert_eq!(mode, expected, "{:o} of {}", mode, path.display());
        }
    }
}
