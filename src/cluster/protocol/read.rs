//! An image that this node cannot give itself, fetched from another one.
//!
//! The owners are asked in order. Where the bytes are wanted, those in this node's zone come first; while one takes its
//! time the next is asked too, and the first that gives is taken. When no owner gives the image, the machine looks for
//! any other copy ([`super::locate`]).

pub mod order;

use std::collections::{BTreeMap, VecDeque};

use super::deviation::{Deviation, Deviations, Shipped};
use super::locate::{NotFound, Search, WantedImage};
use super::{ACQUAINTED_MS, ANSWER_MAX_MS, Acquaintance, Input, Machine};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::read::order::{nearest_order, placement_order};
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// Time to wait for one owner, or for this node's own disk, before the next one is asked too, in milliseconds.
pub const PATIENCE_MS: u64 = 200;

/// The part of an image that is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPart {
    /// The stored bytes. The owners are asked in parallel.
    Bytes,
    /// The metadata of the image. The owners are asked one after another.
    Description,
}

/// An effect that the driver carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEffect {
    /// Fetch it from a node: [`ReadOutcome::Fetched`].
    Fetch {
        /// From which node.
        from: NodeId,
        /// Time limit for its beginning, in milliseconds.
        within_ms: u64,
    },
    /// Ask a node whether it has the image: [`ReadOutcome::Replied`].
    Ask {
        /// Which node.
        node: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Answer with what this node gave.
    Give(NodeId),
    /// Answer that it was not found.
    Fail(NotFound),
}

/// The outcome of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The result of a fetch from a node.
    Fetched(NodeId, FetchReply),
    /// A node's reply; [`LookupReply::Unknown`] if it did not answer.
    Replied(NodeId, LookupReply),
}

/// The result of a fetch from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchReply {
    /// The requested bytes or metadata, verified.
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
    part: ReadPart,
    search: Search<D>,
    acquaintance: Acquaintance,
    effects: VecDeque<ReadEffect>,
    stage: ReadStage,
}

#[derive(Clone, Debug)]
enum ReadStage {
    /// Nobody was asked yet.
    Meeting,
    Owners(OwnerRound),
    Searching,
    /// This one has the image all the same.
    Last,
    Answered,
}

/// The owners that are asked one after another.
#[derive(Clone, Debug)]
struct OwnerRound {
    left: VecDeque<NodeId>,
    /// Owners whose answers are awaited, and since when.
    asked: BTreeMap<NodeId, Time>,
    /// When the next is asked too.
    next_at: Option<Time>,
}

/// By when all of so many owners have been asked for the bytes, in milliseconds, unless one has given them before.
pub const fn owners_asked_within_ms(owners: u64) -> u64 {
    ACQUAINTED_MS + owners * PATIENCE_MS
}

/// Upper bound, in milliseconds, of a read among this many members, if its node does not stop.
pub const fn answered_within_ms(members: u64) -> u64 {
    owners_asked_within_ms(members) + super::locate::concluded_within_ms(members) + 2 * ANSWER_MAX_MS
}

impl Read {
    /// A read that has asked nobody.
    pub fn new(wanted: WantedImage, part: ReadPart) -> Self {
        Self::deviating(wanted, part, Shipped)
    }
}

