//! The outer structure of files: segments and chunks, walked in memory without decoding anything.
//!
//! Every walk ends at a part that does not fit, and allocates nothing. [`super::inspect`], which reads files as they
//! arrive, decides whether a file is complete.

pub(super) mod avif;
pub(super) mod gif;
pub(super) mod jpeg;
#[cfg(feature = "jxl")]
pub(super) mod jxl;
#[cfg(not(feature = "jxl"))]
#[path = "jxl_left_out.rs"]
pub(super) mod jxl;
pub(super) mod png;
pub(super) mod webp;
