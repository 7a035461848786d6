//! The outer shape of files: segments and chunks, walked in memory without decoding anything.
//!
//! Every walk ends where a part does not fit, and reserves nothing. Whether a file is whole is for
//! [`super::inspect`] to say, which reads files as they arrive.

pub(super) mod avif;
pub(super) mod jpeg;
pub(super) mod png;
pub(super) mod webp;
