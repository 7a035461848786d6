//! GIF, one frame: up to 256 colours exactly, more by the best 256; alpha below 128 is transparent.
//!
//! One palette entry is transparent if any pixel is. The colours of transparent pixels are dropped and cost no other
//! entry.

mod quantize;

use gif::{Encoder, Frame};

use super::palette::{COLORS_MAX, Indexed};
use crate::image::pixels::{PixelKind, Pixels};
use quantize::{Palette, Rgb};

pub(super) use quantize::WORK_BYTES;

/// The colour of every transparent pixel, so that all of them share one entry.
const CLEAR: [u8; 4] = [0; 4];

/// `None` if the encoder refuses, or once `keep_going` returns false; sides are at most 65535.
pub(super) fn encode(pixels: Pixels, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let frame = frame(pixels, false, keep_going)?;
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, frame.width, frame.height, &[]).ok()?;
    encoder.write_frame(&frame).ok()?;
    drop(encoder);
    Some(bytes)
}

/// A frame at the canvas's corner, without delay, with its own palette; `None` once `keep_going` returns false.
/// `names_clear`: one palette entry is transparent also where no pixel is.
pub(super) fn frame(
    pixels: Pixels,
    names_clear: bool,
    keep_going: &dyn Fn() -> bool,
) -> Option<Frame<'static>> {
    let pixels = plain(pixels);
    let width = u16::try_from(pixels.size().width).ok()?;
    let height = u16::try_from(pixels.size().height).ok()?;
    let Indexed { colors, indices } = match Indexed::of(&pixels).and_then(|exact| exact.named(names_clear)) {
        Some(exact) => exact,
        None => approximated(&pixels, names_clear, keep_going)?,
    };
    drop(pixels);
    let clear = colors.iter().position(|color| *color == CLEAR);
    Some(Frame {
        width,
        height,
        buffer: indices.into(),
        palette: Some(colors.iter().flat_map(|color| [color[0], color[1], color[2]]).collect()),
        transparent: clear.map(|number| number as u8),
        ..Frame::default()
    })
}

impl Indexed {
    /// The same with [`CLEAR`] among the colours, if that `is_needed`; `None` if there is no room for it.
    fn named(mut self, is_needed: bool) -> Option<Self> {
        if is_needed && !self.colors.contains(&CLEAR) {
            if self.colors.len() == COLORS_MAX {
                return None;
            }
            self.colors.push(CLEAR);
        }
        Some(self)
    }
}

/// RGBA in which each pixel is either opaque or [`CLEAR`].
fn plain(pixels: Pixels) -> Pixels {
    let (size, kind) = (pixels.size(), pixels.kind());
    let color = |pixel: &[u8]| match kind {
        _ if kind.has_alpha() && pixel[kind.channels() - 1] < 128 => CLEAR,
        PixelKind::Gray | PixelKind::GrayAlpha => [pixel[0], pixel[0], pixel[0], 255],
        PixelKind::Rgb | PixelKind::Rgba => [pixel[0], pixel[1], pixel[2], 255],
    };
    let data = pixels.data().chunks_exact(kind.channels()).flat_map(color).collect();
    Pixels::new(size, PixelKind::Rgba, data).expect("each pixel has become four bytes")
}

/// The picture in the best available colours; the clear one, if there is one, is the last.
fn approximated(pixels: &Pixels, names_clear: bool, keep_going: &dyn Fn() -> bool) -> Option<Indexed> {
    let pixel =
        |&[red, green, blue, alpha]: &[u8; 4]| -> Option<Rgb> { (alpha > 0).then_some([red, green, blue]) };
    let seen = || pixels.data().as_chunks::<4>().0.iter().map(pixel);
    let clear = names_clear || seen().any(|color| color.is_none());
    let most = if clear { COLORS_MAX - 1 } else { COLORS_MAX };
    let palette = Palette::of(seen(), most, keep_going)?;
    let number = palette.colors.len() as u8;
    let (colors, indices) = palette.indices(seen(), pixels.size().width as usize, number, keep_going)?;
    let opaque = colors.into_iter().map(|[red, green, blue]| [red, green, blue, 255]);
    Some(Indexed { colors: opaque.chain(clear.then_some(CLEAR)).collect(), indices })
}
