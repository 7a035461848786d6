//! Decodes a coded picture in bands of rows, so that memory does not grow with its height.
//!
//! The library parses a slice into blocks and rebuilds a picture from them. Here each band of [`BAND_ROWS`] rows is a
//! picture of its own. It begins with the last row of blocks of the band before, because blocks are predicted from
//! those above them, and the filters at their edges read both sides. The filters change the rows next to an edge, so the
//! last [`MARGIN_ROWS`] of a band are final only in the next one. The result is that of the whole picture.
//!
//! A picture of several slices, or one that is coded in tiles, is a single band.

use heifer_hevc_dec::params::{Pps, Sps};
use heifer_hevc_dec::recon::{Frame, Reconstructor};
use heifer_hevc_dec::slice::SliceHeader;
use heifer_hevc_dec::syntax::{self, CodingUnit, SaoParams, Sink, TransformBlock};

use super::super::CORRUPT;
use super::bitstream::CodedPicture;
use super::fault;
use crate::image::error::{RenderError, proceed};
use crate::image::shape::{Rect, Size};

/// Rows of a band: a multiple of the largest block.
pub(super) const BAND_ROWS: u32 = 256;
/// Rows at the end of a band that the next one may still change. The filters reach four rows of luma, and two rows of
/// halved colour, which are four of luma; reductions need a multiple of eight.
const MARGIN_ROWS: u32 = 8;

/// Rows of a picture, decoded and filtered.
pub(super) struct FinalRows<'a> {
    pub(super) frame: &'a Frame,
    /// The final rows in the frame, over the picture's width.
    pub(super) rows: Rect<u32>,
    /// The row of the picture at which the final rows begin.
    pub(super) top: u32,
}

/// Takes the bands of a picture from top to bottom.
pub(super) type Draw<'d> = &'d mut dyn FnMut(&FinalRows<'_>) -> Result<(), RenderError>;

/// Decodes a picture of this size.
///
/// # Errors
///
/// `Undecodable`; those of `draw`; `Cancelled` once `keep_going` returns false, which is asked before each band.
pub(super) fn decode(
    coded: &CodedPicture<'_>,
    size: Size,
    keep_going: &dyn Fn() -> bool,
    draw: Draw<'_>,
) -> Result<(), RenderError> {
    let ((pps, sps), shown) = (coded.parameters()?, coded.shown(size)?);
    let windows = windows(coded, sps, shown);
    let mut state = syntax::Picture::new(sps, pps);
    let mut bands = Bands::new(pps, &windows, shown, keep_going, draw);
    for slice in coded.slices() {
        let (header, quantizer, data) = slice?;
        bands.begin_slice(header);
        let parsed = syntax::decode_slice_segment(&mut state, header, quantizer, data, &mut bands);
        bands.outcome?;
        parsed.map_err(fault)?;
    }
    let is_complete = state.is_complete();
    drop(state);
    if is_complete { bands.finish() } else { Err(CORRUPT) }
}

/// A band and the blocks above it, as a picture of its own.
struct BandWindow {
    /// The rows of the coded picture.
    start: u32,
    end: u32,
    sps: Sps,
}

fn windows(coded: &CodedPicture<'_>, sps: &Sps, shown: Rect<u32>) -> Vec<BandWindow> {
    let (height, block) = (sps.pic_height_in_luma_samples, sps.ctb_size());
    let in_bands = coded.is_row_by_row() && shown.y.is_multiple_of(MARGIN_ROWS);
    let rows = if in_bands { BAND_ROWS } else { height };
    let window = |first: u32| {
        let (start, end) = (first.saturating_sub(block), height.min(first.saturating_add(rows)));
        let sps = Sps { pic_height_in_luma_samples: end - start, ..sps.clone() };
        BandWindow { start, end, sps }
    };
    (0..height).step_by(rows.max(1) as usize).map(window).collect()
}

/// Rebuilds one band after another from the blocks of the parser.
struct Bands<'a, 'd> {
    pps: &'a Pps,
    windows: &'a [BandWindow],
    /// The number of the current window.
    at: usize,
    picture: Reconstructor<'a>,
    slice: Option<&'a SliceHeader>,
    /// The units of the window's last row of blocks.
    units: Vec<CodingUnit>,
    /// The filters of the same blocks, each with its column.
    filters: Vec<(u32, SaoParams)>,
    keep_going: &'d dyn Fn() -> bool,
    canvas: BandCanvas<'d>,
    outcome: Result<(), RenderError>,
}

impl<'a, 'd> Bands<'a, 'd> {
    fn new(
        pps: &'a Pps,
        windows: &'a [BandWindow],
        shown: Rect<u32>,
        keep_going: &'d dyn Fn() -> bool,
        draw: Draw<'d>,
    ) -> Self {
        Self {
            pps,
            windows,
            at: 0,
            picture: Reconstructor::new(&windows[0].sps, pps),
            slice: None,
            units: Vec::new(),
            filters: Vec::new(),
            keep_going,
            canvas: BandCanvas { shown, drawn: shown.y, draw },
            outcome: Ok(()),
        }
    }

    fn begin_slice(&mut self, header: &'a SliceHeader) {
        self.slice = Some(header);
        self.picture.start_slice(header);
    }

    fn window(&self) -> &'a BandWindow {
        &self.windows[self.at]
    }

    /// The row in the window of this row of the coded picture; `None` if a block is to be ignored. A block below the
    /// window completes it: blocks come row by row.
    fn row(&mut self, y: u32) -> Option<u32> {
        while self.outcome.is_ok() && y >= self.window().end {
            self.outcome = self.advance();
        }
        let row = y.checked_sub(self.window().start);
        if row.is_none() {
            // The file has blocks in an order that no picture has.
            self.outcome = self.outcome.and(Err(CORRUPT));
        }
        row.filter(|_| self.outcome.is_ok())
    }

    /// Draws the window and begins the next one.
    fn advance(&mut self) -> Result<(), RenderError> {
        proceed(self.keep_going)?;
        let (old, slice) = (self.window(), self.slice.ok_or(CORRUPT)?);
        let new = self.windows.get(self.at + 1).ok_or(CORRUPT)?;
        let mut picture = Reconstructor::new(&new.sps, self.pps);
        picture.start_slice(slice);
        let (skipped, kept) = (new.start - old.start, old.end - new.start);
        let width = new.sps.pic_width_in_luma_samples;
        for plane in 0..3 {
            let from = &self.picture.frame;
            let rows = |luma: u32| {
                let rows = luma * from.heights[plane] / from.heights[0];
                rows as usize * from.widths[plane] as usize
            };
            let (start, length) = (rows(skipped), rows(kept));
            let samples = from.planes[plane].get(start..start + length).ok_or(CORRUPT)?;
            picture.frame.planes[plane].get_mut(..length).ok_or(CORRUPT)?.copy_from_slice(samples);
        }
        picture.set_reconstructed(0, 0, width, kept, true);
        let mut edges = Vec::new();
        self.picture.save_edges(0, skipped, width, kept, &mut edges);
        picture.restore_edges(0, 0, width, kept, &edges);
        for unit in self.units.drain(..) {
            picture.coding_unit(&CodingUnit { y: unit.y - new.start, ..unit });
        }
        for (column, params) in self.filters.drain(..) {
            picture.sao(column, 0, &params);
        }
        let done = std::mem::replace(&mut self.picture, picture);
        self.at += 1;
        self.canvas.show(done, old, old.end.saturating_sub(MARGIN_ROWS))
    }

    /// Draws the last window.
    fn finish(self) -> Result<(), RenderError> {
        proceed(self.keep_going)?;
        let Self { windows, at, picture, mut canvas, .. } = self;
        let window = windows.get(at).filter(|_| at + 1 == windows.len()).ok_or(CORRUPT)?;
        canvas.show(picture, window, window.end)
    }

    /// Units of a row of blocks: at most one for 8 × 8 pixels. A broken file may repeat some.
    fn units_max(&self) -> usize {
        let sps = &self.window().sps;
        sps.pic_width_in_luma_samples.div_ceil(8) as usize * (sps.ctb_size() / 8) as usize
    }

    /// Whether a row of the coded picture is in the window's last row of blocks, from which the next window begins.
    fn is_kept(&self, y: u32) -> bool {
        self.windows.get(self.at + 1).is_some_and(|next| y >= next.start)
    }
}

