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
use crate::cluster::rules::absence::LookupReply;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// A variant that a client wants and that is not in memory.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of which image.
    pub id: ObjectId,
    /// How long all nodes that are asked may take together, in milliseconds.
    pub within_ms: u64,
    /// When the node's process began.
    pub started: Time,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Find or make it on this node: [`Outcome::Made`].
    MakeHere {
        /// Whether another node could do where this one cannot.
        has_others: bool,
    },
    /// Find it on this node, where it may have been made before: [`Outcome::Made`] or [`Outcome::NotKept`].
    LookHere,
    /// Wait with those who want the same, or ask for all of them: [`Outcome::Leading`] or [`Outcome::Shared`].
    Share,
    /// Have another node find or make it: [`Outcome::Made`].
    MakeAt {
        /// Which node.
        node: NodeId,
        /// How long that may take, in milliseconds.
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
    Give {
        /// Which node.
        by: NodeId,
        /// Whether this node should have had a good copy of the image, and has not.
        is_lacked: bool,
    },
    /// Answer that there is none.
    Fail(Failure),
}

/// Why there is no variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What this node failed with: no other would do better.
    Of(NodeId),
    /// Too much is being made.
    Busy,
    /// There is no image to make it of, as far as is known.
    NotFound(NotFound),
    /// This node does not belong to its cluster, and so cannot say.
    NotJoined,
}

/// What came of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What a node made of it.
    Made(NodeId, Made),
    /// It is not on this node.
    NotKept,
    /// Nobody else asks for it now, or what the other one got cannot be shared.
    Leading,
    /// Somebody else has asked for it, and the client has been answered with that.
    Shared,
    /// What the node says; [`LookupReply::Unknown`] if it did not answer.
    Replied(NodeId, LookupReply),
}

/// What a node made of it.
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
    wanted: Wanted,
    search: Search<D>,
    acquaintance: Acquaintance,
    effects: VecDeque<Effect>,
    stage: Stage,
    /// When all who are asked are late.
    ends_at: Time,
    is_busy: bool,
    is_lacked: bool,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Nobody was asked yet.
    Meeting,
    /// This node belongs to no cluster.
    Alone,
    /// This node looks first.
    Near,
    /// It waits for whoever wants the same.
    Sharing,
    /// The nodes that are still to be asked.
    Owners(VecDeque<NodeId>),
    Searching,
    /// One has the image all the same.
    Last,
    Answered,
}

/// How long it may take at most until a request is answered, in milliseconds, if its node goes on and makes nothing
/// itself.
pub const fn answered_within_ms(members: u64, within_ms: u64) -> u64 {
    within_ms + super::locate::concluded_within_ms(members)
}

impl Variant {
    /// A request for which nobody was asked.
    pub fn new(wanted: Wanted) -> Self {
        Self::deviating(wanted, Shipped)
    }
}

