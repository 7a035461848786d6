//! Deleting a copy that is too many: the only deletion that nobody asked for, and so the most careful.
//!
//! A copy may go when its node owns the id in no version, every owner in every version has read its own copy
//! from disk after being asked, all under the layout that this node has, and some time has passed: reads that
//! were sent here must have ended, and a layout that has just changed may change again.

use std::collections::BTreeMap;

use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// One copy that may be too many.
#[derive(Clone, Debug)]
pub struct ExcessReplica {
    id: ObjectId,
    layout: LayoutHash,
    receipts: BTreeMap<NodeId, Time>,
    complete_since: Option<Time>,
}

/// The next step for the excess copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExcessStep {
    /// It belongs here: forget this.
    Keep,
    /// Ask these owners to read their copies and say so.
    Verify(Vec<NodeId>),
    /// Come back at this time.
    Wait(Time),
    /// Delete it now, at once: any time that passes first makes this answer void.
    Delete,
}

const _: () = assert!(
    ExcessReplica::RECEIPT_AGE_MAX_MS > ExcessReplica::GRACE_MS,
    "invariant: excess: receipts outlive the grace"
);

impl ExcessReplica {
    /// From the last receipt to the deletion, in milliseconds: longer than a read may take to come here.
    pub const GRACE_MS: u64 = 5_000;
    /// From a change of the layout to the deletion: longer than members take to hear of it.
    pub const SETTLE_MS: u64 = 15_000;
    /// A receipt older than this is void. Longer than the grace; short, because a node that was stopped and
    /// goes on must ask again.
    pub const RECEIPT_AGE_MAX_MS: u64 = 10_000;

    /// A copy of which nothing is known.
    pub fn new(id: ObjectId, view: &View) -> Self {
        Self { id, layout: view.hash(), receipts: BTreeMap::new(), complete_since: None }
    }

    /// The owner has read its copy since it was asked, at `asked`, and has this layout. A receipt under another
    /// layout is refused.
    pub fn add_receipt(&mut self, owner: NodeId, layout: LayoutHash, asked: Time) {
        if layout == self.layout {
            self.receipts.insert(owner, asked);
        }
    }

    /// The next step, by this view and time.
    pub fn next_step(&mut self, view: &View, now: Time) -> ExcessStep {
        let owners = view.owners(&self.id);
        // Without owners nobody could give a receipt, and every one of none is soon collected.
        if owners.is_empty() || owners.contains(&view.this()) {
            return ExcessStep::Keep;
        }
        if self.layout != view.hash() {
            *self = Self::new(self.id, view);
        }
        // All are asked again when one is too old: receipts that expire one by one would never be complete for long enough.
        if self.receipts.values().any(|asked| now.since(*asked) > Self::RECEIPT_AGE_MAX_MS) {
            self.receipts.clear();
        }
        let missing: Vec<_> = owners.into_iter().filter(|owner| !self.receipts.contains_key(owner)).collect();
        if !missing.is_empty() {
            self.complete_since = None;
            assert!(!missing.contains(&view.this()), "invariant: excess: a node asks no receipt of itself");
            return ExcessStep::Verify(missing);
        }
        let since = *self.complete_since.get_or_insert(now);
        let due = since.after(Self::GRACE_MS).max(view.since().after(Self::SETTLE_MS));
        if now < due {
            return ExcessStep::Wait(due);
        }
        self.assert_deletable(view, now, since);
        ExcessStep::Delete
    }

    /// All that a deletion rests on, once more: nothing brings the copy back.
    fn assert_deletable(&self, view: &View, now: Time, since: Time) {
        let owners = view.owners(&self.id);
        assert!(!owners.is_empty(), "invariant: excess: nothing is deleted that nobody owns");
        assert!(!view.is_owner(view.this(), &self.id), "invariant: excess: an owner keeps its copy");
        assert!(self.layout == view.hash(), "invariant: excess: receipts are of the layout that counts");
        assert!(
            owners.iter().all(|owner| self.receipts.contains_key(owner)),
            "invariant: excess: every owner has read its own copy"
        );
        assert!(
            self.receipts.values().all(|asked| now.since(*asked) <= Self::RECEIPT_AGE_MAX_MS),
            "invariant: excess: no receipt is too old"
        );
        assert!(now.since(since) >= Self::GRACE_MS, "invariant: excess: the grace has passed");
    }
}

#[cfg(test)]
mod tests;
