//! When the directories `<aa>/<bb>` of the store last changed, and what a single file is. Blocking.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::record::ManifestEntry;
use crate::object::{Format, ObjectId};
use crate::store::directory;
use crate::store::marker::is_nothing;
use crate::store::path::StorePaths;

/// When each of the 256 directories of an `<aa>` last changed, in nanoseconds since 1970.
///
/// The times are change times (`ctime`), which the file system sets itself at every addition and removal. A backup that
/// is copied back gets new ones, while it may bring its modification times along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChangeTimes(Box<[i64; 256]>);

impl ChangeTimes {
    /// The time of a directory of which nothing is known, and that is to be listed.
    const UNKNOWN: i64 = 0;

    /// The time of a directory that is not there.
    const ABSENT: i64 = -1;

    /// Times by which every directory is to be listed.
    pub(super) fn unknown() -> Self {
        Self(Box::new([Self::UNKNOWN; 256]))
    }

    /// The present times of the directories of `first`. One that changed less than `margin` ago may change again within
    /// the same tick of the file system's clock, or be changing still: its time is unknown.
    pub(super) fn look(paths: &StorePaths, first: u8, margin: Duration) -> Self {
        let mut times = Self::unknown();
        if directory::present(paths, first).is_ok_and(|present| present == [false; 256]) {
            times.0.fill(Self::ABSENT);
            return times;
        }
        let now = nanoseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        for (second, time) in (0..=u8::MAX).zip(times.0.iter_mut()) {
            let found = change_time(paths, first, second);
            *time = if found > now.saturating_sub(nanoseconds(margin)) { Self::UNKNOWN } else { found };
        }
        times
    }

    /// Whether a directory is as it was at its time here.
    pub(super) fn is_unchanged(&self, paths: &StorePaths, first: u8, second: u8) -> bool {
        let known = self.0[usize::from(second)];
        known != Self::UNKNOWN && known == change_time(paths, first, second)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &i64> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut i64> {
        self.0.iter_mut()
    }
}

fn change_time(paths: &StorePaths, first: u8, second: u8) -> i64 {
    match fs::metadata(paths.image_directory_of([first, second])) {
        Ok(found) => {
            found.ctime().checked_mul(1_000_000_000).map_or(0, |s| s.saturating_add(found.ctime_nsec()))
        }
        Err(error) if is_nothing(&error) => ChangeTimes::ABSENT,
        Err(_) => ChangeTimes::UNKNOWN,
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The image as its file is now; `None` where that has gone.
///
/// # Errors
/// The system's refusal.
pub(super) fn look(paths: &StorePaths, id: ObjectId, format: Format) -> io::Result<Option<ManifestEntry>> {
    match fs::symlink_metadata(paths.image(&id, format)) {
        Ok(found) => Ok(found.is_file().then_some(ManifestEntry { id, format, length: found.len() })),
        Err(error) if is_nothing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> (tempfile::TempDir, StorePaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        fs::create_dir_all(paths.store().join("05/07")).unwrap();
        (root, paths)
    }

    fn id(last: u8) -> ObjectId {
        let mut digest = [last; 20];
        digest[..2].copy_from_slice(&[5, 7]);
        ObjectId::from_digest(digest)
    }

    #[test]
    fn a_directory_is_unchanged_until_a_file_comes_or_goes() {
        let (_root, paths) = scene();
        let (one, two) = (paths.image(&id(1), Format::Jpeg), paths.image(&id(2), Format::Jpeg));
        fs::write(&one, b"").unwrap();
        let times = ChangeTimes::look(&paths, 5, Duration::ZERO);
        assert!(times.is_unchanged(&paths, 5, 7) && times.is_unchanged(&paths, 5, 8));
        fs::write(&one, b"other bytes").unwrap();
        assert!(times.is_unchanged(&paths, 5, 7), "an image is as it was");
        // The clock of a file system ticks a few hundred times a second: until it has, two changes have one time.
        let mut is_unchanged = true;
        for _ in 0..100_000 {
            fs::rename(&one, &two).unwrap();
            fs::rename(&two, &one).unwrap();
            is_unchanged = times.is_unchanged(&paths, 5, 7);
            if !is_unchanged {
                break;
            }
        }
        assert!(!is_unchanged);
        fs::create_dir(paths.store().join("05/08")).unwrap();
        assert!(!times.is_unchanged(&paths, 5, 8));
    }

    #[test]
    fn a_directory_that_changed_a_moment_ago_has_no_time() {
        let (_root, paths) = scene();
        let times = ChangeTimes::look(&paths, 5, Duration::from_hours(1));
        assert!(!times.is_unchanged(&paths, 5, 7) && times.is_unchanged(&paths, 5, 8));
        assert!(!ChangeTimes::unknown().is_unchanged(&paths, 5, 8));
    }

    #[test]
    fn an_image_is_a_file_and_no_link() {
        let (_root, paths) = scene();
        fs::write(paths.image(&id(1), Format::Jpeg), [0; 7]).unwrap();
        std::os::unix::fs::symlink("nowhere", paths.image(&id(3), Format::Png)).unwrap();
        let entry = ManifestEntry { id: id(1), format: Format::Jpeg, length: 7 };
        assert_eq!(look(&paths, id(1), Format::Jpeg).unwrap(), Some(entry));
        for (number, format) in [(3, Format::Png), (1, Format::Png)] {
            assert_eq!(look(&paths, id(number), format).unwrap(), None);
        }
    }
}
