//! The `meta` box of an AVIF or HEIC file: the picture that is shown, the place of its data, and its properties.
//!
//! A file holds items (coded pictures, grids of them, EXIF, …) with properties (size, turn, colours, …) and references
//! between them. [`AvifStill::read`] finds the primary item and its alpha and ignores the rest. It decodes nothing.
//! Every table and the walk through them have bounds. So time and memory are a small multiple of the box, which the
//! caller bounds by [`META_BYTES_MAX`].
//!
//! A clean aperture (`clap`) of an AVIF has no effect, as in browsers: the whole picture is shown. Writers of HEIC use it
//! to hide the padding of odd sides, so there it cuts. A sequence is shown by its primary item.

mod items;
mod reader;

use std::ops::Range;

use items::{ItemKind, Items, Property};
use reader::BoxReader;

use crate::image::header::Orientation;
use crate::image::shape::{Rect, Size};

/// Longest `meta` box that is read, in bytes. It holds colour profiles, and rarely small pictures.
pub(in crate::image) const META_BYTES_MAX: usize = 1024 * 1024;

/// Most boxes of a file that are walked to find its end. Long sequences have some thousands.
pub(in crate::image) const BOXES_MAX: usize = 16 * 1024;

/// Most tiles of a grid. The largest cameras make about 200.
const TILES_MAX: usize = 1024;

/// An error in a `meta` box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum MetaFault {
    /// A box or field reaches past the end of its container, or a table is longer than any program makes.
    Boxes,
    /// There is no primary item, or no data, size or configuration for it.
    NoPicture,
    /// The picture is coded or composed in a way that is not supported.
    Unsupported,
}

/// The picture that a file shows.
#[derive(Debug, PartialEq)]
pub(in crate::image) struct AvifStill {
    pub(in crate::image) codec: Codec,
    /// The size as coded, before the cut and rotation.
    pub(in crate::image) size: Size,
    /// The part of a HEIC that is shown, inside the picture as coded; `None` is all of it.
    pub(in crate::image) cut: Option<Rect<u32>>,
    pub(in crate::image) orientation: Orientation,
    pub(in crate::image) coding: Coding,
    pub(in crate::image) color: AvifSource,
    pub(in crate::image) alpha: Option<AvifSource>,
    /// Whether the colours are multiplied by alpha.
    pub(in crate::image) is_premultiplied: bool,
    pub(in crate::image) nclx: Option<Nclx>,
    /// The place of an ICC profile, counted from the start of the file.
    pub(in crate::image) profile: Option<Range<u64>>,
    /// An EXIF block: the offset of its TIFF header in four bytes, and what that counts from.
    pub(in crate::image) exif: Option<DataRanges>,
    pub(in crate::image) xmp: Option<DataRanges>,
}

/// The coding of a picture's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum Codec {
    /// AV1: an AVIF.
    Av1,
    /// H.265: a HEIC. The first range of each item's data is its decoder configuration (`hvcC`).
    Hevc,
}

/// The coding of the samples, from the decoder configuration (`av1C` or `hvcC`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) struct Coding {
    /// 8, 10 or 12; in H.265 up to 16.
    pub(in crate::image) bits: u8,
    pub(in crate::image) is_monochrome: bool,
}

/// The source of a picture's data.
#[derive(Debug, PartialEq)]
pub(in crate::image) enum AvifSource {
    One(DataRanges),
    Grid {
        /// The layout: see [`TileGrid::parse`].
        layout: DataRanges,
        /// The tiles, row by row.
        tiles: Vec<DataRanges>,
        tile: Size,
    },
}

/// Ranges of the file that together are the data of one item.
pub(in crate::image) type DataRanges = Vec<Range<u64>>;

/// Code points of ITU-T H.273.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) struct Nclx {
    pub(in crate::image) primaries: u16,
    pub(in crate::image) transfer: u16,
    pub(in crate::image) matrix: u16,
    pub(in crate::image) is_full_range: bool,
}

