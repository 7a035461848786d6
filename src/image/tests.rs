//! Helpers of the picture tests.

pub(super) mod corpus;
#[cfg(feature = "heic")]
pub(super) mod fixtures;
pub(super) mod support;
