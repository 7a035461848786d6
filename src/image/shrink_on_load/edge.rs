//! Extends a plane beyond its edges, for a window that reaches there.
//!
//! A colour sample of a JPEG covers two pixels along each side. In a picture with an odd side the last sample covers
//! one pixel and half of it lies outside. To be placed correctly it needs a window that reaches beyond the edge by as
//! much.

use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::{Rect, Size};

/// Distance that a window may lie outside by rounding, in samples.
const SLACK: f64 = 1e-3;

/// A plane extended to the window by repeating its edges, and the window in it. `None` if the window is outside by more
/// than the plane's own sides, which never happens for half a pixel.
pub(super) fn extend(pixels: Pixels, window: Rect<f64>) -> Option<(Pixels, Rect<f64>)> {
    let Size { width, height } = pixels.size();
    let (left, right) = missing(window.x, window.width, width)?;
    let (top, bottom) = missing(window.y, window.height, height)?;
    if (left, right, top, bottom) == (0, 0, 0, 0) {
        return Some((pixels, window));
    }
    let size = Size { width: width + left + right, height: height + top + bottom };
    let row = |y: u32| {
        let start = y.saturating_sub(top).min(height - 1) as usize * pixels.stride();
        &pixels.data()[start..start + pixels.stride()]
    };
    let mut data = Vec::with_capacity(size.area() as usize);
    for row in (0..size.height).map(row) {
        data.extend(std::iter::repeat_n(row[0], left as usize));
        data.extend_from_slice(row);
        data.extend(std::iter::repeat_n(row[row.len() - 1], right as usize));
    }
    let window = Rect { x: window.x + f64::from(left), y: window.y + f64::from(top), ..window };
    Some((Pixels::new(size, PixelKind::Gray, data)?, window))
}

/// The samples that a range needs before the first and after the last.
fn missing(start: f64, length: f64, side: u32) -> Option<(u32, u32)> {
    if !(start.is_finite() && length.is_finite()) {
        return None;
    }
    let samples = |beyond: f64| (beyond - SLACK).max(0.0).ceil();
    let (before, after) = (samples(-start), samples(start + length - f64::from(side)));
    (before.max(after) <= f64::from(side)).then_some((before as u32, after as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane() -> Pixels {
        Pixels::new(Size { width: 3, height: 2 }, PixelKind::Gray, vec![1, 2, 3, 4, 5, 6]).unwrap()
    }

    #[test]
    fn a_window_inside_changes_nothing_and_rounding_is_inside() {
        for window in [
            Rect { x: 0.0, y: 0.0, width: 3.0, height: 2.0 },
            Rect { x: -1e-9, y: 0.5, width: 3.0 + 1e-6, height: 1.5 },
        ] {
            assert_eq!(extend(plane(), window), Some((plane(), window)));
        }
    }

    #[test]
    fn what_a_window_wants_beyond_an_edge_is_the_edge_again() {
        let (wide, window) = extend(plane(), Rect { x: 0.5, y: 0.0, width: 3.0, height: 2.0 }).unwrap();
        assert_eq!(wide.size(), Size { width: 4, height: 2 });
        assert_eq!((wide.data(), window.x), (&[1, 2, 3, 3, 4, 5, 6, 6][..], 0.5));
        let (high, window) = extend(plane(), Rect { x: -0.5, y: -0.5, width: 3.0, height: 2.5 }).unwrap();
        assert_eq!(high.size(), Size { width: 4, height: 3 });
        assert_eq!(high.data(), [1, 1, 2, 3, 1, 1, 2, 3, 4, 4, 5, 6]);
        assert_eq!((window.x, window.y), (0.5, 0.5));
    }

    #[test]
    fn a_window_far_outside_is_refused() {
        for x in [-4.0, 4.5, f64::NAN] {
            assert_eq!(extend(plane(), Rect { x, y: 0.0, width: 3.0, height: 2.0 }), None);
        }
    }
}
