//! The steps of a variant, on one screen.
//!
//! Decides nothing: sizes are geometry's, defaults the recipe's, and no URL is known here. Cut and window are mapped
//! back to where their pixels are stored, so the large decoded picture is scaled once and never turned. What is cut
//! away is gone before scaling, so that nothing of it shows at the edges.
//! Colours become sRGB on the side of scaling that has fewer pixels, but before [`super::trim`] or [`super::smart`]
//! looks at them.
//! Memory is bounded by [`peak_bytes`], which the caller charges before it calls [`render`].

mod animation;
mod layout;
mod lengthy;
mod peak;
mod still;

use super::decoded_planes::DecodedPlanes;
use super::error::{RenderError, proceed};
use super::geometry;
use super::header::{Header, Limits};
use super::pixels::Pixels;
use super::progress::{ProgressSink, RenderStage};
use super::recipe::Recipe;
use super::shape::Size;
use super::transform::Transform;
use super::{effect, encode, metadata, orient, pad};
use crate::object::Format;
use crate::object::spec::Hundredths;
pub use peak::peak_bytes;
use still::{Picture, Still};

/// Makes one variant of `source`, which `header` describes. Runs until done; tells `progress` of each step and asks
/// it between steps and, in those that may take long, now and then.
///
/// # Errors
///
/// See [`RenderError`]; nothing outlives a failed call.
pub fn render(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    planes: &mut DecodedPlanes,
    progress: &dyn ProgressSink,
) -> Result<Vec<u8>, RenderError> {
    let (variant, canvas) = if recipe.keeps_animation(header) {
        animation::render(source, header, recipe, limits, progress)?
    } else {
        let picture = Still::new(source, header, recipe, limits, progress)?.picture(planes)?;
        proceed(&|| progress.keep_going())?;
        progress.enter_stage(RenderStage::Encode);
        let canvas = picture.size();
        let variant = match picture {
            Picture::Pixels(pixels) => {
                encode::encode_while(pixels, recipe.format, recipe.quality, &|| progress.keep_going())?
            }
            Picture::Planes(planes) => {
                encode::encode_planes(&planes, recipe.quality, &|| progress.keep_going())?
            }
        };
        (variant, canvas)
    };
    if recipe.meta {
        return Ok(metadata::carry(source, header.format, variant, recipe.format, canvas));
    }
    Ok(variant)
}

/// The finished picture of one variant, and what [`render`] writes if that is a still and no JPEG.
///
/// # Errors
///
/// As [`render`]; [`RenderError::EncodeFailed`] for a JPEG whose colours never become pixels.
pub fn picture(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    planes: &mut DecodedPlanes,
    progress: &dyn ProgressSink,
) -> Result<Pixels, RenderError> {
    match Still::new(source, header, recipe, limits, progress)?.picture(planes)? {
        Picture::Pixels(pixels) => Ok(pixels),
        Picture::Planes(_) => Err(RenderError::EncodeFailed(Format::Jpeg)),
    }
}

/// The decoded samples that a job begins with, if they are worth keeping for the next: the name of the scales that they
/// are decoded at, and bytes.
pub fn planes(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> Option<(String, u64)> {
    if recipe.keeps_animation(header) {
        return None;
    }
    let layout = layout::WindowPlacement::new(header, recipe).ok()?;
    let (shrunk, _) = still::shrunk(&layout, source, header, recipe, limits).ok()??;
    shrunk.is_worth_keeping().then(|| (format!("{:?}", shrunk.scales()), shrunk.planes_bytes()))
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

/// Whether a call in a job that passes [`check`] may run for more than 40 ms without asking its follower, or may end the
/// process.
pub fn wants_process(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> bool {
    lengthy::wants_process(source, header, recipe, limits)
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

fn decimal(hundredths: Hundredths) -> f64 {
    f64::from(hundredths.0) / 100.0
}

#[cfg(test)]
mod tests;
