//! Why a data directory cannot be used, and what its operator can do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::path::FORMAT_LINE;

/// Why a data directory cannot be used. Nothing was changed but directories made.
#[derive(Debug)]
pub enum OpenError {
    /// Another server uses it.
    InUse(PathBuf),
    /// Nothing here was ever a data directory.
    NoData(PathBuf),
    /// `node.id` is there but `store/` is not: a mount that is missing.
    StoreGone(PathBuf),
    /// `store/` is empty and lacks the marker that it had: the mount point of a disk that is missing.
    StoreEmpty(PathBuf),
    /// `store/` is another node's.
    StoreForeign(PathBuf),
    /// Written by a newer version, or not by this program.
    Format(PathBuf, String),
    /// Of this version, but not as this program writes it.
    Identity(PathBuf),
    /// `operator.key` is there but holds no key.
    OperatorKey(PathBuf),
    /// It belongs to the first of these clusters, and the second is configured.
    ForeignCluster(PathBuf, String, String),
    /// Its node was not removed, as far as it knows.
    NotRemoved(PathBuf),
    /// The system's refusal, with what was being done to which path.
    Io(&'static str, PathBuf, io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "the data directory {} is in use by another server: stop that one, or choose another with --data",
                path.display()
            ),
            Self::NoData(path) => write!(
                f,
                "{} is not a data directory: it has neither node.id nor store/; name the right one with --data",
                path.display()
            ),
            Self::NotRemoved(path) => write!(
                f,
                "the node of {} was not removed from its cluster, as far as it has heard: remove it first, or start it once \
                 so that it hears of it; nothing was changed",
                path.display()
            ),
            Self::StoreGone(path) => write!(
                f,
                "{} has a node.id but no store/: mount the disk that holds it, or remove node.id to start a new node",
                path.display()
            ),
            Self::StoreEmpty(path) => write!(
                f,
                "{0} has a node.id but its store/ is empty and without the marker that it had: mount the disk that holds \
                 it, or remove {0}/meta/store-marked to go on with an empty store",
                path.display()
            ),
            Self::StoreForeign(path) => write!(
                f,
                "{0}/store is another node's, as its file .reticulum says: mount this node's disk there, or remove that \
                 file to take the store over",
                path.display()
            ),
            Self::Format(path, found) => write!(
                f,
                "{} says {found:?}, not {FORMAT_LINE:?}: it belongs to another version; use that version or another --data",
                path.display()
            ),
            Self::Identity(path) => write!(
                f,
                "{} is damaged: put it back from a backup, or move the whole directory away to start a new node",
                path.display()
            ),
            Self::OperatorKey(path) => write!(
                f,
                "{} holds no key: write one line of at least 16 printable characters, or remove the file and a new key is made",
                path.display()
            ),
            Self::ForeignCluster(path, found, wanted) => write!(
                f,
                "{} belongs to the cluster {found:?}, not to {wanted:?}: write that into cluster.name, or choose another directory with --data",
                path.display()
            ),
            Self::Io(doing, path, error) => {
                write!(f, "cannot {doing} {}: {error}; choose a writable place with --data", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}
