//! The outer structure of files: segments and chunks, walked in memory without decoding anything.
//!
//! Every walk ends at a part that does not fit, and allocates nothing. [`super::inspect`], which reads files as they
//! arrive, decides whether a file is complete.

pub(super) mod avif;
pub(super) mod gif;
pub(super) mod jpeg;
pub(super) mod png;
pub(super) mod webp;
