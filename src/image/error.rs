//! Why a variant could not be made: what every step of the pipeline answers with.

use std::fmt;

use super::geometry::GeometryError;
use crate::object::Format;

/// `Err(Cancelled)` once the caller wants no result any more.
pub(super) fn proceed(keep_going: &dyn Fn() -> bool) -> Result<(), RenderError> {
    if keep_going() { Ok(()) } else { Err(RenderError::Cancelled) }
}

/// Why a variant could not be made. Nothing was changed anywhere; except for [`RenderError::Cancelled`] the
/// same call fails the same way again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// The stored image cannot be decoded. The data's fault.
    Undecodable(DecodeFault),
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
    /// The caller's `keep_going` said no; another try may succeed.
    Cancelled,
    /// The encoder refused pixels that it should take, or had no memory. This program's fault.
    EncodeFailed(Format),
}

/// What is wrong with an image that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeFault {
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
            Self::Undecodable(DecodeFault::Corrupt) => {
                f.write_str("the image is damaged and cannot be decoded; upload an intact one")
            }
            Self::Undecodable(DecodeFault::SizeDiffers) => {
                f.write_str("the image contradicts itself about its size; save it anew and upload that")
            }
            Self::Undecodable(DecodeFault::Unsupported) => {
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
