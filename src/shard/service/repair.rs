//! Copies that have to be seen to: strays, handed over to their owners when these answer and removed by the rule
//! alone; copies that owners lack, given to them; and this node's own, where it lacks one or had a bad one.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use glommio::sync::Semaphore;

use super::super::Shard;
use super::super::message::Verified;
use super::super::several::Several;
use super::ANSWER_MAX;
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::LookupReply;
use crate::cluster::rules::excess::{ExcessReplica, ExcessStep};
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::store::StoreError;
use crate::store::originals::{Checked, Found, Original};
use crate::store::read::FileReader;

/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Ids that are seen to at once. Nearly all of them wait for the rule's grace to pass, which costs nothing.
const AT_ONCE: usize = 256;

/// Ids for which copies are read, here or at their owners: few, for requests come first.
const READ_AT_ONCE: u64 = 4;

/// How long one is worked on before it is put off, in milliseconds: longer than the rule's graces together.
const WORK_MAX_MS: u64 = 40_000;

/// What is done at once.
struct Bounds {
    under_way: RefCell<HashSet<ObjectId>>,
    reads: Semaphore,
}

/// One id that is seen to: it is not under way any more when this is dropped.
struct Turn {
    id: ObjectId,
    bounds: Rc<Bounds>,
}

impl Shard {
    /// Sees to what lies here although others own it, and to what owners lack, forever. Run one per shard.
    pub(in crate::shard) async fn drain_strays(self: Rc<Self>) {
        let bounds = Rc::new(Bounds { under_way: RefCell::default(), reads: Semaphore::new(READ_AT_ONCE) });
        let (mut seen, mut was_alone, mut was_well) = (self.view(), false, true);
        while !self.stopping.is_set() {
            glommio::timer::sleep(LOOK_EVERY).await;
            let (view, now) = (self.view(), self.node.control.now());
            if view.was_alone() && !was_alone {
                self.spawn(Rc::clone(&self).supply_what_was_taken_alone());
            }
            was_alone = view.was_alone();
            if !Arc::ptr_eq(&seen, &view) {
                // Whoever came back may be an owner.
                self.strays.borrow_mut().all_due(now);
                seen = view;
            }
            // What could not be stored meanwhile can be now.
            let is_well = self.node.health.trouble().is_none();
            if is_well && !was_well {
                self.strays.borrow_mut().all_due(now);
            }
            was_well = is_well;
            let room = AT_ONCE - bounds.under_way.borrow().len();
            let due = self.strays.borrow_mut().take_due(now, room);
            for id in due {
                let is_new = bounds.under_way.borrow_mut().insert(id);
                if is_new {
                    let turn = Turn { id, bounds: Rc::clone(&bounds) };
                    let shard = Rc::clone(&self);
                    self.spawn(async move { shard.see_to_one(id, &turn.bounds.reads).await });
                }
            }
            self.metrics.misplaced.set(self.strays.borrow().count() as u64);
        }
    }

    /// Sees to copies that this node had and has no more, or cannot read. Run one per shard.
    pub(in crate::shard) async fn see_to_losses(self: Rc<Self>) {
        while !self.stopping.is_set() {
            let id = self.originals.losses().next().await;
            // A node that is alone has nobody to take a copy from.
            if self.has_peers() {
                self.see_to(id).await;
            }
        }
    }

    async fn see_to_one(self: &Rc<Self>, id: ObjectId, reads: &Semaphore) {
        let view = self.view();
        let is_owner = view.is_owner(view.this(), &id);
        match self.originals.look(&id).await {
            Ok(Found::Here(found)) if is_owner => {
                let is_right = within(reads, self.is_own_right(id, &found)).await;
                if is_right && within(reads, self.supply_owners(&view, id)).await {
                    self.settle_stray(&id).await;
                }
            }
            Ok(Found::Here(_)) => self.hand_over(id, reads).await,
            // One that cannot be read is replaced like one that is not there.
            Ok(Found::Absent | Found::Damaged) | Err(StoreError::Io(..)) if is_owner => {
                if within(reads, self.mend(id)).await {
                    self.settle_stray(&id).await;
                }
            }
            Ok(Found::Absent | Found::Damaged) => {
                // The record is there before the copy: only between two uploads is it known that there is none.
                let _turn = self.publishing.lock(id).await;
                if matches!(self.originals.find(&id).await, Ok(Found::Absent | Found::Damaged)) {
                    self.settle_stray(&id).await;
                }
            }
            Err(_) => {}
        }
    }

    /// Whether this node's own copy can be read and is right; else it is set aside or replaced.
    async fn is_own_right(self: &Rc<Self>, id: ObjectId, found: &Original) -> bool {
        match self.originals.check(&id, found).await {
            Ok(Checked::Right) => true,
            Ok(Checked::Wrong(Original { format, stamp, .. })) => {
                self.quarantine(Verified { id, format, stamp, right: false });
                false
            }
            Ok(Checked::Gone) => false,
            Err(StoreError::Io(..)) => self.mend(id).await,
            Err(_) => false,
        }
    }

