//! Images of which this node has a record that something is not right: misplaced copies, owners that lack theirs, and
//! this node's own copies that are lacking or cannot be read.
//!
//! The protocol decides what is done about each ([`Repair`]); here is only the work, and how much of it is done at once.

mod turns;

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use self::turns::{RepairTurns, TurnPermit};
use super::super::Shard;
use super::super::errors::PublishError;
use super::super::locks::IdGuard;
use super::super::message::{PublishAs, Verified};
use super::STARTED;
use super::driver::{Work, drive};
use super::read::{Fetched, FetchedBody, FetchedFrom};
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::read::FetchReply;
use crate::cluster::protocol::repair::queue::RepairQueue;
use crate::cluster::protocol::repair::{OwnCopy, OwnVerified, Repair, RepairEffect, RepairOutcome};
use crate::cluster::view::View;
use crate::image::header::Limits;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call, Copy};
use crate::peer::erasure::read_record;
use crate::store::StoreError;
use crate::store::bad_copies::FoundBy;
use crate::store::findings::{Finding, FindingReceiver};
use crate::store::originals::{Checked, Found, Original};
use crate::store::read::FileReader;
use crate::store::spool::SpoolError;
use crate::telemetry::metrics::CopyCause;

/// Bounds of a copy: the node that took the upload has judged it.
pub(super) const LIMITS: Limits = Limits { pixels_max: u64::MAX, frames_max: u32::MAX };

/// Repairs that are under way.
struct UnderWay {
    ids: RefCell<HashSet<ObjectId>>,
    turns: Rc<RepairTurns>,
}

/// One repair: it is not under way any more when this is dropped.
struct Begun {
    id: ObjectId,
    under_way: Rc<UnderWay>,
}

/// An owner's reply about its copy.
pub(super) struct Receipt {
    pub(super) reply: LookupReply,
    /// Under which layout it was read.
    pub(super) layout: Option<LayoutHash>,
    /// The owner's record of the image's deletions.
    pub(super) record: ErasureRecord,
}

/// The state of one repair.
struct Progress<'a> {
    shard: &'a Rc<Shard>,
    id: ObjectId,
    turns: &'a Rc<RepairTurns>,
    turn: RefCell<Option<TurnPermit>>,
    lock: RefCell<Option<IdGuard<'a>>>,
    /// This node's copy, as last looked at.
    found: RefCell<Option<Original>>,
    fetched: RefCell<Vec<(NodeId, Fetched)>>,
}

impl Shard {
    /// Repairs what has a record, forever. Run one per shard.
    pub(in crate::shard) async fn repair_all(self: Rc<Self>) {
        let turns = Rc::new(RepairTurns::new(&self.metrics));
        let under_way = Rc::new(UnderWay { ids: RefCell::default(), turns });
        self.spawn(Rc::clone(&under_way.turns).adapt(Rc::clone(&self)));
        let (mut seen, mut was_well) = (self.view(), true);
        while !self.lifecycle.stopping.is_set() {
            glommio::timer::sleep(Duration::from_millis(RepairQueue::LOOK_EVERY_MS)).await;
            let (view, now) = (self.view(), self.node.control.now());
            if !Arc::ptr_eq(&seen, &view) {
                // A node that came back may be an owner.
                self.images.repairs.borrow_mut().all_due(now);
                seen = view;
            }
            // Repairs that found no space may succeed now.
            let is_well = self.node.health.trouble().is_none();
            if is_well && !was_well {
                self.images.repairs.borrow_mut().all_due(now);
            }
            was_well = is_well;
            assert!(
                under_way.ids.borrow().len() <= RepairQueue::UNDER_WAY_MAX,
                "invariant: repair: a bounded number is under way"
            );
            let room = RepairQueue::UNDER_WAY_MAX - under_way.ids.borrow().len();
            let due = self.images.repairs.borrow_mut().take_due(now, room);
            assert!(due.len() <= room, "invariant: repair: no more is begun than there is room for");
            for id in due {
                let is_new = under_way.ids.borrow_mut().insert(id);
                if is_new {
                    let begun = Begun { id, under_way: Rc::clone(&under_way) };
                    let shard = Rc::clone(&self);
                    self.spawn(async move { shard.repair(id, &begun.under_way.turns).await });
                }
            }
            self.metrics.misplaced.set(self.images.repairs.borrow().count() as u64);
        }
    }

