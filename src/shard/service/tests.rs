//! Several nodes that know of each other, asked as a client asks.

pub(crate) mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use self::support::{Running, id as node_id, id_of, layout, png, view};
use crate::cluster::layout::{Copies, Layout};
use crate::cluster::node::NodeId;
use crate::object::{Format, ObjectId};
use crate::telemetry::metrics::Resize;

const TWO_OF_THREE: Copies = Copies { replication: 2, min_replication: 2 };

/// Nodes with one layout.
struct Cluster {
    nodes: BTreeMap<NodeId, Running>,
    layout: Layout,
    shown: u64,
}

/// The response that a client received.
#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Cluster {
    fn start(count: u8, copies: Copies) -> Self {
        let nodes: BTreeMap<_, _> =
            (1..=count).map(|number| (node_id(number), Running::start(number))).collect();
        let addresses: Vec<_> = nodes.values().map(|node| &node.address).collect();
        let layout = layout(&addresses, copies);
        let mut cluster = Self { nodes, layout, shown: 0 };
        cluster.show_without(&[]);
        cluster
    }

    /// Everybody sees everybody but these.
    fn show_without(&mut self, dead: &[NodeId]) {
        self.shown += 1;
        for (id, node) in &self.nodes {
            node.show(view(&self.layout, *id, dead), self.shown);
        }
    }

    /// The owners of an image in placement order, then the others.
    fn places(&self, id: &ObjectId) -> (Vec<NodeId>, Vec<NodeId>) {
        let owners = view(&self.layout, node_id(1), &[]).owners(id);
        let others = self.nodes.keys().copied().filter(|node| !owners.contains(node)).collect();
        (owners, others)
    }

    fn at(&self, node: NodeId) -> &Running {
        &self.nodes[&node]
    }

    /// Takes a node away, and says so to the others.
    fn stop(&mut self, node: NodeId) {
        drop(self.nodes.remove(&node));
        self.show_without(&[node]);
    }

    fn holders(&self, id: &ObjectId) -> Vec<NodeId> {
        let holds = |node: &&NodeId| self.at(**node).store.image(id, Format::Png).exists();
        self.nodes.keys().filter(holds).copied().collect()
    }

    fn made(&self) -> u64 {
        self.nodes.values().map(|node| node.metrics.resized(Resize::Ok)).sum()
    }
}

impl Running {
    fn get(&self, path: &str) -> Got {
        self.get_with(path, "")
    }

    fn get_with(&self, path: &str, headers: &str) -> Got {
        self.send(
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
                .as_bytes(),
        )
    }

