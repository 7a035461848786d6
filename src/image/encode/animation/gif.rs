//! Animated GIF: each frame has its own palette; alpha below 128 is transparent.
//!
//! Some viewers fill the canvas with a colour at the start, and where a frame is disposed of, unless the frame names a
//! transparent one. So the first frame covers the canvas, and from the first clear pixel on every frame names one.
//!
//! A transparent pixel of a frame shows the canvas below it. So where a frame is clear and the previous one is not, the
//! previous one must be disposed of. A frame's own header says that, so a frame is written only when the next one is
//! known.

use gif::{DisposalMethod, Encoder, Frame, Repeat};

use super::{around, differing, nothing, part, rgba};
use crate::image::encode::gif as still;
use crate::image::pixels::Pixels;
use crate::image::shape::{Rect, Size};

pub(super) struct GifWriter {
    size: Size,
    encoder: Encoder<Vec<u8>>,
    /// The canvas before the pending frame; `None` before the first.
    before: Option<Vec<u8>>,
    /// Whether any frame up to the pending one has a clear pixel.
    is_clear: bool,
    waiting: Option<PendingFrame>,
}

/// A frame that is written once the next one is known.
struct PendingFrame {
    rgba: Vec<u8>,
    delay: u16,
}

impl GifWriter {
    pub(super) fn new(size: Size, plays: u32) -> Option<Self> {
        let (width, height) = (u16::try_from(size.width).ok()?, u16::try_from(size.height).ok()?);
        let mut encoder = Encoder::new(Vec::new(), width, height, &[]).ok()?;
        // The file stores repetitions; without them the animation plays once.
        let repeat = match plays {
            0 => Repeat::Infinite,
            plays => Repeat::Finite(u16::try_from(plays - 1).unwrap_or(u16::MAX)),
        };
        encoder.set_repeat(repeat).ok()?;
        Some(Self { size, encoder, before: None, is_clear: false, waiting: None })
    }

    pub(super) fn push(
        &mut self,
        pixels: Pixels,
        delay_ms: u32,
        keep_going: &dyn Fn() -> bool,
    ) -> Option<()> {
        let mut rgba = rgba(&pixels);
        drop(pixels);
        for pixel in rgba.chunks_exact_mut(4) {
            if pixel[3] < 128 {
                pixel.fill(0);
            } else {
                pixel[3] = 255;
            }
        }
        if let Some(waiting) = self.waiting.take() {
            let vanishing =
                differing(&waiting.rgba, &rgba, self.size, |before, now| before[3] > 0 && now[3] == 0);
            self.write(waiting, vanishing, keep_going)?;
        }
        self.is_clear |= rgba.chunks_exact(4).any(|pixel| pixel[3] == 0);
        self.waiting = Some(PendingFrame { rgba, delay: hundredths(delay_ms) });
        Some(())
    }

    pub(super) fn finish(mut self, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let last = self.waiting.take()?;
        self.write(last, None, keep_going)?;
        self.encoder.into_inner().ok()
    }

    /// Writes a frame; `vanishing` is the area that must be cleared after its time.
    fn write(
        &mut self,
        waiting: PendingFrame,
        vanishing: Option<Rect<u32>>,
        keep_going: &dyn Fn() -> bool,
    ) -> Option<()> {
        let PendingFrame { rgba, delay } = waiting;
        let whole = Rect { x: 0, y: 0, width: self.size.width, height: self.size.height };
        let area = match &self.before {
            None => Some(whole),
            Some(before) => {
                around(differing(before, &rgba, self.size, |before, now| before != now), vanishing)
            }
        };
        let pixels = area.map_or_else(nothing, |area| part(&rgba, self.size, area))?;
        let names_clear = self.is_clear || vanishing.is_some();
        let frame = still::frame(pixels, names_clear, keep_going)?;
        let corner = area.unwrap_or(Rect { x: 0, y: 0, width: 1, height: 1 });
        let dispose = if vanishing.is_some() { DisposalMethod::Background } else { DisposalMethod::Keep };
        let (left, top) = (corner.x as u16, corner.y as u16);
        self.encoder.write_frame(&Frame { left, top, delay, dispose, ..frame }).ok()?;
        let before = self.before.insert(rgba);
        if let (Some(area), Some(_)) = (area, vanishing) {
            let stride = self.size.width as usize * 4;
            let rows = before.chunks_exact_mut(stride).skip(area.y as usize).take(area.height as usize);
            rows.for_each(|row| row[area.x as usize * 4..][..area.width as usize * 4].fill(0));
        }
        Some(())
    }
}

/// Milliseconds → hundredths of a second. A delay is never rounded to zero, which viewers replace by a delay of their
/// own.
fn hundredths(delay_ms: u32) -> u16 {
    let rounded = delay_ms.saturating_add(5) / 10;
    u16::try_from(rounded.max(u32::from(delay_ms > 0))).unwrap_or(u16::MAX)
}
