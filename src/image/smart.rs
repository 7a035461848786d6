//! Places a crop so that it keeps the part of a picture that people look at.
//!
//! The method follows Jonas Wagner's smartcrop.js. Detail is salient, and more so where colours are vivid or like skin.
//! A crop scores higher the nearer such parts lie to its middle. Detail is the Laplacian of luma, vividness the
//! saturation of HSL, and skin the Cb and Cr ranges of Chai and Ngan (1999). It recognises no faces.
//!
//! A window of geometry fills one side of the picture and slides along the other, so only one number is to be chosen:
//! saliency is summed across, and every place along is tried. All arithmetic is in integers: the same pixels give the
//! same window everywhere. A picture of any size is reduced to at most [`SIDE_MAX`] samples a side first.

use super::error::{RenderError, proceed};
use super::pixels::{PixelKind, Pixels};
use super::shape::{Rect, Size};

/// Samples along the longer side. A place is then exact to 1/512 of it, and the search takes a fraction of a
/// millisecond.
const SIDE_MAX: u32 = 256;

/// More bytes than the buffers of [`placed`] take: 20 bytes of sums and 4 of a sample each, and three lines.
pub const WORK_BYTES_MAX: u64 = 32 * (SIDE_MAX as u64).pow(2);

/// Slides the window to the most salient part of a cut of this size, which `pixels` shows completely, in any size.
/// Among equal places the nearest to the window's own wins, so it stays in a picture without salient parts. It begins
/// between pixels of the cut only if it stays.
///
/// # Errors
/// [`RenderError::Cancelled`] once `keep_going` returns false.
pub fn placed(
    pixels: &Pixels,
    cut: Size,
    window: Rect<f64>,
    keep_going: &dyn Fn() -> bool,
) -> Result<Rect<f64>, RenderError> {
    let Size { width, height } = cut;
    if !slides(cut, window) {
        return Ok(window);
    }
    let (free_x, free_y) = (f64::from(width) - window.width, f64::from(height) - window.height);
    let samples = ReducedPicture::of(pixels, keep_going)?;
    if free_x >= free_y {
        let place = best_place(&samples.salience_of_columns(), window.width / f64::from(width));
        Ok(place.map_or(window, |place| Rect { x: place.of(free_x), ..window }))
    } else {
        let place = best_place(&samples.salience_of_rows(), window.height / f64::from(height));
        Ok(place.map_or(window, |place| Rect { y: place.of(free_y), ..window }))
    }
}

/// Whether a window can lie in more than one place: less than a free pixel in each direction makes no difference.
fn slides(cut: Size, window: Rect<f64>) -> bool {
    f64::from(cut.width) - window.width >= 1.0 || f64::from(cut.height) - window.height >= 1.0
}

/// Step `number` of `count` equal steps from the first possible place to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WindowPlace {
    number: u32,
    count: u32,
}

impl WindowPlace {
    /// The start of the window in whole pixels, given the number of free ones.
    fn of(self, free: f64) -> f64 {
        // Both factors are below 2^32, so the product is exact.
        (u64::from(self.number) * free as u64 / u64::from(self.count)) as f64
    }
}

/// The place at which a window of this `share` of the line scores best; `None` if that is in the middle.
fn best_place(line: &[u64], share: f64) -> Option<WindowPlace> {
    // Each sample twice, and an even window, so that one of the places is exactly the middle.
    let doubled: Vec<u64> = line.iter().flat_map(|&value| [value; 2]).collect();
    let length = 2 * ((line.len() as f64 * share).round() as usize).clamp(1, line.len());
    let count = doubled.len() - length;
    let middle = count / 2;
    let score = |start: usize| score(&doubled[start..start + length]);
    let best = (0..=count).max_by_key(|&start| (score(start), count - start.abs_diff(middle)))?;
    (best != middle).then_some(WindowPlace { number: best as u32, count: count as u32 })
}

/// The saliency in a window, weighted three times as much in its middle as at its edges.
fn score(window: &[u64]) -> u64 {
    let double = 2 * window.len() as u64;
    let weight = |index: usize| {
        let from_edge = 2 * index as u64 + 1;
        // A parabola that is double² / 4 in the middle, plus half of that everywhere.
        8 * from_edge * (double - from_edge) + double * double
    };
    // Below 2^60: up to 512 samples, each the sum of 256 below 2^21, times weights of up to 3 · 2^20.
    window.iter().enumerate().map(|(index, &value)| value * weight(index)).sum()
}

/// A picture reduced to at most [`SIDE_MAX`] a side.
struct ReducedPicture {
    size: Size,
    /// Red, green, blue; `None` for invisible samples.
    data: Vec<Option<[u8; 3]>>,
}

