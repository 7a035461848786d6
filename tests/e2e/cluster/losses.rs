//! Copies and stores that go behind a node's back: every client gets the image, and the copy is taken again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::support::client::{Answer, Request};
use crate::support::disks::Cover;
use crate::support::harness::{Node, put, sha1, wait_until, wait_until_within};
use crate::support::nodes::{Cluster, status, unready};
use crate::support::pictures::jpeg;

/// How long a loss may take to be made good: the first look is after a second.
const REPAIRED_WITHIN: Duration = Duration::from_secs(60);

/// What is done to the file of a copy.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Removed,
    Dangling,
    Loop,
    Folder,
    ParentRemoved,
    ParentIsAFile,
}

const LOSSES: [Loss; 6] =
    [Loss::Removed, Loss::Dangling, Loss::Loop, Loss::Folder, Loss::ParentRemoved, Loss::ParentIsAFile];

/// The ways on which an image is asked for.
const ROUTES: [&str; 5] = ["full", "head", "variant", "info", "conditional"];

impl Loss {
    fn inflict(self, file: &Path) {
        fs::remove_file(file).expect("remove");
        let folder = file.parent().expect("a folder");
        match self {
            Self::Removed => {}
            Self::Dangling => symlink("nowhere", file).expect("link"),
            // As good as EIO: it cannot be opened, and is there.
            Self::Loop => symlink(file, file).expect("link"),
            Self::Folder => fs::create_dir(file).expect("make"),
            Self::ParentRemoved => fs::remove_dir_all(folder).expect("remove"),
            Self::ParentIsAFile => {
                fs::remove_dir_all(folder).expect("remove");
                fs::write(folder, b"a file").expect("write");
            }
        }
    }
}

/// Asks for an image in this way; `etag` is its variant's.
#[track_caller]
fn ask(node: &Node, route: &str, id: &str, etag: &str) -> Answer {
    let full = format!("/image/{id}/full/a.jpg");
    let variant = format!("/image/{id}/30w/a.png");
    match route {
        "full" => node.get(&full).expect(200),
        "head" => node.ask(&Request::new("HEAD", &full)).expect(200),
        "variant" => node.get(&variant).expect(200),
        "info" => node.get(&format!("/info/{id}")).expect(200),
        _ => {
            let own = Request::get(&full).header("If-None-Match", &format!("\"{id}\""));
            node.ask(&own).expect(304);
            node.ask(&Request::get(&variant).header("If-None-Match", etag)).expect(304)
        }
    }
}

/// Uploads an image to a cluster of three, and waits until each node has finished with its copy, of which it has `count` then;
/// its id and its variant's tag.
fn upload(cluster: &Cluster, bytes: &[u8], count: u32, is_asked: bool) -> (String, String) {
    let id = cluster.nodes[1].upload(bytes);
    for node in &cluster.nodes {
        wait_until("each node to count its copy", || node.metric("reticulum_images") == f64::from(count));
    }
    let variant = format!("/image/{id}/30w/a.png");
    let etag = if is_asked {
        cluster.nodes[1].get(&variant).expect(200).expect_header("etag").to_owned()
    } else {
        String::new()
    };
    (id, etag)
}

#[test]
fn fault_11_a_copy_that_is_gone_or_unreadable_is_given_by_others_on_every_route_and_taken_again() {
    let cluster = Cluster::start(3);
    let node = &cluster.nodes[0];
    let mut seed = 0;
    for loss in LOSSES {
        for route in ROUTES {
            seed += 1;
            let bytes = jpeg(60, 40, seed);
            let (id, etag) = upload(&cluster, &bytes, seed, route == "conditional");
            let stored = node.stored(&id, "jpg");
            loss.inflict(&stored);
            let answer = ask(node, route, &id, &etag);
            if route == "variant" {
                // It is made by the first of the owners, which may be another node.
                ask(node, "head", &id, &etag);
            }
            if route == "full" {
                assert_eq!(answer.body, bytes, "{loss:?}");
            }
            wait_until_within(REPAIRED_WITHIN, &format!("a copy after {loss:?} met by {route}"), || {
                fs::read(&stored).is_ok_and(|copy| copy == bytes)
            });
        }
    }
    assert!(node.metric("reticulum_store_vanished_total") >= 5.0);
    assert!(node.metric("reticulum_store_unreadable_total") >= 5.0);
    wait_until("each to be counted as repaired", || {
        node.metric("reticulum_repaired_total") == f64::from(seed)
    });
    wait_until("no debt to be left", || cluster.sum("reticulum_repair_debt_images") == 0.0);
    wait_until("each image to be counted once", || node.metric("reticulum_images") == f64::from(seed));
    assert!(node.log().contains("has gone from store/"), "{}", node.log());
}

