//! Images in a cluster: where their copies lie, and that every node gives them.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::client::{Answer, Request};
use crate::support::harness::{Node, at_once, put, run, sha1, wait_until};
use crate::support::nodes::{Cluster, alive, status};
use crate::support::pictures::jpeg;

/// The answer to an upload: the names of the nodes that hold it.
fn nodes(answer: &Answer) -> Vec<String> {
    let nodes = answer.json()["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn full(id: &str) -> String {
    format!("/image/{id}/full/a.jpg")
}

/// The nodes of the cluster on whose disk the image lies.
fn holders(cluster: &Cluster, id: &str) -> Vec<usize> {
    let holds = |number: &usize| cluster.nodes[*number].stored(id, "jpg").exists();
    (0..cluster.nodes.len()).filter(holds).collect()
}

fn made(cluster: &Cluster) -> f64 {
    let made = |node: &Node| node.metric("reticulum_resizes_total{outcome=\"ok\"}");
    cluster.nodes.iter().map(made).sum()
}

#[test]
fn an_upload_to_any_node_lies_on_three_and_is_given_by_all() {
    let cluster = Cluster::start(4);
    for (number, node) in cluster.nodes.iter().enumerate() {
        let bytes = jpeg(60, 40, number as u32 + 1);
        let id = sha1(&bytes);
        let answer = node.ask(&put(&bytes)).expect(200);
        assert!(nodes(&answer).len() >= 2, "{answer:?}");
        // The last copy may be on its way still when the answer is there.
        wait_until("three copies", || holders(&cluster, &id).len() == 3);
        for node in &cluster.nodes {
            assert_eq!(node.get(&full(&id)).expect(200).body, bytes);
        }
        assert_eq!(holders(&cluster, &id).len(), 3);
    }
}

/// Id and number of copies of every image that a node lists, read in pages of three.
fn listed(node: &Node) -> Vec<(String, u64)> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = node.operate(&format!("/images?limit=3{after}")).expect(200).json();
        assert!(page.get("unreachable").is_none(), "{page}");
        for image in page["images"].as_array().expect("images") {
            let hash = image["hash"].as_str().expect("a hash").to_owned();
            all.push((hash, image["copies"].as_u64().expect("a number")));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

#[test]
fn every_node_lists_every_image_of_the_cluster_once_with_the_copies_that_there_are() {
    let mut cluster = Cluster::start(5);
    let mut ids: Vec<_> = (0..10_u32).map(|number| cluster.nodes[0].upload(&jpeg(60, 40, number))).collect();
    ids.sort();
    for id in &ids {
        wait_until("three copies", || holders(&cluster, id).len() == 3);
    }
    let all: Vec<_> = ids.iter().map(|id| (id.clone(), 3)).collect();
    for node in &cluster.nodes {
        assert_eq!(listed(node), all);
    }
    // A copy that lies elsewhere counts, too.
    let elsewhere = (0..5).find(|number| !holders(&cluster, &ids[1]).contains(number)).expect("one of five");
    let (from, to) = (holders(&cluster, &ids[1])[0], cluster.nodes[elsewhere].stored(&ids[1], "jpg"));
    fs::create_dir_all(to.parent().expect("a folder")).expect("make");
    fs::copy(cluster.nodes[from].stored(&ids[1], "jpg"), &to).expect("copy");
    assert_eq!(listed(&cluster.nodes[0])[1], (ids[1].clone(), 4));
    fs::remove_file(to).expect("remove");
    // A node that does not answer is named, and its copies are not counted.
    let lost = holders(&cluster, &ids[0])[0];
    let asked = (lost + 1) % 5;
    cluster.nodes[lost].kill9();
    let page = cluster.nodes[asked].operate("/images").expect(200).json();
    assert_eq!(page["unreachable"], serde_json::json!([format!("n{lost}")]));
    let image = &page["images"][0];
    assert_eq!((&image["hash"], &image["copies"]), (&ids[0].as_str().into(), &2.into()));
    let address = format!("http://127.0.0.1:{}", cluster.nodes[asked].port());
    let finished = run(&["ls", "--node", &address]);
    let lines = finished.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert_eq!((finished.code, lines), (Some(1), 10), "{}", finished.stderr);
    assert!(finished.stderr.contains(&format!("no answer from n{lost}")), "{}", finished.stderr);
}

#[test]
fn a_variant_that_all_nodes_are_asked_for_is_made_once() {
    let cluster = Cluster::start(4);
    let bytes = jpeg(600, 400, 1);
    let id = sha1(&bytes);
    cluster.nodes[0].ask(&put(&bytes)).expect(200);
    wait_until("three copies", || holders(&cluster, &id).len() == 3);
    let path = format!("/image/{id}/200w/a.webp");
    let answers = at_once(16, |number| cluster.nodes[number % 4].get(&path).expect(200));
    for answer in &answers {
        assert_eq!((&answer.body, answer.header("etag")), (&answers[0].body, answers[0].header("etag")));
    }
    assert_eq!(made(&cluster), 1.0);
    let stored = |node: &Node| node.files("cache").iter().filter(|path| path.ends_with("webp")).count();
    assert!(cluster.nodes.iter().map(stored).sum::<usize>() <= 1);
}

#[test]
fn reads_and_uploads_go_on_while_a_node_is_away() {
    let mut cluster = Cluster::start(4);
    let before: Vec<_> = (0..8).map(|number| jpeg(60, 40, 10 + number)).collect();
    for bytes in &before {
        cluster.nodes[0].ask(&put(bytes)).expect(200);
    }
    cluster.nodes[3].kill9();
    // Nobody has noticed yet: a node that does not answer is passed over.
    for (number, bytes) in before.iter().enumerate() {
        assert_eq!(cluster.nodes[number % 3].get(&full(&sha1(bytes))).expect(200).body, *bytes);
    }
    let after: Vec<_> = (0..8).map(|number| jpeg(60, 40, 30 + number)).collect();
    for (number, bytes) in after.iter().enumerate() {
        let answer = cluster.nodes[number % 3].ask(&put(bytes)).expect(200);
        assert!(!nodes(&answer).contains(&"n3".to_owned()), "{answer:?}");
    }
    wait_until("the node to be seen down", || alive(&status(&cluster.nodes[0])).len() == 3);
    let none = cluster.nodes[0].get(&full("da39a3ee5e6b4b0d3255bfef95601890afd80709"));
    assert_eq!(none.status, 404, "one node of four that is away cannot hide an image with two copies");
    for bytes in before.iter().chain(&after) {
        assert_eq!(cluster.nodes[1].get(&full(&sha1(bytes))).expect(200).body, *bytes);
    }
    cluster.nodes[3].restart();
    cluster.wait_until_whole();
    for bytes in before.iter().chain(&after) {
        assert_eq!(cluster.nodes[3].get(&full(&sha1(bytes))).expect(200).body, *bytes);
    }
    // What fallbacks took in its place is handed over, and goes from where it does not belong.
    wait_until("no stray to be left", || {
        cluster.nodes.iter().all(|node| node.metric("reticulum_repair_debt_images") == 0.0)
    });
    for bytes in &after {
        assert_eq!(holders(&cluster, &sha1(bytes)).len(), 3);
    }
}

#[test]
fn a_node_that_hangs_holds_up_neither_reads_nor_uploads() {
    let cluster = Cluster::start(4);
    let before: Vec<_> = (0..6).map(|number| jpeg(60, 40, 10 + number)).collect();
    for bytes in &before {
        cluster.nodes[0].ask(&put(bytes)).expect(200);
        wait_until("three copies", || holders(&cluster, &sha1(bytes)).len() == 3);
    }
    cluster.nodes[3].signal(Signal::STOP);
    for (number, bytes) in before.iter().enumerate() {
        assert_eq!(cluster.nodes[number % 3].get(&full(&sha1(bytes))).expect(200).body, *bytes);
        cluster.nodes[number % 3].ask(&put(&jpeg(60, 40, 30 + number as u32))).expect(200);
    }
    wait_until("the node to be seen down", || alive(&status(&cluster.nodes[0])).len() == 3);
    for (number, bytes) in before.iter().enumerate() {
        cluster.nodes[number % 3].get(&format!("/image/{}/20w/a.jpg", sha1(bytes))).expect(200);
    }
    cluster.nodes[3].signal(Signal::CONT);
    cluster.wait_until_whole();
    for bytes in &before {
        assert_eq!(cluster.nodes[3].get(&full(&sha1(bytes))).expect(200).body, *bytes);
    }
}

#[test]
fn a_member_that_hangs_takes_no_place_of_the_uploads_at_once_and_gets_its_copies_later() {
    let (cluster, _links) = Cluster::linked_with(3, "[limits]\nuploads = 2\n");
    cluster.nodes[2].signal(Signal::STOP);
    let taken: Vec<_> = (0..8).map(|number| jpeg(60, 40, 10 + number)).collect();
    for bytes in &taken {
        let answer = cluster.nodes[0].ask(&put(bytes)).expect(200);
        let mut holders = nodes(&answer);
        holders.sort();
        assert_eq!(holders, ["n0", "n1"]);
    }
    cluster.nodes[2].signal(Signal::CONT);
    cluster.wait_until_whole();
    wait_until("all copies", || taken.iter().all(|bytes| holders(&cluster, &sha1(bytes)).len() == 3));
}

#[test]
fn fault_23_a_node_that_is_busy_is_passed_over_once_and_not_taken_for_dead() {
    let (cluster, _links) = Cluster::linked_with(4, "[limits]\nresize_queue = 1\n");
    let bytes = jpeg(1500, 1000, 1);
    let id = cluster.nodes[0].upload(&bytes);
    let owners = cluster.owners(&id);
    let far = (0..4).find(|number| !owners.contains(number)).expect("one of four");
    let refusals = || -> Vec<f64> {
        let refused = "reticulum_http_requests_total{route=\"peer\",status=\"503\"}";
        owners.iter().map(|owner| cluster.nodes[*owner].metric(refused)).collect()
    };
    // However quick the owners, some round meets full queues.
    let mut asked = 0;
    for round in 0..20 {
        let answers = at_once(24, |number| {
            let width = 600 + 24 * round + number;
            cluster.nodes[far].get(&format!("/image/{id}/{width}w/a.png"))
        });
        asked += answers.len();
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!((answer.status, answer.json()["type"].as_str()), (503, Some("busy")), "{answer:?}");
            answer.retry_after();
        }
        if answers.iter().any(|answer| answer.status == 503) {
            break;
        }
    }
    let refusals = refusals();
    assert!(refusals.iter().any(|count| *count > 0.0), "{refusals:?}");
    assert!(refusals.iter().all(|count| *count <= asked as f64), "asked again: {refusals:?} of {asked}");
    assert_eq!(cluster.nodes[far].get(&full(&id)).expect(200).body, bytes);
    for node in &cluster.nodes {
        assert!(!node.log().contains("a member does not answer"), "{}", node.log());
        assert_eq!(alive(&status(node)).len(), 4);
    }
}

#[test]
fn the_same_bytes_again_are_a_quick_success_anywhere() {
    let cluster = Cluster::start(4);
    let bytes = jpeg(60, 40, 3);
    let id = sha1(&bytes);
    cluster.nodes[0].ask(&put(&bytes)).expect(200);
    wait_until("three copies", || holders(&cluster, &id).len() == 3);
    let date = cluster.nodes[0].get(&full(&id)).expect(200).expect_header("last-modified").to_owned();
    for node in &cluster.nodes {
        node.ask(&put(&bytes)).expect(200);
        assert_eq!(node.get(&full(&id)).expect(200).expect_header("last-modified"), date);
    }
    assert_eq!(holders(&cluster, &id).len(), 3);
}

#[test]
fn what_may_be_on_nodes_that_are_away_is_no_404() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[1].kill9();
    cluster.nodes[2].kill9();
    let path = full("da39a3ee5e6b4b0d3255bfef95601890afd80709");
    let answer = cluster.nodes[0].get(&path).expect(503);
    assert_eq!(answer.json()["type"], "absence-unproven");
    let bytes = jpeg(60, 40, 7);
    let answer = cluster.nodes[0].ask(&put(&bytes)).expect(503);
    assert_eq!(
        (answer.json()["type"].as_str(), nodes(&answer)),
        (Some("too-few-copies"), vec!["n0".to_owned()])
    );
    // One is back, and a retry does.
    cluster.nodes[1].restart();
    wait_until("a retry to be answered", || cluster.nodes[0].ask(&put(&bytes)).status == 200);
    let head = Request::new("HEAD", &full(&sha1(&bytes)));
    assert_eq!(cluster.nodes[1].ask(&head).status, 200);
}
