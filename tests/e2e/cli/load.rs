//! `reticulum-load` against a real node.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::harness::{Node, wait_until};

/// The end of a load: its exit code, its words, and its reports.
struct Load {
    code: Option<i32>,
    text: String,
    json: Value,
    page: String,
}

fn load(mode: &str, port: u16, arguments: &[&str]) -> Load {
    let folder = TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory");
    let [json, page] = ["load.json", "load.html"].map(|name| folder.path().join(name));
    let finished = Command::new(env!("CARGO_BIN_EXE_reticulum-load"))
        .args([
            mode,
            "--node",
            &format!("http://127.0.0.1:{port}"),
            "--duration",
            "400ms",
            "--connections",
            "3",
        ])
        .args(["--width", "64", "--count", "5", "--verify"])
        .args(arguments)
        .args(["--json".as_ref(), json.as_os_str(), "--html".as_ref(), page.as_os_str()])
        .env_remove("RETICULUM_KEY")
        .output()
        .expect("start");
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    Load {
        code: finished.status.code(),
        text: [finished.stdout, finished.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat(),
        json: serde_json::from_str(&read(json)).unwrap_or_default(),
        page: read(page),
    }
}

impl Load {
    /// Panics unless every answer was right; how many there were.
    #[track_caller]
    fn right(&self) -> u64 {
        assert_eq!((self.code, &self.json["failed"]), (Some(0), &0.into()), "{}", self.text);
        assert!(self.page.contains("</svg>") && self.text.contains("right answers"), "{}", self.text);
        self.json["right"].as_u64().expect("a number")
    }
}

#[test]
fn a_load_of_every_kind_gets_right_answers_and_tells_them() {
    let node = Node::plain();
    let uploads = load("upload", node.port(), &[]).right();
    assert!(uploads > 0);
    wait_until("all to be counted", || node.metric("reticulum_images") == uploads as f64);
    let fetched = load("fetch", node.port(), &["--specs", "40w.jpg", "30s.webp", "full.jpg", "--zipf"]);
    assert!(fetched.right() > 0 && fetched.json["uploads"]["right"] == 0);
    let mixed = load("mixed", node.port(), &["--rate", "200", "--uploads", "50", "--threads", "2"]);
    // At this rate no more than these begin, however fast the node is.
    assert!((1..=80).contains(&mixed.right()), "{}", mixed.text);
}

#[test]
fn a_cold_load_asks_for_each_variant_once() {
    let node = Node::plain();
    let cold = load("fetch", node.port(), &["--cold", "--specs", "40w.jpg", "30h.png", "--duration", "1m"]);
    assert_eq!(cold.right(), 10);
    assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 10.0);
}

#[test]
fn wrong_answers_are_counted_by_their_kind_and_end_with_1() {
    let node = Node::with_config("[access]\nupload_keys = [\"a-key-of-the-tests\"]\n");
    let refused = load("upload", node.port(), &[]);
    assert_eq!(refused.code, Some(1), "{}", refused.text);
    assert!(refused.json["uploads"]["failures"]["status 403"].as_u64() > Some(0), "{}", refused.text);
    assert!(refused.page.contains("status 403"));
    let allowed = load("upload", node.port(), &["--key", "a-key-of-the-tests"]);
    assert!(allowed.right() > 0 && !allowed.page.contains("a-key-of-the-tests"));
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let mut node = Node::plain();
    node.kill9();
    let nobody = load("upload", node.port(), &[]);
    assert_eq!(nobody.code, Some(1), "{}", nobody.text);
    assert!(nobody.json["uploads"]["failures"]["no connection"].as_u64() > Some(0), "{}", nobody.text);
    // The images to fetch cannot be uploaded first.
    let nothing = load("fetch", node.port(), &[]);
    assert_eq!((nothing.code, nothing.page.as_str()), (Some(2), ""), "{}", nothing.text);
}

#[test]
fn arguments_that_make_no_load_are_refused_with_a_sentence() {
    for (arguments, word) in [
        (&["--rate", "0"][..], "--rate"),
        (&["--zipf", "99"], "--zipf"),
        (&["--specs", "300w"], "300w.jpg"),
        (&["--specs", "0w.jpg"], "0w"),
        (&["--specs", "300w.heic"], "heic"),
    ] {
        let refused = load("fetch", 1, arguments);
        assert_eq!(refused.code, Some(2), "{}", refused.text);
        assert!(refused.text.contains(word), "{word}: {}", refused.text);
    }
}
