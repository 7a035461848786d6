//! A deletion, a ban, or the end of a ban, on its way to all members.
//!
//! The owners' records are read first, and the next record is written to every live member. The client is answered when
//! so many owners have it durably that no later upload can miss it. An owner may know a record that was not read: then
//! the next one is written above that too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::deviation::{Deviation, Deviations, Shipped};
use super::{ACQUAINTED_MS, ANSWER_MAX_MS, Acquaintance, Input, Machine};
use crate::cluster::erasure::{ErasureRecord, Intent};
use crate::cluster::node::NodeId;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// Time that an answer waits for the other members, once enough owners have the record, in milliseconds: so the client
/// usually hears that all have erased the image.
const GRACE_MS: u64 = 500;

/// Rounds of writing. Each further one needs another client's upload or deletion of the same image at that moment.
const ROUNDS_MAX: u32 = 5;

/// The change that a client wants for an image.
#[derive(Clone, Copy, Debug)]
pub struct Erasure {
    /// Which image.
    pub id: ObjectId,
    /// The change that is wanted.
    pub intent: Intent,
    /// When the node's process began.
    pub started: Time,
}

/// An effect that the driver carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EraseEffect {
    /// Ask a node for its record, which may be this one: [`EraseOutcome::Read`].
    Read {
        /// Which node.
        node: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Have a node take this record, which may be this one: [`EraseOutcome::Written`].
    Write {
        /// Which node.
        node: NodeId,
        /// The record.
        record: ErasureRecord,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Tell the client that it is done on these nodes, and not yet on all others.
    Acknowledge(BTreeSet<NodeId>),
    /// Tell the client that too few owners have the record. It may be done all the same.
    Refuse,
}

/// The outcome of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EraseOutcome {
    /// A node's record; `None` if it did not answer.
    Read(NodeId, Option<ErasureRecord>),
    /// The durable record of a node after it took one; `None` if it did not answer or could not.
    Written(NodeId, Option<HeldRecord>),
}

