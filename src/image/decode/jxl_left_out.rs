//! JPEG XL in a build without its decoder: every file is of an unsupported kind.
//!
//! Such a node takes no JPEG XL. It may still hold some, from builds that do.

use super::UNSUPPORTED;
use crate::image::error::RenderError;
use crate::image::header::Header;
use crate::image::pixels::Pixels;
use crate::image::shape::Size;

pub(super) const WORK_BYTES: u64 = 0;

pub(super) const fn work_bytes_per_pixel(_header: &Header) -> u64 {
    0
}

pub(super) const fn decode(
    _source: &[u8],
    _size: Size,
    _keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    Err(UNSUPPORTED)
}
