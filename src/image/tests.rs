//! Helpers of the picture tests.

pub(super) mod corpus;
pub(super) mod jpeg_maker;
pub(super) mod support;
