//! Files of a module must not name each other in a circle: each can then be read, tested and moved without the others.
//!
//! Compared are the children of one module, each with everything below it. A file and its own submodules may name each
//! other. Read are all paths that begin with `crate`, `super` or `self`, on what ships; an item that a module re-exports
//! counts as one of the file that holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::source::{is_word, module_path, shipped};

/// A path of modules below `src`.
type ModulePath = Vec<String>;

/// Pairs of siblings of which the first names the second, and the file that does.
type Edges = BTreeMap<(String, String), String>;

#[test]
fn files_of_a_module_do_not_name_each_other_in_a_circle() {
    let mut complaints = String::new();
    for (parent, edges) in Sources::read().edges() {
        for cycle in cycles(&edges) {
            complain(&mut complaints, &parent, &cycle, &edges);
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// Children that may name only these of their siblings, below a module.
const ROOMS: &[(&str, &str, &[&str])] = &[
    // A server of requests whose meaning it does not know.
    ("http", "server", &["body", "reply"]),
    // Nothing of what clients ask: peers have rights of their own.
    ("http", "peer_api", &["body", "exchange", "receive", "reply"]),
    // Plain data.
    ("shard", "message", &["errors", "job", "variant"]),
];

#[test]
fn rooms_name_only_the_siblings_that_they_may() {
    let mut complaints = String::new();
    let all = Sources::read().edges();
    for (module, child, allowed) in ROOMS {
        let edges = all.get(*module).expect("a module of the list is there");
        assert!(edges.keys().any(|(from, _)| from == child), "{module} has no {child} any more; mend ROOMS");
        for ((from, to), file) in edges {
            if from == child && !allowed.contains(&to.as_str()) {
                writeln!(complaints, "{file}: {module}/{child} must not name {to}; pass it as an argument")
                    .unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

fn complain(complaints: &mut String, parent: &str, cycle: &BTreeSet<String>, edges: &Edges) {
    let advice = "move what both need into a file below them";
    writeln!(complaints, "{parent}: {cycle:?} name each other in a circle; {advice}").unwrap();
    for ((from, to), file) in edges {
        if cycle.contains(from) && cycle.contains(to) {
            writeln!(complaints, "    {from} names {to}, in {file}").unwrap();
        }
    }
}

/// Sets of siblings that reach each other.
fn cycles(edges: &Edges) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut left = vec![from];
        while let Some(next) = left.pop() {
            let targets = edges.keys().filter(|(from, _)| from == next).map(|(_, to)| to);
            left.extend(targets.filter(|to| reached.insert((*to).clone())));
        }
        reached
    };
    let siblings: BTreeSet<_> = edges.keys().map(|(from, _)| from).collect();
    let reach: BTreeMap<_, _> = siblings.into_iter().map(|from| (from, reached(from))).collect();
    let cycle = |(from, to): (&&String, &BTreeSet<String>)| {
        let back = |other: &&String| reach.get(other).is_some_and(|reached| reached.contains(*from));
        to.contains(*from).then(|| to.iter().filter(back).cloned().collect())
    };
    reach.iter().filter_map(cycle).collect()
}

/// The files that ship, and what each can name by a name of its own.
struct Sources {
    /// Where each file stands, its name and its code.
    files: BTreeMap<ModulePath, (String, String)>,
    /// What the `use` declarations of a file bring in: a name, and the path that it stands for.
    imports: BTreeMap<ModulePath, BTreeMap<String, ModulePath>>,
}

impl Sources {
    fn read() -> Self {
        let place = |name: &str| module_path(name).split('/').skip(1).map(String::from).collect();
        Self::new(shipped().into_iter().map(|file| (place(&file.name), (file.name, file.code))).collect())
    }

    fn new(files: BTreeMap<ModulePath, (String, String)>) -> Self {
        let mut sources = Self { files, imports: BTreeMap::new() };
        for (place, (_, code)) in &sources.files {
            let uses = code.match_indices("use ").filter(|(at, _)| !code[..*at].ends_with(is_word));
            let trees = uses.flat_map(|(at, word)| paths(&code[at + word.len()..]));
            let absolute = trees.filter_map(|path| {
                let name = path.last()?.clone();
                Some((name, sources.absolute(place, path)?))
            });
            sources.imports.insert(place.clone(), absolute.collect());
        }
        sources
    }

    /// The path from the crate on, where its head is a keyword or a submodule.
    fn absolute(&self, place: &ModulePath, path: ModulePath) -> Option<ModulePath> {
        let ups = path.iter().take_while(|word| *word == "super").count();
        let child = || [&place[..], &path[..1]].concat();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([&place[..], &path[1..]].concat()),
            "super" => Some([place.get(..place.len().checked_sub(ups)?)?, &path[ups..]].concat()),
            _ => self.files.contains_key(&child()).then(|| [&place[..], &path[..]].concat()),
        }
    }

    /// The file that holds what a path names, through re-exports.
    fn file_of(&self, path: &[String], patience: usize) -> ModulePath {
        let mut file = ModulePath::new();
        for (at, word) in path.iter().enumerate() {
            file.push(word.clone());
            if self.files.contains_key(&file) {
                continue;
            }
            file.pop();
            let import = self.imports.get(&file).and_then(|imports| imports.get(word));
            return match import.filter(|_| patience > 0) {
                Some(import) => self.file_of(&[&import[..], &path[at + 1..]].concat(), patience - 1),
                None => file,
            };
        }
        file
    }

    /// For each module, which of its children name which others.
    fn edges(&self) -> BTreeMap<String, Edges> {
        let mut edges = BTreeMap::<String, Edges>::new();
        for (place, (name, code)) in &self.files {
            let heads = ["crate::", "super::", "self::"].iter().flat_map(|head| code.match_indices(head));
            let begins = heads.filter(|(at, _)| !code[..*at].ends_with(|c| is_word(c) || c == ':'));
            for path in begins.flat_map(|(at, _)| paths(&code[at..])) {
                let Some(path) = self.absolute(place, path) else { continue };
                let target = self.file_of(&path, 4);
                let common = place.iter().zip(&target).take_while(|(a, b)| a == b).count();
                if let (Some(from), Some(to)) = (place.get(common), target.get(common)) {
                    let parent = edges.entry(place[..common].join("/")).or_default();
                    parent.entry((from.clone(), to.clone())).or_insert_with(|| name.clone());
                }
            }
        }
        edges
    }
}

/// Every path of the tree that begins here, with its groups spread; `self` at the end is the group itself.
fn paths(code: &str) -> Vec<ModulePath> {
    let mut found = Vec::new();
    tree(code, &ModulePath::new(), &mut found);
    found
}

/// Reads one tree and gives what follows it.
fn tree<'a>(code: &'a str, prefix: &ModulePath, found: &mut Vec<ModulePath>) -> &'a str {
    let mut path = prefix.clone();
    let mut rest = code.trim_start();
    loop {
        if let Some(mut group) = rest.strip_prefix('{') {
            while !group.is_empty() && !group.starts_with('}') {
                group = tree(group, &path, found).trim_start();
                let end = group.find([',', '}']).unwrap_or(group.len());
                group = group[end..].strip_prefix(',').unwrap_or(&group[end..]).trim_start();
            }
            return group.strip_prefix('}').unwrap_or(group);
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if !(word.is_empty() || word == "self" && !path.is_empty()) {
            path.push(word.to_owned());
        }
        match after.strip_prefix("::") {
            Some(more) if !word.is_empty() => rest = more,
            _ => {
                found.push(path);
                return after;
            }
        }
    }
}

#[test]
fn the_check_sees_circles() {
    let words = |path: &str| path.split("::").map(String::from).collect::<ModulePath>();
    assert_eq!(
        paths("crate::a::{self, b::{C, d}, E as F};"),
        ["crate::a", "crate::a::b::C", "crate::a::b::d", "crate::a::E"].map(words)
    );
    let files = [
        ("a", "pub use b::B;\nuse self::c::C;\n"),
        ("a::b", "use super::c;\n"),
        ("a::c", "fn c() -> crate::a::B {}\n"),
        ("a::d", "use super::c::C;\nuse super::d::e::E;\n"),
        ("a::d::e", "use super::super::c::C;\nuse super::D;\n"),
    ];
    let files = files.map(|(place, code)| (words(place), (place.to_owned(), code.to_owned())));
    let edges = Sources::new(files.into()).edges();
    assert_eq!(edges.keys().collect::<Vec<_>>(), ["a"]);
    let cycle = ["b", "c"].map(String::from).into();
    assert_eq!(cycles(&edges["a"]), [cycle].into());
}
