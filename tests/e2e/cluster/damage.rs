//! Copies that go wrong in a cluster, and nodes that die in the middle of an upload: the others have what is right.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::support::client::Request;
use crate::support::harness::{free_port, put, sha1, wait_until, wait_until_within};
use crate::support::links::Fault;
use crate::support::nodes::{Cluster, alive, member_with, status};
use crate::support::pictures::jpeg;

const REPAIRED_WITHIN: Duration = Duration::from_secs(60);

fn full(id: &str) -> String {
    format!("/image/{id}/full/a.jpg")
}

/// So that it can be seen: a node trusts a copy that it has verified while the file's change time stays, which has
/// the resolution of the kernel's clock ticks.
pub(super) fn flip_a_bit(path: &Path) {
    let changed = || fs::metadata(path).map(|it| (it.ctime(), it.ctime_nsec())).expect("a copy");
    let before = changed();
    let mut bytes = fs::read(path).expect("read the copy");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    wait_until("a tick of the clock", || {
        fs::write(path, &bytes).expect("write the copy");
        changed() != before
    });
}

/// Uploads an image to a cluster of three and waits until every node has finished with its copy, so that whatever is done
/// to the file from now on is done to one that it knows. `count`: images on each node with this one.
fn upload_to_all(cluster: &Cluster, bytes: &[u8], count: usize) -> String {
    let id = cluster.nodes[0].upload(bytes);
    for node in &cluster.nodes {
        wait_until("each node to count its copy", || node.metric("reticulum_images") == count as f64);
    }
    id
}

#[test]
fn fault_9_copies_that_were_damaged_are_given_right_by_others_and_replaced() {
    let cluster = Cluster::start(3);
    for (damaged, count) in [(&[0][..], 1), (&[1, 2][..], 2)] {
        let bytes = jpeg(60, 40, count as u32);
        let id = upload_to_all(&cluster, &bytes, count);
        damaged.iter().for_each(|number| flip_a_bit(&cluster.nodes[*number].stored(&id, "jpg")));
        for number in damaged {
            let node = &cluster.nodes[*number];
            assert_eq!(node.get(&full(&id)).expect(200).body, bytes);
            let stored = node.stored(&id, "jpg");
            wait_until("a good copy", || fs::read(&stored).is_ok_and(|copy| copy == bytes));
            assert_eq!(node.files("quarantine").len(), 1);
            assert_eq!(node.metric("reticulum_corrupt_total"), 1.0);
            wait_until("the count", || node.metric("reticulum_repaired_total") == 1.0);
        }
    }
    wait_until("no debt to be left", || cluster.sum("reticulum_repair_debt_images") == 0.0);
}

#[test]
fn a_copy_that_was_damaged_is_replaced_though_nobody_asks_for_it() {
    let ports: Vec<_> = (0..3).map(|_| free_port()).collect();
    let join = |number| (number > 0).then_some(ports[0]);
    let scrub = "[limits]\nscrub_every = \"5s\"\n";
    let cluster = Cluster::with((0..3).map(|number| member_with(number, ports[number], join(number), scrub)));
    let bytes = jpeg(60, 40, 1);
    let id = upload_to_all(&cluster, &bytes, 1);
    let node = &cluster.nodes[0];
    let stored = node.stored(&id, "jpg");
    flip_a_bit(&stored);
    wait_until_within(REPAIRED_WITHIN, "a good copy", || fs::read(&stored).is_ok_and(|copy| copy == bytes));
    assert_eq!(node.files("quarantine").len(), 1);
    assert_eq!(node.metric("reticulum_corrupt_total"), 1.0);
    wait_until("the scrub to tell of a whole pass", || {
        node.metric("reticulum_scrubbed_total") > 0.0 && node.log().contains("the scrub has read all copies")
    });
}

#[test]
fn fault_10_an_image_all_of_whose_copies_are_damaged_is_an_error_everywhere_and_kept_aside() {
    let cluster = Cluster::start(3);
    let bytes = jpeg(60, 40, 1);
    let id = upload_to_all(&cluster, &bytes, 1);
    cluster.nodes.iter().for_each(|node| flip_a_bit(&node.stored(&id, "jpg")));
    for _ in 0..2 {
        for node in &cluster.nodes {
            let answer = node.get(&full(&id));
            assert!((500..600).contains(&answer.status), "{answer:?}");
        }
    }
    for node in &cluster.nodes {
        // Set aside in the background; once, although several may have seen it at the same moment.
        wait_until("the bad copy to be aside", || node.files("quarantine").len() == 1);
        assert_eq!(node.metric("reticulum_corrupt_total"), 1.0);
    }
    // A node that has it still may give it again.
    cluster.nodes[1].upload(&bytes);
    cluster.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
    cluster.expect_readable_everywhere(&[bytes]);
}

