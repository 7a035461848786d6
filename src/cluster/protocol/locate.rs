//! Whether an image is somewhere, or proven to be nowhere.
//!
//! The owners are asked first, all at once, then every other live member. The rule says what their replies come to
//! ([`AbsenceProof`]).

pub mod absence;

use std::collections::{BTreeMap, VecDeque};

use super::deviation::{Deviation, Deviations, Shipped};
use super::{ACQUAINTED_MS, ANSWER_MAX_MS, Acquaintance, Input, Machine};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::{AbsenceProof, LookupReply, ProofStep};
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// The greatest age of an "absent" reply that counts, from the question on, in milliseconds. A copy that is handed over
/// meanwhile is on its new node for longer than this before it leaves the old one. So one of the two has it both when
/// the oldest and when the youngest "absent" is given.
pub const ABSENT_AGE_MAX_MS: u64 = 4_000;

/// Rounds in which nodes are asked again whose "no" has become too old.
const ROUNDS_AGAIN_MAX: u32 = 2;

/// Why no node was found to have the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// It is proven to be nowhere.
    Absent,
    /// It may be where nobody answers, or where it cannot be read.
    Unproven,
    /// It is deleted or banned.
    Gone,
}

/// An image that this node cannot give itself.
#[derive(Clone, Copy, Debug)]
pub struct WantedImage {
    /// Which image.
    pub id: ObjectId,
    /// This node's own reply.
    pub here: LookupReply,
    /// When the node's process began.
    pub started: Time,
}

/// An effect that the driver carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocateEffect {
    /// Ask a node whether it has the image: [`LocateOutcome::Replied`].
    Ask {
        /// Which node.
        node: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// This node has the image; or none was found that has.
    Conclude(Result<NodeId, NotFound>),
}

/// The outcome of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocateOutcome {
    /// A node's reply; [`LookupReply::Unknown`] if it did not answer.
    Replied(NodeId, LookupReply),
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Locate<D = Shipped> {
    id: ObjectId,
    search: Search<D>,
    acquaintance: Acquaintance,
    effects: VecDeque<LocateEffect>,
    is_concluded: bool,
}

/// Upper bound, in milliseconds, of a search among this many members, if its node does not stop. Each round asks at
/// least one node that was not asked before.
pub const fn concluded_within_ms(members: u64) -> u64 {
    ACQUAINTED_MS + (members + ROUNDS_AGAIN_MAX as u64) * ANSWER_MAX_MS
}

impl Locate {
    /// A search that has asked nobody.
    pub fn new(wanted: WantedImage) -> Self {
        Self::deviating(wanted, Shipped)
    }
}

impl<D: Deviations> Locate<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(wanted: WantedImage, deviations: D) -> Self {
        Self {
            id: wanted.id,
            search: Search::new(wanted.id, wanted.here, deviations),
            acquaintance: Acquaintance::new(wanted.started),
            effects: VecDeque::new(),
            is_concluded: false,
        }
    }
}

impl<D: Deviations> Machine for Locate<D> {
    type Effect = LocateEffect;
    type Outcome = LocateOutcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<LocateOutcome>) {
        assert!(!self.is_concluded, "invariant: locate: a search that is concluded awaits nothing");
        if let Input::Outcome(LocateOutcome::Replied(node, reply)) = input {
            self.search.take_reply(view, node, reply);
        }
        self.search.begin(now, view);
        if !self.acquaintance.is_over(now, view, &self.id) {
            return;
        }
        let effects = &mut self.effects;
        let ask = |node| effects.push_back(LocateEffect::Ask { node, within_ms: ANSWER_MAX_MS });
        if let Some(conclusion) = self.search.advance(now, view, ask) {
            self.is_concluded = true;
            assert!(self.search.asked.is_empty(), "invariant: locate: a conclusion waits for every reply");
            self.effects.push_back(LocateEffect::Conclude(conclusion));
        }
    }

    fn poll(&mut self) -> Option<LocateEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        self.acquaintance.deadline()
    }

    fn is_finished(&self) -> bool {
        self.is_concluded && self.effects.is_empty()
    }
}

/// The rounds of questions: a part of every machine that looks for an image.
#[derive(Clone, Debug)]
pub(super) struct Search<D> {
    deviations: D,
    proof: AbsenceProof,
    this_reply: Option<LookupReply>,
    /// Nodes whose replies are awaited, and since when.
    asked: BTreeMap<NodeId, Time>,
    /// When those were asked that said no.
    absent_since: BTreeMap<NodeId, Time>,
    rounds_again: u32,
    /// A node said that the image is deleted. The owners are asked all the same: one may know of a later upload.
    is_gone: bool,
}

