//! Copies that go wrong in a cluster, and nodes that die in the middle of an upload: the others have what is right.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::client::Request;
use crate::grid::Grid;
use crate::harness::{put, sha1, wait_until};
use crate::links::Fault;
use crate::pictures::jpeg;

const REPAIRED_WITHIN: Duration = Duration::from_secs(60);

fn full(id: &str) -> String {
    format!("/image/{id}/full/a.jpg")
}

fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).expect("read the copy");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("write the copy");
}

#[test]
fn copies_that_were_damaged_are_given_right_by_others_and_replaced() {
    let grid = Grid::start(3);
    for (damaged, seed) in [(&[0][..], 1), (&[1, 2][..], 2)] {
        let bytes = jpeg(60, 40, seed);
        let id = grid.nodes[0].upload(&bytes);
        grid.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
        damaged.iter().for_each(|number| flip_a_bit(&grid.nodes[*number].stored(&id, "jpg")));
        for number in damaged {
            let node = &grid.nodes[*number];
            assert_eq!(node.get(&full(&id)).expect(200).body, bytes);
            let stored = node.stored(&id, "jpg");
            wait_until("a good copy", || fs::read(&stored).is_ok_and(|copy| copy == bytes));
            assert_eq!(node.files("quarantine").len(), 1);
            assert_eq!(node.metric("reticulum_corrupt_total"), 1.0);
            wait_until("the count", || node.metric("reticulum_repaired_total") == 1.0);
        }
    }
    wait_until("no debt to be left", || grid.sum("reticulum_repair_debt_images") == 0.0);
}

#[test]
fn an_image_all_of_whose_copies_are_damaged_is_an_error_everywhere_and_kept_aside() {
    let grid = Grid::start(3);
    let bytes = jpeg(60, 40, 1);
    let id = grid.nodes[0].upload(&bytes);
    grid.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
    grid.nodes.iter().for_each(|node| flip_a_bit(&node.stored(&id, "jpg")));
    for _ in 0..2 {
        for node in &grid.nodes {
            let answer = node.get(&full(&id));
            assert!((500..600).contains(&answer.status), "{answer:?}");
        }
    }
    for node in &grid.nodes {
        // Set aside in the background; once, although several may have seen it at the same moment.
        wait_until("the bad copy to be aside", || node.files("quarantine").len() == 1);
        assert_eq!(node.metric("reticulum_corrupt_total"), 1.0);
    }
    // Whoever has it still may give it again.
    grid.nodes[1].upload(&bytes);
    grid.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
    grid.expect_readable_everywhere(&[bytes]);
}

#[test]
fn an_upload_whose_node_dies_while_it_arrives_was_never_there() {
    let mut grid = Grid::start(3);
    let bytes = jpeg(200, 150, 1);
    let id = sha1(&bytes);
    let mut connection = grid.nodes[0].connect();
    connection.send(&put(&bytes).header("Expect", "100-continue").head());
    assert_eq!(connection.interim_status(), 100);
    connection.send(&bytes[..bytes.len() / 2]);
    grid.nodes[0].kill9();
    for number in [1, 2] {
        grid.nodes[number].get(&full(&id)).problem(404);
    }
    grid.nodes[0].restart();
    grid.nodes[0].wait_until_tmp_is_empty();
    grid.nodes[0].upload(&bytes);
    grid.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
    grid.expect_readable_everywhere(&[bytes]);
}

#[test]
fn an_upload_whose_node_dies_before_it_answers_is_quickly_done_again() {
    let (mut grid, links) = Grid::linked(5);
    let bytes = jpeg(60, 40, 1);
    let id = sha1(&bytes);
    let owners = grid.owners(&id);
    let ingress = (0..5).find(|number| !owners.contains(number)).expect("one of five");
    // Two owners take it, and their answers are lost; the third hears nothing.
    for owner in &owners[..2] {
        links.fault(ingress, *owner, Fault::AnswersHeldAfter(1));
    }
    for number in (0..5).filter(|number| *number != ingress && !owners[..2].contains(number)) {
        links.fault(ingress, number, Fault::AsksHeld);
    }
    let mut connection = grid.nodes[ingress].connect();
    connection.send(&put(&bytes).head());
    connection.send(&bytes);
    wait_until("two copies", || grid.holders(&id).len() >= 2);
    assert!(!connection.has_received(), "nothing is acknowledged");
    grid.nodes[ingress].kill9();
    links.heal();
    // The copies are there, and whoever asks gets them.
    assert_eq!(grid.nodes[owners[2]].get(&full(&id)).expect(200).body, bytes);
    grid.nodes[owners[0]].ask(&put(&bytes)).expect(200);
    grid.nodes[ingress].restart();
    grid.wait_until_at_rest(std::slice::from_ref(&bytes), REPAIRED_WITHIN);
    let head = Request::new("HEAD", &full(&id));
    assert_eq!(grid.nodes[ingress].ask(&head).status, 200);
}
