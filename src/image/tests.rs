//! Helpers of the picture tests.

pub(super) mod corpus;
