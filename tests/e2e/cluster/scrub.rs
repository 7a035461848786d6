//! A scrub that an operator asks for: every node reads all its copies back, and what is wrong is repaired.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::damage::flip_a_bit;
use crate::support::client::Request;
use crate::support::harness::{Finished, Node, Options, free_port, run, sha1, wait_until, wait_until_within};
use crate::support::nodes::{Cluster, member};
use crate::support::pictures::jpeg;

/// Copies of which a byte is flipped, and as many that are deleted.
const BAD_COPIES: usize = 24;

const AT_REST_WITHIN: Duration = Duration::from_secs(120);

/// Runs the command against a node.
#[track_caller]
fn scrub(node: &Node, arguments: &[&str]) -> Finished {
    let url = format!("http://127.0.0.1:{}", node.port());
    let data = node.data().to_str().expect("UTF-8").to_owned();
    run(&[&["scrub", "--node", &url, "--data", &data], arguments].concat())
}

fn lines(finished: &Finished) -> Vec<String> {
    String::from_utf8_lossy(&finished.stdout).lines().map(str::to_owned).collect()
}

/// The last line about a node.
#[track_caller]
fn last_of(finished: &Finished, name: &str) -> String {
    let lines = lines(finished);
    let of_it = lines.iter().rev().find(|line| line.starts_with(&format!("{name}: ")));
    of_it.unwrap_or_else(|| panic!("nothing about {name} in {lines:?}")).clone()
}

/// The progress of a member, as a node says.
fn progress_of(node: &Node, name: &str) -> Value {
    let answer = node.operate("/scrub").expect(200).json();
    let members = answer["members"].as_array().cloned().unwrap_or_default();
    members.into_iter().find(|member| member["name"] == name).unwrap_or_default()
}

#[test]
fn after_a_scrub_every_copy_is_right_and_each_bad_one_was_counted_once() {
    let first = free_port();
    let cluster = Cluster::with((0..4).map(|number| {
        let (port, join) = if number == 0 { (first, None) } else { (free_port(), Some(first)) };
        Options { shards: 1 + number % 2, ..member(number, port, join) }
    }));
    let images: Vec<_> = (0..BAD_COPIES).map(|seed| jpeg(60, 40, seed as u32)).collect();
    let ids: Vec<_> =
        images.iter().enumerate().map(|(number, bytes)| cluster.nodes[number % 4].upload(bytes)).collect();
    wait_until_within(AT_REST_WITHIN, "each copy to be counted", || {
        cluster.sum("reticulum_images") == (3 * BAD_COPIES) as f64
    });
    for (number, id) in ids.iter().enumerate() {
        let owners = cluster.owners(id);
        let (flipped, deleted) = (owners[number % 3], owners[(number + 1) % 3]);
        flip_a_bit(&cluster.nodes[flipped].stored(id, "jpg"));
        fs::remove_file(cluster.nodes[deleted].stored(id, "jpg")).expect("delete a copy");
    }
    // Reads meet some of them first.
    for (id, bytes) in ids.iter().zip(&images).take(4) {
        for node in &cluster.nodes {
            assert_eq!(node.get(&format!("/image/{id}/full/a.jpg")).expect(200).body, *bytes);
        }
    }
    let finished = scrub(&cluster.nodes[2], &["--wait"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{:?}", lines(&finished));
    for (id, bytes) in ids.iter().zip(&images) {
        for owner in cluster.owners(id) {
            let copy = fs::read(cluster.nodes[owner].stored(id, "jpg"));
            assert!(copy.is_ok_and(|copy| copy == *bytes), "{id} on n{owner}");
        }
    }
    assert_eq!(cluster.sum("reticulum_corrupt_total"), BAD_COPIES as f64);
    assert_eq!(cluster.sum("reticulum_store_vanished_total"), BAD_COPIES as f64);
    assert_eq!(cluster.sum("reticulum_repaired_total"), (2 * BAD_COPIES) as f64);
    let moved = |cause: &str| cluster.sum(&format!("reticulum_moved_bytes_total{{cause=\"{cause}\"}}"));
    let causes = ["repair", "scrub", "move", "handover"].map(moved);
    assert!(causes[1] > causes[0] && causes[0] > 0.0, "{causes:?}");
    assert_eq!(causes.iter().sum::<f64>(), cluster.sum("reticulum_repair_bytes_total"));
    assert_eq!(cluster.sum("reticulum_store_bad_copies") + cluster.sum("reticulum_store_lost_copies"), 0.0);
    for (number, node) in cluster.nodes.iter().enumerate() {
        assert!(last_of(&finished, &format!("n{number}")).ends_with("; all right now"));
        assert_eq!(node.metric("reticulum_scrub_full_pace"), 0.0);
    }
}

#[test]
fn a_member_that_does_not_answer_is_named_and_the_others_are_scrubbed() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[0].upload(&jpeg(60, 40, 1));
    wait_until("all three copies", || cluster.sum("reticulum_images") == 3.0);
    cluster.nodes[2].kill9();
    let node = &cluster.nodes[0];
    let begin = node.ask(&node.with_operator_key(Request::new("POST", "/scrub"))).expect(202).json();
    assert_eq!(begin, json!({ "begun": ["n0", "n1"], "unreachable": ["n2"] }));
    for arguments in [&[][..], &["--wait"]] {
        let finished = scrub(node, arguments);
        assert_eq!(finished.code, Some(1));
        assert!(finished.stderr.contains("n2 did not answer"), "{}", finished.stderr);
        assert!(last_of(&finished, "n0").contains("read"));
    }
    let answer = node.operate("/scrub").expect(200).json();
    assert_eq!(answer["unreachable"], json!(["n2"]));
    for name in ["n0", "n1"] {
        let member = progress_of(node, name);
        assert_eq!(member["running"], false, "{member}");
        assert_eq!(member["last"]["copies"], 1, "{member}");
    }
}

#[test]
fn what_no_node_has_a_good_copy_of_is_named_until_it_is_uploaded_again() {
    let node = Node::plain();
    let (flipped, deleted) = (jpeg(60, 40, 1), jpeg(60, 40, 2));
    for bytes in [&flipped, &deleted] {
        node.upload(bytes);
    }
    wait_until("both to be counted", || node.metric("reticulum_images") == 2.0);
    flip_a_bit(&node.stored(&sha1(&flipped), "jpg"));
    fs::remove_file(node.stored(&sha1(&deleted), "jpg")).expect("delete a copy");
    // A second pass does not find them again, and they are not forgotten.
    for _ in 0..2 {
        let finished = scrub(&node, &["--wait"]);
        assert_eq!(finished.code, Some(1), "{:?}", lines(&finished));
        for bytes in [&flipped, &deleted] {
            assert!(finished.stderr.contains(&sha1(bytes)), "{:?} {}", lines(&finished), finished.stderr);
        }
        assert_eq!(node.metric("reticulum_store_lost_copies"), 2.0);
    }
    for bytes in [&flipped, &deleted] {
        node.upload(bytes);
    }
    let finished = scrub(&node, &["--wait"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{:?}", lines(&finished));
    assert_eq!(node.metric("reticulum_repaired_total"), 2.0);
}
