//! The identity of a data directory's node: `node.id`, a few lines of text. Blocking.
//!
//! The first line names the directory's format. Then follow the node's id, which it keeps forever, the
//! cluster that it belongs to, how often it was started, and whether it ever held a layout of its cluster.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::open_error::OpenError;
use super::path::{FORMAT_LINE, StorePaths};
use super::record;

/// A node's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id, forever.
    pub id: [u8; 16],
    /// The name of its cluster. Nothing but letters, digits, `.`, `_` and `-`.
    pub cluster: String,
    /// Starts of its process, this one included.
    pub generation: u64,
    /// Whether it ever held a layout: then one that is missing is lost, not new.
    pub is_member: bool,
}

impl Identity {
    /// The identity in a data directory; `None` if there is none. `cluster` is the one it belongs to if it never
    /// said so.
    ///
    /// # Errors
    /// [`OpenError`]
    pub(super) fn read(paths: &StorePaths, cluster: &str) -> Result<Option<Self>, OpenError> {
        let path = paths.identity();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::Io("read", path, error)),
        };
        let first = text.lines().next().unwrap_or_default();
        if first != FORMAT_LINE {
            return Err(OpenError::Format(path, first.chars().take(40).collect()));
        }
        Self::parse(&text, cluster).map(Some).ok_or(OpenError::Identity(path))
    }

    /// A new one, of no start yet.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn new(cluster: &str) -> io::Result<Self> {
        let mut id = [0; 16];
        fs::File::open("/dev/urandom")?.read_exact(&mut id)?;
        Ok(Self { id, cluster: cluster.to_owned(), generation: 0, is_member: false })
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// The system's refusal, with what was being done.
    pub fn write(&self, root: &Path) -> Result<(), OpenError> {
        let path = StorePaths::new(root).identity();
        record::replace_file(&path, self.print().as_bytes())
            .map_err(|error| OpenError::Io("write", path, error))
    }

    fn print(&self) -> String {
        let Self { id, cluster, generation, is_member } = self;
        let id = u128::from_be_bytes(*id);
        let member = if *is_member { "member\n" } else { "" };
        format!("{FORMAT_LINE}\nid {id:032x}\ncluster {cluster}\nstarts {generation}\n{member}")
    }

    fn parse(text: &str, cluster: &str) -> Option<Self> {
        let (mut id, mut cluster, mut generation, mut is_member) = (None, cluster, 0, false);
        for line in text.lines().skip(1) {
            match line.split_once(' ') {
                Some(("id", hex)) if hex.len() == 32 && !hex.starts_with('+') => {
                    id = Some(u128::from_str_radix(hex, 16).ok()?.to_be_bytes());
                }
                Some(("cluster", name)) => cluster = name,
                Some(("starts", count)) => generation = count.parse().ok()?,
                None if line == "member" => is_member = true,
                _ => return None,
            }
        }
        Some(Self { id: id?, cluster: cluster.to_owned(), generation, is_member })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let identity = Identity { id: [7; 16], cluster: "pictures".into(), generation: 12, is_member: true };
        assert_eq!(Identity::parse(&identity.print(), "other"), Some(identity.clone()));
        let young = Identity { generation: 0, is_member: false, ..identity };
        assert_eq!(Identity::parse(&young.print(), "other"), Some(young));
    }

    #[test]
    fn a_file_of_before_there_were_clusters_belongs_to_the_one_that_is_configured() {
        let text = "reticulum 1\nid 000102030405060708090a0b0c0d0e0f\n";
        let identity = Identity::parse(text, "default").unwrap();
        assert_eq!(identity.id[..3], [0, 1, 2]);
        assert_eq!((identity.cluster.as_str(), identity.generation), ("default", 0));
    }

    #[test]
    fn lines_that_mean_nothing_are_not_guessed_at() {
        for text in ["", "id 12", "id +00102030405060708090a0b0c0d0e0f", "starts -1", "cluster", "else"] {
            let whole = format!("reticulum 1\nid 000102030405060708090a0b0c0d0e0f\n{text}\n");
            let expected = text.is_empty();
            assert_eq!(Identity::parse(&whole.replace("\n\n", "\n"), "x").is_some(), expected, "{text}");
        }
        assert_eq!(Identity::parse("reticulum 1\ncluster a\n", "x"), None);
    }
}
