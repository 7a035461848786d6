//! Finds the corpus of real and hostile images for the tests, in the folder that `RETICULUM_CORPUS` names.
//!
//! Tests outside `src/` include this file by its path, so that there is one rule. Without a corpus a test prints a line
//! and passes; on a continuous integration server it fails, unless `RETICULUM_CORPUS` is `none`.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;

/// The state of the corpus, from the environment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Corpus {
    /// The corpus is in this folder.
    Folder(PathBuf),
    /// There is no corpus, and the tests that need it are skipped.
    Skipped,
    /// There is no corpus, but this run requires it.
    Missing,
}

impl Corpus {
    /// Reads the values of `RETICULUM_CORPUS` and `CI`.
    pub(crate) fn from_variables(corpus: Option<OsString>, ci: Option<&OsStr>) -> Self {
        match corpus.filter(|value| !value.is_empty()) {
            Some(value) if value == "none" => Self::Skipped,
            Some(folder) => Self::Folder(folder.into()),
            None if ci.is_some_and(|value| value == "true") => Self::Missing,
            None => Self::Skipped,
        }
    }
}

/// The folder of the corpus; `None`, and a line on standard error, if the test is to be skipped.
///
/// # Panics
/// If the corpus is required and missing, and if the folder holds no manifest.
pub(crate) fn folder() -> Option<PathBuf> {
    match Corpus::from_variables(std::env::var_os("RETICULUM_CORPUS"), std::env::var_os("CI").as_deref()) {
        Corpus::Folder(folder) => {
            let manifest = folder.join("MANIFEST.tsv");
            assert!(manifest.is_file(), "{} is missing: correct RETICULUM_CORPUS", manifest.display());
            Some(folder)
        }
        Corpus::Skipped => {
            // `eprintln!` would not do: the test runner captures its output.
            let _ = writeln!(std::io::stderr(), "SKIPPED: RETICULUM_CORPUS names no corpus");
            None
        }
        Corpus::Missing => {
            panic!("CI runs with the corpus: set RETICULUM_CORPUS to its folder, or to none to run without")
        }
    }
}
