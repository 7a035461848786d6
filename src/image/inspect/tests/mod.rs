//! Tests of the structural check: [`corpus`] runs over the images of others.

mod corpus;

use super::{InspectError, inspect};
use crate::image::header::{Header, Limits};

/// Generous to the pictures of these tests, far below the sizes that the formats can claim.
pub(super) const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 10 };

pub(super) fn check(bytes: &[u8]) -> Result<Header, InspectError> {
    inspect(bytes, LIMITS)
}
