//! The error of every step of the pipeline.

use std::fmt;

use super::shape::{Size, side_max};
use crate::object::Format;

/// Returns `Err(Cancelled)` once `keep_going` returns false.
pub(super) fn proceed(keep_going: &dyn Fn() -> bool) -> Result<(), RenderError> {
    if keep_going() { Ok(()) } else { Err(RenderError::Cancelled) }
}

/// The reason why a variant could not be made. No state has changed. Except for [`RenderError::Cancelled`], the same
/// call fails the same way again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// The stored image cannot be decoded. At fault: the data.
    Undecodable(DecodeFault),
    /// The image has no such frame. At fault: the caller.
    FrameMissing {
        /// Frames that the image has.
        frames: u32,
    },
    /// The source has more pixels than the limits allow. At fault: the data.
    TooLarge {
        /// The limit, width × height.
        pixels_max: u64,
    },
    /// The image has no such part, or the result would be too large. At fault: the caller.
    Geometry(GeometryError),
    /// A side of the result is zero or longer than the output format can hold. At fault: the caller.
    SideOutOfRange {
        /// The longest side of this format.
        side_max: u32,
    },
    /// The window is empty or reaches outside the picture. At fault: the caller.
    BadWindow,
    /// The metadata cannot surely be left out of the file. At fault: the data.
    NotStripped,
    /// `keep_going` returned false; a retry may succeed.
    Cancelled,
    /// The encoder refused valid pixels, or had no memory. At fault: this program.
    EncodeFailed(Format),
}

/// The fault of an image that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeFault {
    /// The data breaks the rules of its format or ends early.
    Corrupt,
    /// The decoded size is not the size in the header.
    SizeDiffers,
    /// Legal, but a coding that is not supported (12-bit or arithmetic JPEG, for example).
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
            Self::NotStripped => {
                f.write_str("the metadata cannot be left out of this file; ask for another size or format")
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

/// The reason why this image has no such variant. Image and spec are each valid: a smaller result or another part
/// helps, a retry does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryError {
    /// The crop lies outside the image.
    NothingLeft {
        /// The size of the image, after orientation and turn.
        turned: Size,
    },
    /// With `upscale`, a side beyond `images.max_dimension`.
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
        /// The output format.
        format: Format,
    },
    /// More pixels than `images.max_pixels`.
    BeyondPixels {
        /// Width × height.
        pixels: u128,
        /// `images.max_pixels`.
        pixels_max: u64,
    },
    /// More pixels than `images.max_output_pixels` allows for the format.
    BeyondOutput {
        /// Width × height of one frame.
        pixels: u128,
        /// The output format.
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