#[test]
fn a_copy_that_vanished_is_no_part_of_what_other_nodes_are_told() {
    let cluster = Cluster::start(3);
    let bytes = jpeg(60, 40, 1);
    let (id, _) = upload(&cluster, &bytes, 1, false);
    // Two of three are gone, and each of these nodes still remembers to have had it.
    for node in &cluster.nodes[..2] {
        fs::remove_file(node.stored(&id, "jpg")).expect("remove");
    }
    let full = format!("/image/{id}/full/a.jpg");
    for node in &cluster.nodes {
        assert_eq!(node.get(&full).expect(200).body, bytes);
    }
    for node in &cluster.nodes {
        let stored = node.stored(&id, "jpg");
        wait_until_within(REPAIRED_WITHIN, "a copy", || fs::read(&stored).is_ok_and(|copy| copy == bytes));
    }
}

#[test]
fn fault_34_copies_that_vanish_while_a_node_is_down_are_taken_again_though_nobody_asks_for_them() {
    let mut cluster = Cluster::start(3);
    let images: Vec<_> = (1..=4).map(|seed| jpeg(60, 40, seed)).collect();
    let ids: Vec<_> =
        images.iter().zip(1..).map(|(bytes, count)| upload(&cluster, bytes, count, false).0).collect();
    for is_killed in [false, true] {
        if is_killed {
            cluster.nodes[0].kill9();
        } else {
            assert_eq!(cluster.nodes[0].terminate(), Some(0));
        }
        let stored: Vec<_> = ids[..2].iter().map(|id| cluster.nodes[0].stored(id, "jpg")).collect();
        fs::remove_file(&stored[0]).expect("remove");
        fs::remove_dir_all(stored[1].parent().and_then(Path::parent).expect("a folder")).expect("remove");
        cluster.nodes[0].restart();
        for (path, bytes) in stored.iter().zip(&images) {
            wait_until_within(REPAIRED_WITHIN, "a copy", || fs::read(path).is_ok_and(|copy| copy == *bytes));
        }
        let node = &cluster.nodes[0];
        wait_until("all to be counted", || node.metric("reticulum_images") == 4.0);
        assert_eq!(node.metric("reticulum_store_vanished_total"), 2.0);
    }
}

/// How a store goes away and comes back.
#[derive(Clone, Copy, Debug)]
enum Absence {
    Moved,
    /// An empty folder is in its place.
    Emptied,
    /// Something else is mounted over it.
    Covered,
}

/// What brings it back when it is dropped.
enum Away {
    Moved(std::path::PathBuf),
    Covered { _cover: Cover },
}

impl Absence {
    fn begin(self, node: &Node) -> Option<Away> {
        let (store, away) = (node.data().join("store"), node.data().join("away"));
        match self {
            Self::Moved => fs::rename(&store, &away).expect("rename"),
            Self::Emptied => {
                fs::rename(&store, &away).expect("rename");
                fs::create_dir(&store).expect("make");
            }
            Self::Covered => return Some(Away::Covered { _cover: Cover::over(&store)? }),
        }
        Some(Away::Moved(store))
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Self::Moved(store) = self {
            // Empty, if it is there: nothing was written into it.
            let _ = fs::remove_dir(&store);
            fs::rename(store.with_file_name("away"), store).expect("rename");
        }
    }
}

