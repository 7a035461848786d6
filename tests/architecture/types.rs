//! A type name means one thing: who reads `Layout` in a signature must not have to look up which.
//!
//! Counted are structs, enums, unions, traits and aliases at the level of a module, in `src/` and `tools/`, without unit
//! tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::source::{is_test, is_word, sources, test_modules, without_tests};

/// Modules that may declare one name.
const MODULES_MAX: usize = 2;

/// Every module may have its own of these.
const EVERYWHERE: &[&str] = &["Config", "Error"];

/// Names that are too common to mean two things: one module at most.
const ONE_MEANING: &[&str] = &[
    "Answer", "Ask", "Core", "Event", "Facts", "Fault", "Found", "Kind", "Layout", "Node", "Order",
    "Refusal", "Report", "Settings", "Source", "Step",
];

#[test]
fn a_type_name_is_declared_in_two_modules_at_most() {
    let declared = declared();
    let mut complaints = String::new();
    for (name, files) in &declared {
        let max = if ONE_MEANING.contains(&name.as_str()) { 1 } else { MODULES_MAX };
        if files.len() > max && !EVERYWHERE.contains(&name.as_str()) {
            writeln!(complaints, "{name}: declared in {files:?}; say of what it is one in its name").unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// The files that declare each type.
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources(&["rs"]);
    let tests = test_modules(&sources);
    let mut declared = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, text) in sources {
        if (name.starts_with("src/") || name.starts_with("tools/")) && !is_test(&name, &tests) {
            for declaration in without_tests(&text).lines().filter_map(declaration) {
                declared.entry(declaration).or_default().insert(name.clone());
            }
        }
    }
    declared
}

/// The name of the type that this line declares at the level of a module, by the indentation that rustfmt gives.
fn declaration(line: &str) -> Option<String> {
    let line = line.strip_prefix("pub").unwrap_or(line);
    let line = if line.starts_with('(') { line.split_once(')')?.1 } else { line };
    let line = line.strip_prefix(' ').unwrap_or(line);
    let line = line.strip_prefix("unsafe ").unwrap_or(line);
    let (keyword, rest) = line.split_once(' ')?;
    let name = rest.split(|character| !is_word(character)).next()?;
    ["struct", "enum", "union", "trait", "type"].contains(&keyword).then(|| name.to_owned())
}

#[test]
fn the_check_sees_declarations() {
    let name = |line| declaration(line).unwrap_or_default();
    assert_eq!(["struct A;", "pub enum A<T> {", "pub(in a::b) type A = u8;"].map(name), ["A"; 3]);
    assert_eq!(["unsafe trait A {}", "pub unsafe trait A {"].map(name), ["A"; 2]);
    assert_eq!(["    type A = u8;", "// struct A", "impl A {", "fn a() {"].map(name), [""; 4]);
}
