//! Links at fault: cut, one way only, stalled, changing what passes. Nothing wrong is stored or given, what is
//! acknowledged lies on enough nodes, and all is well soon after they are mended.

use std::time::{Duration, Instant};

use crate::support::client::{Answer, Request};
use crate::support::harness::{Node, put, sha1, wait_until};
use crate::support::links::{Fault, Links};
use crate::support::nodes::{Cluster, alive, status};
use crate::support::pictures::{Picture, jpeg, large_png};

/// How soon all is well again.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

fn full(id: &str) -> String {
    format!("/image/{id}/full/a.jpg")
}

/// The names of the nodes that hold an upload, by its answer.
fn nodes(answer: &Answer) -> Vec<String> {
    let nodes = answer.json()["nodes"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<_> = nodes.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

fn images(seeds: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    seeds.map(|seed| jpeg(32, 24, seed)).collect()
}

/// Mends the links and panics unless all is well soon: all see each other, and these images lie where they should.
#[track_caller]
fn expect_healed(cluster: &Cluster, links: &Links, images: &[Vec<u8>]) {
    links.heal();
    let begin = Instant::now();
    cluster.wait_until_whole_within(HEALED_WITHIN);
    cluster.wait_until_at_rest(images, HEALED_WITHIN.saturating_sub(begin.elapsed()));
    cluster.expect_readable_everywhere(images);
    for node in &cluster.nodes {
        node.expect_store_is_whole();
        node.wait_until_tmp_is_empty();
    }
    wait_until("no debt to be left", || cluster.sum("reticulum_repair_debt_images") == 0.0);
}

#[track_caller]
fn expect_unproven(node: &Node, id: &str) {
    let answer = node.get(&full(id)).expect(503);
    assert_eq!(answer.json()["type"], "absence-unproven", "{answer:?}");
}

/// An id of nothing, whose owners are all, or not all, of these.
fn unknown(cluster: &Cluster, all_of: &[usize], is_all: bool) -> String {
    let mut ids = (0..).map(|number: u32| sha1(&number.to_be_bytes()));
    ids.find(|id| cluster.owners(id).iter().all(|owner| all_of.contains(owner)) == is_all)
        .expect("one of all")
}

#[test]
fn a_node_that_is_cut_off_acknowledges_nothing_and_gives_what_it_has() {
    let (cluster, links) = Cluster::linked(3);
    let mut all = images(0..5);
    cluster.nodes[2].upload(&all[0]);
    cluster.wait_until_at_rest(&all[..1], HEALED_WITHIN);
    links.part(&[0], &[1, 2]);
    // Before anybody has noticed, and after.
    for (seen, bytes) in [&all[1..3], &all[3..5]].into_iter().enumerate() {
        let refused = cluster.nodes[0].ask(&put(&bytes[0])).expect(503);
        assert_eq!(
            (refused.json()["type"].as_str(), nodes(&refused)),
            (Some("too-few-copies"), vec!["n0".into()])
        );
        let taken = cluster.nodes[1].ask(&put(&bytes[1])).expect(200);
        assert_eq!(nodes(&taken), ["n1", "n2"]);
        assert_eq!(cluster.nodes[0].get(&full(&sha1(&all[0]))).expect(200).body, all[0]);
        expect_unproven(&cluster.nodes[0], &sha1(b"nothing"));
        let begin = Instant::now();
        cluster.nodes[1].get(&full(&sha1(b"nothing"))).problem(404);
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        if seen == 0 {
            for (number, left) in [(0, 1), (1, 2), (2, 2)] {
                wait_until("the cut to be seen", || alive(&status(&cluster.nodes[number])).len() == left);
            }
        }
    }
    // What was refused may have left a copy; it is spread like any other.
    all.sort();
    expect_healed(&cluster, &links, &all);
}

#[test]
fn fault_14_each_side_of_a_partition_acknowledges_what_it_may_and_loses_nothing() {
    let (cluster, links) = Cluster::linked(5);
    let (most, few) = ([0, 1, 2], [3, 4]);
    links.part(&most, &few);
    for (side, count) in [(&most[..], 3), (&few[..], 2)] {
        for number in side {
            wait_until("the cut to be seen", || alive(&status(&cluster.nodes[*number])).len() == count);
        }
    }
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    // Of ten images one has all its owners on the side of three; that one should come to the other side.
    let lies_far = |bytes: &Vec<u8>| cluster.owners(&sha1(bytes)) == most;
    let far = images(1000..2000).into_iter().find(lies_far).expect("one of ten");
    for (number, bytes) in images(0..23).into_iter().chain([far]).enumerate() {
        let side = if number % 2 == 0 { &most[..] } else { &few[..] };
        let node = &cluster.nodes[side[number / 2 % side.len()]];
        let may = cluster.owners(&sha1(&bytes)).iter().any(|owner| side.contains(owner));
        let answer = node.ask(&put(&bytes));
        assert_eq!(answer.status, if may { 200 } else { 503 }, "{answer:?}");
        let names: Vec<_> = side.iter().map(|number| format!("n{number}")).collect();
        assert!(nodes(&answer).iter().all(|name| names.contains(name)), "{answer:?}");
        if may {
            acknowledged.push(bytes);
        } else {
            refused += 1;
        }
    }
    assert!(refused > 0, "none of the images has all its owners on the far side");
    cluster.nodes[0].get(&full(&unknown(&cluster, &most, true))).problem(404);
    expect_unproven(&cluster.nodes[0], &unknown(&cluster, &most, false));
    expect_unproven(&cluster.nodes[3], &unknown(&cluster, &most, false));
    expect_healed(&cluster, &links, &acknowledged);
}

#[test]
fn a_link_that_loses_one_way_keeps_nobody_from_reading_or_uploading() {
    let (cluster, links) = Cluster::linked(5);
    let all = images(0..20);
    links.lose(0, 1);
    for (number, bytes) in all.iter().enumerate() {
        cluster.nodes[number % 5].ask(&put(bytes)).expect(200);
    }
    cluster.expect_readable_everywhere(&all);
    for node in &cluster.nodes {
        // The others say that both are there.
        assert!(!node.log().contains("a member does not answer"), "{}", node.log());
    }
    expect_healed(&cluster, &links, &all);
}

#[test]
fn links_that_are_late_cost_time_and_no_image() {
    let (cluster, links) = Cluster::linked(4);
    let all = images(0..4);
    for other in 1..4 {
        links.fault(0, other, Fault::Late(Duration::from_millis(300)));
        links.fault(other, 0, Fault::Late(Duration::from_millis(300)));
    }
    for (number, bytes) in all.iter().enumerate() {
        cluster.nodes[number].ask(&put(bytes)).expect(200);
    }
    cluster.expect_readable_everywhere(&all);
    for node in &cluster.nodes {
        assert!(!node.log().contains("a member does not answer"), "{}", node.log());
    }
    expect_healed(&cluster, &links, &all);
}

#[test]
fn what_is_changed_on_the_way_is_neither_stored_nor_given() {
    let (cluster, links) = Cluster::linked(4);
    let pictures = |seeds: std::ops::Range<u32>| seeds.map(|seed| Picture::noise(60, 60, seed).jpeg());
    let known: Vec<_> = pictures(0..12).collect();
    for bytes in &known {
        cluster.nodes[3].upload(bytes);
    }
    links.fault(0, 1, Fault::AsksChanged);
    links.fault(0, 2, Fault::AnswersChanged);
    let mut all = known.clone();
    for bytes in pictures(100..112) {
        if cluster.nodes[0].ask(&put(&bytes)).status == 200 {
            all.push(bytes);
        }
    }
    for bytes in &known {
        let answer = cluster.nodes[0].get(&full(&sha1(bytes)));
        assert!(answer.status == 503 || (answer.status == 200 && answer.body == *bytes), "{answer:?}");
    }
    assert!(cluster.nodes[1].metric("reticulum_mesh_refused_total") > 0.0, "something was changed");
    expect_healed(&cluster, &links, &all);
    for node in &cluster.nodes {
        assert_eq!(node.files("quarantine"), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn an_image_that_stalls_on_its_way_ends_unfinished_and_harms_no_other() {
    let (cluster, links) = Cluster::linked(4);
    let bytes = large_png(1);
    let id = cluster.nodes[0].upload(&bytes);
    let owners = cluster.owners(&id);
    let far = (0..4).find(|number| !owners.contains(number)).expect("one of four");
    wait_until("three copies", || {
        owners.iter().all(|owner| cluster.nodes[*owner].stored(&id, "png").exists())
    });
    for owner in &owners {
        links.fault(far, *owner, Fault::AnswersHeldAfter(400 << 10));
    }
    let path = format!("/image/{id}/full/a.png");
    let mut stalled = cluster.nodes[far].connect();
    stalled.send(&Request::get(&path).head());
    wait_until("the beginning", || stalled.has_received());
    cluster.nodes[far].get("/readyz").expect(200);
    let other = jpeg(32, 24, 1);
    cluster.nodes[far].upload(&other);
    assert_eq!(cluster.nodes[far].get(&full(&sha1(&other))).expect(200).body, other);
    let received = stalled.read_until_closed();
    assert!(received.starts_with(b"HTTP/1.1 200") && received.len() < bytes.len(), "{}", received.len());
    links.heal();
    assert!(cluster.nodes[far].get(&path).expect(200).body == bytes);
}
