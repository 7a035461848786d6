//! The stored ids in order, a page at a time.
//!
//! Reads the tree lazily: from where the page begins, directory by directory, until it is full. Memory
//! is bounded by the page, whatever a directory holds. Everything here blocks.
//!
//! A page is no snapshot: what is stored or removed while it is read may be in it or not.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::StoreError;
use super::path::{StorePaths, parse_image_name};
use super::upload_time::upload_time;
use crate::object::{Format, ObjectId};

/// A stored image as listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedImage {
    /// The SHA-1 that it was stored under.
    pub id: ObjectId,
    /// By its name.
    pub format: Format,
    /// Bytes.
    pub length: u64,
    /// Upload time.
    pub modified: SystemTime,
}

/// A part of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingPage {
    /// In order of ids.
    pub images: Vec<ListedImage>,
    /// The id after which the next page begins; `None` on the last page.
    pub next: Option<ObjectId>,
}

/// Up to `limit` images behind `after`.
///
/// # Errors
/// [`StoreError`] when a directory or file cannot be read.
pub fn page(paths: &StorePaths, after: Option<ObjectId>, limit: usize) -> Result<ListingPage, StoreError> {
    // One more than asked tells whether there is a next page.
    let mut wanted = PageBuilder { after, count_max: limit.saturating_add(1), found: BTreeMap::new() };
    let start = after.map_or([0, 0], |id| [id.digest()[0], id.digest()[1]]);
    'tree: for first in byte_directories(&paths.store(), start[0])? {
        let parent = paths.store().join(format!("{first:02x}"));
        let from = if first == start[0] { start[1] } else { 0 };
        for second in byte_directories(&parent, from)? {
            wanted.take_directory(&parent.join(format!("{second:02x}")), [first, second])?;
            if wanted.found.len() == wanted.count_max {
                break 'tree;
            }
        }
    }
    let more = wanted.found.len() > limit;
    let mut page = ListingPage { images: Vec::new(), next: None };
    for (id, format) in wanted.found.into_iter().take(limit) {
        page.images.extend(look(paths, id, format)?);
        page.next = more.then_some(id);
    }
    assert!(page.images.len() <= limit, "invariant: listing: a page holds no more than was asked for");
    assert!(
        page.images.is_sorted_by(|one, other| one.id < other.id),
        "invariant: listing: a page holds each id once, in order"
    );
    assert!(
        page.images.iter().all(|image| after.is_none_or(|after| image.id > after)),
        "invariant: listing: a page begins behind the last one"
    );
    Ok(page)
}

/// The smallest ids so far.
struct PageBuilder {
    after: Option<ObjectId>,
    count_max: usize,
    found: BTreeMap<ObjectId, Format>,
}

impl PageBuilder {
    /// Takes what belongs into the directory of ids that begin with `prefix`; other names are passed over.
    fn take_directory(&mut self, path: &Path, prefix: [u8; 2]) -> Result<(), StoreError> {
        for name in names(path)? {
            let Some((id, format)) = parse_image_name(&name?) else { continue };
            let belongs = id.digest()[..2] == prefix && self.after.is_none_or(|after| id > after);
            if belongs {
                self.take(id, format);
            }
        }
        Ok(())
    }

    fn take(&mut self, id: ObjectId, format: Format) {
        let kept = self.found.entry(id).or_insert(format);
        // Of two files of one id the server serves the one that it looks for first.
        *kept = Format::ALL.into_iter().find(|first| [*kept, format].contains(first)).unwrap_or(format);
        if self.found.len() > self.count_max {
            self.found.pop_last();
        }
        assert!(self.found.len() <= self.count_max, "invariant: listing: memory is bounded by the page");
    }
}

/// The two-digit directories of `path` from `from` on, in order.
fn byte_directories(path: &Path, from: u8) -> Result<impl Iterator<Item = u8>, StoreError> {
    let mut there = [false; 256];
    for name in names(path)? {
        if let Some(byte) = byte(&name?) {
            there[usize::from(byte)] = true;
        }
    }
    Ok((from..=u8::MAX).filter(move |byte| there[usize::from(*byte)]))
}

/// Two lower-case hex digits.
fn byte(name: &str) -> Option<u8> {
    let canonical = name.len() == 2 && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if canonical { u8::from_str_radix(name, 16).ok() } else { None }
}

