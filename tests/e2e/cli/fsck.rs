//! `reticulum fsck`: every fault that is planted in a store is named and, when asked, mended.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{folder, names, text};
use crate::support::harness::{Finished, Node, run, sha1};
use crate::support::pictures::jpeg;

#[test]
fn fsck_names_every_fault_repairs_it_and_the_node_goes_on() {
    let mut node = Node::plain();
    let data = node.data();
    let arguments = ["fsck", "--data", text(&data)];
    let [good, damaged, astray, misnamed] = [1, 2, 3, 4].map(|seed| jpeg(60, 40, seed));
    for image in [&good, &damaged, &astray, &misnamed] {
        node.upload(image);
    }
    run(&arguments).fails(&["in use by another server"]);
    assert_eq!(node.terminate(), Some(0));
    let clean = run(&arguments);
    assert!(clean.lines()[0].starts_with("4 images"), "{}", clean.text());

    fs::write(node.stored(&sha1(&damaged), "jpg"), b"damaged").expect("write");
    fs::create_dir_all(data.join("store/zz")).expect("a folder");
    let strayed = data.join("store/zz").join(format!("{}.jpg", sha1(&astray)));
    fs::rename(node.stored(&sha1(&astray), "jpg"), &strayed).expect("rename");
    let wrong_name = node.stored(&sha1(&misnamed), "png");
    fs::rename(node.stored(&sha1(&misnamed), "jpg"), &wrong_name).expect("rename");
    fs::write(data.join("tmp/0-99"), b"half").expect("write");
    let planted = [
        (node.stored(&sha1(&damaged), "jpg"), "wrong-hash"),
        (strayed, "misplaced"),
        (wrong_name, "misplaced"),
        (data.join("tmp/0-99"), "temporary"),
    ];
    expect_faults(&run(&[&arguments[..], &["--json"]].concat()), &data, &planted, false);
    run(&arguments).fails(&["4 faults are left"]);

    let repaired = run(&[&arguments[..], &["--json", "--repair"]].concat());
    assert_eq!((repaired.code, repaired.stderr.as_str()), (Some(0), ""));
    expect_faults(&repaired, &data, &planted, true);
    assert!(run(&arguments).lines()[0].starts_with("3 images"));
    assert_eq!(fs::read(&node.files("quarantine")[0]).expect("read"), b"damaged");

    node.restart();
    for image in [&good, &astray, &misnamed] {
        assert_eq!(&node.get(&format!("/image/{}/full/x.jpg", sha1(image))).expect(200).body, image);
    }
    node.get(&format!("/image/{}/full/x.jpg", sha1(&damaged))).problem(503);
    node.upload(&damaged);
}

/// Panics unless exactly these faults were told, and the sum agrees.
#[track_caller]
fn expect_faults(finished: &Finished, data: &Path, planted: &[(PathBuf, &str)], mended: bool) {
    let mut lines = finished.json_lines();
    let sum = lines.pop().expect("a sum");
    let told: BTreeSet<_> = lines
        .iter()
        .map(|line| {
            (data.join(line["path"].as_str().expect("a path")), line["fault"].as_str().expect("a fault"))
        })
        .collect();
    assert_eq!(told, planted.iter().cloned().collect());
    assert!(lines.iter().all(|line| line["mended"] == mended && line["detail"].is_string()));
    assert_eq!(
        (&sum["faults"], &sum["left"]),
        (&planted.len().into(), &if mended { 0.into() } else { planted.len().into() })
    );
}

#[test]
fn fsck_leaves_alone_what_is_foreign_and_refuses_what_is_no_store() {
    let mut node = Node::plain();
    assert_eq!(node.terminate(), Some(0));
    let data = node.data();
    fs::write(data.join("store/note.txt"), b"mine").expect("write");
    run(&["fsck", "--repair", "--data", text(&data)]).fails(&["1 fault is left"]);
    assert_eq!(fs::read(data.join("store/note.txt")).expect("read"), b"mine");
    let empty = folder(&[]);
    run(&["fsck", "--data", text(empty.path())]).fails(&["not a data directory", "--data"]);
    run(&["fsck", "--data", "nowhere"]).fails(&["nowhere"]);
    assert!(names(empty.path()).is_empty());
}
