//! `reticulum demo`: what a newcomer runs first.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Connection, Request};
use crate::harness::{free_port, wait_until};

/// Directories that demos left in `directory`.
fn left_behind(directory: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("list");
    entries.map(|entry| entry.expect("entry").path()).collect()
}

#[test]
fn every_url_of_the_demo_works_and_nothing_is_left_behind() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let port = free_port();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_reticulum"))
        .args(["demo", "--nodes", "1", "--port", &port.to_string()])
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    let output = BufReader::new(demo.stdout.take().expect("piped"));
    let mut urls = Vec::new();
    for line in output.lines() {
        let line = line.expect("read");
        if let Some((_, path)) = line.split_once(&format!("  http://127.0.0.1:{port}")) {
            urls.push(path.to_owned());
        }
        if line.contains("Ctrl-C") {
            break;
        }
    }
    assert!(urls.len() >= 9, "{urls:?}");
    for url in &urls {
        Connection::open(port).ask(&Request::get(url)).expect(200);
    }
    kill_process(Pid::from_child(&demo), Signal::INT).expect("send a signal");
    assert!(demo.wait().expect("wait").success());
    wait_until("the temporary directory to go", || left_behind(scratch.path()).is_empty());
}
