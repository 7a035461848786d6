//! The steps of a variant that stays an animation: the steps of every variant, frame by frame.
//!
//! All frames are shown through the same window, found on the first one. Memory holds only the canvas of the source's
//! frames and, of the variant's frames, the pixels that the writer needs to find changes.

use super::layout::WindowPlacement;
use super::{check, finished};
use crate::image::color::ColorSpace;
use crate::image::decode::AnimationDecoder;
use crate::image::error::{DecodeFault, RenderError, proceed};
use crate::image::geometry;
use crate::image::header::{Header, Limits};
use crate::image::pixels::Pixels;
use crate::image::progress::{ProgressSink, RenderStage};
use crate::image::recipe::Recipe;
use crate::image::shape::{Rect, Size};
use crate::image::small_picture::{self, SmallPicture};
use crate::image::{encode, resize, trim};

/// Makes an animated variant of an animated source; returns its size too.
///
/// # Errors
///
/// As [`super::variant`].
pub(super) fn render(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    small: &mut SmallPicture,
    progress: &dyn ProgressSink,
) -> Result<(Vec<u8>, Size), RenderError> {
    check(header, recipe, limits)?;
    let keep_going = || progress.keep_going();
    let layout = WindowPlacement::new(source, header, recipe)?;
    let mut decoder = AnimationDecoder::new(source, header, limits)?;
    let mut view = None;
    let mut animation = None;
    let space = ColorSpace::of(source, header, recipe.gamut);
    progress.enter_stage(RenderStage::Decode);
    while let Some(delay_ms) = decoder.next(&keep_going)? {
        let shown = decoder.current_frame()?;
        progress.enter_stage(RenderStage::Resize);
        if view.is_none() {
            small.leave(source, header, |most| small_picture::reduced_whole(&shown, layout.light, most));
        }
        let (pixels, canvas) = frame(shown, space.clone(), &layout, &mut view, recipe, limits, &keep_going)?;
        let pixels = finished(pixels, layout.transform, canvas, recipe, &keep_going)?;
        proceed(&keep_going)?;
        progress.enter_stage(RenderStage::Encode);
        let animation = match &mut animation {
            Some(animation) => animation,
            none => {
                none.insert(encode::animation(recipe.format, canvas, decoder.loop_count(), recipe.quality)?)
            }
        };
        animation.push(pixels, delay_ms, &keep_going)?;
        progress.enter_stage(RenderStage::Decode);
    }
    progress.enter_stage(RenderStage::Encode);
    match (animation, view) {
        (Some(animation), Some(view)) => Ok((animation.finish(&keep_going)?, view.canvas)),
        // A file without any frame is not an animation.
        _ => Err(RenderError::Undecodable(DecodeFault::Corrupt)),
    }
}

/// The window of each frame, and its size.
#[derive(Clone, Copy)]
struct View {
    /// In stored coordinates.
    cut: Rect<u32>,
    /// In the cut, in stored coordinates.
    window: Rect<f64>,
    /// The size of the scaled window, before it is turned.
    to: Size,
    canvas: Size,
}

/// A frame in its size and in the colours of the result, and its canvas.
fn frame(
    mut pixels: Pixels,
    mut space: ColorSpace,
    layout: &WindowPlacement,
    view: &mut Option<View>,
    recipe: &Recipe,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<(Pixels, Size), RenderError> {
    if recipe.looks_at_pixels() {
        space.convert(&mut pixels);
    }
    let View { cut, window, to, canvas } = match *view {
        Some(view) => view,
        None => *view.insert(View::of(&pixels, layout, recipe, limits, keep_going)?),
    };
    let mut pixels = pixels.cropped(cut).ok_or(RenderError::BadWindow)?;
    if to.area() > cut.size().area() {
        space.convert(&mut pixels);
    }
    let mut pixels = resize::resize_in(layout.light, pixels, window, to)?;
    space.convert(&mut pixels);
    Ok((pixels, canvas))
}

impl View {
    /// The window for the first frame.
    fn of(
        pixels: &Pixels,
        layout: &WindowPlacement,
        recipe: &Recipe,
        limits: &Limits,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Self, RenderError> {
        let cut = if recipe.trim { trim::trimmed(pixels, layout.transform, layout.cut) } else { layout.cut };
        let plan = geometry::plan(cut.size(), recipe, limits.pixels_max)?;
        let (stored, to) = (layout.stored_cut(cut), layout.transform.size(plan.size));
        let window = if recipe.looks_at_pixels() {
            let shown = pixels.clone().cropped(stored).ok_or(RenderError::BadWindow)?;
            layout.placed_window(plan.window, cut.size(), recipe, &shown, keep_going)?
        } else {
            layout.stored_window(plan.window, cut.size())
        };
        Ok(Self { cut: stored, window, to, canvas: plan.canvas })
    }
}
