//! An upload on its way to the nodes that should have it.
//!
//! All owners are sent a copy at once. For each that does not take its own, or not soon, a fallback is sent one.
//! The rule says when enough hold it ([`WriteQuorum`]). The machine goes on after the answer, until every owner has its
//! copy or a fallback has one in its place.
//!
//! Every copy carries the counter of the image's erasure record, 0 without one. A node that knows of a deletion, or of a
//! later upload, says so; then all are asked again with the higher counter. So an upload brings a deleted image back.

pub mod quorum;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::deviation::{Deviation, Deviations, Shipped};
use super::{ACQUAINTED_MS, ANSWER_MAX_MS, Acquaintance, Input, Machine, copy_within_ms};
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::write::quorum::{WriteQuorum, WriteStatus};
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// Time for a node before a fallback gets a copy in its place, in milliseconds. The node's own copy still counts when
/// it arrives.
const PATIENCE_MS: u64 = 3_000;

/// Time for a layout that another node already knows to arrive here, in milliseconds.
const MERGE_MAX_MS: u64 = 5_000;

/// Between two looks whether it has come.
const MERGE_LOOK_MS: u64 = 50;

/// Times that all nodes are asked again with a higher counter. Each but the first needs another client's deletion of the
/// image at that moment.
const RAISES_MAX: u32 = 4;

/// One upload.
#[derive(Clone, Copy, Debug)]
pub struct Upload {
    /// Of which image.
    pub id: ObjectId,
    /// Its bytes.
    pub length: u64,
    /// Whether this node had the image before. Others are likely to have it too, and are asked first.
    pub is_known: bool,
    /// This node's record of the image's deletions.
    pub record: ErasureRecord,
    /// When the node's process began.
    pub started: Time,
}

