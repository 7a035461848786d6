//! SIGHUP: keys, secrets, presets and log level are taken from the file again.

use std::fs;

use rustix::process::Signal;

use crate::support::client::Request;
use crate::support::harness::{Node, free_port, put, wait_until};
use crate::support::nodes::{member_with, unready};
use crate::support::pictures::{Picture, jpeg};

/// Writes the node's config file and tells it.
fn rewrite(node: &Node, config: &str) {
    let path = node.data().parent().expect("a directory").join("reticulum.toml");
    fs::write(path, config).expect("write the config");
    node.signal(Signal::HUP);
}

#[test]
fn presets_and_keys_change_without_a_restart() {
    let node = Node::with_config("[images]\npresets = { thumb = \"20s\" }\n");
    let id = node.upload(&jpeg(80, 60, 1));
    let url = format!("/image/{id}/p-thumb/x.jpg");
    assert_eq!(Picture::decode(&node.get(&url).expect(200).body).size(), (20, 20));
    // A connection that is open already follows too.
    let mut open = node.connect();
    open.ask(&Request::get(&url)).expect(200);
    rewrite(&node, "[images]\npresets = { thumb = \"30s\" }\n[access]\nupload_keys = [\"new\"]\n");
    wait_until("the new preset", || Picture::decode(&node.get(&url).expect(200).body).size() == (30, 30));
    assert_eq!(Picture::decode(&open.ask(&Request::get(&url)).expect(200).body).size(), (30, 30));
    let upload = || put(&jpeg(40, 30, 2));
    node.ask(&upload()).problem(403);
    node.ask(&upload().header("Authorization", "Bearer new")).expect(200);
}

#[test]
fn the_operator_key_is_the_configured_one_and_else_the_nodes_own() {
    let node = Node::with_config("[access]\n");
    let made = node.operator_key();
    let status = |key: &str| {
        let request = Request::get("/status.json").header("Authorization", &format!("Bearer {key}"));
        node.ask(&request).status
    };
    assert_eq!((status(&made), status("a-configured-key")), (200, 401));
    rewrite(&node, "[access]\noperator_key = \"a-configured-key\"\n");
    wait_until("the configured key", || status("a-configured-key") == 200);
    assert_eq!(status(&made), 401);
    rewrite(&node, "");
    wait_until("the key that the node made", || status(&made) == 200);
    assert_eq!(status("a-configured-key"), 401);
}

#[test]
fn a_faulty_file_changes_nothing_and_is_told() {
    let node = Node::with_config("[images]\npresets = { thumb = \"20s\" }\n");
    let id = node.upload(&jpeg(80, 60, 1));
    rewrite(&node, "[images]\npresets = { thumb = \"wrong\" }\n");
    wait_until("the log", || node.log().contains("keeps its old"));
    let picture = Picture::decode(&node.get(&format!("/image/{id}/p-thumb/x.jpg")).expect(200).body);
    assert_eq!(picture.size(), (20, 20));
}

#[test]
fn names_the_changed_keys_that_need_a_restart() {
    let node = Node::with_config("[limits]\nuploads = 7\n");
    let config =
        "[limits]\nuploads = 8\nresize_queue = 9\n[access]\nupload_keys = [\"a new key of sixteen bytes\"]\n";
    rewrite(&node, config);
    wait_until("the reload", || node.log().contains("reloaded keys"));
    let says_it =
        || node.log().lines().any(|line| line.contains("restart") && line.contains("limits.uploads"));
    wait_until("the keys", says_it);
    let log = node.log();
    let line = log.lines().find(|line| line.contains("restart")).expect(&log);
    assert!(line.contains("limits.resize_queue"), "{line}");
    // The harness writes its own keys into the first file alone; what is reloaded is not named.
    assert!(!line.contains("access.upload_keys") && !log.contains("sixteen"), "{log}");
}

#[test]
fn the_log_level_changes() {
    let node = Node::plain();
    node.upload(&jpeg(40, 30, 1));
    assert!(!node.log().contains("stored an image"));
    rewrite(&node, "[log]\nlevel = \"debug\"\n");
    wait_until("the reload", || node.log().contains("reloaded keys"));
    node.upload(&jpeg(40, 30, 2));
    wait_until("a line of debugging", || node.log().contains("stored an image"));
}

#[test]
fn a_secret_that_is_learned_lets_a_node_in_without_a_restart() {
    let first = free_port();
    let (old, learned) = (
        member_with(0, first, None, "secret = \"the-old-secret-of-all\"\n"),
        ["the-old-secret-of-all", "the-new-secret-of-all"],
    );
    let founder = Node::start(old);
    let mut joining =
        Node::start_unready(member_with(1, free_port(), Some(first), "secret = \"the-new-secret-of-all\"\n"));
    wait_until("the reason to be known", || unready(&joining).contains("secret"));
    let file = founder.data().parent().expect("a directory").join("reticulum.toml");
    let config = fs::read_to_string(&file).expect("the config");
    rewrite(
        &founder,
        &config.replace("secret = \"the-old-secret-of-all\"", &format!("secrets = {learned:?}")),
    );
    // Both speak with their own first secret, and each has to know the other's.
    let file = joining.data().parent().expect("a directory").join("reticulum.toml");
    let config = fs::read_to_string(&file).expect("the config");
    rewrite(
        &joining,
        &config.replace(
            "secret = \"the-new-secret-of-all\"",
            "secrets = [\"the-new-secret-of-all\", \"the-old-secret-of-all\"]",
        ),
    );
    joining.wait_until_ready();
}
