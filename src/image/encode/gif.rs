//! GIF, a single frame: up to 256 colours exactly, more by quantising; alpha below 128 is transparent.
//!
//! The quantiser is only shown opaque pixels. One palette entry is then set aside for transparency: left to mix
//! alpha into its colours, it would make single opaque pixels transparent.

use gif::{Encoder, Frame};

use crate::image::pixels::{Kind, Pixels};

/// The quantiser learns from one pixel in this many; 10 is its authors' balance of speed and quality.
const SAMPLE_STEP: i32 = 10;

/// `None` if the encoder refuses; sides are at most 65535.
pub(super) fn encode(pixels: Pixels) -> Option<Vec<u8>> {
    let frame = frame(pixels)?;
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, frame.width, frame.height, &[]).ok()?;
    encoder.write_frame(&frame).ok()?;
    drop(encoder);
    Some(bytes)
}

/// A frame at the canvas's corner, without delay, with its own palette.
pub(super) fn frame(pixels: Pixels) -> Option<Frame<'static>> {
    let width = u16::try_from(pixels.size().width).ok()?;
    let height = u16::try_from(pixels.size().height).ok()?;
    let (mut rgba, clear) = opaque(&pixels);
    drop(pixels);
    let mut frame = Frame::from_rgba_speed(width, height, &mut rgba, SAMPLE_STEP);
    drop(rgba);
    if clear.contains(&true) {
        let palette = frame.palette.as_mut()?;
        let indices = frame.buffer.to_mut();
        let entry = set_aside(palette, indices);
        indices.iter_mut().zip(&clear).filter(|(_, clear)| **clear).for_each(|(index, _)| *index = entry);
        frame.transparent = Some(entry);
    }
    Some(frame)
}

/// The pixels as opaque RGBA, and which of them are to be transparent. Those take a visible pixel's colour, so
/// that what they hide costs no palette entry.
fn opaque(pixels: &Pixels) -> (Vec<u8>, Vec<bool>) {
    let kind = pixels.kind();
    let colors = || pixels.data().chunks_exact(kind.channels());
    let clear: Vec<bool> =
        colors().map(|pixel| kind.has_alpha() && pixel[kind.channels() - 1] < 128).collect();
    let rgb = |pixel: &[u8]| match kind {
        Kind::Gray | Kind::GrayAlpha => [pixel[0], pixel[0], pixel[0], 255],
        Kind::Rgb | Kind::Rgba => [pixel[0], pixel[1], pixel[2], 255],
    };
    let visible =
        colors().zip(&clear).find(|(_, clear)| !**clear).map_or([0, 0, 0, 255], |(pixel, _)| rgb(pixel));
    let rgba =
        colors().zip(&clear).flat_map(|(pixel, clear)| if *clear { visible } else { rgb(pixel) }).collect();
    (rgba, clear)
}

/// A palette entry that no pixel uses: a new one, or the rarest colour's, whose pixels take the nearest other.
fn set_aside(palette: &mut Vec<u8>, indices: &mut [u8]) -> u8 {
    let colors = palette.len() / 3;
    if colors < 256 {
        palette.extend_from_slice(&[0, 0, 0]);
        return colors as u8;
    }
    let mut uses = [0_usize; 256];
    indices.iter().for_each(|&index| uses[usize::from(index)] += 1);
    let rarest = (0..=255_u8).min_by_key(|&index| uses[usize::from(index)]).unwrap_or(0);
    let distance = |index: u8| {
        let channel = |at: usize| i32::from(palette[usize::from(index) * 3 + at]);
        (0..3)
            .map(|at| channel(at) - i32::from(palette[usize::from(rarest) * 3 + at]))
            .map(|step| step * step)
            .sum::<i32>()
    };
    let nearest =
        (0..=255_u8).filter(|&index| index != rarest).min_by_key(|&index| distance(index)).unwrap_or(0);
    indices.iter_mut().filter(|index| **index == rarest).for_each(|index| *index = nearest);
    rarest
}
