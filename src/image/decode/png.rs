//! PNG and APNG: palettes and colour keys expanded, fewer than 8 bits scaled up, 16 bits rounded to 8.
//!
//! 16-bit samples are rounded to the nearest 8-bit value (truncation, which the library offers, darkens by half
//! a step). Rows are narrowed as they come, so an image never takes more than its 8-bit size. Text and colour
//! profiles are skipped here: they can inflate without end, and color reads those within a bound.

use std::io::Cursor;

use png::{
    BitDepth, BlendOp, ColorType, DecodingError, DisposeOp, InterlaceInfo, Limits, Reader, Transformations,
};

use super::canvas::{Area, Blend, Canvas, Disposal};
use super::{CORRUPT, SIZE_DIFFERS, UNSUPPORTED};
use crate::image::error::{RenderError, proceed};
use crate::image::geometry::Size;
use crate::image::pixels::{Kind, Pixels};

/// Frame 0 is the image that every PNG reader shows; a later one is counted among the animation's frames.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    frame: u32,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let mut reader = open(source, size)?;
    if frame == 0 {
        read_image(&mut reader, keep_going)
    } else {
        read_frame(&mut reader, size, frame, keep_going)
    }
}

type PngReader<'a> = Reader<Cursor<&'a [u8]>>;

fn open(source: &[u8], size: Size) -> Result<PngReader<'_>, RenderError> {
    // Chunks that are kept are no longer than the file, and a few rows of at most 8 bytes a pixel are buffered.
    let bytes = source.len() + size.width as usize * 64 + 64 * 1024;
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(source), Limits { bytes });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // They say nothing about safety, and who reads these bytes has compared them with their id. Without them
    // decoding is a sixth faster, and files that a careless program has changed are shown, as browsers do.
    decoder.ignore_checksums(true);
    decoder.set_transformations(Transformations::EXPAND);
    let info = decoder.read_header_info().map_err(|error| cause(&error))?;
    if (info.width, info.height) != (size.width, size.height) {
        return Err(SIZE_DIFFERS);
    }
    decoder.read_info().map_err(|error| cause(&error))
}

fn cause(error: &DecodingError) -> RenderError {
    match error {
        DecodingError::LimitsExceeded => UNSUPPORTED,
        _ => CORRUPT,
    }
}

/// The image or subframe that the reader has come to.
fn read_image(reader: &mut PngReader<'_>, keep_going: &dyn Fn() -> bool) -> Result<Pixels, RenderError> {
    let info = reader.info();
    let whole = Size { width: info.width, height: info.height };
    let size = match info.frame_control {
        Some(control) => Size { width: control.width, height: control.height },
        None => whole,
    };
    let (color, depth) = reader.output_color_type();
    let kind = match color {
        ColorType::Grayscale => Kind::Gray,
        ColorType::GrayscaleAlpha => Kind::GrayAlpha,
        ColorType::Rgb => Kind::Rgb,
        ColorType::Rgba => Kind::Rgba,
        ColorType::Indexed => return Err(UNSUPPORTED),
    };
    let wide = depth == BitDepth::Sixteen;
    let stride = size.width as usize * kind.channels();
    let mut data = vec![0; stride * size.height as usize];
    // The library wants room for a row of the whole image, whatever the frame's width.
    let mut row = vec![0; reader.output_line_size(whole.width).ok_or(CORRUPT)?];
    let mut next = 0;
    while let Some(interlace) = reader.read_row(&mut row).map_err(|error| cause(&error))? {
        proceed(keep_going)?;
        if wide {
            narrow(&mut row);
        }
        match interlace {
            InterlaceInfo::Adam7(pass) => {
                let bits = kind.channels() as u8 * 8;
                png::expand_interlaced_row(&mut data, stride, &row, &pass, bits);
            }
            InterlaceInfo::Null(_) => {
                let place = data.get_mut(next..next + stride).ok_or(CORRUPT)?;
                place.copy_from_slice(&row[..stride]);
                next += stride;
            }
        }
    }
    Pixels::new(size, kind, data).ok_or(CORRUPT)
}

/// Plays the animation up to `frame`.
fn read_frame(
    reader: &mut PngReader<'_>,
    size: Size,
    frame: u32,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    if reader.info().frame_control.is_none() {
        // The default image stands outside the animation; its rows are passed over.
        reader.next_frame_info().map_err(|error| cause(&error))?;
    }
    let mut canvas = Canvas::new(size);
    for number in 0..=frame {
        if number > 0 {
            reader.next_frame_info().map_err(|error| cause(&error))?;
        }
        let control = reader.info().frame_control.ok_or(CORRUPT)?;
        let area = Area {
            left: control.x_offset,
            top: control.y_offset,
            size: Size { width: control.width, height: control.height },
        };
        canvas.begin_frame(area, disposal(control.dispose_op));
        let image = read_image(reader, keep_going)?;
        let blend = if control.blend_op == BlendOp::Source { Blend::Replace } else { Blend::Over };
        canvas.draw(area, &image, blend);
    }
    canvas.into_pixels()
}

fn disposal(dispose: DisposeOp) -> Disposal {
    match dispose {
        DisposeOp::None => Disposal::Keep,
        DisposeOp::Background => Disposal::Clear,
        DisposeOp::Previous => Disposal::Restore,
    }
}

/// Big-endian 16-bit samples → 8-bit ones in the first half of the row. The result is the nearest value for
/// every input: v × 255 / 65535, rounded.
fn narrow(row: &mut [u8]) {
    for sample in 0..row.len() / 2 {
        let value = u32::from(u16::from_be_bytes([row[sample * 2], row[sample * 2 + 1]]));
        row[sample] = ((value * 255 + 32767) / 65535) as u8;
    }
}
