//! The eight ways to lay a picture: orientation, turns and mirrors, composed into one [`Transform`].
//!
//! Transforms are applied to the small result, never to the decoded source; [`Transform::window_before`] maps
//! a window of the displayed picture back to where its pixels are stored.

use super::header::Orientation;
use super::pixels::{Pixels, Size, Window};
use crate::object::spec::Turn;

/// How a stored picture becomes the displayed one: **first** change x and y if `swap`, **then** mirror
/// left-right if `flip_x`, **then** mirror top-bottom if `flip_y`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transform {
    /// Rows become columns (mirror on the main diagonal).
    pub swap: bool,
    /// Mirror left-right, after `swap`.
    pub flip_x: bool,
    /// Mirror top-bottom, after `swap`.
    pub flip_y: bool,
}

impl Transform {
    /// Displayed as stored.
    pub const IDENTITY: Self = Self { swap: false, flip_x: false, flip_y: false };
    /// Mirror left-right.
    pub const FLOP: Self = Self { swap: false, flip_x: true, flip_y: false };
    /// Mirror top-bottom.
    pub const FLIP: Self = Self { swap: false, flip_x: false, flip_y: true };

    /// What shows a picture of this EXIF orientation upright.
    pub const fn from_orientation(orientation: Orientation) -> Self {
        let (swap, flip_x, flip_y) = match orientation.value() {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self { swap, flip_x, flip_y }
    }

    /// A clockwise turn.
    pub const fn from_turn(turn: Turn) -> Self {
        match turn {
            Turn::Quarter => Self { swap: true, flip_x: true, flip_y: false },
            Turn::Half => Self { swap: false, flip_x: true, flip_y: true },
            Turn::ThreeQuarters => Self { swap: true, flip_x: false, flip_y: true },
        }
    }

    /// `self` first, then `next`.
    pub const fn then(self, next: Self) -> Self {
        // A swap that comes after mirrors turns each into the mirror of the other axis.
        let (flip_x, flip_y) =
            if next.swap { (self.flip_y, self.flip_x) } else { (self.flip_x, self.flip_y) };
        Self { swap: self.swap != next.swap, flip_x: flip_x != next.flip_x, flip_y: flip_y != next.flip_y }
    }

    /// The displayed size of a picture stored in this size; also the other way round.
    pub const fn size(self, size: Size) -> Size {
        if self.swap { size.swapped() } else { size }
    }

    /// Where the pixels of `window`, of a displayed picture of size `displayed`, are stored.
    pub fn window_before(self, window: Window, displayed: Size) -> Window {
        let Window { mut x, mut y, width, height } = window;
        if self.flip_y {
            y = f64::from(displayed.height) - y - height;
        }
        if self.flip_x {
            x = f64::from(displayed.width) - x - width;
        }
        if self.swap {
            Window { x: y, y: x, width: height, height: width }
        } else {
            Window { x, y, width, height }
        }
    }
}

/// The picture as displayed. Mirrors work in place; a swap takes a second buffer of the picture's size.
pub fn apply(transform: Transform, pixels: Pixels) -> Pixels {
    let mut pixels = if transform.swap { transposed(&pixels) } else { pixels };
    if transform.flip_x {
        mirror_rows(&mut pixels);
    }
    if transform.flip_y {
        mirror_columns(&mut pixels);
    }
    pixels
}

/// Side of the squares in which a picture is transposed: 32 × 32 × 4 bytes of both sides stay in a first-level
/// cache of 32 KiB.
const TILE: usize = 32;

fn transposed(pixels: &Pixels) -> Pixels {
    let (width, height) = (pixels.size().width as usize, pixels.size().height as usize);
    let channels = pixels.kind().channels();
    let source = pixels.data();
    let mut data = vec![0; source.len()];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for x in left..width.min(left + TILE) {
                for y in top..height.min(top + TILE) {
                    let from = (y * width + x) * channels;
                    let to = (x * height + y) * channels;
                    data[to..to + channels].copy_from_slice(&source[from..from + channels]);
                }
            }
        }
    }
    Pixels::new(pixels.size().swapped(), pixels.kind(), data).expect("a transposed picture has as many bytes")
}

fn mirror_rows(pixels: &mut Pixels) {
    let (stride, channels) = (pixels.stride(), pixels.kind().channels());
    for row in pixels.data_mut().chunks_exact_mut(stride) {
        // Reversing all bytes and then each pixel's bytes leaves the pixels reversed and whole.
        row.reverse();
        row.chunks_exact_mut(channels).for_each(<[u8]>::reverse);
    }
}

