//! Deleting in a cluster: 410 on every node, also on those that were away, and nothing of it left anywhere.

use std::time::Duration;

use crate::api::access::kind;
use crate::api::deletes::{ask, expect_gone, files_of, urls};
use crate::support::harness::{Node, OPERATOR_KEY, at_once, put, run, sha1, wait_until, wait_until_within};
use crate::support::nodes::Cluster;
use crate::support::pictures::jpeg;

/// Within this time a node that is back must know of what was deleted while it was away.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// Uploads an image and waits until each of three nodes has its copy and variants of it.
#[track_caller]
fn upload(cluster: &Cluster, bytes: &[u8]) -> String {
    let id = cluster.nodes[0].upload(bytes);
    let count = cluster.owners(&id).len();
    wait_until("all copies", || cluster.holders(&id).len() == count);
    for node in &cluster.nodes {
        urls(&id).iter().for_each(|url| drop(node.get(url).expect(200)));
    }
    id
}

fn delete(node: &Node, id: &str) -> serde_json::Value {
    ask(node, "DELETE", &format!("/image/{id}"), OPERATOR_KEY).expect(202).json()
}

fn status(node: &Node, id: &str) -> serde_json::Value {
    ask(node, "GET", &format!("/erasure/{id}"), OPERATOR_KEY).expect(200).json()
}

/// Whether a node answers 410 on every URL of an image.
fn is_gone(node: &Node, id: &str) -> bool {
    urls(id).iter().all(|url| node.get(url).status == 410)
}

/// Waits until every node answers 410 and has no file of the image.
#[track_caller]
fn wait_until_gone(cluster: &Cluster, id: &str) {
    for node in &cluster.nodes {
        wait_until("each node to answer 410", || is_gone(node, id));
        wait_until("no file to be left", || files_of(&node.data(), id).is_empty());
    }
}

/// Panics unless no node has a file of the image.
#[track_caller]
fn expect_no_file(nodes: &[Node], id: &str) {
    for node in nodes {
        let files = files_of(&node.data(), id);
        assert!(files.is_empty(), "{files:?}");
    }
}

#[test]
fn a_deleted_image_is_410_on_every_node_at_once_and_an_upload_anywhere_brings_it_back() {
    let cluster = Cluster::start(4);
    let bytes = jpeg(60, 40, 1);
    let id = upload(&cluster, &bytes);
    let answer = delete(&cluster.nodes[3], &id);
    assert_eq!(answer["hash"], id.as_str());
    let listed = cluster.nodes[3].operate("/images").expect(200).json();
    assert_eq!(listed["images"], serde_json::json!([]), "its files may be on their way out");
    let all = serde_json::json!(["n0", "n1", "n2", "n3"]);
    for node in &cluster.nodes {
        wait_until("each node to answer 410", || is_gone(node, &id));
        expect_gone(node, &id);
        wait_until("all nodes to confirm", || status(node, &id)["erased"] == all);
        assert_eq!(status(node, &id)["pending"], serde_json::json!([]));
    }
    expect_no_file(&cluster.nodes, &id);
    assert_eq!(cluster.sum("reticulum_tombstones"), 4.0);
    cluster.nodes[2].ask(&put(&bytes)).expect(200);
    wait_until("all copies", || cluster.holders(&id) == cluster.owners(&id));
    for node in &cluster.nodes {
        wait_until("each node to give it again", || node.get(&urls(&id)[0]).status == 200);
        assert_eq!(node.get(&urls(&id)[2]).expect(200).status, 200);
        ask(node, "GET", &format!("/erasure/{id}"), OPERATOR_KEY).problem(404);
    }
    // The second deletion is above the upload.
    delete(&cluster.nodes[1], &id);
    wait_until_gone(&cluster, &id);
}

#[test]
fn fault_18_a_node_that_was_away_hears_of_a_deletion_and_nothing_brings_the_image_back() {
    let mut cluster = Cluster::start(3);
    let images: Vec<_> = (1..=4).map(|seed| jpeg(60, 40, seed)).collect();
    let ids: Vec<_> = images.iter().map(|bytes| upload(&cluster, bytes)).collect();
    cluster.nodes[0].kill9();
    for id in &ids[..3] {
        let answer = delete(&cluster.nodes[1], id);
        assert!(answer["pending"].to_string().contains("n0"), "{answer}");
    }
    // One of them is uploaded again, with the node still away.
    cluster.nodes[2].ask(&put(&images[2])).expect(200);
    cluster.nodes[0].restart();
    for node in &cluster.nodes {
        for id in &ids[..2] {
            wait_until_within(KNOWN_WITHIN, "410 on every node", || is_gone(node, id));
            wait_until_within(KNOWN_WITHIN, "no file to be left", || files_of(&node.data(), id).is_empty());
        }
    }
    for id in &ids[..2] {
        wait_until("all to confirm", || status(&cluster.nodes[0], id)["pending"] == serde_json::json!([]));
    }
    // After a restart of all nodes at once it is the same.
    for node in &mut cluster.nodes {
        node.kill9();
    }
    for node in &mut cluster.nodes {
        node.restart_unready();
    }
    cluster.wait_until_whole();
    for node in &cluster.nodes {
        ids[..2].iter().for_each(|id| expect_gone(node, id));
    }
    for id in &ids[..2] {
        expect_no_file(&cluster.nodes, id);
    }
    cluster.expect_readable_everywhere(&images[2..]);
}