impl<D: Deviations> Search<D> {
    /// `here` is what this node says.
    pub(super) fn new(id: ObjectId, here: LookupReply, deviations: D) -> Self {
        // A copy that this node could not give is none that anybody could be sent to.
        let here = if here == LookupReply::Present { LookupReply::Unknown } else { here };
        Self { this_reply: Some(here), ..Self::without_own_reply(id, deviations) }
    }

    /// This node is asked like any other.
    pub(super) fn without_own_reply(id: ObjectId, deviations: D) -> Self {
        let (asked, absent_since) = (BTreeMap::new(), BTreeMap::new());
        let proof = AbsenceProof::new(id);
        Self { deviations, proof, this_reply: None, asked, absent_since, rounds_again: 0, is_gone: false }
    }

    /// Takes what this node says, as of now.
    pub(super) fn begin(&mut self, now: Time, view: &View) {
        if let Some(reply) = self.this_reply.take() {
            self.record(view, view.this(), reply, now);
        }
    }

    /// Takes what a node says of the image, which was asked at that time.
    pub(super) fn record(&mut self, view: &View, node: NodeId, reply: LookupReply, asked_at: Time) {
        let has = |deviation| self.deviations.has(deviation);
        let heard = match reply {
            LookupReply::Absent(_) if has(Deviation::UnsyncedNoCounts) => {
                LookupReply::Absent(view.staged_version())
            }
            LookupReply::Unknown if has(Deviation::SilenceIsNo) => LookupReply::Absent(view.staged_version()),
            LookupReply::Gone => {
                self.is_gone = true;
                LookupReply::Unknown
            }
            reply => reply,
        };
        self.proof.record(node, heard);
        if matches!(heard, LookupReply::Absent(_)) {
            self.absent_since.insert(node, asked_at);
        }
    }

    /// Takes the reply of a node that was asked. A yes is enough: the others are waited for no longer.
    pub(super) fn take_reply(&mut self, view: &View, node: NodeId, reply: LookupReply) {
        // The reply of one that is not awaited comes too late to count.
        let Some(asked_at) = self.asked.remove(&node) else { return };
        self.record(view, node, reply, asked_at);
        if reply == LookupReply::Present {
            self.asked.clear();
        }
    }

    /// Asks the next round of nodes when the last one has ended. Some: who has the image, or that no node was found.
    pub(super) fn advance(
        &mut self,
        now: Time,
        view: &View,
        ask: impl FnMut(NodeId),
    ) -> Option<Result<NodeId, NotFound>> {
        if !self.asked.is_empty() {
            return None;
        }
        if self.deviations.has(Deviation::SilenceIsNo) {
            let silent = view.members().filter(|(_, member)| !member.alive);
            silent.for_each(|(node, _)| self.proof.record(node, LookupReply::Absent(view.staged_version())));
        }
        let mut step = self.proof.next_step(view);
        if step == ProofStep::Absent && self.forget_old(now, view) {
            step = self.proof.next_step(view);
        }
        match step {
            ProofStep::Found(node) => Some(Ok(node)),
            _ if self.is_gone => Some(Err(NotFound::Gone)),
            ProofStep::Absent => Some(Err(NotFound::Absent)),
            ProofStep::Unproven => Some(Err(NotFound::Unproven)),
            ProofStep::Ask(nodes) => {
                assert!(self.asked.is_empty(), "invariant: locate: one round of questions at a time");
                self.asked.extend(nodes.iter().map(|node| (*node, now)));
                nodes.into_iter().for_each(ask);
                None
            }
        }
    }
}

impl<D: Deviations> Search<D> {
    /// Forgets each "no" that is too old, so that its node is asked again. Whether there was any.
    fn forget_old(&mut self, now: Time, view: &View) -> bool {
        let is_old = |asked_at: &Time| now.since(*asked_at) >= ABSENT_AGE_MAX_MS;
        let old: Vec<_> =
            self.absent_since.iter().filter(|(_, at)| is_old(at)).map(|(node, _)| *node).collect();
        let may_ask_again = self.rounds_again < ROUNDS_AGAIN_MAX;
        self.rounds_again += u32::from(!old.is_empty());
        for node in &old {
            self.absent_since.remove(node);
            // This node has said all that it knows.
            if may_ask_again && *node != view.this() {
                self.proof.forget(*node);
            } else {
                self.proof.record(*node, LookupReply::Unknown);
            }
        }
        !old.is_empty()
    }
}

#[cfg(test)]
mod tests;