fn mirror_columns(pixels: &mut Pixels) {
    let stride = pixels.stride();
    let mut rows = pixels.data_mut().chunks_exact_mut(stride);
    while let (Some(upper), Some(lower)) = (rows.next(), rows.next_back()) {
        upper.swap_with_slice(lower);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::pixels::Kind;

    fn all() -> impl Iterator<Item = Transform> {
        (0..8).map(|bits| Transform { swap: bits & 4 != 0, flip_x: bits & 1 != 0, flip_y: bits & 2 != 0 })
    }

    fn numbered(size: Size, kind: Kind) -> Pixels {
        let length = size.area() as usize * kind.channels();
        Pixels::new(size, kind, (0..length).map(|byte| byte as u8).collect()).unwrap()
    }

    /// The definition, pixel by pixel and with no shortcut.
    fn naive(transform: Transform, pixels: &Pixels) -> Pixels {
        let size = transform.size(pixels.size());
        let channels = pixels.kind().channels();
        let mut data = Vec::new();
        for y in 0..size.height {
            for x in 0..size.width {
                let y = if transform.flip_y { size.height - 1 - y } else { y };
                let x = if transform.flip_x { size.width - 1 - x } else { x };
                let (x, y) = if transform.swap { (y, x) } else { (x, y) };
                let from = (y * pixels.size().width + x) as usize * channels;
                data.extend_from_slice(&pixels.data()[from..from + channels]);
            }
        }
        Pixels::new(size, pixels.kind(), data).unwrap()
    }

    #[test]
    fn each_transform_does_what_its_definition_says() {
        for kind in [Kind::Gray, Kind::GrayAlpha, Kind::Rgb, Kind::Rgba] {
            for (width, height) in [(1, 1), (5, 3), (67, 41)] {
                let pixels = numbered(Size { width, height }, kind);
                for transform in all() {
                    assert_eq!(apply(transform, pixels.clone()), naive(transform, &pixels), "{transform:?}");
                }
            }
        }
    }

    #[test]
    fn composing_is_applying_one_after_the_other() {
        let pixels = numbered(Size { width: 4, height: 3 }, Kind::Gray);
        for first in all() {
            for next in all() {
                let both = apply(next, apply(first, pixels.clone()));
                assert_eq!(apply(first.then(next), pixels.clone()), both, "{first:?} then {next:?}");
            }
        }
    }

    #[test]
    fn a_quarter_turn_is_clockwise_and_four_make_a_whole() {
        let pixels = numbered(Size { width: 2, height: 1 }, Kind::Gray);
        let quarter = Transform::from_turn(Turn::Quarter);
        // The left end of a lying bar is on top after a clockwise turn.
        assert_eq!(apply(quarter, pixels).data(), [0, 1]);
        let upright = numbered(Size { width: 1, height: 2 }, Kind::Gray);
        // The top of a standing bar is at the right after it.
        assert_eq!(apply(quarter, upright).data(), [1, 0]);
        assert_eq!(quarter.then(quarter), Transform::from_turn(Turn::Half));
        assert_eq!(quarter.then(quarter).then(quarter), Transform::from_turn(Turn::ThreeQuarters));
        assert_eq!(
            Transform::from_turn(Turn::Half).then(Transform::from_turn(Turn::Half)),
            Transform::IDENTITY
        );
    }

    #[test]
    fn orientations_are_the_turns_and_mirrors_of_the_exif_standard() {
        let of = |value| Transform::from_orientation(Orientation::from_exif(value));
        assert_eq!(of(1), Transform::IDENTITY);
        assert_eq!(of(2), Transform::FLOP);
        assert_eq!(of(3), Transform::from_turn(Turn::Half));
        assert_eq!(of(4), Transform::FLIP);
        assert_eq!(of(5), Transform::from_turn(Turn::Quarter).then(Transform::FLOP));
        assert_eq!(of(6), Transform::from_turn(Turn::Quarter));
        assert_eq!(of(7), Transform::from_turn(Turn::ThreeQuarters).then(Transform::FLOP));
        assert_eq!(of(8), Transform::from_turn(Turn::ThreeQuarters));
    }

    #[test]
    fn a_window_mapped_back_holds_the_pixels_that_the_displayed_window_shows() {
        let stored = numbered(Size { width: 7, height: 5 }, Kind::Gray);
        for transform in all() {
            let displayed = apply(transform, stored.clone());
            let window = Window { x: 1.0, y: 2.0, width: 3.0, height: 2.0 };
            let shown = displayed.clone().cropped(1, 2, Size { width: 3, height: 2 }).unwrap();
            let before = transform.window_before(window, displayed.size());
            let size = Size { width: before.width as u32, height: before.height as u32 };
            let part = stored.clone().cropped(before.x as u32, before.y as u32, size).unwrap();
            assert_eq!(apply(transform, part), shown, "{transform:?}");
        }
    }
}
