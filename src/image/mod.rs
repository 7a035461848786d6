//! Pictures as pure functions on bytes: no I/O, no clock, no log.
//!
//! * [`header`]: format, size, orientation, frames and colours of an image.
//! * [`inspect`]: whether an upload is a structurally complete image within limits. Takes chunks, never decodes pixels.
//! * [`recipe`]: a spec with every default filled in; it alone, with the image, decides a variant's bytes.
//! * [`shape`]: sizes and rectangles. [`transform`]: turns and mirrors.
//! * [`geometry`]: all sizes and windows of a variant, in integers and fixed-point rectangles.
//! * [`render`]: the steps of a variant, on one screen: [`decode`] to [`pixels`], [`color`], [`trim`], [`smart`],
//!   [`resize`], [`orient`], [`pad`], [`effect`], [`encode`], and [`metadata`] on request. [`error`] is the error of
//!   all of them.
//! * [`progress`]: the stages that a job reports.
//! * [`variant`]: from stored bytes and a recipe to a variant's bytes: all of the above.
//! * [`light`]: stored values and linear light.
//! * [`jpeg`]: a decoder that scales JPEGs down while it decodes them.
//! * `shrink_on_load`: the window of a JPEG at its target size, without decoding the whole picture to pixels.
//! * [`decoded_planes`]: the planes that the decode for one size leaves for the next.
//! * [`placeholder`]: the average colour and a ThumbHash. [`small_picture`]: the picture that a job leaves for them.
//! * `area_mean`: reduces a picture to a few pixels, beside other work.
//! * [`draw`]: sample pictures that the program draws itself.

mod area_mean;
pub mod color;
mod container;
pub mod decode;
pub mod decoded_planes;
pub mod details;
pub mod draw;
pub mod effect;
pub mod encode;
pub mod error;
pub mod geometry;
pub mod header;
pub mod inspect;
pub mod jpeg;
pub mod light;
pub mod metadata;
pub mod orient;
pub mod pad;
pub mod pixels;
pub mod placeholder;
pub mod progress;
pub mod recipe;
pub mod render;
pub mod resize;
pub mod shape;
mod shrink_on_load;
pub mod small_picture;
pub mod smart;
#[cfg(test)]
mod tests;
pub mod transform;
pub mod trim;
pub mod variant;
