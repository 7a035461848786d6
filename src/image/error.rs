//! Why a variant could not be made: what every step of the pipeline answers with.

use std::fmt;

use super::shape::{Size, side_max};
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
                f.write_str("the image contradicts itself about its size; save it again and upload that")
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

/// Why this image has no such variant. The image and the spec are each good: asking for a smaller
/// result or for another part helps, asking again does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryError {
    /// The crop lies outside the image.
    NothingLeft {
        /// Of the image, after orientation and turn.
        turned: Size,
    },
    /// With `upscale`, a side beyond the configured bound.
    BeyondDimension {
        /// The longer side, in pixels.
        side: u128,
        /// `images.max_dimension`.
        dimension_max: u32,
    },
    /// A side that the format cannot hold.
    BeyondFormat {
        /// The longer side, in pixels.
        side: u128,
        /// Of the output.
        format: Format,
    },
    /// More pixels than the configured bound.
    BeyondPixels {
        /// Width × height.
        pixels: u128,
        /// `images.max_pixels`.
        pixels_max: u64,
    },
    /// More pixels than results of the format may have.
    BeyondOutput {
        /// Width × height, of one frame.
        pixels: u128,
        /// Of the output.
        format: Format,
        /// `images.max_output_pixels`.
        pixels_max: u64,
    },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingLeft { turned: Size { width, height } } => {
                write!(f, "The crop leaves nothing of this image of {width}×{height} pixels: move it inside.")
            }
            Self::BeyondDimension { side, dimension_max } => write!(
                f,
                "A side of {side} pixels is longer than the {dimension_max} that enlarging may give: ask for less."
            ),
            Self::BeyondFormat { side, format } => write!(
                f,
                "A side of {side} pixels is longer than the {} that {} holds: ask for a smaller size or another format.",
                side_max(*format),
                format.extension()
            ),
            Self::BeyondPixels { pixels, pixels_max } => {
                write!(
                    f,
                    "A result of {pixels} pixels is over the limit of {pixels_max}: ask for a smaller size."
                )
            }
            Self::BeyondOutput { pixels, format, pixels_max } => write!(
                f,
                "A result of {pixels} pixels is over the limit of {pixels_max} for {}: ask for a smaller size or another format.",
                format.extension()
            ),
        }
    }
}

impl std::error::Error for GeometryError {}
