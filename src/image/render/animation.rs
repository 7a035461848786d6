//! The steps of a variant that stays an animation: those of every variant, frame by frame.
//!
//! All frames are shown through the same window, found on the first one. Of the source's frames only the canvas is
//! kept, of the variant's only what the writer needs to tell what changes.

use super::*;
use crate::image::decode::Player;
use crate::image::error::Fault;

/// Makes an animated variant of an animated source; its size stands beside it.
///
/// # Errors
///
/// As [`super::render`].
pub(super) fn render(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<(Vec<u8>, Size), RenderError> {
    check(header, recipe, limits)?;
    let layout = Layout::new(header, recipe)?;
    let mut player = Player::new(source, header, limits)?;
    let mut view = None;
    let mut animation = None;
    while let Some(delay_ms) = player.next(keep_going)? {
        let (pixels, canvas) = frame(player.shown()?, &layout, &mut view, recipe, limits, keep_going)?;
        let pixels = finished(pixels, layout.transform, canvas, recipe, keep_going)?;
        proceed(keep_going)?;
        let animation = match &mut animation {
            Some(animation) => animation,
            none => none.insert(encode::animation(recipe.format, canvas, player.plays(), recipe.quality)?),
        };
        animation.push(pixels, delay_ms)?;
    }
    match (animation, view) {
        (Some(animation), Some(view)) => Ok((animation.finish()?, view.canvas)),
        // A file without any frame is no animation.
        _ => Err(RenderError::Undecodable(Fault::Corrupt)),
    }
}

/// What of each frame is shown, and in what size.
#[derive(Clone, Copy)]
struct View {
    /// As stored.
    cut: Rect<u32>,
    /// In the cut, as stored.
    window: Rect<f64>,
    /// Of the window, as stored.
    to: Size,
    canvas: Size,
}

/// A frame in its size, and the canvas that it will fill.
fn frame(
    pixels: Pixels,
    layout: &Layout,
    view: &mut Option<View>,
    recipe: &Recipe,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<(Pixels, Size), RenderError> {
    if let Some(View { cut, window, to, canvas }) = *view {
        let pixels = pixels.cropped(cut).ok_or(RenderError::BadWindow)?;
        return Ok((resize::resize(pixels, window, to)?, canvas));
    }
    let cut = if recipe.trim { layout.trimmed(&pixels) } else { layout.cut };
    let plan = geometry::plan(cut.size(), recipe, limits.pixels_max)?;
    let pixels = pixels.cropped(layout.stored_cut(cut)).ok_or(RenderError::BadWindow)?;
    let window = layout.placed_window(plan.window, cut.size(), recipe, &pixels, keep_going)?;
    let to = layout.transform.size(plan.size);
    *view = Some(View { cut: layout.stored_cut(cut), window, to, canvas: plan.canvas });
    Ok((resize::resize(pixels, window, to)?, plan.canvas))
}