    /// Has copies repaired that this node had and has no more, or cannot read. Run one per shard.
    pub(in crate::shard) async fn repair_losses(self: Rc<Self>) {
        while !self.lifecycle.stopping.is_set() {
            let id = self.images.originals.losses().next().await;
            // Where too many wait already, this one has its record all the same.
            self.node.bad_copies.add(id, FoundBy::Read);
            self.repair_copy(id).await;
        }
    }

    /// Sees to what the walk through the store finds wrong with images of this shard. Run one per shard.
    pub(in crate::shard) async fn check_findings(self: Rc<Self>, findings: FindingReceiver) {
        while let Ok(finding) = findings.recv_async().await {
            let id = finding.id();
            let is_bad = match finding {
                Finding::Vanished(id) => self.images.check_vanished(id).await,
                Finding::Wrong { id, format, stamp } => {
                    self.images.quarantine(Verified { id, format, stamp, right: false }).await
                }
                Finding::Unreadable(id, error) => {
                    self.images.originals.set_unreadable(&id, &error);
                    true
                }
            };
            if is_bad {
                self.repair_copy(id).await;
            } else {
                self.images.recheck_bad_copy(&self.view(), &id).await;
            }
        }
    }

    /// Has a copy repaired of an id that this shard holds.
    pub(in crate::shard) async fn repair_copy(&self, id: ObjectId) {
        if self.has_peers() {
            self.images.enqueue_repair(id).await;
        } else {
            // A node that is alone has nobody to take a copy from.
            self.images.settle_bad_copy(&self.view(), &id).await;
        }
    }

    async fn repair(self: &Rc<Self>, id: ObjectId, turns: &Rc<RepairTurns>) {
        let progress = Progress {
            shard: self,
            id,
            turns,
            turn: RefCell::default(),
            lock: RefCell::default(),
            found: RefCell::default(),
            fetched: RefCell::default(),
        };
        drive(self, Repair::new(id, STARTED), |view, effect| progress.perform(view, effect)).await;
    }

    /// Removes the record.
    pub(in crate::shard) async fn settle(&self, id: &ObjectId) {
        // A record that stays is looked at again after the next start.
        if self.images.repairs.borrow().is_recorded(id)
            && let Err(error) = self.images.journal.remove(id).await
        {
            log::warn!(object:% = id, error:% = error; "cannot remove the record of a repair, so it runs again after a restart; check the disk");
        }
        self.images.repairs.borrow_mut().settle(id);
        self.metrics.misplaced.set(self.images.repairs.borrow().count() as u64);
        self.images.settle_bad_copy(&self.view(), id).await;
    }
}

