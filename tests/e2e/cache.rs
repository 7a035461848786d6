//! Variants: made once, kept within bounds, and refused when they cost too much.

mod bounds;
mod costly;
mod overload;
mod placeholder;
pub(crate) mod variants;
