//! The two conversions between glommio's files and owned descriptors that its API leaves to the caller.
//!
//! glommio's `stat` goes by the remembered path, which after a rename names nothing or another file;
//! going by the descriptor is always right. Descriptors, unlike glommio's files, may cross threads.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::SystemTime;

use glommio::io::BufferedFile;
use rustix::fs::{Timespec, Timestamps};

/// A glommio file of this executor that owns `descriptor`.
pub(super) fn adopt(descriptor: OwnedFd) -> BufferedFile {
    // SAFETY: `into_raw_fd` gives up ownership, so the file is the only owner and closes it once.
    unsafe { BufferedFile::from_raw_fd(descriptor.into_raw_fd()) }
}

/// The descriptor of `file`, borrowed.
pub(super) fn borrow(file: &BufferedFile) -> BorrowedFd<'_> {
    // SAFETY: the file keeps its descriptor open as long as it lives, and the result borrows it.
    unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) }
}

/// A second descriptor of the same open file, that may cross threads.
pub(super) fn duplicate(file: &BufferedFile) -> std::io::Result<OwnedFd> {
    borrow(file).try_clone_to_owned()
}

/// Dates a file: its modification time is the upload time. Touches memory only.
pub(super) fn set_modified(file: &BufferedFile, time: SystemTime) -> std::io::Result<()> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let stamp = Timespec {
        tv_sec: since.as_secs().try_into().map_err(|_| std::io::ErrorKind::InvalidInput)?,
        tv_nsec: since.subsec_nanos().into(),
    };
    let both = Timestamps { last_access: stamp, last_modification: stamp };
    Ok(rustix::fs::futimens(borrow(file), &both)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};

    #[test]
    fn an_adopted_descriptor_reads_the_same_file_and_is_closed_once() {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).make().unwrap();
        executor.run(async {
            let path = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(path.path(), b"abc").unwrap();
            let opened = BufferedFile::open(path.path()).await.unwrap();
            let second = adopt(duplicate(&opened).unwrap());
            opened.close().await.unwrap();
            assert_eq!(&*second.read_at(0, 3).await.unwrap(), b"abc");
            assert_eq!(rustix::fs::fstat(borrow(&second)).unwrap().st_size, 3);
            second.close().await.unwrap();
        });
    }
}
