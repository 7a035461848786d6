//! The progress that a job reports, and the question whether its result is still wanted.
//!
//! No clock is read here. A sink that times the stages looks at one whenever a stage begins.

/// A stage on the way from stored bytes to a variant's. A job may enter one several times: strips and frames go through
/// all of them one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderStage {
    /// From the source's bytes to pixels or planes. A job that reuses decoded planes skips it.
    Decode,
    /// All that is done to pixels: the resize, and colours, turns and effects.
    Resize,
    /// From pixels to the variant's bytes. What is no file has none.
    Encode,
}

impl RenderStage {
    /// All of them, in the order in which a picture goes through them.
    pub const ALL: [Self; 3] = [Self::Decode, Self::Resize, Self::Encode];
}

/// The receiver of a job's progress. A closure that says whether to go on is a sink that ignores stages.
pub trait ProgressSink {
    /// Whether the result is still wanted. Asked now and then, in long steps for every few rows.
    fn keep_going(&self) -> bool;

    /// A stage begins, and the one before ends. Called a few times for a picture or a frame, and for each strip of
    /// one that is made in strips; never for a single row.
    fn enter_stage(&self, _step: RenderStage) {}
}

impl<F: Fn() -> bool> ProgressSink for F {
    fn keep_going(&self) -> bool {
        self()
    }
}
