//! HEIC: one picture or a grid of tiles in H.265, with separate alpha.
//!
//! The crate `heifer-hevc-dec` rebuilds blocks; everything else is here: the container says where data lies, and pictures
//! are decoded in bands ([`bands`]) and drawn ([`canvas`]) at their own size or at a fraction of it. So a photo of 12
//! megapixels never lies in memory whole unless it is shown whole. The crate forbids unsafe code in itself. If it
//! panics nevertheless, the file counts as corrupt.
//!
//! It cannot be interrupted inside a band, whose parsing may take long: [`crate::image::render`] sends HEIC to the helper
//! process.

mod bands;
mod bitstream;
mod canvas;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bands::{BAND_ROWS, FinalRows};
use bitstream::CodedPicture;
use canvas::{HeicCanvas, Place};

use super::{CORRUPT, SIZE_DIFFERS, UNSUPPORTED};
use crate::image::container::avif::{AvifSource, AvifStill, Codec, DataRanges, MetaFault, TileGrid, gather};
use crate::image::error::RenderError;
use crate::image::light::Light;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

/// Bytes per pixel of a picture that is not decoded in bands: three planes of 16 bits, the copy that the filters take of
/// one, and tables of 20 bytes for 4 × 4 pixels.
pub(super) const WORK_BYTES_PER_PIXEL: u64 = 3 * 2 + 2 + 2;
/// Bytes per pixel of the parser's tables, which cover the whole picture: 8 for 4 × 4 pixels, and the filters' parameters.
const TABLE_BYTES_PER_PIXEL: u64 = 1;
/// Bytes of constant tables, scratch buffers and rows.
const WORK_BYTES: u64 = 1 << 20;
/// Pixels along each side by which tiles may reach beyond the picture.
const BEYOND_MAX: u32 = 128;

/// Decodes the whole picture without rotation, in its own size (1) or at a fraction of its sides, by means of these
/// values.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    (factor, light): (u32, Light),
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    // Nothing that the closure changes outlives a panic.
    catch_unwind(AssertUnwindSafe(|| {
        let still = still(source)?;
        if still.shown() != size || still.codec != Codec::Hevc {
            return Err(SIZE_DIFFERS);
        }
        HeicDecode { source, still: &still, factor, light, keep_going }.pixels()
    }))
    .unwrap_or(Err(CORRUPT))
}

/// Whether blocks of so many pixels never cross an edge between tiles, nor begin beside the part that is shown.
pub(super) fn can_reduce(source: &[u8], factor: u32) -> bool {
    still(source).is_ok_and(|still| {
        still.cut.is_none()
            && match still.color {
                AvifSource::One(_) => true,
                AvifSource::Grid { tile, .. } => {
                    tile.width.is_multiple_of(factor) && tile.height.is_multiple_of(factor)
                }
            }
    })
}

/// Most bytes of [`decode`] beside its result, for a picture of this size.
pub(super) fn work_bytes(source: &[u8], size: Size) -> u64 {
    let whole =
        |size: Size| size.area().saturating_mul(WORK_BYTES_PER_PIXEL).saturating_add(work_bytes_beyond(size));
    let Ok(still) = still(source) else { return whole(size) };
    let tile = match &still.color {
        AvifSource::Grid { tile, .. } => return whole(*tile),
        AvifSource::One(data) => data,
    };
    let in_bands = coded(source, tile, |picture| Ok(picture.is_row_by_row())).unwrap_or(false);
    if !in_bands {
        return whole(size);
    }
    // Two bands are alive at a time, each with the blocks above it.
    let bands = Size { width: size.width, height: 2 * (BAND_ROWS + 64) };
    whole(bands).saturating_add(size.area().saturating_mul(TABLE_BYTES_PER_PIXEL))
}

/// Bytes for the parts of tiles beyond a picture of this size, and what does not depend on its size.
pub(super) const fn work_bytes_beyond(size: Size) -> u64 {
    let sides = size.width as u64 + size.height as u64 + BEYOND_MAX as u64;
    WORK_BYTES_PER_PIXEL * BEYOND_MAX as u64 * sides + WORK_BYTES
}

