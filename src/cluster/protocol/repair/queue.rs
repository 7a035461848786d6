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

/// Likely holders of an image of which that is not known: it is repaired after those that have fewer than two.
const HOLDERS_UNKNOWN: usize = 2;

/// The repairs of one node, and when each is due.
///
/// Some have a durable record, because nothing else would tell of them after a restart. Others were found by a comparison
/// or by a walk over all images, and would be found again.
#[derive(Clone, Debug, Default)]
pub struct RepairQueue(BTreeMap<ObjectId, Due>);

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Time,
    attempts: u32,
    /// Those with the fewest other holders come first.
    holders: usize,
    is_recorded: bool,
}

impl RepairQueue {
    /// Between two looks at what is due.
    pub const LOOK_EVERY_MS: u64 = 500;
    /// Repairs of one shard that are under way at once. Nearly all of them wait for a grace to pass, which costs
    /// nothing.
    pub const UNDER_WAY_MAX: usize = 256;
    /// Repairs without a record that wait at once, about 100 bytes each. More are found again later.
    pub const FOUND_MAX: usize = 8_192;
    /// The first try: its owners may be back any moment.
    const FIRST_MS: u64 = 1_000;
    /// The longest pause between tries: an owner that is back is noticed by its first read anyway.
    const PAUSE_MAX_MS: u64 = 60_000;
    /// Tries of a repair without a record. After that a comparison has to find it again.
    const FOUND_ATTEMPTS: u32 = 4;

    /// Takes a repair that has a durable record; one that is there stays as it is.
    pub fn record(&mut self, id: ObjectId, now: Time) {
        let new =
            Due { at: now.after(Self::FIRST_MS), attempts: 0, holders: HOLDERS_UNKNOWN, is_recorded: true };
        self.0.entry(id).or_insert(new).is_recorded = true;
    }

    /// A comparison found that this node lacks an image that it owns. `holders` others are likely to hold it.
    pub fn note_lacking(&mut self, id: ObjectId, holders: usize, now: Time) {
        self.note_found(id, Due { at: now, attempts: 0, holders, is_recorded: false });
    }

    /// A walk found an image that this node holds and does not own.
    pub fn note_excess(&mut self, id: ObjectId, now: Time) {
        self.note_found(id, Due { at: now, attempts: 0, holders: usize::MAX, is_recorded: false });
    }

    fn note_found(&mut self, id: ObjectId, due: Due) {
        let has_room = self.0.len() < Self::FOUND_MAX;
        if let Some(known) = self.0.get_mut(&id) {
            known.holders = known.holders.min(due.holders);
        } else if has_room {
            self.0.insert(id, due);
        }
    }

    /// Room for repairs that a comparison or a walk finds.
    pub fn room(&self) -> usize {
        Self::FOUND_MAX.saturating_sub(self.0.len())
    }

    /// At most `count` ids that are due, those with the fewest other holders first, and puts each off, for longer each
    /// time.
    pub fn take_due(&mut self, now: Time, count: usize) -> Vec<ObjectId> {
        self.0.retain(|_, due| due.is_recorded || due.at > now || due.attempts < Self::FOUND_ATTEMPTS);
        let due = self.0.iter().filter(|(_, due)| due.at <= now);
        let mut due: Vec<_> = due.map(|(id, due)| (due.holders, *id)).collect();
        due.sort_unstable();
        due.truncate(count);
        for (_, id) in &due {
            let due = self.0.get_mut(id).expect("invariant: repair queue: what is due is there");
            due.attempts += 1;
            let pause = Self::FIRST_MS << due.attempts.min(16);
            due.at = now.after(pause.min(Self::PAUSE_MAX_MS));
            assert!(due.at > now, "invariant: repair queue: what is taken is due later again");
        }
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// A member came back, or the layout changed: everything is due now.
    pub fn all_due(&mut self, now: Time) {
        self.0.values_mut().for_each(|due| *due = Due { at: now, attempts: 0, ..*due });
    }

    /// The copy is gone, or all owners have theirs. Returns whether there is a durable record to be removed.
    pub fn settle(&mut self, id: &ObjectId) -> bool {
        self.0.remove(id).is_some_and(|due| due.is_recorded)
    }

    /// Whether there is a durable record.
    pub fn is_recorded(&self, id: &ObjectId) -> bool {
        self.0.get(id).is_some_and(|due| due.is_recorded)
    }

    /// The number of repairs that wait or are under way.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