#[test]
fn fault_1_an_upload_whose_node_dies_while_it_arrives_was_never_there() {
    let mut cluster = Cluster::start(3);
    let bytes = jpeg(200, 150, 1);
    let id = sha1(&bytes);
    let mut connection = cluster.nodes[0].connect();
    connection.send(&put(&bytes).header("Expect", "100-continue").head());
    assert_eq!(connection.interim_status(), 100);
    connection.send(&bytes[..bytes.len() / 2]);
    cluster.nodes[0].kill9();
    for number in [1, 2] {
        cluster.nodes[number].get(&full(&id)).problem(404);
    }
    cluster.nodes[0].restart();
    cluster.nodes[0].wait_until_tmp_is_empty();
    cluster.nodes[0].upload(&bytes);
    cluster.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
    cluster.expect_readable_everywhere(&[bytes]);
}

#[test]
fn fault_5_an_upload_whose_node_dies_before_it_answers_is_quickly_done_again() {
    let (mut cluster, links) = Cluster::linked(5);
    let bytes = jpeg(60, 40, 1);
    let id = sha1(&bytes);
    let owners = cluster.owners(&id);
    let ingress = (0..5).find(|number| !owners.contains(number)).expect("one of five");
    // Two owners take it, and their answers are lost; the third hears nothing.
    for owner in &owners[..2] {
        links.fault(ingress, *owner, Fault::AnswersHeldAfter(1));
    }
    for number in (0..5).filter(|number| *number != ingress && !owners[..2].contains(number)) {
        links.fault(ingress, number, Fault::AsksHeld);
    }
    let mut connection = cluster.nodes[ingress].connect();
    connection.send(&put(&bytes).head());
    connection.send(&bytes);
    wait_until("two copies", || cluster.holders(&id).len() >= 2);
    assert!(!connection.has_received(), "nothing is acknowledged");
    cluster.nodes[ingress].kill9();
    links.heal();
    // The copies are there, and every client gets them.
    assert_eq!(cluster.nodes[owners[2]].get(&full(&id)).expect(200).body, bytes);
    cluster.nodes[owners[0]].ask(&put(&bytes)).expect(200);
    cluster.nodes[ingress].restart();
    cluster.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
    let head = Request::new("HEAD", &full(&id));
    assert_eq!(cluster.nodes[ingress].ask(&head).status, 200);
}

#[test]
fn fault_20_what_a_store_had_before_it_was_emptied_is_never_called_absent() {
    [false, true].into_iter().for_each(nothing_is_absent_that_was_on_emptied_stores);
}

/// With what the node knew of its cluster, or without it: then it hears from the others that it was in sync.
fn nothing_is_absent_that_was_on_emptied_stores(and_the_layout: bool) {
    let mut cluster = Cluster::start(5);
    let pictures = (0..).map(|seed| jpeg(60, 40, seed));
    // The founder joins nobody, so that it could not be given its layout again.
    let mut on_others = pictures.filter(|bytes| !cluster.owners(&sha1(bytes)).contains(&0));
    let bytes = on_others.next().expect("one of many");
    let id = cluster.nodes[0].upload(&bytes);
    let owners = cluster.owners(&id);
    for owner in &owners {
        wait_until("each owner to count its copy", || {
            cluster.nodes[*owner].metric("reticulum_images") == 1.0
        });
    }
    for owner in &owners[..2] {
        let node = &mut cluster.nodes[*owner];
        node.kill9();
        // A node without the folder itself would not start: the disk may not be mounted.
        fs::remove_dir_all(node.data().join("store").join(&id[..2])).expect("empty the store");
        // By its manifests it would take its copies again at once.
        fs::remove_dir_all(node.data().join("meta/manifests")).expect("forget the images");
        if and_the_layout {
            fs::remove_file(node.data().join("meta/layout")).expect("forget the layout");
        }
    }
    // Else they would take their copies again from the last owner.
    cluster.nodes[owners[2]].kill9();
    owners[..2].iter().for_each(|owner| cluster.nodes[*owner].restart());
    let running: Vec<_> = (0..5).filter(|number| *number != owners[2]).collect();
    for number in &running {
        wait_until("four to answer", || alive(&status(&cluster.nodes[*number])).len() == 4);
    }
    for number in running {
        // Whatever is known of who is alive: 503 from the first moment on.
        let answer = cluster.nodes[number].get(&full(&id)).expect(503);
        assert_eq!(answer.json()["type"], "absence-unproven", "{answer:?}");
    }
    cluster.nodes[owners[2]].restart();
    for node in &cluster.nodes {
        wait_until("all to answer", || alive(&status(node)).len() == 5);
    }
    cluster.expect_readable_everywhere(&[bytes]);
}