impl<'a> Progress<'a> {
    fn perform<'b>(&'b self, view: &Arc<View>, effect: RepairEffect) -> Option<Work<'b, RepairOutcome>> {
        let (view, shard, id) = (Arc::clone(view), self.shard, self.id);
        let within = Duration::from_millis;
        Some(match effect {
            RepairEffect::Look => Box::pin(self.look()),
            RepairEffect::TakeTurn => Box::pin(async {
                let turn = self.turns.take().await;
                *self.turn.borrow_mut() = Some(turn);
                RepairOutcome::TurnTaken
            }),
            RepairEffect::YieldTurn => {
                drop(self.turn.take());
                return None;
            }
            RepairEffect::VerifyOwn => {
                Box::pin(async { RepairOutcome::OwnVerified(self.verify_own().await) })
            }
            RepairEffect::Ask { node, within_ms } => Box::pin(async move {
                RepairOutcome::Replied(node, shard.look_up(&view, node, id, within(within_ms)).await)
            }),
            RepairEffect::Verify { owner, within_ms } => Box::pin(async move {
                let live = shard.node.erasures.record(&id).live_counter();
                let asked = shard.ask_for_receipt(&view, owner, (id, live), within(within_ms));
                let receipt = self.turns.with_peer(owner, asked).await;
                let reply = shard.heard(id, receipt.record, receipt.reply).await;
                RepairOutcome::Verified(owner, reply, receipt.layout)
            }),
            RepairEffect::Give { to, misplaced, within_ms } => Box::pin(async move {
                let given = self.give(&view, to, misplaced, within_ms);
                RepairOutcome::Given(to, self.turns.with_peer(to, given).await)
            }),
            RepairEffect::Fetch { from, within_ms } => Box::pin(async move {
                let fetched = shard.fetch_from(view, from, id, within(within_ms));
                let fetched = self.turns.with_peer(from, fetched).await;
                RepairOutcome::Fetched(from, self.keep(from, fetched))
            }),
            RepairEffect::TakeIn(from) => {
                Box::pin(async move { RepairOutcome::TakenIn(self.take_in(from).await) })
            }
            RepairEffect::Lock => Box::pin(self.lock()),
            RepairEffect::Remove => Box::pin(async { RepairOutcome::Removed(self.remove().await) }),
            RepairEffect::Settle => Box::pin(async {
                self.shard.settle(&self.id).await;
                RepairOutcome::Settled
            }),
        })
    }

    async fn look(&self) -> RepairOutcome {
        let copy = match self.shard.images.originals.look(&self.id).await {
            _ if self.shard.node.erasures.is_gone(&self.id) => OwnCopy::Erased,
            Ok(Found::Here(found)) => {
                let length = found.length;
                *self.found.borrow_mut() = Some(found);
                OwnCopy::Here(length)
            }
            Ok(Found::Absent | Found::Damaged) => OwnCopy::Lacking,
            Err(StoreError::Io(..)) => OwnCopy::Unreadable,
            Err(_) => OwnCopy::Unknown,
        };
        RepairOutcome::Looked { copy, can_store: self.shard.node.health.trouble().is_none() }
    }

    /// Whether this node's own copy can be read and is right; else it is set aside.
    async fn verify_own(&self) -> OwnVerified {
        let Some(found) = self.found.take() else { return OwnVerified::Gone };
        match self.shard.images.originals.check(&self.id, &found).await {
            Ok(Checked::Right) => {
                // It could be read this time.
                self.shard.node.bad_copies.close(&self.id);
                OwnVerified::Right
            }
            Ok(Checked::Wrong(Original { format, stamp, .. })) => {
                self.shard.quarantine(Verified { id: self.id, format, stamp, right: false });
                OwnVerified::Gone
            }
            Ok(Checked::Gone) => OwnVerified::Gone,
            Err(StoreError::Io(..)) => OwnVerified::Unreadable,
            Err(_) => OwnVerified::Unknown,
        }
    }

    async fn give(&self, view: &View, to: NodeId, misplaced: bool, within_ms: u64) -> bool {
        let Self { shard, id, .. } = self;
        let Ok(Found::Here(found)) = shard.images.originals.find(id).await else { return false };
        let Ok(Some((file, original))) = shard.images.originals.open(id, found.format).await else {
            return false;
        };
        let reader = FileReader::new(file, original.length);
        let record = shard.node.erasures.record(id);
        if record.is_gone() {
            return false;
        }
        let copy = Copy { id: *id, uploaded: original.modified, misplaced, live: record.live_counter() };
        let sent = shard.send_copy(view, to, copy, &reader, within_ms).await;
        // This node has to erase all that the other one knows to be deleted.
        shard.heard(*id, sent.record, LookupReply::Unknown).await;
        let is_taken = sent.layout.is_some();
        if is_taken {
            let is_owner = view.is_owner(view.this(), id);
            let cause = if is_owner { CopyCause::Repair } else { CopyCause::Handover };
            shard.metrics.moved(cause, original.length);
        }
        is_taken
    }

    fn keep(&self, from: NodeId, fetched: FetchedFrom<Fetched>) -> FetchReply {
        match fetched {
            Ok(fetched) => {
                self.fetched.borrow_mut().push((from, fetched));
                FetchReply::Given
            }
            Err(failed) => failed,
        }
    }

    async fn take_in(&self, from: NodeId) -> bool {
        let Self { shard, id, .. } = self;
        let taken = {
            let mut fetched = self.fetched.borrow_mut();
            let index = fetched.iter().position(|(node, _)| *node == from);
            fetched.swap_remove(index.expect("invariant: repair: a copy that is taken in was fetched")).1
        };
        let (length, cause) = (taken.stored.length, shard.cause_of_lack(id));
        match shard.take_in(*id, taken).await {
            Ok(true) => {
                shard.metrics.moved(cause, length);
                // A line for each of a million copies that move would help nobody.
                log::debug!(object:% = id; "the node stored a good copy from a peer");
                true
            }
            Ok(false) | Err(SpoolError::Refused(_) | SpoolError::Collision) => false,
            Err(SpoolError::Store(error)) => {
                shard.node.health.note(&error);
                log::warn!(object:% = id, error:% = error; "cannot store a copy from a peer, so the repair tries again later; check the disk");
                false
            }
        }
    }

    async fn lock(&self) -> RepairOutcome {
        let guard = self.shard.images.publishing.lock(self.id).await;
        let before = self.lock.borrow_mut().replace(guard);
        assert!(before.is_none(), "invariant: repair: an image is locked once");
        let found = match self.shard.images.originals.find(&self.id).await {
            Ok(Found::Here(found)) => Some(found),
            Ok(Found::Absent | Found::Damaged) => None,
            // Whether it is there is not known: nothing is done about it.
            Err(_) => return RepairOutcome::Removed(false),
        };
        let is_here = found.is_some();
        *self.found.borrow_mut() = found;
        RepairOutcome::Locked { is_here }
    }

    async fn remove(&self) -> bool {
        let Self { shard, id, .. } = self;
        let Some(original) = self.found.take() else { return false };
        match shard.images.originals.remove(id, &original).await {
            Ok(()) => {
                log::debug!(object:% = id; "removed a misplaced replica, because its owners hold the image");
                true
            }
            Err(error) => {
                log::warn!(object:% = id, error:% = error; "cannot remove a misplaced replica, so the repair tries again later; check the disk");
                false
            }
        }
    }
}

