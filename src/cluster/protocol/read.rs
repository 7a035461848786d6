//! An image that this node cannot give itself, fetched from another one.
//!
//! The owners are asked in order. Where the bytes are wanted, those in this node's zone come first; while one takes its
//! time the next is asked too, and the first that gives is taken. When no owner gives the image, the machine looks for
//! any other copy ([`super::locate`]).

use std::collections::{BTreeSet, VecDeque};

use super::deviation::{Deviation, Deviations, Shipped};
use super::locate::{NotFound, Search, Wanted};
use super::{ACQUAINTED_MS, ANSWER_MAX_MS, Acquaintance, Input, Machine};
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::LookupReply;
use crate::cluster::rules::read::{nearest_order, placement_order};
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// How long one owner, or this node's own disk, is waited for before the next is asked too.
pub const PATIENCE_MS: u64 = 200;

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The stored bytes. Owners are asked beside each other.
    Bytes,
    /// What the image says about itself. Owners are asked one after another.
    Description,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Fetch it from a node: [`Outcome::Fetched`].
    Fetch {
        /// From which node.
        from: NodeId,
        /// How long it may take until that begins, in milliseconds.
        within_ms: u64,
    },
    /// Ask a node whether it has the image: [`Outcome::Replied`].
    Ask {
        /// Which node.
        node: NodeId,
        /// How long that may take, in milliseconds.
        within_ms: u64,
    },
    /// Answer with what this node gave.
    Give(NodeId),
    /// Answer that it was not found.
    Fail(NotFound),
}

/// What came of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What the node gave.
    Fetched(NodeId, Fetched),
    /// What the node says; [`LookupReply::Unknown`] if it did not answer.
    Replied(NodeId, LookupReply),
}

/// What a node gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// What was wanted, verified.
    Given,
    /// Something else, or not all of it.
    Broken,
    /// The node lacks it, and did not say what that is worth.
    Lacking,
    /// Nothing, and it says this of the image.
    Refused(LookupReply),
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Read<D = Shipped> {
    deviations: D,
    id: ObjectId,
    part: Part,
    search: Search<D>,
    acquaintance: Acquaintance,
    effects: VecDeque<Effect>,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Nobody was asked yet.
    Meeting,
    Owners(Owners),
    Searching,
    /// This one has the image all the same.
    Last,
    Answered,
}

/// The owners that are asked one after another.
#[derive(Clone, Debug)]
struct Owners {
    left: VecDeque<NodeId>,
    asked: BTreeSet<NodeId>,
    /// When the next is asked too.
    next_at: Option<Time>,
}

/// By when all of so many owners have been asked for the bytes, in milliseconds, unless one has given them before.
pub const fn owners_asked_within_ms(owners: u64) -> u64 {
    ACQUAINTED_MS + owners * PATIENCE_MS
}

/// How long it may take at most until a read among so many members is answered, in milliseconds, if its node goes on.
pub const fn answered_within_ms(members: u64) -> u64 {
    owners_asked_within_ms(members) + super::locate::concluded_within_ms(members) + 2 * ANSWER_MAX_MS
}

impl Read {
    /// A read that has asked nobody.
    pub fn new(wanted: Wanted, part: Part) -> Self {
        Self::deviating(wanted, part, Shipped)
    }
}

impl<D: Deviations + Clone> Read<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(wanted: Wanted, part: Part, deviations: D) -> Self {
        Self {
            id: wanted.id,
            part,
            search: Search::new(wanted.id, wanted.here, deviations.clone()),
            deviations,
            acquaintance: Acquaintance::new(wanted.started),
            effects: VecDeque::new(),
            stage: Stage::Meeting,
        }
    }

    fn take(&mut self, now: Time, view: &View, outcome: Outcome) {
        match outcome {
            Outcome::Replied(node, reply) => self.search.take_reply(view, node, reply),
            Outcome::Fetched(node, Fetched::Given) => self.answer(Effect::Give(node)),
            Outcome::Fetched(node, Fetched::Broken)
                if self.deviations.has(Deviation::VerificationSkipped) =>
            {
                self.answer(Effect::Give(node));
            }
            Outcome::Fetched(node, failed) => self.failed(now, view, node, failed),
        }
    }

    fn failed(&mut self, now: Time, view: &View, node: NodeId, failed: Fetched) {
        match &mut self.stage {
            Stage::Owners(owners) => {
                owners.asked.remove(&node);
                // The next is asked at once.
                owners.next_at = Some(now);
                match failed {
                    Fetched::Refused(reply) => self.search.record(view, node, reply),
                    Fetched::Broken | Fetched::Given => self.search.record(view, node, LookupReply::Unknown),
                    // The search asks it what that is worth.
                    Fetched::Lacking => {}
                }
            }
            Stage::Last => self.answer(Effect::Fail(NotFound::Unproven)),
            Stage::Meeting | Stage::Searching | Stage::Answered => {}
        }
    }

    fn answer(&mut self, answer: Effect) {
        assert!(!matches!(self.stage, Stage::Answered), "a read is answered once");
        self.stage = Stage::Answered;
        self.effects.push_back(answer);
    }

    fn begin(&mut self, now: Time, view: &View) {
        let order = match self.part {
            Part::Bytes => nearest_order(view, &self.id),
            Part::Description => placement_order(view, &self.id),
        };
        let (left, asked) = (order.owners.into(), BTreeSet::new());
        self.stage = Stage::Owners(Owners { left, asked, next_at: Some(now) });
    }

    /// Asks the next owner when it is its turn. False: no owner is left to be asked or waited for.
    fn ask_owners(&mut self, now: Time) -> bool {
        let Stage::Owners(owners) = &mut self.stage else { return true };
        if owners.next_at.is_some_and(|at| at <= now) {
            owners.next_at = None;
            if let Some(from) = owners.left.pop_front() {
                owners.asked.insert(from);
                self.effects.push_back(Effect::Fetch { from, within_ms: ANSWER_MAX_MS });
                let is_patient =
                    self.part == Part::Description || self.deviations.has(Deviation::PatienceIgnored);
                owners.next_at = (!is_patient && !owners.left.is_empty()).then(|| now.after(PATIENCE_MS));
            }
        }
        !owners.asked.is_empty()
    }

    fn search(&mut self, view: &View) {
        let effects = &mut self.effects;
        let ask = |node| effects.push_back(Effect::Ask { node, within_ms: ANSWER_MAX_MS });
        match self.search.advance(view, ask) {
            None => {}
            Some(Ok(from)) => {
                self.stage = Stage::Last;
                self.effects.push_back(Effect::Fetch { from, within_ms: ANSWER_MAX_MS });
            }
            Some(Err(not_found)) => self.answer(Effect::Fail(not_found)),
        }
    }
}

impl<D: Deviations + Clone> Machine for Read<D> {
    type Effect = Effect;
    type Outcome = Outcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<Outcome>) {
        if let Input::Outcome(outcome) = input {
            self.take(now, view, outcome);
        }
        if matches!(self.stage, Stage::Meeting) && self.acquaintance.is_over(now, view, &self.id) {
            self.begin(now, view);
        }
        if matches!(self.stage, Stage::Owners(_)) && !self.ask_owners(now) {
            self.stage = Stage::Searching;
        }
        if matches!(self.stage, Stage::Searching) {
            self.search(view);
        }
    }

    fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        match &self.stage {
            _ if self.deviations.has(Deviation::DeadlineNotReported) => None,
            Stage::Meeting => self.acquaintance.deadline(),
            Stage::Owners(owners) => owners.next_at,
            Stage::Searching | Stage::Last | Stage::Answered => None,
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Answered) && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests;
