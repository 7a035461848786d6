//! Helpers of the picture tests.

pub(super) mod corpus;
#[cfg(all(feature = "heic", feature = "jxl"))]
pub(super) mod fixtures;
pub(super) mod support;
