//! The steps of a variant, on one screen: decode, resize a window, transform, encode.
//!
//! Works on whole numbers that others have settled: no default, size rule or URL is known here. The window is
//! mapped back to where its pixels are stored, so the large decoded picture is scaled once and is never copied
//! or turned. Memory is bounded by [`peak_bytes`], which the caller charges before it calls [`render`].

use std::fmt;

use super::geometry::{Rect, Size, Transform};
use super::header::{Header, Limits};
use super::{decode, encode, orient, resize};
use crate::object::Format;

/// What to make, all numbers settled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// Stored → displayed: orientation, turn and mirrors composed.
    pub transform: Transform,
    /// The part to show, in coordinates of the displayed and turned picture; scaled once.
    pub window: Rect<f64>,
    /// Pixels of the result, at least 1.
    pub width: u32,
    /// Pixels of the result, at least 1.
    pub height: u32,
    /// Which frame of an animation, from 0; `None`: the first.
    pub frame: Option<u32>,
    /// The format of the result.
    pub format: Format,
    /// 1–100, for formats that take one.
    pub quality: Option<u8>,
}

/// Makes one variant of `source`, whose facts `header` states. Runs until done; asks `keep_going` between
/// steps and, where the decoder goes row by row, between rows.
///
/// # Errors
///
/// See [`RenderError`]; nothing outlives a failed call.
pub fn render(
    source: &[u8],
    header: &Header,
    job: &Job,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<Vec<u8>, RenderError> {
    let plan = Plan::new(header, job);
    encode::check(job.format, plan.result)?;
    let pixels = decode::decode(source, header, job.frame, limits, keep_going)?;
    proceed(keep_going)?;
    let pixels = resize::resize(pixels, plan.window, plan.scaled)?;
    proceed(keep_going)?;
    let pixels = orient::apply(job.transform, pixels);
    encode::encode(pixels, job.format, job.quality)
}

/// Bytes of decoded pixels and work buffers alive at the peak of this job: an upper bound. The source's own
/// bytes, and copies of its metadata (never longer than the source), are not counted.
pub fn peak_bytes(header: &Header, job: &Job) -> u64 {
    let plan = Plan::new(header, job);
    let kind = decode::kind(header);
    let turned =
        plan.result.area().saturating_mul(kind.channels() as u64 * if job.transform.swap { 2 } else { 1 });
    decode::peak_bytes(header)
        .max(resize::peak_bytes(plan.stored, kind, plan.window, plan.scaled))
        .max(turned)
        .max(encode::peak_bytes(job.format, kind, plan.result))
}

/// `Err(Cancelled)` once the caller wants no result any more.
pub(super) fn proceed(keep_going: &dyn Fn() -> bool) -> Result<(), RenderError> {
    if keep_going() { Ok(()) } else { Err(RenderError::Cancelled) }
}

/// The job in stored coordinates.
struct Plan {
    stored: Size,
    /// The window, where its pixels are stored.
    window: Rect<f64>,
    /// The result before it is transformed.
    scaled: Size,
    result: Size,
}

impl Plan {
    fn new(header: &Header, job: &Job) -> Self {
        let stored = header.stored();
        let result = Size { width: job.width, height: job.height };
        let window = job.transform.untransform(job.window, job.transform.size(stored));
        Self { stored, window, scaled: job.transform.size(result), result }
    }
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

#[cfg(test)]
mod animation_tests;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
