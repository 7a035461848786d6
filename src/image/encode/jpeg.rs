//! JPEG: baseline, one scan, colour at half the sides (4:2:0); gray in one component.
//!
//! With Huffman tables made for the picture this encoder would save 2–4 % of the bytes, but it then writes each
//! component as a scan of its own, which some decoders show in wrong colours (zune-jpeg, and all that build on
//! it). A picture that everybody can see is worth more. Its progressive files are larger than its baseline ones.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::image::effect;
use crate::image::pixels::{Kind, Pixels};

/// `None` if the encoder refuses; sides are at most 65535.
pub(super) fn encode(pixels: Pixels, quality: u8) -> Option<Vec<u8>> {
    let pixels = effect::flattened(pixels, [255; 3]);
    let width = u16::try_from(pixels.size().width).ok()?;
    let height = u16::try_from(pixels.size().height).ok()?;
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    let color = if pixels.kind() == Kind::Gray {
        ColorType::Luma
    } else {
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
        ColorType::Rgb
    };
    encoder.encode(pixels.data(), width, height, color).ok()?;
    Some(bytes)
}