impl ReducedPicture {
    /// The mean of the visible pixels in each box.
    fn of(pixels: &Pixels, keep_going: &dyn Fn() -> bool) -> Result<Self, RenderError> {
        let from = pixels.size();
        let size = reduced(from);
        let channels = pixels.kind().channels();
        let columns = edges(from.width, size.width);
        let rows = edges(from.height, size.height);
        let mut data = Vec::with_capacity(size.area() as usize);
        let mut sums = vec![Sum::default(); size.width as usize];
        for row in rows.windows(2) {
            proceed(keep_going)?;
            sums.fill(Sum::default());
            let lines = &pixels.data()[row[0] * pixels.stride()..row[1] * pixels.stride()];
            for line in lines.chunks_exact(pixels.stride()) {
                for (sum, column) in sums.iter_mut().zip(columns.windows(2)) {
                    sum.add(pixels.kind(), &line[column[0] * channels..column[1] * channels]);
                }
            }
            data.extend(
                sums.iter()
                    .zip(columns.windows(2))
                    .map(|(sum, column)| sum.mean((row[1] - row[0]) as u64 * (column[1] - column[0]) as u64)),
            );
        }
        Ok(Self { size, data })
    }

    fn salience_of_columns(&self) -> Vec<u64> {
        let Size { width, height } = self.size;
        (0..width).map(|x| (0..height).map(|y| self.salience(x, y)).sum()).collect()
    }

    fn salience_of_rows(&self) -> Vec<u64> {
        let Size { width, height } = self.size;
        (0..height).map(|y| (0..width).map(|x| self.salience(x, y)).sum()).collect()
    }

    /// The saliency of a sample: below 2^21.
    fn salience(&self, x: u32, y: u32) -> u64 {
        let Some(color) = self.at(x, y) else { return 0 };
        let detail = self.detail(x, y, luma(color));
        // The weights are smartcrop's; a little of vividness and skin counts even without detail.
        (2 * 255 * detail + 3 * saturation(color) * (detail + 51) + 18 * skin(color) * (detail + 3)).into()
    }

    /// The difference of luma from its neighbours, 0–255. A neighbour beyond the picture counts as equal, an invisible
    /// one as different.
    fn detail(&self, x: u32, y: u32, luma_here: u32) -> u32 {
        let Size { width, height } = self.size;
        let around = [
            (x.saturating_sub(1), y),
            ((x + 1).min(width - 1), y),
            (x, y.saturating_sub(1)),
            (x, (y + 1).min(height - 1)),
        ];
        let mut sum = 0;
        for (x, y) in around {
            match self.at(x, y) {
                Some(color) => sum += luma(color),
                None => return 255,
            }
        }
        (4 * luma_here).abs_diff(sum).min(255)
    }

    fn at(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        self.data[(y * self.size.width + x) as usize]
    }
}

/// The sum of the visible pixels of a box.
#[derive(Clone, Copy, Default)]
struct Sum {
    colors: [u64; 3],
    visible: u64,
}

impl Sum {
    fn add(&mut self, kind: PixelKind, pixels: &[u8]) {
        for pixel in pixels.chunks_exact(kind.channels()) {
            let color = match *pixel {
                [luma] => [luma; 3],
                [luma, 128..=255] => [luma; 3],
                [red, green, blue] | [red, green, blue, 128..=255] => [red, green, blue],
                _ => continue,
            };
            self.visible += 1;
            self.colors.iter_mut().zip(color).for_each(|(sum, value)| *sum += u64::from(value));
        }
    }

    /// `None` where less than half of `count` pixels are visible.
    fn mean(self, count: u64) -> Option<[u8; 3]> {
        (self.visible > 0 && 2 * self.visible >= count)
            .then(|| self.colors.map(|sum| ((sum + self.visible / 2) / self.visible) as u8))
    }
}

/// The size to which a picture is reduced: no larger than the picture.
pub fn reduced(size: Size) -> Size {
    let long = size.width.max(size.height);
    if long <= SIDE_MAX {
        return size;
    }
    let side = |side: u32| (u64::from(side) * u64::from(SIDE_MAX) / u64::from(long)).max(1) as u32;
    Size { width: side(size.width), height: side(size.height) }
}

/// The edges of `count` boxes along a side; none is empty, because there are no more boxes than pixels.
fn edges(side: u32, count: u32) -> Vec<usize> {
    (0..=u64::from(count)).map(|number| (u64::from(side) * number / u64::from(count)) as usize).collect()
}

/// BT.601 luma, 0–255.
fn luma([red, green, blue]: [u8; 3]) -> u32 {
    (299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000
}

/// The part of the HSL saturation beyond two fifths, 0–255; 0 for very dark and very bright colours, where it is noise.
fn saturation(color: [u8; 3]) -> u32 {
    let [low, high] = [color.iter().min(), color.iter().max()].map(|value| u32::from(*value.unwrap_or(&0)));
    let sum = low + high;
    if !(26..=459).contains(&sum) {
        return 0;
    }
    let saturation = 255 * (high - low) / sum.min(510 - sum);
    saturation.saturating_sub(102) * 255 / 153
}

/// The nearness of a colour to the middle of skin colours, 0–255: Cb 77–127, Cr 133–173, not too dark.
fn skin(color: [u8; 3]) -> u32 {
    let luma = luma(color) as i32;
    let [red, _, blue] = color.map(i32::from);
    // Chroma of BT.601 without its offset of 128, in 256ths.
    let (cb, cr) = ((blue - luma) * 144, (red - luma) * 183);
    let share = |value: i32, middle: i32, half: i32| 255 - (value - middle * 256).abs() * 255 / (half * 256);
    if luma < 50 { 0 } else { share(cb, -26, 25).min(share(cr, 25, 20)).max(0) as u32 }
}

#[cfg(test)]
mod tests;
