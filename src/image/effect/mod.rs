//! Effects on a picture of its final size: grey, blur, sharpen, flatten.
//!
//! Values are taken as encoded (no linear light). Where a pixel's neighbours count, colours are weighted by their
//! alpha, so that what hides under transparent pixels never bleeds out. No step changes a picture's size.

mod blur;
mod color;
mod kernel;
mod sharpen;

pub use blur::{WORK_BYTES_MAX, blur};
pub use color::{flattened, flattened_kind, grey, grey_kind};
pub use sharpen::sharpen;
