//! The steps of a variant, on one screen.
//!
//! Decides nothing: sizes are geometry's, defaults the recipe's, and no URL is known here. Cut and window are mapped
//! back to where their pixels are stored, so the large decoded picture is scaled once and never turned. What is cut
//! away is gone before scaling, so that nothing of it shows at the edges.
//! Colours become sRGB on the side of scaling that has fewer pixels, but before [`trim`] or [`smart`] looks at them.
//! Memory is bounded by [`peak_bytes`], which the caller charges before it calls [`render`].

mod animation;

use super::color::{self, ColorSpace};
use super::error::{RenderError, proceed};
use super::geometry::{self, Plan, Rect, Size, Transform};
use super::header::{Header, Limits};
use super::pixels::{Kind, Pixels};
use super::recipe::{Recipe, Target};
use super::scaled::Scaled;
use super::{decode, effect, encode, metadata, orient, pad, resize, smart, trim};
use crate::object::spec::{Gravity, Hundredths};

/// Makes one variant of `source`, whose facts `header` states. Runs until done; asks `keep_going` between
/// steps and, in those that may take long, now and then.
///
/// # Errors
///
/// See [`RenderError`]; nothing outlives a failed call.
pub fn render(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<Vec<u8>, RenderError> {
    let (variant, canvas) = if recipe.keeps_animation(header) {
        animation::render(source, header, recipe, limits, keep_going)?
    } else {
        let pixels = picture(source, header, recipe, limits, keep_going)?;
        proceed(keep_going)?;
        let canvas = pixels.size();
        (encode::encode(pixels, recipe.format, recipe.quality)?, canvas)
    };
    if recipe.meta {
        return Ok(metadata::carried(source, header.format, variant, recipe.format, canvas));
    }
    Ok(variant)
}

/// The finished picture of one variant, and what [`render`] writes if that is a still.
///
/// # Errors
///
/// As [`render`].
pub fn picture(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    check(header, recipe, limits)?;
    let layout = Layout::new(header, recipe)?;

    let mut space = ColorSpace::of(source, header);
    let (mut pixels, plan) = match layout.shortcut(source, header, recipe, limits, keep_going)? {
        Some(scaled) => scaled,
        None => layout.resized(source, header, recipe, limits, &mut space, keep_going)?,
    };
    proceed(keep_going)?;
    space.to_srgb(&mut pixels);
    finished(pixels, layout.transform, plan.canvas, recipe, keep_going)
}

/// The steps after sizing, up to the encoder.
fn finished(
    mut pixels: Pixels,
    transform: Transform,
    canvas: Size,
    recipe: &Recipe,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    pixels = orient::apply(transform, pixels);
    pixels = pad::padded(pixels, canvas);
    if recipe.grey {
        pixels = effect::grey(pixels);
    }
    if let Some(sigma) = recipe.blur {
        effect::blur(&mut pixels, decimal(sigma), keep_going)?;
    }
    if let Some(gain) = recipe.sharpen {
        effect::sharpen(&mut pixels, decimal(gain), keep_going)?;
    }
    if let Some(color) = recipe.background {
        pixels = effect::flattened(pixels, color);
    }
    Ok(pixels)
}

/// Refuses what the header alone rules out, before anything is decoded.
///
/// # Errors
///
/// [`RenderError::Geometry`].
pub fn check(header: &Header, recipe: &Recipe, limits: &Limits) -> Result<(), RenderError> {
    let cut = geometry::cut(header.displayed(), recipe)?;
    if !recipe.trim {
        geometry::plan(cut.size(), recipe, limits.pixels_max)?;
    }
    Ok(())
}

/// Bytes of decoded pixels and work buffers alive at the peak of a job that passes [`check`]: an upper bound. The
/// source's own bytes, and copies of its metadata (never longer than the source), are not counted.
pub fn peak_bytes(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> u64 {
    let kind = decode::kind(header);
    let Some(sizes) = Sizes::new(header, recipe, limits) else { return decode::peak_bytes(header) };
    let finished = Finished::new(kind, recipe);
    let scaled = buffer(sizes.scaled, kind);
    let canvas = buffer(sizes.canvas, finished.padded);
    let layout = Layout::new(header, recipe);
    let short =
        layout.and_then(|layout| layout.shortcut_peak_bytes(source, header, recipe, limits)).ok().flatten();
    [
        short.unwrap_or_else(|| sizes.resized_peak_bytes(header, kind)),
        // A swap of the sides, and padding, read one buffer and write another.
        scaled.saturating_mul(2),
        scaled.saturating_add(canvas),
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
}

fn buffer(size: Size, kind: Kind) -> u64 {
    size.area().saturating_mul(kind.channels() as u64)
}

/// How the stored picture and the turned one lie to each other, and what is kept of the latter.
struct Layout {
    /// Stored → displayed and turned.
    transform: Transform,
    /// The size of the turned picture.
    turned: Size,
    cut: Rect<u32>,
}

impl Layout {
    fn new(header: &Header, recipe: &Recipe) -> Result<Self, RenderError> {
        let transform = Transform::of_orientation(header.orientation).then(recipe.transform);
        let cut = geometry::cut(header.displayed(), recipe)?;
        Ok(Self { transform, turned: transform.size(header.stored()), cut })
    }

    /// The window made small while it is decoded, where the source allows it and no pixel must be seen before.
    fn scaled<'a>(
        &self,
        source: &'a [u8],
        header: &Header,
        recipe: &Recipe,
        limits: &Limits,
    ) -> Result<Option<(Scaled<'a>, Plan)>, RenderError> {
        if recipe.looks_at_pixels() || recipe.frame.unwrap_or(0) > 0 {
            return Ok(None);
        }
        let plan = geometry::plan(self.cut.size(), recipe, limits.pixels_max)?;
        let (cut, window) = (self.stored_cut(self.cut), self.stored_window(plan.window, self.cut.size()));
        let to = self.transform.size(plan.size);
        Ok(Scaled::of(source, header, cut, window, to, recipe.format).map(|scaled| (scaled, plan)))
    }

    /// Decode, cut and scale in one step, where the format can do that better.
    fn shortcut(
        &self,
        source: &[u8],
        header: &Header,
        recipe: &Recipe,
        limits: &Limits,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Option<(Pixels, Plan)>, RenderError> {
        if recipe.looks_at_pixels() {
            return Ok(None);
        }
        if let Some((scaled, plan)) = self.scaled(source, header, recipe, limits)? {
            return Ok(Some((scaled.pixels(limits, keep_going)?, plan)));
        }
        let plan = geometry::plan(self.cut.size(), recipe, limits.pixels_max)?;
        let part = self.part(&plan);
        let pixels = decode::decode_part(source, header, recipe.frame, &part, limits, keep_going)?;
        Ok(pixels.map(|pixels| (pixels, plan)))
    }

    /// Bytes alive at the peak of [`Layout::shortcut`], where it is taken and known to need less than the long way.
    fn shortcut_peak_bytes(
        &self,
        source: &[u8],
        header: &Header,
        recipe: &Recipe,
        limits: &Limits,
    ) -> Result<Option<u64>, RenderError> {
        if recipe.looks_at_pixels() || recipe.keeps_animation(header) {
            return Ok(None);
        }
        if let Some((scaled, _)) = self.scaled(source, header, recipe, limits)? {
            return Ok(Some(scaled.peak_bytes()));
        }
        let plan = geometry::plan(self.cut.size(), recipe, limits.pixels_max)?;
        Ok(decode::part_peak_bytes(source, header, recipe.frame, &self.part(&plan)))
    }

    /// What of the stored picture is wanted.
    fn part(&self, plan: &Plan) -> decode::Part {
        decode::Part {
            cut: self.stored_cut(self.cut),
            window: self.stored_window(plan.window, self.cut.size()),
            to: self.transform.size(plan.size),
        }
    }

    /// The whole picture decoded, then its window resized.
    fn resized(
        &self,
        source: &[u8],
        header: &Header,
        recipe: &Recipe,
        limits: &Limits,
        space: &mut ColorSpace,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<(Pixels, Plan), RenderError> {
        let mut pixels = decode::decode(source, header, recipe.frame, limits, keep_going)?;
        if recipe.looks_at_pixels() {
            space.to_srgb(&mut pixels);
        }
        let cut = if recipe.trim { trim::trimmed(&pixels, self.transform, self.cut) } else { self.cut };
        let plan = geometry::plan(cut.size(), recipe, limits.pixels_max)?;
        proceed(keep_going)?;
        let mut pixels = pixels.cropped(self.stored_cut(cut)).ok_or(RenderError::BadWindow)?;
        let window = self.placed_window(plan.window, cut.size(), recipe, &pixels, keep_going)?;
        if plan.size.area() > cut.size().area() {
            space.to_srgb(&mut pixels);
        }
        let pixels = resize::resize(pixels, window, self.transform.size(plan.size))?;
        Ok((pixels, plan))
    }

    /// Where the pixels of a cut are stored.
    fn stored_cut(&self, cut: Rect<u32>) -> Rect<u32> {
        self.transform.untransform(cut, self.turned)
    }

    /// Where the window's pixels are stored, once these pixels of the cut have been looked at if they must be.
    fn placed_window(
        &self,
        window: Rect<f64>,
        cut: Size,
        recipe: &Recipe,
        pixels: &Pixels,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Rect<f64>, RenderError> {
        let window = self.stored_window(window, cut);
        match recipe.target {
            Target::Cover { gravity: Gravity::Smart, .. } => smart::placed(pixels, window, keep_going),
            _ => Ok(window),
        }
    }

    /// Where the pixels of a window in a cut of this size are stored, counted from the stored cut's corner.
    fn stored_window(&self, window: Rect<f64>, cut: Size) -> Rect<f64> {
        self.transform.untransform(window, cut)
    }
}

/// What is known of a job's sizes before its pixels are: all, or with `trim` bounds. As stored, up to the canvas.
struct Sizes {
    is_cut: bool,
    cut: Size,
    /// In the cut; `None` if only the pixels will tell.
    window: Option<Rect<f64>>,
    /// What the window is resized to, before it is turned.
    scaled: Size,
    canvas: Size,
}

impl Sizes {
    /// `None` for a job that [`check`] refuses.
    fn new(header: &Header, recipe: &Recipe, limits: &Limits) -> Option<Self> {
        let layout = Layout::new(header, recipe).ok()?;
        let cut = layout.cut.size();
        let (window, scaled, canvas) = if recipe.trim {
            let most = geometry::sides_max(cut, recipe);
            (None, most, most)
        } else {
            let plan = geometry::plan(cut, recipe, limits.pixels_max).ok()?;
            let window = (!recipe.looks_at_pixels()).then(|| layout.stored_window(plan.window, cut));
            (window, plan.size, plan.canvas)
        };
        let is_cut = recipe.trim || cut != layout.turned;
        let (cut, scaled) = (layout.transform.size(cut), layout.transform.size(scaled));
        Some(Self { is_cut, cut, window, scaled, canvas })
    }

    /// Bytes alive at the peak of [`Layout::resized`].
    fn resized_peak_bytes(&self, header: &Header, kind: Kind) -> u64 {
        // Cutting works in place, but what is left may move into a smaller buffer.
        let moved = if self.is_cut { buffer(self.cut, kind) } else { 0 };
        let resize = match self.window {
            Some(window) => resize::peak_bytes(self.cut, kind, window, self.scaled),
            None => resize::filter_peak_bytes(self.cut, kind, self.scaled),
        };
        decode::peak_bytes(header).max(buffer(header.stored(), kind).saturating_add(moved)).max(resize)
    }
}

/// The kinds of pixels, at most, after the steps that change them.
struct Finished {
    padded: Kind,
    flat: Kind,
}

impl Finished {
    fn new(decoded: Kind, recipe: &Recipe) -> Self {
        let is_padded = matches!(recipe.target, Target::Pad { .. });
        let padded = if is_padded { decoded.with_alpha() } else { decoded };
        let grey = if recipe.grey { effect::grey_kind(padded) } else { padded };
        let flat = recipe.background.map_or(grey, |color| effect::flattened_kind(grey, color));
        Self { padded, flat }
    }
}

fn decimal(hundredths: Hundredths) -> f64 {
    f64::from(hundredths.0) / 100.0
}

#[cfg(test)]
mod animation_tests;
#[cfg(test)]
mod color_tests;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod play_tests;
#[cfg(test)]
mod smart_tests;
#[cfg(test)]
mod tests;