/// Hands on the rows of finished windows.
struct BandCanvas<'d> {
    shown: Rect<u32>,
    /// Rows of the coded picture that were drawn or are not shown.
    drawn: u32,
    draw: Draw<'d>,
}

impl BandCanvas<'_> {
    /// Filters a window, and draws its final rows up to `end`.
    fn show(&mut self, picture: Reconstructor<'_>, window: &BandWindow, end: u32) -> Result<(), RenderError> {
        if picture.error.is_some() {
            return Err(CORRUPT);
        }
        let Rect { x, y, width, height } = self.shown;
        let end = end.min(y + height);
        if end <= self.drawn {
            return Ok(());
        }
        let frame = picture.finish(false);
        let rows = Rect { x, y: self.drawn - window.start, width, height: end - self.drawn };
        let band = FinalRows { frame: &frame, rows, top: self.drawn - y };
        self.drawn = end;
        (self.draw)(&band)
    }
}

impl Sink for Bands<'_, '_> {
    fn sao(&mut self, column: u32, row: u32, params: &SaoParams) {
        let block = self.window().sps.ctb_size();
        if let Some(y) = self.row(row.saturating_mul(block)) {
            if self.is_kept(row * block) {
                self.filters.push((column, *params));
            }
            self.picture.sao(column, y / block, params);
        }
    }

    fn transform_block(&mut self, block: &TransformBlock<'_>) {
        let frame = &self.picture.frame;
        let plane = usize::from(block.c_idx);
        let down = frame.heights[0].checked_div(frame.heights[plane]).unwrap_or(1);
        if let Some(y) = self.row(block.y.saturating_mul(down)) {
            self.picture.transform_block(&TransformBlock { y: y / down, ..*block });
        }
    }

    fn pcm(&mut self, x: u32, y: u32, log2_size: u8, samples: [&[u16]; 3]) {
        if let Some(y) = self.row(y) {
            self.picture.pcm(x, y, log2_size, samples);
        }
    }

    fn coding_unit(&mut self, unit: &CodingUnit) {
        if let Some(y) = self.row(unit.y) {
            if self.is_kept(unit.y) && self.units.len() < self.units_max() {
                self.units.push(*unit);
            }
            self.picture.coding_unit(&CodingUnit { y, ..*unit });
        }
    }
}
