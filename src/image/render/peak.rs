//! The peak memory of a job, computed before it starts.

use super::layout::WindowPlacement;
use super::still;
use crate::image::geometry;
use crate::image::header::{Header, Limits};
use crate::image::light::Light;
use crate::image::pixels::PixelKind;
use crate::image::recipe::{Recipe, TargetSize};
use crate::image::shape::{Rect, Size};
use crate::image::{color, decode, effect, encode, resize, small_picture, smart};

/// Peak memory, in bytes of decoded pixels and work buffers, of a job that passes [`super::check`]: an upper bound.
/// Excludes the source's own bytes and copies of its metadata, which are never longer than the source.
pub fn peak_bytes(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> u64 {
    let kind = decode::kind(header);
    let Some(sizes) = Sizes::new(source, header, recipe, limits) else { return decode::peak_bytes(header) };
    let finished = Finished::new(kind, recipe);
    let resized = buffer(sizes.resized, kind);
    let canvas = buffer(sizes.canvas, finished.padded);
    let layout = WindowPlacement::new(source, header, recipe);
    let short = layout.and_then(|layout| still::shortcut_peak_bytes(&layout, source, header, recipe, limits));
    [
        short.ok().flatten().unwrap_or_else(|| sizes.resized_peak_bytes(header, kind)),
        // A swap of the sides, and padding, read one buffer and write another.
        resized.saturating_mul(2),
        resized.saturating_add(canvas),
        // Sharpening keeps a blurred copy; flattening gray on a colour writes a longer buffer.
        canvas.saturating_mul(2).saturating_add(effect::WORK_BYTES_MAX),
        canvas.saturating_add(buffer(sizes.canvas, finished.flat)),
        encode::peak_bytes(recipe.format, finished.flat, sizes.canvas),
    ]
    .into_iter()
    .fold(0, u64::max)
    // An animation's decoder and writer stay alive while a frame goes through the steps.
    .saturating_add(if recipe.keeps_animation(header) {
        let first = if recipe.looks_at_pixels() { buffer(sizes.cut, kind) } else { 0 };
        decode::peak_bytes(header)
            .saturating_add(encode::kept_bytes(sizes.canvas, header.frames))
            .saturating_add(first)
    } else {
        0
    })
    .saturating_add(if recipe.looks_at_pixels() { smart::WORK_BYTES_MAX } else { 0 })
    .saturating_add(color::work_bytes(source, header.format))
    .saturating_add(small_picture::work_bytes(header))
}

fn buffer(size: Size, kind: PixelKind) -> u64 {
    size.area().saturating_mul(kind.channels() as u64)
}

/// The sizes of a job before its pixels are known: exact, or bounds if the recipe trims. In stored coordinates, up to
/// the canvas.
pub(super) struct Sizes {
    is_cut: bool,
    cut: Size,
    /// The window in the cut; `None` if the pixels decide it.
    window: Option<Rect<f64>>,
    /// The size to which the window is resized, before it is turned.
    pub(super) resized: Size,
    pub(super) canvas: Size,
    light: Light,
}

impl Sizes {
    /// `None` for a job that `check` refuses.
    pub(super) fn new(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> Option<Self> {
        let layout = WindowPlacement::new(source, header, recipe).ok()?;
        let cut = layout.cut.size();
        let (window, resized, canvas) = if recipe.trim {
            let most = geometry::sides_max(cut, recipe);
            (None, most, most)
        } else {
            let plan = geometry::plan(cut, recipe, limits.pixels_max).ok()?;
            let window = (!recipe.looks_at_pixels()).then(|| layout.stored_window(plan.window, cut));
            (window, plan.size, plan.canvas)
        };
        let is_cut = recipe.trim || cut != layout.turned;
        let (cut, resized) = (layout.transform.size(cut), layout.transform.size(resized));
        Some(Self { is_cut, cut, window, resized, canvas, light: layout.light })
    }

    /// Peak memory of `WindowPlacement::resized` in bytes.
    fn resized_peak_bytes(&self, header: &Header, kind: PixelKind) -> u64 {
        // Cutting works in place, but the result may move into a smaller buffer.
        let moved = if self.is_cut { buffer(self.cut, kind) } else { 0 };
        let resize = match self.window {
            Some(window) => resize::peak_bytes(self.light, self.cut, kind, window, self.resized),
            None => {
                let most = Rect::whole(self.cut);
                resize::peak_bytes(self.light, self.cut, kind, most, self.resized)
                    .max(resize::filter_peak_bytes(self.cut, kind, self.resized))
            }
        };
        decode::peak_bytes(header).max(buffer(header.stored(), kind).saturating_add(moved)).max(resize)
    }
}

/// The kinds of pixels, at most, after the steps that change them.
struct Finished {
    padded: PixelKind,
    flat: PixelKind,
}

impl Finished {
    fn new(decoded: PixelKind, recipe: &Recipe) -> Self {
        let is_padded = matches!(recipe.target, TargetSize::Pad { .. });
        let padded = if is_padded { decoded.with_alpha() } else { decoded };
        let grey = if recipe.grey { effect::grey_kind(padded) } else { padded };
        let flat = recipe.background.map_or(grey, |color| effect::flattened_kind(grey, color));
        Self { padded, flat }
    }
}
