//! The nouns that every module shares: which image ([`ObjectId`]), which format ([`Format`]), which
//! variant ([`Spec`]); and how a URL is signed ([`sign`]).
//!
//! Parse and print only: nothing here knows a byte of an image, a file or a socket, and nothing
//! here depends on another module. Strings are parsed once, at the edge; inner code takes the types.

mod format;
mod id;
pub mod sign;
pub mod spec;

pub use format::{Extension, Format};
pub use id::{ObjectId, ParseIdError};
pub use spec::{Spec, SpecError};
