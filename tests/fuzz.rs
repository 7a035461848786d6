//! The fuzzer's checks on what it begins with, on every input that ever broke one, and on the corpus.

// Public for the crate of the targets.
#[allow(unreachable_pub)]
#[path = "../tools/fuzz/checks/mod.rs"]
mod checks;
#[path = "../src/image/tests/corpus.rs"]
mod corpus;

use std::fs;
use std::path::{Path, PathBuf};

use checks::{CHECKS, seeds};

#[test]
fn every_check_holds_on_every_seed() {
    for (name, bytes) in seeds::seeds() {
        for (check, hold) in CHECKS {
            eprintln!("{check} on {name}");
            hold(&bytes);
            // Every choice that the last byte makes, on a few: the others have the fuzzer.
            if check == "render" && name.starts_with("still-rgba") {
                (0..16).for_each(|choice| hold(&[&bytes[..], &[choice]].concat()));
            }
        }
    }
}

#[test]
fn seeds_are_what_they_say() {
    let seeds = seeds::seeds();
    assert!(seeds.len() > 50);
    for (name, bytes) in seeds.iter().filter(|(name, _)| !name.starts_with("spec-")) {
        assert!(bytes.len() < 8192, "{name}: {} bytes", bytes.len());
        let header = checks::inspect_whole(bytes).unwrap_or_else(|| panic!("{name} is refused"));
        let frames = if name.starts_with("animated") { 4 } else { 1 };
        assert!(header.frames == frames || name.starts_with("frames"), "{name}: {} frames", header.frames);
        let decoded = reticulum::image::decode::decode(bytes, &header, None, &checks::LIMITS, &|| true);
        assert!(decoded.is_ok(), "{name}: {decoded:?}");
    }
}

#[test]
fn every_check_holds_on_the_corpus() {
    let Some(corpus) = corpus::folder() else { return };
    let mut files = Vec::new();
    walk(&corpus, &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    for file in files {
        let bytes = fs::read(&file).expect("a readable file");
        for (check, hold) in CHECKS {
            eprintln!("{check} on {}", file.display());
            hold(&bytes);
        }
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}
