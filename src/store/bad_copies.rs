//! The node's bad copies: missing, wrong or unreadable ones that no good copy has replaced yet.
//!
//! The walk and the scrub add what they find, and so do the shards with what reads meet. A shard closes an entry when a
//! good copy is in its place, or when nothing is left to be repaired. So a scrub that was asked for has ended when its
//! pass has ended and nothing is open. In memory only: a restart finds the same again, by journals and by walks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::object::ObjectId;
use crate::telemetry::metrics::DiskMetrics;

/// Copies that wait for their repair at once, about 50 bytes each: 3 MiB. While there are so many, the walk and the
/// scrub wait.
const OPEN_MAX: usize = 65_536;

/// Lost copies that are remembered by id. Of those beyond only the number is.
const LOST_MAX: usize = 1_024;

/// The bad copies. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct BadCopies(Arc<BadCopiesState>);

#[derive(Debug, Default)]
struct BadCopiesState {
    metrics: Arc<DiskMetrics>,
    /// The number of entries, open or lost: an upload takes no lock while there are none.
    count: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    open: BTreeMap<ObjectId, FoundBy>,
    lost: BTreeSet<ObjectId>,
    /// Lost ones beyond [`LOST_MAX`].
    lost_more: u64,
    vanished: u64,
}

/// The way on which a bad copy was found first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// By the scrub or the presence walk, before anybody asked for the image.
    Scrub,
    /// By a read.
    Read,
}

/// The result of [`BadCopies::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was not known before.
    New,
    /// It was open already.
    Known,
    /// Too many are open: it was not added.
    Full,
}

/// The state of all bad copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadCopiesReport {
    /// Copies that are still to be repaired.
    pub open: u64,
    /// Copies that could not be repaired, because no member has a good one.
    pub lost: u64,
    /// Some of both, the lost ones first.
    pub some: Vec<ObjectId>,
    /// Copies whose files had vanished, since the pass that was asked for last.
    pub vanished: u64,
}

impl BadCopies {
    /// Copies that a report names: 20 of 40 digits fit in any answer.
    const REPORTED_MAX: usize = 20;

    /// None yet. Their numbers are shown by these metrics.
    pub fn new(metrics: Arc<DiskMetrics>) -> Self {
        Self(Arc::new(BadCopiesState { metrics, ..BadCopiesState::default() }))
    }

    /// Adds a copy that is missing, wrong or unreadable.
    pub fn add(&self, id: ObjectId, by: FoundBy) -> Added {
        let mut entries = self.entries();
        let added = if entries.open.contains_key(&id) {
            Added::Known
        } else if entries.open.len() >= OPEN_MAX {
            Added::Full
        } else {
            entries.lost.remove(&id);
            entries.open.insert(id, by);
            Added::New
        };
        assert!(entries.open.len() <= OPEN_MAX + LOST_MAX, "invariant: bad copies: a bounded number is open");
        self.publish(&entries);
        added
    }

    /// A good copy is in its place, or none is wanted any more. Whether it was known to be bad.
    pub fn close(&self, id: &ObjectId) -> bool {
        if self.0.count.load(SeqCst) == 0 {
            return false;
        }
        let mut entries = self.entries();
        let was_open = entries.open.remove(id).is_some();
        let was_lost = entries.lost.remove(id);
        self.publish(&entries);
        was_open || was_lost
    }

    /// No member has a good copy of it.
    pub fn give_up(&self, id: ObjectId) {
        let mut entries = self.entries();
        entries.open.remove(&id);
        if entries.lost.len() < LOST_MAX || entries.lost.contains(&id) {
            entries.lost.insert(id);
        } else {
            entries.lost_more += 1;
        }
        self.publish(&entries);
    }

    /// By what this copy was found to be bad; `None`: it does not wait for its repair.
    pub fn found_by(&self, id: &ObjectId) -> Option<FoundBy> {
        if self.0.count.load(SeqCst) == 0 {
            return None;
        }
        self.entries().open.get(id).copied()
    }

    /// Whether it waits for its repair, or is lost.
    pub fn is_bad(&self, id: &ObjectId) -> bool {
        if self.0.count.load(SeqCst) == 0 {
            return false;
        }
        let entries = self.entries();
        entries.open.contains_key(id) || entries.lost.contains(id)
    }

