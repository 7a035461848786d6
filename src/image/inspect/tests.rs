//! Tests of the structural check. [`support`] makes images byte by byte; each format has its file; what holds for all is in
//! [`any_bytes`]; [`corpus`] runs over the images of others.

mod any_bytes;
mod avif;
mod corpus;
mod exif;
mod gif;
mod jpeg;
mod png;
mod support;
mod webp;

use super::{InspectError, inspect};
use crate::image::header::{Header, Limits};

/// Generous to the pictures of these tests, far below the sizes that the formats can claim.
pub(super) const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 10 };

pub(super) fn check(bytes: &[u8]) -> Result<Header, InspectError> {
    inspect(bytes, LIMITS)
}