impl<D: Deviations + Clone> Variant<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(wanted: Wanted, deviations: D) -> Self {
        Self {
            search: Search::without_own_reply(wanted.id, deviations.clone()),
            deviations,
            acquaintance: Acquaintance::new(wanted.started),
            wanted,
            effects: VecDeque::new(),
            stage: Stage::Meeting,
            ends_at: Time::default(),
            is_busy: false,
            is_lacked: false,
        }
    }

    fn take(&mut self, now: Time, view: &View, outcome: Outcome) {
        match outcome {
            Outcome::Made(node, made) => self.made(now, view, node, made),
            Outcome::NotKept => self.share(),
            Outcome::Leading => self.lead(now, view),
            Outcome::Shared => self.stage = Stage::Answered,
            Outcome::Replied(node, reply) => self.search.take_reply(view, node, reply),
        }
    }

    fn made(&mut self, now: Time, view: &View, node: NodeId, made: Made) {
        match (made, &self.stage) {
            (_, Stage::Answered) => {}
            (Made::Given, _) => self.answer(Effect::Give { by: node, is_lacked: self.is_lacked }),
            (Made::Failed, _) => self.answer(Effect::Fail(Failure::Of(node))),
            (Made::Busy, Stage::Alone | Stage::Last) => self.answer(Effect::Fail(Failure::Busy)),
            (_, Stage::Alone) => self.answer(Effect::Fail(Failure::NotJoined)),
            (_, Stage::Last) => self.answer(Effect::Fail(Failure::NotFound(NotFound::Unproven))),
            (_, Stage::Near) => self.share(),
            (Made::Busy, _) => {
                self.is_busy = true;
                self.ask_next(now, view);
            }
            (Made::Hung, _) => {
                self.search.record(view, node, LookupReply::Unknown);
                self.ask_next(now, view);
            }
            (Made::Without(reply), _) => {
                self.is_lacked |= node == view.this();
                self.search.record(view, node, reply);
                self.ask_next(now, view);
            }
        }
    }

    fn answer(&mut self, answer: Effect) {
        assert!(!matches!(self.stage, Stage::Answered), "a variant is answered once");
        self.stage = Stage::Answered;
        self.effects.push_back(answer);
    }

    fn begin(&mut self, view: &View) {
        let first = view.owners(&self.wanted.id).into_iter().find(|node| view.is_alive(*node));
        self.stage = Stage::Near;
        // Alone, or the one to which the others come: as if there were nobody else.
        let effect = if first.is_none_or(|node| node == view.this()) {
            let has_others = view.members().any(|(node, _)| node != view.this());
            Effect::MakeHere { has_others }
        } else {
            Effect::LookHere
        };
        self.effects.push_back(effect);
    }

    fn share(&mut self) {
        self.stage = Stage::Sharing;
        self.effects.push_back(Effect::Share);
    }

    fn lead(&mut self, now: Time, view: &View) {
        let mut nodes: VecDeque<_> =
            view.owners(&self.wanted.id).into_iter().filter(|node| view.is_alive(*node)).collect();
        if !nodes.contains(&view.this()) {
            // It may hold a copy in place of an owner.
            nodes.push_back(view.this());
        }
        self.ends_at = now.after(self.wanted.within_ms);
        self.stage = Stage::Owners(nodes);
        self.ask_next(now, view);
    }

    fn ask_next(&mut self, now: Time, view: &View) {
        let Stage::Owners(left) = &mut self.stage else { return };
        match left.pop_front() {
            Some(node) => self.ask(now, view, node),
            None if self.is_busy => self.answer(Effect::Fail(Failure::Busy)),
            None => self.stage = Stage::Searching,
        }
    }

    fn ask(&mut self, now: Time, view: &View, node: NodeId) {
        self.effects.push_back(if node == view.this() {
            Effect::MakeHere { has_others: true }
        } else {
            // One deadline for all who are asked.
            Effect::MakeAt { node, within_ms: self.ends_at.since(now) }
        });
    }

    fn search(&mut self, now: Time, view: &View) {
        let effects = &mut self.effects;
        let ask = |node| effects.push_back(Effect::Ask { node, within_ms: ANSWER_MAX_MS });
        match self.search.advance(view, ask) {
            None => {}
            Some(Ok(node)) => {
                self.stage = Stage::Last;
                self.ask(now, view, node);
            }
            Some(Err(not_found)) => self.answer(Effect::Fail(Failure::NotFound(not_found))),
        }
    }
}

impl<D: Deviations + Clone> Machine for Variant<D> {
    type Effect = Effect;
    type Outcome = Outcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<Outcome>) {
        if let Input::Outcome(outcome) = input {
            self.take(now, view, outcome);
        }
        if matches!(self.stage, Stage::Meeting) {
            if !view.is_joined() {
                self.stage = Stage::Alone;
                self.effects.push_back(Effect::MakeHere { has_others: true });
            } else if self.acquaintance.is_over(now, view, &self.wanted.id) {
                self.begin(view);
            }
        }
        if matches!(self.stage, Stage::Searching) {
            self.search(now, view);
        }
    }

    fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        let is_meeting = matches!(self.stage, Stage::Meeting);
        let reports = is_meeting && !self.deviations.has(Deviation::DeadlineNotReported);
        self.acquaintance.deadline().filter(|_| reports)
    }

    fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Answered) && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests;
