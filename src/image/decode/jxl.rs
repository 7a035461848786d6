//! JPEG XL by the crate `jxl`: the first frame, as stored, with straight alpha.
//!
//! The library takes the file in pieces, so a decode can be stopped between them. What it does with one piece may take
//! long nevertheless: a file of one group is one piece. So [`crate::image::render`] sends JPEG XL to the helper process.

use jxl::api::{Event, JxlColorType, JxlDataFormat, JxlDecoder, JxlOutputBuffer, JxlPixelFormat};

use super::{CORRUPT, SIZE_DIFFERS, UNSUPPORTED};
use crate::image::container::jxl::{decoder, guarded, header};
use crate::image::error::{RenderError, proceed};
use crate::image::header::{ColorKind, Header};
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

/// Bytes of a piece.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes per pixel beside the result. For each of three colours and alpha: a sample of modular coding, and one of four
/// bytes for a frame that is kept because others refer to it.
///
/// Measured with files of `cjxl` 0.7.0 of 2–49 megapixels, in bytes per channel and pixel beyond the result. Colours with
/// loss, progressive or not, 0.6, because groups are drawn as they arrive; alpha with loss 1.7; without loss 0.6, and if
/// in steps of resolution 1.5 of 8 bits and 2.6 of 16; an animation 4.6, of which a kept frame has 4. The layers of a
/// still are kept, too, but seldom cover it; and the helper process refuses a job that takes more than its charge and a
/// quarter.
pub(super) fn work_bytes_per_pixel(header: &Header) -> u64 {
    let channels = 3 + u64::from(header.has_alpha);
    let sample_bytes = if header.color.bits > 8 { 4 } else { 2 };
    let kept_bytes = if header.frames > 1 { 4 } else { 3 };
    channels * (sample_bytes + kept_bytes)
}

/// Bytes that do not depend on the size: tables and the profile.
pub(super) const WORK_BYTES: u64 = 16 << 20;

/// Decodes the first frame, in its own size, without rotation.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    guarded(|| first_frame(source, size, keep_going)).unwrap_or(Err(CORRUPT))
}

fn first_frame(source: &[u8], size: Size, keep_going: &dyn Fn() -> bool) -> Result<Pixels, RenderError> {
    let mut decoder = decoder(size.area(), false);
    let mut picture: Option<(PixelKind, Vec<u8>)> = None;
    for mut input in source.chunks(PIECE_BYTES) {
        loop {
            proceed(keep_going)?;
            let before = input.len();
            let event = match &mut picture {
                None => decoder.process(&mut input, None, None),
                Some((kind, data)) => {
                    let row = size.width as usize * kind.channels();
                    let mut buffers = [JxlOutputBuffer::new(data, size.height as usize, row)];
                    decoder.process(&mut input, Some(&mut buffers), None)
                }
            };
            match event.map_err(|_| CORRUPT)? {
                Event::BasicInfo => {
                    let kind = choose_kind(&mut decoder, size)?;
                    picture = Some((kind, vec![0; size.area() as usize * kind.channels()]));
                }
                Event::FrameComplete { .. } => {
                    return picture.and_then(|(kind, data)| Pixels::new(size, kind, data)).ok_or(CORRUPT);
                }
                // The library keeps what it took, so it may have more to do when the piece is used up.
                Event::NeedMoreInput { .. } if input.is_empty() => break,
                Event::NeedMoreInput { .. } if input.len() < before => {}
                Event::FrameHeader => {}
                // A decoder that takes no more input cannot go on.
                Event::NeedMoreInput { .. } | Event::Complete => return Err(CORRUPT),
            }
        }
    }
    Err(CORRUPT)
}

/// Asks for pixels of the kind that the header names, eight bits a channel.
fn choose_kind(decoder: &mut JxlDecoder, size: Size) -> Result<PixelKind, RenderError> {
    let header = header(decoder).ok_or(CORRUPT)?;
    if header.stored() != size {
        return Err(SIZE_DIFFERS);
    }
    if decoder.embedded_color_profile().is_some_and(|profile| profile.is_cmyk()) {
        return Err(UNSUPPORTED);
    }
    let (color_type, kind) = match header.color.kind {
        ColorKind::Gray => (JxlColorType::Grayscale, PixelKind::Gray),
        ColorKind::GrayAlpha => (JxlColorType::GrayscaleAlpha, PixelKind::GrayAlpha),
        ColorKind::Rgba => (JxlColorType::Rgba, PixelKind::Rgba),
        _ => (JxlColorType::Rgb, PixelKind::Rgb),
    };
    let extra = decoder.basic_info().map_or(0, |info| info.extra_channels.len());
    let format = JxlPixelFormat {
        color_type,
        color_data_format: Some(JxlDataFormat::U8 { bit_depth: 8 }),
        extra_channel_format: vec![None; extra],
    };
    decoder.set_pixel_format(format).map_err(|_| CORRUPT)?;
    Ok(kind)
}

#[cfg(all(test, feature = "heic", feature = "jxl"))]
mod tests;
