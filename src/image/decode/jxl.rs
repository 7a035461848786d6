//! JPEG XL by the crate `jxl`: the first frame, as stored, with straight alpha.
//!
//! The library takes the file in pieces, so a decode can be stopped between them. What it does with one piece may take
//! long nevertheless: a file of one group is one piece. So [`crate::image::render`] sends JPEG XL to the helper process.

use jxl::api::{Event, JxlColorType, JxlDataFormat, JxlDecoder, JxlOutputBuffer, JxlPixelFormat};

use super::{CORRUPT, SIZE_DIFFERS, UNSUPPORTED};
use crate::image::container::jxl::{decoder, guarded, header};
use crate::image::error::{RenderError, proceed};
use crate::image::header::ColorKind;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

/// Bytes of a piece.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes per pixel beside the result: for four channels a sample of four bytes that modular coding keeps, and as much
/// for what its transforms and filters make of it, and for frames that the first visible one refers to.
pub(super) const WORK_BYTES_PER_PIXEL: u64 = 3 * 4 * 4;

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
