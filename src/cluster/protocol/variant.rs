//! A variant of an image, wherever that is: made once in the cluster.
//!
//! Every node sends a cold request to the image's owners in placement order, so all come to the same one; there they
//! wait for one job, and here for one question. An owner that lacks the image, is busy or breaks off is passed over.
//! Nobody is asked beside another: what is slow would only be made twice.

use std::collections::VecDeque;

use super::deviation::{Deviation, Deviations, Shipped};
use super::locate::{NotFound, Search};
use super::{ANSWER_MAX_MS, Acquaintance, Input, Machine};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// A variant that a client wants and that is not in memory.
#[derive(Clone, Copy, Debug)]
pub struct WantedVariant {
    /// Of which image.
    pub id: ObjectId,
    /// Time limit for all asked nodes together, in milliseconds.
    pub within_ms: u64,
    /// When the node's process began.
    pub started: Time,
}

/// An effect that the driver carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantEffect {
    /// Find or make it on this node: [`VariantOutcome::Made`].
    MakeHere {
        /// Whether another node could do where this one cannot.
        has_others: bool,
    },
    /// Find it on this node, where it may have been made before: [`VariantOutcome::Made`] or [`VariantOutcome::NotKept`].
    LookHere,
    /// Wait with those who want the same, or ask for all of them: [`VariantOutcome::Leading`] or [`VariantOutcome::Shared`].
    Share,
    /// Have another node find or make it: [`VariantOutcome::Made`].
    MakeAt {
        /// Which node.
        node: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Ask a node whether it has the image: [`VariantOutcome::Replied`].
    Ask {
        /// Which node.
        node: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Answer with what this node gave.
    Give {
        /// Which node.
        by: NodeId,
        /// Whether this node should have had a good copy of the image, and has not.
        is_lacked: bool,
    },
    /// Answer that there is none.
    Fail(VariantFailure),
}

/// Why there is no variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantFailure {
    /// The failure of this node: no other one would do better.
    Of(NodeId),
    /// Too much is being made.
    Busy,
    /// There is no image to make it of, as far as is known.
    NotFound(NotFound),
    /// This node does not belong to its cluster, and so cannot say.
    NotJoined,
}

/// The outcome of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantOutcome {
    /// The result of a node that was asked for the variant.
    Made(NodeId, Made),
    /// It is not on this node.
    NotKept,
    /// Nobody else asks for it now, or what the other one got cannot be shared.
    Leading,
    /// Somebody else has asked for it, and the client has been answered with that.
    Shared,
    /// A node's reply; [`LookupReply::Unknown`] if it did not answer.
    Replied(NodeId, LookupReply),
}

/// The result of a node that was asked for the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The variant.
    Given,
    /// Nothing: it has no good copy, or cannot tell.
    Without(LookupReply),
    /// Nothing: its disk does not answer. What waits for that would be late everywhere.
    Hung,
    /// Nothing: too much is being made there.
    Busy,
    /// Nothing, and no other node would do better.
    Failed,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Variant<D = Shipped> {
    deviations: D,
    wanted: WantedVariant,
    search: Search<D>,
    acquaintance: Acquaintance,
    effects: VecDeque<VariantEffect>,
    stage: VariantStage,
    /// When all who are asked are late.
    ends_at: Time,
    /// Since when the one is asked who is asked now.
    asked_at: Time,
    is_busy: bool,
    is_lacked: bool,
}

#[derive(Clone, Debug)]
enum VariantStage {
    /// Nobody was asked yet.
    Meeting,
    /// This node belongs to no cluster.
    Alone,
    /// This node looks first.
    Near,
    /// It waits for the request that wants the same.
    Sharing,
    /// The nodes that are still to be asked.
    Owners(VecDeque<NodeId>),
    Searching,
    /// One has the image all the same.
    Last,
    Answered,
}

/// Upper bound, in milliseconds, of a request, if its node does not stop and makes nothing itself.
pub const fn answered_within_ms(members: u64, within_ms: u64) -> u64 {
    within_ms + super::locate::concluded_within_ms(members)
}

impl Variant {
    /// A request for which nobody was asked.
    pub fn new(wanted: WantedVariant) -> Self {
        Self::deviating(wanted, Shipped)
    }
}

