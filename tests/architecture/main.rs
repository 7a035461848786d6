//! The house rules that the compiler does not guard: who may know whom, how large a file or function may
//! grow, what must not stand in the source. The source is read as text; every complaint says what to do.
//!
//! Layering is checked on what ships: unit tests (modules under `#[cfg(test)]`) may name any room, to set a scene.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room of `src/`, and the rooms it may name as `crate::…`.
const ROOMS: &[(&str, &[&str])] = &[
    ("object", &[]),
    ("telemetry", &["object"]),
    ("image", &["object"]),
    ("cluster", &["object"]),
    ("store", &["object", "image", "telemetry"]),
    ("peer", &["object", "cluster", "telemetry"]),
    ("shard", &["object", "image", "store", "cluster", "peer", "telemetry"]),
    ("http", &["object", "image", "store", "cluster", "peer", "shard", "telemetry"]),
    ("cli", &["object"]),
    // Of the store only its offline check, which no node runs.
    ("client", &["object", "store", "cli"]),
    ("config", &["object", "image", "store", "cluster", "peer", "shard", "http", "telemetry", "cli"]),
    ("control", &["object", "image", "store", "cluster", "peer", "shard", "http", "telemetry", "config"]),
    ("demo", &["object", "image", "telemetry", "cli", "client", "config", "control"]),
    ("main", &["telemetry", "cli", "client", "config", "control", "demo"]),
];