/// An effect that the driver carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteEffect {
    /// Make this node's own copy durable, live with this counter: [`WriteOutcome::Copied`] or
    /// [`WriteOutcome::Outdated`]. It may be there already, with a lower one.
    Store {
        /// The counter.
        live: u64,
    },
    /// Send a copy: [`WriteOutcome::Copied`] or [`WriteOutcome::Outdated`].
    Send {
        /// To whom.
        to: NodeId,
        /// The counter with which the image is live.
        live: u64,
        /// Whether it takes the copy in place of an owner.
        misplaced: bool,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Have a node read the copy that it may have: [`WriteOutcome::Verified`] or [`WriteOutcome::Outdated`].
    Verify {
        /// Which node.
        node: NodeId,
        /// The counter with which the image is live.
        live: u64,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Record durably that an owner lacks its copy: [`WriteOutcome::Recorded`].
    Record,
    /// Tell the client that these nodes hold the image.
    Acknowledge(Vec<NodeId>),
    /// Tell the client that only these nodes hold it, which is too few.
    Refuse(Vec<NodeId>),
    /// Tell the client that the image is banned, or deleted again and again while it was uploaded.
    RefuseGone {
        /// Whether it is banned.
        is_banned: bool,
    },
}

/// The outcome of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The copy with this counter is durable there, taken under this layout; or the node did not take it.
    Copied(NodeId, u64, Option<LayoutHash>),
    /// The node has read its copy under this layout, and it is live with this counter; or it did not say so.
    Verified(NodeId, u64, Option<LayoutHash>),
    /// The node knows this of the image, by which a copy with this counter is not the latest.
    Outdated(NodeId, u64, ErasureRecord),
    /// The record is durable, if the disk is well.
    Recorded,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Write<D = Shipped> {
    deviations: D,
    upload: Upload,
    quorum: WriteQuorum,
    acquaintance: Acquaintance,
    effects: VecDeque<WriteEffect>,
    /// Until when each node is waited for before another is asked in its place.
    patience: BTreeMap<NodeId, Time>,
    /// Nodes that are asked for the copy that they may have before one is sent.
    verified_first: BTreeSet<NodeId>,
    under_way: usize,
    merging_since: Option<Time>,
    next_look: Option<Time>,
    record: LackRecord,
    /// The counter with which the image is to be live.
    live: u64,
    /// Times that this was raised.
    raises: u32,
    stage: WriteStage,
}

/// Whether it is recorded that an owner lacks its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LackRecord {
    Absent,
    UnderWay,
    Durable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteStage {
    Unanswered,
    Answered,
    /// The image is gone: no more copies are sent.
    Rejected,
    Finished,
}

/// Upper bound, in milliseconds, of an upload, if its node does not stop: it may wait for each of this many members
/// once, one copy may take its whole time, and the layouts may have to be merged. With each raised counter it begins
/// again.
pub const fn answered_within_ms(members: u64, length: u64) -> u64 {
    let round = members * PATIENCE_MS + copy_within_ms(length) + MERGE_MAX_MS + ANSWER_MAX_MS;
    ACQUAINTED_MS + (1 + RAISES_MAX as u64) * round
}

impl Write {
    /// An upload of which no copy is durable yet.
    pub fn new(upload: Upload) -> Self {
        Self::deviating(upload, Shipped)
    }
}

impl<D: Deviations> Write<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(upload: Upload, deviations: D) -> Self {
        Self {
            deviations,
            upload,
            quorum: WriteQuorum::new(upload.id),
            acquaintance: Acquaintance::new(upload.started),
            effects: VecDeque::new(),
            patience: BTreeMap::new(),
            verified_first: BTreeSet::new(),
            under_way: 0,
            merging_since: None,
            next_look: None,
            record: LackRecord::Absent,
            live: upload.record.next_live(),
            raises: 0,
            stage: WriteStage::Unanswered,
        }
    }

    /// The counter with which the image is live by this upload.
    pub fn live(&self) -> u64 {
        self.live
    }

    fn take(&mut self, view: &View, outcome: WriteOutcome) {
        match outcome {
            WriteOutcome::Copied(node, live, layout) => self.copied(view, node, live, layout),
            WriteOutcome::Verified(node, live, None)
                if live == self.live && self.verified_first.remove(&node) =>
            {
                self.send(view, node)
            }
            WriteOutcome::Verified(node, live, layout) => self.copied(view, node, live, layout),
            WriteOutcome::Outdated(node, live, record) => {
                self.copied(view, node, live, None);
                self.raise(record);
            }
            WriteOutcome::Recorded => {
                assert!(
                    self.record == LackRecord::UnderWay,
                    "invariant: write: a record that nobody asked for"
                );
                self.record = LackRecord::Durable;
            }
        }
    }

    fn copied(&mut self, view: &View, node: NodeId, live: u64, layout: Option<LayoutHash>) {
        assert!(self.under_way > 0, "invariant: write: a copy that was not under way");
        self.under_way -= 1;
        // A copy with a lower counter may be deleted by what raised it.
        if live != self.live {
            return;
        }
        self.verified_first.remove(&node);
        self.patience.remove(&node);
        match layout {
            Some(_) if self.deviations.has(Deviation::UnknownLayoutCounts) => {
                self.quorum.confirm(node, view.hash());
            }
            Some(layout) => self.quorum.confirm(node, layout),
            None => self.quorum.refuse(node),
        }
    }

    /// A node knows more of the image's deletions than this upload did: all are asked again with a higher counter. Once
    /// the client has its answer, whatever was deleted since stays deleted.
    fn raise(&mut self, record: ErasureRecord) {
        let is_banned = record.is_banned() && !self.deviations.has(Deviation::BanOverturned);
        if record.next_live() <= self.live && !is_banned {
            return;
        }
        if self.stage != WriteStage::Unanswered || is_banned || self.raises == RAISES_MAX {
            return self.reject(is_banned);
        }
        self.raises += 1;
        self.live = record.next_live();
        // The copies that were sent are there by now, or soon.
        self.upload.is_known = true;
        self.quorum = WriteQuorum::new(self.upload.id);
        self.patience.clear();
        self.verified_first.clear();
        self.merging_since = None;
    }

    fn reject(&mut self, is_banned: bool) {
        if self.stage == WriteStage::Unanswered {
            self.effects.push_back(WriteEffect::RefuseGone { is_banned });
        }
        self.stage = WriteStage::Rejected;
        self.patience.clear();
        self.verified_first.clear();
        self.next_look = None;
    }

    /// A node that takes its time is as good as one that refuses. Its copy counts all the same when it comes.
    fn lose_patience(&mut self, now: Time) {
        let quorum = &mut self.quorum;
        self.patience.retain(|node, until| {
            let is_late = *until <= now;
            if is_late {
                quorum.refuse(*node);
            }
            !is_late
        });
    }

    fn ask_targets(&mut self, now: Time, view: &View) {
        let live = self.live;
        for node in self.quorum.targets(view) {
            self.quorum.ask(node);
            self.under_way += 1;
            if !self.deviations.has(Deviation::PatienceIgnored) {
                self.patience.insert(node, now.after(PATIENCE_MS));
            }
            if node == view.this() {
                self.effects.push_back(WriteEffect::Store { live });
            } else if self.upload.is_known {
                // To have it read there costs less than to send it.
                self.verified_first.insert(node);
                self.effects.push_back(WriteEffect::Verify { node, live, within_ms: ANSWER_MAX_MS });
            } else {
                self.send(view, node);
            }
        }
    }

    fn send(&mut self, view: &View, to: NodeId) {
        let misplaced = !view.is_owner(to, &self.upload.id);
        let within_ms = copy_within_ms(self.upload.length);
        self.effects.push_back(WriteEffect::Send { to, live: self.live, misplaced, within_ms });
    }

    fn acknowledge(&mut self, view: &View) {
        if self.stage != WriteStage::Unanswered || !self.is_acknowledged(view) {
            return;
        }
        // Before the answer, for this node may be gone a moment after it.
        if self.is_recorded(view) {
            self.stage = WriteStage::Answered;
            let has_holders = self.quorum.holders().next().is_some();
            assert!(has_holders, "invariant: write: an acknowledged upload has a holder");
            self.effects.push_back(WriteEffect::Acknowledge(self.quorum.holders().collect()));
        }
    }

    fn is_acknowledged(&self, view: &View) -> bool {
        if !self.is_raise_durable(view) {
            return false;
        }
        let has = |deviation| self.deviations.has(deviation);
        let (this, id) = (view.this(), &self.upload.id);
        let count = || self.quorum.holders().count();
        let has_owner = || self.quorum.holders().any(|node| view.is_owner(node, id));
        if has(Deviation::SpoolCounts) && has_owner() {
            let is_spool_extra = !view.is_owner(this, id) && !self.quorum.holders().any(|node| node == this);
            return count() + usize::from(is_spool_extra) >= view.copies_needed();
        }
        if has(Deviation::ClampByLiveness) && has_owner() {
            let alive = view.members().filter(|(_, member)| member.alive).count();
            return count() >= view.copies_needed().min(alive);
        }
        if has(Deviation::NoOwnerNeeded) {
            return count() >= view.copies_needed();
        }
        self.quorum.status(view) == WriteStatus::Acknowledged
    }

    /// Whether no later deletion can miss the counter of this upload. Every deletion is above 0.
    fn is_raise_durable(&self, view: &View) -> bool {
        let holders: Vec<_> = self.quorum.holders().collect();
        self.live == 0 || view.is_erasure_durable(&self.upload.id, &holders)
    }

    /// Whether no record is needed or the record is durable; begins to write it. A fallback's copy has a record of
    /// its own: this node records what it can give.
    fn is_recorded(&mut self, view: &View) -> bool {
        let is_needed = || {
            let holds = self.quorum.holders().any(|node| node == view.this());
            holds && self.quorum.is_under_replicated(view)
        };
        if self.record == LackRecord::Absent && is_needed() && !self.deviations.has(Deviation::RecordLost) {
            self.record = LackRecord::UnderWay;
            self.effects.push_back(WriteEffect::Record);
        }
        self.record != LackRecord::UnderWay
    }

    /// No copy is on its way. A copy under a layout that is not known here counts when that has come.
    fn conclude(&mut self, now: Time, view: &View) {
        let since = *self.merging_since.get_or_insert(now);
        let is_pending = self.quorum.status(view) == WriteStatus::Pending;
        if is_pending && now.since(since) < MERGE_MAX_MS {
            if self.next_look.is_some_and(|look| look <= now) {
                self.next_look = None;
                self.verify_unconfirmed(view);
            }
            if self.next_look.is_none() && self.under_way == 0 {
                self.next_look = Some(now.after(MERGE_LOOK_MS));
            }
            return;
        }
        self.next_look = None;
        if !self.is_recorded(view) {
            return;
        }
        if self.stage == WriteStage::Unanswered {
            self.effects.push_back(WriteEffect::Refuse(self.quorum.holders().collect()));
        }
        self.stage = WriteStage::Finished;
    }

    /// A record that was begun is awaited: a finished write has nothing under way.
    fn end_rejected(&mut self) {
        if self.under_way == 0 && self.record != LackRecord::UnderWay {
            self.stage = WriteStage::Finished;
        }
        self.assert_consistent();
    }

    fn assert_consistent(&self) {
        assert!(
            self.patience.len() <= self.under_way,
            "invariant: write: only a node that is asked is waited for"
        );
        assert!(
            self.verified_first.len() <= self.under_way,
            "invariant: write: only a node that is asked may verify first"
        );
        let is_finished = self.stage == WriteStage::Finished;
        assert!(!is_finished || self.under_way == 0, "invariant: write: nothing is under way at the end");
        assert!(
            !is_finished || self.record != LackRecord::UnderWay,
            "invariant: write: a record that was begun is awaited"
        );
        assert!(
            !is_finished || self.next_look.is_none(),
            "invariant: write: a finished write has no deadline"
        );
    }

    fn verify_unconfirmed(&mut self, view: &View) {
        let live = self.live;
        for node in self.quorum.unconfirmed(view) {
            self.under_way += 1;
            self.effects.push_back(WriteEffect::Verify { node, live, within_ms: ANSWER_MAX_MS });
        }
    }
}

impl<D: Deviations> Machine for Write<D> {
    type Effect = WriteEffect;
    type Outcome = WriteOutcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<WriteOutcome>) {
        assert!(
            self.stage != WriteStage::Finished,
            "invariant: write: a write that is finished has nothing under way"
        );
        if let Input::Outcome(outcome) = input {
            self.take(view, outcome);
        }
        if self.stage == WriteStage::Rejected {
            return self.end_rejected();
        }
        if !self.acquaintance.is_over(now, view, &self.upload.id) {
            return;
        }
        self.lose_patience(now);
        self.ask_targets(now, view);
        self.acknowledge(view);
        if self.under_way == 0 && self.record != LackRecord::UnderWay {
            self.conclude(now, view);
        } else {
            self.next_look = None;
        }
        self.assert_consistent();
    }

    fn poll(&mut self) -> Option<WriteEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        if self.deviations.has(Deviation::DeadlineNotReported) {
            return None;
        }
        let waits = self.patience.values().copied().chain(self.next_look);
        waits.chain(self.acquaintance.deadline()).min()
    }

    fn is_finished(&self) -> bool {
        self.stage == WriteStage::Finished && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests;
