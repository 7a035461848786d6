//! EXIF and XMP, copied from a source to its variant on request (`meta`).
//!
//! Both are copied unchanged except for the orientation, which the variant's pixels have already. Copied are the first
//! EXIF block and the first XMP packet, each no longer than a JPEG segment holds. Longer, compressed and broken ones
//! are dropped. Supports JPEG, PNG, WebP and AVIF; a GIF has nothing to keep.

mod avif;
pub(super) mod exif;
mod profile;
mod read;
mod strip;
mod write;
mod xmp;

use super::header::{Header, Orientation};
use super::shape::Size;
use crate::object::Format;
pub(super) use profile::with_profile;

/// Longest EXIF block that is kept, without its name: a JPEG segment holds 65,533 bytes.
const EXIF_KEPT_MAX: usize = 65_533 - exif::EXIF_NAME.len();
/// Longest XMP packet that is kept.
const XMP_KEPT_MAX: usize = 65_533 - xmp::JPEG_NAME.len();

/// The metadata that a variant carries; an empty part is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Metadata {
    /// A TIFF block.
    exif: Vec<u8>,
    /// An XML text.
    xmp: Vec<u8>,
}

/// The file without anything but its picture, its colours and the way up that it is shown: no other EXIF, no XMP, no
/// IPTC, no comment, no embedded thumbnail, and nothing behind its end. The data of the picture is untouched. `None`
/// where that cannot be done surely.
pub fn stripped(source: &[u8], header: &Header) -> Option<Vec<u8>> {
    let bare = strip::bare(source, header.format)?;
    if header.orientation == Orientation::NORMAL {
        return Some(bare);
    }
    let metadata = Metadata { exif: exif::of_orientation(header.orientation), xmp: Vec::new() };
    Some(write::write(bare, header.format, header.stored(), &metadata))
}

/// Whether [`stripped`] can do anything for this format.
pub const fn can_strip(format: Format) -> bool {
    matches!(format, Format::Jpeg | Format::Png | Format::Gif | Format::Webp)
}

/// Whether a variant in this format can hold metadata.
pub const fn holds(format: Format) -> bool {
    matches!(format, Format::Jpeg | Format::Png | Format::Webp | Format::Avif)
}

/// The variant with its source's metadata, with a normal orientation. `variant` is a file from our own encoder, of this
/// format and size; `source` may be anything.
pub fn carry(source: &[u8], from: Format, variant: Vec<u8>, to: Format, size: Size) -> Vec<u8> {
    let found = read::read(source, from);
    let metadata = Metadata {
        exif: exif::upright(&found.exif).filter(|exif| exif.len() <= EXIF_KEPT_MAX).unwrap_or_default(),
        xmp: if found.xmp.len() <= XMP_KEPT_MAX { xmp::upright(found.xmp) } else { Vec::new() },
    };
    if metadata == Metadata::default() { variant } else { write::write(variant, to, size, &metadata) }
}

#[cfg(test)]
mod tests;
