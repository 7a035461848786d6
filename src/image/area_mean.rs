//! Reduces a picture by the mean of areas, from rows that arrive one after another.
//!
//! Each pixel of the result is the mean of the area that it covers, with parts of pixels at its edges. For an average
//! colour and a ThumbHash that is as good as the filter of [`super::resize`]. It reads each row once, borrows it, and
//! keeps nothing but a row of sums, so that a job can do it beside its own work. Colours are weighted by their alpha.
//! Means are of stored values or of linear light.

use super::light::{self, Light};
use super::pixels::{PixelKind, Pixels};
use super::shape::Size;

/// Parts of a pixel that are told apart, along each side.
const UNIT: u32 = 256;

/// Bits of a linear value that are left out, so that sums have room. With the others, stored values are 0.8 apart in the
/// darkest shadows.
const LINEAR_SHIFT: u32 = 4;

/// Longest side of an area: below it the sums of a column fit into 32 bits, and those of an area into 64.
const fn area_side_max(light: Light) -> u32 {
    match light {
        Light::Encoded => 65_536 * UNIT,
        Light::Linear => 4096 * UNIT,
    }
}

/// The rows that a picture comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowShape {
    pub(super) kind: PixelKind,
    /// Width and number of the rows.
    pub(super) size: Size,
    /// The part of them that is the picture, from their corner: the last pixels may lie partly outside.
    pub(super) covered: (f64, f64),
    /// The values whose means are wanted.
    pub(super) light: Light,
}

/// A reduction that takes its source row by row.
pub(super) struct AreaMean {
    kind: PixelKind,
    light: Light,
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
    /// The same in linear light, but for alpha.
    linear: Vec<u16>,
    made: Vec<u8>,
}

impl RowShape {
    /// Of a picture that fills its rows.
    pub(super) fn whole(kind: PixelKind, size: Size, light: Light) -> Self {
        Self { kind, size, covered: (f64::from(size.width), f64::from(size.height)), light }
    }
}

impl AreaMean {
    /// Prepares the reduction to a size of at most a few hundred a side. `None` if an area would be empty or longer than
    /// sums allow.
    pub(super) fn new(shape: RowShape, to: Size) -> Option<Self> {
        let RowShape { kind, size, covered, light } = shape;
        let most = area_side_max(light);
        let columns = edges(covered.0, size.width, to.width, most)?;
        let rows = edges(covered.1, size.height, to.height, most)?;
        Some(Self {
            kind,
            light,
            to,
            columns,
            rows,
            pushed: 0,
            made_rows: 0,
            sums: vec![0; size.width as usize * kind.channels()],
            weighed: Vec::new(),
            linear: Vec::new(),
            made: Vec::with_capacity(to.area() as usize * kind.channels()),
        })
    }

    /// Bytes that a reduction of rows this wide takes at most, its result of at most `to` included.
    pub(super) const fn peak_bytes(width: u32, to: Size) -> u64 {
        let (row, sides) = (width as u64 * 4, to.width as u64 + to.height as u64 + 2);
        row * 7 + sides * 4 + to.area() * 4
    }

    /// Takes the next row; ignores one of another length, and rows below the picture.
    pub(super) fn push(&mut self, row: &[u8]) {
        if row.len() != self.sums.len() || self.made_rows + 1 == self.rows.len() {
            return;
        }
        match self.light {
            Light::Linear => {
                let mut linear = std::mem::take(&mut self.linear);
                linear_row(self.kind, row, &mut linear);
                self.add_row(&linear);
                self.linear = linear;
            }
            Light::Encoded if self.kind.has_alpha() => {
                let mut weighed = std::mem::take(&mut self.weighed);
                self.add_row(weighed_row(self.kind, row, &mut weighed));
                self.weighed = weighed;
            }
            Light::Encoded => self.add_row(row),
        }
        self.pushed += 1;
    }

    fn add_row<T: Copy + Into<u32>>(&mut self, row: &[T]) {
        let (mut top, bottom) = (self.pushed * UNIT, (self.pushed + 1) * UNIT);
        while let Some(&end) = self.rows.get(self.made_rows + 1) {
            self.add(row, bottom.min(end) - top);
            if end > bottom {
                break;
            }
            self.make_row();
            top = end;
        }
    }

    /// The result; `None` if rows are missing.
    pub(super) fn finish(self) -> Option<Pixels> {
        Pixels::new(self.to, self.kind, self.made)
    }

    /// Adds these parts of the row's height to the sums.
    fn add<T: Copy + Into<u32>>(&mut self, row: &[T], parts: u32) {
        if parts > 0 {
            let sums = self.sums.iter_mut().zip(row);
            sums.for_each(|(sum, &value)| *sum += value.into() * parts);
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
            self.made.extend_from_slice(&mean(self.kind, self.light, totals, count)[..channels]);
        }
        self.sums.fill(0);
        self.made_rows += 1;
    }
}

/// The mean pixel of an area with these sums of so many parts.
fn mean(kind: PixelKind, light: Light, totals: [u64; 4], count: u64) -> [u8; 4] {
    let divided = |total: u64, count: u64| (total + count / 2) / count;
    let color = |total: u64, count: u64| match light {
        Light::Encoded => divided(total, count).min(255) as u8,
        Light::Linear => {
            // Half of what was left out, on average.
            let linear = divided(total << LINEAR_SHIFT, count) + (1 << LINEAR_SHIFT) / 2;
            light::curve().encoded(linear.min(u64::from(u16::MAX)) as u16)
        }
    };
    if !kind.has_alpha() {
        return totals.map(|total| color(total, count));
    }
    let at = kind.channels() - 1;
    let alpha = totals[at];
    // Colours of an invisible area are black, as after the filter.
    let mut pixel = if alpha == 0 { [0; 4] } else { totals.map(|total| color(total * 255, alpha)) };
    pixel[at] = divided(alpha, count).min(255) as u8;
    pixel
}

/// The row in linear light, with its colours weighted by their alpha.
fn linear_row(kind: PixelKind, row: &[u8], linear: &mut Vec<u16>) {
    let curve = light::curve();
    linear.clear();
    if !kind.has_alpha() {
        linear.extend(row.iter().map(|value| curve.linear(*value) >> LINEAR_SHIFT));
        return;
    }
    for pixel in row.chunks_exact(kind.channels()) {
        let Some((&alpha, colors)) = pixel.split_last() else { continue };
        let weighed = |value: &u8| {
            let linear = u32::from(curve.linear(*value) >> LINEAR_SHIFT);
            ((linear * u32::from(alpha) + 127) / 255) as u16
        };
        linear.extend(colors.iter().map(weighed));
        linear.push(u16::from(alpha));
    }
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
fn edges(covered: f64, side: u32, count: u32, area_side_max: u32) -> Option<Vec<u32>> {
    let most = side.checked_add(1)?.checked_mul(UNIT)? - UNIT;
    let length = covered * f64::from(UNIT);
    let edge = |number: u32| ((length * f64::from(number) / f64::from(count)).round() as u32).min(most);
    let edges: Vec<u32> = (0..=count).map(edge).collect();
    let is_right = |part: &[u32]| part[0] < part[1] && part[1] - part[0] < area_side_max;
    (count > 0 && edges.windows(2).all(is_right)).then_some(edges)
}

#[cfg(test)]
mod tests;
