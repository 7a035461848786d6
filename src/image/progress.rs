//! The progress that a job reports, and the question whether its result is still wanted.
//!
//! This module reads no clock. A sink that times the stages reads one whenever a stage begins.

/// A stage on the way from stored bytes to a variant's. A job may enter a stage several times: strips and frames go
/// through all of them one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderStage {
    /// From the source's bytes to pixels or planes. Skipped by a job that reuses decoded planes.
    Decode,
    /// Everything that changes pixels: the resize, colours, turns and effects.
    Resize,
    /// From pixels to the variant's bytes. Skipped by a job that writes no file.
    Encode,
}

impl RenderStage {
    /// All stages, in the order in which a picture passes them.
    pub const ALL: [Self; 3] = [Self::Decode, Self::Resize, Self::Encode];
}

/// The receiver of a job's progress. A closure that returns whether to continue is a sink that ignores stages.
pub trait ProgressSink {
    /// Whether the result is still wanted. Called regularly; in long steps every few rows.
    fn keep_going(&self) -> bool;

    /// A stage begins, and the previous one ends. Called a few times for a picture or a frame, and for each strip of a
    /// picture that is made in strips; never for a single row.
    fn enter_stage(&self, _step: RenderStage) {}
}

impl<F: Fn() -> bool> ProgressSink for F {
    fn keep_going(&self) -> bool {
        self()
    }
}