    /// Counts a copy whose file has vanished.
    pub fn count_vanished(&self) {
        self.entries().vanished += 1;
    }

    /// A pass begins that was asked for. Returns the lost copies, which are open again: their repair is to be tried once
    /// more, because a member that was away may have a good copy.
    pub fn begin_pass(&self) -> Vec<ObjectId> {
        let mut entries = self.entries();
        let lost: Vec<_> = std::mem::take(&mut entries.lost).into_iter().collect();
        entries.open.extend(lost.iter().map(|id| (*id, FoundBy::Scrub)));
        (entries.lost_more, entries.vanished) = (0, 0);
        self.publish(&entries);
        lost
    }

    /// The state now.
    pub fn report(&self) -> BadCopiesReport {
        let entries = self.entries();
        BadCopiesReport {
            open: entries.open.len() as u64,
            lost: entries.lost_count(),
            some: entries.lost.iter().chain(entries.open.keys()).take(Self::REPORTED_MAX).copied().collect(),
            vanished: entries.vanished,
        }
    }

    /// The entries have changed.
    fn publish(&self, entries: &Entries) {
        self.0.count.store(entries.open.len() + entries.lost.len(), SeqCst);
        self.0.metrics.bad_copies.set(entries.open.len() as u64);
        self.0.metrics.lost_copies.set(entries.lost_count());
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn lost_count(&self) -> u64 {
        self.lost.len() as u64 + self.lost_more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ObjectId {
        let mut digest = [0; 20];
        digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
        ObjectId::from_digest(digest)
    }

    #[test]
    fn a_bad_copy_is_open_until_it_is_closed_and_counts_once() {
        let copies = BadCopies::default();
        assert!(!copies.close(&id(1)));
        assert_eq!(
            [copies.add(id(1), FoundBy::Read), copies.add(id(1), FoundBy::Scrub)],
            [Added::New, Added::Known]
        );
        assert_eq!([copies.found_by(&id(1)), copies.found_by(&id(2))], [Some(FoundBy::Read), None]);
        assert_eq!(copies.report().open, 1);
        assert!(copies.close(&id(1)) && !copies.close(&id(1)));
        assert_eq!(copies.report(), BadCopiesReport::default());
    }

    #[test]
    fn what_is_given_up_is_lost_until_a_copy_comes_and_tried_again_by_the_next_pass() {
        let copies = BadCopies::default();
        (1..=3).for_each(|number| _ = copies.add(id(number), FoundBy::Scrub));
        (1..=3).for_each(|number| copies.give_up(id(number)));
        copies.count_vanished();
        let report = copies.report();
        assert_eq!((report.open, report.lost, report.vanished), (0, 3, 1));
        assert_eq!(report.some, [id(1), id(2), id(3)]);
        assert!(copies.is_bad(&id(2)) && copies.close(&id(2)) && !copies.is_bad(&id(2)));
        assert_eq!(copies.add(id(3), FoundBy::Scrub), Added::New);
        assert_eq!((copies.report().open, copies.report().lost), (1, 1));
        assert_eq!(copies.begin_pass(), [id(1)]);
        let some = vec![id(1), id(3)];
        assert_eq!(copies.report(), BadCopiesReport { open: 2, some, ..BadCopiesReport::default() });
    }

    #[test]
    fn the_numbers_of_open_and_of_named_lost_copies_are_bounded() {
        let copies = BadCopies::default();
        for number in 0..OPEN_MAX {
            assert_eq!(copies.add(id(number), FoundBy::Scrub), Added::New);
        }
        assert_eq!(copies.add(id(OPEN_MAX), FoundBy::Scrub), Added::Full);
        (0..OPEN_MAX).for_each(|number| copies.give_up(id(number)));
        assert_eq!(copies.add(id(OPEN_MAX), FoundBy::Scrub), Added::New);
        let report = copies.report();
        assert_eq!((report.lost, report.some.len()), (OPEN_MAX as u64, BadCopies::REPORTED_MAX));
        assert_eq!(copies.entries().lost.len(), LOST_MAX);
    }
}
