//! Checks that must hold for any bytes: one function for each fuzz target, which panics where one does not.
//!
//! They see the program as everybody does, by what it exports. `tests/fuzz.rs` compiles them too and feeds them seeds and
//! all that was ever found, so that every test run repeats it. Where a check needs a choice besides a file, the last byte
//! is that choice: bytes after an image are allowed in every format, so that any file is a seed as it is.

mod decoders;
#[path = "../../../src/image/tests/fixtures.rs"]
mod fixtures;
mod inspector;
mod jpeg;
mod rendering;
pub mod seeds;
mod specs;

use reticulum::image::header::{Header, Limits};
use reticulum::image::inspect;

pub use decoders::{animation, avif, gif, heic, jxl, metadata, png, webp};
pub use inspector::inspect;
pub use jpeg::{jpeg, similarity};
pub use rendering::render;
pub use specs::spec;

/// A check by its target's name.
pub type Check = fn(&[u8]);

/// Every check.
pub const CHECKS: [(&str, Check); 13] = [
    ("jpeg", jpeg),
    ("similarity", similarity),
    ("spec", spec),
    ("inspect", inspect),
    ("png", png),
    ("gif", gif),
    ("webp", webp),
    ("avif", avif),
    ("heic", heic),
    ("jxl", jxl),
    ("animation", animation),
    ("metadata", metadata),
    ("render", render),
];

/// Small, so that one run is quick.
pub const LIMITS: Limits = Limits { pixels_max: 1 << 16, frames_max: 6 };

/// The facts of what would be taken as an upload and is small enough.
pub fn inspect_whole(data: &[u8]) -> Option<Header> {
    inspect::inspect(data, LIMITS).ok()
}

/// The choice that the input makes, below `count`.
fn choice(data: &[u8], count: usize) -> usize {
    data.last().map_or(0, |last| usize::from(*last) % count)
}
