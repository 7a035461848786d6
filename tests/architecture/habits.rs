//! Things that must not stand in any source, and what every file begins with.

use std::fmt::Write;

use crate::source::{is_test, is_word, sources, test_modules};

/// What no source may hold, and what to do instead. Written in two pieces, so that this file does not hold it.
const BANNED: &[(&str, &str)] = &[
    (concat!("todo", "!("), "write it, or leave it out of this commit"),
    (concat!("unimplemented", "!("), "write it, or leave it out of this commit"),
    (concat!("dbg", "!("), "remove it, or log with a level"),
    (concat!("#[", "ignore"), "make the test quick and steady, or remove it"),
    (concat!("#[", "should_panic"), "return an error and check it"),
];

/// Beginnings of absolute paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[concat!("/", "root/"), concat!("/", "home/"), concat!("/", "Users/")];

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    let sources = sources(&["rs"]);
    let tests = test_modules(&sources);
    let silent = |(name, text): &(String, String)| !text.starts_with("//!") && !is_test(name, &tests);
    let names: Vec<_> = sources.into_iter().filter(silent).map(|(name, _)| name).collect();
    assert!(names.is_empty(), "begin with //! and say what it is for, what it does not do: {names:?}");
}

#[test]
fn nothing_unfinished_or_switched_off_stays_in_the_source() {
    let mut complaints = String::new();
    for (name, text) in sources(&["rs"]) {
        for (number, line) in text.lines().enumerate() {
            for (banned, advice) in BANNED.iter().filter(|(banned, _)| line.contains(banned)) {
                writeln!(complaints, "{name}:{}: {banned} — {advice}", number + 1).unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn tests_wait_for_events_and_do_not_sleep() {
    let sleep = concat!("thread::", "sleep");
    let home = "tests/e2e/harness.rs";
    let sleeps =
        |(name, text): &(String, String)| name.starts_with("tests/") && name != home && text.contains(sleep);
    let names: Vec<_> = sources(&["rs"]).into_iter().filter(sleeps).map(|(name, _)| name).collect();
    assert!(names.is_empty(), "use wait_until of {home} in {names:?}");
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let mut complaints = String::new();
    for (name, text) in sources(&["rs", "md", "toml", "sh", "yml"]) {
        for (number, line) in text.lines().enumerate() {
            if MACHINE_PATHS.iter().any(|path| begins_a_path(line, path)) {
                writeln!(complaints, "{name}:{}: use a relative path or a variable", number + 1).unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// Whether an absolute path begins with `path` in this line.
fn begins_a_path(line: &str, path: &str) -> bool {
    let part_of_longer =
        |before: &str| before.ends_with(|c: char| is_word(c) || c == '.' || c == '-' || c == '}');
    line.match_indices(path).any(|(at, _)| !part_of_longer(&line[..at]))
}

#[test]
fn the_check_sees_paths() {
    assert!(begins_a_path("in /a/x", "/a/") && !begins_a_path("at ../a/x", "/a/"));
}
