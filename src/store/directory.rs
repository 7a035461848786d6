//! The images in one directory `<aa>/<bb>` of the store. Blocking.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::marker::is_nothing;
use super::path::{StorePaths, parse_image_name};
use crate::object::{Format, ObjectId};

/// Which `<bb>` there are below an `<aa>`, whatever they are.
///
/// # Errors
/// The system's refusal: that is not known.
pub(super) fn present(paths: &StorePaths, first: u8) -> io::Result<[bool; 256]> {
    let mut present = [false; 256];
    let entries = match fs::read_dir(paths.store().join(format!("{first:02x}"))) {
        Ok(entries) => entries,
        Err(error) if is_nothing(&error) => return Ok(present),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        let second = name.to_str().filter(|name| name.len() == 2).map(|name| u8::from_str_radix(name, 16));
        if let Some(Ok(second)) = second {
            present[usize::from(second)] = true;
        }
    }
    Ok(present)
}

/// The images whose files lie in a directory, by their names, in order. None where there is no directory. Of two files
/// of one id it is the one that the server looks for first.
///
/// # Errors
/// The system's refusal: what lies there is not known.
pub(super) fn list(paths: &StorePaths, prefix: [u8; 2]) -> io::Result<BTreeMap<ObjectId, Format>> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(paths.image_directory_of(prefix)) {
        Ok(entries) => entries,
        Err(error) if is_nothing(&error) => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some((id, format)) = name.to_str().and_then(parse_image_name) else { continue };
        if id.digest()[..2] == prefix && entry.file_type()?.is_file() {
            let kept = found.entry(id).or_insert(format);
            let place = |format| Format::ALL.into_iter().position(|other| other == format);
            *kept = if place(format) < place(*kept) { format } else { *kept };
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_of_an_aa_are_those_that_are_there() {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        assert_eq!(present(&paths, 5).unwrap(), [false; 256]);
        for directory in [[5, 0], [5, 0xab], [6, 1]] {
            fs::create_dir_all(paths.image_directory_of(directory)).unwrap();
        }
        fs::write(paths.store().join("05/note.txt"), b"").unwrap();
        let found: Vec<_> = (0..256).filter(|second| present(&paths, 5).unwrap()[*second]).collect();
        assert_eq!(found, [0, 0xab]);
    }

    #[test]
    fn only_images_in_their_place_are_listed_each_as_the_file_that_is_served() {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        let directory = paths.image_directory_of([5, 7]);
        fs::create_dir_all(&directory).unwrap();
        let id = |last| {
            let mut digest = [last; 20];
            digest[..2].copy_from_slice(&[5, 7]);
            ObjectId::from_digest(digest)
        };
        for format in [Format::Avif, Format::Jpeg, Format::Gif] {
            fs::write(paths.image(&id(1), format), [0; 7]).unwrap();
        }
        fs::write(directory.join(format!("{}.jpg", ObjectId::from_digest([6; 20]))), b"").unwrap();
        fs::write(directory.join("note.txt"), b"").unwrap();
        fs::create_dir(paths.image(&id(2), Format::Png)).unwrap();
        std::os::unix::fs::symlink("nowhere", paths.image(&id(3), Format::Png)).unwrap();
        assert_eq!(list(&paths, [5, 7]).unwrap().into_iter().collect::<Vec<_>>(), [(id(1), Format::Jpeg)]);
        assert!(list(&paths, [5, 9]).unwrap().is_empty());
    }
}
