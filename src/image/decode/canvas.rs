//! The canvas onto which the frames of an animation are drawn, one after another.
//!
//! Implements the disposal of a frame before the next one is drawn, and the blending of translucent frames. Knows no
//! file format. Areas may lie partly or wholly outside the canvas; they are clipped.

use super::CORRUPT;
use crate::image::error::RenderError;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

/// The area of a frame on its canvas.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) size: Size,
}

/// The disposal of a frame's area before the next frame is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    /// The area stays.
    Keep,
    /// The area becomes transparent.
    Clear,
    /// The area returns to its state before this frame.
    Restore,
}

/// The blending of a frame's pixels with those below.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blend {
    /// The frame's pixels replace the others, alpha included.
    Replace,
    /// The frame's pixels cover the others by their alpha.
    Over,
}

/// RGBA pixels, transparent at first.
pub(super) struct Canvas {
    size: Size,
    data: Vec<u8>,
    pending: Option<Pending>,
}

struct Pending {
    area: Area,
    disposal: Disposal,
    /// The rows of the area, clipped to the canvas, from before the frame; empty unless they are to be restored.
    before: Vec<u8>,
}

impl Canvas {
    /// Allocates 4 bytes a pixel; the caller has checked the size.
    pub(super) fn new(size: Size) -> Self {
        Self { size, data: vec![0; size.area() as usize * 4], pending: None }
    }

    pub(super) const fn size(&self) -> Size {
        self.size
    }

    /// Disposes of the previous frame and prepares for one in `area`.
    pub(super) fn begin_frame(&mut self, area: Area, disposal: Disposal) {
        if let Some(last) = self.pending.take() {
            self.dispose(&last);
        }
        let mut before = Vec::new();
        if disposal == Disposal::Restore {
            for y in 0..self.visible_rows(area) {
                before.extend_from_slice(self.row(area, y));
            }
        }
        self.pending = Some(Pending { area, disposal, before });
    }

    /// The bytes of row `y` of `area` (from its top), clipped to the canvas; empty if the row lies outside.
    pub(super) fn row(&mut self, area: Area, y: u32) -> &mut [u8] {
        let row = u64::from(area.top) + u64::from(y);
        if row >= u64::from(self.size.height) || area.left >= self.size.width {
            return &mut [];
        }
        let width = area.size.width.min(self.size.width - area.left) as usize;
        let start = (row as usize * self.size.width as usize + area.left as usize) * 4;
        &mut self.data[start..start + width * 4]
    }

    /// Draws a whole frame.
    pub(super) fn draw(&mut self, area: Area, frame: &Pixels, blend: Blend) {
        let kind = frame.kind();
        for (y, pixels) in (0..area.size.height).zip(frame.data().chunks_exact(frame.stride())) {
            let row = self.row(area, y);
            for (below, pixel) in row.chunks_exact_mut(4).zip(pixels.chunks_exact(kind.channels())) {
                let pixel = rgba(kind, pixel);
                below.copy_from_slice(&if blend == Blend::Over { over(pixel, below) } else { pixel });
            }
        }
    }

    /// A copy of the canvas; without alpha if the frames cover all of it.
    pub(super) fn pixels(&self) -> Result<Pixels, RenderError> {
        Pixels::new(self.size, PixelKind::Rgba, self.data.clone())
            .map(Pixels::without_idle_alpha)
            .ok_or(CORRUPT)
    }

    /// The canvas itself; without alpha if the frames cover all of it.
    pub(super) fn into_pixels(self) -> Result<Pixels, RenderError> {
        Pixels::new(self.size, PixelKind::Rgba, self.data).map(Pixels::without_idle_alpha).ok_or(CORRUPT)
    }

    fn dispose(&mut self, last: &Pending) {
        let mut before = last.before.as_slice();
        for y in 0..self.visible_rows(last.area) {
            let row = self.row(last.area, y);
            match last.disposal {
                Disposal::Keep => return,
                Disposal::Clear => row.fill(0),
                Disposal::Restore => {
                    let (saved, rest) = before.split_at(row.len());
                    row.copy_from_slice(saved);
                    before = rest;
                }
            }
        }
    }

    fn visible_rows(&self, area: Area) -> u32 {
        area.size.height.min(self.size.height.saturating_sub(area.top))
    }
}

