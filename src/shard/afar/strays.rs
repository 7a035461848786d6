//! Copies outside their slots, handed over to their owners when these answer, and removed by the rule alone.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::Shard;
use super::super::several::Several;
use super::ANSWER_MAX;
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::Said;
use crate::cluster::rules::excess::{Excess, Step};
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::store::originals::Found;
use crate::store::read::Reader;

/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Strays that are handed over at once.
const AT_ONCE: usize = 4;

/// How long one is worked on before it is put off, in milliseconds: longer than the rule's graces together.
const WORK_MAX_MS: u64 = 40_000;

impl Shard {
    /// Hands over what lies here although others own it, for ever. Run one per shard.
    pub(in crate::shard) async fn drain_strays(self: Rc<Self>) {
        let mut seen = self.view();
        while !self.stopping.is_set() {
            glommio::timer::sleep(LOOK_EVERY).await;
            let (view, now) = (self.view(), self.node.line.now());
            if !Arc::ptr_eq(&seen, &view) {
                // Whoever came back may be an owner.
                self.strays.borrow_mut().all_due(now);
                seen = view;
            }
            let due = self.strays.borrow_mut().take_due(now, AT_ONCE);
            let mut handed = Several::new();
            for id in due {
                handed.push(self.hand_over(id));
            }
            while handed.next().await.is_some() {}
            self.metrics.strays.set(self.strays.borrow().count() as u64);
        }
    }

    async fn hand_over(self: &Rc<Self>, id: ObjectId) {
        let mut excess = Excess::new(id, &self.view());
        let end = self.node.line.now().after(WORK_MAX_MS);
        while self.node.line.now() < end && !self.stopping.is_set() {
            match self.originals.find(&id).await {
                Ok(Found::Here(_)) => {}
                Ok(Found::Absent | Found::Damaged) => return self.settle_stray(&id).await,
                Err(_) => return,
            }
            let view = self.view();
            match excess.step(&view, self.node.line.now()) {
                Step::Keep if view.is_owner(view.this(), &id) => return self.settle_stray(&id).await,
                // Nobody owns it as far as is known here.
                Step::Keep => return,
                Step::Ask(owners) => {
                    if !self.ask_for_receipts(&view, id, &owners, &mut excess).await {
                        return;
                    }
                }
                Step::Wait(until) => {
                    let wait = until.since(self.node.line.now());
                    glommio::timer::sleep(Duration::from_millis(wait)).await;
                }
                Step::Delete => return self.remove_stray(id, &mut excess).await,
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
        excess: &mut Excess,
    ) -> bool {
        let mut asked = Several::new();
        for owner in owners {
            asked.push(self.ask_for_receipt(view, id, *owner));
        }
        let mut all = true;
        while let Some((owner, receipt)) = asked.next().await {
            match receipt {
                Some((layout, at)) => excess.receipt(owner, layout, at),
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
            let at = self.node.line.now();
            let answer = self.ask(view, owner, Call::Receipt(id), Outgoing::empty(), ANSWER_MAX * 4).await;
            let Ok(answer) = answer else { return (owner, None) };
            match call::read_said(answer.facts()) {
                Said::Yes => return (owner, answer.layout.map(|layout| (layout, at))),
                Said::No(_) if !given => given = true,
                Said::No(_) | Said::Nothing => return (owner, None),
            }
            if !self.give(view, id, owner).await {
                return (owner, None);
            }
        }
    }

    async fn give(self: &Rc<Self>, view: &View, id: ObjectId, owner: NodeId) -> bool {
        let Ok(Found::Here(found)) = self.originals.find(&id).await else { return false };
        let Ok(Some((file, original))) = self.originals.open(&id, found.format).await else { return false };
        let reader = Reader::new(file, original.length);
        let taken = self.send_copy(view, owner, id, &reader, original.modified).await.is_some();
        if taken {
            self.metrics.repair_bytes.add_many(original.length);
        }
        taken
    }

    async fn remove_stray(self: &Rc<Self>, id: ObjectId, excess: &mut Excess) {
        let _turn = self.publishing.lock(id).await;
        let Ok(Found::Here(original)) = self.originals.find(&id).await else { return };
        // The word holds for this moment only, and the lock may have taken a while.
        if excess.step(&self.view(), self.node.line.now()) != Step::Delete {
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
        if let Err(error) = self.journal.cross_out(id).await {
            log::warn!(error:% = error; "cannot cross out a stray");
        }
        self.strays.borrow_mut().settle(id);
    }
}
