//! One image of which this node has a record that something is not right.
//!
//! * A misplaced copy is handed over: every owner verifies its own copy, or is given one, and then this one goes. The
//!   rule alone says when ([`ExcessReplica`]).
//! * A misplaced copy that was lost may have been one that an answered upload counts on. Its record goes when every owner
//!   has verified a copy, or when the image is proven to be nowhere else. If an owner lacks it, the node fetches it again
//!   and hands it over.
//! * An owner verifies its own copy, fetches one if that is lacking, and gives one to each other owner that lacks it.
//!
//! The record is struck out when nothing is left to be done. Where something failed it stays, and the node comes back to
//! it later.

pub mod budget;
mod effect;
pub mod excess;
pub mod queue;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::deviation::{Deviation, Deviations, Shipped};
use super::locate::{self, NotFound, WantedImage};
use super::read::{self, Read, ReadPart};
use super::{ANSWER_MAX_MS, Input, Machine, copy_within_ms};
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::repair::excess::{ExcessReplica, ExcessStep};
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

pub use effect::{OwnCopy, OwnVerified, RepairEffect, RepairOutcome};

/// Time that a repair works on a misplaced copy before it is put off, in milliseconds: longer than the rule's graces
/// together.
const WORK_MAX_MS: u64 = 40_000;

/// A "no" that is older than a copy takes to leave proves nothing.
const _: () = assert!(
    locate::ABSENT_AGE_MAX_MS < ExcessReplica::GRACE_MS,
    "invariant: repair: a copy stays for longer than a \"no\" counts"
);

/// Time for an owner to read its copy, in milliseconds.
const VERIFY_MAX_MS: u64 = 4 * ANSWER_MAX_MS;

/// The machine.
#[derive(Clone, Debug)]
pub struct Repair<D = Shipped> {
    deviations: D,
    id: ObjectId,
    started: Time,
    ends_at: Option<Time>,
    length: u64,
    can_store: bool,
    /// A misplaced copy has a record and is not here.
    is_lost: bool,
    /// The other nodes have proven that the image is nowhere.
    is_nowhere: bool,
    effects: VecDeque<RepairEffect>,
    stage: RepairStage<D>,
}

#[derive(Clone, Debug)]
enum RepairStage<D> {
    Looking,
    /// It waits for its turn to do this.
    Waiting(RepairTurn),
    Verifying,
    /// Owners that may lack their copy, and whether all others have theirs.
    Supplying {
        left: VecDeque<NodeId>,
        all: bool,
    },
    Mending {
        read: Box<Read<D>>,
        then_supply: bool,
    },
    HandingOver(Handover),
    Striking,
    Finished,
}

#[derive(Clone, Debug)]
enum RepairTurn {
    VerifyOwn,
    Mend,
    Verify(ExcessReplica, Vec<NodeId>),
}

/// A misplaced copy on its way out.
#[derive(Clone, Debug)]
struct Handover {
    excess: ExcessReplica,
    /// Owners that are asked, and since when.
    asked: BTreeMap<NodeId, Time>,
    given: BTreeSet<NodeId>,
    has_failed: bool,
    /// An owner lacks its copy, and this node has none to give.
    is_wanted: bool,
    wait: Option<Time>,
}

/// Upper bound, in milliseconds, of a repair, if its node does not stop.
pub const fn ended_within_ms(members: u64, length: u64) -> u64 {
    let supply = members * (ANSWER_MAX_MS + copy_within_ms(length));
    WORK_MAX_MS + 2 * VERIFY_MAX_MS + supply + read::answered_within_ms(members)
}

impl Repair {
    /// Of this image; `started` is when the node's process began.
    pub fn new(id: ObjectId, started: Time) -> Self {
        Self::deviating(id, started, Shipped)
    }
}

