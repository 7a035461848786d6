//! The one EXIF fact an upload needs, its orientation, from a block that arrives in pieces.
//!
//! Broken EXIF is no fault of the picture: it reads as [`Orientation::NORMAL`].

use crate::image::header::Orientation;
use crate::image::metadata::exif;
pub(super) use crate::image::metadata::exif::{EXIF_BYTES_MAX, EXIF_NAME};

/// An EXIF block that is still arriving, and the orientation once one was read.
#[derive(Debug, Default)]
pub(super) struct Exif {
    block: Vec<u8>,
    read: Option<Orientation>,
}

impl Exif {
    /// Whether a block was read already: only the first one counts.
    pub(super) fn is_read(&self) -> bool {
        self.read.is_some()
    }

    /// Takes up to `left` bytes off `input`; `None` when the input ran out before `left` reached zero. At zero the
    /// block is read and let go. The memory grows with the bytes that came, not with a claimed length; the caller keeps
    /// the whole under [`EXIF_BYTES_MAX`].
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
