//! The steps of a variant, on one screen.
//!
//! Decides nothing: sizes are geometry's, defaults the recipe's, and no URL is known here. Cut and window are mapped
//! back to where their pixels are stored, so the large decoded picture is scaled once and never turned. What is cut
//! away is gone before scaling, so that nothing of it shows at the edges.
//! Memory is bounded by [`peak_bytes`], which the caller charges before it calls [`render`].

use std::fmt;

use super::geometry::{self, GeometryError, Rect, Size, Transform};
use super::header::{Header, Limits};
use super::pixels::{Kind, Pixels};
use super::recipe::{Recipe, Target};
use super::{decode, effect, encode, orient, pad, resize, trim};
use crate::object::Format;
use crate::object::spec::Hundredths;

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
    check(header, recipe, limits)?;
    let layout = Layout::new(header, recipe)?;

    let mut pixels = decode::decode(source, header, recipe.frame, limits, keep_going)?;
    let cut = if recipe.trim { layout.trimmed(&pixels) } else { layout.cut };
    let plan = geometry::plan(cut.size(), recipe, limits.pixels_max)?;
    proceed(keep_going)?;
    pixels = pixels.cropped(layout.stored_cut(cut)).ok_or(RenderError::BadWindow)?;
    let window = layout.stored_window(plan.window, cut.size());
    pixels = resize::resize(pixels, window, layout.transform.size(plan.size))?;
    proceed(keep_going)?;
    pixels = orient::apply(layout.transform, pixels);
    pixels = pad::padded(pixels, plan.canvas);
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
    proceed(keep_going)?;
    encode::encode(pixels, recipe.format, recipe.quality)
}

/// Refuses what the header alone rules out, before anything is decoded.
///
/// # Errors
///
/// [`RenderError::FormatNotSupported`] and [`RenderError::Geometry`].
pub fn check(header: &Header, recipe: &Recipe, limits: &Limits) -> Result<(), RenderError> {
    encode::check_format(recipe.format)?;
    let cut = geometry::cut(header.displayed(), recipe)?;
    if !recipe.trim {
        geometry::plan(cut.size(), recipe, limits.pixels_max)?;
    }
    Ok(())
}

/// Bytes of decoded pixels and work buffers alive at the peak of a job that passes [`check`]: an upper bound. The
/// source's own bytes, and copies of its metadata (never longer than the source), are not counted.
pub fn peak_bytes(header: &Header, recipe: &Recipe, limits: &Limits) -> u64 {
    let kind = decode::kind(header);
    let Some(sizes) = Sizes::new(header, recipe, limits) else { return decode::peak_bytes(header) };
    let finished = Finished::new(kind, recipe);
    let buffer = |size: Size, kind: Kind| size.area().saturating_mul(kind.channels() as u64);
    let scaled = buffer(sizes.scaled, kind);
    let canvas = buffer(sizes.canvas, finished.padded);
    [
        decode::peak_bytes(header),
        // Cutting works in place, but what is left may move into a smaller buffer.
        buffer(header.stored(), kind).saturating_add(if sizes.is_cut { buffer(sizes.cut, kind) } else { 0 }),
        match sizes.window {
            Some(window) => resize::peak_bytes(sizes.cut, kind, window, sizes.scaled),
            None => resize::filter_peak_bytes(sizes.cut, kind, sizes.scaled),
        },
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

    fn trimmed(&self, pixels: &Pixels) -> Rect<u32> {
        trim::trimmed(pixels, self.transform, self.cut)
    }

    /// Where the pixels of a cut are stored.
    fn stored_cut(&self, cut: Rect<u32>) -> Rect<u32> {
        self.transform.untransform(cut, self.turned)
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
    /// In the cut; `None` if only trimming will tell.
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
            (Some(layout.stored_window(plan.window, cut)), plan.size, plan.canvas)
        };
        let is_cut = recipe.trim || cut != layout.turned;
        let (cut, scaled) = (layout.transform.size(cut), layout.transform.size(scaled));
        Some(Self { is_cut, cut, window, scaled, canvas })
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

/// `Err(Cancelled)` once the caller wants no result any more.
pub(super) fn proceed(keep_going: &dyn Fn() -> bool) -> Result<(), RenderError> {
    if keep_going() { Ok(()) } else { Err(RenderError::Cancelled) }
}

/// Why a variant could not be made. Nothing was changed anywhere; except for [`RenderError::Cancelled`] the
/// same call fails the same way again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// The stored image cannot be decoded. The data's fault.
    Undecodable(Fault),
    /// The frame asked for is not in the image. The caller's fault.
    FrameMissing {
        /// Frames that the image has.
        frames: u32,
    },
    /// The source has more pixels than the limits allow. The data's fault.
    TooLarge {
        /// The limit, width × height.
        pixels_max: u64,
    },
    /// The image has no such part, or the result would be too large. The caller's fault.
    Geometry(GeometryError),
    /// A side of the result is zero or longer than the output format can hold. The caller's fault.
    SideOutOfRange {
        /// The longest side of this format.
        side_max: u32,
    },
    /// The window is empty or reaches outside the picture. The caller's fault.
    BadWindow,
    /// This build neither reads nor writes that format.
    FormatNotSupported(Format),
    /// The caller's `keep_going` said no; another try may succeed.
    Cancelled,
    /// The encoder refused pixels that it should take, or had no memory. This program's fault.
    EncodeFailed(Format),
}

/// What is wrong with an image that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The data breaks the rules of its format or ends early.
    Corrupt,
    /// The decoder meets another size than the header says.
    SizeDiffers,
    /// Legal, but a way of coding that is not supported (12-bit or arithmetic JPEG, for example).
    Unsupported,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable(Fault::Corrupt) => {
                f.write_str("the image is damaged and cannot be decoded; upload an intact one")
            }
            Self::Undecodable(Fault::SizeDiffers) => {
                f.write_str("the image contradicts itself about its size; save it anew and upload that")
            }
            Self::Undecodable(Fault::Unsupported) => {
                f.write_str("the image is coded in a way that is not supported; save it as a plain 8-bit one")
            }
            Self::FrameMissing { frames } => {
                write!(f, "the image has {frames} frames; ask for a frame below {frames}")
            }
            Self::TooLarge { pixels_max } => {
                write!(f, "the image has more than {pixels_max} pixels; upload a smaller one")
            }
            Self::Geometry(error) => error.fmt(f),
            Self::SideOutOfRange { side_max } => {
                write!(f, "each side of the result must be 1 to {side_max} pixels; ask for a smaller size")
            }
            Self::BadWindow => f.write_str("the part to show must lie inside the image; choose another crop"),
            Self::FormatNotSupported(format) => {
                write!(f, "{} is not supported here; ask for another format", format.extension())
            }
            Self::Cancelled => f.write_str("the work was given up before it was done; try again"),
            Self::EncodeFailed(format) => {
                write!(f, "the result could not be written as {}; ask for another format", format.extension())
            }
        }
    }
}

impl std::error::Error for RenderError {}

impl From<GeometryError> for RenderError {
    fn from(error: GeometryError) -> Self {
        Self::Geometry(error)
    }
}

#[cfg(test)]
mod animation_tests;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