    fn upload(&self, bytes: &[u8]) -> Got {
        let length = bytes.len();
        let head = format!(
            "POST /image HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), bytes].concat())
    }

    fn send(&self, bytes: &[u8]) -> Got {
        let mut stream = TcpStream::connect(self.address.url.as_str().trim_start_matches("http://")).unwrap();
        stream.write_all(bytes).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
        let status = head[9..12].parse().unwrap();
        Got { status, head, body: all[end + 4..].to_vec() }
    }
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn nodes(&self) -> Vec<NodeId> {
        let nodes = self.json()["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|name| node_id(name.as_str().unwrap()[1..].parse().unwrap())).collect()
    }
}

fn path_of(id: &ObjectId) -> String {
    format!("/image/{id}/full/a.png")
}

#[test]
fn an_upload_lies_on_its_owners_wherever_it_was_sent() {
    let cluster = Cluster::start(3, TWO_OF_THREE);
    for (side, node) in (4..).zip(cluster.nodes.values()) {
        let bytes = png(side);
        let id = id_of(&bytes);
        let answer = node.upload(&bytes);
        assert_eq!(answer.status, 200, "{answer:?}");
        let (mut owners, _) = cluster.places(&id);
        owners.sort();
        assert_eq!((answer.nodes(), cluster.holders(&id)), (owners.clone(), owners));
        assert_eq!(answer.json()["satisfied"], true);
    }
}

#[test]
fn every_node_gives_the_stored_bytes_and_the_second_time_from_memory() {
    let cluster = Cluster::start(3, TWO_OF_THREE);
    for side in [4, 700] {
        let bytes = png(side);
        let id = id_of(&bytes);
        cluster.at(node_id(1)).upload(&bytes);
        let (owners, others) = cluster.places(&id);
        let [own, other] = [owners[0], others[0]].map(|node| cluster.at(node).get(&path_of(&id)));
        assert_eq!((own.status, own.body == bytes), (200, true));
        assert_eq!((other.status, other.body == bytes, other.header("x-cache")), (200, true, "peer"));
        for name in ["etag", "last-modified", "content-type", "content-length", "cache-control"] {
            assert_eq!(own.header(name), other.header(name));
        }
        let again = cluster.at(others[0]).get(&path_of(&id));
        assert_eq!(again.header("x-cache"), if side == 4 { "memory" } else { "peer" });
        assert_eq!(cluster.holders(&id).len(), 2);
    }
}

#[test]
fn parts_and_conditions_of_a_long_image_hold_on_a_node_without_it() {
    let cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(700);
    let id = id_of(&bytes);
    cluster.at(node_id(1)).upload(&bytes);
    let other = cluster.at(cluster.places(&id).1[0]);
    let last = bytes.len() - 1;
    for (range, start, end) in
        [("0-0", 0, 0), ("1000-1200000", 1000, 1_200_000), ("-5", last - 4, last), ("7-", 7, last)]
    {
        let part = other.get_with(&path_of(&id), &format!("range: bytes={range}\r\n"));
        assert_eq!((part.status, part.body == bytes[start..=end]), (206, true), "{range}");
    }
    let fresh = other.get_with(&path_of(&id), &format!("if-none-match: \"{id}\"\r\n"));
    assert_eq!((fresh.status, fresh.body.len()), (304, 0));
}

#[test]
fn a_variant_is_made_once_whichever_nodes_are_asked_at_once() {
    let cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(300);
    let id = id_of(&bytes);
    cluster.at(node_id(1)).upload(&bytes);
    let path = format!("/image/{id}/100w/a.jpg");
    let answers: Vec<Got> = std::thread::scope(|scope| {
        let ask = |node| {
            scope.spawn({
                let path = &path;
                move || Running::get(node, path)
            })
        };
        let asking: Vec<_> = cluster.nodes.values().chain(cluster.nodes.values()).map(ask).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
    }
    assert_eq!(cluster.made(), 1);
    assert_eq!(cluster.at(cluster.places(&id).0[0]).metrics.resized(Resize::Ok), 1);
    // By now everybody has it in memory.
    assert!(cluster.nodes.values().all(|node| node.get(&path).header("x-cache") == "memory"));
}

#[test]
fn every_node_says_the_same_of_an_image_and_negotiates_alike() {
    let cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(40);
    let id = id_of(&bytes);
    cluster.at(node_id(1)).upload(&bytes);
    let mut owners = cluster.places(&id).0;
    owners.sort();
    for node in cluster.nodes.values() {
        let info = node.get(&format!("/info/{id}"));
        assert_eq!((info.status, info.nodes()), (200, owners.clone()));
        assert_eq!((&info.json()["color"], &info.json()["length"]), (&"rgb8".into(), &bytes.len().into()));
        for (accept, media_type) in [("image/webp", "image/webp"), ("image/avif;q=0", "image/png")] {
            let variant = node.get_with(&format!("/image/{id}/9w/a.auto"), &format!("accept: {accept}\r\n"));
            assert_eq!((variant.status, variant.header("content-type")), (200, media_type));
        }
        let full = node.get_with(&format!("/image/{id}/full/a.auto"), "");
        assert_eq!((full.status, full.body == bytes), (200, true));
        let other = node.get(&format!("/image/{id}/full/a.jpg"));
        assert_eq!((other.status, other.header("content-type")), (200, "image/jpeg"));
    }
}

#[test]
fn what_cannot_be_made_is_said_alike_by_every_node() {
    let cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(40);
    let id = id_of(&bytes);
    cluster.at(node_id(1)).upload(&bytes);
    let path = format!("/image/{id}/9w,frame7/a.jpg");
    let answers: Vec<_> = cluster.nodes.values().map(|node| node.get(&path)).collect();
    assert_eq!(answers[0].status, 422);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
}

#[test]
fn what_no_node_has_is_404_and_what_may_be_on_a_silent_one_503() {
    let mut cluster = Cluster::start(3, TWO_OF_THREE);
    let none = id_of(b"none");
    for path in [path_of(&none), format!("/image/{none}/9w/a.jpg"), format!("/info/{none}")] {
        assert!(cluster.nodes.values().all(|node| node.get(&path).status == 404), "{path}");
    }
    // With one node away, every image that was answered is on another one still.
    cluster.stop(cluster.places(&none).0[0]);
    assert!(cluster.nodes.values().all(|node| node.get(&path_of(&none)).status == 404));
    cluster.stop(*cluster.nodes.keys().next().unwrap());
    cluster
        .show_without(&(1..=3).map(node_id).filter(|id| !cluster.nodes.contains_key(id)).collect::<Vec<_>>());
    let node = cluster.nodes.values().next().unwrap();
    for path in [path_of(&none), format!("/image/{none}/9w/a.jpg")] {
        let answer = node.get(&path);
        assert_eq!((answer.status, answer.json()["type"].as_str()), (503, Some("absence-unproven")));
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.header("retry-after");
    }
}

#[test]
fn a_node_that_does_not_answer_is_passed_over() {
    let mut cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(4);
    let id = id_of(&bytes);
    cluster.at(node_id(1)).upload(&bytes);
    let (owners, others) = cluster.places(&id);
    // Nobody has noticed that it is gone.
    drop(cluster.nodes.remove(&owners[0]));
    let answer = cluster.at(others[0]).get(&path_of(&id));
    assert_eq!((answer.status, answer.body), (200, bytes));
    assert_eq!(cluster.at(others[0]).get(&format!("/image/{id}/2w/a.jpg")).status, 200);
}

#[test]
fn a_damaged_copy_is_served_from_another_node() {
    let cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(4);
    let id = id_of(&bytes);
    cluster.at(node_id(1)).upload(&bytes);
    let (owners, _) = cluster.places(&id);
    let path = cluster.at(owners[0]).store.image(&id, Format::Png);
    let damaged = vec![7; bytes.len()];
    std::fs::write(path, damaged).unwrap();
    let answer = cluster.at(owners[0]).get(&path_of(&id));
    assert_eq!((answer.status, answer.body), (200, bytes));
}

#[test]
fn a_fallback_takes_the_copy_of_an_owner_that_is_away_and_hands_it_over() {
    let mut cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(4);
    let id = id_of(&bytes);
    let (owners, others) = cluster.places(&id);
    cluster.show_without(&owners[..1]);
    let answer = cluster.at(others[0]).upload(&bytes);
    let mut expected = vec![owners[1], others[0]];
    expected.sort();
    assert_eq!((answer.status, answer.nodes()), (200, expected));
    // It is durable what this copy is, too.
    assert!(std::fs::read(cluster.at(others[0]).store.meta().join("strays.0")).unwrap().len() >= 32);
    cluster.show_without(&[]);
    let mut both = owners.clone();
    both.sort();
    // The rule's graces, and never fewer than the copies that there were.
    while cluster.holders(&id) != both {
        assert!(cluster.holders(&id).len() >= 2);
        std::thread::yield_now();
    }
    // The record is crossed out after the copy has gone.
    while cluster.at(others[0]).metrics.misplaced.get() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn too_few_copies_are_503_and_say_who_holds_one() {
    let mut cluster = Cluster::start(3, TWO_OF_THREE);
    let bytes = png(4);
    let id = id_of(&bytes);
    let (owners, others) = cluster.places(&id);
    cluster.show_without(&[owners[0], others[0]]);
    let answer = cluster.at(owners[1]).upload(&bytes);
    assert_eq!((answer.status, answer.json()["type"].as_str()), (503, Some("too-few-copies")));
    assert_eq!(answer.nodes(), owners[1..]);
    // A retry is quick and safe.
    cluster.show_without(&[]);
    let answer = cluster.at(owners[1]).upload(&bytes);
    let mut both = owners.clone();
    both.sort();
    assert_eq!((answer.status, answer.nodes()), (200, both));
}