impl<D: Deviations + Clone> Repair<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(id: ObjectId, started: Time, deviations: D) -> Self {
        Self {
            deviations,
            id,
            started,
            ends_at: None,
            length: 0,
            can_store: false,
            is_lost: false,
            is_nowhere: false,
            effects: VecDeque::from([RepairEffect::Look]),
            stage: RepairStage::Looking,
        }
    }

    fn take(&mut self, now: Time, view: &View, outcome: RepairOutcome) {
        match outcome {
            RepairOutcome::Looked { copy, can_store } => {
                self.can_store = can_store;
                self.looked(now, view, copy);
            }
            RepairOutcome::TurnTaken => self.turn_taken(now, view),
            RepairOutcome::OwnVerified(verified) => self.own_verified(now, view, verified),
            RepairOutcome::Replied(node, reply) => self.replied(now, view, node, reply),
            RepairOutcome::Verified(owner, reply, layout) => self.verified(now, view, owner, (reply, layout)),
            RepairOutcome::Given(to, is_taken) => self.given(now, view, to, is_taken),
            RepairOutcome::Fetched(from, fetched) => {
                self.read(now, view, read::ReadOutcome::Fetched(from, fetched))
            }
            RepairOutcome::TakenIn(is_durable) => self.taken_in(view, is_durable),
            RepairOutcome::Locked { is_here } => self.locked(now, view, is_here),
            RepairOutcome::Removed(true) => self.settle(),
            RepairOutcome::Removed(false) | RepairOutcome::Settled => self.stage = RepairStage::Finished,
        }
    }

    fn looked(&mut self, now: Time, view: &View, copy: OwnCopy) {
        assert!(matches!(self.stage, RepairStage::Looking), "invariant: repair: it is looked once");
        let is_owner = view.is_owner(view.this(), &self.id);
        if let OwnCopy::Here(length) = copy {
            self.length = length;
        }
        match copy {
            OwnCopy::Here(_) if is_owner => self.take_turn(RepairTurn::VerifyOwn),
            OwnCopy::Here(_) if self.deviations.has(Deviation::DeleteByRank) => {
                self.lock(Handover::new(self.id, view))
            }
            OwnCopy::Here(_) => self.handover(now, view, Handover::new(self.id, view)),
            // Nothing is left of it that could be repaired.
            OwnCopy::Erased => self.settle(),
            // One that cannot be read is replaced like one that is not there.
            OwnCopy::Lacking | OwnCopy::Unreadable if is_owner => self.take_turn(RepairTurn::Mend),
            // The record is there before the copy, so an upload may be under way. Or the copy was lost.
            OwnCopy::Lacking => {
                self.is_lost = true;
                self.handover(now, view, Handover::new(self.id, view));
            }
            OwnCopy::Unreadable | OwnCopy::Unknown => self.stage = RepairStage::Finished,
        }
    }

    fn take_turn(&mut self, turn: RepairTurn) {
        self.stage = RepairStage::Waiting(turn);
        self.effects.push_back(RepairEffect::TakeTurn);
    }

    fn turn_taken(&mut self, now: Time, view: &View) {
        let RepairStage::Waiting(turn) = std::mem::replace(&mut self.stage, RepairStage::Finished) else {
            panic!("invariant: repair: a turn that nobody waits for")
        };
        match turn {
            RepairTurn::VerifyOwn if self.deviations.has(Deviation::VerificationSkipped) => self.supply(view),
            RepairTurn::VerifyOwn => {
                self.stage = RepairStage::Verifying;
                self.effects.push_back(RepairEffect::VerifyOwn);
            }
            RepairTurn::Mend => self.mend(now, view, false),
            RepairTurn::Verify(excess, owners) => {
                let mut handover = Handover { excess, ..Handover::new(self.id, view) };
                for owner in owners {
                    handover.asked.insert(owner, now);
                    self.verify(owner);
                }
                self.stage = RepairStage::HandingOver(handover);
            }
        }
    }

    fn own_verified(&mut self, now: Time, view: &View, verified: OwnVerified) {
        assert!(
            matches!(self.stage, RepairStage::Verifying),
            "invariant: repair: only a copy that is verified can be found right or wrong"
        );
        match verified {
            OwnVerified::Right => self.supply(view),
            OwnVerified::Unreadable => self.mend(now, view, true),
            OwnVerified::Gone | OwnVerified::Unknown => self.stage = RepairStage::Finished,
        }
    }

    /// Gives a copy to each other owner that has none.
    fn supply(&mut self, view: &View) {
        let left = view.owners(&self.id).into_iter().filter(|owner| *owner != view.this()).collect();
        self.stage = RepairStage::Supplying { left, all: true };
        self.supply_next(view);
    }

    fn supply_next(&mut self, view: &View) {
        let RepairStage::Supplying { left, all } = &self.stage else { return };
        match left.front() {
            Some(node) => self.effects.push_back(RepairEffect::Ask { node: *node, within_ms: ANSWER_MAX_MS }),
            None if *all => self.settle_as_owner(view),
            None => self.stage = RepairStage::Finished,
        }
    }

    /// Every owner has its copy. If this node has ceased to be one meanwhile, its own is misplaced: the record stays for
    /// the handover.
    fn settle_as_owner(&mut self, view: &View) {
        if view.is_owner(view.this(), &self.id) {
            self.settle();
        } else {
            self.stage = RepairStage::Finished;
        }
    }

    fn supplied(&mut self, view: &View, has_its_copy: bool) {
        if let RepairStage::Supplying { left, all } = &mut self.stage {
            left.pop_front();
            *all &= has_its_copy;
            self.supply_next(view);
        }
    }

    fn replied(&mut self, now: Time, view: &View, node: NodeId, reply: LookupReply) {
        match (&self.stage, reply) {
            (RepairStage::Mending { .. }, _) => self.read(now, view, read::ReadOutcome::Replied(node, reply)),
            (RepairStage::HandingOver(_), _) => self.verified(now, view, node, (reply, Some(view.hash()))),
            (RepairStage::Supplying { .. }, LookupReply::Absent(_)) => self.give(view, node),
            (RepairStage::Supplying { .. }, _) => self.supplied(view, reply == LookupReply::Present),
            _ => {}
        }
    }

    fn give(&mut self, view: &View, to: NodeId) {
        let misplaced = !view.is_owner(to, &self.id);
        self.effects.push_back(RepairEffect::Give { to, misplaced, within_ms: copy_within_ms(self.length) });
    }

    fn given(&mut self, now: Time, view: &View, to: NodeId, is_taken: bool) {
        match &mut self.stage {
            RepairStage::Supplying { .. } => self.supplied(view, is_taken),
            RepairStage::HandingOver(handover) if is_taken => {
                handover.asked.insert(to, now);
                self.verify(to);
            }
            RepairStage::HandingOver(_) => self.ask_ended(now, view, to, false),
            _ => {}
        }
    }

    /// Takes a copy from a node that has a good one.
    fn mend(&mut self, now: Time, view: &View, then_supply: bool) {
        // It would come whole and could not be kept.
        if !self.can_store || !view.is_joined() {
            return self.stage = RepairStage::Finished;
        }
        let wanted = WantedImage { id: self.id, here: LookupReply::Absent(None), started: self.started };
        let read = Box::new(Read::deviating(wanted, ReadPart::Bytes, self.deviations.clone()));
        self.stage = RepairStage::Mending { read, then_supply };
        self.drive_read(now, view, Input::Tick);
    }

    fn read(&mut self, now: Time, view: &View, outcome: read::ReadOutcome) {
        let outcome = match outcome {
            read::ReadOutcome::Fetched(from, read::FetchReply::Broken)
                if self.deviations.has(Deviation::RepairUnverified) =>
            {
                read::ReadOutcome::Fetched(from, read::FetchReply::Given)
            }
            outcome => outcome,
        };
        self.drive_read(now, view, Input::Outcome(outcome));
    }

    fn drive_read(&mut self, now: Time, view: &View, input: Input<read::ReadOutcome>) {
        let RepairStage::Mending { read, then_supply } = &mut self.stage else { return };
        if read.is_finished() {
            return;
        }
        read.handle(now, view, input);
        while let Some(effect) = read.poll() {
            match effect {
                read::ReadEffect::Fetch { from, within_ms } => {
                    self.effects.push_back(RepairEffect::Fetch { from, within_ms });
                }
                read::ReadEffect::Ask { node, within_ms } => {
                    self.effects.push_back(RepairEffect::Ask { node, within_ms });
                }
                read::ReadEffect::Give(from) => self.effects.push_back(RepairEffect::TakeIn(from)),
                // Only between two uploads is it known that no copy has come here meanwhile.
                read::ReadEffect::Fail(NotFound::Absent) if self.is_lost => {
                    self.is_nowhere = true;
                    return self.lock(Handover::new(self.id, view));
                }
                // It is gone everywhere: nothing is left to be done.
                read::ReadEffect::Fail(NotFound::Absent) if !*then_supply => return self.settle(),
                read::ReadEffect::Fail(NotFound::Gone) => return self.settle(),
                read::ReadEffect::Fail(_) => return self.stage = RepairStage::Finished,
            }
        }
    }

    fn taken_in(&mut self, view: &View, is_durable: bool) {
        match &self.stage {
            RepairStage::Mending { then_supply: true, .. } if is_durable => self.supply(view),
            RepairStage::Mending { .. } if is_durable => self.settle_as_owner(view),
            _ => self.stage = RepairStage::Finished,
        }
    }

    fn handover(&mut self, now: Time, view: &View, mut handover: Handover) {
        assert!(
            handover.asked.is_empty(),
            "invariant: repair: a handover goes on when every owner has replied"
        );
        if self.ends_at.is_some_and(|end| now >= end) {
            return self.stage = RepairStage::Finished;
        }
        match handover.excess.next_step(view, now) {
            // It belongs here now, or nobody owns it as far as is known: it is looked at again.
            ExcessStep::Keep => self.stage = RepairStage::Finished,
            ExcessStep::Verify(owners) => self.take_turn(RepairTurn::Verify(handover.excess, owners)),
            ExcessStep::Wait(until) => {
                assert!(until > now, "invariant: repair: a wait ends later");
                handover.wait = Some(until);
                self.stage = RepairStage::HandingOver(handover);
            }
            ExcessStep::Delete => self.lock(handover),
        }
    }

    fn verify(&mut self, owner: NodeId) {
        self.effects.push_back(if self.deviations.has(Deviation::VerificationSkipped) {
            RepairEffect::Ask { node: owner, within_ms: ANSWER_MAX_MS }
        } else {
            RepairEffect::Verify { owner, within_ms: VERIFY_MAX_MS }
        });
    }

    fn verified(
        &mut self,
        now: Time,
        view: &View,
        owner: NodeId,
        (reply, layout): (LookupReply, Option<LayoutHash>),
    ) {
        let RepairStage::HandingOver(handover) = &mut self.stage else { return };
        let Some(asked_at) = handover.asked.get(&owner).copied() else { return };
        match (reply, layout) {
            (LookupReply::Present, Some(layout)) => {
                handover.excess.add_receipt(owner, layout, asked_at);
                // Another layout than this node's: the core will have heard of it soon, and this is due again.
                self.ask_ended(now, view, owner, layout == view.hash());
            }
            (LookupReply::Absent(_), _) if self.is_lost => {
                handover.is_wanted = true;
                self.ask_ended(now, view, owner, false);
            }
            (LookupReply::Absent(_), _) if handover.given.insert(owner) => self.give(view, owner),
            _ => self.ask_ended(now, view, owner, false),
        }
    }

    fn ask_ended(&mut self, now: Time, view: &View, owner: NodeId, is_good: bool) {
        let RepairStage::HandingOver(handover) = &mut self.stage else { return };
        handover.asked.remove(&owner);
        handover.has_failed |= !is_good;
        if !handover.asked.is_empty() {
            return;
        }
        if handover.has_failed && handover.is_wanted {
            return self.mend(now, view, false);
        }
        if handover.has_failed {
            return self.stage = RepairStage::Finished;
        }
        self.effects.push_back(RepairEffect::YieldTurn);
        let handover = handover.clone();
        self.handover(now, view, handover);
    }

    fn lock(&mut self, handover: Handover) {
        self.stage = RepairStage::HandingOver(handover);
        self.effects.push_back(RepairEffect::Lock);
    }

    fn locked(&mut self, now: Time, view: &View, is_here: bool) {
        let RepairStage::HandingOver(handover) = &mut self.stage else {
            panic!("invariant: repair: a lock that nobody asked for")
        };
        // The rule's word holds for this moment only, and the lock may have taken a while.
        let by_rank = self.deviations.has(Deviation::DeleteByRank);
        let mut may_go = || by_rank || handover.excess.next_step(view, now) == ExcessStep::Delete;
        match is_here {
            true if !self.is_nowhere && may_go() => {
                self.stage = RepairStage::Striking;
                self.effects.push_back(RepairEffect::Remove);
            }
            false if self.is_nowhere || may_go() => self.settle(),
            _ => self.stage = RepairStage::Finished,
        }
    }

    fn settle(&mut self) {
        self.stage = RepairStage::Striking;
        self.effects.push_back(RepairEffect::Settle);
    }
}

