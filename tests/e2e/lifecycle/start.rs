//! Starts that must be refused: a sentence that says why, a code that is not 0, and nobody else disturbed.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::harness::{Node, free_port, run};
use crate::support::pictures::jpeg;

/// Runs `serve`; it must end in an error whose text holds all of `words`.
#[track_caller]
fn refuses(port: u16, data: &Path, more: &[&str], words: &[&str]) {
    let listen = format!("127.0.0.1:{port}");
    let data = data.to_str().expect("a UTF-8 path");
    let arguments = [&["serve", "--listen", &listen, "--data", data, "--shards", "1"], more].concat();
    let finished = run(&arguments);
    let text = &finished.stderr;
    assert!(finished.code.is_some_and(|code| code != 0 && code != 101), "{:?}: {text}", finished.code);
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

fn empty_directory() -> TempDir {
    TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory")
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    refuses(port, &empty_directory().path().join("data"), &[], &[&port.to_string(), "in use"]);
}

#[test]
fn a_second_node_on_the_same_port_is_refused() {
    let node = Node::plain();
    let port = node.port();
    refuses(port, &empty_directory().path().join("data"), &[], &[&port.to_string(), "in use"]);
    for _ in 0..20 {
        node.get("/healthz").expect(200);
    }
}

#[test]
fn a_second_node_on_the_same_data_is_refused() {
    let node = Node::plain();
    let data = node.data();
    refuses(free_port(), &data, &[], &[data.to_str().expect("UTF-8"), "another server"]);
    let id = node.upload(&jpeg(60, 40, 1));
    node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
}

#[test]
fn the_data_directory_is_free_again_when_its_node_was_killed() {
    let mut node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    node.kill9();
    node.restart();
    node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
}

#[test]
fn a_file_in_place_of_the_data_directory_is_named() {
    let directory = empty_directory();
    let file = directory.path().join("a-file");
    fs::write(&file, b"").expect("write");
    refuses(free_port(), &file, &[], &[file.to_str().expect("UTF-8")]);
    assert_eq!(fs::read(&file).expect("still a file"), b"");
}

#[test]
fn a_data_directory_below_a_file_is_named() {
    let directory = empty_directory();
    let file = directory.path().join("a-file");
    fs::write(&file, b"").expect("write");
    let data = file.join("data");
    refuses(free_port(), &data, &[], &[data.to_str().expect("UTF-8")]);
}

#[test]
fn a_store_that_is_a_file_is_refused() {
    let directory = empty_directory();
    fs::write(directory.path().join("store"), b"").expect("write");
    refuses(free_port(), directory.path(), &[], &["store"]);
}

#[test]
fn fault_12_a_store_that_is_gone_and_a_newer_format_are_refused_with_what_to_do() {
    let mut node = Node::plain();
    node.upload(&jpeg(60, 40, 1));
    assert_eq!(node.terminate(), Some(0));
    let (store, away) = (node.data().join("store"), node.data().join("away"));
    fs::rename(&store, &away).expect("rename");
    refuses(free_port(), &node.data(), &[], &["store/", "mount"]);
    assert!(!store.exists(), "a refused start must make nothing");
    // The mount point of a disk that is not mounted is there, and empty.
    fs::create_dir(&store).expect("make");
    refuses(free_port(), &node.data(), &[], &["store/", "mount", "meta/store-marked"]);
    assert_eq!(fs::read_dir(&store).expect("list").count(), 0, "a refused start must make nothing");
    fs::remove_dir(&store).expect("remove");
    fs::rename(&away, &store).expect("rename");
    let identity = node.data().join("node.id");
    let text = fs::read_to_string(&identity).expect("read");
    fs::write(&identity, text.replacen(" 1", " 2", 1)).expect("write");
    refuses(free_port(), &node.data(), &[], &["version"]);
    fs::write(&identity, text).expect("write");
    node.restart();
}

#[test]
fn too_little_locked_memory_is_exit_code_78_and_one_sentence() {
    let directory = empty_directory();
    let serve = "ulimit -l 0 && exec \"$0\" serve --listen 127.0.0.1:0 --data data";
    let mut command = Command::new("sh");
    command.args(["-c", serve, env!("CARGO_BIN_EXE_reticulum")]).current_dir(directory.path()).env_clear();
    let output = command.output().expect("a shell");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("locked memory") && text.contains("ulimit -l"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!directory.path().join("data").exists(), "a refused start must make nothing");
}

#[test]
fn a_missing_data_directory_is_made() {
    let directory = empty_directory();
    let data = directory.path().join("some/where/deep");
    let options = crate::support::harness::Options { data: Some(data.clone()), ..Default::default() };
    Node::start(options).upload(&jpeg(60, 40, 1));
    assert!(data.join("store").is_dir());
}

/// A start with this config must be refused and name the file and all of `words`.
#[track_caller]
fn refuses_config(text: &str, words: &[&str]) {
    let directory = empty_directory();
    let config = directory.path().join("faulty.toml");
    fs::write(&config, text).expect("write");
    let path = config.to_str().expect("UTF-8");
    let data = directory.path().join("data");
    refuses(free_port(), &data, &["--config", path], &[&["faulty.toml"], words].concat());
    assert!(!data.exists(), "a refused start must make nothing");
}

#[test]
fn every_value_of_a_config_out_of_range_is_named_at_once() {
    let text = "[images]\nmax_pixels = 0\n[images.quality]\njpeg = 0\n[limits]\nuploads = 0\n";
    refuses_config(text, &["images.max_pixels", "images.quality.jpeg", "limits.uploads"]);
}

#[test]
fn a_wrong_key_or_value_of_a_config_is_named_with_what_would_be_right() {
    refuses_config("[images]\nmax_byte = 5\n", &["max_byte", "max_bytes"]);
    refuses_config("[image]\nmax_bytes = 5\n", &["image", "images"]);
    refuses_config("[limits]\nidle_timeout = \"soon\"\n", &["idle_timeout", "soon", "ms"]);
    refuses_config("[images]\nmax_bytes = \"32 potatoes\"\n", &["max_bytes", "potatoes", "MiB"]);
    refuses_config("[images\n", &["line 1"]);
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let directory = empty_directory();
    refuses(free_port(), &directory.path().join("data"), &["--config", "no-such.toml"], &["no-such.toml"]);
}

#[test]
fn bad_usage_is_exit_code_2() {
    for arguments in [&["serve", "--nonsense"][..], &["nonsense"], &["serve", "--listen", "nowhere"]] {
        let finished = run(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
    }
}

#[test]
fn help_and_version_are_exit_code_0() {
    for argument in ["--help", "--version"] {
        assert_eq!(run(&[argument]).code, Some(0), "{argument}");
    }
}
