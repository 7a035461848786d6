//! The list of promises names the tests that would see them break, and every such test is in the list.

use std::collections::BTreeSet;

use crate::source::sources;

/// The beginning of the names of these tests.
const PREFIX: &str = "fault_";

/// Faults of the list.
const FAULTS: u32 = 38;

/// All words in a text that begin with the prefix and a number.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(move |letter| !is_part(letter)).filter(|word| number(word).is_some())
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('_').next()?.parse().ok()
}

/// Names of the functions of the tests.
fn tests() -> BTreeSet<String> {
    let files = sources(&["rs"]).into_iter().filter(|(name, _)| name.starts_with("tests/"));
    let defined = |text: String| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
        lines.flat_map(names).map(str::to_owned).collect()
    };
    files
        .filter(|(name, _)| !name.starts_with("tests/architecture"))
        .flat_map(|(_, text)| defined(text))
        .collect()
}

fn list() -> String {
    let found = sources(&["md"]).into_iter().find(|(name, _)| name == "docs/RELIABILITY.md");
    found.expect("the list of promises").1
}

#[test]
fn every_test_in_the_list_of_promises_exists_and_every_such_test_is_in_it() {
    let (list, tests) = (list(), tests());
    let listed: BTreeSet<_> = names(&list).map(str::to_owned).collect();
    let unknown: Vec<_> = listed.difference(&tests).collect();
    assert!(unknown.is_empty(), "docs/RELIABILITY.md names tests that do not exist: {unknown:?}");
    let unlisted: Vec<_> = tests.difference(&listed).collect();
    assert!(unlisted.is_empty(), "docs/RELIABILITY.md lacks these tests: {unlisted:?}");
}

#[test]
fn every_fault_has_a_row_with_a_test_and_its_last_result() {
    let list = list();
    for fault in 1..=FAULTS {
        let row = list.lines().find(|line| line.starts_with(&format!("| {fault} |")));
        let row = row.unwrap_or_else(|| panic!("docs/RELIABILITY.md has no row for fault {fault}"));
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let is_whole = cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty());
        assert!(
            is_whole,
            "docs/RELIABILITY.md: fault {fault} needs number, fault, promise, test and last result"
        );
        let of_others = names(cells[3]).find(|name| number(name) != Some(fault));
        assert!(of_others.is_none(), "docs/RELIABILITY.md: {of_others:?} stands at fault {fault}");
    }
}

#[test]
fn the_check_sees_names() {
    assert_eq!(
        names("`e2e::fault_7_x`, fault_x, fault_12_y").collect::<Vec<_>>(),
        ["fault_7_x", "fault_12_y"]
    );
}
