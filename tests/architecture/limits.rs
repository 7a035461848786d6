//! How large a file and a function may grow.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::source::sources;

/// Lines that a file may have; beyond it, split it.
const FILE_LINES_MAX: usize = 500;

/// Lines that a function may have, signature and braces included.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that are larger all the same, with the lines they have now. A ratchet: they may only shrink.
const LARGE_FILES: &[(&str, usize)] = &[];

/// Files with a function that is larger all the same, and its lines. Also a ratchet.
const LARGE_FUNCTIONS: &[(&str, usize)] = &[("src/object/spec/tests.rs", 83)];

#[test]
fn no_file_grows_beyond_its_limit() {
    let mut complaints = String::new();
    let mut large = BTreeSet::new();
    for (name, text) in sources(&["rs"]) {
        let count = text.lines().count();
        let listed = LARGE_FILES.iter().find(|(file, _)| *file == name).map(|(_, lines)| *lines);
        if count > FILE_LINES_MAX {
            large.insert(name.clone());
        }
        match listed {
            None if count > FILE_LINES_MAX => {
                writeln!(complaints, "{name}: {count} lines; split it below {FILE_LINES_MAX}").unwrap();
            }
            Some(lines) if count > lines => {
                writeln!(complaints, "{name}: grown from {lines} to {count} lines; split it").unwrap();
            }
            Some(lines) if count < lines => {
                writeln!(complaints, "{name}: shrunk to {count} lines; write that into LARGE_FILES").unwrap();
            }
            _ => {}
        }
    }
    for (name, _) in LARGE_FILES.iter().filter(|(name, _)| !large.contains(*name)) {
        writeln!(complaints, "{name}: no longer large; take it out of LARGE_FILES").unwrap();
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn no_function_grows_beyond_its_limit() {
    let mut complaints = String::new();
    for (name, text) in sources(&["rs"]) {
        for (line, count) in functions(&text).into_iter().filter(|(_, count)| *count > FUNCTION_LINES_MAX) {
            if LARGE_FUNCTIONS.contains(&(name.as_str(), count)) {
                continue;
            }
            let advice = "keep the branching, move the leaves into functions of their own";
            writeln!(complaints, "{name}:{line}: a function of {count} lines; {advice}").unwrap();
        }
    }
    for (name, count) in LARGE_FUNCTIONS {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap_or_default();
        if !functions(&text).iter().any(|(_, lines)| lines == count) {
            writeln!(complaints, "{name}: no function of {count} lines; mend LARGE_FUNCTIONS").unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// First line and number of lines of every function, by the indentation that rustfmt gives its braces.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let begins = lines.iter().enumerate().filter(|(_, line)| is_function_head(line));
    let sizes = begins.map(|(begin, line)| {
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", &line[..indent]);
        let one_line = line.ends_with('}') || line.ends_with(';');
        let rest =
            if one_line { 0 } else { lines[begin..].iter().position(|line| *line == end).unwrap_or(0) };
        (begin + 1, rest + 1)
    });
    sizes.collect()
}

fn is_function_head(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    words.find(|word| !qualifiers.contains(word)) == Some("fn")
}

#[test]
fn the_check_sees_functions() {
    assert_eq!(functions("    fn a(\n        x: u8,\n    ) {\n    }\nfn b() {}\n"), [(1, 4), (5, 1)]);
}
