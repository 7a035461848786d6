//! The choreography of every operation, without input or output: whom to ask, how long to wait for each, what to record
//! before the answer, and when to give up.
//!
//! * [`mod@write`]: copies of an upload on their way to the nodes that should have them. [`write::quorum`]: when it may be
//!   answered.
//! * [`read`]: an image that this node cannot give itself. [`locate`]: whether it is anywhere. [`locate::absence`]: when
//!   it may be called absent.
//! * [`variant`]: a variant, made once in the cluster.
//! * [`compare`]: two members find where their images differ.
//! * [`repair`]: misplaced copies handed over, owners' lacking copies replaced. [`repair::excess`]: when a copy may be
//!   removed.
//! * [`erase`]: a deletion on its way to all members. [`erasure_sync`]: those that a member has missed.
//! * [`deviation`]: bugs for the simulator to find.
//!
//! Each operation is a [`Machine`]. The shards and the seeded simulator drive the same ones: they carry out the effects
//! and hand back what came of them. Neither keeps a choreography or a time constant of its own.
//!
//! `docs/PROOF.md` argues why an image that was answered is never called absent.
//!
//! Invariants: a machine reads no clock and draws no random number; it answers exactly once; while it is not finished,
//! it has an effect under way or a deadline.

pub mod compare;
pub mod deviation;
pub mod erase;
pub mod erasure_sync;
pub mod locate;
pub mod read;
pub mod repair;
pub mod variant;
pub mod write;

#[cfg(test)]
mod tests;

use super::time::Time;
use super::view::View;
use crate::object::ObjectId;

/// Time for a node to say whether it has an image, or to begin to send it, in milliseconds.
pub const ANSWER_MAX_MS: u64 = 3_000;

/// Time after a node's start until the owners of an image are known to answer, in milliseconds. Members announce
/// themselves every two seconds, but answer the first message of a new one at once.
pub const ACQUAINTED_MS: u64 = 3_000;

/// Between two looks whether they are.
const ACQUAINTED_LOOK_MS: u64 = 20;

/// Time for a copy, beside its bytes at the slowest rate, in milliseconds.
const COPY_MAX_MS: u64 = 10_000;

/// The slowest pace that is waited for, in bytes a second: half of a link of 1 Mbit/s.
const BYTES_A_SECOND_MIN: u64 = 64 << 10;

const _: () = assert!(
    ACQUAINTED_LOOK_MS < ACQUAINTED_MS,
    "invariant: protocol: it is looked more than once who is there"
);
const _: () =
    assert!(COPY_MAX_MS > ANSWER_MAX_MS, "invariant: protocol: a copy has more time than a question");

/// One operation, driven from outside.
///
/// The driver hands over [`Input::Tick`] first. After **every** [`Machine::handle`] it drains [`Machine::poll`] until
/// that gives `None`, and carries out each effect. It then waits for the next outcome or the deadline, whichever
/// comes first. When the machine is finished, what is still under way may be dropped.
pub trait Machine {
    /// An effect that the driver carries out.
    type Effect;
    /// The outcome of an effect.
    type Outcome;

    /// Takes what has happened. `view` is the newest one.
    fn handle(&mut self, now: Time, view: &View, input: Input<Self::Outcome>);

    /// The next thing to do.
    fn poll(&mut self) -> Option<Self::Effect>;

    /// When to come back with a tick; `None` while only outcomes are awaited.
    fn deadline(&self) -> Option<Time>;

    /// Whether the operation has ended: nothing is awaited any more.
    fn is_finished(&self) -> bool;
}

/// An input of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<T> {
    /// It begins, or its deadline has come.
    Tick,
    /// An effect has ended.
    Outcome(T),
}

/// Time limit, in milliseconds, to send a copy of this many bytes.
const fn copy_within_ms(length: u64) -> u64 {
    COPY_MAX_MS + length / BYTES_A_SECOND_MIN * 1_000
}

/// The wait of a node that has just started, until the owners of an image are known to answer. It begins with the
/// belief that nobody does, and would refuse what it can give a moment later.
#[derive(Clone, Copy, Debug)]
struct Acquaintance {
    until: Time,
    is_over: bool,
    next_look: Option<Time>,
}

impl Acquaintance {
    /// `started` is when the node's process began.
    const fn new(started: Time) -> Self {
        Self { until: started.after(ACQUAINTED_MS), is_over: false, next_look: None }
    }

    /// Whether the wait has ended, for good.
    fn is_over(&mut self, now: Time, view: &View, id: &ObjectId) -> bool {
        let is_met = || view.owners(id).into_iter().all(|owner| view.is_alive(owner));
        self.is_over = self.is_over || now >= self.until || is_met();
        self.next_look = (!self.is_over).then(|| now.after(ACQUAINTED_LOOK_MS));
        assert!(
            self.is_over || self.next_look.is_some_and(|look| look > now),
            "invariant: protocol: a machine that meets the cluster has a deadline"
        );
        self.is_over
    }

    const fn deadline(&self) -> Option<Time> {
        self.next_look
    }
}
