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

use rustix::io::Errno;

/// What the disk refused. Nothing visible has changed when one of these is returned.
#[derive(Debug)]
pub enum StoreError {
    /// No space or no inodes left (or a quota reached): retrying helps once space was made.
    Full,
    /// This process, or the system, has no file descriptor left. Nothing is wrong with the disk: retrying helps soon.
    NoDescriptor,
    /// Any other failure of the disk, with what was being done.
    Io(&'static str, io::Error),
}

impl StoreError {
    /// Sorts an I/O error by what helps against it.
    pub fn new(doing: &'static str, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ if is_out_of_descriptors(&error) => Self::NoDescriptor,
            _ => Self::Io(doing, error),
        }
    }
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
            Self::Io(doing, error) => write!(f, "{doing}: {error}"),
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