impl<D: Deviations + Clone> Read<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(wanted: WantedImage, part: ReadPart, deviations: D) -> Self {
        Self {
            id: wanted.id,
            part,
            search: Search::new(wanted.id, wanted.here, deviations.clone()),
            deviations,
            acquaintance: Acquaintance::new(wanted.started),
            effects: VecDeque::new(),
            stage: ReadStage::Meeting,
        }
    }

    fn take(&mut self, now: Time, view: &View, outcome: ReadOutcome) {
        match outcome {
            ReadOutcome::Replied(node, reply) => self.search.take_reply(view, node, reply),
            ReadOutcome::Fetched(node, FetchReply::Given) => self.answer(ReadEffect::Give(node)),
            ReadOutcome::Fetched(node, FetchReply::Broken)
                if self.deviations.has(Deviation::VerificationSkipped) =>
            {
                self.answer(ReadEffect::Give(node));
            }
            ReadOutcome::Fetched(node, failed) => self.failed(now, view, node, failed),
        }
    }

    fn failed(&mut self, now: Time, view: &View, node: NodeId, failed: FetchReply) {
        match &mut self.stage {
            ReadStage::Owners(owners) => {
                let Some(asked_at) = owners.asked.remove(&node) else { return };
                // The next is asked at once.
                owners.next_at = Some(now);
                match failed {
                    FetchReply::Refused(reply) => self.search.record(view, node, reply, asked_at),
                    FetchReply::Broken | FetchReply::Given => {
                        self.search.record(view, node, LookupReply::Unknown, asked_at)
                    }
                    // The search asks it what that is worth.
                    FetchReply::Lacking => {}
                }
            }
            ReadStage::Last => {
                let is_gone = failed == FetchReply::Refused(LookupReply::Gone);
                let not_found = if is_gone { NotFound::Gone } else { NotFound::Unproven };
                self.answer(ReadEffect::Fail(not_found));
            }
            ReadStage::Meeting | ReadStage::Searching | ReadStage::Answered => {}
        }
    }

    fn answer(&mut self, answer: ReadEffect) {
        assert!(!matches!(self.stage, ReadStage::Answered), "invariant: read: a read is answered once");
        self.stage = ReadStage::Answered;
        self.effects.push_back(answer);
    }

    fn begin(&mut self, now: Time, view: &View) {
        let order = match self.part {
            ReadPart::Bytes => nearest_order(view, &self.id),
            ReadPart::Description => placement_order(view, &self.id),
        };
        assert!(!order.owners.contains(&view.this()), "invariant: read: a node does not fetch from itself");
        let (left, asked) = (order.owners.into(), BTreeMap::new());
        self.stage = ReadStage::Owners(OwnerRound { left, asked, next_at: Some(now) });
    }

    /// Asks the next owner when it is its turn. False: no owner is left to be asked or waited for.
    fn ask_owners(&mut self, now: Time) -> bool {
        let ReadStage::Owners(owners) = &mut self.stage else { return true };
        if owners.next_at.is_some_and(|at| at <= now) {
            owners.next_at = None;
            if let Some(from) = owners.left.pop_front() {
                assert!(!owners.asked.contains_key(&from), "invariant: read: an owner is asked once");
                owners.asked.insert(from, now);
                self.effects.push_back(ReadEffect::Fetch { from, within_ms: ANSWER_MAX_MS });
                let is_patient =
                    self.part == ReadPart::Description || self.deviations.has(Deviation::PatienceIgnored);
                owners.next_at = (!is_patient && !owners.left.is_empty()).then(|| now.after(PATIENCE_MS));
            }
        }
        !owners.asked.is_empty()
    }

    fn search(&mut self, now: Time, view: &View) {
        let effects = &mut self.effects;
        let ask = |node| effects.push_back(ReadEffect::Ask { node, within_ms: ANSWER_MAX_MS });
        match self.search.advance(now, view, ask) {
            None => {}
            Some(Ok(from)) => {
                self.stage = ReadStage::Last;
                self.effects.push_back(ReadEffect::Fetch { from, within_ms: ANSWER_MAX_MS });
            }
            Some(Err(not_found)) => self.answer(ReadEffect::Fail(not_found)),
        }
    }
}

impl<D: Deviations + Clone> Machine for Read<D> {
    type Effect = ReadEffect;
    type Outcome = ReadOutcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<ReadOutcome>) {
        if let Input::Outcome(outcome) = input {
            self.take(now, view, outcome);
        }
        self.search.begin(now, view);
        if matches!(self.stage, ReadStage::Meeting) && self.acquaintance.is_over(now, view, &self.id) {
            self.begin(now, view);
        }
        if matches!(self.stage, ReadStage::Owners(_)) && !self.ask_owners(now) {
            self.stage = ReadStage::Searching;
        }
        if matches!(self.stage, ReadStage::Searching) {
            self.search(now, view);
        }
        assert!(
            !matches!(self.stage, ReadStage::Meeting) || self.acquaintance.deadline().is_some(),
            "invariant: read: a read that meets the cluster has a deadline"
        );
    }

    fn poll(&mut self) -> Option<ReadEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        match &self.stage {
            _ if self.deviations.has(Deviation::DeadlineNotReported) => None,
            ReadStage::Meeting => self.acquaintance.deadline(),
            ReadStage::Owners(owners) => owners.next_at,
            ReadStage::Searching | ReadStage::Last | ReadStage::Answered => None,
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.stage, ReadStage::Answered) && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests;
