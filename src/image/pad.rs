//! Puts a picture in the middle of a transparent box. The flattening step fills the box.

use super::pixels::Pixels;
use super::shape::Size;

/// Puts the picture at floor((canvas − size) ÷ 2). Unchanged, without alpha if it had none, when it fills the canvas.
/// No side of `canvas` may be shorter than the picture's.
pub fn padded(pixels: Pixels, canvas: Size) -> Pixels {
    let size = pixels.size();
    if size == canvas {
        return pixels;
    }
    let (from, kind) = (pixels.kind(), pixels.kind().with_alpha());
    let mut data = vec![0; canvas.area() as usize * kind.channels()];
    let left = (canvas.width - size.width) as usize / 2 * kind.channels();
    let top = (canvas.height - size.height) as usize / 2;
    let rows = data.chunks_exact_mut(canvas.width as usize * kind.channels()).skip(top);
    for (row, source) in rows.zip(pixels.data().chunks_exact(pixels.stride())) {
        let row = row[left..].chunks_exact_mut(kind.channels());
        for (pixel, source) in row.zip(source.chunks_exact(from.channels())) {
            pixel[kind.channels() - 1] = 255;
            pixel[..source.len()].copy_from_slice(source);
        }
    }
    Pixels::new(canvas, kind, data).expect("the canvas has as many bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::pixels::PixelKind;
    use crate::image::shape::Rect;

    #[test]
    fn the_picture_lies_in_the_middle_and_half_a_pixel_goes_up_and_left() {
        for (size, canvas, left, top) in [
            ((2, 2), (4, 4), 1, 1),
            ((2, 2), (5, 5), 1, 1),
            ((3, 1), (3, 4), 0, 1),
            ((1, 3), (8, 3), 3, 0),
            ((1, 1), (2, 2), 0, 0),
        ] {
            let size = Size { width: size.0, height: size.1 };
            let canvas = Size { width: canvas.0, height: canvas.1 };
            for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
                let data = (1..=size.area() as u8 * kind.channels() as u8).collect();
                let pixels = Pixels::new(size, kind, data).unwrap();
                let result = padded(pixels.clone(), canvas);
                assert_eq!((result.size(), result.kind()), (canvas, kind.with_alpha()));
                let part = Rect { x: left, y: top, width: size.width, height: size.height };
                let opaque = result.clone().cropped(part).unwrap().without_idle_alpha();
                assert_eq!(opaque.kind().has_alpha(), kind.has_alpha());
                assert_eq!(opaque, pixels, "{size:?} in {canvas:?}");
                let drawn = result.data().iter().filter(|byte| **byte != 0).count() as u64;
                let expected = size.area() * kind.with_alpha().channels() as u64;
                assert_eq!(drawn, expected, "something lies outside of {size:?} in {canvas:?}");
            }
        }
    }

    #[test]
    fn a_picture_that_fills_its_canvas_gets_no_alpha() {
        let size = Size { width: 2, height: 1 };
        let pixels = Pixels::new(size, PixelKind::Gray, vec![1, 2]).unwrap();
        assert_eq!(padded(pixels.clone(), size), pixels);
    }
}
