//! Reduces a picture by the mean of areas, from rows that arrive one after another.
//!
//! Each pixel of the result is the mean of the area that it covers, with parts of pixels at its edges. For an average
//! colour and a ThumbHash that is as good as the filter of [`super::resize`]. It reads each row once, borrows it, and
//! keeps nothing but a row of sums, so that a job can do it beside its own work. Colours are weighted by their alpha.

use super::pixels::{PixelKind, Pixels};
use super::shape::Size;

/// Parts of a pixel that are told apart, along each side.
const UNIT: u32 = 256;

/// Longest side of an area: below it the sums of a column fit into 32 bits, and those of an area into 64.
const AREA_SIDE_MAX: u32 = 65_536 * UNIT;

/// The rows that a picture comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowShape {
    pub(super) kind: PixelKind,
    /// Width and number of the rows.
    pub(super) size: Size,
    /// The part of them that is the picture, from their corner: the last pixels may lie partly outside.
    pub(super) covered: (f64, f64),
}

/// A reduction that takes its source row by row.
pub(super) struct AreaMean {
    kind: PixelKind,
    to: Size,
    /// Where the areas begin and end, in parts of a pixel.
    columns: Vec<u32>,
    rows: Vec<u32>,
    /// Rows that have come.
    pushed: u32,
    /// Rows of the result that are made.
    made_rows: usize,
    /// For each value of a source row: the sum of the rows in the areas under way, each times its covered parts.
    sums: Vec<u32>,
    /// A row with colours weighted by alpha.
    weighed: Vec<u8>,
    made: Vec<u8>,
}

impl RowShape {
    /// Of a picture that fills its rows.
    pub(super) fn whole(kind: PixelKind, size: Size) -> Self {
        Self { kind, size, covered: (f64::from(size.width), f64::from(size.height)) }
    }
}

impl AreaMean {
    /// Prepares the reduction to a size of at most a few hundred a side. `None` if an area would be empty or longer than
    /// sums allow.
    pub(super) fn new(shape: RowShape, to: Size) -> Option<Self> {
        let RowShape { kind, size, covered } = shape;
        let columns = edges(covered.0, size.width, to.width)?;
        let rows = edges(covered.1, size.height, to.height)?;
        Some(Self {
            kind,
            to,
            columns,
            rows,
            pushed: 0,
            made_rows: 0,
            sums: vec![0; size.width as usize * kind.channels()],
            weighed: Vec::new(),
            made: Vec::with_capacity(to.area() as usize * kind.channels()),
        })
    }

    /// Bytes that a reduction of rows this wide takes at most, its result of at most `to` included.
    pub(super) const fn peak_bytes(width: u32, to: Size) -> u64 {
        let (row, sides) = (width as u64 * 4, to.width as u64 + to.height as u64 + 2);
        row * 5 + sides * 4 + to.area() * 4
    }

    /// Takes the next row; ignores one of another length, and rows below the picture.
    pub(super) fn push(&mut self, row: &[u8]) {
        if row.len() != self.sums.len() || self.made_rows + 1 == self.rows.len() {
            return;
        }
        let mut weighed = std::mem::take(&mut self.weighed);
        let row = if self.kind.has_alpha() { weighed_row(self.kind, row, &mut weighed) } else { row };
        let (mut top, bottom) = (self.pushed * UNIT, (self.pushed + 1) * UNIT);
        while let Some(&end) = self.rows.get(self.made_rows + 1) {
            self.add(row, bottom.min(end) - top);
            if end > bottom {
                break;
            }
            self.make_row();
            top = end;
        }
        self.weighed = weighed;
        self.pushed += 1;
    }

    /// The result; `None` if rows are missing.
    pub(super) fn finish(self) -> Option<Pixels> {
        Pixels::new(self.to, self.kind, self.made)
    }

    /// Adds these parts of the row's height to the sums.
    fn add(&mut self, row: &[u8], parts: u32) {
        // At most 256, so that the product has 16 bits and many are computed at once.
        let parts = parts as u16;
        if parts > 0 {
            let sums = self.sums.iter_mut().zip(row);
            sums.for_each(|(sum, &value)| *sum += u32::from(u16::from(value) * parts));
        }
    }

    /// Makes a row of the result from the sums, and clears them.
    fn make_row(&mut self) {
        let channels = self.kind.channels();
        let height = u64::from(self.rows[self.made_rows + 1] - self.rows[self.made_rows]);
        for area in self.columns.windows(2) {
            let (start, end) = (area[0], area[1]);
            let mut totals = [0_u64; 4];
            let first = (start / UNIT) as usize;
            let pixels = self.sums.chunks_exact(channels).enumerate().skip(first);
            for (x, sums) in pixels.take(end.div_ceil(UNIT) as usize - first) {
                let left = x as u32 * UNIT;
                let parts = u64::from(end.min(left + UNIT) - start.max(left));
                totals.iter_mut().zip(sums).for_each(|(total, &sum)| *total += u64::from(sum) * parts);
            }
            let count = height * u64::from(end - start);
            self.made.extend_from_slice(&mean(self.kind, totals, count)[..channels]);
        }
        self.sums.fill(0);
        self.made_rows += 1;
    }
}

/// The mean pixel of an area with these sums of so many parts.
fn mean(kind: PixelKind, totals: [u64; 4], count: u64) -> [u8; 4] {
    let divided = |total: u64, count: u64| ((total + count / 2) / count).min(255) as u8;
    if !kind.has_alpha() {
        return totals.map(|total| divided(total, count));
    }
    let at = kind.channels() - 1;
    let alpha = totals[at];
    // Colours of an invisible area are black, as after the filter.
    let mut pixel = if alpha == 0 { [0; 4] } else { totals.map(|total| divided(total * 255, alpha)) };
    pixel[at] = divided(alpha, count);
    pixel
}

/// The row with its colours weighted by their alpha.
fn weighed_row<'a>(kind: PixelKind, row: &[u8], weighed: &'a mut Vec<u8>) -> &'a [u8] {
    weighed.clear();
    weighed.extend_from_slice(row);
    for pixel in weighed.chunks_exact_mut(kind.channels()) {
        let Some((alpha, colors)) = pixel.split_last_mut() else { continue };
        let alpha = u16::from(*alpha);
        colors.iter_mut().for_each(|color| *color = ((u16::from(*color) * alpha + 127) / 255) as u8);
    }
    weighed
}

/// The edges of `count` equal parts of the covered length, in parts of a pixel; `None` if one is empty or too long.
fn edges(covered: f64, side: u32, count: u32) -> Option<Vec<u32>> {
    let most = side.checked_add(1)?.checked_mul(UNIT)? - UNIT;
    let length = covered * f64::from(UNIT);
    let edge = |number: u32| ((length * f64::from(number) / f64::from(count)).round() as u32).min(most);
    let edges: Vec<u32> = (0..=count).map(edge).collect();
    let is_right = |part: &[u32]| part[0] < part[1] && part[1] - part[0] < AREA_SIDE_MAX;
    (count > 0 && edges.windows(2).all(is_right)).then_some(edges)
}

#[cfg(test)]
mod tests;
