//! The numbers that a resize adds up: stored values, or linear light.

use bytemuck::Pod;
use fast_image_resize::PixelTrait;
use fast_image_resize::pixels::{U8, U8x2, U8x3, U8x4, U16, U16x2, U16x3, U16x4};

use crate::image::light;
use crate::image::pixels::PixelKind;

/// A number of a channel.
pub(super) trait Sample: Pod + Default {
    /// The library's pixels of each kind.
    type Gray: PixelTrait;
    type GrayAlpha: PixelTrait;
    type Rgb: PixelTrait;
    type Rgba: PixelTrait;

    /// Appends stored pixels.
    fn extend(samples: &mut Vec<Self>, kind: PixelKind, stored: &[u8]);

    /// The stored pixels.
    fn into_stored(samples: Vec<Self>, kind: PixelKind) -> Vec<u8>;
}

/// Stored values.
impl Sample for u8 {
    type Gray = U8;
    type GrayAlpha = U8x2;
    type Rgb = U8x3;
    type Rgba = U8x4;

    fn extend(samples: &mut Vec<Self>, _: PixelKind, stored: &[u8]) {
        samples.extend_from_slice(stored);
    }

    fn into_stored(samples: Vec<Self>, _: PixelKind) -> Vec<u8> {
        samples
    }
}

/// Linear light; alpha is linear already.
impl Sample for u16 {
    type Gray = U16;
    type GrayAlpha = U16x2;
    type Rgb = U16x3;
    type Rgba = U16x4;

    fn extend(samples: &mut Vec<Self>, kind: PixelKind, stored: &[u8]) {
        let curve = light::curve();
        if !kind.has_alpha() {
            samples.extend(stored.iter().map(|value| curve.linear(*value)));
            return;
        }
        for pixel in stored.chunks_exact(kind.channels()) {
            let (alpha, colors) = pixel.split_last().expect("a pixel has channels");
            samples.extend(colors.iter().map(|value| curve.linear(*value)));
            samples.push(u16::from(*alpha) * 257);
        }
    }

    fn into_stored(samples: Vec<Self>, kind: PixelKind) -> Vec<u8> {
        let curve = light::curve();
        if !kind.has_alpha() {
            return samples.iter().map(|value| curve.encoded(*value)).collect();
        }
        let mut stored = Vec::with_capacity(samples.len());
        for pixel in samples.chunks_exact(kind.channels()) {
            let (alpha, colors) = pixel.split_last().expect("a pixel has channels");
            stored.extend(colors.iter().map(|value| curve.encoded(*value)));
            stored.push(((u32::from(*alpha) + 128) / 257) as u8);
        }
        stored
    }
}