impl Handover {
    fn new(id: ObjectId, view: &View) -> Self {
        let excess = ExcessReplica::new(id, view);
        Self {
            excess,
            asked: BTreeMap::new(),
            given: BTreeSet::new(),
            has_failed: false,
            is_wanted: false,
            wait: None,
        }
    }
}

impl<D: Deviations + Clone> Machine for Repair<D> {
    type Effect = RepairEffect;
    type Outcome = RepairOutcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<RepairOutcome>) {
        self.ends_at.get_or_insert(now.after(WORK_MAX_MS));
        match input {
            Input::Outcome(outcome) => self.take(now, view, outcome),
            Input::Tick => {
                if let RepairStage::HandingOver(handover) = &mut self.stage
                    && handover.wait.is_some_and(|until| until <= now)
                {
                    handover.wait = None;
                    let handover = handover.clone();
                    self.handover(now, view, handover);
                } else {
                    self.drive_read(now, view, Input::Tick);
                }
            }
        }
    }

    fn poll(&mut self) -> Option<RepairEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        match &self.stage {
            _ if self.deviations.has(Deviation::DeadlineNotReported) => None,
            RepairStage::Mending { read, .. } => read.deadline(),
            RepairStage::HandingOver(handover) => handover.wait,
            _ => None,
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.stage, RepairStage::Finished) && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests;
