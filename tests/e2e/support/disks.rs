//! Disks of their own for tests, that can be filled, made read-only, frozen and taken away.
//!
//! Where this process may not mount, a test that needs one says so loudly and ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::harness::skipped;

/// A file system of its own, gone with the value. Declare it before the node that lives on it.
pub(crate) struct Disk {
    directory: TempDir,
    /// The file that it lies in, if it does not lie in memory.
    _image: Option<TempDir>,
}

/// A disk whose writes wait.
pub(crate) struct Frozen(String);

/// Something mounted over a folder, gone with the value.
pub(crate) struct Cover(PathBuf);

impl Disk {
    /// A small one in memory. `None`, said loudly, where this process may not mount.
    pub(crate) fn small(options: &str) -> Option<Self> {
        let directory = TempDir::with_prefix("reticulum-e2e-disk-").expect("a temporary directory");
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], directory.path())
            .then_some(Self { directory, _image: None })
    }

    /// One that can be [frozen](Self::freeze).
    pub(crate) fn that_freezes() -> Option<Self> {
        let image = TempDir::with_prefix("reticulum-e2e-image-").expect("a temporary directory");
        let file = image.path().join("ext4");
        fs::File::create(&file).and_then(|file| file.set_len(64 << 20)).expect("an empty image");
        let path = file.to_str().expect("UTF-8");
        if !succeeds("mkfs.ext4", &["-q", "-F", path]) {
            skipped("the tests of a disk that hangs need mkfs.ext4");
            return None;
        }
        let directory = TempDir::with_prefix("reticulum-e2e-disk-").expect("a temporary directory");
        mount(&["-o", "loop", path], directory.path()).then_some(Self { directory, _image: Some(image) })
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Every write waits until this is dropped. Declare it after the node, which could not end before.
    pub(crate) fn freeze(&self) -> Frozen {
        assert!(succeeds("fsfreeze", &["-f", self.text()]), "freeze");
        Frozen(self.text().to_owned())
    }

    /// From now on nothing can be written, or everything again.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        let options = if read_only { "remount,ro" } else { "remount,rw" };
        // A file that is open for writing holds it up until it is closed.
        crate::support::harness::wait_until("the disk to be mounted again", || {
            succeeds("mount", &["-o", options, self.text()])
        });
    }

    fn text(&self) -> &str {
        self.directory.path().to_str().expect("UTF-8")
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        assert!(succeeds("fsfreeze", &["-u", &self.0]), "unfreeze");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a node that a failed test leaves behind must not keep the directory.
        assert!(succeeds("umount", &["-l", self.text()]), "umount {}", self.text());
    }
}

impl Cover {
    /// An empty file system over this folder. `None`, said loudly, where this process may not mount.
    pub(crate) fn over(folder: &Path) -> Option<Self> {
        mount(&["-t", "tmpfs", "tmpfs"], folder).then(|| Self(folder.to_path_buf()))
    }
}

impl Drop for Cover {
    fn drop(&mut self) {
        assert!(succeeds("umount", &["-l", self.0.to_str().expect("UTF-8")]), "umount");
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let mounted = succeeds("mount", &[arguments, &[at.to_str().expect("UTF-8")]].concat());
    if !mounted {
        skipped("the tests of disks need to mount file systems (run them as root)");
    }
    mounted
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