    /// Gives a copy to each other owner that has none. False: one of them cannot take or say anything now.
    async fn supply_owners(self: &Rc<Self>, view: &View, id: ObjectId) -> bool {
        let mut all = true;
        for owner in view.owners(&id).into_iter().filter(|owner| *owner != view.this()) {
            all &= match self.ask_said(view, owner, Call::Has(id)).await {
                LookupReply::Present => true,
                LookupReply::Absent(_) => self.give(view, id, owner).await,
                LookupReply::Unknown => false,
            };
        }
        all
    }

    async fn hand_over(self: &Rc<Self>, id: ObjectId, reads: &Semaphore) {
        let mut excess = ExcessReplica::new(id, &self.view());
        let end = self.node.control.now().after(WORK_MAX_MS);
        while self.node.control.now() < end && !self.stopping.is_set() {
            let view = self.view();
            match excess.next_step(&view, self.node.control.now()) {
                // It belongs here now, or nobody owns it as far as is known: it is looked at again.
                ExcessStep::Keep => return,
                ExcessStep::Verify(owners) => {
                    let all = self.ask_for_receipts(&view, id, &owners, &mut excess);
                    if !within(reads, all).await {
                        return;
                    }
                }
                ExcessStep::Wait(until) => {
                    let wait = until.since(self.node.control.now());
                    glommio::timer::sleep(Duration::from_millis(wait)).await;
                }
                ExcessStep::Delete => return self.remove_stray(id, &mut excess).await,
            }
        }
    }

    /// Asks the owners whether they have read their copies, and gives those a copy that have none. False: one of
    /// them cannot do either now.
    async fn ask_for_receipts(
        self: &Rc<Self>,
        view: &View,
        id: ObjectId,
        owners: &[NodeId],
        excess: &mut ExcessReplica,
    ) -> bool {
        let mut asked = Several::new();
        for owner in owners {
            asked.push(self.ask_for_receipt(view, id, *owner));
        }
        let mut all = true;
        while let Some((owner, receipt)) = asked.next().await {
            match receipt {
                Some((layout, at)) => excess.add_receipt(owner, layout, at),
                None => all = false,
            }
            // Another layout than this node's: the core will have heard of it soon, and this is due again.
            all &= receipt.is_none_or(|(layout, _)| layout == view.hash());
        }
        all
    }

    async fn ask_for_receipt(
        self: &Rc<Self>,
        view: &View,
        id: ObjectId,
        owner: NodeId,
    ) -> (NodeId, Option<(crate::cluster::layout::LayoutHash, Time)>) {
        let mut given = false;
        loop {
            let at = self.node.control.now();
            let answer = self.ask(view, owner, Call::Receipt(id), Outgoing::empty(), ANSWER_MAX * 4).await;
            let Ok(answer) = answer else { return (owner, None) };
            match call::read_presence(answer.metadata()) {
                LookupReply::Present => return (owner, answer.layout.map(|layout| (layout, at))),
                LookupReply::Absent(_) if !given => given = true,
                LookupReply::Absent(_) | LookupReply::Unknown => return (owner, None),
            }
            if !self.give(view, id, owner).await {
                return (owner, None);
            }
        }
    }

    async fn give(self: &Rc<Self>, view: &View, id: ObjectId, owner: NodeId) -> bool {
        let Ok(Found::Here(found)) = self.originals.find(&id).await else { return false };
        let Ok(Some((file, original))) = self.originals.open(&id, found.format).await else { return false };
        let reader = FileReader::new(file, original.length);
        let taken = self.send_copy(view, owner, id, &reader, original.modified).await.is_some();
        if taken {
            self.metrics.repair_bytes.add_many(original.length);
        }
        taken
    }

    async fn remove_stray(self: &Rc<Self>, id: ObjectId, excess: &mut ExcessReplica) {
        let _turn = self.publishing.lock(id).await;
        let Ok(Found::Here(original)) = self.originals.find(&id).await else { return };
        // The word holds for this moment only, and the lock may have taken a while.
        if excess.next_step(&self.view(), self.node.control.now()) != ExcessStep::Delete {
            return;
        }
        match self.originals.remove(&id, &original).await {
            Ok(()) => {
                self.tell_total();
                log::debug!(object:% = id; "handed a stray over to its owners");
                self.settle_stray(&id).await;
            }
            Err(error) => log::warn!(object:% = id, error:% = error; "cannot remove a stray"),
        }
    }

    async fn settle_stray(&self, id: &ObjectId) {
        // A record that stays is looked at again after the next start.
        if let Err(error) = self.journal.remove(id).await {
            log::warn!(error:% = error; "cannot cross out a stray");
        }
        self.strays.borrow_mut().settle(id);
        self.metrics.misplaced.set(self.strays.borrow().count() as u64);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.bounds.under_way.borrow_mut().remove(&self.id);
    }
}

/// Does this when fewer than so many are at it.
async fn within<T>(reads: &Semaphore, work: impl Future<Output = T>) -> T {
    // It fails only when it is closed, which nobody does.
    let _permit = reads.acquire_permit(1).await;
    work.await
}
