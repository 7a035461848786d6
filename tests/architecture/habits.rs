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
    let home = "tests/e2e/support/harness.rs";
    let sleeps =
        |(name, text): &(String, String)| name.starts_with("tests/") && name != home && text.contains(sleep);
    let names: Vec<_> = sources(&["rs"]).into_iter().filter(sleeps).map(|(name, _)| name).collect();
    assert!(names.is_empty(), "use wait_until of {home} in {names:?}");
}

#[test]
fn unit_tests_stand_at_the_end_of_their_file_or_in_tests_rs() {
    let mut complaints = String::new();
    let is_unit = |(name, _): &(String, String)| name.starts_with("src/") || name.starts_with("tools/");
    for (name, text) in sources(&["rs"]).iter().filter(|file| is_unit(file)) {
        let mut faults: Vec<_> = misplaced_test_modules(text);
        faults.extend(misplaced_test_file(name, text).map(String::from));
        faults.iter().for_each(|fault| writeln!(complaints, "{name}: {fault}").unwrap());
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// Faults of the modules that a file declares for tests only.
fn misplaced_test_modules(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let declared = lines.windows(2).enumerate().filter_map(|(at, pair)| {
        ["#[cfg(test)]", "#[cfg(all(test, "]
            .iter()
            .any(|mark| pair[0].starts_with(mark))
            .then(|| Some((at + 1, pair[1].split_once("mod ")?.1)))?
    });
    let faults = declared.filter_map(|(at, module)| match module {
        "tests;" => None,
        "tests {" if lines[at..].iter().position(|line| *line == "}") == Some(lines.len() - at - 1) => None,
        "tests {" => Some("move `mod tests` to the end of the file".to_owned()),
        other => Some(format!("name it `mod tests`, or move it into its folder: `mod {other}`")),
    });
    faults.collect()
}

/// What is wrong with the place or the name of a file that holds tests, or stands among them.
fn misplaced_test_file(name: &str, text: &str) -> Option<&'static str> {
    let (folder, file) = name.rsplit_once('/')?;
    let is_among_tests = folder.split('/').any(|part| part == "tests");
    let has_tests =
        [concat!("#[", "test]"), concat!("proptest", "! {")].iter().any(|mark| text.contains(mark));
    if !is_among_tests {
        let named = file != "tests.rs" && file.trim_end_matches(".rs").split('_').any(|part| part == "tests");
        let stray = has_tests && file != "tests.rs" && !text.contains("mod tests {");
        return (named || stray).then_some("move it to name/tests.rs or name/tests/");
    }
    match file {
        "mod.rs" => Some("write tests.rs beside the folder tests"),
        "support.rs" | "corpus.rs" | "fixtures.rs" => None,
        _ => (!has_tests).then_some("helpers of tests stand in tests.rs or in tests/support.rs"),
    }
}

#[test]
fn the_check_sees_tests_elsewhere() {
    let modules = |text| misplaced_test_modules(text).len();
    assert_eq!(
        modules("a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\npub(super) mod tests {\n    c\n}\n"),
        0
    );
    assert_eq!(modules("#[cfg(test)]\nmod tests {\n}\na\n"), 1);
    assert_eq!(modules("#[cfg(test)]\nmod a_tests;\n#[cfg(test)]\nfn f() {}\n"), 1);
    let test = concat!("#[", "test]\n");
    let file = |name, text| misplaced_test_file(name, text).is_some();
    assert!(!file("src/a/tests.rs", test) && !file("src/a/tests/b.rs", test) && !file("src/a.rs", ""));
    assert!(!file("src/a/tests/support.rs", "") && file("src/a/tests/helpers.rs", ""));
    assert!(file("src/a/tests/mod.rs", test) && file("src/a/b_tests.rs", test) && file("src/a/b.rs", test));
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
