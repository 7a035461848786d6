//! Reads the sources as text: all files, those that ship, without comments, without tests.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src/` that ships, without comments and unit tests.
pub(crate) struct Shipped {
    /// From the package's root, with `/`.
    pub(crate) name: String,
    pub(crate) module: String,
    /// How many `super::` lead out of the file to the crate.
    pub(crate) depth: usize,
    pub(crate) code: String,
}

pub(crate) fn shipped() -> Vec<Shipped> {
    let sources = sources(&["rs"]);
    let tests = test_modules(&sources);
    let files = sources.into_iter().filter_map(|(name, text)| {
        let inner = name.strip_prefix("src/")?;
        if inner == "lib.rs" || is_test(&name, &tests) {
            return None;
        }
        let path = module_path(&name).strip_prefix("src/")?;
        let module = path.split('/').next()?.to_owned();
        let (depth, mut code) = (path.split('/').count(), without_comments(&without_tests(&text)));
        if inner == "main.rs" {
            // The binary is a crate of its own, to which the modules are those of the library.
            code = code.replace("reticulum::", "crate::");
        }
        Some(Shipped { name, module, depth, code })
    });
    files.collect()
}

/// The path of a file's module: its name without `.rs` or `/mod.rs`.
pub(crate) fn module_path(name: &str) -> &str {
    let module = name.strip_suffix(".rs").unwrap_or(name);
    module.strip_suffix("/mod").unwrap_or(module)
}

/// Paths of the modules that are declared under `#[cfg(test)]` and lie in files of their own.
pub(crate) fn test_modules(sources: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources {
        for declaration in test_declarations(text).filter_map(|line| line.strip_suffix(';')) {
            found
                .extend(declaration.rsplit(' ').next().map(|child| format!("{}/{child}", module_path(name))));
        }
    }
    found
}

pub(crate) fn is_test(name: &str, tests: &[String]) -> bool {
    let inside = |test: &String| {
        module_path(name).strip_prefix(test).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    tests.iter().any(inside)
}

/// What follows each `#[cfg(test)]`, where it is a module.
fn test_declarations(text: &str) -> impl Iterator<Item = &str> {
    let pairs = text.lines().zip(text.lines().skip(1));
    pairs.filter(|(before, line)| *before == "#[cfg(test)]" && line.contains("mod ")).map(|(_, line)| line)
}

/// The text up to the unit tests at its end.
pub(crate) fn without_tests(text: &str) -> String {
    let begin = test_declarations(text).find(|line| line.ends_with('{'));
    let end = begin.and_then(|line| text.find(&format!("#[cfg(test)]\n{line}"))).unwrap_or(text.len());
    text[..end].to_owned()
}

/// Name and text of every file of the package with such an ending, in order of names.
pub(crate) fn sources(endings: &[&str]) -> Vec<(String, String)> {
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
pub(crate) fn without_comments(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let begin = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count() % 2 == 0);
        code.push_str(begin.map_or(line, |(at, _)| &line[..at]));
        code.push('\n');
    }
    code
}

pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn comments_and_tests_are_cut_away() {
    assert_eq!(without_comments("a // b\n/// c\nd(\"http://e\")\n"), "a \n\nd(\"http://e\")\n");
    assert_eq!(
        without_tests("a\n#[cfg(test)]\nmod b;\nc\n#[cfg(test)]\nmod d {\n}\n"),
        "a\n#[cfg(test)]\nmod b;\nc\n"
    );
    let tests = test_modules(&[("src/a/mod.rs".into(), "#[cfg(test)]\nmod b;\nmod c;\n".into())]);
    let tested =
        ["src/a/b.rs", "src/a/b/x.rs", "src/a/c.rs", "src/a/bc.rs"].map(|name| is_test(name, &tests));
    assert_eq!(tested, [true, true, false, false]);
}
