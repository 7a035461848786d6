//! Gaussian blur, in place: along the rows, then along the columns.
//!
//! Sixteen rows or columns at a time go through a [`Kernel`], which writes behind its read position, so that no copy of
//! the picture is needed. Pixels beyond an edge equal the pixels on it.

use super::kernel::{Kernel, VALUE_MAX};
use crate::image::error::{RenderError, proceed};
use crate::image::pixels::{PixelKind, Pixels};

/// Lines that are smoothed together: enough to fill vector registers, few enough that a wide kernel's history stays in
/// a second-level cache.
const LINES: usize = 16;

/// Pixels of a line between two calls of `keep_going`.
const PLACES_UNASKED: usize = 4096;

/// Bytes beside the picture: the history of three boxes of the widest sigma (203 places each) and a few more places,
/// for sixteen lines of four channels of 4 bytes.
pub const WORK_BYTES_MAX: u64 = (3 * 203 + 16) * (LINES as u64) * 4 * 4;

/// Blurs by `sigma` pixels, 0.3 to 100. The cost per pixel is bounded for every sigma.
///
/// # Errors
/// [`RenderError::Cancelled`] once `keep_going` returns false; the picture is then half blurred.
pub fn blur(pixels: &mut Pixels, sigma: f64, keep_going: &dyn Fn() -> bool) -> Result<(), RenderError> {
    let (size, kind, stride) = (pixels.size(), pixels.kind(), pixels.stride());
    let (width, height) = (size.width as usize, size.height as usize);
    let rows = Lines { count: height, length: width, step: kind.channels(), across: stride };
    let columns = Lines { count: width, length: height, step: stride, across: kind.channels() };
    let mut kernel = Kernel::new(sigma);
    for lines in [rows, columns] {
        for first in (0..lines.count).step_by(LINES) {
            let data = &mut pixels.data_mut()[first * lines.across..];
            let bundle = Lines { count: LINES.min(lines.count - first), ..lines };
            smooth(data, kind, bundle, &mut kernel, keep_going)?;
        }
    }
    Ok(())
}

/// Rows or columns.
#[derive(Clone, Copy)]
struct Lines {
    count: usize,
    /// Pixels of each line.
    length: usize,
    /// Bytes from a pixel to the next one of its line.
    step: usize,
    /// Bytes from a line to the next one.
    across: usize,
}

fn smooth(
    data: &mut [u8],
    kind: PixelKind,
    lines: Lines,
    kernel: &mut Kernel,
    keep_going: &dyn Fn() -> bool,
) -> Result<(), RenderError> {
    let mut newest = vec![0.0; lines.count * kind.channels()];
    load(data, kind, lines, &mut newest);
    let delay = kernel.begin(&newest);
    let mut values = newest.clone();
    for at in 1..lines.length + delay {
        if at % PLACES_UNASKED == 1 {
            proceed(keep_going)?;
        }
        if at < lines.length {
            load(&data[at * lines.step..], kind, lines, &mut newest);
        }
        values.copy_from_slice(&newest);
        kernel.push(&mut values);
        if at >= delay {
            store(&mut data[(at - delay) * lines.step..], kind, lines, &values);
        }
    }
    Ok(())
}

/// Loads the next pixel of each line: colours weighted by alpha, and alpha, both times 255.
fn load(data: &[u8], kind: PixelKind, lines: Lines, values: &mut [f32]) {
    for (line, values) in values.chunks_exact_mut(kind.channels()).enumerate() {
        let pixel = &data[line * lines.across..][..values.len()];
        let alpha = if kind.has_alpha() { f32::from(pixel[values.len() - 1]) } else { 255.0 };
        for (value, channel) in values.iter_mut().zip(pixel) {
            *value = f32::from(*channel) * alpha;
        }
        if kind.has_alpha() {
            values[pixel.len() - 1] = alpha * 255.0;
        }
    }
}

