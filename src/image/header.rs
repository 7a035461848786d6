//! An image's header, read without decoding a pixel.

use super::shape::Size;
use crate::object::Format;

/// Bounds for every image, checked before memory is allocated.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Width × height, as stored.
    pub pixels_max: u64,
    /// Most frames of an animation; of a longer one only the first frame is used.
    pub frames_max: u32,
}

/// An image's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format, by content.
    pub format: Format,
    /// Pixels, as stored (before orientation).
    pub width: u32,
    /// Pixels, as stored (before orientation).
    pub height: u32,
    /// EXIF orientation 1–8; 1 when there is none or it is out of range.
    pub orientation: Orientation,
    /// Frames of the animation; 1 for a still.
    pub frames: u32,
    /// Whether any pixel may be transparent.
    pub has_alpha: bool,
    /// Kind and depth of the pixels.
    pub color: PixelFormat,
}

impl Header {
    /// The size as stored.
    pub const fn stored(&self) -> Size {
        Size { width: self.width, height: self.height }
    }

    /// The size as a viewer shows it, after orientation.
    pub const fn displayed(&self) -> Size {
        if self.orientation.swaps_sides() { self.stored().swapped() } else { self.stored() }
    }
}

/// An EXIF orientation, 1–8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// Stored as displayed.
    pub const NORMAL: Self = Self(1);

    /// The orientation with this EXIF value; [`Orientation::NORMAL`] for a value outside 1–8.
    pub const fn from_exif(value: u32) -> Self {
        match value {
            1..=8 => Self(value as u8),
            _ => Self::NORMAL,
        }
    }

    /// 1–8.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether width and height are exchanged.
    pub const fn swaps_sides(self) -> bool {
        self.0 >= 5
    }
}

/// Channels and depth of the pixels, printed as `/info` shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelFormat {
    /// The meaning of the channels.
    pub kind: ColorKind,
    /// Bits per channel; 8 for palettes, also for those of fewer bits.
    pub bits: u8,
}

/// The meaning of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorKind {
    /// One channel.
    Gray,
    /// One channel and alpha.
    GrayAlpha,
    /// Three channels (JPEG YCbCr included).
    Rgb,
    /// Three channels and alpha.
    Rgba,
    /// CMYK or YCCK.
    Cmyk,
    /// Indexed.
    Palette,
}

impl std::fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            ColorKind::Gray => "gray",
            ColorKind::GrayAlpha => "graya",
            ColorKind::Rgb => "rgb",
            ColorKind::Rgba => "rgba",
            ColorKind::Cmyk => "cmyk",
            ColorKind::Palette => "palette",
        };
        write!(f, "{kind}{}", self.bits)
    }
}