fn rgba(kind: PixelKind, pixel: &[u8]) -> [u8; 4] {
    match kind {
        PixelKind::Gray => [pixel[0], pixel[0], pixel[0], 255],
        PixelKind::GrayAlpha => [pixel[0], pixel[0], pixel[0], pixel[1]],
        PixelKind::Rgb => [pixel[0], pixel[1], pixel[2], 255],
        PixelKind::Rgba => [pixel[0], pixel[1], pixel[2], pixel[3]],
    }
}

/// `above` over `below`, both with straight alpha.
fn over(above: [u8; 4], below: &[u8]) -> [u8; 4] {
    let alpha = u32::from(above[3]);
    if alpha == 255 {
        return above;
    }
    // In 255ths of 255: the share of each colour in the result.
    let (share, share_below) = (alpha * 255, u32::from(below[3]) * (255 - alpha));
    let total = share + share_below;
    if total == 0 {
        return [0; 4];
    }
    let mix = |channel: usize| {
        let sum = u32::from(above[channel]) * share + u32::from(below[channel]) * share_below;
        ((sum + total / 2) / total) as u8
    };
    [mix(0), mix(1), mix(2), ((total + 127) / 255) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 2, height: 2 };

    fn area(left: u32, top: u32, width: u32, height: u32) -> Area {
        Area { left, top, size: Size { width, height } }
    }

    fn plain(size: Size, color: [u8; 4]) -> Pixels {
        Pixels::new(size, PixelKind::Rgba, color.repeat(size.area() as usize)).unwrap()
    }

    fn drawn(canvas: &mut Canvas, area: Area, disposal: Disposal, color: [u8; 4]) {
        canvas.begin_frame(area, disposal);
        canvas.draw(area, &plain(area.size, color), Blend::Over);
    }

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];
    const CLEAR: [u8; 4] = [0; 4];

    #[test]
    fn a_disposed_frame_leaves_what_its_disposal_says() {
        for (disposal, left) in [(Disposal::Keep, BLUE), (Disposal::Clear, CLEAR), (Disposal::Restore, RED)] {
            let mut canvas = Canvas::new(SIZE);
            drawn(&mut canvas, area(0, 0, 2, 2), Disposal::Keep, RED);
            drawn(&mut canvas, area(1, 0, 1, 1), disposal, BLUE);
            drawn(&mut canvas, area(0, 1, 1, 1), Disposal::Keep, BLUE);
            assert_eq!(canvas.data, [RED, left, BLUE, RED].concat());
        }
    }

    #[test]
    fn what_lies_outside_the_canvas_is_cut_off() {
        for far in [area(1, 1, 5, 5), area(2, 0, 1, 1), area(0, 9, 1, 1), area(u32::MAX, u32::MAX, 1, 1)] {
            let mut canvas = Canvas::new(SIZE);
            drawn(&mut canvas, far, Disposal::Restore, RED);
            let inside = far.left == 1;
            assert_eq!(canvas.data, [CLEAR, CLEAR, CLEAR, if inside { RED } else { CLEAR }].concat());
            drawn(&mut canvas, area(0, 0, 1, 1), Disposal::Keep, BLUE);
            assert_eq!(canvas.data, [BLUE, CLEAR, CLEAR, CLEAR].concat());
        }
    }

    #[test]
    fn half_transparent_pixels_mix_with_those_below() {
        assert_eq!(over([255, 0, 0, 128], &BLUE), [128, 0, 127, 255]);
        assert_eq!(over([9, 9, 9, 128], &CLEAR), [9, 9, 9, 128]);
        assert_eq!(over([9, 9, 9, 0], &RED), RED);
        assert_eq!(over([9, 9, 9, 0], &CLEAR), CLEAR);
    }

    #[test]
    fn alpha_is_kept_only_where_something_shows_through() {
        let mut canvas = Canvas::new(SIZE);
        drawn(&mut canvas, area(0, 0, 2, 1), Disposal::Keep, RED);
        drawn(&mut canvas, area(0, 1, 2, 1), Disposal::Keep, RED);
        assert_eq!(canvas.into_pixels().unwrap().kind(), PixelKind::Rgb);
        assert_eq!(Canvas::new(SIZE).into_pixels().unwrap().kind(), PixelKind::Rgba);
    }
}
