//! The files of what was named: files as they are, folders to the bottom, in order of names.
//!
//! Memory is one open list of names per level. A link to a file counts as the file; a link to a folder
//! inside a folder is reported and not followed, so that no circle can be walked.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::ClientError;

/// A file at a path, or why there is none.
pub(super) type FoundFile = (PathBuf, Result<(), ClientError>);

/// Tells `found` of every file until there are none or it breaks off.
pub(super) fn walk(
    paths: &[PathBuf],
    found: &mut dyn FnMut(FoundFile) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for path in paths {
        match fs::metadata(path) {
            Ok(named) if named.is_dir() => walk_folder(path, found)?,
            Ok(named) if named.is_file() => found((path.clone(), Ok(())))?,
            Ok(_) => found((path.clone(), Err(ClientError::NotAFile)))?,
            Err(error) => found((path.clone(), Err(failure("read", path, error))))?,
        }
    }
    ControlFlow::Continue(())
}

fn walk_folder(folder: &Path, found: &mut dyn FnMut(FoundFile) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut open = vec![entries(folder, found)?.into_iter()];
    while let Some(level) = open.last_mut() {
        let Some(path) = level.next() else {
            open.pop();
            continue;
        };
        match kind(&path) {
            Ok(PathKind::File) => found((path, Ok(())))?,
            Ok(PathKind::Folder) => {
                let level = entries(&path, found)?.into_iter();
                open.push(level);
            }
            Err(error) => found((path, Err(error)))?,
        }
    }
    ControlFlow::Continue(())
}

enum PathKind {
    File,
    Folder,
}

fn kind(path: &Path) -> Result<PathKind, ClientError> {
    let itself = fs::symlink_metadata(path).map_err(|error| failure("read", path, error))?;
    if itself.is_dir() {
        return Ok(PathKind::Folder);
    }
    match fs::metadata(path) {
        Ok(target) if target.is_file() => Ok(PathKind::File),
        Ok(target) if target.is_dir() => Err(ClientError::LinkedFolder),
        Ok(_) => Err(ClientError::NotAFile),
        Err(error) => Err(failure("read", path, error)),
    }
}

/// The contents of a folder, sorted.
fn entries(
    folder: &Path,
    found: &mut dyn FnMut(FoundFile) -> ControlFlow<()>,
) -> ControlFlow<(), Vec<PathBuf>> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    match list() {
        Ok(paths) => ControlFlow::Continue(paths),
        Err(error) => {
            found((folder.to_path_buf(), Err(failure("list", folder, error))))?;
            ControlFlow::Continue(Vec::new())
        }
    }
}

fn failure(doing: &'static str, path: &Path, error: io::Error) -> ClientError {
    ClientError::File(doing, path.to_path_buf(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(paths: &[PathBuf]) -> Vec<(PathBuf, bool)> {
        let mut all = Vec::new();
        let flow = walk(paths, &mut |(path, found)| {
            all.push((path, found.is_ok()));
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        all
    }

    #[test]
    fn a_folder_is_walked_to_the_bottom_in_order_and_never_in_a_circle() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("b/c")).unwrap();
        for file in ["b/c/2", "b/1", "d", "a"] {
            fs::write(at(file), b"").unwrap();
        }
        std::os::unix::fs::symlink("..", at("b/up")).unwrap();
        std::os::unix::fs::symlink("../d", at("b/z")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("e")).unwrap();
        let expected = [("a", true), ("b/1", true), ("b/c/2", true), ("b/up", false), ("b/z", true)];
        let expected = expected.into_iter().chain([("d", true), ("e", false)]);
        let expected: Vec<_> = expected.map(|(path, good)| (at(path), good)).collect();
        assert_eq!(walked(&[root.path().to_path_buf()]), expected);
    }

    #[test]
    fn what_is_named_may_be_missing_or_no_file() {
        let missing = PathBuf::from("no-such-file");
        assert_eq!(walked(std::slice::from_ref(&missing)), [(missing, false)]);
        let device = PathBuf::from("/dev/null");
        assert_eq!(walked(std::slice::from_ref(&device)), [(device, false)]);
    }
}
