//! Effects on a picture of its final size: grey, blur, sharpen, flatten.
//!
//! They work on encoded values, not on linear light. Where neighbours contribute, colours are weighted by their alpha,
//! so that the colours of transparent pixels never bleed out. No effect changes the size of a picture.

mod blur;
mod color;
mod kernel;
mod sharpen;

pub use blur::{WORK_BYTES_MAX, blur};
pub use color::{flattened, flattened_kind, grey, grey_kind};
pub use sharpen::sharpen;
