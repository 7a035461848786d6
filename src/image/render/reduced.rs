//! The way over a picture that is decoded at a fraction of its sides.
//!
//! Most sizes of a photo begin with the same reduced picture, so it is kept for the next one if it is small enough (see
//! [`crate::image::decoded_planes`]). The steps after it are the same for a fresh and for a kept one.

use super::layout::WindowPlacement;
use crate::image::decode::{self, Reduction, SourcePart};
use crate::image::decoded_planes::{self, DecodedPlanes};
use crate::image::error::{DecodeFault, RenderError};
use crate::image::geometry::{self, Plan};
use crate::image::header::{Header, Limits};
use crate::image::pixels::Pixels;
use crate::image::progress::{ProgressSink, RenderStage};
use crate::image::recipe::Recipe;
use crate::image::resize;
use crate::image::shape::{Rect, Size};
use crate::image::shrink_on_load::Aim;

/// A part of a picture that is decoded reduced.
pub(super) struct Reduced<'a> {
    source: &'a [u8],
    header: &'a Header,
    reduction: Reduction,
    /// The part of the stored picture that is kept.
    cut: Rect<u32>,
    aim: Aim,
}

impl<'a> Reduced<'a> {
    /// `None` if the source is decoded whole, or if the recipe needs all its pixels.
    pub(super) fn of(
        layout: &WindowPlacement,
        source: &'a [u8],
        header: &'a Header,
        recipe: &Recipe,
        limits: &Limits,
    ) -> Result<Option<(Self, Plan)>, RenderError> {
        if recipe.trim || recipe.frame.unwrap_or(0) > 0 {
            return Ok(None);
        }
        let plan = geometry::plan(layout.cut.size(), recipe, limits.pixels_max)?;
        let (cut, aim) = (layout.stored_cut(layout.cut), layout.aim(&plan));
        let part = SourcePart { cut, window: aim.window, to: aim.to, light: layout.light };
        let reduction = decode::reduction(source, header, &part);
        Ok(reduction.map(|reduction| (Self { source, header, reduction, cut, aim }, plan)))
    }

    /// The name of the reduced picture, and its bytes, if it is worth keeping for other sizes.
    pub(super) fn planes(&self) -> Option<(String, u64)> {
        let Reduction { factor, size, kind, light } = self.reduction;
        let bytes = size.area().saturating_mul(kind.channels() as u64);
        (bytes <= decoded_planes::BYTES_MAX).then(|| (format!("1/{factor} {light:?}"), bytes))
    }

    /// The reduced picture: a kept one, or the source's.
    pub(super) fn decoded(
        &self,
        cached: &mut DecodedPlanes,
        limits: &Limits,
        progress: &dyn ProgressSink,
    ) -> Result<Pixels, RenderError> {
        let Reduction { size, kind, .. } = self.reduction;
        if let DecodedPlanes::Reuse(samples) = cached {
            let pixels = Pixels::new(size, kind, std::mem::take(samples));
            return pixels.ok_or(RenderError::Undecodable(DecodeFault::Corrupt));
        }
        progress.enter_stage(RenderStage::Decode);
        let keep_going = || progress.keep_going();
        let pixels = decode::decode_reduced(self.source, self.header, &self.reduction, limits, &keep_going)?;
        if (pixels.size(), pixels.kind()) != (size, kind) {
            return Err(RenderError::Undecodable(DecodeFault::SizeDiffers));
        }
        if *cached == DecodedPlanes::Collect && self.planes().is_some() {
            *cached = DecodedPlanes::Collected(pixels.data().to_vec());
        }
        Ok(pixels)
    }

    /// The cut of the stored picture, reduced. At its edges a pixel may reach up to a block beyond.
    pub(super) fn cropped(&self, pixels: Pixels) -> Result<Pixels, RenderError> {
        let Rect { x, y, width, height } = self.cut;
        let factor = self.reduction.factor;
        let (left, top) = (x / factor, y / factor);
        let (right, bottom) = ((x + width).div_ceil(factor), (y + height).div_ceil(factor));
        let part = Rect { x: left, y: top, width: right - left, height: bottom - top };
        pixels.cropped(part).ok_or(RenderError::BadWindow)
    }

    /// The part of the reduced picture that the stored one covers: its last pixels may lie partly outside.
    pub(super) fn covered(&self) -> (f64, f64) {
        let (stored, factor) = (self.header.stored(), f64::from(self.reduction.factor));
        (f64::from(stored.width) / factor, f64::from(stored.height) / factor)
    }

    /// The window of the result in the cut, before reduction.
    pub(super) const fn window(&self) -> Rect<f64> {
        self.aim.window
    }

    /// The size of the cut, before reduction.
    pub(super) const fn cut_size(&self) -> Size {
        self.cut.size()
    }

    /// The window, counted in the cut before reduction, of these cropped pixels, at its final size.
    pub(super) fn resized(&self, pixels: Pixels, window: Rect<f64>) -> Result<Pixels, RenderError> {
        let factor = f64::from(self.reduction.factor);
        // The cut may begin inside a pixel.
        let start = |cut: u32, window: f64| (f64::from(cut % self.reduction.factor) + window) / factor;
        let window = Rect {
            x: start(self.cut.x, window.x),
            y: start(self.cut.y, window.y),
            width: window.width / factor,
            height: window.height / factor,
        };
        resize::resize_in(self.reduction.light, pixels, window, self.aim.to)
    }

    /// Peak memory in bytes, the result included: an upper bound.
    pub(super) fn peak_bytes(&self) -> u64 {
        let Reduction { factor, size, kind, light } = self.reduction;
        let bytes = size.area().saturating_mul(kind.channels() as u64);
        let kept = if self.planes().is_some() { bytes } else { 0 };
        let decode = decode::reduced_peak_bytes(self.source, self.header, &self.reduction);
        // A cut moves into a smaller buffer, and a look at the pixels needs a copy in sRGB.
        let cropped = bytes.saturating_mul(2);
        let window = self.aim.window;
        let (width, height) = (window.width / f64::from(factor), window.height / f64::from(factor));
        let window = Rect { x: 0.0, y: 0.0, width, height };
        let resize = resize::peak_bytes(light, size, kind, window, self.aim.to).saturating_add(bytes);
        decode.max(cropped).max(resize).saturating_add(kept)
    }
}
