//! The corpus's manifest, as far as the comparison needs it.

use std::fs;
use std::path::Path;

/// A line of the manifest.
pub(crate) struct Entry {
    pub(crate) path: String,
    /// By content: `JPEG`, `PNG`, …
    pub(crate) format: String,
    /// The kind of pixels, the process and the profile, in words.
    color: String,
    expected: String,
}

impl Entry {
    pub(crate) fn must_be_accepted(&self) -> bool {
        self.expected.starts_with("ok")
    }

    pub(crate) fn is_deep(&self) -> bool {
        self.color.contains("16-bit")
    }

    /// Whether its components are inks.
    pub(crate) fn is_of_inks(&self) -> bool {
        self.color.contains("CMYK")
    }

    pub(crate) fn has_profile(&self) -> bool {
        self.color.contains("ICC=")
    }
}

/// Reads the lines by the names of their columns.
pub(crate) fn entries(folder: &Path) -> Vec<Entry> {
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).expect("a manifest");
    let mut lines = manifest.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names = lines.next().expect("names of columns");
    let entry = |values: Vec<&str>| {
        let value = |name: &str| {
            let column = names.iter().position(|column| *column == name).expect("a column");
            values.get(column).copied().unwrap_or_default().to_owned()
        };
        Entry {
            path: value("path"),
            format: value("format"),
            color: value("colour"),
            expected: value("expected"),
        }
    };
    let entries: Vec<_> = lines.map(entry).collect();
    assert!(entries.iter().any(Entry::must_be_accepted), "the manifest names no picture");
    entries
}
