//! From stored bytes and a recipe to a variant's bytes.
//!
//! In two steps, because between them the caller must charge the memory that the second one takes.

use std::fmt;

use super::decoded_planes::DecodedPlanes;
use super::error::RenderError;
use super::header::{Header, Limits};
use super::inspect::{self, InspectError};
use super::placeholder::Placeholder;
use super::progress::ProgressSink;
use super::recipe::Recipe;
use super::render;

/// A variant that nothing is known to forbid.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    source: &'a [u8],
    header: Header,
    recipe: &'a Recipe,
    limits: Limits,
}

/// Why a variant cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantFault {
    /// The stored bytes do not pass today's check.
    Image(InspectError),
    /// The image has no such variant, or decoding or encoding failed.
    Render(RenderError),
    /// Making it would take more memory than all jobs together may have.
    TooMuchMemory {
        /// Bytes, at most.
        bytes: u64,
        /// `limits.decode_memory`.
        bytes_max: u64,
    },
    /// The caller did not want it any more; another try may succeed.
    Stopped,
}

/// Reads the image's header and refuses what it alone rules out. Decodes nothing.
///
/// # Errors
/// [`VariantFault`], but never `Stopped`.
pub fn prepare<'a>(
    source: &'a [u8],
    recipe: &'a Recipe,
    limits: &Limits,
) -> Result<Prepared<'a>, VariantFault> {
    let header = inspect::inspect(source, *limits).map_err(VariantFault::Image)?;
    render::check(&header, recipe, limits)?;
    Ok(Prepared { source, header, recipe, limits: *limits })
}

impl Prepared<'_> {
    /// The stored bytes, or as much of them as there is.
    pub const fn source(&self) -> &[u8] {
        self.source
    }

    /// The recipe of the variant.
    pub const fn recipe(&self) -> &Recipe {
        self.recipe
    }

    /// The bounds of every image.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a call in [`Prepared::make`] may run for more than 40 ms without asking its follower, or may end the
    /// process: then it is for a process that can be ended.
    pub fn wants_process(&self) -> bool {
        render::wants_process(self.source, &self.header, self.recipe, &self.limits)
    }

    /// Bytes of pixels that [`Prepared::make`] has alive at most.
    pub fn peak_bytes(&self) -> u64 {
        render::peak_bytes(self.source, &self.header, self.recipe, &self.limits)
    }

    /// The name of the decoded planes that this and other variants begin with, and their bytes; `None` where there
    /// are none worth keeping. The source's [head](super::decoded_planes::head) gives the same answer.
    pub fn planes(&self) -> Option<(String, u64)> {
        render::planes(self.source, &self.header, self.recipe, &self.limits)
    }

    /// Makes the variant; tells `progress` of its steps and asks it now and then.
    ///
    /// # Errors
    /// [`VariantFault::Render`], or `Stopped` once `progress` said no.
    pub fn make(
        &self,
        planes: &mut DecodedPlanes,
        progress: &dyn ProgressSink,
    ) -> Result<Vec<u8>, VariantFault> {
        let Self { source, header, recipe, limits } = self;
        Ok(render::render(source, header, recipe, limits, planes, progress)?)
    }

    /// The placeholder of the image; takes what was prepared for [`super::placeholder::recipe`]. Tells and asks `progress` as
    /// [`Prepared::make`] does.
    ///
    /// # Errors
    /// As [`Prepared::make`].
    pub fn placeholder(
        &self,
        planes: &mut DecodedPlanes,
        progress: &dyn ProgressSink,
    ) -> Result<Placeholder, VariantFault> {
        let Self { source, header, recipe, limits } = self;
        let picture = render::picture(source, header, recipe, limits, planes, progress)?;
        Ok(Placeholder::of(picture).ok_or(RenderError::BadWindow)?)
    }
}

impl From<RenderError> for VariantFault {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Cancelled => Self::Stopped,
            error => Self::Render(error),
        }
    }
}

impl fmt::Display for VariantFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::Render(error) => error.fmt(f),
            Self::TooMuchMemory { bytes, bytes_max } => write!(
                f,
                "Making this variant may take {bytes} bytes of memory, and this node has {bytes_max} for that: ask for a smaller size or another format."
            ),
            Self::Stopped => f.write_str("the variant is not wanted any more"),
        }
    }
}

impl std::error::Error for VariantFault {}
