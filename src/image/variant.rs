//! From stored bytes and a recipe to a variant's bytes.
//!
//! In two steps, because between them the caller must charge the memory of the second one.

use std::fmt;

use super::decoded_planes::DecodedPlanes;
use super::error::RenderError;
use super::header::{Header, Limits};
use super::inspect::{self, InspectError};
use super::placeholder::Placeholder;
use super::progress::ProgressSink;
use super::recipe::Recipe;
use super::small_picture::SmallPicture;
use super::{metadata, render};

/// A variant that passed all checks of its header.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    source: &'a [u8],
    header: Header,
    recipe: &'a Recipe,
    limits: Limits,
}

/// The reason why a variant cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantFault {
    /// The stored bytes do not pass the current structural check.
    Image(InspectError),
    /// The image has no such variant, or decoding or encoding failed.
    Render(RenderError),
    /// The variant would need more memory than all jobs together may have.
    TooMuchMemory {
        /// Upper bound of its memory, in bytes.
        bytes: u64,
        /// `limits.decode_memory`.
        bytes_max: u64,
    },
    /// The caller cancelled the job; a retry may succeed.
    Stopped,
}

/// Reads the image's header and refuses a variant by the header alone. Decodes nothing.
///
/// # Errors
/// [`VariantFault`], but never `Stopped`.
pub fn prepare<'a>(
    source: &'a [u8],
    recipe: &'a Recipe,
    limits: &Limits,
) -> Result<Prepared<'a>, VariantFault> {
    let header = inspect::inspect(source, *limits).map_err(VariantFault::Image)?;
    if !recipe.strips(&header) {
        render::check(&header, recipe, limits)?;
    }
    Ok(Prepared { source, header, recipe, limits: *limits })
}

impl Prepared<'_> {
    /// The stored bytes, or the beginning of them.
    pub const fn source(&self) -> &[u8] {
        self.source
    }

    /// The recipe of the variant.
    pub const fn recipe(&self) -> &Recipe {
        self.recipe
    }

    /// The bounds for every image.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a call in [`Prepared::make`] may run for more than 40 ms without asking its progress sink, or may end
    /// the process. Such a job runs in the helper process.
    pub fn wants_process(&self) -> bool {
        !self.recipe.strips(&self.header)
            && render::wants_process(self.source, &self.header, self.recipe, &self.limits)
    }

    /// Peak memory of [`Prepared::make`], in bytes of pixels.
    pub fn peak_bytes(&self) -> u64 {
        if self.recipe.strips(&self.header) {
            // It is never longer than its source, but for the orientation; and chunks are copied one by one.
            return 2 * self.source.len() as u64 + 1024;
        }
        render::peak_bytes(self.source, &self.header, self.recipe, &self.limits)
    }

    /// The name of the decoded planes with which this and other variants begin, and their bytes; `None` if none are
    /// worth keeping. The source's [head](super::decoded_planes::head) gives the same answer.
    pub fn planes(&self) -> Option<(String, u64)> {
        if self.recipe.strips(&self.header) {
            return None;
        }
        render::planes(self.source, &self.header, self.recipe, &self.limits)
    }

    /// Makes the variant; reports its stages to `progress` and asks it regularly whether to continue.
    ///
    /// # Errors
    /// [`VariantFault::Render`], or `Stopped` once `progress` returned false.
    pub fn make(
        &self,
        planes: &mut DecodedPlanes,
        progress: &dyn ProgressSink,
    ) -> Result<Vec<u8>, VariantFault> {
        self.make_with_small(planes, &mut SmallPicture::Unwanted, progress)
    }

    /// The same, and leaves the small picture of the image if it is wanted and the job decodes enough for it. The
    /// variant's bytes do not depend on that.
    ///
    /// # Errors
    /// As [`Prepared::make`].
    pub fn make_with_small(
        &self,
        planes: &mut DecodedPlanes,
        small: &mut SmallPicture,
        progress: &dyn ProgressSink,
    ) -> Result<Vec<u8>, VariantFault> {
        let Self { source, header, recipe, limits } = self;
        if recipe.strips(header) {
            return Ok(metadata::stripped(source, header).ok_or(RenderError::NotStripped)?);
        }
        Ok(render::variant(source, header, recipe, limits, planes, small, progress)?)
    }

    /// Makes the placeholder of the image, from what was prepared for [`super::placeholder::recipe`]. Uses `progress`
    /// as [`Prepared::make`] does.
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