/// Whether a node takes copies, as another one knows.
fn is_writable(asked: &Node, name: &str) -> bool {
    let status = status(asked);
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().any(|node| node["name"] == name && node["writable"] == true)
}

#[test]
fn fault_12_a_node_whose_store_goes_gives_what_others_have_and_takes_nothing_until_it_is_back() {
    let mut cluster = Cluster::start(3);
    let uploaded: Vec<_> = (1..=6).map(|seed| upload(&cluster, &jpeg(60, 40, seed), seed, true)).collect();
    for (number, absence) in [Absence::Moved, Absence::Emptied, Absence::Covered].into_iter().enumerate() {
        if number == 1 {
            // What was remembered of images makes no difference.
            assert_eq!(cluster.nodes[0].terminate(), Some(0));
            cluster.nodes[0].restart();
            cluster.wait_until_whole();
        }
        let node = &cluster.nodes[0];
        let Some(away) = absence.begin(node) else { return };
        for (number, (id, etag)) in uploaded.iter().enumerate() {
            ask(node, ROUTES[number % ROUTES.len()], id, etag);
        }
        for (id, etag) in &uploaded {
            ask(node, "full", id, etag);
        }
        wait_until("the node not to be ready", || unready(node).contains("store is not there"));
        node.get("/readyz").problem(503);
        wait_until("all to know that it takes nothing", || {
            cluster.nodes.iter().all(|node| !is_writable(node, "n0"))
        });
        for through in &cluster.nodes {
            let bytes = jpeg(60, 40, 100 + 10 * number as u32 + u32::from(through.port() % 10));
            let answer = through.ask(&put(&bytes)).expect(200);
            assert!(!answer.json()["nodes"].to_string().contains("n0"), "{answer:?}");
        }
        let left: Vec<_> = fs::read_dir(node.data().join("store")).into_iter().flatten().collect();
        assert!(left.is_empty(), "written in place of the store: {left:?}");
        drop(away);
        wait_until("the node to be ready", || unready(node).is_empty());
        for (id, etag) in &uploaded {
            ask(node, "full", id, etag);
        }
        node.upload(&jpeg(60, 40, 200 + number as u32));
    }
    let log = cluster.nodes[0].log();
    assert_eq!(log.matches("store/ is not the one").count(), 3, "{log}");
}

#[test]
fn a_node_alone_without_its_store_says_so_and_never_that_an_image_is_absent() {
    for (number, absence) in [Absence::Moved, Absence::Emptied, Absence::Covered].into_iter().enumerate() {
        let node = Node::plain();
        let (asked, unasked) = (jpeg(60, 40, 1), jpeg(60, 40, 2));
        for bytes in [&asked, &unasked] {
            node.upload(bytes);
        }
        let Some(away) = absence.begin(&node) else { return };
        let none = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        for id in [&sha1(&asked), &sha1(&unasked), none] {
            for path in
                [format!("/image/{id}/full/a.jpg"), format!("/image/{id}/20w/a.webp"), format!("/info/{id}")]
            {
                let answer = node.get(&path);
                assert_eq!(
                    (answer.status, answer.json()["type"].as_str()),
                    (503, Some("store-missing")),
                    "{path}"
                );
                answer.retry_after();
            }
        }
        assert_eq!(node.get("/readyz").expect(503).json()["type"], "store-missing");
        assert_eq!(node.ask(&put(&jpeg(60, 40, 3))).expect(503).json()["type"], "store-missing");
        wait_until("it to be counted", || node.metric("reticulum_store_present") == 0.0);
        drop(away);
        wait_until("the node to be ready", || unready(&node).is_empty());
        for bytes in [&asked, &unasked] {
            assert_eq!(node.get(&format!("/image/{}/full/a.jpg", sha1(bytes))).expect(200).body, *bytes);
        }
        node.get(&format!("/image/{none}/full/a.jpg")).problem(404);
        node.upload(&jpeg(60, 40, 10 + number as u32));
        wait_until("it to be on the log", || node.log().contains("the disk works again"));
        let log = node.log();
        assert_eq!(log.matches("store/ is not the one").count(), 1, "{log}");
    }
}

