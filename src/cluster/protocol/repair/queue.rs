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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::protocol::tests::support::object;

    #[test]
    fn strays_are_tried_again_with_growing_pauses_and_at_once_when_a_member_returns() {
        let mut strays = RepairQueue::default();
        let mut now = Time::default();
        strays.record(object(1), now);
        assert_eq!(strays.take_due(now, 10), []);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let from = now;
            while strays.take_due(now, 10).is_empty() {
                now = now.after(500);
            }
            pauses.push(now.since(from));
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        strays.all_due(now);
        assert_eq!(strays.take_due(now, 10), [object(1)]);
        assert!(strays.settle(&object(1)));
        assert!(strays.count() == 0 && !strays.is_recorded(&object(1)));
    }

    #[test]
    fn of_the_repairs_that_are_due_those_with_the_fewest_holders_come_first() {
        let (mut repairs, now) = (RepairQueue::default(), Time::from_millis(5_000));
        repairs.record(object(1), Time::default());
        repairs.note_excess(object(2), now);
        repairs.note_lacking(object(3), 2, now);
        repairs.note_lacking(object(4), 1, now);
        repairs.note_lacking(object(5), 0, now);
        repairs.note_lacking(object(3), 0, now);
        let mut taken = repairs.take_due(now.after(1_000), 3);
        taken[..2].sort_unstable();
        let mut first = [object(3), object(5)];
        first.sort_unstable();
        assert_eq!(taken, [first[0], first[1], object(4)]);
        let rest = repairs.take_due(now.after(1_000), 10);
        assert_eq!(rest, [object(1), object(2)]);
    }

    #[test]
    fn a_repair_without_a_record_is_given_up_after_a_few_tries_and_has_none_to_remove() {
        let mut repairs = RepairQueue::default();
        repairs.note_excess(object(1), Time::default());
        repairs.record(object(2), Time::default());
        let mut tries = 0;
        for second in 0..600 {
            tries +=
                usize::from(repairs.take_due(Time::from_millis(second * 1_000), 10).contains(&object(1)));
        }
        assert_eq!((tries, repairs.count()), (4, 1));
        repairs.note_excess(object(1), Time::default());
        assert!(!repairs.settle(&object(1)) && repairs.settle(&object(2)));
        // A record that comes later is one all the same.
        repairs.note_excess(object(1), Time::default());
        repairs.record(object(1), Time::default());
        assert!(repairs.settle(&object(1)));
    }

    #[test]
    fn found_repairs_are_bounded_and_recorded_ones_are_not() {
        let (mut repairs, now) = (RepairQueue::default(), Time::default());
        let id = |number: usize| {
            let mut digest = [0; 20];
            digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
            ObjectId::from_digest(digest)
        };
        (0..RepairQueue::FOUND_MAX + 10).for_each(|number| repairs.note_excess(id(number), now));
        assert_eq!((repairs.count(), repairs.room()), (RepairQueue::FOUND_MAX, 0));
        repairs.record(id(RepairQueue::FOUND_MAX + 20), now);
        assert_eq!((repairs.count(), repairs.room()), (RepairQueue::FOUND_MAX + 1, 0));
    }
}
