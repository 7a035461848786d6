//! The nouns that every module shares: which image ([`ObjectId`]), which format ([`Format`]), which
//! variant ([`Spec`]); how bytes are proven by their id ([`Verifier`]), and how a URL is signed ([`sign`]).
//!
//! Nothing here reads a file or a socket, knows the bytes of a format, or depends on another module. Strings are parsed
//! once, at the edge; inner code takes the types.

mod format;
mod hash;
mod id;
pub mod sign;
pub mod spec;

pub use format::{Extension, Format};
pub use hash::{IdHasher, Verifier, WITHHELD_BYTES};
pub use id::{ObjectId, ParseIdError};
pub use spec::{Spec, SpecError};
