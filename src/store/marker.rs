//! The store marker: a small file in `store/` that names its node. Blocking.
//!
//! An empty mount point, a recreated folder and another node's disk do not have it. Its place (device
//! and inode) is as good and cheaper to check, but only until the disk is mounted again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::path::StorePaths;
use super::record;

/// First word of a marker.
const MAGIC: &str = "reticulum-store";

/// Bytes that a marker has at most; longer ones are none.
const BYTES_MAX: u64 = 256;

/// The inode of a marker: equal numbers are the same file as long as its disk stays mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerInode {
    /// The number of its device.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// The state of a store's marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerState {
    /// This node's, and where it lies.
    Own(MarkerInode),
    /// Another node's.
    Foreign,
    /// None, or no store at all.
    Nothing,
}

/// Looks at the marker of the store of node `node`.
///
/// # Errors
/// The system's refusal; whether there is one is not known then.
pub fn look(paths: &StorePaths, node: [u8; 16]) -> io::Result<MarkerState> {
    let file = match File::open(paths.store_marker()) {
        Ok(file) => file,
        Err(error) if is_nothing(&error) => return Ok(MarkerState::Nothing),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let mut text = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut text)?;
    let own = text == print(node).as_bytes();
    Ok(if own {
        MarkerState::Own(MarkerInode { device: metadata.dev(), inode: metadata.ino() })
    } else {
        MarkerState::Foreign
    })
}

/// Marks the store as this node's, durably. That is noted outside of it, so that an empty folder in its place is not
/// taken for it at a later start.
///
/// # Errors
/// The system's refusal; then it may be marked or not.
pub(super) fn write(paths: &StorePaths, node: [u8; 16]) -> io::Result<()> {
    record::replace_file(&paths.store_marker(), print(node).as_bytes())?;
    record::replace_file(&paths.store_marked(), b"")
}

/// Whether this node's store has ever had its marker.
pub(super) fn was_written(paths: &StorePaths) -> bool {
    paths.store_marked().exists()
}

/// Whether this file is a marker, which is neither an image nor foreign.
pub(super) fn is_marker(paths: &StorePaths, path: &Path) -> bool {
    path == paths.store_marker()
}

/// Whether there is nothing at a path. A file in a directory's place is nothing, too.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether anything but the marker lies in the store.
pub(super) fn is_empty(paths: &StorePaths) -> io::Result<bool> {
    for entry in fs::read_dir(paths.store())? {
        let entry = entry?;
        // `lost+found` is the file system's.
        if !is_marker(paths, &entry.path()) && entry.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn print(node: [u8; 16]) -> String {
    format!("{MAGIC} 1\nnode {:032x}\n", u128::from_be_bytes(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_store_with_this_nodes_marker_is_its_own() {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        assert_eq!(look(&paths, [1; 16]).unwrap(), MarkerState::Nothing);
        fs::create_dir(paths.store()).unwrap();
        fs::create_dir(paths.meta()).unwrap();
        assert_eq!(look(&paths, [1; 16]).unwrap(), MarkerState::Nothing);
        assert!(!was_written(&paths));
        write(&paths, [1; 16]).unwrap();
        assert!(was_written(&paths) && is_empty(&paths).unwrap());
        let MarkerState::Own(place) = look(&paths, [1; 16]).unwrap() else { panic!("it was written") };
        assert_eq!(look(&paths, [2; 16]).unwrap(), MarkerState::Foreign);
        // Moved and back, it is the same file.
        fs::rename(paths.store(), root.path().join("away")).unwrap();
        assert_eq!(look(&paths, [1; 16]).unwrap(), MarkerState::Nothing);
        fs::rename(root.path().join("away"), paths.store()).unwrap();
        assert_eq!(look(&paths, [1; 16]).unwrap(), MarkerState::Own(place));
        fs::write(paths.store_marker(), "reticulum-store 1\nnode 1").unwrap();
        assert_eq!(look(&paths, [1; 16]).unwrap(), MarkerState::Foreign);
        fs::create_dir(paths.store().join("ab")).unwrap();
        assert!(!is_empty(&paths).unwrap());
    }
}