#[test]
fn a_copy_that_a_node_alone_cannot_read_is_503_and_not_its_own_fault() {
    for loss in [Loss::Loop, Loss::Folder, Loss::ParentIsAFile] {
        let node = Node::plain();
        let bytes = jpeg(60, 40, 1);
        let id = node.upload(&bytes);
        loss.inflict(&node.stored(&id, "jpg"));
        for _ in 0..2 {
            for path in
                [format!("/image/{id}/full/a.jpg"), format!("/image/{id}/20w/a.webp"), format!("/info/{id}")]
            {
                let answer = node.get(&path).expect(503);
                assert_eq!(answer.json()["type"], "disk", "{loss:?}: {path}");
            }
        }
        // A node that has it may give it again.
        node.upload(&bytes);
        assert_eq!(node.get(&format!("/image/{id}/full/a.jpg")).expect(200).body, bytes);
        assert_eq!(fs::read(node.stored(&id, "jpg")).expect("a copy"), bytes);
    }
}

#[test]
fn a_large_copy_whose_end_cannot_be_read_is_not_needed() {
    // Cut behind the node's back: the length that it remembers is not there any more.
    let cluster = Cluster::start(3);
    let bytes = crate::support::pictures::large_png(1);
    let id = cluster.nodes[0].upload(&bytes);
    for node in &cluster.nodes {
        wait_until("each node to count its copy", || node.metric("reticulum_images") == 1.0);
    }
    let node = &cluster.nodes[0];
    let full = format!("/image/{id}/full/a.png");
    assert!(node.get(&full).expect(200).body == bytes);
    fs::File::options().write(true).open(node.stored(&id, "png")).and_then(|it| it.set_len(0)).expect("cut");
    wait_until_within(REPAIRED_WITHIN, "a right answer", || {
        let mut connection = node.connect();
        connection
            .try_ask(&Request::get(&full))
            .is_ok_and(|answer| answer.status == 200 && answer.body == bytes)
    });
    wait_until_within(REPAIRED_WITHIN, "a good copy", || {
        fs::read(node.stored(&id, "png")).is_ok_and(|copy| copy == bytes)
    });
}

/// By a record of its own, a node knows that its "no such file" is wrong. While the other holder is silent, nobody may
/// call the image absent.
#[test]
fn an_image_whose_other_holder_is_silent_is_not_called_absent_by_the_node_that_lost_it() {
    let (mut cluster, _links) = Cluster::linked_with(3, "replication = 2\nmin_replication = 2\n");
    let bytes = jpeg(60, 40, 1);
    let id = cluster.nodes[0].upload(&bytes);
    let [loser, silent] = cluster.owners(&id)[..] else { panic!("two owners") };
    // An image that is not in the manifest when a node is killed is not known to be lost afterwards.
    wait_until("both to know that they have it, and nobody else to have it", || {
        let counted = |node: usize| cluster.nodes[node].metric("reticulum_images");
        counted(loser) == 1.0 && counted(silent) == 1.0 && cluster.sum("reticulum_images") == 2.0
    });
    cluster.nodes[loser].kill9();
    cluster.nodes[silent].kill9();
    fs::remove_file(cluster.nodes[loser].stored(&id, "jpg")).expect("remove");
    cluster.nodes[loser].restart();
    let node = &cluster.nodes[loser];
    wait_until("the loss to be noticed", || node.metric("reticulum_store_vanished_total") == 1.0);
    for target in ["full/a.jpg", "30w/a.png"].map(|spec| format!("/image/{id}/{spec}")) {
        node.get(&target).expect(503);
    }
    node.get(&format!("/info/{id}")).expect(503);
    cluster.nodes[silent].restart();
    cluster.expect_readable_everywhere(&[bytes]);
}
