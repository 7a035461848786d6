//! The stored file that a variant is made of, read as far as it is needed. Blocking: for the resize worker.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::image::decoded_planes;
use crate::object::ObjectId;
use crate::shard::job::ResizeError;
use crate::store::StoreError;
use crate::store::originals::Stamp;

/// First read of a file's headers: those of most photos are shorter, and a page or two more costs nothing.
const HEAD_BYTES: usize = 64 << 10;

/// Headers longer than this are not looked for: then the whole file is read.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// A file and what of it has been read.
pub(super) struct SourceFile {
    file: File,
    stamp: Stamp,
    length: usize,
    is_verified: bool,
    read: Vec<u8>,
    /// The headers alone, as a file.
    head: Option<Vec<u8>>,
}

impl SourceFile {
    /// # Errors
    /// [`ResizeError::Gone`] and [`ResizeError::Unreadable`].
    pub(in crate::shard) fn open(path: &Path, verified: Option<Stamp>) -> Result<Self, ResizeError> {
        let file = File::open(path).map_err(unreadable)?;
        let stat = rustix::fs::fstat(&file).map_err(|error| unreadable(error.into()))?;
        let stamp = Stamp::new(&stat);
        Ok(Self {
            file,
            stamp,
            length: usize::try_from(stat.st_size).unwrap_or(0),
            is_verified: verified == Some(stamp),
            read: Vec::new(),
            head: None,
        })
    }

    /// Reads the headers of a file whose bytes are known to be right; `false` if they are not, or if its headers cannot be
    /// told from its data.
    ///
    /// # Errors
    /// [`ResizeError::Unreadable`].
    pub(super) fn read_head(&mut self) -> Result<bool, ResizeError> {
        let mut want = HEAD_BYTES;
        while self.is_verified && want <= HEAD_BYTES_MAX && self.read.len() < self.length {
            self.read_to(want)?;
            self.head = decoded_planes::head(&self.read);
            if self.head.is_some() {
                return Ok(true);
            }
            want *= 4;
        }
        Ok(false)
    }

    /// Reads what is left, and proves it by the id.
    ///
    /// # Errors
    /// [`ResizeError::Unreadable`] and [`ResizeError::Corrupt`].
    pub(super) fn read_all(&mut self, id: &ObjectId) -> Result<(), ResizeError> {
        self.head = None;
        self.read.reserve_exact(self.length.saturating_sub(self.read.len()));
        self.file.read_to_end(&mut self.read).map_err(unreadable)?;
        if !self.is_verified && ObjectId::of(&self.read) != *id {
            return Err(ResizeError::Corrupt(self.stamp));
        }
        Ok(())
    }

    /// The stamp by which the file is known again.
    pub(in crate::shard) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The bytes that were read: the headers, or all.
    pub(in crate::shard) fn bytes(&self) -> &[u8] {
        self.head.as_deref().unwrap_or(&self.read)
    }

    fn read_to(&mut self, length: usize) -> Result<(), ResizeError> {
        let more = length.saturating_sub(self.read.len()) as u64;
        (&mut self.file).take(more).read_to_end(&mut self.read).map_err(unreadable)?;
        Ok(())
    }
}

fn unreadable(error: io::Error) -> ResizeError {
    match error.kind() {
        io::ErrorKind::NotFound => ResizeError::Gone,
        _ => match StoreError::new("read an image", error) {
            StoreError::NoDescriptor => ResizeError::NoDescriptor,
            error => ResizeError::Unreadable(error.to_string()),
        },
    }
}
