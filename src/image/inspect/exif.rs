//! Reads the orientation, the only EXIF field that an upload needs, from a block that arrives in pieces.
//!
//! Broken EXIF does not make the picture faulty: it reads as [`Orientation::NORMAL`].

use crate::image::header::Orientation;
use crate::image::metadata::exif;
pub(super) use crate::image::metadata::exif::{EXIF_BYTES_MAX, EXIF_NAME};

/// An EXIF block that is still arriving, and the orientation once a block was read.
#[derive(Debug, Default)]
pub(super) struct Exif {
    block: Vec<u8>,
    read: Option<Orientation>,
}

impl Exif {
    /// Whether a block was read: only the first one counts.
    pub(super) fn is_read(&self) -> bool {
        self.read.is_some()
    }

    /// Takes up to `left` bytes from `input`; `None` when the input ran out before `left` reached zero. At zero the
    /// block is read and freed. Memory grows with the bytes that arrived, not with a claimed length; the caller bounds
    /// the block by [`EXIF_BYTES_MAX`].
    pub(super) fn gather(&mut self, input: &mut &[u8], left: &mut u64) -> Option<()> {
        let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        let (now, later) = input.split_at(count);
        self.block.extend_from_slice(now);
        *input = later;
        *left -= count as u64;
        if *left > 0 {
            return None;
        }
        let block = std::mem::take(&mut self.block);
        self.read = Some(exif::orientation(&block));
        Some(())
    }

    /// The block's orientation; [`Orientation::NORMAL`] when there was none.
    pub(super) fn orientation(&self) -> Orientation {
        self.read.unwrap_or(Orientation::NORMAL)
    }
}
