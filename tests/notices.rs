//! The notices of third parties, `THIRD-PARTY.md`: made from the lock file and the sources that cargo has downloaded, without
//! network. The test fails when the file is not what would be made now; `RETICULUM_NOTICES=write` makes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const FILE: &str = "THIRD-PARTY.md";

/// What a release is built for; packages of other systems are not part of it.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const COMMAND: &str = "RETICULUM_NOTICES=write cargo test --test notices";

/// What is no package: facts taken from others' work.
const BESIDES: &str = "`src/store/collision/conditions.rs`: conditions of `sha1collisiondetection`, MIT, Copyright (c) 2017 Marc Stevens \
(Cryptology Group, Centrum Wiskunde & Informatica), Dan Shumow (Microsoft Research).";

const MIT: &str = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to \
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the \
Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice \
shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY \
OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE \
AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, \
WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER \
DEALINGS IN THE SOFTWARE.";

/// A package that a release is made of.
struct Package {
    name: String,
    version: String,
    license: String,
    authors: Vec<String>,
    /// Texts of licences and notices, by their paths below the package.
    texts: BTreeMap<String, String>,
}

impl Package {
    /// Whether the MIT licence is enough for it.
    fn is_mit(&self) -> bool {
        let license = self.license.replace('/', " OR ");
        !license.contains("AND") && license.split(" OR ").any(|one| one.trim() == "MIT")
    }

    /// Who holds the copyright, as the package says it.
    fn holders(&self) -> BTreeSet<String> {
        let lines = self.texts.values().flat_map(|text| text.lines());
        let holders: BTreeSet<_> = lines.filter_map(holder).collect();
        if !holders.is_empty() {
            return holders;
        }
        let name = |author: &String| author.split(" <").next().unwrap_or_default().to_owned();
        let authors: Vec<_> = self.authors.iter().map(name).collect();
        let all =
            if authors.is_empty() { format!("the authors of {}", self.name) } else { authors.join(", ") };
        BTreeSet::from([format!("Copyright {all}")])
    }
}

/// The line, if it names a holder of a copyright.
fn holder(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches(['*', '/', '#', '-', ' ']).trim_end_matches('\\').trim();
    let words = line.to_lowercase();
    let names = words.starts_with("copyright") && words.len() > 12 && line.len() < 160;
    let is_prose = [
        "copyright notice",
        "copyright owner",
        "copyright holder",
        "copyright license",
        "[yyyy]",
        "{yyyy}",
        "<year>",
    ]
    .iter()
    .any(|prose| words.contains(prose));
    let has_year = line.contains(|letter: char| letter.is_ascii_digit())
        || words.contains("(c)")
        || words.contains("copyright the");
    (names && has_year && !is_prose).then(|| line.to_owned())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What cargo knows of the packages of the lock file.
fn metadata() -> Value {
    let arguments =
        ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", TARGET];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("run cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The packages that are linked into the program: what it needs, and what those need; neither for tests nor to build.
fn packages(metadata: &Value) -> Vec<Package> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes: BTreeMap<_, _> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
    let own = text(&metadata["resolve"]["root"]);
    let (mut linked, mut wait) = (BTreeSet::new(), vec![own.clone()]);
    while let Some(id) = wait.pop() {
        for dependency in list(&nodes[&id]["deps"]) {
            let is_linked = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let id = text(&dependency["pkg"]);
            if is_linked && linked.insert(id.clone()) {
                wait.push(id);
            }
        }
    }
    let known =
        list(&metadata["packages"]).into_iter().filter(|package| linked.contains(&text(&package["id"])));
    let mut packages: Vec<_> = known
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            license: text(&package["license"]),
            authors: list(&package["authors"]).iter().map(text).collect(),
            texts: texts(Path::new(&text(&package["manifest_path"])).parent().expect("a folder")),
        })
        .collect();
    packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    packages
}

/// Licences and notices in a package's folder and, for sources of others that it carries along, three folders below it.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "PATENTS"];
    let mut texts = BTreeMap::new();
    let mut wait = vec![(folder.to_path_buf(), 0)];
    while let Some((below, depth)) = wait.pop() {
        for entry in fs::read_dir(&below).expect("a folder of sources").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().to_uppercase());
            if path.is_dir() && depth < 3 {
                wait.push((path, depth + 1));
            } else if NAMES.iter().any(|known| name.starts_with(known)) && !name.ends_with(".RS") {
                let place = path.strip_prefix(folder).expect("below").display().to_string();
                if let Ok(text) = fs::read_to_string(&path) {
                    texts.insert(place, text);
                }
            }
        }
    }
    texts
}

/// The text without its layout, to find equal ones.
fn essence(text: &str) -> String {
    let lines = text.lines().filter(|line| holder(line).is_none());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").to_lowercase()
}

fn notices(packages: &[Package]) -> String {
    let mut out = format!(
        "# Third-party notices\n\nReticulum is made of the following packages, too. This file is made from the lock file:\n`{COMMAND}`.\n\n\
         | package | version | licence |\n| --- | --- | --- |\n"
    );
    for Package { name, version, license, .. } in packages {
        out += &format!("| {name} | {version} | {license} |\n");
    }
    out += &format!("\n{BESIDES}\n\n## Under the MIT licence\n\n");
    for package in packages.iter().filter(|package| package.is_mit()) {
        let holders: Vec<_> = package.holders().into_iter().collect();
        out += &format!("* {} {}: {}\n", package.name, package.version, holders.join("; "));
    }
    out += &format!("\n```text\n{MIT}\n```\n\n## Under other licences\n");
    // Of the packages above only what they carry along of others.
    let mut users: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for package in packages {
        let carried = |place: &String| !package.is_mit() || place.contains('/');
        let of = format!("{} {}", package.name, package.version);
        if !package.is_mit() {
            let holders: Vec<_> = package.holders().into_iter().collect();
            out += &format!("\n* {of} ({}): {}", package.license, holders.join("; "));
        }
        for (_, text) in package.texts.iter().filter(|(place, _)| carried(place)) {
            let (_, names) = users.entry(essence(text)).or_insert_with(|| (text.clone(), Vec::new()));
            if !names.contains(&of) {
                names.push(of.clone());
            }
        }
    }
    out += "\n";
    let mut texts: Vec<_> = users.into_values().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
    for (text, names) in texts {
        let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").replace("```", "'''");
        out += &format!("\n### {}\n\n```text\n{}\n```\n", names.join(", "), text.trim_matches('\n'));
    }
    out
}

#[test]
fn the_notices_are_those_of_the_lock_file() {
    let packages = packages(&metadata());
    let unlicensed: Vec<_> =
        packages.iter().filter(|one| one.license.is_empty()).map(|one| &one.name).collect();
    assert!(unlicensed.is_empty(), "these packages name no licence: {unlicensed:?}");
    let silent = |one: &&Package| !one.is_mit() && one.texts.is_empty();
    let silent: Vec<_> = packages.iter().filter(silent).map(|one| &one.name).collect();
    assert!(silent.is_empty(), "these packages carry no text of their licence: {silent:?}");
    let (path, made) = (root().join(FILE), notices(&packages));
    if std::env::var_os("RETICULUM_NOTICES").is_some_and(|told| told == "write") {
        fs::write(&path, &made).expect("write the notices");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{FILE} is not that of Cargo.lock any more: run `{COMMAND}` and commit it");
}