impl AvifStill {
    /// Reads the content of a `meta` box that begins at the offset `start` of the file.
    pub(in crate::image) fn read(meta: &[u8], start: u64) -> Result<Self, MetaFault> {
        let items = Items::read(meta, start)?;
        let primary = items.primary.ok_or(MetaFault::NoPicture)?;
        let codec = items.codec(primary)?;
        let color = items.source(primary, codec)?;
        let size = items.size(primary)?;
        let (alpha, is_premultiplied) = match items.alpha_of(primary)? {
            Some(alpha) if items.size(alpha) != Ok(size) => return Err(MetaFault::Unsupported),
            Some(alpha) => (Some(items.source(alpha, codec)?), items.refers(b"prem", primary, alpha)),
            None => match items.alpha_of_tiles(primary, &color, codec)? {
                Some((alpha, is_premultiplied)) => (Some(alpha), is_premultiplied),
                None => (None, false),
            },
        };
        let mut still = Self {
            codec,
            size,
            cut: None,
            orientation: Orientation::NORMAL,
            coding: items.coding(primary)?,
            color,
            alpha,
            is_premultiplied,
            nclx: None,
            profile: None,
            exif: None,
            xmp: None,
        };
        let (mut quarters, mut mirror) = (0, None);
        for property in items.properties(primary)? {
            match property {
                Property::Rotation(turns) => quarters = *turns,
                Property::Mirror(axis) => mirror = Some(*axis),
                Property::Nclx(nclx) => still.nclx = still.nclx.or(Some(*nclx)),
                Property::Aperture(aperture) if codec == Codec::Hevc => still.cut = aperture.within(size),
                Property::Profile(profile) => still.profile = still.profile.take().or(Some(profile.clone())),
                _ => {}
            }
        }
        still.orientation = orientation(quarters, mirror);
        // Metadata that cannot be found never cost the picture.
        still.exif = items.described_by(primary, ItemKind::Exif);
        still.xmp = items.described_by(primary, ItemKind::Xmp);
        Ok(still)
    }

    /// Finds the `meta` box of a file in memory and reads it.
    pub(in crate::image) fn of_file(source: &[u8]) -> Result<Self, MetaFault> {
        let mut file = BoxReader::of(source);
        for _ in 0..BOXES_MAX {
            if file.is_empty() {
                break;
            }
            let part = file.next_box()?;
            if &part.name == b"meta" {
                return Self::read(part.payload, offset_in(source, part.payload));
            }
        }
        Err(MetaFault::NoPicture)
    }

    /// The size that is shown, before rotation.
    pub(in crate::image) fn shown(&self) -> Size {
        self.cut.map_or(self.size, |cut| cut.size())
    }

    /// The offset after the last byte of the picture in the file.
    pub(in crate::image) fn end(&self) -> u64 {
        let pieces = |source: &AvifSource| match source {
            AvifSource::One(data) => end_of(data),
            AvifSource::Grid { layout, tiles, .. } => {
                tiles.iter().map(|tile| end_of(tile)).fold(end_of(layout), u64::max)
            }
        };
        pieces(&self.color).max(self.alpha.as_ref().map_or(0, pieces))
    }
}

fn end_of(data: &[Range<u64>]) -> u64 {
    data.iter().map(|piece| piece.end).fold(0, u64::max)
}

/// The offset of `part` in `whole`, of which it is a part.
fn offset_in(whole: &[u8], part: &[u8]) -> u64 {
    (part.as_ptr() as usize - whole.as_ptr() as usize) as u64
}

/// Joins the data of an item; `None` if a range lies outside the file.
pub(in crate::image) fn gather<'a>(
    source: &'a [u8],
    data: &[Range<u64>],
) -> Option<std::borrow::Cow<'a, [u8]>> {
    let piece =
        |range: &Range<u64>| source.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?);
    match data {
        [one] => piece(one).map(std::borrow::Cow::Borrowed),
        // Ranges may overlap, so the joined data must not be longer than the file.
        _ if data.iter().map(|range| range.end - range.start).sum::<u64>() > source.len() as u64 => None,
        many => {
            let pieces: Option<Vec<&[u8]>> = many.iter().map(piece).collect();
            Some(std::borrow::Cow::Owned(pieces?.concat()))
        }
    }
}

/// The EXIF value for quarter turns counterclockwise, then a mirror: `true` swaps left and right, `false` top and
/// bottom.
const fn orientation(quarters: u8, mirror: Option<bool>) -> Orientation {
    Orientation::from_exif(match (quarters, mirror) {
        (0, None) => 1,
        (0, Some(true)) | (2, Some(false)) => 2,
        (2, None) => 3,
        (0, Some(false)) | (2, Some(true)) => 4,
        (1, Some(false)) | (3, Some(true)) => 5,
        (3, None) => 6,
        (1, Some(true)) | (3, Some(false)) => 7,
        _ => 8,
    })
}

/// The tile grid of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) struct TileGrid {
    pub(in crate::image) rows: u32,
    pub(in crate::image) columns: u32,
    /// The size of the whole picture. Tiles are cut at its right and lower edge.
    pub(in crate::image) size: Size,
}

impl TileGrid {
    /// Parses the data of a grid item: version, flags (bit 0: long sizes), rows and columns less one, size.
    pub(in crate::image) fn parse(data: &[u8]) -> Option<Self> {
        let mut data = BoxReader::of(data);
        let [0, flags, rows, columns] = data.take::<4>().ok()? else { return None };
        let mut side = || if flags & 1 == 0 { data.u16().map(u32::from) } else { data.u32() };
        let size = Size { width: side().ok()?, height: side().ok()? };
        Some(Self { rows: u32::from(rows) + 1, columns: u32::from(columns) + 1, size })
    }
}

/// Writes a box.
#[cfg(test)]
pub(in crate::image) fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 8).to_be_bytes()[..], name, payload].concat()
}

#[cfg(test)]
pub(in crate::image) mod tests;
