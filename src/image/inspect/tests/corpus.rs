//! The inspection of the corpus: images from other programs.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::InspectError;
use super::check;
use crate::image::header::Header;
use crate::image::shape::Size;
use crate::image::tests::corpus::{self, Corpus};
use crate::object::Format;

struct CorpusFile {
    path: String,
    columns: BTreeMap<String, String>,
}

impl CorpusFile {
    fn column(&self, name: &str) -> &str {
        self.columns.get(name).map_or("", String::as_str)
    }
}

fn entries(corpus: &Path) -> Vec<CorpusFile> {
    let manifest = std::fs::read_to_string(corpus.join("MANIFEST.tsv")).unwrap();
    let mut lines = manifest.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let columns: BTreeMap<String, String> =
                names.iter().map(ToString::to_string).zip(line.split('\t').map(str::to_string)).collect();
            CorpusFile { path: columns["path"].clone(), columns }
        })
        .collect()
}

#[test]
fn every_file_of_the_corpus_is_answered_as_its_manifest_expects() {
    let Some(corpus) = corpus::folder() else { return };
    let mut faults = Vec::new();
    let (mut accepted, mut refused, mut free) = (0, 0, 0);
    let entries = entries(&corpus);
    assert!(entries.len() > 100, "the manifest is cut");
    for entry in &entries {
        let bytes = std::fs::read(corpus.join(&entry.path)).unwrap();
        let answer = check(&bytes);
        let expected = entry.column("expected").split(':').next().unwrap();
        match expected {
            "ok" | "ok-first-frame" => {
                accepted += 1;
                faults.extend(accepted_faults(entry, answer));
            }
            "reject" => {
                refused += 1;
                if answer.is_ok() {
                    faults.push(format!("{}: to be refused, answered {answer:?}", entry.path));
                }
            }
            _ => {
                free += 1;
                eprintln!("{}: {answer:?}", entry.path);
            }
        }
    }
    eprintln!("corpus: {accepted} accepted, {refused} refused, {free} either way, {} faults", faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn accepted_faults(entry: &CorpusFile, answer: Result<Header, InspectError>) -> Option<String> {
    let header = match answer {
        Ok(header) => header,
        Err(error) => return Some(format!("{}: refused: {error}", entry.path)),
    };
    let Size { width, height } = header.displayed();
    let orientation = match entry.column("exif_orientation") {
        "" | "0" => "1",
        // In AVIF: a quarter turn clockwise; left and right swapped.
        "irot=3" => "6",
        "imir=1" => "2",
        other => other,
    };
    let claims = [
        ("format", entry.column("format").to_lowercase(), format!("{:?}", header.format).to_lowercase()),
        ("displayed", entry.column("displayed").to_string(), format!("{width}x{height}")),
        ("width", entry.column("width").to_string(), header.width.to_string()),
        ("frames", entry.column("frames").to_string(), header.frames.to_string()),
        ("alpha", (entry.column("has_alpha") == "yes").to_string(), header.has_alpha.to_string()),
        ("orientation", orientation.to_string(), header.orientation.value().to_string()),
        ("colour", color(entry, &header), header.color.to_string()),
    ];
    let wrong: Vec<String> = claims
        .iter()
        .filter(|(_, expected, found)| expected != found)
        .map(|(name, expected, found)| format!("{name} {found} instead of {expected}"))
        .collect();
    (!wrong.is_empty()).then(|| format!("{}: {}", entry.path, wrong.join(", ")))
}

/// The manifest's description of the colour, as `/info` prints it.
fn color(entry: &CorpusFile, header: &Header) -> String {
    let words = entry.column("colour").to_lowercase();
    if header.format == Format::Avif {
        // The manifest gives no depth, and for some files no kind.
        return header.color.to_string();
    }
    let bits = if words.contains("16-bit") { 16 } else { 8 };
    let kind = match (words.split([' ', ';']).next().unwrap_or_default(), words.contains("with alpha")) {
        ("gray" | "grayscale" | "b-w", false) => "gray",
        ("gray" | "grayscale", true) => "graya",
        ("palette", _) => "palette",
        ("cmyk", _) => "cmyk",
        ("rgb", false) => "rgb",
        ("rgb", true) | ("rgba", _) => "rgba",
        // The manifest says nothing, so there is nothing to compare.
        _ => return header.color.to_string(),
    };
    format!("{kind}{bits}")
}

#[test]
fn without_a_corpus_tests_are_skipped_and_fail_only_where_it_is_required() {
    let choice = |corpus: &str, ci: &str| Corpus::from_variables(Some(corpus.into()), Some(ci.as_ref()));
    assert_eq!(choice("/corpus", "true"), Corpus::Folder("/corpus".into()));
    assert_eq!(choice("none", "true"), Corpus::Skipped);
    assert_eq!(choice("", "true"), Corpus::Missing);
    assert_eq!(choice("", "false"), Corpus::Skipped);
    assert_eq!(Corpus::from_variables(None, None), Corpus::Skipped);
}
