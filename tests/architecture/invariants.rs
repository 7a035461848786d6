//! Invariants are stated where the state is, stay on in a release, and end the process by their message.

use std::fmt::Write;

use crate::source::{is_word, shipped};

/// The message by which a panic ends the process; see `telemetry::invariant`.
const PREFIX: &str = "invariant: ";

/// The modules whose state must be right, or images are lost.
const STATED_IN: &[&str] = &["src/cluster/", "src/shard/service/", "src/store/"];

/// The least number of assertions there.
const ASSERTIONS_MIN: usize = 100;

#[test]
fn every_assertion_of_the_core_names_its_invariant_and_there_are_many() {
    let (mut complaints, mut count) = (String::new(), 0);
    for file in shipped().iter().filter(|file| STATED_IN.iter().any(|module| file.name.starts_with(module))) {
        for assertion in calls(&file.code, "assert!(") {
            count += 1;
            if !assertion.contains(&format!("\"{PREFIX}")) {
                let name = &file.name;
                writeln!(complaints, "{name}: begin the message with \"{PREFIX}\": {assertion}").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
    assert!(count >= ASSERTIONS_MIN, "only {count} assertions are left");
}

#[test]
fn every_expectation_of_cluster_and_shard_names_its_invariant() {
    let mut complaints = String::new();
    let modules = ["src/cluster/", "src/shard/"];
    for file in shipped().iter().filter(|file| modules.iter().any(|module| file.name.starts_with(module))) {
        let code = file.code.replace("#[expect(", "#[");
        for expectation in calls(&code, "expect(") {
            if !expectation.trim_start().starts_with(&format!("\"{PREFIX}")) {
                let name = &file.name;
                writeln!(complaints, "{name}: begin the message with \"{PREFIX}\": {expectation}").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn no_assertion_is_off_in_a_release() {
    let is_off = |code: &str| {
        [concat!("debug_", "assert!("), concat!("debug_", "assert_eq!(")].iter().any(|off| code.contains(off))
    };
    let names: Vec<_> =
        shipped().into_iter().filter(|file| is_off(&file.code)).map(|file| file.name).collect();
    assert!(names.is_empty(), "use assert!, which stays on: {names:?}");
}

/// The arguments of every call of this macro.
fn calls<'a>(code: &'a str, call: &str) -> Vec<&'a str> {
    let starts = code.match_indices(call).filter(|(at, _)| !code[..*at].ends_with(is_word));
    starts.map(|(at, _)| arguments(&code[at + call.len()..])).collect()
}

/// Up to the bracket that closes the call. Brackets in texts come in pairs.
fn arguments(code: &str) -> &str {
    let mut depth = 1;
    for (at, character) in code.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[..at];
        }
    }
    code
}

#[test]
fn the_check_sees_assertions() {
    let code = "assert!(a(b), \"x\"); my_assert!(c); assert!(d);";
    assert_eq!(calls(code, "assert!("), ["a(b), \"x\"", "d"]);
}
