//! Animated GIF: each frame has its own palette; alpha below 128 is transparent.
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
    /// The canvas before the pending frame.
    before: Vec<u8>,
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
        Some(Self { size, encoder, before: vec![0; size.area() as usize * 4], waiting: None })
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
        let changed = differing(&self.before, &rgba, self.size, |before, now| before != now);
        let area = around(changed, vanishing);
        let frame = match area {
            Some(area) => still::frame(part(&rgba, self.size, area)?, keep_going)?,
            None => still::frame(nothing()?, keep_going)?,
        };
        let corner = area.unwrap_or(Rect { x: 0, y: 0, width: 1, height: 1 });
        let dispose = if vanishing.is_some() { DisposalMethod::Background } else { DisposalMethod::Keep };
        let (left, top) = (corner.x as u16, corner.y as u16);
        self.encoder.write_frame(&Frame { left, top, delay, dispose, ..frame }).ok()?;
        self.before = rgba;
        if let (Some(area), Some(_)) = (area, vanishing) {
            let stride = self.size.width as usize * 4;
            let rows = self.before.chunks_exact_mut(stride).skip(area.y as usize).take(area.height as usize);
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