/// Crates and other paths that only these rooms or files of `src/` may name.
const OUTSIDERS: &[(&str, &[&str])] = &[
    ("glommio", &["control", "shard", "http", "store", "peer"]),
    ("hyper", &["http", "peer"]),
    ("http_body_util", &["http", "peer"]),
    ("multer", &["http"]),
    ("hmac", &["object/sign.rs", "peer"]),
    ("subtle", &["http/access/key.rs"]),
    ("foca", &["cluster"]),
    ("StatusCode", &["http/reply.rs"]),
    ("fast_image_resize", &["image/resize.rs"]),
    ("zune_jpeg", &["image"]),
    ("libwebp_sys", &["image/decode/webp/libwebp.rs", "image/encode/webp.rs"]),
    ("moxcms", &["image"]),
    ("re_rav1d", &["image"]),
    ("rav1e", &["image/encode/avif.rs"]),
    ("prometheus", &["telemetry"]),
    ("env_logger", &["telemetry"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("ureq", &["client"]),
    ("indicatif", &["client"]),
    ("toml", &["config"]),
    ("signal_hook", &["control", "demo", "shard/helper/child.rs"]),
    ("rustix", &["config", "control", "shard", "http", "store", "peer"]),
];

/// Rooms that take everything as arguments, and what would break that.
const PURE: (&[&str], &[&str]) = (
    &["object", "image", "cluster"],
    &[
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "Instant::now",
        "SystemTime::now",
        "log::",
    ],
);

/// Files of `src/` that may allow unsafe code, each with its SAFETY arguments.
const UNSAFE: &[&str] = &[
    "src/control/system.rs",
    "src/http/poller.rs",
    "src/image/decode/webp/libwebp.rs",
    "src/image/encode/webp.rs",
    "src/image/jpeg/lanes/sse2.rs",
    "src/store/collision/avx2.rs",
    "src/store/descriptor.rs",
];

/// Lines that a file may have; beyond it, split it.
const FILE_LINES_MAX: usize = 500;

/// Lines that a function may have, signature and braces included.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that are larger all the same, with the lines they have now. A ratchet: they may only shrink.
const LARGE_FILES: &[(&str, usize)] = &[];

/// Files with a function that is larger all the same, and its lines. Also a ratchet.
const LARGE_FUNCTIONS: &[(&str, usize)] = &[("src/object/spec/tests.rs", 83)];

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
fn every_room_names_only_the_rooms_below_it() {
    let mut complaints = String::new();
    for file in shipped() {
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == file.room) else {
            writeln!(complaints, "{}: no such room; give it a row in ROOMS here", file.name).unwrap();
            continue;
        };
        for other in rooms_named(&file.code) {
            if other != file.room && !allowed.contains(&other.as_str()) && is_room(&other) {
                let (name, room) = (&file.name, &file.room);
                let advice = "pass it as an argument, or move what both need to a room below";
                writeln!(complaints, "{name}: {room} must not name crate::{other}; {advice}").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn no_path_climbs_to_the_crate_with_super() {
    let mut complaints = String::new();
    for file in shipped() {
        let climb = "super::".repeat(file.depth);
        if let Some(line) = file.code.lines().find(|line| line.contains(&climb)) {
            let (name, line) = (&file.name, line.trim());
            writeln!(complaints, "{name}: name the room with crate::, not with super:: in `{line}`").unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn outside_crates_are_named_only_where_they_belong() {
    let mut complaints = String::new();
    for file in shipped() {
        for (outsider, places) in OUTSIDERS {
            let at_home =
                places.iter().any(|place| file.room == *place || file.name == format!("src/{place}"));
            if !at_home && names(&file.code, outsider) {
                let name = &file.name;
                writeln!(complaints, "{name}: {outsider} belongs in {places:?}; call a function there")
                    .unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn pure_rooms_touch_neither_file_nor_socket_nor_clock() {
    let (rooms, effects) = PURE;
    let mut complaints = String::new();
    for file in shipped().iter().filter(|file| rooms.contains(&file.room.as_str())) {
        for effect in effects {
            if file.code.split_inclusive(effect).any(|part| ends_as_a_path(part, effect)) {
                let (name, room) = (&file.name, &file.room);
                writeln!(complaints, "{name}: {room} is pure; take the result of {effect} as an argument")
                    .unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn unsafe_code_stands_only_in_the_listed_files() {
    let allow = concat!("allow(", "unsafe_code)");
    let mut complaints = String::new();
    for file in shipped().iter().filter(|file| file.code.contains(allow)) {
        if !UNSAFE.contains(&file.name.as_str()) {
            let name = &file.name;
            writeln!(complaints, "{name}: find a safe way, or argue for it and list the file in UNSAFE")
                .unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

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
        // This file spells them out to find them.
        for (number, line) in text.lines().enumerate().filter(|_| name != "tests/architecture/main.rs") {
            if MACHINE_PATHS.iter().any(|path| begins_a_path(line, path)) {
                writeln!(complaints, "{name}:{}: use a relative path or a variable", number + 1).unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn the_checks_see_what_they_look_for() {
    let code = "use crate::{store::File, shard};\nfn f() { crate::image::decode(); mycrate::nothing(); }\n";
    assert_eq!(rooms_named(code), ["image", "shard", "store"].map(String::from).into());
    assert!(names("use hyper as h;", "hyper") && names("let x = hyper::Body;", "hyper"));
    assert!(!names("use crate::hyper_like;", "hyper") && !names("// a hyper thing", "hyper"));
    assert!(!names("let x = crate::toml::read;", "toml") && !names("x.toml", "toml"));
    assert_eq!(functions("    fn a(\n        x: u8,\n    ) {\n    }\nfn b() {}\n"), [(1, 4), (5, 1)]);
    assert_eq!(without_comments("a // b\n/// c\nd(\"http://e\")\n"), "a \n\nd(\"http://e\")\n");
    assert_eq!(
        without_tests("a\n#[cfg(test)]\nmod b;\nc\n#[cfg(test)]\nmod d {\n}\n"),
        "a\n#[cfg(test)]\nmod b;\nc\n"
    );
    let tests = test_modules(&[("src/a/mod.rs".into(), "#[cfg(test)]\nmod b;\nmod c;\n".into())]);
    let tested =
        ["src/a/b.rs", "src/a/b/x.rs", "src/a/c.rs", "src/a/bc.rs"].map(|name| is_test(name, &tests));
    assert_eq!(tested, [true, true, false, false]);
    assert!(begins_a_path("in /a/x", "/a/") && !begins_a_path("at ../a/x", "/a/"));
}

/// A file of `src/` that ships, without comments and unit tests.
struct Shipped {
    /// From the package's root, with `/`.
    name: String,
    room: String,
    /// How many `super::` lead out of the file to the crate.
    depth: usize,
    code: String,
}

fn shipped() -> Vec<Shipped> {
    let sources = sources(&["rs"]);
    let tests = test_modules(&sources);
    let files = sources.into_iter().filter_map(|(name, text)| {
        let inner = name.strip_prefix("src/")?;
        if inner == "lib.rs" || is_test(&name, &tests) {
            return None;
        }
        let module = module(&name).strip_prefix("src/")?;
        let room = module.split('/').next()?.to_owned();
        let (depth, mut code) = (module.split('/').count(), without_comments(&without_tests(&text)));
        if inner == "main.rs" {
            // The binary is a crate of its own, to which the rooms are those of the library.
            code = code.replace("reticulum::", "crate::");
        }
        Some(Shipped { name, room, depth, code })
    });
    files.collect()
}

/// The path of a file's module: its name without `.rs` or `/mod.rs`.
fn module(name: &str) -> &str {
    let module = name.strip_suffix(".rs").unwrap_or(name);
    module.strip_suffix("/mod").unwrap_or(module)
}

/// Paths of the modules that are declared under `#[cfg(test)]` and lie in files of their own.
fn test_modules(sources: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources {
        for declaration in test_declarations(text).filter_map(|line| line.strip_suffix(';')) {
            found.extend(declaration.rsplit(' ').next().map(|child| format!("{}/{child}", module(name))));
        }
    }
    found
}

fn is_test(name: &str, tests: &[String]) -> bool {
    let inside = |test: &String| {
        module(name).strip_prefix(test).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    tests.iter().any(inside)
}

/// What follows each `#[cfg(test)]`, where it is a module.
fn test_declarations(text: &str) -> impl Iterator<Item = &str> {
    let pairs = text.lines().zip(text.lines().skip(1));
    pairs.filter(|(before, line)| *before == "#[cfg(test)]" && line.contains("mod ")).map(|(_, line)| line)
}

/// The text up to the unit tests at its end.
fn without_tests(text: &str) -> String {
    let begin = test_declarations(text).find(|line| line.ends_with('{'));
    let end = begin.and_then(|line| text.find(&format!("#[cfg(test)]\n{line}"))).unwrap_or(text.len());
    text[..end].to_owned()
}

/// Name and text of every file of the package with such an ending, in order of names.
fn sources(endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(root, &mut paths);
    paths.retain(|path| !["target", "data"].iter().any(|made| path.starts_with(root.join(made))));
    paths.sort();
    let wanted = |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|e| ending == *e));
    let named = |path: PathBuf| {
        let name =
            path.strip_prefix(root).expect("below the root").to_str().expect("a UTF-8 name").to_owned();
        (name, fs::read_to_string(&path).expect("a readable text"))
    };
    paths.into_iter().filter(wanted).map(named).collect()
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let entry = entry.expect("a readable entry");
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        match entry.file_type().expect("a file type") {
            kind if kind.is_dir() && !hidden && name != "target" => walk(&entry.path(), found),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// The text with its `//` comments cut away; a `//` inside a string on the line, as in a URL, is left.
fn without_comments(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let begin = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count() % 2 == 0);
        code.push_str(begin.map_or(line, |(at, _)| &line[..at]));
        code.push('\n');
    }
    code
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|(room, _)| *room == name)
}

/// Whatever stands first after `crate::`, in braces too.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(first_word(rest)),
        }
    }
    found
}

/// The first words of the members of a `{…}` that has just been opened.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut heads = vec![0];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(at + 1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.into_iter().filter_map(|at| first_word(group[at..].trim_start())).collect()
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|&character| is_word(character)).collect();
    (!word.is_empty()).then_some(word)
}

/// Whether the code names this crate or type: at the head of a path, or in a `use`.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        let head = !before.ends_with("::") && after.starts_with("::");
        // A type is also reached through its crate's path.
        let reached = word.starts_with(char::is_uppercase) && after.starts_with("::");
        whole && (head || reached || before.ends_with("use ") || before.ends_with("extern crate "))
    })
}

/// Whether `part`, cut after `path`, ends in that path and not in a longer word.
fn ends_as_a_path(part: &str, path: &str) -> bool {
    part.strip_suffix(path).is_some_and(|before| !before.ends_with(is_word) && !before.ends_with("::"))
}

/// Whether an absolute path begins with `path` in this line.
fn begins_a_path(line: &str, path: &str) -> bool {
    let part_of_longer =
        |before: &str| before.ends_with(|c: char| is_word(c) || c == '.' || c == '-' || c == '}');
    line.match_indices(path).any(|(at, _)| !part_of_longer(&line[..at]))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
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