fn still(source: &[u8]) -> Result<AvifStill, RenderError> {
    AvifStill::of_file(source).map_err(|fault| match fault {
        MetaFault::Unsupported => UNSUPPORTED,
        MetaFault::Boxes | MetaFault::NoPicture => CORRUPT,
    })
}

/// Uses a coded picture. The first range is its configuration.
fn coded<T>(
    source: &[u8],
    data: &DataRanges,
    work: impl FnOnce(&CodedPicture<'_>) -> Result<T, RenderError>,
) -> Result<T, RenderError> {
    let (config, data) = data.split_first().ok_or(CORRUPT)?;
    let config = gather(source, std::slice::from_ref(config)).ok_or(CORRUPT)?;
    let data = gather(source, data).ok_or(CORRUPT)?;
    work(&CodedPicture::read(&config, &data)?)
}

struct HeicDecode<'a> {
    source: &'a [u8],
    still: &'a AvifStill,
    factor: u32,
    light: Light,
    keep_going: &'a dyn Fn() -> bool,
}

impl HeicDecode<'_> {
    fn pixels(&self) -> Result<Pixels, RenderError> {
        let still = self.still;
        let kind = match (still.coding.is_monochrome, still.alpha.is_some()) {
            (true, false) => PixelKind::Gray,
            (true, true) => PixelKind::GrayAlpha,
            (false, false) => PixelKind::Rgb,
            (false, true) => PixelKind::Rgba,
        };
        let mut canvas = HeicCanvas::new(still.shown(), kind, self.factor, self.light);
        self.each_band(&still.color, &mut |band, place| canvas.draw_color(band, still.nclx, place))?;
        if let Some(alpha) = &still.alpha {
            self.each_band(alpha, &mut |band, place| {
                canvas.draw_alpha(band, place);
                Ok(())
            })?;
            if still.is_premultiplied {
                canvas.unmultiply();
            }
        }
        canvas.into_pixels().ok_or(CORRUPT)
    }

    /// Decodes the picture, or the tiles one after another, each with its place on the canvas.
    fn each_band(
        &self,
        source: &AvifSource,
        draw: &mut dyn FnMut(&FinalRows<'_>, Place) -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        let (left, top) = self.still.cut.map_or((0, 0), |cut| (-i64::from(cut.x), -i64::from(cut.y)));
        let mut picture = |data: &DataRanges, size: Size, place: Place| {
            coded(self.source, data, |coded| {
                bands::decode(coded, size, self.keep_going, &mut |band| draw(band, place))
            })
        };
        let (layout, tiles, tile) = match source {
            AvifSource::One(data) => return picture(data, self.still.size, Place { left, top }),
            AvifSource::Grid { layout, tiles, tile } => (layout, tiles, *tile),
        };
        let grid = gather(self.source, layout).and_then(|layout| TileGrid::parse(&layout)).ok_or(CORRUPT)?;
        if grid.size != self.still.size {
            return Err(SIZE_DIFFERS);
        }
        if !covers(&grid, tile, tiles.len()) {
            return Err(CORRUPT);
        }
        let places = (0..grid.rows).flat_map(|row| (0..grid.columns).map(move |column| (row, column)));
        for ((row, column), data) in places.zip(tiles) {
            let left = left + i64::from(column) * i64::from(tile.width);
            let top = top + i64::from(row) * i64::from(tile.height);
            picture(data, tile, Place { left, top })?;
        }
        Ok(())
    }
}

/// Whether the tiles cover the whole picture without a superfluous one; then no tile is much larger than the picture.
fn covers(grid: &TileGrid, tile: Size, tiles: usize) -> bool {
    let fits = |tile: u32, count: u32, whole: u32| {
        let (tile, count, whole) = (u64::from(tile), u64::from(count), u64::from(whole));
        tile * count >= whole && tile * (count - 1) < whole && tile < whole + u64::from(BEYOND_MAX)
    };
    tiles as u64 == u64::from(grid.rows) * u64::from(grid.columns)
        && fits(tile.width, grid.columns, grid.size.width)
        && fits(tile.height, grid.rows, grid.size.height)
}

fn fault(error: heifer_hevc_dec::Error) -> RenderError {
    match error {
        heifer_hevc_dec::Error::Unimplemented(_) => UNSUPPORTED,
        _ => CORRUPT,
    }
}

#[cfg(all(test, feature = "heic", feature = "jxl"))]
mod tests;
