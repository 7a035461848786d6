//! Manifests: a node serves whatever becomes of them, and knows what it has.

use std::fs;
use std::path::Path;

use crate::support::harness::{Node, wait_until};
use crate::support::pictures::jpeg;

/// The damage to the folder of the manifests while the node is down.
const DAMAGES: [fn(&Path); 4] = [
    |folder| fs::remove_dir_all(folder).expect("remove"),
    |folder| each(folder, |_| b"garbage".to_vec()),
    |folder| each(folder, |whole| whole[..whole.len() / 2].to_vec()),
    |folder| each(folder, |whole| [whole, &[0; 7]].concat()),
];

fn each(folder: &Path, change: impl Fn(&[u8]) -> Vec<u8>) {
    for entry in fs::read_dir(folder).expect("list") {
        let path = entry.expect("list").path();
        let whole = fs::read(&path).expect("read");
        fs::write(&path, change(&whole)).expect("write");
    }
}

#[test]
fn fault_31_a_node_whose_manifests_are_gone_or_damaged_serves_at_once_and_counts_its_images_again() {
    let mut node = Node::with_shards(2);
    let ids: Vec<_> = (0..6).map(|seed| node.upload(&jpeg(60, 40, seed))).collect();
    for (number, damage) in DAMAGES.iter().enumerate() {
        if number % 2 == 0 {
            assert_eq!(node.terminate(), Some(0));
        } else {
            node.kill9();
        }
        damage(&node.data().join("meta/manifests"));
        node.restart();
        for id in &ids {
            node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
        }
        wait_until("the count of images", || node.metric("reticulum_images") == 6.0);
        assert_eq!(node.metric("reticulum_store_vanished_total"), 0.0);
    }
}
