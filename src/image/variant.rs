//! From stored bytes and a recipe to a variant's bytes.
//!
//! In two steps, because between them the caller must charge the memory that the second one takes.

use std::fmt;

use super::geometry::{self, GeometryError, Rect, Transform};
use super::header::{Header, Limits};
use super::inspect::{self, InspectError};
use super::recipe::Recipe;
use super::render::{self, Job, RenderError};

/// A variant whose numbers are settled.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    header: Header,
    job: Job,
}

/// Why a variant cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantFault {
    /// The stored bytes do not pass today's check.
    Image(InspectError),
    /// The sizes asked for cannot be given of this image.
    Geometry(GeometryError),
    /// Decoding or encoding failed.
    Render(RenderError),
    /// The caller did not want it any more; another try may succeed.
    Stopped,
}

/// Reads the image's header and settles all numbers. Decodes nothing.
///
/// # Errors
/// [`VariantFault`], but never `Stopped`.
pub fn prepare(source: &[u8], recipe: &Recipe, limits: &Limits) -> Result<Prepared, VariantFault> {
    let header = inspect::inspect(source, *limits).map_err(VariantFault::Image)?;
    let plan =
        geometry::plan(header.displayed(), recipe, limits.pixels_max).map_err(VariantFault::Geometry)?;
    let job = Job {
        transform: Transform::of_orientation(header.orientation).then(plan.transform),
        window: Rect {
            x: plan.window.x + f64::from(plan.cut.x),
            y: plan.window.y + f64::from(plan.cut.y),
            width: plan.window.width,
            height: plan.window.height,
        },
        width: plan.size.width,
        height: plan.size.height,
        frame: recipe.frame,
        format: recipe.format,
        quality: recipe.quality,
    };
    Ok(Prepared { header, job })
}

impl Prepared {
    /// Bytes of pixels that [`Prepared::make`] has alive at most.
    pub fn peak_bytes(&self) -> u64 {
        render::peak_bytes(&self.header, &self.job)
    }

    /// Makes the variant from the same `source`; asks `keep_going` now and then.
    ///
    /// # Errors
    /// [`VariantFault::Render`], or `Stopped` once `keep_going` said no.
    pub fn make(
        &self,
        source: &[u8],
        limits: &Limits,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, VariantFault> {
        render::render(source, &self.header, &self.job, limits, keep_going).map_err(|error| match error {
            RenderError::Cancelled => VariantFault::Stopped,
            error => VariantFault::Render(error),
        })
    }
}

impl fmt::Display for VariantFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::Geometry(error) => error.fmt(f),
            Self::Render(error) => error.fmt(f),
            Self::Stopped => f.write_str("the variant is not wanted any more"),
        }
    }
}

impl std::error::Error for VariantFault {}
