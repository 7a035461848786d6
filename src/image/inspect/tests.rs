//! Tests of the structural check. [`support`] makes images byte by byte; each format has its own file; [`any_bytes`]
//! holds facts about all formats; [`corpus`] runs over images from other programs.

mod any_bytes;
mod avif;
mod corpus;
mod exif;
mod gif;
mod jpeg;
mod notes;
mod png;
mod support;
mod webp;

use super::{BrokenFile, InspectError, Inspected, Inspector};
use crate::image::header::{Header, Limits};

/// Large enough for the pictures of these tests, far below the sizes that the formats can claim.
pub(super) const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 10 };

/// As an upload without a walk: what is in doubt is refused.
pub(super) fn check(bytes: &[u8]) -> Result<Header, InspectError> {
    let mut inspector = Inspector::new(LIMITS);
    inspector.push(bytes)?;
    judged(inspector.finish()?)
}

pub(super) fn judged(Inspected { header, doubt, .. }: Inspected) -> Result<Header, InspectError> {
    doubt.map_or(Ok(header), Err)
}

pub(super) fn broken(fault: BrokenFile) -> Result<Header, InspectError> {
    Err(InspectError::Broken(fault))
}
