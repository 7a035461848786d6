//! Effects on each pixel by itself: grey and flatten. Both work in place unless a pixel grows.

use crate::image::pixels::{PixelKind, Pixels};

/// The kind that [`grey`] returns.
pub const fn grey_kind(kind: PixelKind) -> PixelKind {
    if kind.has_alpha() { PixelKind::GrayAlpha } else { PixelKind::Gray }
}

/// Replaces colours by their BT.601 luma, rounded to the nearest value; alpha stays.
pub fn grey(pixels: Pixels) -> Pixels {
    let (size, from) = (pixels.size(), pixels.kind());
    let to = grey_kind(from);
    if from == to {
        return pixels;
    }
    let mut data = pixels.into_data();
    for pixel in 0..data.len() / from.channels() {
        let (read, write) = (pixel * from.channels(), pixel * to.channels());
        data[write] = luma(data[read], data[read + 1], data[read + 2]);
        if to.has_alpha() {
            data[write + 1] = data[read + 3];
        }
    }
    data.truncate(data.len() / from.channels() * to.channels());
    Pixels::new(size, to, data).expect("each pixel has become one or two bytes")
}

fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    ((sum + 500) / 1000) as u8
}

/// The kind that [`flattened`] returns: gray stays gray only on a gray colour.
pub fn flattened_kind(kind: PixelKind, [red, green, blue]: [u8; 3]) -> PixelKind {
    match kind {
        PixelKind::GrayAlpha if red != green || green != blue => PixelKind::Rgb,
        _ => kind.without_alpha(),
    }
}

/// Puts the picture on this colour, which shows through its transparent parts; unchanged if it has no alpha.
pub fn flattened(pixels: Pixels, color: [u8; 3]) -> Pixels {
    let (size, from) = (pixels.size(), pixels.kind());
    if !from.has_alpha() {
        return pixels;
    }
    let to = flattened_kind(from, color);
    let mut data = pixels.into_data();
    if (from, to) == (PixelKind::GrayAlpha, PixelKind::Rgb) {
        let colored = |pixel: &[u8]| color.map(|below| blended(pixel[0], below, pixel[1]));
        data = data.chunks_exact(2).flat_map(colored).collect();
    } else {
        let (read, write) = (from.channels(), to.channels());
        for pixel in 0..data.len() / read {
            let alpha = data[pixel * read + write];
            for (channel, below) in color.into_iter().enumerate().take(write) {
                data[pixel * write + channel] = blended(data[pixel * read + channel], below, alpha);
            }
        }
        data.truncate(data.len() / read * write);
    }
    Pixels::new(size, to, data).expect("each pixel has lost its alpha")
}

fn blended(above: u8, below: u8, alpha: u8) -> u8 {
    let (above, below, alpha) = (u32::from(above), u32::from(below), u32::from(alpha));
    ((above * alpha + below * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::shape::Size;

    const TWO: Size = Size { width: 2, height: 1 };

    fn two(kind: PixelKind, data: &[u8]) -> Pixels {
        Pixels::new(TWO, kind, data.to_vec()).unwrap()
    }

    #[test]
    fn grey_is_the_luma_of_bt_601() {
        for (rgb, luma) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([255, 255, 255], 255),
            ([0, 0, 0], 0),
            ([10, 20, 30], 18),
            ([200, 100, 50], 124),
        ] {
            let grey = grey(two(PixelKind::Rgb, &[rgb, rgb].concat()));
            assert_eq!((grey.kind(), grey.data()), (PixelKind::Gray, &[luma, luma][..]), "{rgb:?}");
        }
    }

    #[test]
    fn grey_keeps_alpha_and_leaves_gray_alone() {
        let grey_alpha = grey(two(PixelKind::Rgba, &[255, 0, 0, 7, 0, 255, 0, 255]));
        assert_eq!(grey_alpha, two(PixelKind::GrayAlpha, &[76, 7, 150, 255]));
        for gray in [two(PixelKind::Gray, &[1, 2]), two(PixelKind::GrayAlpha, &[1, 2, 3, 4])] {
            assert_eq!(grey(gray.clone()), gray);
        }
    }

    #[test]
    fn flattening_puts_clear_pixels_on_the_colour_and_keeps_opaque_ones() {
        let rgba = two(PixelKind::Rgba, &[10, 20, 30, 255, 10, 20, 30, 0]);
        assert_eq!(flattened(rgba.clone(), [255; 3]), two(PixelKind::Rgb, &[10, 20, 30, 255, 255, 255]));
        assert_eq!(flattened(rgba, [1, 2, 3]), two(PixelKind::Rgb, &[10, 20, 30, 1, 2, 3]));
        let half = two(PixelKind::Rgba, &[255, 0, 100, 128, 0, 0, 0, 51]);
        assert_eq!(flattened(half, [0, 255, 100]), two(PixelKind::Rgb, &[128, 127, 100, 0, 204, 80]));
    }

    #[test]
    fn gray_stays_gray_on_a_gray_and_takes_the_colour_of_a_colour() {
        let gray = two(PixelKind::GrayAlpha, &[0, 128, 9, 255]);
        assert_eq!(flattened(gray.clone(), [255; 3]), two(PixelKind::Gray, &[127, 9]));
        assert_eq!(flattened(gray, [255, 0, 0]), two(PixelKind::Rgb, &[127, 0, 0, 9, 9, 9]));
    }

    #[test]
    fn what_is_opaque_is_not_flattened() {
        for opaque in [two(PixelKind::Gray, &[3, 4]), two(PixelKind::Rgb, &[1, 2, 3, 4, 5, 6])] {
            assert_eq!(flattened(opaque.clone(), [255, 0, 0]), opaque);
        }
    }
}
