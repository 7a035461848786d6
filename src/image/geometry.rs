//! All sizes and windows of a variant, in two steps: the cut from the image, and the plan for that cut. Between the
//! two, trimming may make the cut smaller; without it, both are known before a pixel is decoded.
//!
//! Sizes are exact, in integers wide enough for every input. Only a window has a fraction, in fixed point. The
//! displayed size and the recipe determine everything: this module reads no image and no setting.
//!
//! Invariants of every [`Plan`]:
//! * The cut lies in the turned image, the window in the cut; neither is empty.
//! * No side of the output is 0 or longer than its format holds; the output has at most `pixels_max` pixels, and no
//!   more than the recipe allows.
//! * Without `upscale` the window is never enlarged.

#[cfg(test)]
mod tests;

use super::error::GeometryError;
use super::recipe::{Recipe, TargetSize};
use super::shape::{Rect, Size, side_max};
use crate::object::spec::{Crop, Gravity};

/// The plan for a cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The part of the cut that is resized, once. Its numbers are whole multiples of 2^-20 pixel, so sums and
    /// differences with sides of an image are exact and never reach beyond the edge by rounding.
    pub window: Rect<f64>,
    /// The size to which the window is resized.
    pub size: Size,
    /// The size of the output: `size`, or with `pad` the box around it.
    pub canvas: Size,
}

/// The part that the recipe's crop keeps of an image of this displayed size (after its EXIF orientation), in
/// coordinates of the image that the recipe has turned.
///
/// # Errors
/// [`GeometryError::NothingLeft`] when the crop misses the image.
pub fn cut(displayed: Size, recipe: &Recipe) -> Result<Rect<u32>, GeometryError> {
    let turned = recipe.transform.size(displayed);
    let Size { width, height } = turned;
    let crop = recipe.crop.unwrap_or(Crop { x: 0, y: 0, width, height });
    let cut = Rect {
        x: crop.x,
        y: crop.y,
        width: crop.width.min(width.saturating_sub(crop.x)),
        height: crop.height.min(height.saturating_sub(crop.y)),
    };
    if cut.width == 0 || cut.height == 0 { Err(GeometryError::NothingLeft { turned }) } else { Ok(cut) }
}

/// The plan for a cut of this size, which trimming may have reduced.
///
/// # Errors
/// [`GeometryError`] when the result is too large.
pub fn plan(cut: Size, recipe: &Recipe, pixels_max: u64) -> Result<Plan, GeometryError> {
    let source = Sides::of(cut.width, cut.height);
    let (size, canvas) = sizes(source, recipe);
    let canvas = within_limits(canvas, recipe, pixels_max)?;
    let size = size.within(canvas);
    let window = match recipe.target {
        TargetSize::Cover { gravity, .. } => {
            cover_window(source, Sides::of(size.width, size.height), gravity)
        }
        _ => whole(source),
    };
    Ok(Plan { window: window.in_pixels(), size, canvas })
}

/// Whether a variant of an image of this displayed size is within the recipe's bound on pixels. If trimming decides the
/// size, the untrimmed size counts. `true` for a variant that is refused for another reason.
pub fn is_within_output(displayed: Size, recipe: &Recipe) -> bool {
    let planned = cut(displayed, recipe).and_then(|cut| plan(cut.size(), recipe, u64::MAX));
    !matches!(planned, Err(GeometryError::BeyondOutput { .. }))
}

/// Upper bounds of the sides of every plan for a cut of this size, however it is trimmed.
pub fn sides_max(cut: Size, recipe: &Recipe) -> Size {
    let unbound = if recipe.upscale { recipe.dimension_max } else { u32::MAX };
    let (width, height) = match recipe.target {
        TargetSize::Pad { width, height } => return Size { width, height },
        TargetSize::Full => (u32::MAX, u32::MAX),
        TargetSize::Width(width) => (width, unbound),
        TargetSize::Height(height) => (unbound, height),
        TargetSize::Contain { width, height }
        | TargetSize::Cover { width, height, .. }
        | TargetSize::Stretch { width, height } => (width, height),
    };
    if recipe.upscale {
        Size { width, height }
    } else {
        Size { width: width.min(cut.width), height: height.min(cut.height) }
    }
}

/// Width and height, each at least 1, in integers wide enough for every product here. Inputs have 32 bits, so a scaled
/// side has at most 64, and two of them, or one times [`UNIT`], at most 128.
#[derive(Clone, Copy)]
struct Sides {
    width: u128,
    height: u128,
}

impl Sides {
    /// A side of 0, which no resolved recipe asks for, counts as 1.
    fn of(width: u32, height: u32) -> Self {
        Self { width: width.max(1).into(), height: height.max(1).into() }
    }

    /// The size in `u32`, at most the canvas, which has passed the limits.
    fn within(self, canvas: Size) -> Size {
        let side = |side: u128, max: u32| u32::try_from(side).unwrap_or(max).min(max);
        Size { width: side(self.width, canvas.width), height: side(self.height, canvas.height) }
    }
}