/// The inverse of [`load`], rounded to whole values.
fn store(data: &mut [u8], kind: PixelKind, lines: Lines, values: &[f32]) {
    for (line, values) in values.chunks_exact(kind.channels()).enumerate() {
        let pixel = &mut data[line * lines.across..][..values.len()];
        let alpha = if kind.has_alpha() { values[values.len() - 1] } else { VALUE_MAX };
        // A pixel that is fully transparent has no colour.
        let scale = if alpha > 0.0 { 255.0 / alpha } else { 0.0 };
        for (channel, value) in pixel.iter_mut().zip(values) {
            *channel = (value * scale + 0.5) as u8;
        }
        if kind.has_alpha() {
            pixel[values.len() - 1] = (alpha / 255.0 + 0.5) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::shape::Size;
    use crate::image::tests::support::always;

    const KINDS: [PixelKind; 4] = [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba];

    fn blurred(mut pixels: Pixels, sigma: f64) -> Pixels {
        blur(&mut pixels, sigma, &always).unwrap();
        pixels
    }

    /// The reference: every pixel of the picture, with its edges repeated, by its weight.
    fn naive(width: usize, height: usize, value: impl Fn(usize, usize) -> u8, sigma: f64) -> Vec<u8> {
        let radius = (4.0 * sigma).ceil() as i64;
        let weight = |away: i64| (-(away * away) as f64 / (2.0 * sigma * sigma)).exp();
        let total: f64 = (-radius..=radius).map(weight).sum();
        let place = |at: usize, away: i64, side: usize| (at as i64 + away).clamp(0, side as i64 - 1) as usize;
        let mut result = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut sum = 0.0;
            for (down, across) in (-radius..=radius).flat_map(|d| (-radius..=radius).map(move |a| (d, a))) {
                let near = value(place(x, across, width), place(y, down, height));
                sum += weight(down) * weight(across) * f64::from(near);
            }
            result.push((sum / (total * total)).round() as u8);
        }
        result
    }

    #[test]
    fn every_pixel_is_the_weighted_sum_of_its_neighbours() {
        let (width, height) = (37, 21);
        let value = |x: usize, y: usize| {
            if (x / 5 + y / 4).is_multiple_of(2) { (x * 6) as u8 } else { 255 - (y * 9) as u8 }
        };
        let data = (0..height).flat_map(|y| (0..width).map(move |x| value(x, y))).collect();
        let pixels = Pixels::new(Size { width: 37, height: 21 }, PixelKind::Gray, data).unwrap();
        for (sigma, off_max) in [(0.3, 1), (1.0, 1), (2.5, 1), (4.0, 3), (9.0, 3)] {
            let expected = naive(width, height, value, sigma);
            let result = blurred(pixels.clone(), sigma);
            let off = result.data().iter().zip(&expected).map(|(is, wanted)| is.abs_diff(*wanted)).max();
            assert!(off <= Some(off_max), "sigma {sigma}: off by {off:?}");
        }
    }

    #[test]
    fn what_hides_under_transparent_pixels_does_not_bleed() {
        let row = |x: u32| if x < 20 { [200, 100, 50, 255] } else { [0, 255, 0, 0] };
        let data = (0..10).flat_map(|_| (0..40).flat_map(row)).collect();
        let pixels = Pixels::new(Size { width: 40, height: 10 }, PixelKind::Rgba, data).unwrap();
        for sigma in [1.0, 6.0] {
            let result = blurred(pixels.clone(), sigma);
            assert!(
                result.data().chunks_exact(4).any(|pixel| (50..200).contains(&pixel[3])),
                "nothing is soft"
            );
            for pixel in result.data().chunks_exact(4).filter(|pixel| pixel[3] > 0) {
                assert_eq!(pixel[..3], [200, 100, 50], "sigma {sigma}");
            }
        }
    }

    #[test]
    fn ends_at_the_first_no() {
        let mut pixels = Pixels::new(Size { width: 40, height: 40 }, PixelKind::Rgb, vec![9; 4800]).unwrap();
        let asked = std::cell::Cell::new(0);
        let until = |last: u32| move |asked: u32| asked <= last;
        for last in 0..6 {
            asked.set(0);
            let keep_going = || {
                asked.set(asked.get() + 1);
                until(last)(asked.get())
            };
            let ended = blur(&mut pixels, 5.0, &keep_going);
            assert_eq!((ended, asked.get()), (Err(RenderError::Cancelled), last + 1));
        }
    }

    #[test]
    fn a_long_line_asks_again_and_again() {
        let mut pixels =
            Pixels::new(Size { width: 100_000, height: 1 }, PixelKind::Gray, vec![9; 100_000]).unwrap();
        let asked = std::cell::Cell::new(0_usize);
        let keep_going = || {
            asked.set(asked.get() + 1);
            true
        };
        blur(&mut pixels, 1.0, &keep_going).unwrap();
        assert!(asked.get() > 100_000 / PLACES_UNASKED, "asked {} times", asked.get());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn a_picture_of_one_colour_stays_as_it_is(
            kind in prop::sample::select(&KINDS[..]), color: [u8; 4], width in 1..40_u32, height in 1..40_u32,
            sigma in 30..=10_000_u32,
        ) {
            let mut pixel = color[..kind.channels()].to_vec();
            if kind.has_alpha() {
                // Of an invisible pixel only the invisibility is preserved.
                pixel[kind.channels() - 1] = pixel[kind.channels() - 1].max(1);
            }
            let size = Size { width, height };
            let pixels = Pixels::new(size, kind, pixel.repeat(size.area() as usize)).unwrap();
            prop_assert_eq!(blurred(pixels.clone(), f64::from(sigma) / 100.0), pixels);
        }

        #[test]
        fn no_value_leaves_the_range_of_the_picture(
            kind in prop::sample::select(&KINDS[..]), width in 1..30_u32, height in 1..30_u32,
            sigma in 30..=10_000_u32, data in prop::collection::vec(40..=90_u8, 30 * 30 * 4),
        ) {
            let length = (width * height) as usize * kind.channels();
            let pixels = Pixels::new(Size { width, height }, kind, data[..length].to_vec()).unwrap();
            let result = blurred(pixels, f64::from(sigma) / 100.0);
            prop_assert!(result.data().iter().all(|value| (40..=90).contains(value)));
        }
    }
}
