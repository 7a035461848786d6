//! CMYK and YCCK → sRGB, done by the decoder, because no [`Pixels`](crate::image::pixels::Pixels) can hold four
//! channels without alpha.
//!
//! The conversion uses the file's own profile. Without one it uses the plain formula: the light of each colour times
//! the light of black.

use super::{Conversion, Gamut, Meaning, cache, tag, ycc};
use crate::image::color::tag::Tag;

/// The way in which a file stores CMYK. No program writes it with 255 for full ink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum CmykEncoding {
    /// 0 is full ink.
    Inverted,
    /// Inverted, and the first three channels are luma and two colour differences.
    InvertedYcc,
}

/// Pixels that are converted at a time.
const CHUNK_PIXELS: usize = 1024;

/// Converts four channels to three in place. `data` holds a whole number of pixels of the JPEG file `source`.
pub(in crate::image) fn to_srgb(source: &[u8], stored: CmykEncoding, data: &mut Vec<u8>) {
    let profile = tag::of_jpeg(source).and_then(|profile| cache::meaning(&Tag::Icc(profile), Gamut::Srgb));
    let conversion = match profile {
        Some(Meaning::Converted(conversion)) => Some(conversion),
        _ => None,
    };
    let executor = conversion.as_deref().and_then(|conversion| match conversion {
        Conversion::Cmyk(executor) => Some(executor),
        _ => None,
    });
    let pixels = data.len() / 4;
    let mut cmyk = Vec::with_capacity(CHUNK_PIXELS * 4);
    for first in (0..pixels).step_by(CHUNK_PIXELS) {
        let count = CHUNK_PIXELS.min(pixels - first);
        cmyk.clear();
        cmyk.extend(
            data[first * 4..(first + count) * 4].chunks_exact(4).flat_map(|pixel| inks(stored, pixel)),
        );
        let colors = &mut data[first * 3..(first + count) * 3];
        let done = executor.is_some_and(|executor| executor.transform(&cmyk, colors).is_ok());
        if !done {
            let pairs = colors.chunks_exact_mut(3).zip(cmyk.chunks_exact(4));
            pairs.for_each(|(color, cmyk)| color.copy_from_slice(&unprofiled(cmyk)));
        }
    }
    data.truncate(pixels * 3);
}

/// The inks of a pixel; 255 is full ink.
fn inks(stored: CmykEncoding, pixel: &[u8]) -> [u8; 4] {
    match stored {
        CmykEncoding::Inverted => [255 - pixel[0], 255 - pixel[1], 255 - pixel[2], 255 - pixel[3]],
        CmykEncoding::InvertedYcc => {
            // The colour differences give the ink itself: the file stores the inverse of the inverse.
            let [cyan, magenta, yellow] = ycc::rgb(pixel[0], pixel[1], pixel[2]);
            [cyan, magenta, yellow, 255 - pixel[3]]
        }
    }
}

fn unprofiled(cmyk: &[u8]) -> [u8; 3] {
    let light = 255 - u32::from(cmyk[3]);
    [0, 1, 2].map(|channel| (((255 - u32::from(cmyk[channel])) * light + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(stored: CmykEncoding, pixel: [u8; 4]) -> Vec<u8> {
        // Two whole chunks and a part of a third.
        let mut data = pixel.repeat(CHUNK_PIXELS * 2 + 7);
        to_srgb(b"", stored, &mut data);
        assert_eq!(data.len(), (CHUNK_PIXELS * 2 + 7) * 3);
        assert!(data.chunks_exact(3).all(|color| color == &data[..3]));
        data.truncate(3);
        data
    }

    #[test]
    fn ink_takes_away_light_however_it_is_stored() {
        for (cmyk, color) in [
            ([0, 0, 0, 0], [255, 255, 255]),
            ([0, 0, 0, 255], [0, 0, 0]),
            ([255, 0, 0, 0], [0, 255, 255]),
            ([0, 255, 255, 0], [255, 0, 0]),
            ([0, 0, 255, 128], [127, 127, 0]),
        ] {
            assert_eq!(converted(CmykEncoding::Inverted, cmyk.map(|value| 255 - value)), color);
        }
    }

    #[test]
    fn luma_and_colour_differences_are_undone_before_the_ink_is_read() {
        // Luma 76 with the differences of pure red: in Adobe's files that is full cyan and nothing else.
        assert_eq!(converted(CmykEncoding::InvertedYcc, [76, 85, 255, 255]), [1, 255, 255]);
        assert_eq!(converted(CmykEncoding::InvertedYcc, [0, 128, 128, 255]), [255; 3]);
        assert_eq!(converted(CmykEncoding::InvertedYcc, [255, 128, 128, 255]), [0; 3]);
        assert_eq!(converted(CmykEncoding::InvertedYcc, [0, 128, 128, 0]), [0; 3]);
    }
}