#[test]
fn too_few_owners_refuse_a_deletion_and_a_ban_holds_on_every_node() {
    let mut cluster = Cluster::start(3);
    let bytes = jpeg(60, 40, 1);
    let id = upload(&cluster, &bytes);
    let image = format!("/image/{id}");
    ask(&cluster.nodes[2], "DELETE", &format!("{image}?ban"), OPERATOR_KEY).expect(202);
    for node in &cluster.nodes {
        wait_until("each node to answer 410", || is_gone(node, &id));
        assert_eq!(kind(&node.ask(&put(&bytes)), 410), "banned");
    }
    ask(&cluster.nodes[1], "POST", &format!("{image}?undelete"), OPERATOR_KEY).expect(200);
    for node in &cluster.nodes {
        wait_until("each node to take it", || node.ask(&put(&bytes)).status == 200);
    }
    wait_until("all copies", || cluster.holders(&id).len() == 3);
    cluster.nodes[0].kill9();
    cluster.nodes[1].kill9();
    let refused = || ask(&cluster.nodes[2], "DELETE", &image, OPERATOR_KEY);
    wait_until("the others to be missed", || refused().status == 503);
    assert_eq!(kind(&refused(), 503), "too-few-records");
    for node in &mut cluster.nodes[..2] {
        node.restart();
    }
    // It happens all the same.
    for node in &cluster.nodes {
        wait_until_within(KNOWN_WITHIN, "410 on every node", || is_gone(node, &id));
    }
}

#[test]
fn deletions_and_uploads_through_all_nodes_at_once_leave_the_last_one() {
    let cluster = Cluster::start(3);
    let bytes = jpeg(60, 40, 1);
    let id = upload(&cluster, &bytes);
    for round in 0..4 {
        let statuses = at_once(6, |number| {
            let node = &cluster.nodes[number % 3];
            if number < 3 {
                ask(node, "DELETE", &format!("/image/{id}"), OPERATOR_KEY).status
            } else {
                node.ask(&put(&bytes)).status
            }
        });
        let is_clear = |status: &u16| [200, 202, 410, 503].contains(status);
        assert!(statuses.iter().all(is_clear), "{statuses:?}");
        if round % 2 == 0 {
            wait_until("an upload to be taken", || cluster.nodes[0].ask(&put(&bytes)).status == 200);
            for node in &cluster.nodes {
                wait_until("each node to give it", || node.get(&urls(&id)[0]).status == 200);
            }
        } else {
            delete(&cluster.nodes[1], &id);
            wait_until_gone(&cluster, &id);
        }
    }
}

#[test]
fn a_purge_reaches_every_node() {
    let cluster = Cluster::start(3);
    let bytes = jpeg(60, 40, 1);
    let id = upload(&cluster, &bytes);
    let variants =
        || cluster.nodes.iter().map(|node| files_of(&node.data().join("cache"), &id).len()).sum::<usize>();
    wait_until("variants on disk", || variants() > 0);
    ask(&cluster.nodes[1], "POST", &format!("/purge/{id}"), OPERATOR_KEY).expect(204);
    assert_eq!((variants(), cluster.holders(&id).len()), (0, 3));
    let before = cluster.sum("reticulum_resizes_total{outcome=\"ok\"}");
    cluster.nodes[0].get(&urls(&id)[2]).expect(200);
    assert_eq!(cluster.sum("reticulum_resizes_total{outcome=\"ok\"}"), before + 1.0, "it is made again");
    assert_eq!(sha1(&bytes), id);
}

#[test]
fn a_removed_node_comes_back_as_a_new_one_and_serves_nothing_of_what_it_held() {
    let mut node = Node::plain();
    let (bytes, other) = (jpeg(60, 40, 1), jpeg(60, 40, 2));
    let (id, kept) = (node.upload(&bytes), node.upload(&other));
    let identity = || std::fs::read_to_string(node.data().join("node.id")).expect("an identity");
    let before = identity();
    let number = before.lines().find_map(|line| line.strip_prefix("id ")).expect("an id").to_owned();
    let data = node.data();
    let rejoin = || run(&["rejoin", "--data", data.to_str().expect("UTF-8")]);
    let refused = rejoin();
    assert!(refused.code == Some(1) && refused.stderr.contains("in use"), "{}", refused.stderr);
    assert_eq!(node.terminate(), Some(0));
    let refused = rejoin();
    assert!(refused.code == Some(1) && refused.stderr.contains("not removed"), "{}", refused.stderr);
    // As it notes what its cluster says.
    std::fs::write(data.join("meta/removed"), &number).expect("write");
    assert_eq!(rejoin().code, Some(0));
    node.restart();
    assert_ne!(std::fs::read_to_string(data.join("node.id")).expect("an identity"), before);
    for id in [&id, &kept] {
        node.get(&urls(id)[0]).problem(404);
        assert_eq!(files_of(&data.join("lost+found"), id).len(), 1);
    }
    wait_until("no image to be counted", || node.metric("reticulum_images") == 0.0);
    // Deleted images go from there, too.
    delete(&node, &id);
    wait_until("no file to be left", || files_of(&data, &id).is_empty());
    assert_eq!(files_of(&data.join("lost+found"), &kept).len(), 1);
    assert_eq!(node.upload(&other), kept);
    assert_eq!(node.get(&urls(&kept)[0]).expect(200).body, other);
}
