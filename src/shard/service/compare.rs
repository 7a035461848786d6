//! Compares this node's images with those of every other member, and reports when it is in sync with all.
//!
//! The protocol says with whom, what to ask, and what the answers come to ([`Compare`]). Here is only the work: this
//! node's own answers come from its manifests, the other's over the wire. One shard does it for the whole node.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::Shard;
use super::driver::{Work, drive};
use crate::cluster::digest::SlotRange;
use crate::cluster::layout::SyncHash;
use crate::cluster::node::NodeId;
use crate::cluster::placement::Slot;
use crate::cluster::protocol::compare::schedule::CompareSchedule;
use crate::cluster::protocol::compare::{
    Compare, CompareConclusion, CompareEffect, CompareOutcome, IDS_MAX, IdPage, SLOTS_MAX, Side, WITHIN_MS,
};
use crate::cluster::protocol::deviation::Shipped;
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::peer::comparison::{CompareAnswer, CompareCall};
use crate::shard::message::FoundRepairs;
use crate::store::manifest::{ManifestQueryError, SlotFilter};

/// The comparisons of one node.
type Schedule = Rc<RefCell<CompareSchedule<Shipped>>>;

/// Which shard compares.
const COMPARING_SHARD: usize = 0;

impl Shard {
    /// Compares for as long as the node runs. Run on every shard: one of them does it.
    pub(in crate::shard) async fn compare_all(self: Rc<Self>) {
        if self.index() != COMPARING_SHARD {
            return;
        }
        let schedule = Schedule::default();
        let mut staged: Option<(SyncHash, u64)> = None;
        while !self.lifecycle.stopping.is_set() {
            glommio::timer::sleep(Duration::from_millis(CompareSchedule::<Shipped>::LOOK_EVERY_MS)).await;
            let view = self.view();
            let Some(version) = view.staged_version().filter(|_| self.has_peers()) else { continue };
            // A version counts from when every shard works by it: before that an image could be stored by the one before,
            // and no comparison would look for it.
            let since = match staged {
                Some((known, since)) if known == version => since,
                _ => self.peers.view_number(),
            };
            staged = Some((version, since));
            if self.node.control.view_everywhere() < since {
                continue;
            }
            self.look_for_comparisons(&schedule, &view, version);
        }
    }

    fn look_for_comparisons(self: &Rc<Self>, schedule: &Schedule, view: &Arc<View>, version: SyncHash) {
        if let Some(synced) = schedule.borrow().synced(view)
            && view.synced_to() != Some(synced)
        {
            self.node.control.tell_synced(synced);
        }
        let due = schedule.borrow_mut().take_due(self.node.control.now(), view);
        for node in due {
            let comparison = Comparison {
                shard: Rc::clone(self),
                with: node,
                schedule: Rc::clone(schedule),
                conclusion: RefCell::new(CompareConclusion::Failed),
            };
            self.spawn(async move { comparison.run(version).await });
        }
    }

    /// Answers another node's comparison; `None` while this node cannot.
    pub async fn describe_images(&self, to: NodeId, call: CompareCall) -> Option<(SyncHash, CompareAnswer)> {
        let view = self.view();
        let version = view.staged_version()?;
        let answer = self.answer_comparison(&view, to, call).await;
        match answer {
            Ok(answer) => Some((version, answer)),
            Err(error) => {
                log::debug!(error:% = error; "cannot answer a comparison yet");
                None
            }
        }
    }

    async fn answer_comparison(
        &self,
        view: &Arc<View>,
        other: NodeId,
        call: CompareCall,
    ) -> Result<CompareAnswer, ManifestQueryError> {
        let manifests = &self.node.manifests;
        Ok(match call {
            CompareCall::Digests(ranges) => {
                let shared = self
                    .slots_where(view, move |owners, this| owners.contains(&this) && owners.contains(&other));
                CompareAnswer::Digests(manifests.digests(ranges, shared).await?)
            }
            CompareCall::ExcessSlots => {
                let excess = self.slots_where(view, move |owners, this| {
                    !owners.contains(&this) && owners.contains(&other)
                });
                CompareAnswer::ExcessSlots(manifests.slots(excess, None, SLOTS_MAX).await?)
            }
            CompareCall::List { slots, after } => {
                let page = self.list_slots(&slots, after).await?;
                CompareAnswer::List(page)
            }
        })
    }

    /// The ids that this node holds in these slots.
    pub(super) async fn list_slots(
        &self,
        slots: &[Slot],
        after: Option<ObjectId>,
    ) -> Result<IdPage, ManifestQueryError> {
        let ranges = slots.iter().map(|slot| SlotRange::of(*slot)).collect();
        let page = self.node.manifests.list(ranges, after, IDS_MAX).await?;
        Ok(IdPage { ids: page.ids, has_more: page.has_more })
    }

