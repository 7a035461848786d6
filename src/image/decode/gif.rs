//! GIF: frames are played onto the canvas up to the one asked for; uncovered pixels are transparent.
//!
//! A frame is read line by line into the canvas, so its own claimed size takes no memory: one line at most.
//! Lines outside the canvas are read and dropped.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, MemoryLimit};

use super::canvas::{Area, Canvas, Disposal};
use super::{CORRUPT, SIZE_DIFFERS};
use crate::image::header::Limits;
use crate::image::pixels::{Pixels, Size};
use crate::image::render::{RenderError, proceed};

/// The canvas after frame `frame` was drawn.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    frame: u32,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // Of what the library keeps only metadata grows with the file, and never beyond it.
    let metadata_max = NonZeroU64::MIN.saturating_add(source.len() as u64);
    options.set_memory_limit(MemoryLimit::Bytes(metadata_max));
    let mut decoder = options.read_info(source).map_err(|_| CORRUPT)?;
    if (u32::from(decoder.width()), u32::from(decoder.height())) != (size.width, size.height) {
        return Err(SIZE_DIFFERS);
    }
    let mut canvas = Canvas::new(size);
    for number in 0..=frame {
        let found = draw_frame(&mut decoder, &mut canvas, limits, keep_going)?;
        if !found && number == 0 {
            return Err(CORRUPT);
        }
        if !found {
            return Err(RenderError::FrameMissing { frames: number });
        }
    }
    canvas.into_pixels()
}

/// Draws the next frame; false at the end of the file.
fn draw_frame(
    decoder: &mut Decoder<&[u8]>,
    canvas: &mut Canvas,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<bool, RenderError> {
    let Some(frame) = decoder.next_frame_info().map_err(|_| CORRUPT)? else {
        return Ok(false);
    };
    let size = Size { width: frame.width.into(), height: frame.height.into() };
    let area = Area { left: frame.left.into(), top: frame.top.into(), size };
    let (transparent, interlaced) = (frame.transparent, frame.interlaced);
    canvas.begin_frame(area, disposal(frame.dispose));
    if size.area() > limits.pixels_max {
        return Err(RenderError::TooLarge { pixels_max: limits.pixels_max });
    }
    if size.area() == 0 {
        return Ok(true);
    }
    let palette = decoder.palette().map_err(|_| CORRUPT)?.to_vec();
    let mut line = vec![0; size.width as usize];
    for y in rows(size.height, interlaced) {
        proceed(keep_going)?;
        if !decoder.fill_buffer(&mut line).map_err(|_| CORRUPT)? {
            return Err(CORRUPT);
        }
        for (pixel, &index) in canvas.row(area, y).chunks_exact_mut(4).zip(&line) {
            if transparent == Some(index) {
                continue;
            }
            // An index past the palette's end draws nothing, as in browsers.
            if let Some(color) = palette.get(usize::from(index) * 3..usize::from(index) * 3 + 3) {
                pixel[..3].copy_from_slice(color);
                pixel[3] = 255;
            }
        }
    }
    Ok(true)
}

/// The order in which a frame's rows are stored.
fn rows(height: u32, interlaced: bool) -> impl Iterator<Item = u32> {
    let passes: &[(u32, usize)] = if interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    passes.iter().flat_map(move |&(first, step)| (first..height).step_by(step))
}

fn disposal(dispose: DisposalMethod) -> Disposal {
    match dispose {
        DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
        DisposalMethod::Background => Disposal::Clear,
        DisposalMethod::Previous => Disposal::Restore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interlaced_rows_come_in_four_passes_and_each_once() {
        assert_eq!(rows(9, true).collect::<Vec<_>>(), [0, 8, 4, 2, 6, 1, 3, 5, 7]);
        assert_eq!(rows(3, false).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rows(1, true).collect::<Vec<_>>(), [0]);
    }
}