/// The size to which the window is resized, and the size of the output.
fn sizes(source: Sides, recipe: &Recipe) -> (Sides, Sides) {
    let up = recipe.upscale;
    let size = match recipe.target {
        TargetSize::Full => source,
        TargetSize::Width(width) => by_width(source, limited(source, Sides::of(width, 1), up).width),
        TargetSize::Height(height) => by_height(source, limited(source, Sides::of(1, height), up).height),
        TargetSize::Contain { width, height } => contained(source, Sides::of(width, height), up),
        TargetSize::Cover { width, height, .. } => covering(source, Sides::of(width, height), up),
        TargetSize::Stretch { width, height } => limited(source, Sides::of(width, height), up),
        TargetSize::Pad { width, height } => {
            let canvas = Sides::of(width, height);
            return (contained(source, canvas, up), canvas);
        }
    };
    (size, size)
}

/// The requested size; without `up`, each side is at most the source's.
fn limited(source: Sides, asked: Sides, up: bool) -> Sides {
    let limit = |asked: u128, side: u128| if up { asked } else { asked.min(side) };
    Sides { width: limit(asked.width, source.width), height: limit(asked.height, source.height) }
}

/// The largest size of the source's aspect in the box; the side that binds is exact.
fn contained(source: Sides, asked: Sides, up: bool) -> Sides {
    let limited = limited(source, asked, up);
    if asked.width * source.height <= asked.height * source.width {
        by_width(source, limited.width)
    } else {
        by_height(source, limited.height)
    }
}

/// The box; without `up`, the largest size of its aspect within both box and source.
fn covering(source: Sides, asked: Sides, up: bool) -> Sides {
    if up || (source.width >= asked.width && source.height >= asked.height) {
        asked
    } else if source.width * asked.height <= source.height * asked.width {
        by_width(asked, source.width)
    } else {
        by_height(asked, source.height)
    }
}

/// The size of this width and the source's aspect.
fn by_width(source: Sides, width: u128) -> Sides {
    Sides { width, height: scaled(source.height, width, source.width) }
}

/// The size of this height and the source's aspect.
fn by_height(source: Sides, height: u128) -> Sides {
    Sides { width: scaled(source.width, height, source.height), height }
}

/// side × numerator ÷ denominator, halves rounded up, at least 1.
fn scaled(side: u128, numerator: u128, denominator: u128) -> u128 {
    ((2 * side * numerator + denominator) / (2 * denominator)).max(1)
}

fn within_limits(canvas: Sides, recipe: &Recipe, pixels_max: u64) -> Result<Size, GeometryError> {
    let side = canvas.width.max(canvas.height);
    let (dimension_max, format) = (recipe.dimension_max, recipe.format);
    if recipe.upscale && side > dimension_max.into() {
        return Err(GeometryError::BeyondDimension { side, dimension_max });
    }
    let pixels = canvas.width * canvas.height;
    if pixels > pixels_max.into() {
        return Err(GeometryError::BeyondPixels { pixels, pixels_max });
    }
    if pixels > recipe.pixels_max.into() {
        return Err(GeometryError::BeyondOutput { pixels, format, pixels_max: recipe.pixels_max });
    }
    match (u32::try_from(canvas.width), u32::try_from(canvas.height)) {
        (Ok(width), Ok(height)) if side <= side_max(format).into() => Ok(Size { width, height }),
        _ => Err(GeometryError::BeyondFormat { side, format }),
    }
}

/// Grid units in a pixel: a side below 2^32 has at most 52 bits, which an `f64` holds exactly.
const UNIT: u128 = 1 << 20;

/// A rectangle in grid units.
struct Window {
    x: u128,
    y: u128,
    width: u128,
    height: u128,
}

impl Window {
    fn in_pixels(&self) -> Rect<f64> {
        // Both conversions and the division by a power of two are exact.
        let pixels = |units: u128| units as f64 / UNIT as f64;
        Rect { x: pixels(self.x), y: pixels(self.y), width: pixels(self.width), height: pixels(self.height) }
    }
}

fn whole(source: Sides) -> Window {
    Window { x: 0, y: 0, width: source.width * UNIT, height: source.height * UNIT }
}

/// The largest window of the aspect of `size`, placed by the gravity.
fn cover_window(source: Sides, size: Sides, gravity: Gravity) -> Window {
    let full = whole(source);
    let (width, height) = if source.width * size.height <= source.height * size.width {
        (full.width, scaled(full.width, size.height, size.width).min(full.height))
    } else {
        (scaled(full.height, size.width, size.height).min(full.width), full.height)
    };
    let (x, y) = match gravity {
        Gravity::Compass { column, row } => {
            (flush(full.width - width, column), flush(full.height - height, row))
        }
        Gravity::Focus { x, y } => (centred(full.width, width, x.0), centred(full.height, height, y.0)),
        // This module sees no pixels; until saliency is known, the window stays in the middle.
        Gravity::Smart => (flush(full.width - width, 1), flush(full.height - height, 1)),
    };
    Window { x, y, width, height }
}

/// The window's edge if the free space lies after it (0), on both sides (1) or before it (2).
fn flush(free: u128, place: u8) -> u128 {
    free * u128::from(place.min(2)) / 2
}

/// The edge of a window that is centred at the hundredths of the side and moved inside.
fn centred(side: u128, window: u128, hundredths: u32) -> u128 {
    (side * u128::from(hundredths) / 100).saturating_sub(window / 2).min(side - window)
}
