//! `reticulum demo`: what a newcomer runs first.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::{Connection, Request};
use crate::support::harness::{free_ports, wait_until};

/// Directories that demos left in `directory`.
fn left_behind(directory: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("list");
    entries.map(|entry| entry.expect("entry").path()).collect()
}

/// The key and the path of a page that is for the operator.
fn page(line: &str, port: u16) -> Option<(String, String)> {
    let (key, rest) = line.strip_prefix("  http://operator:")?.split_once('@')?;
    Some((key.to_owned(), rest.strip_prefix(&format!("127.0.0.1:{port}"))?.to_owned()))
}

/// A demo of so many nodes that has said all it says, its first port, and what it said.
fn start(nodes: &str, scratch: &std::path::Path) -> (Child, u16, Vec<String>) {
    let port = free_ports(3);
    let (demo, said) = start_on(port, nodes, scratch);
    (demo, port, said)
}

fn start_on(port: u16, nodes: &str, scratch: &std::path::Path) -> (Child, Vec<String>) {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_reticulum"))
        .args(["demo", "--nodes", nodes, "--port", &port.to_string()])
        .env("TMPDIR", scratch)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    let output = BufReader::new(demo.stdout.take().expect("piped"));
    let lines = output.lines().map(|line| line.expect("read"));
    let said = lines.take_while(|line| !line.contains("Ctrl-C")).collect();
    (demo, said)
}

#[test]
fn the_demo_begins_with_its_banner_that_names_the_logs_and_prints_no_line_of_them() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let port = free_ports(2);
    let child = Command::new(env!("CARGO_BIN_EXE_reticulum"))
        .args(["demo", "--nodes", "2", "--port", &port.to_string()])
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut demo = child.expect("start");
    let mut lines =
        BufReader::new(demo.stdout.take().expect("piped")).lines().map(|line| line.expect("read"));
    assert_eq!(lines.next().as_deref(), Some("Starting 2 nodes of Reticulum. Their logs:"));
    let said: Vec<_> = lines.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect();
    let logs: Vec<_> = said.iter().filter(|line| line.ends_with(".log")).collect();
    assert_eq!(logs.len(), 2, "{said:?}");
    for log in logs {
        let log = std::fs::read_to_string(log.trim()).expect("a log");
        assert!(log.contains("ready"), "{log}");
    }
    kill_process(Pid::from_child(&demo), Signal::INT).expect("send a signal");
    let ended = demo.wait_with_output().expect("wait");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr)), (Some(0), "".into()));
}

#[test]
fn a_node_that_cannot_start_is_told_with_the_end_of_its_log() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let port = free_ports(1);
    let _in_use = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let ended = Command::new(env!("CARGO_BIN_EXE_reticulum"))
        .args(["demo", "--nodes", "1", "--port", &port.to_string()])
        .env("TMPDIR", scratch.path())
        .output()
        .expect("run");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && told.contains(&format!("127.0.0.1:{port}")), "{told}");
    assert_eq!(left_behind(scratch.path()), Vec::<PathBuf>::new());
}

#[test]
fn every_url_of_the_demo_works_and_nothing_is_left_behind() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let (mut demo, port, said) = start("1", scratch.path());
    let url = |line: &String| Some(line.strip_prefix(&format!("  http://127.0.0.1:{port}"))?.to_owned());
    let urls: Vec<_> = said.iter().filter_map(url).collect();
    assert!(urls.len() >= 9, "{urls:?}");
    for url in &urls {
        Connection::open(port).ask(&Request::get(url)).expect(200);
    }
    let (key, page) = said.iter().find_map(|line| page(line, port)).expect("a page");
    let ask = |key: &str| {
        let request = Request::get(&page).header("Authorization", &format!("Bearer {key}"));
        Connection::open(port).ask(&request)
    };
    ask(&key).expect(200);
    ask(&key.replace(&key[..4], "xxxx")).problem(401);
    assert!(said.iter().any(|line| line.contains(&format!("curl -u operator:{key} "))), "{said:?}");
    kill_process(Pid::from_child(&demo), Signal::INT).expect("send a signal");
    assert!(demo.wait().expect("wait").success());
    wait_until("the temporary directory to go", || left_behind(scratch.path()).is_empty());
}

#[test]
fn the_demo_is_a_cluster_whose_nodes_end_with_it_even_when_it_is_killed() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let (mut demo, port, said) = start("3", scratch.path());
    let ports = [port, port + 1, port + 2];
    let pages = ports.map(|port| said.iter().find_map(|line| page(line, port)).expect("a page"));
    for (port, (key, page)) in ports.iter().zip(&pages) {
        assert_eq!(key, &pages[0].0, "one key for all");
        let request = Request::get(page).header("Authorization", &format!("Bearer {key}"));
        let status = Connection::open(*port).ask(&request).expect(200).json();
        assert_eq!(status["nodes"].as_array().map(Vec::len), Some(3), "{status}");
    }
    demo.kill().expect("kill");
    demo.wait().expect("wait");
    for port in ports {
        wait_until("a node to end with the demo", || Connection::try_open(port).is_err());
    }
}
