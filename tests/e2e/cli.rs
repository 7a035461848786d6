//! What a user types: the client commands and the demo.

mod commands;
mod demo;
mod fsck;
mod keys;
mod load;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::harness::{Finished, Node};

impl Finished {
    /// Panics unless it ended well; its lines.
    #[track_caller]
    fn lines(&self) -> Vec<&str> {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
        self.text().lines().collect()
    }

    /// Panics unless it ended with 1 and said all of `words`, in sentences.
    #[track_caller]
    fn fails(&self, words: &[&str]) {
        let text = &self.stderr;
        assert_eq!(self.code, Some(1), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.stdout).expect("UTF-8")
    }

    fn json_lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn url(node: &Node) -> String {
    format!("http://127.0.0.1:{}", node.port())
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, bytes).expect("write");
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn finished_bytes(finished: Finished) -> Vec<u8> {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    finished.stdout
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("list").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.into_string().expect("UTF-8")).collect()
}
