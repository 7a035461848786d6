//! The layout store: a node loads its last layout, with all members in it, when it starts. Blocking.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::cluster::layout::Layout;
use crate::cluster::node::NodeId;
use crate::store::identity::Identity;
use crate::store::path;
use crate::store::record::{self, RecordError};

/// Why a node cannot continue with its last layout. Nothing was changed.
#[derive(Debug)]
pub enum LayoutStoreError {
    /// The layout file is damaged or gone, and `cluster.join` names no node that could send the layout again. If the
    /// node founded another cluster then, it would acknowledge uploads that lie on it alone.
    Lost(PathBuf),
    /// The system's refusal.
    Io(PathBuf, io::Error),
}

/// Loads the layout that was persisted last; `None` if there is none, or none that can be trusted. `joins` says whether
/// this node asks others to join: they send it the layout again.
///
/// # Errors
/// [`LayoutStoreError`]
pub(in crate::control) fn load(
    paths: &path::StorePaths,
    identity: &Identity,
    joins: bool,
) -> Result<Option<Layout>, LayoutStoreError> {
    let file = paths.cluster_layout();
    let found = match record::read(&file) {
        Ok(None) if identity.is_member => Err("is gone"),
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => Layout::decode(&bytes).map_err(|_| "is damaged"),
        Err(RecordError::Damaged) => Err("is damaged"),
        Err(RecordError::Io(error)) => return Err(LayoutStoreError::Io(file, error)),
    };
    match found {
        Ok(layout) => Ok(Some(layout)),
        Err(_) if !joins => Err(LayoutStoreError::Lost(file)),
        Err(what) => {
            log::error!(
                "this node's layout file {what}, so the node asks its cluster for the layout; check the disk of its data directory"
            );
            Ok(None)
        }
    }
}

/// Whether the layout that was persisted last names other members. An unreadable one names none.
pub(in crate::control) fn has_peers(paths: &path::StorePaths, this: NodeId) -> bool {
    let kept = record::read(&paths.cluster_layout()).ok().flatten();
    kept.and_then(|bytes| Layout::decode(&bytes).ok()).is_some_and(|layout| layout.has_others(this))
}

/// Makes a layout durable. `newcomer` is the identity of a node that never had one: from now on it is a member.
///
/// # Errors
/// The system's refusal, as a sentence for the log. On disk is the last layout then, or this one.
pub(in crate::control) fn persist(
    paths: &path::StorePaths,
    bytes: &[u8],
    newcomer: Option<Identity>,
) -> Result<(), String> {
    record::replace(&paths.cluster_layout(), bytes).map_err(|error| error.to_string())?;
    match newcomer {
        Some(identity) => {
            let identity = Identity { is_member: true, ..identity };
            identity.write(paths.root()).map_err(|error| error.to_string())
        }
        None => Ok(()),
    }
}

/// Random numbers for one start: who this process is, and what seeds its choices.
///
/// # Errors
/// The system gives none.
pub(in crate::control) fn random() -> io::Result<[u64; 2]> {
    let mut bytes = [0; 16];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    let both = u128::from_be_bytes(bytes);
    Ok([(both >> 64) as u64, both as u64])
}

impl fmt::Display for LayoutStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(path) => write!(
                f,
                "{} held this node's cluster and is damaged or gone: start with --join and the URL of another member, \
                 or, if there never was one, remove it and the last line of node.id",
                path.display()
            ),
            Self::Io(path, error) => {
                write!(f, "cannot read {}: {error}; check the disk of the data directory", path.display())
            }
        }
    }
}

impl std::error::Error for LayoutStoreError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::layout::Copies;
    use crate::cluster::node::NodeId;
    use crate::control::cluster::tests::about;
    use crate::store::open::{DATA_MODE, open};

    fn layout() -> Layout {
        Layout::found(NodeId::from_bytes([1; 16]), &about(1), Copies { replication: 3, min_replication: 2 })
    }

    #[test]
    fn a_persisted_layout_is_loaded_and_the_node_is_a_member_from_then_on() {
        let root = tempfile::tempdir().unwrap();
        let data = open(root.path(), "a", DATA_MODE).unwrap();
        assert!(matches!(load(&data.paths, &data.identity, false), Ok(None)));
        persist(&data.paths, &layout().encode(), Some(data.identity.clone())).unwrap();
        persist(&data.paths, &layout().encode(), None).unwrap();
        assert_eq!(load(&data.paths, &data.identity, false).unwrap(), Some(layout()));
        drop(data);
        assert!(open(root.path(), "a", DATA_MODE).unwrap().identity.is_member);
    }

    #[test]
    fn a_lost_layout_founds_no_new_cluster() {
        let root = tempfile::tempdir().unwrap();
        let data = open(root.path(), "a", DATA_MODE).unwrap();
        let identity = Identity { is_member: true, ..data.identity.clone() };
        assert!(matches!(load(&data.paths, &identity, false), Err(LayoutStoreError::Lost(_))));
        assert!(matches!(load(&data.paths, &identity, true), Ok(None)));
        let torn = &layout().encode()[..40];
        for damage in [&b"half"[..], b""] {
            fs::write(data.paths.cluster_layout(), damage).unwrap();
            assert!(matches!(load(&data.paths, &data.identity, false), Err(LayoutStoreError::Lost(_))));
            assert!(matches!(load(&data.paths, &data.identity, true), Ok(None)));
        }
        // Whole as a file, and yet no layout.
        record::replace(&data.paths.cluster_layout(), torn).unwrap();
        assert!(matches!(load(&data.paths, &data.identity, false), Err(LayoutStoreError::Lost(_))));
    }
}
