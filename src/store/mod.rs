//! This node's disk.
//!
//! * [`path`]: where everything lies (pure).
//! * [`collision`]: SHA-1 that notices files made to collide (pure).
//! * [`open`]: start: lock, identity, directories, sweep of temporary files. Blocking.
//! * [`identity`]: who the node is. [`operator_key`]: the key that it makes for its operator. Blocking.
//! * [`record`]: a small file with a checksum, replaced whole. Blocking.
//! * [`spool`]: an upload's bytes on their way to the disk, hashed and inspected as they arrive.
//! * [`originals`]: find, publish, verify and quarantine stored images.
//! * [`variants`]: the bounded, disposable cache of made variants.
//! * [`proof`]: how a file of that cache proves that it is whole.
//! * [`read`]: reading a file by its descriptor.
//! * [`strays`]: the journal of images that lie here although others own them.
//! * [`listing`]: the ids in order, a page at a time. Blocking.
//! * [`census`]: how many images there are.
//! * [`fsck`]: the check of a store that no server uses. Blocking.
//!
//! Invariants: a file below `store/` has been synced before it got its name, and its name is the
//! SHA-1 of its bytes; nothing is answered as stored before its directory is synced; nothing below
//! `cache/` is needed.

mod census;
mod collision;
mod descriptor;
pub mod fsck;
pub mod identity;
pub mod listing;
pub mod open;
pub mod operator_key;
pub mod originals;
pub mod path;
pub mod proof;
pub mod read;
pub mod record;
pub mod spool;
pub mod strays;
pub mod variants;

use std::fmt;
use std::io;

/// What the disk refused. Nothing visible has changed when one of these is returned.
#[derive(Debug)]
pub enum StoreError {
    /// No space or no inodes left (or a quota reached): retrying helps once space was made.
    Full,
    /// Any other failure of the disk, with what was being done.
    Io(&'static str, io::Error),
}

impl StoreError {
    /// Sorts an I/O error into [`StoreError::Full`] and the rest.
    pub fn new(doing: &'static str, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(doing, error),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the disk is full"),
            Self::Io(doing, error) => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}