impl Shard {
    /// Why this node takes a copy of an image that it owns.
    fn cause_of_lack(&self, id: &ObjectId) -> CopyCause {
        let view = self.view();
        let owned_before =
            view.version_owners(id).iter().any(|it| it.is_current && it.owners.contains(&view.this()));
        match self.node.bad_copies.found_by(id) {
            Some(FoundBy::Scrub) => CopyCause::Scrub,
            Some(FoundBy::Read) => CopyCause::Repair,
            None if owned_before => CopyCause::Repair,
            None => CopyCause::Move,
        }
    }

    /// Has an owner read its copy, which is live with this counter.
    pub(super) async fn ask_for_receipt(
        &self,
        view: &View,
        owner: NodeId,
        (id, live): (ObjectId, u64),
        within: Duration,
    ) -> Receipt {
        match self.ask(view, owner, Call::Receipt(id, live), Outgoing::empty(), within).await {
            Ok(answer) => {
                let (reply, record) =
                    (call::read_presence(answer.metadata()), read_record(answer.metadata()));
                Receipt { reply, layout: answer.layout, record }
            }
            Err(_) => Receipt { reply: LookupReply::Unknown, layout: None, record: ErasureRecord::default() },
        }
    }

    async fn take_in(self: &Rc<Self>, id: ObjectId, fetched: Fetched) -> Result<bool, SpoolError> {
        // The fetch proves the bytes by their id, the last of them before it ends.
        let begun = self.images.spools.begin_proven(id, LIMITS).await;
        let mut spool = begun.map_err(SpoolError::Store)?;
        match fetched.body {
            FetchedBody::Whole(bytes) => spool.append(&bytes).await?,
            FetchedBody::Stream(mut stream) => loop {
                match stream.next().await {
                    Ok(Some(bytes)) => spool.append(&bytes).await?,
                    Ok(None) => break,
                    // A copy that is not verified to its end is dropped with the spool.
                    Err(_) => return Ok(false),
                }
                glommio::executor().yield_if_needed().await;
            },
        }
        spool.set_modified(fetched.stored.uploaded);
        let spooled = spool.finish().await?;
        match self.publish(spooled, PublishAs { is_repair: true, ..PublishAs::default() }).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(PublishError::Store(error))) => Err(SpoolError::Store(error)),
            // It was deleted meanwhile.
            Ok(Err(PublishError::Gone(_))) | Err(_) => Ok(false),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let was_under_way = self.under_way.ids.borrow_mut().remove(&self.id);
        assert!(was_under_way, "invariant: repair: what ends was under way");
    }
}
