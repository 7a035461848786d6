//! Obstacles: files in the place of an image or its folders. They are set aside, so that a copy can be put there.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::path::StorePaths;
use crate::executor::run_blocking;
use crate::object::{Format, ObjectId};

/// Whether giving a file its name may have failed because of something in its way.
pub(super) fn is_obstacle(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    // A link that leads to itself is one, too, and has no kind yet.
    let is_loop = rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP);
    is_loop
        || matches!(
            error.kind(),
            K::IsADirectory | K::NotADirectory | K::AlreadyExists | K::DirectoryNotEmpty
        )
}

/// Moves a folder in the image's place, or what is no folder in the place of its folders, to `aside`.
///
/// # Errors
/// The system's refusal.
pub(super) async fn set_aside(
    paths: &StorePaths,
    id: ObjectId,
    format: Format,
    aside: PathBuf,
) -> io::Result<()> {
    let paths = paths.clone();
    let work = move || set_aside_blocking(&paths, &id, format, &aside);
    let done = run_blocking("set an obstacle aside", work).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

fn set_aside_blocking(paths: &StorePaths, id: &ObjectId, format: Format, aside: &PathBuf) -> io::Result<()> {
    for folder in [paths.image_parent(id), paths.image_directory(id)] {
        if fs::symlink_metadata(&folder).is_ok() && !folder.is_dir() {
            return fs::rename(folder, aside);
        }
    }
    let image = paths.image(id, format);
    if fs::symlink_metadata(&image).is_ok_and(|metadata| metadata.is_dir()) {
        return fs::rename(image, aside);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_way_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let (paths, id) = (StorePaths::new(root.path()), ObjectId::from_digest([0xab; 20]));
        let aside = root.path().join("aside");
        let clear = || set_aside_blocking(&paths, &id, Format::Png, &aside).unwrap();
        let set_aside = || aside.exists() && fs::rename(&aside, root.path().join("gone")).is_ok();
        fs::create_dir(paths.store()).unwrap();
        clear();
        assert!(!set_aside(), "nothing was there");
        fs::write(paths.image_parent(&id), b"a file in a folder's place").unwrap();
        clear();
        assert!(set_aside() && !paths.image_parent(&id).exists());
        fs::create_dir_all(paths.image_directory(&id)).unwrap();
        fs::write(paths.image(&id, Format::Png), b"an image").unwrap();
        clear();
        assert!(!set_aside() && paths.image(&id, Format::Png).exists());
        fs::remove_file(paths.image(&id, Format::Png)).unwrap();
        fs::create_dir(paths.image(&id, Format::Png)).unwrap();
        fs::remove_file(root.path().join("gone")).unwrap();
        clear();
        assert!(set_aside() && !paths.image(&id, Format::Png).exists());
    }
}
