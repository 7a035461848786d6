//! Words that were replaced by the field's own, and must not come back.
//!
//! `replaced.tsv` lists identifiers: the old word, the module in which it had that meaning, and the new word. They are
//! looked for as whole words in the code. [`PROSE`] lists words of comments, texts and docs.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::source::{is_word, sources, without_comments};

/// Old word, module, new word, by tabs.
const IDENTIFIERS: &str = include_str!("replaced.tsv");

/// A word or phrase in lower case, where it meant the old thing, and what to say instead.
const PROSE: &[(&str, &[&str], &str)] = &[
    (
        "grid",
        &["src/cluster", "src/control", "src/shard", "src/peer", "tests/e2e/support/nodes.rs"],
        "cluster",
    ),
    ("letter", &["src/cluster", "src/control", "src/shard"], "gossip message"),
    ("roll call", &["src", "tests", "docs", "README.md"], "stats exchange"),
    ("roster", &["src", "docs", "README.md"], "node stats"),
    ("bells", &["src", "tests", "docs"], "executor wakers"),
    ("outing", &["src", "tests", "tools", "docs", "README.md"], "automatic mark-out"),
    ("resize lane", &["src", "tests", "tools", "docs", "README.md"], "resize worker, resize queue"),
    ("a flight", &["src/shard"], "a job in flight"),
    ("the flight", &["src/shard"], "the job in flight"),
    ("at a glance", &["src/shard"], "placeholder"),
    ("made ahead", &["src/shard"], "pre-generated"),
    ("hello", &["src/cluster", "src/control"], "announcement"),
    ("column", &["src/cluster", "src/control"], "layout version"),
    ("columns", &["src/cluster", "src/control"], "layout versions"),
    ("clash", &["src/cluster", "src/control"], "duplicate node id"),
    ("first word", &["src/cluster", "src/control", "src/config"], "bootstrap setting"),
    ("one core's room", &["src"], "module"),
    ("this room", &["src", "tests", "tools"], "module"),
    ("other rooms", &["src", "tests", "tools", "docs"], "module"),
    ("all rooms", &["src", "tests", "tools", "docs"], "module"),
    ("loaded anew", &["src", "tests", "docs", "README.md"], "reloaded"),
    ("for ever", &["src/cluster", "src/control", "src/shard", "src/lib.rs"], "forever"),
    ("anew", &["src/cluster", "src/control"], "again"),
    ("janitor", &["src", "tests", "tools", "docs", "README.md"], "temp-file reaper"),
    ("census", &["src", "tests", "tools", "docs", "README.md"], "image inventory"),
    ("taken stock", &["src", "tests", "docs"], "counted the inventory"),
    ("condemn", &["src", "tests", "tools", "docs", "README.md"], "quarantine"),
    ("condemned", &["src", "tests", "tools", "docs", "README.md"], "quarantined"),
    ("be seated", &["src", "tests", "docs"], "wait for a slot"),
    ("likeness", &["src"], "similarity"),
    ("house rules", &["src", "tests", "docs", "README.md"], "architecture test"),
];

/// Phrases of [`PROSE`] that a file still has. A ratchet: it may only shrink.
const PROSE_LEFT: &[(&str, &str)] = &[];

#[test]
fn replaced_identifiers_do_not_come_back() {
    let files = sources(&["rs"]);
    let code = files.iter().filter(|(name, _)| !name.starts_with("tests/architecture/"));
    let mut complaints = String::new();
    for (name, text) in code {
        let lines = words_by_line(text);
        for (old, module, new) in IDENTIFIERS.lines().filter_map(row).filter(|row| is_below(name, row.1)) {
            if let Some(line) = lines.get(old) {
                writeln!(complaints, "{name}:{line}: {old} was replaced in {module}; say {new}").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn replaced_words_stay_out_of_comments_texts_and_docs() {
    let files = sources(&["rs", "md"]);
    let mut complaints = String::new();
    let mut left: Vec<_> = PROSE_LEFT.to_vec();
    for (name, text) in files.iter().filter(|(name, _)| !name.starts_with("tests/architecture/")) {
        let prose = if name.ends_with(".rs") { prose(text) } else { text.clone() }.to_lowercase();
        for (old, _, new) in PROSE.iter().filter(|row| row.1.iter().any(|place| is_below(name, place))) {
            if !has_phrase(&prose, old) {
                continue;
            }
            match left.iter().position(|listed| *listed == (*old, name.as_str())) {
                Some(index) => drop(left.swap_remove(index)),
                None => writeln!(complaints, "{name}: \"{old}\" was replaced; say \"{new}\"").unwrap(),
            }
        }
    }
    for (old, name) in left {
        writeln!(complaints, "{name}: \"{old}\" is gone; take it out of PROSE_LEFT").unwrap();
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn every_row_of_the_table_can_be_read() {
    let bad: Vec<_> = IDENTIFIERS.lines().filter(|line| row(line).is_none()).collect();
    assert!(bad.is_empty(), "old word, module and new word, by tabs: {bad:?}");
}

fn row(line: &str) -> Option<(&str, &str, &str)> {
    let mut fields = line.split('\t');
    let row = (fields.next()?, fields.next()?, fields.next()?);
    (fields.next().is_none() && row.0.chars().all(is_word) && !row.2.is_empty()).then_some(row)
}

/// Whether a file is this module or lies below it.
fn is_below(name: &str, module: &str) -> bool {
    name.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
}

/// Every word of the code, without comments and texts, with the line on which it stands first.
fn words_by_line(text: &str) -> BTreeMap<String, usize> {
    let mut words = BTreeMap::new();
    for (index, line) in without_comments(text).lines().enumerate() {
        for code in line.split('"').step_by(2) {
            for word in code.split(|character| !is_word(character)).filter(|word| !word.is_empty()) {
                words.entry(word.to_owned()).or_insert(index + 1);
            }
        }
    }
    words
}

/// The comments of a source, and the texts between quotes on one line; line breaks inside a comment become spaces.
fn prose(text: &str) -> String {
    let code = without_comments(text);
    let mut prose = String::new();
    for (line, code) in text.lines().zip(code.lines()) {
        let comment = line[code.len()..].trim_start_matches(['/', '!']).trim();
        prose.push_str(comment);
        prose.push(' ');
        for text in code.split('"').skip(1).step_by(2) {
            prose.push_str(text);
            prose.push('\n');
        }
    }
    prose
}

fn has_phrase(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let is_part = |character: char| is_word(character) || character == '`';
        !text[..at].ends_with(is_part) && !text[at + phrase.len()..].starts_with(is_part)
    })
}

#[test]
fn the_check_sees_words_and_phrases() {
    let words = words_by_line("let grid = 1; // lane\nlet text = \"bells\";\n");
    assert_eq!(words.get("grid"), Some(&1));
    assert!(!words.contains_key("lane") && !words.contains_key("bells"));
    let prose = prose("let grid = 1; // A resize\n// lane of \"its\" own\nlet text = \"two bells\";\n");
    assert!(has_phrase(&prose, "resize lane") && has_phrase(&prose, "bells") && !has_phrase(&prose, "grid"));
    assert!(!has_phrase("a `grid`, gridlock", "grid"));
    assert!(
        is_below("src/a/b.rs", "src/a") && is_below("src/a.rs", "src/a") && !is_below("src/ab.rs", "src/a")
    );
}
