//! The steps of a variant, on one screen.
//!
//! Decides nothing: geometry gives the sizes, the recipe the defaults, and no URL is known here. Cut and window are
//! mapped back to the stored coordinates of the pixels, so the large decoded picture is scaled once and never turned.
//! Pixels outside the cut are removed before scaling, so that none of them shows at the edges. Colours become those of
//! the result before or after scaling, whichever has fewer pixels, but always before [`super::trim`] or
//! [`super::smart`] reads them. Memory is bounded by [`peak_bytes`], which the caller charges before it calls [`variant`].

mod animation;
mod layout;
mod lengthy;
mod light;
mod peak;
mod reduced;
mod still;

use super::decoded_planes::DecodedPlanes;
use super::error::{RenderError, proceed};
use super::geometry;
use super::header::{Header, Limits};
use super::pixels::Pixels;
use super::progress::{ProgressSink, RenderStage};
use super::recipe::Recipe;
use super::shape::Size;
use super::small_picture::SmallPicture;
use super::transform::Transform;
use super::{color, effect, encode, metadata, orient, pad};
use crate::object::Format;
use crate::object::spec::Hundredths;
pub use peak::peak_bytes;
use still::{Picture, Still};

/// Makes one variant of `source`, which `header` describes. Runs to the end unless cancelled: it reports each stage to
/// `progress`, and asks it between steps and within long ones whether to continue. Leaves planes and the small picture
/// where they are wanted and at hand.
///
/// # Errors
///
/// See [`RenderError`]; nothing remains of a failed call.
pub fn variant(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    planes: &mut DecodedPlanes,
    small: &mut SmallPicture,
    progress: &dyn ProgressSink,
) -> Result<Vec<u8>, RenderError> {
    let mut has_colors = true;
    let (file, canvas) = if recipe.keeps_animation(header) {
        animation::render(source, header, recipe, limits, small, progress)?
    } else {
        let picture = Still::new(source, header, recipe, limits, progress)?.picture(planes, small)?;
        proceed(&|| progress.keep_going())?;
        progress.enter_stage(RenderStage::Encode);
        let canvas = picture.size();
        let file = match picture {
            Picture::Pixels(pixels) => {
                has_colors = !pixels.kind().is_gray();
                encode::encode_while(pixels, recipe.format, recipe.quality, &|| progress.keep_going())?
            }
            Picture::Planes(planes) => {
                encode::encode_planes(&planes, recipe.quality, &|| progress.keep_going())?
            }
        };
        (file, canvas)
    };
    let file = match recipe.gamut.icc() {
        Some(profile) if has_colors => metadata::with_profile(file, recipe.format, canvas, profile),
        _ => file,
    };
    if recipe.meta {
        return Ok(metadata::carry(source, header.format, file, recipe.format, canvas));
    }
    Ok(file)
}

/// Makes the finished picture of one variant, which [`variant`] writes if it is a still and not a JPEG.
///
/// # Errors
///
/// As [`variant`]; [`RenderError::EncodeFailed`] for a JPEG whose colours never become pixels.
pub fn picture(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    planes: &mut DecodedPlanes,
    progress: &dyn ProgressSink,
) -> Result<Pixels, RenderError> {
    match Still::new(source, header, recipe, limits, progress)?
        .picture(planes, &mut SmallPicture::Unwanted)?
    {
        Picture::Pixels(pixels) => Ok(pixels),
        Picture::Planes(_) => Err(RenderError::EncodeFailed(Format::Jpeg)),
    }
}

/// The decoded samples with which a job begins, if they are worth keeping for the next job: the name of their scales,
/// and their bytes.
pub fn planes(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> Option<(String, u64)> {
    if recipe.keeps_animation(header) {
        return None;
    }
    let layout = layout::WindowPlacement::new(source, header, recipe).ok()?;
    if let Some((reduced, _)) = reduced::Reduced::of(&layout, source, header, recipe, limits).ok()? {
        return reduced.planes();
    }
    let (shrunk, _) = still::shrunk(&layout, source, header, recipe, limits).ok()??;
    shrunk.is_worth_keeping().then(|| (shrunk.planes_name(), shrunk.planes_bytes()))
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
    if let Some(background) = recipe.background {
        pixels = effect::flattened(pixels, color::of_srgb(background, recipe.gamut));
    }
    Ok(pixels)
}

/// Whether a call in a job that passes [`check`] may run for more than 40 ms without asking its progress sink, or may
/// end the process.
pub fn wants_process(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> bool {
    lengthy::wants_process(source, header, recipe, limits)
}

/// Refuses a job by its header alone, before anything is decoded.
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