impl<D: Deviations + Clone> Variant<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(wanted: WantedVariant, deviations: D) -> Self {
        Self {
            search: Search::without_own_reply(wanted.id, deviations.clone()),
            deviations,
            acquaintance: Acquaintance::new(wanted.started),
            wanted,
            effects: VecDeque::new(),
            stage: VariantStage::Meeting,
            ends_at: Time::default(),
            asked_at: Time::default(),
            is_busy: false,
            is_lacked: false,
        }
    }

    fn take(&mut self, now: Time, view: &View, outcome: VariantOutcome) {
        match outcome {
            VariantOutcome::Made(node, made) => self.made(now, view, node, made),
            VariantOutcome::NotKept => self.share(),
            VariantOutcome::Leading => self.lead(now, view),
            VariantOutcome::Shared => self.stage = VariantStage::Answered,
            VariantOutcome::Replied(node, reply) => self.search.take_reply(view, node, reply),
        }
    }

    fn made(&mut self, now: Time, view: &View, node: NodeId, made: Made) {
        match (made, &self.stage) {
            (_, VariantStage::Answered) => {}
            (Made::Given, _) => self.answer(VariantEffect::Give { by: node, is_lacked: self.is_lacked }),
            (Made::Failed, _) => self.answer(VariantEffect::Fail(VariantFailure::Of(node))),
            (Made::Busy, VariantStage::Alone | VariantStage::Last) => {
                self.answer(VariantEffect::Fail(VariantFailure::Busy))
            }
            (_, VariantStage::Alone) => self.answer(VariantEffect::Fail(VariantFailure::NotJoined)),
            (Made::Without(LookupReply::Gone), VariantStage::Last) => {
                self.answer(VariantEffect::Fail(VariantFailure::NotFound(NotFound::Gone)))
            }
            (_, VariantStage::Last) => {
                self.answer(VariantEffect::Fail(VariantFailure::NotFound(NotFound::Unproven)))
            }
            (_, VariantStage::Near) => self.share(),
            (Made::Busy, _) => {
                self.is_busy = true;
                self.ask_next(now, view);
            }
            (Made::Hung, _) => {
                self.search.record(view, node, LookupReply::Unknown, self.asked_at);
                self.ask_next(now, view);
            }
            (Made::Without(reply), _) => {
                self.is_lacked |= node == view.this();
                self.search.record(view, node, reply, self.asked_at);
                self.ask_next(now, view);
            }
        }
    }

    fn answer(&mut self, answer: VariantEffect) {
        assert!(
            !matches!(self.stage, VariantStage::Answered),
            "invariant: variant: a variant is answered once"
        );
        self.stage = VariantStage::Answered;
        self.effects.push_back(answer);
    }

    fn begin(&mut self, view: &View) {
        let first = view.owners(&self.wanted.id).into_iter().find(|node| view.is_alive(*node));
        self.stage = VariantStage::Near;
        // Alone, or the one to which the others come: as if there were nobody else.
        let effect = if first.is_none_or(|node| node == view.this()) {
            let has_others = view.members().any(|(node, _)| node != view.this());
            VariantEffect::MakeHere { has_others }
        } else {
            VariantEffect::LookHere
        };
        self.effects.push_back(effect);
    }

    fn share(&mut self) {
        self.stage = VariantStage::Sharing;
        self.effects.push_back(VariantEffect::Share);
    }

    fn lead(&mut self, now: Time, view: &View) {
        let mut nodes: VecDeque<_> =
            view.owners(&self.wanted.id).into_iter().filter(|node| view.is_alive(*node)).collect();
        if !nodes.contains(&view.this()) {
            // It may hold a copy in place of an owner.
            nodes.push_back(view.this());
        }
        assert!(
            matches!(self.stage, VariantStage::Sharing),
            "invariant: variant: only a request that was to share leads"
        );
        assert!(nodes.contains(&view.this()), "invariant: variant: this node may always make it itself");
        self.ends_at = now.after(self.wanted.within_ms);
        self.stage = VariantStage::Owners(nodes);
        self.ask_next(now, view);
    }

    fn ask_next(&mut self, now: Time, view: &View) {
        let VariantStage::Owners(left) = &mut self.stage else { return };
        match left.pop_front() {
            Some(node) => self.ask(now, view, node),
            None if self.is_busy => self.answer(VariantEffect::Fail(VariantFailure::Busy)),
            None => self.stage = VariantStage::Searching,
        }
    }

    fn ask(&mut self, now: Time, view: &View, node: NodeId) {
        self.asked_at = now;
        self.effects.push_back(if node == view.this() {
            VariantEffect::MakeHere { has_others: true }
        } else {
            // One deadline for all who are asked.
            VariantEffect::MakeAt { node, within_ms: self.ends_at.since(now) }
        });
    }

    fn search(&mut self, now: Time, view: &View) {
        let effects = &mut self.effects;
        let ask = |node| effects.push_back(VariantEffect::Ask { node, within_ms: ANSWER_MAX_MS });
        match self.search.advance(now, view, ask) {
            None => {}
            Some(Ok(node)) => {
                self.stage = VariantStage::Last;
                self.ask(now, view, node);
            }
            Some(Err(not_found)) => self.answer(VariantEffect::Fail(VariantFailure::NotFound(not_found))),
        }
    }
}

impl<D: Deviations + Clone> Machine for Variant<D> {
    type Effect = VariantEffect;
    type Outcome = VariantOutcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<VariantOutcome>) {
        if let Input::Outcome(outcome) = input {
            self.take(now, view, outcome);
        }
        if matches!(self.stage, VariantStage::Meeting) {
            if !view.is_joined() {
                self.stage = VariantStage::Alone;
                self.effects.push_back(VariantEffect::MakeHere { has_others: true });
            } else if self.acquaintance.is_over(now, view, &self.wanted.id) {
                self.begin(view);
            }
        }
        if matches!(self.stage, VariantStage::Searching) {
            self.search(now, view);
        }
        assert!(
            !matches!(self.stage, VariantStage::Meeting) || self.acquaintance.deadline().is_some(),
            "invariant: variant: a request that meets the cluster has a deadline"
        );
    }

    fn poll(&mut self) -> Option<VariantEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        let is_meeting = matches!(self.stage, VariantStage::Meeting);
        let reports = is_meeting && !self.deviations.has(Deviation::DeadlineNotReported);
        self.acquaintance.deadline().filter(|_| reports)
    }

    fn is_finished(&self) -> bool {
        matches!(self.stage, VariantStage::Answered) && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests;
