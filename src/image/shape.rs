//! Sizes and rectangles, and the longest side of each format. Pixel (0, 0) covers the square from (0, 0) to (1, 1).

use crate::object::Format;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// A rectangle: in whole pixels (`u32`) or with fractions (`f64`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect<T> {
    /// Left edge.
    pub x: T,
    /// Top edge.
    pub y: T,
    /// Above 0.
    pub width: T,
    /// Above 0.
    pub height: T,
}

impl Size {
    /// Width × height.
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Half the sides, rounded up.
    pub const fn halved(self) -> Self {
        Self { width: self.width.div_ceil(2), height: self.height.div_ceil(2) }
    }

    /// Width and height exchanged.
    pub const fn swapped(self) -> Self {
        Self { width: self.height, height: self.width }
    }
}

impl Rect<u32> {
    /// The size, without the place.
    pub const fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }
}

impl Rect<f64> {
    /// The whole area of an image of this size.
    pub fn whole(size: Size) -> Self {
        Self { x: 0.0, y: 0.0, width: f64::from(size.width), height: f64::from(size.height) }
    }
}

/// The longest side that a format holds, in pixels. JPEG and GIF have 16 bits for it, WebP 14, PNG 31. AV1 has 16 for
/// the side less one, but encoders exclude the last value.
pub const fn side_max(format: Format) -> u32 {
    match format {
        Format::Jpeg | Format::Gif | Format::Avif | Format::Heic => 65_535,
        Format::Webp => 16_383,
        Format::Png => 0x7fff_ffff,
        Format::Jxl => 1 << 30,
    }
}
