//! PNG and APNG: expands palettes and colour keys, scales fewer than 8 bits up, and rounds 16 bits to 8.
//!
//! 16-bit samples are rounded to the nearest 8-bit value; truncation, which the library offers, darkens by half a step.
//! Rows are narrowed as they are read, so an image never takes more than its 8-bit size. Text, colours and all that is
//! not about pixels is skipped ([`essential`]): it may be broken or inflate without bound, and `color` reads profiles
//! within one. A picture that is made smaller is
//! scaled row by row during the decode.

mod essential;

use png::{
    BitDepth, BlendOp, ColorType, DecodingError, DisposeOp, InterlaceInfo, Limits, Reader, Transformations,
};

use super::canvas::{Area, Blend, Canvas, Disposal};
use super::{CORRUPT, SIZE_DIFFERS, SourcePart, UNSUPPORTED};
use crate::image::error::{RenderError, proceed};
use crate::image::header::Header;
use crate::image::light::Light;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::progress::{ProgressSink, RenderStage};
use crate::image::resize::{self, Rows};
use crate::image::shape::{Rect, Size};
use crate::image::small_picture::Aside;
use essential::Essential;

/// Frame 0 is the image that every PNG reader shows; a later one counts among the animation's frames.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    frame: u32,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let mut reader = open(source, size, frame > 0)?;
    if frame == 0 {
        read_image(&mut reader, keep_going)
    } else {
        read_frame(&mut reader, size, frame, keep_going)
    }
}

/// Decodes a part of the still at its final size, with only a few rows in memory. `None` for interlaced files, or if
/// the part is not made smaller. Does not read the rows below the part.
pub(super) fn decode_part(
    source: &[u8],
    size: Size,
    part: &SourcePart,
    aside: &mut Aside,
    progress: &dyn ProgressSink,
) -> Result<Option<Pixels>, RenderError> {
    if !is_shrinking(part) {
        return Ok(None);
    }
    progress.enter_stage(RenderStage::Decode);
    let mut reader = open(source, size, false)?;
    if reader.info().interlaced {
        return Ok(None);
    }
    let (kind, wide) = kind(&reader)?;
    let (columns, window) = columns(part);
    let height = part.cut.height;
    let mut rows = Rows::new(light(part), Size { width: columns.width, height }, kind, window, part.to)?;
    let wanted = rows.needed_rows();
    let bytes = columns.x as usize * kind.channels()..(columns.x + columns.width) as usize * kind.channels();
    let mut row = vec![0; reader.output_line_size(size.width).ok_or(CORRUPT)?];
    let end = part.cut.y + wanted.end;
    if end == size.height {
        aside.begin(kind, size);
    }
    for y in 0..end {
        proceed(&|| progress.keep_going())?;
        reader.read_row(&mut row).map_err(|error| cause(&error))?.ok_or(CORRUPT)?;
        if wide {
            narrow(&mut row);
        }
        aside.push(&row[..size.width as usize * kind.channels()]);
        if y < part.cut.y + wanted.start {
            continue;
        }
        let is_due = rows.is_due();
        if is_due {
            progress.enter_stage(RenderStage::Resize);
        }
        rows.push(&row[bytes.clone()])?;
        if is_due {
            progress.enter_stage(RenderStage::Decode);
        }
    }
    progress.enter_stage(RenderStage::Resize);
    rows.finish().map(Some)
}

/// Peak memory of [`decode_part`] in bytes; `None` if that returns none.
pub(super) fn part_peak_bytes(source: &[u8], header: &Header, part: &SourcePart) -> Option<u64> {
    // The last byte of IHDR, which is the first chunk and has this length.
    let is_interlaced = source.get(28) != Some(&0);
    if !is_shrinking(part) || is_interlaced {
        return None;
    }
    let (columns, window) = columns(part);
    let from = Size { width: columns.width, height: part.cut.height };
    let rows = Rows::peak_bytes(light(part), from, super::kind(header), window, part.to);
    // The library keeps a few rows of at most 8 bytes a pixel, and its decompressor's tables and window.
    Some(rows.saturating_add(u64::from(header.width) * 64 + (256 << 10)))
}

/// Whether the result has fewer rows, and fewer pixels, so that the later colour conversion has less to do.
fn is_shrinking(part: &SourcePart) -> bool {
    part.window.height > f64::from(part.to.height) && part.to.area() <= part.cut.size().area()
}

fn light(part: &SourcePart) -> Light {
    resize::of_size(part.light, part.window, part.to)
}

/// The columns that the filter reads, and the window relative to them.
fn columns(part: &SourcePart) -> (Rect<u32>, Rect<f64>) {
    let needed = part.needed_window();
    let columns = Rect { y: part.cut.y, height: part.cut.height, ..needed };
    (columns, Rect { x: part.window.x - f64::from(needed.x - part.cut.x), ..part.window })
}

type PngReader<'a> = Reader<Essential<'a>>;

/// `is_animated`: frames of the animation are wanted, not only the image that every reader shows.
fn open(source: &[u8], size: Size, is_animated: bool) -> Result<PngReader<'_>, RenderError> {
    // Kept chunks are no longer than the file, and a few rows of at most 8 bytes a pixel are buffered.
    let bytes = source.len() + size.width as usize * 64 + 64 * 1024;
    let mut decoder = png::Decoder::new_with_limits(Essential::of(source, is_animated), Limits { bytes });
    // Checksums add no safety: the caller has verified the bytes against their id. Without them decoding is a sixth
    // faster, and files that a careless program has changed are shown, as in browsers.
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

/// The kind of the rows, and whether their samples have 16 bits.
fn kind(reader: &PngReader<'_>) -> Result<(PixelKind, bool), RenderError> {
    let (color, depth) = reader.output_color_type();
    let kind = match color {
        ColorType::Grayscale => PixelKind::Gray,
        ColorType::GrayscaleAlpha => PixelKind::GrayAlpha,
        ColorType::Rgb => PixelKind::Rgb,
        ColorType::Rgba => PixelKind::Rgba,
        ColorType::Indexed => return Err(UNSUPPORTED),
    };
    Ok((kind, depth == BitDepth::Sixteen))
}

/// Reads the image or subframe at the reader's position.
fn read_image(reader: &mut PngReader<'_>, keep_going: &dyn Fn() -> bool) -> Result<Pixels, RenderError> {
    let info = reader.info();
    let whole = Size { width: info.width, height: info.height };
    let size = match info.frame_control {
        Some(control) => Size { width: control.width, height: control.height },
        None => whole,
    };
    let (kind, wide) = kind(reader)?;
    let stride = size.width as usize * kind.channels();
    let mut data = vec![0; stride * size.height as usize];
    // The library needs a buffer for a row of the whole image, whatever the frame's width.
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

/// Draws the animation up to `frame`.
fn read_frame(
    reader: &mut PngReader<'_>,
    size: Size,
    frame: u32,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    if reader.info().frame_control.is_none() {
        // The default image is not part of the animation; its rows are skipped.
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

/// Big-endian 16-bit samples → 8-bit ones in the first half of the row. The result is the nearest value for every
/// input: v × 255 / 65535, rounded.
fn narrow(row: &mut [u8]) {
    for sample in 0..row.len() / 2 {
        let value = u32::from(u16::from_be_bytes([row[sample * 2], row[sample * 2 + 1]]));
        row[sample] = ((value * 255 + 32767) / 65535) as u8;
    }
}
