//! What a node is told: file, environment and flags, in the order in which they beat each other; and that
//! nothing faulty ever starts one.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::support::harness::{Finished, Node, Options, free_port, put, run, run_with};
use crate::support::pictures::jpeg;

fn empty_directory() -> TempDir {
    TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory")
}

/// Writes a configuration file; its path.
fn write(directory: &TempDir, text: &str) -> String {
    let path = directory.path().join("told.toml");
    fs::write(&path, text).expect("write");
    path.to_str().expect("UTF-8").to_owned()
}

/// `serve` with these arguments and variables must end with code 1, tell all of `words` on lines of their own in this
/// order and no more, and make no data directory.
#[track_caller]
fn refuses_to_serve(arguments: &[&str], variables: &[(&str, &str)], words: &[&str]) {
    let directory = empty_directory();
    let data = directory.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    let mut serve = vec!["serve", "--data", data.to_str().expect("UTF-8")];
    if !arguments.contains(&"--listen") {
        serve.extend(["--listen", &listen]);
    }
    expect_refusal(&run_with(&[&serve, arguments].concat(), variables), words);
    assert!(!data.exists(), "a refused start must make nothing");
}

#[track_caller]
fn expect_refusal(finished: &Finished, words: &[&str]) {
    let text = &finished.stderr;
    assert_eq!(finished.code, Some(1), "{text}");
    assert_eq!(text.lines().count(), words.len(), "{text}");
    for (line, word) in text.lines().zip(words) {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
}

/// The name that a node gives itself.
#[track_caller]
fn name(node: &Node) -> String {
    let answer = node.ask(&put(&jpeg(60, 40, 1))).expect(200);
    answer.json()["nodes"][0].as_str().expect("a name").to_owned()
}

const FAULTY: &str = "[limits]\nuplods = 3\nidle_timeout = \"soon\"\n[images]\npresets = { a = \"p-b\" }\nquality.jpeg = 0\n[cluster]\nreplication = 0\n";

const FAULTS: [&str; 5] = [
    "line 2: \"limits.uplods\" is not a key: remove it, or did you mean limits.uploads?",
    "line 3: limits.idle_timeout = \"soon\"",
    "line 5: images.presets.a = \"p-b\" names a preset",
    "line 6: images.quality.jpeg = 0",
    "line 8: cluster.replication = 0",
];

#[test]
fn every_fault_of_a_file_is_told_at_once_and_starts_nothing() {
    let directory = empty_directory();
    let config = write(&directory, FAULTY);
    refuses_to_serve(&["--config", &config], &[], &FAULTS);
    refuses_to_serve(&[], &[("RETICULUM_CONFIG", &config)], &FAULTS);
}

#[test]
fn check_config_tells_the_same_faults() {
    let directory = empty_directory();
    let finished = run(&["check-config", &write(&directory, FAULTY)]);
    expect_refusal(&finished, &FAULTS);
    assert!(finished.stdout.is_empty());
    expect_refusal(&run(&["check-config", "no-such.toml"]), &["no-such.toml: cannot be read"]);
    assert_eq!(run(&["check-config"]).code, Some(2));
}

#[test]
fn a_faulty_variable_is_named() {
    let variables = [("RETICULUM_CACHE_DISK", "much"), ("RETICULUM_LIMITS_UPLOADS", "0")];
    let faults =
        ["RETICULUM_CACHE_DISK: cache.disk = \"much\"", "RETICULUM_LIMITS_UPLOADS: limits.uploads = \"0\""];
    refuses_to_serve(&[], &variables, &faults);
}

#[test]
fn a_node_to_join_needs_a_whole_url_and_a_secret() {
    refuses_to_serve(&["--join", "127.0.0.1:1"], &[], &["--join: cluster.join has \"127.0.0.1:1\""]);
    for url in ["http://10.0.0.1:1", "http://127.0.0.1:1"] {
        refuses_to_serve(&["--join", url], &[], &["cluster.secret"]);
    }
}

#[test]
fn short_secrets_start_nothing_and_short_keys_are_warned_about() {
    let short = [("RETICULUM_CLUSTER_SECRET", "s"), ("RETICULUM_ACCESS_SIGN_KEYS", "s")];
    let faults = ["RETICULUM_ACCESS_SIGN_KEYS: access.sign_keys", "RETICULUM_CLUSTER_SECRET: cluster.secret"];
    refuses_to_serve(&[], &short, &faults);
    let node = Node::with_config("[access]\nupload_keys = [\"s\"]\n");
    assert!(node.log().contains("access.upload_keys has a key under 16 bytes"), "{}", node.log());
    let directory = empty_directory();
    let finished = run(&["check-config", &write(&directory, "[access]\noperator_key = \"s\"\n")]);
    assert_eq!(finished.code, Some(0));
    assert!(finished.stderr.contains("access.operator_key is under 16 bytes"), "{}", finished.stderr);
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let mut options = Options { config: "[node]\nname = \"of-file\"\n".into(), ..Options::default() };
    assert_eq!(name(&Node::start(options.clone())), "of-file");
    options.variables = vec![("RETICULUM_NODE_NAME", "of-variable".into())];
    assert_eq!(name(&Node::start(options.clone())), "of-variable");
    options.flags = vec!["--name", "of-flag"];
    assert_eq!(name(&Node::start(options)), "of-flag");
}

#[test]
fn a_variable_changes_what_a_node_does() {
    let config = "[images]\nmax_bytes = \"1MiB\"\n".to_owned();
    let variables = vec![("RETICULUM_IMAGES_MAX_BYTES", "100B".to_owned())];
    let node = Node::start(Options { config, variables, ..Options::default() });
    node.ask(&put(&jpeg(60, 40, 1))).expect(413);
}

#[test]
fn presets_come_from_the_file_or_from_a_variable() {
    let config = "[images]\npresets = { thumb = \"20s\" }\n".to_owned();
    let mut options = Options { config, ..Options::default() };
    for (preset, other) in [("p-thumb", "p-wide"), ("p-wide", "p-thumb")] {
        let node = Node::start(options.clone());
        let id = node.upload(&jpeg(60, 40, 1));
        node.get(&format!("/image/{id}/{preset}/x.jpg")).expect(200);
        node.get(&format!("/image/{id}/{other}/x.jpg")).expect(400);
        options.variables = vec![("RETICULUM_IMAGES_PRESETS", "wide=30w,q70;w=5w".into())];
    }
}

#[test]
fn the_flag_of_the_address_beats_its_variable() {
    let other = format!("127.0.0.1:{}", free_port());
    let variables = vec![("RETICULUM_LISTEN", other.clone())];
    let node = Node::start(Options { variables, ..Options::default() });
    node.get("/healthz").expect(200);
    assert!(TcpStream::connect(&other).is_err(), "nobody listens on {other}");
}

#[test]
fn an_unknown_variable_only_warns() {
    let variables = vec![("RETICULUM_LIMITS_UPLOD", "3".to_owned()), ("RETICULUM_KEY", "k".to_owned())];
    let log = Node::start(Options { variables, ..Options::default() }).log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    let warning = warnings.iter().find(|line| line.contains("RETICULUM_LIMITS_UPLOD")).expect(&log);
    assert!(warning.contains("RETICULUM_LIMITS_UPLOADS"), "{warning}");
    assert!(!warnings.iter().any(|line| line.contains("RETICULUM_KEY")), "{log}");
}

#[test]
fn check_config_prints_what_loads_again() {
    let directory = empty_directory();
    let told = "[node]\nname = \"img1\"\n[images]\npresets = { Thumb = \"0200s\" }\n[access]\nupload_keys = [\"s3cret\"]\n";
    let variables = [("RETICULUM_DATA", "elsewhere"), ("RETICULUM_ACCESS_UPLOAD_KEYS", "")];
    let first = run_with(&["check-config", &write(&directory, told)], &variables);
    let printed = str::from_utf8(&first.stdout).expect("UTF-8");
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""));
    for line in
        ["name = \"img1\"", "presets = { thumb = \"200s\" }", "data = \"elsewhere\"", "upload_keys = []"]
    {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in:\n{printed}");
    }
    let second = run(&["check-config", &write(&directory, printed)]);
    assert_eq!((second.code, &second.stdout), (Some(0), &first.stdout));
    assert!(!Path::new("elsewhere").exists());
}

