//! HEIC in a build without its decoder: every file is of an unsupported kind.
//!
//! Such a node takes no HEIC. It may still hold some, from builds that do.

use super::UNSUPPORTED;
use crate::image::error::RenderError;
use crate::image::light::Light;
use crate::image::pixels::Pixels;
use crate::image::shape::Size;

pub(super) const WORK_BYTES_PER_PIXEL: u64 = 0;

pub(super) const fn decode(
    _source: &[u8],
    _size: Size,
    _reduced: (u32, Light),
    _keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    Err(UNSUPPORTED)
}

pub(super) const fn can_reduce(_source: &[u8], _factor: u32) -> bool {
    false
}

pub(super) const fn work_bytes(_source: &[u8], _size: Size) -> u64 {
    0
}

pub(super) const fn work_bytes_beyond(_size: Size) -> u64 {
    0
}
