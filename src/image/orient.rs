//! Turns and mirrors pixels by a [`Transform`].
//!
//! Applied to the small result, never to the decoded source.

use super::pixels::Pixels;
use super::transform::Transform;

/// The picture as displayed. Mirrors work in place; a swap of the axes needs a second buffer of the picture's size.
pub fn apply(transform: Transform, pixels: Pixels) -> Pixels {
    let mut pixels = if transform.swap { transposed(&pixels) } else { pixels };
    if transform.mirror_x {
        mirror_rows(&mut pixels);
    }
    if transform.mirror_y {
        mirror_columns(&mut pixels);
    }
    pixels
}

/// Side of the squares in which a picture is transposed: 32 × 32 × 4 bytes of source and target stay in a first-level
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
        // Reversing all bytes, and then the bytes of each pixel, reverses the pixels and keeps each one.
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
    use crate::image::pixels::PixelKind;
    use crate::image::shape::Size;

    fn all() -> impl Iterator<Item = Transform> {
        (0..8).map(|bits| Transform { swap: bits & 4 != 0, mirror_x: bits & 1 != 0, mirror_y: bits & 2 != 0 })
    }

    fn numbered(size: Size, kind: PixelKind) -> Pixels {
        let length = size.area() as usize * kind.channels();
        Pixels::new(size, kind, (0..length).map(|byte| byte as u8).collect()).unwrap()
    }

    /// The reference: pixel by pixel, without any shortcut.
    fn naive(transform: Transform, pixels: &Pixels) -> Pixels {
        let size = transform.size(pixels.size());
        let channels = pixels.kind().channels();
        let mut data = Vec::new();
        for y in 0..size.height {
            for x in 0..size.width {
                let y = if transform.mirror_y { size.height - 1 - y } else { y };
                let x = if transform.mirror_x { size.width - 1 - x } else { x };
                let (x, y) = if transform.swap { (y, x) } else { (x, y) };
                let from = (y * pixels.size().width + x) as usize * channels;
                data.extend_from_slice(&pixels.data()[from..from + channels]);
            }
        }
        Pixels::new(size, pixels.kind(), data).unwrap()
    }

    #[test]
    fn each_transform_does_what_its_definition_says() {
        for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
            for (width, height) in [(1, 1), (5, 3), (67, 41)] {
                let pixels = numbered(Size { width, height }, kind);
                for transform in all() {
                    assert_eq!(apply(transform, pixels.clone()), naive(transform, &pixels), "{transform:?}");
                }
            }
        }
    }
}
