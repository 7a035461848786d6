//! Details about a file beside its picture, as `/info` tells them.

use super::color::ColorSpaceName;

/// Details about a file beside its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// The colour space of its pixels.
    pub color_space: ColorSpaceName,
    /// Whether it is for bright displays: by a gain map, or by a curve of high dynamic range.
    pub is_hdr: bool,
    /// Whether it has content credentials (C2PA), which are not verified.
    pub has_c2pa: bool,
    /// Whether it tells the place where it was taken.
    pub has_location: bool,
}
