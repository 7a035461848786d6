//! AVIF by rav1d: one picture or a grid of tiles, with separate alpha.
//!
//! rav1d is built without assembler: the build needs none, and no hand-written kernel reads hostile bytes. It runs on
//! the calling thread only. Its entry points abort the process on a panic, which no caller can catch. So it gets only
//! the units that a picture needs (see [`obu`]), within the size that the container announced, and a picture of another
//! size is refused. Of sequences and layered pictures the first picture is shown.

mod obu;
mod planes;

use re_rav1d::dav1d::{Decoder, Error, Picture, Settings};

use super::{CORRUPT, SIZE_DIFFERS, UNSUPPORTED};
use crate::image::container::avif::{AvifSource, AvifStill, DataRanges, MetaFault, Nclx, TileGrid, gather};
use crate::image::error::{RenderError, proceed};
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;
use planes::Canvas;

/// Decodes the whole picture, in its own size, without rotation.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let still = AvifStill::of_file(source).map_err(|fault| match fault {
        MetaFault::Unsupported => UNSUPPORTED,
        MetaFault::Boxes | MetaFault::NoPicture => CORRUPT,
    })?;
    if still.size != size {
        return Err(SIZE_DIFFERS);
    }
    let kind = match (still.coding.is_monochrome, still.alpha.is_some()) {
        (true, false) => PixelKind::Gray,
        (true, true) => PixelKind::GrayAlpha,
        (false, false) => PixelKind::Rgb,
        (false, true) => PixelKind::Rgba,
    };
    let mut canvas = Canvas::new(size, kind);
    let job = AvifDecode { source, size, nclx: still.nclx, keep_going };
    job.each_picture(&still.color, |picture, left, top| canvas.draw_color(picture, job.nclx, left, top))?;
    if let Some(alpha) = &still.alpha {
        job.each_picture(alpha, |picture, left, top| canvas.draw_alpha(picture, left, top))?;
        if still.is_premultiplied {
            canvas.unmultiply();
        }
    }
    canvas.into_pixels().ok_or(CORRUPT)
}

struct AvifDecode<'a> {
    source: &'a [u8],
    size: Size,
    nclx: Option<Nclx>,
    keep_going: &'a dyn Fn() -> bool,
}

impl AvifDecode<'_> {
    /// Decodes the picture, or the tiles one after another, each with its place on the canvas.
    fn each_picture(
        &self,
        source: &AvifSource,
        mut draw: impl FnMut(&Picture, u32, u32) -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        let (layout, tiles, tile) = match source {
            AvifSource::One(data) => return draw(&self.picture(data, self.size)?, 0, 0),
            AvifSource::Grid { layout, tiles, tile } => (layout, tiles, *tile),
        };
        let grid = gather(self.source, layout).and_then(|layout| TileGrid::parse(&layout)).ok_or(CORRUPT)?;
        if grid.size != self.size {
            return Err(SIZE_DIFFERS);
        }
        if !covers(&grid, tile, tiles.len()) {
            return Err(CORRUPT);
        }
        let places = (0..grid.rows).flat_map(|row| (0..grid.columns).map(move |column| (row, column)));
        for ((row, column), data) in places.zip(tiles) {
            proceed(self.keep_going)?;
            draw(&self.picture(data, tile)?, column * tile.width, row * tile.height)?;
        }
        Ok(())
    }

    fn picture(&self, data: &DataRanges, size: Size) -> Result<Picture, RenderError> {
        let data = gather(self.source, data).ok_or(CORRUPT)?;
        let picture = decoded(obu::picture_only(&data).ok_or(CORRUPT)?, size)?;
        if (picture.width(), picture.height()) != (size.width, size.height) {
            return Err(SIZE_DIFFERS);
        }
        Ok(picture)
    }
}

/// Whether the tiles cover the whole picture without a superfluous one; then no tile is much larger than the picture.
fn covers(grid: &TileGrid, tile: Size, tiles: usize) -> bool {
    let fits = |tile: u32, count: u32, whole: u32| {
        let (tile, count, whole) = (u64::from(tile), u64::from(count), u64::from(whole));
        tile * count >= whole && tile * (count - 1) < whole && tile <= whole.max(64)
    };
    tiles as u64 == u64::from(grid.rows) * u64::from(grid.columns)
        && fits(tile.width, grid.columns, grid.size.width)
        && fits(tile.height, grid.rows, grid.size.height)
}

/// The first picture that these units give.
fn decoded(units: Vec<u8>, size: Size) -> Result<Picture, RenderError> {
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(u32::try_from(size.area()).map_err(|_| UNSUPPORTED)?);
    let mut decoder = Decoder::with_settings(&settings).map_err(cause)?;
    let mut sent = decoder.send_data(units, None, None, None);
    loop {
        match decoder.get_picture() {
            Err(Error::Again) => {}
            result => return result.map_err(cause),
        }
        // Each round consumes at least one unit of the data to send.
        match sent {
            Err(Error::Again) => sent = decoder.send_pending_data(),
            Err(error) => return Err(cause(error)),
            Ok(()) => return decoder.get_picture().map_err(cause),
        }
    }
}

fn cause(error: Error) -> RenderError {
    match error {
        Error::UnsupportedBitstream => UNSUPPORTED,
        _ => CORRUPT,
    }
}

#[cfg(test)]
mod tests;
