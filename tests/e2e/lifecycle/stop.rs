//! From the start without a word to the end by signals: what a node does while it stops, and for how long.

use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::client::{Connection, Request};
use crate::support::harness::{Node, free_port, put, run_in, sha1, wait_until};
use crate::support::pictures::jpeg;

/// So long that a test which waited for its end would fail.
const FOR_EVER: &str = "[limits]\ndrain_delay = \"1h\"\n";

#[test]
fn serve_without_an_argument_is_a_node_on_loopback_that_takes_uploads_into_data() {
    let directory = TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory");
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_reticulum"));
    // The address alone is told, for its default may be taken on the machine that runs this.
    command.arg("serve").current_dir(directory.path()).env_clear();
    command.env("RETICULUM_LISTEN", format!("127.0.0.1:{port}")).stderr(Stdio::null());
    let mut child = command.spawn().expect("start the binary");
    let ready = || {
        let answer = Connection::try_open(port).and_then(|mut new| new.try_ask(&Request::get("/readyz")));
        answer.is_ok_and(|answer| answer.status == 200)
    };
    wait_until("the node", ready);
    let image = jpeg(60, 40, 1);
    let refused = Connection::open(port).ask(&put(&image));
    // From the same place one command uploads, without a word about keys.
    let photo = directory.path().join("photo.jpg");
    std::fs::write(&photo, &image).expect("write");
    let at = format!("http://127.0.0.1:{port}");
    let arguments = ["put", "photo.jpg", "--json", "--node", &at];
    let finished = run_in(directory.path(), &arguments, &[("RETICULUM_OPERATOR_KEY", "")]);
    child.kill().expect("kill");
    child.wait().expect("wait");
    refused.problem(403);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    let answer: serde_json::Value = serde_json::from_slice(&finished.stdout).expect("JSON");
    assert_eq!(answer["satisfied"], true);
    let id = sha1(&image);
    let stored = directory.path().join(format!("data/store/{}/{}/{id}.jpg", &id[..2], &id[2..4]));
    assert_eq!(std::fs::read(stored).expect("below ./data"), image);
}

#[test]
fn a_draining_node_is_not_ready_and_still_answers_each_with_a_close() {
    for signal in [Signal::TERM, Signal::INT] {
        let node = Node::with_config(FOR_EVER);
        let id = node.upload(&jpeg(60, 40, 1));
        let url = format!("/image/{id}/full/x.jpg");
        let mut open = node.connect();
        assert_eq!(open.ask(&Request::get(&url)).expect(200).header("connection"), None);
        node.signal(signal);
        wait_until("the drain", || node.get("/readyz").status == 503);
        let unready = node.get("/readyz");
        unready.problem(503);
        unready.retry_after();
        // On the connection that was open before, and on new ones.
        assert_eq!(open.ask(&Request::get(&url)).expect(200).header("connection"), Some("close"));
        open.expect_closed();
        for request in [Request::get(&url), Request::get("/healthz"), put(&jpeg(60, 40, 2))] {
            let mut new = node.connect();
            assert_eq!(new.ask(&request).expect(200).header("connection"), Some("close"));
            new.expect_closed();
        }
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut node = Node::with_config(FOR_EVER);
    node.signal(Signal::TERM);
    wait_until("the drain", || node.get("/readyz").status == 503);
    node.signal(Signal::INT);
    assert_eq!(node.wait_for_exit().code(), Some(1));
}

#[test]
fn sighup_does_not_count_as_a_second_signal() {
    let mut node = Node::with_config(FOR_EVER);
    node.signal(Signal::TERM);
    wait_until("the drain", || node.get("/readyz").status == 503);
    node.signal(Signal::HUP);
    wait_until("the next answers", || node.get("/readyz").status == 503);
    node.get("/healthz").expect(200);
    node.kill9();
}

#[test]
fn what_never_finishes_is_cut_off_and_the_end_is_still_in_order() {
    let limits = "[limits]\ndrain_delay = \"10ms\"\nbody_progress = \"1h\"\n";
    let mut node = Node::with_config(limits);
    let image = jpeg(60, 40, 1);
    let mut stalled = node.connect();
    stalled.send(&put(&image).header("Expect", "100-continue").head());
    assert_eq!(stalled.interim_status(), 100);
    assert_eq!(node.terminate(), Some(0));
    stalled.expect_closed();
    node.restart();
    node.expect_nothing_stored();
}
