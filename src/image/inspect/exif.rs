//! The one EXIF fact an upload needs: its orientation.
//!
//! Reads a TIFF header and the entries of its first directory, nothing else. A general EXIF reader follows
//! sub-directories too, and overlapping ones make a block of 64 KiB expand to hundreds of megabytes of entries; here
//! nothing is allocated but the block itself. Broken EXIF is no fault of the picture: it reads as
//! [`Orientation::NORMAL`].

use crate::image::header::Orientation;

/// The longest block that is read: what a JPEG segment can hold. A longer one, in PNG or WebP, is ignored.
pub(super) const EXIF_BYTES_MAX: u64 = 65_535;

/// Marks EXIF in a JPEG segment; some writers of WebP put it there too.
pub(super) const EXIF_NAME: [u8; 6] = *b"Exif\0\0";

const TAG_ORIENTATION: u16 = 0x0112;
const ENTRY_BYTES: usize = 12;

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
        self.read = Some(
            orientation(block.strip_prefix(&EXIF_NAME).unwrap_or(&block)).unwrap_or(Orientation::NORMAL),
        );
        Some(())
    }

    /// What the block said; [`Orientation::NORMAL`] when there was none.
    pub(super) fn orientation(&self) -> Orientation {
        self.read.unwrap_or(Orientation::NORMAL)
    }
}

/// The orientation in a TIFF block; `None` when the block is broken or says nothing.
fn orientation(tiff: &[u8]) -> Option<Orientation> {
    let order = match tiff.first_chunk()? {
        b"II*\0" => Order::Little,
        b"MM\0*" => Order::Big,
        _ => return None,
    };
    let directory = usize::try_from(order.u32(tiff, 4)?).ok()?;
    let count = order.u16(tiff, directory)?;
    let entries = tiff.get(directory.checked_add(2)?..)?;
    let entry = entries
        .chunks_exact(ENTRY_BYTES)
        .take(usize::from(count))
        .find(|entry| order.u16(entry, 0) == Some(TAG_ORIENTATION))?;
    // SHORT is the standard's type; BYTE and LONG are what careless writers use.
    let value = match order.u16(entry, 2)? {
        1 => u32::from(*entry.get(8)?),
        3 => u32::from(order.u16(entry, 8)?),
        4 => order.u32(entry, 8)?,
        _ => return None,
    };
    Some(Orientation::from_exif(value))
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        })
    }
}