    /// The slots whose owners, by this view, pass the test, which also gets this node's id.
    pub(super) fn slots_where(
        &self,
        view: &Arc<View>,
        test: impl Fn(&[NodeId], NodeId) -> bool + Send + Sync + 'static,
    ) -> SlotFilter {
        let (owners, this) = (self.node.slot_owners.of(view), view.this());
        Arc::new(move |slot| test(&owners.owners(slot), this))
    }

    /// Hands repairs to the shards that hold their ids. Returns how many more they have room for together.
    pub(super) async fn enqueue_found(self: &Rc<Self>, found: FoundRepairs) -> usize {
        let mut by_shard: BTreeMap<usize, FoundRepairs> = BTreeMap::new();
        for (id, holders) in found {
            by_shard.entry(self.routing.holder(&id)).or_default().push((id, holders));
        }
        let mut room = usize::MAX;
        for found in by_shard.into_values() {
            room = room.min(self.enqueue_found_at_holder(found).await);
        }
        room
    }
}

/// One comparison. The schedule hears of its end, however it ends.
struct Comparison {
    shard: Rc<Shard>,
    with: NodeId,
    schedule: Schedule,
    conclusion: RefCell<CompareConclusion>,
}

impl Comparison {
    async fn run(&self, version: SyncHash) {
        let machine = Compare::new(self.with, version);
        drive(&self.shard, machine, |view, effect| self.perform(view, effect)).await;
    }

    fn perform<'a>(&'a self, view: &Arc<View>, effect: CompareEffect) -> Option<Work<'a, CompareOutcome>> {
        let view = Arc::clone(view);
        match effect {
            CompareEffect::Digests(side, ranges) => Some(Box::pin(async move {
                let answer = self.ask(view, side, CompareCall::Digests(ranges)).await;
                CompareOutcome::Digests(
                    side,
                    of_kind(answer, |answer| match answer {
                        CompareAnswer::Digests(digests) => Some(digests),
                        _ => None,
                    }),
                )
            })),
            CompareEffect::ExcessSlots(side) => Some(Box::pin(async move {
                let answer = self.ask(view, side, CompareCall::ExcessSlots).await;
                CompareOutcome::ExcessSlots(
                    side,
                    of_kind(answer, |answer| match answer {
                        CompareAnswer::ExcessSlots(slots) => Some(slots),
                        _ => None,
                    }),
                )
            })),
            CompareEffect::List(side, slots, after) => Some(Box::pin(async move {
                let answer = self.ask(view, side, CompareCall::List { slots, after }).await;
                CompareOutcome::Listed(
                    side,
                    of_kind(answer, |answer| match answer {
                        CompareAnswer::List(page) => Some(page),
                        _ => None,
                    }),
                )
            })),
            CompareEffect::Repair(ids) => {
                let found = ids.into_iter().map(|id| (id, Some(view.likely_holders(&id)))).collect();
                let shard = Rc::clone(&self.shard);
                self.shard.spawn(async move {
                    // Those without room are found again.
                    let _room = shard.enqueue_found(found).await;
                });
                None
            }
            CompareEffect::Conclude(conclusion) => {
                *self.conclusion.borrow_mut() = conclusion;
                None
            }
        }
    }

    async fn ask(&self, view: Arc<View>, side: Side, call: CompareCall) -> Option<(SyncHash, CompareAnswer)> {
        let within = Duration::from_millis(WITHIN_MS);
        if side == Side::Here {
            let work = self.shard.describe_images(self.with, call);
            return crate::store::within(within, "list the images", async { Ok(work.await) }).await.ok()?;
        }
        let asked = Call::Compare(call.clone());
        let answer = self.shard.ask(&view, self.with, asked, Outgoing::empty(), within).await.ok()?;
        if answer.status != call::GIVEN {
            return None;
        }
        call.read_answer(&answer.bytes)
    }
}

/// The answer, if it is of the kind that was asked for.
fn of_kind<T>(
    answer: Option<(SyncHash, CompareAnswer)>,
    kind: impl Fn(CompareAnswer) -> Option<T>,
) -> Option<(SyncHash, T)> {
    let (version, answer) = answer?;
    Some((version, kind(answer)?))
}

impl Drop for Comparison {
    fn drop(&mut self) {
        let (now, view) = (self.shard.node.control.now(), self.shard.view());
        self.schedule.borrow_mut().end(self.with, *self.conclusion.borrow(), now, &view);
    }
}
