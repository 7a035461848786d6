//! Helpers of the picture tests.

pub(super) mod corpus;
pub(super) mod support;