#[test]
fn check_config_shows_no_secret() {
    let directory = empty_directory();
    let told = "[access]\nupload_keys = [\"s3cret\"]\noperator_key = \"s3cret\"\n[cluster]\nsecret = \"s3cret-of-16-bytes\"\n";
    let finished = run(&["check-config", &write(&directory, told)]);
    assert_eq!(finished.code, Some(0));
    let printed = str::from_utf8(&finished.stdout).expect("UTF-8");
    assert!(!printed.contains("s3cret") && printed.contains("upload_keys = [\"…\"]"));
}

#[test]
fn warns_of_a_file_with_secrets_that_every_user_can_read() {
    let directory = empty_directory();
    let config = "[access]\nupload_keys = [\"s3cret of sixteen bytes\"]\n";
    let file = write(&directory, config);
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        let finished = run(&["check-config", &file]);
        assert_eq!(finished.code, Some(0));
        assert_eq!(
            finished.stderr.contains(&format!("chmod o-r {file}")),
            warned,
            "{mode:o}: {}",
            finished.stderr
        );
        assert!(!finished.stderr.contains("s3cret"));
    }
    let node = Node::with_config(config);
    let file = node.data().parent().expect("a directory").join("reticulum.toml");
    let mode = fs::metadata(&file).expect("its file").permissions().mode();
    assert_eq!(node.log().contains("chmod o-r"), mode & 0o004 != 0, "{}", node.log());
}
