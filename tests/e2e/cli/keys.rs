//! Which key a command shows to a node.

use std::fs;

use super::{finished_bytes, folder, text, url};
use crate::support::harness::{Node, run, run_in, run_with, sha1};
use crate::support::pictures::{extension, jpeg};

#[test]
fn keys_open_what_they_guard_and_a_signed_url_is_good_at_the_node() {
    let access = "upload_keys = [\"up\"]\noperator_key = \"op\"\nsign_keys = [\"sign-key-of-the-tests\"]\nrequire_signature = \"all\"";
    let node = Node::with_config(&format!("[access]\n{access}\n"));
    let image = jpeg(60, 40, 1);
    let folder = folder(&[("a.jpg", &image)]);
    let (at, path, id) = (url(&node), text(folder.path()), sha1(&image));
    run(&["put", path, "--node", &at]).fails(&["a.jpg: refused (403)"]);
    run(&["put", path, "--node", &at, "--key", "wrong"]).fails(&["a.jpg: refused (403)"]);
    for hint in [&[][..], &["--hint", "20w"]] {
        assert_eq!(run(&[&["put", path, "--node", &at, "--key", "up"], hint].concat()).lines().len(), 1);
    }
    let environment =
        [("RETICULUM_NODE", at.as_str()), ("RETICULUM_KEY", "up"), ("RETICULUM_OPERATOR_KEY", "op")];
    assert_eq!(run_with(&["put", path], &environment).lines().len(), 1);
    assert_eq!(run_with(&["ls"], &environment).lines()[0][..40], id);
    run(&["ls", "--node", &at]).fails(&["(401)"]);
    run(&["rm", &id, "--node", &at]).fails(&["(401)"]);
    node.get("/images").problem(401);
    for expires in [&[][..], &["--expires", "1h"]] {
        let arguments = ["url", &id, "--format", "jpg", "--base", &at, "--sign-key", "sign-key-of-the-tests"];
        let finished = run(&[&arguments[..], expires].concat());
        let signed = finished.lines()[0].strip_prefix(&at).expect("the base").to_owned();
        assert_eq!(node.get(&signed).expect(200).body, image);
        node.get(&signed.replace("sig=", "sig=A")).problem(403);
    }
    let get = |more: &[&str]| run(&[&["get", &id, "--node", &at], more].concat());
    get(&[]).fails(&["(403)"]);
    get(&["--sign-key", "other"]).fails(&["(403)"]);
    assert_eq!(finished_bytes(get(&["--sign-key", "sign-key-of-the-tests"])), image);
    assert_eq!(
        extension(&finished_bytes(get(&["030W", "--format", "png", "--sign-key", "sign-key-of-the-tests"]))),
        "png"
    );
}

#[test]
fn commands_on_the_nodes_machine_read_its_key_and_send_it_to_no_other() {
    let node = Node::with_config("[access]\n");
    let image = jpeg(60, 40, 1);
    let folder = folder(&[("a.jpg", &image)]);
    let (at, path, id) = (url(&node), text(folder.path()), sha1(&image));
    let data = node.data();
    let home = data.parent().expect("a directory");
    // As a user would: without any key of his own.
    let alone = [("RETICULUM_OPERATOR_KEY", "")];
    let elsewhere = tempfile::tempdir().expect("a directory");
    for command in [&["status"][..], &["ls"], &["layout"]] {
        let command = [command, &["--node", &at]].concat();
        run_in(elsewhere.path(), &command, &alone).fails(&["(401)", "--operator-key", "--data"]);
        assert_eq!(run_in(home, &command, &alone).code, Some(0));
        assert_eq!(
            run_in(elsewhere.path(), &[&command[..], &["--data", text(&data)]].concat(), &alone).code,
            Some(0)
        );
        let variables = [alone[0], ("RETICULUM_DATA", text(&data))];
        assert_eq!(run_in(elsewhere.path(), &command, &variables).code, Some(0));
    }
    run_in(elsewhere.path(), &["put", path, "--node", &at], &alone)
        .fails(&["a.jpg: refused (403)", "--data"]);
    assert_eq!(run_in(home, &["put", path, "--node", &at], &alone).lines()[0][..40], id);
    assert_eq!(run_in(home, &["rm", &id, "--node", &at], &alone).code, Some(0));
    assert_eq!(run_in(home, &["put", path, "--node", &at], &alone).lines()[0][..40], id);
    // An address that leads here as well, but is not this machine's by its name.
    let other = at.replace("127.0.0.1", "0.0.0.0");
    run_in(home, &["ls", "--node", &other], &alone).fails(&["(401)"]);
    run_in(home, &["put", path, "--node", &other], &alone).fails(&["(403)"]);
    let key = node.operator_key();
    assert_eq!(run_in(home, &["ls", "--node", &other, "--operator-key", &key], &alone).lines().len(), 1);
    // A file without a key is told, and nothing is sent.
    fs::write(elsewhere.path().join("operator.key"), "short").expect("write");
    let finished = run(&["ls", "--node", &at, "--data", text(elsewhere.path()), "--operator-key", ""]);
    finished.fails(&["cannot use the operator key in", "(401)"]);
}
