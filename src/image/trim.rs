//! Finds a plain border: rows and columns at the edges that hardly differ from the top-left pixel.
//!
//! Nothing is cut here; the function returns the smaller cut. A picture that consists of border is kept completely,
//! because an empty variant is useless.

use super::pixels::{PixelKind, Pixels};
use super::shape::Rect;
use super::transform::Transform;

/// Most that a channel of the border may differ, in steps of 255.
const DIFFERENCE_MAX: u8 = 10;

/// The cut without its border. `pixels` are as stored; `cut` lies in the picture after `transform`, where the top-left
/// pixel is read, too.
pub fn trimmed(pixels: &Pixels, transform: Transform, cut: Rect<u32>) -> Rect<u32> {
    let turned = transform.size(pixels.size());
    let stored = transform.untransform(cut, turned);
    let corner = transform.untransform(Rect { width: 1, height: 1, ..cut }, turned);
    let rows = Rows { pixels, area: stored };
    let border = &rows.row(corner.y)[(corner.x - stored.x) as usize * pixels.kind().channels()..];
    match rows.content(&border[..pixels.kind().channels()]) {
        Some(content) => transform.inverse().untransform(content, pixels.size()),
        None => cut,
    }
}

/// Rows of an area of a picture.
struct Rows<'a> {
    pixels: &'a Pixels,
    area: Rect<u32>,
}

impl Rows<'_> {
    fn row(&self, y: u32) -> &[u8] {
        let channels = self.pixels.kind().channels();
        let start = y as usize * self.pixels.stride() + self.area.x as usize * channels;
        &self.pixels.data()[start..start + self.area.width as usize * channels]
    }

    /// The smallest rectangle with every pixel that differs from `border`.
    fn content(&self, border: &[u8]) -> Option<Rect<u32>> {
        let kind = self.pixels.kind();
        let differs = |pixel: &[u8]| differs(kind, pixel, border);
        let Rect { x, y, height, .. } = self.area;
        let first = |y: u32| self.row(y).chunks_exact(kind.channels()).position(differs);
        let last = |y: u32| self.row(y).chunks_exact(kind.channels()).rposition(differs);
        let top = (y..y + height).find(|y| first(*y).is_some())?;
        let bottom = (top..y + height).rev().find(|y| first(*y).is_some())?;
        let left = (top..=bottom).filter_map(first).min()? as u32;
        let right = (top..=bottom).filter_map(last).max()? as u32;
        Some(Rect { x: x + left, y: top, width: right - left + 1, height: bottom - top + 1 })
    }
}

