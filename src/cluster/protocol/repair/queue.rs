//! Copies that have to be seen to: those outside their node's slots (a fallback's, or of a node that was an owner),
//! those that other owners lack, and those that an owner lacks itself.
//!
//! Each of the first kind has a record that is durable before the copy is, and goes only after the copy. Here is which
//! copies need one, and when to try again to set them right; the journal itself is the store's.

use std::collections::BTreeMap;

use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// Whether this node must have a record of its copy before that is durable.
pub fn needs_record(view: &View, id: &ObjectId) -> bool {
    !view.is_owner(view.this(), id)
}

/// The records of one node, and when each is due.
#[derive(Clone, Debug, Default)]
pub struct RepairQueue(BTreeMap<ObjectId, Due>);

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Time,
    attempts: u32,
}

impl RepairQueue {
    /// Between two looks at what is due.
    pub const LOOK_EVERY_MS: u64 = 500;
    /// Repairs of one shard that are under way at once. Nearly all of them wait for a grace to pass, which costs
    /// nothing.
    pub const UNDER_WAY_MAX: usize = 256;
    /// The first try: its owners may be back any moment.
    const FIRST_MS: u64 = 1_000;
    /// The longest pause between tries: an owner that is back is noticed by its first read anyway.
    const PAUSE_MAX_MS: u64 = 60_000;

    /// Takes a record; one that is there stays as it is.
    pub fn record(&mut self, id: ObjectId, now: Time) {
        self.0.entry(id).or_insert(Due { at: now.after(Self::FIRST_MS), attempts: 0 });
    }

    /// At most `count` ids that are due, and puts each off, for longer each time.
    pub fn take_due(&mut self, now: Time, count: usize) -> Vec<ObjectId> {
        let mut taken = Vec::new();
        for (id, due) in self.0.iter_mut().filter(|(_, due)| due.at <= now).take(count) {
            due.attempts += 1;
            let pause = Self::FIRST_MS << due.attempts.min(16);
            due.at = now.after(pause.min(Self::PAUSE_MAX_MS));
            assert!(due.at > now, "invariant: repair queue: what is taken is due later again");
            taken.push(*id);
        }
        assert!(taken.len() <= count, "invariant: repair queue: no more is taken than there is room for");
        taken
    }

    /// A member came back, or the layout changed: everything is due now.
    pub fn all_due(&mut self, now: Time) {
        self.0.values_mut().for_each(|due| *due = Due { at: now, attempts: 0 });
    }

    /// The copy is gone, or all owners have theirs.
    pub fn settle(&mut self, id: &ObjectId) {
        self.0.remove(id);
    }

    /// Whether there is a record.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.0.contains_key(id)
    }

    /// The number of records, which is part of the repair debt.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
