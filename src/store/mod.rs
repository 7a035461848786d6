//! This node's disk.
//!
//! * [`path`]: where everything lies (pure).
//! * [`collision`]: SHA-1 that notices files made to collide (pure).
//! * [`open`]: start: lock, identity, directories, sweep of temporary files. Blocking. [`open_error`]: why it failed.
//! * [`marker`]: by what the store is known again. Blocking. [`health`]: whether the disk can be relied on.
//! * [`identity`]: who the node is. [`operator_key`]: the key that it makes for its operator. Blocking.
//! * [`record`]: a small file with a checksum, replaced whole. Blocking. [`rejoin`]: a removed node's store is set aside.
//! * [`spool`]: an upload's bytes on their way to the disk, hashed and inspected as they arrive.
//! * [`originals`]: find, publish, verify and quarantine stored images. [`losses`]: those that have gone.
//! * [`variants`]: the bounded, disposable cache of made variants.
//! * [`proof`]: how a file of that cache proves that it is whole.
//! * [`read`]: reading a file by its descriptor.
//! * [`misplaced`]: the journal of images that lie here although others own them. [`erasures`]: that of deleted images.
//!   `journal`: the files of both.
//! * [`erase`]: removes all files of an image. Blocking.
//! * [`listing`]: the ids in order, a page at a time. Blocking.
//! * [`manifest`]: what lies in the store, by files of their own: the number of images, and digests of their ids.
//! * [`scrub`]: every copy read back and hashed.
//! * [`findings`]: what the walk through the store and the scrub find wrong. [`bad_copies`]: what of that is not repaired yet.
//! * [`fsck`]: the check of a store that no server uses. Blocking.
//!
//! Invariants: a file below `store/` has been synced before it got its name, and its name is the
//! SHA-1 of its bytes; nothing is answered as stored before its directory is synced; nothing below
//! `cache/` is needed.

pub mod bad_copies;
mod collision;
mod descriptor;
mod directory;
pub mod erase;
pub mod erasures;
pub mod findings;
pub mod fsck;
pub mod health;
pub mod identity;
mod journal;
pub mod listing;
pub mod losses;
pub mod manifest;
pub mod marker;
pub mod misplaced;
mod obstacle;
pub mod open;
pub mod open_error;
pub mod operator_key;
pub mod originals;
pub mod path;
pub mod proof;
pub mod read;
pub mod record;
pub mod rejoin;
pub mod scrub;
pub mod spool;
mod stamp;
mod upload_time;
pub mod variants;
mod watch;

use std::fmt;
use std::io;
use std::time::Duration;

use futures_lite::future;
use glommio::GlommioError;

/// The time that one disk operation may take before a request gives up on it. A slow disk takes two seconds; a
/// machine whose disk has much to do may take ten for a sync.
pub const OPERATION_MAX: Duration = Duration::from_secs(15);

use rustix::io::Errno;

/// A disk error. Nothing visible has changed when one of these is returned.
#[derive(Debug)]
pub enum StoreError {
    /// No space or no inodes left (or a quota reached): retrying helps once space was made.
    Full,
    /// This process, or the system, has no file descriptor left. Nothing is wrong with the disk: retrying helps soon.
    NoDescriptor,
    /// The file system is read-only: retrying helps once it is mounted otherwise.
    ReadOnly,
    /// `store/` is not the one that the node started with: retrying helps once that is back.
    Missing,
    /// The disk did not answer in time, with what was being done. It may still do it.
    Late(&'static str),
    /// A write could not be made durable, with the operation's name: it is not stored.
    Unsynced(&'static str, io::Error),
    /// Any other failure of the disk, with what was being done.
    Io(&'static str, io::Error),
}

impl StoreError {
    /// Sorts an I/O error into the kinds above; of a sync, use [`StoreError::unsynced`].
    pub fn new(doing: &'static str, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ if is_out_of_descriptors(&error) => Self::NoDescriptor,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io(doing, error),
        }
    }

    /// Sorts the error of a sync. After one the kernel may have forgotten what it could not write, so that a second
    /// sync that succeeds means nothing.
    pub fn unsynced(doing: &'static str, error: impl Into<io::Error>) -> Self {
        match Self::new(doing, error) {
            Self::Io(doing, error) => Self::Unsynced(doing, error),
            other => other,
        }
    }

    /// A copy, for a second reader.
    pub fn again(&self) -> Self {
        let same = |error: &io::Error| {
            error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
        };
        match self {
            Self::Full => Self::Full,
            Self::NoDescriptor => Self::NoDescriptor,
            Self::ReadOnly => Self::ReadOnly,
            Self::Missing => Self::Missing,
            Self::Late(doing) => Self::Late(doing),
            Self::Unsynced(doing, error) => Self::Unsynced(doing, same(error)),
            Self::Io(doing, error) => Self::Io(doing, same(error)),
        }
    }

    /// Whether the process lacks descriptors or memory: that says nothing of the file or the disk.
    pub fn is_of_the_process(&self) -> bool {
        let errno = match self {
            Self::NoDescriptor => return true,
            Self::Io(_, error) | Self::Unsynced(_, error) => Errno::from_io_error(error),
            _ => None,
        };
        matches!(errno, Some(Errno::NOMEM | Errno::AGAIN))
    }
}

/// The system's own error, by whose number it is told what it was; the runtime's conversion keeps the kind alone.
pub(crate) fn plain(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::EnhancedIoError { source, .. } => source,
        other => other.into(),
    }
}

/// Waits for an operation of the disk, but not longer than [`OPERATION_MAX`]. One that is given up on may still be
/// done later.
///
/// # Errors
/// The operation's own, or [`StoreError::Late`].
pub async fn timely<T>(
    doing: &'static str,
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    within(OPERATION_MAX, doing, operation).await
}

/// The same with another limit, for several operations.
///
/// # Errors
/// As [`timely`].
pub async fn within<T>(
    limit: Duration,
    doing: &'static str,
    operations: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = async {
        glommio::timer::sleep(limit).await;
        Err(StoreError::Late(doing))
    };
    future::or(operations, late).await
}

/// Whether this is `EMFILE` or `ENFILE`. The runtime wraps some errors in a text and drops their number, so that the text is
/// all there is then.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(number) => [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error).contains(&number),
        None => {
            let text = error.to_string();
            [Errno::MFILE, Errno::NFILE]
                .iter()
                .any(|errno| text.contains(&format!("(os error {})", errno.raw_os_error())))
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the disk is full"),
            Self::NoDescriptor => f.write_str("no file descriptor is left"),
            Self::ReadOnly => f.write_str("the file system is read-only"),
            Self::Missing => f.write_str("the store is not the one that the node started with"),
            Self::Late(doing) => write!(f, "{doing}: the disk does not answer"),
            Self::Unsynced(doing, error) | Self::Io(doing, error) => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_up_descriptors_are_no_failure_of_the_disk() {
        for number in [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error) {
            let plain = || io::Error::from_raw_os_error(number);
            let wrapped = io::Error::new(plain().kind(), format!("{}, op: Opening path: \"a\"", plain()));
            for error in [plain(), wrapped] {
                assert!(matches!(StoreError::new("open", error), StoreError::NoDescriptor));
            }
        }
        let other = io::Error::from_raw_os_error(Errno::IO.raw_os_error());
        assert!(matches!(StoreError::new("open", other), StoreError::Io(..)));
    }

    #[test]
    fn the_runtime_tells_used_up_descriptors() {
        let error = glommio::GlommioError::<()>::IoError(io::Error::from_raw_os_error(24));
        assert!(matches!(StoreError::new("open", error), StoreError::NoDescriptor));
    }
}