/// Two transparent pixels are equal, whatever their hidden colours are.
fn differs(kind: PixelKind, pixel: &[u8], border: &[u8]) -> bool {
    if kind.has_alpha() && pixel.last() == Some(&0) && border.last() == Some(&0) {
        return false;
    }
    pixel.iter().zip(border).any(|(value, border)| value.abs_diff(*border) > DIFFERENCE_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::orient;
    use crate::image::shape::Size;

    fn gray(rows: &[&[u8]]) -> Pixels {
        let size = Size { width: rows[0].len() as u32, height: rows.len() as u32 };
        Pixels::new(size, PixelKind::Gray, rows.concat()).unwrap()
    }

    fn whole(size: Size) -> Rect<u32> {
        Rect { x: 0, y: 0, width: size.width, height: size.height }
    }

    fn trimmed_whole(pixels: &Pixels) -> Rect<u32> {
        trimmed(pixels, Transform::IDENTITY, whole(pixels.size()))
    }

    #[test]
    fn ten_of_255_is_border_and_eleven_is_not() {
        let pixels = gray(&[&[100, 110, 90, 100], &[90, 89, 100, 110], &[100, 100, 111, 95]]);
        assert_eq!(trimmed_whole(&pixels), Rect { x: 1, y: 1, width: 2, height: 2 });
    }

    #[test]
    fn every_channel_counts() {
        for channel in 0..4 {
            let mut data = [50, 60, 70, 80].repeat(9);
            data[4 * 4 + channel] += 11;
            let pixels = Pixels::new(Size { width: 3, height: 3 }, PixelKind::Rgba, data).unwrap();
            assert_eq!(trimmed_whole(&pixels), Rect { x: 1, y: 1, width: 1, height: 1 }, "channel {channel}");
        }
    }

    #[test]
    fn colours_under_transparent_pixels_do_not_count() {
        let data = [[0, 0, 0, 0], [255, 9, 9, 0], [1, 2, 3, 255], [77, 0, 0, 0]].concat();
        let pixels = Pixels::new(Size { width: 4, height: 1 }, PixelKind::Rgba, data).unwrap();
        assert_eq!(trimmed_whole(&pixels), Rect { x: 2, y: 0, width: 1, height: 1 });
    }

    #[test]
    fn a_picture_that_is_all_border_is_kept_whole() {
        for pixels in [gray(&[&[7]]), gray(&[&[7, 9, 17], &[0, 7, 7]])] {
            assert_eq!(trimmed_whole(&pixels), whole(pixels.size()));
        }
        let pixels = gray(&[&[0, 0, 0], &[0, 0, 90]]);
        let left = Rect { x: 0, y: 0, width: 2, height: 2 };
        assert_eq!(trimmed(&pixels, Transform::IDENTITY, left), left);
    }

    #[test]
    fn the_border_is_that_of_the_cut() {
        let pixels = gray(&[&[255, 255, 255, 255], &[255, 0, 0, 0], &[255, 0, 99, 0], &[255, 0, 0, 0]]);
        let cut = Rect { x: 1, y: 1, width: 3, height: 3 };
        assert_eq!(trimmed(&pixels, Transform::IDENTITY, cut), Rect { x: 2, y: 2, width: 1, height: 1 });
    }

    fn transforms() -> impl Strategy<Value = Transform> {
        any::<[bool; 3]>().prop_map(|[swap, mirror_x, mirror_y]| Transform { swap, mirror_x, mirror_y })
    }

    proptest! {
        #[test]
        fn trimming_as_stored_is_trimming_as_shown(
            transform in transforms(), width in 1..9_u32, height in 1..9_u32,
            values in prop::collection::vec(prop::sample::select(vec![0_u8, 0, 0, 0, 200]), 64),
            cut in any::<(u32, u32, u32, u32)>(),
        ) {
            let size = Size { width, height };
            let pixels = Pixels::new(size, PixelKind::Gray, values[..size.area() as usize].to_vec()).unwrap();
            let shown = orient::apply(transform, pixels.clone());
            let Size { width, height } = shown.size();
            let (x, y) = (cut.0 % width, cut.1 % height);
            let cut = Rect { x, y, width: 1 + cut.2 % (width - x), height: 1 + cut.3 % (height - y) };
            prop_assert_eq!(trimmed(&pixels, transform, cut), trimmed(&shown, Transform::IDENTITY, cut));
        }

        #[test]
        fn a_border_around_content_is_cut_to_the_pixel(
            left in 0..9_u32, top in 0..9_u32, right in 0..9_u32, bottom in 0..9_u32,
            width in 1..9_u32, height in 1..9_u32, noise in prop::collection::vec(95..=105_u8, 26 * 26),
        ) {
            prop_assume!(left + top > 0);
            let size = Size { width: left + width + right, height: top + height + bottom };
            let mut pixels = Pixels::new(size, PixelKind::Gray, noise[..size.area() as usize].to_vec()).unwrap();
            pixels.data_mut()[0] = 100;
            for y in top..top + height {
                for x in left..left + width {
                    pixels.data_mut()[(y * size.width + x) as usize] = 200;
                }
            }
            prop_assert_eq!(trimmed_whole(&pixels), Rect { x: left, y: top, width, height });
        }
    }
}