/// The names in a directory; none where there is no directory.
fn names(path: &Path) -> Result<impl Iterator<Item = Result<String, StoreError>>, StoreError> {
    let failed = |error| StoreError::new("list a directory", error);
    let entries = match fs::read_dir(path) {
        Ok(entries) => Some(entries),
        // A file in a directory's place is foreign, and a directory may go at any time.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => return Err(failed(error)),
    };
    // A name that is not UTF-8 is no id; as an empty one it is passed over.
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap_or_default();
    Ok(entries.into_iter().flatten().map(move |entry| entry.map(name).map_err(failed)))
}

/// The metadata of the file; `None` when it has gone or is no file.
fn look(paths: &StorePaths, id: ObjectId, format: Format) -> Result<Option<ListedImage>, StoreError> {
    let found = match fs::metadata(paths.image(&id, format)) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::new("look at an image", error)),
    };
    let modified = upload_time(found.mtime(), found.mtime_nsec());
    Ok(found.is_file().then_some(ListedImage { id, format, length: found.len(), modified }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(digests: &[[u8; 20]]) -> (tempfile::TempDir, StorePaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        for digest in digests {
            let id = ObjectId::from_digest(*digest);
            fs::create_dir_all(paths.image_directory(&id)).unwrap();
            fs::write(paths.image(&id, Format::Jpeg), [0; 7]).unwrap();
        }
        (root, paths)
    }

    fn digest(start: [u8; 3]) -> [u8; 20] {
        let mut digest = [0; 20];
        digest[..3].copy_from_slice(&start);
        digest
    }

    /// All ids, read in pages of `limit`, and how many pages that took.
    fn all(paths: &StorePaths, limit: usize) -> (Vec<ObjectId>, usize) {
        let (mut ids, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = page(paths, after, limit).unwrap();
            assert!(page.images.len() <= limit);
            ids.extend(page.images.iter().map(|listed| listed.id));
            pages += 1;
            match page.next {
                Some(next) => after = Some(next),
                None => return (ids, pages),
            }
        }
    }

    #[test]
    fn pages_of_any_size_give_every_id_once_and_in_order() {
        let starts = [[0, 0, 1], [0, 0, 2], [0, 255, 0], [1, 0, 0], [9, 9, 9], [9, 9, 10], [255, 255, 255]];
        let (_root, paths) = store(&starts.map(digest));
        let expected: Vec<_> = starts.map(|start| ObjectId::from_digest(digest(start))).to_vec();
        for limit in 1..10 {
            let (ids, pages) = all(&paths, limit);
            assert_eq!(ids, expected, "in pages of {limit}");
            assert_eq!(pages, expected.len().div_ceil(limit));
        }
    }

    #[test]
    fn a_page_begins_behind_an_id_that_need_not_exist() {
        let (_root, paths) = store(&[digest([5, 5, 1]), digest([5, 5, 9]), digest([6, 0, 0])]);
        let after = ObjectId::from_digest(digest([5, 5, 5]));
        let page = page(&paths, Some(after), 1).unwrap();
        assert_eq!(page.images[0].id, ObjectId::from_digest(digest([5, 5, 9])));
        assert_eq!(page.images[0].length, 7);
        assert_eq!(page.next, Some(page.images[0].id));
    }

    #[test]
    fn whatever_is_no_image_in_its_place_is_passed_over() {
        let (root, paths) = store(&[digest([5, 5, 1])]);
        let stray = ObjectId::from_digest(digest([7, 7, 7]));
        fs::write(root.path().join(format!("store/05/05/{stray}.jpg")), b"").unwrap();
        fs::write(root.path().join("store/05/05/note.txt"), b"").unwrap();
        fs::write(root.path().join("store/06"), b"").unwrap();
        fs::create_dir(root.path().join("store/FF")).unwrap();
        let directory = ObjectId::from_digest(digest([5, 5, 2]));
        fs::create_dir(paths.image(&directory, Format::Png)).unwrap();
        assert_eq!(all(&paths, 10).0, [ObjectId::from_digest(digest([5, 5, 1]))]);
        assert_eq!(all(&StorePaths::new(&root.path().join("nothing")), 10), (Vec::new(), 1));
    }

    #[test]
    fn an_id_with_two_files_is_listed_once_as_the_one_that_is_served() {
        let (_root, paths) = store(&[digest([5, 5, 1])]);
        let id = ObjectId::from_digest(digest([5, 5, 1]));
        fs::write(paths.image(&id, Format::Avif), b"").unwrap();
        let page = page(&paths, None, 10).unwrap();
        assert_eq!(page.images.iter().map(|listed| listed.format).collect::<Vec<_>>(), [Format::Jpeg]);
    }
}