/// A record that a node has durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldRecord {
    /// Its knowledge, all that it was sent included.
    pub record: ErasureRecord,
    /// Whether the image is gone by that and no file of it is left there.
    pub is_erased: bool,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Erase<D = Shipped> {
    deviations: D,
    erasure: Erasure,
    acquaintance: Acquaintance,
    effects: VecDeque<EraseEffect>,
    /// The record that was read so far, or is written.
    record: ErasureRecord,
    /// The record of each node that answered.
    held: BTreeMap<NodeId, HeldRecord>,
    under_way: usize,
    rounds: u32,
    answer_at: Option<Time>,
    stage: EraseStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EraseStage {
    Meeting,
    Reading,
    Writing,
    /// The client is answered; other members may still be asked.
    Answered,
    Finished,
}

/// Upper bound, in milliseconds, of an erasure, if its node does not stop.
pub const fn answered_within_ms() -> u64 {
    ACQUAINTED_MS + (1 + ROUNDS_MAX as u64) * ANSWER_MAX_MS + GRACE_MS
}

impl Erase {
    /// An erasure of which nobody has heard.
    pub fn new(erasure: Erasure) -> Self {
        Self::deviating(erasure, Shipped)
    }
}

impl<D: Deviations> Erase<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(erasure: Erasure, deviations: D) -> Self {
        Self {
            deviations,
            erasure,
            acquaintance: Acquaintance::new(erasure.started),
            effects: VecDeque::new(),
            record: ErasureRecord::default(),
            held: BTreeMap::new(),
            under_way: 0,
            rounds: 0,
            answer_at: None,
            stage: EraseStage::Meeting,
        }
    }

    fn take(&mut self, outcome: EraseOutcome) {
        assert!(self.under_way > 0, "invariant: erase: an answer that nobody waits for");
        self.under_way -= 1;
        match outcome {
            EraseOutcome::Read(_, read) => self.record = self.record.merge(read.unwrap_or_default()),
            EraseOutcome::Written(node, Some(held)) => {
                self.held.insert(node, held);
            }
            EraseOutcome::Written(_, None) => {}
        }
    }

    fn read(&mut self, view: &View) {
        self.stage = EraseStage::Reading;
        let owners = view.owners(&self.erasure.id);
        let is_asked =
            |node: &NodeId| view.is_alive(*node) && (*node == view.this() || owners.contains(node));
        let all = view.members().map(|(node, _)| node).filter(is_asked);
        for node in all {
            self.under_way += 1;
            self.effects.push_back(EraseEffect::Read { node, within_ms: ANSWER_MAX_MS });
        }
    }

    /// Writes the next record to all live members. What an earlier round has told does not count for this one.
    fn write(&mut self, view: &View) {
        self.stage = EraseStage::Writing;
        self.rounds += 1;
        self.answer_at = None;
        self.record = self.next_record();
        self.held.clear();
        for node in view.members().map(|(node, _)| node).filter(|node| view.is_alive(*node)) {
            self.under_way += 1;
            let record = self.record;
            self.effects.push_back(EraseEffect::Write { node, record, within_ms: ANSWER_MAX_MS });
        }
    }

    fn next_record(&self) -> ErasureRecord {
        if self.erasure.intent == Intent::Lift && self.deviations.has(Deviation::LiftNotRaised) {
            return self.record;
        }
        self.record.fulfil(self.erasure.intent)
    }

    /// Whether a node knows something by which the intent is not fulfilled: another client's record came between.
    fn is_overtaken(&self) -> bool {
        self.held.values().any(|held| !held.record.fulfils(self.erasure.intent))
    }

    fn advance(&mut self, now: Time, view: &View) {
        match self.stage {
            EraseStage::Reading if self.under_way == 0 => self.write(view),
            EraseStage::Writing => self.advance_writing(now, view),
            EraseStage::Answered if self.under_way == 0 => self.stage = EraseStage::Finished,
            _ => {}
        }
    }

    fn advance_writing(&mut self, now: Time, view: &View) {
        let is_complete = self.under_way == 0;
        if self.is_overtaken() && !self.deviations.has(Deviation::LiftNotRaised) {
            if !is_complete {
                // Only outcomes are awaited: a deadline that has passed would come at once, again and again.
                self.answer_at = None;
                return;
            }
            self.held.values().for_each(|held| self.record = self.record.merge(held.record));
            if self.rounds < ROUNDS_MAX {
                return self.write(view);
            }
            return self.refuse();
        }
        let holders: Vec<_> = self.held.keys().copied().collect();
        if view.is_erasure_durable(&self.erasure.id, &holders) {
            let answer_at = *self.answer_at.get_or_insert(now.after(GRACE_MS));
            if is_complete || now >= answer_at {
                self.answer_at = None;
                let is_done = |held: &HeldRecord| held.is_erased || self.erasure.intent == Intent::Lift;
                let done = self.held.iter().filter(|(_, held)| is_done(held)).map(|(node, _)| *node);
                self.effects.push_back(EraseEffect::Acknowledge(done.collect()));
                self.stage = EraseStage::Answered;
                self.advance(now, view);
            }
        } else {
            self.answer_at = None;
            if is_complete {
                self.refuse();
            }
        }
    }

    fn refuse(&mut self) {
        self.answer_at = None;
        self.effects.push_back(EraseEffect::Refuse);
        self.stage = EraseStage::Finished;
    }
}

impl<D: Deviations> Machine for Erase<D> {
    type Effect = EraseEffect;
    type Outcome = EraseOutcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<EraseOutcome>) {
        assert!(self.stage != EraseStage::Finished, "invariant: erase: one that is finished awaits nothing");
        if let Input::Outcome(outcome) = input {
            self.take(outcome);
        }
        if self.stage == EraseStage::Meeting && self.acquaintance.is_over(now, view, &self.erasure.id) {
            self.read(view);
        }
        self.advance(now, view);
        assert!(
            self.answer_at.is_none_or(|at| at > now),
            "invariant: erase: a deadline that has come is not waited for again"
        );
        assert!(
            self.stage != EraseStage::Finished || self.under_way == 0,
            "invariant: erase: nothing is under way at the end"
        );
    }

    fn poll(&mut self) -> Option<EraseEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        match self.stage {
            _ if self.deviations.has(Deviation::DeadlineNotReported) => None,
            EraseStage::Meeting => self.acquaintance.deadline(),
            EraseStage::Writing => self.answer_at,
            EraseStage::Reading | EraseStage::Answered | EraseStage::Finished => None,
        }
    }

    fn is_finished(&self) -> bool {
        self.stage == EraseStage::Finished && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests;
