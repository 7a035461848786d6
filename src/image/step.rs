//! What a job tells whoever waits for it, and what it asks.
//!
//! No clock is read here: who wants to know how long a step takes looks at one when the next begins.

/// A part of the way from stored bytes to a variant's. A job may come to one several times: strips and frames go through
/// all of them one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From the source's bytes to pixels or planes. A job that is given decoded samples has none.
    Decode,
    /// All that is done to pixels: the resize, and colours, turns and effects.
    Resize,
    /// From pixels to the variant's bytes. What is no file has none.
    Encode,
}

impl Step {
    /// All of them, in the order in which a picture goes through them.
    pub const ALL: [Self; 3] = [Self::Decode, Self::Resize, Self::Encode];
}

/// Who follows a job from outside. A closure that says whether to go on is one that wants to be told nothing.
pub trait Follower {
    /// Whether the result is still wanted. Asked now and then, in long steps for every few rows.
    fn keep_going(&self) -> bool;

    /// A step begins, and whichever was under way ends. Told a few times for a picture or a frame, and for each strip of
    /// one that is made in strips; never for a single row.
    fn begins(&self, _step: Step) {}
}

impl<F: Fn() -> bool> Follower for F {
    fn keep_going(&self) -> bool {
        self()
    }
}
