//! The erasure records of this node, for all of its shards.
//!
//! Every shard asks whether an image is gone, and the shard that holds the id changes its record; so the table is shared
//! and has a lock, which is held for a look or for one page. A node on which nothing was ever deleted takes no lock.
//!
//! Invariants: a record is in the journal before it is here; what a record has removed is not put into a cache again.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock};

use crate::cluster::erasure::ErasureRecord;
use crate::cluster::erasure::table::{BucketDigests, ErasureTable};
use crate::object::ObjectId;
use crate::store::erasures::ErasureEntry;
use crate::telemetry::metrics::DiskMetrics;

/// The records of one node.
#[derive(Debug, Default)]
pub struct Erasures {
    table: RwLock<ErasureTable>,
    /// Whether there is any record.
    has_records: AtomicBool,
    metrics: Arc<DiskMetrics>,
}

/// A page of records between two nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasurePage {
    /// In order of ids.
    pub records: Vec<(ObjectId, ErasureRecord)>,
    /// Whether there are others behind the last one.
    pub has_more: bool,
}

impl Erasures {
    /// None yet. Their number is shown by these metrics.
    pub fn new(metrics: Arc<DiskMetrics>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Takes what the journal says, at the start. Entries that no version of this program writes are left out.
    pub fn load(&self, entries: &[ErasureEntry]) {
        for entry in entries {
            let Some(record) = ErasureRecord::from_bytes(&entry.record) else { continue };
            self.merge(&[(entry.id, record)]);
            if entry.is_erased {
                self.set_erased(&[entry.id]);
            }
        }
    }

    /// Whether the image is deleted or banned.
    pub fn is_gone(&self, id: &ObjectId) -> bool {
        self.record(id).is_gone()
    }

    /// The record of an id.
    pub fn record(&self, id: &ObjectId) -> ErasureRecord {
        if self.has_records.load(SeqCst) {
            self.read(|table| table.record(id))
        } else {
            ErasureRecord::default()
        }
    }

    /// Whether the image is gone and this node has no file of it.
    pub fn is_erased(&self, id: &ObjectId) -> bool {
        self.has_records.load(SeqCst) && self.read(|table| table.is_erased(id))
    }

    /// The number of records.
    pub fn count(&self) -> usize {
        self.read(ErasureTable::len)
    }

    /// Of these, the records that say something new, merged with what is known.
    pub fn news(&self, records: &[(ObjectId, ErasureRecord)]) -> Vec<(ObjectId, ErasureRecord)> {
        // Nearly every copy and reply is of an image that was never deleted.
        if records.iter().all(|(_, record)| *record == ErasureRecord::default()) {
            return Vec::new();
        }
        self.read(|table| {
            let merged = records.iter().map(|(id, record)| (*id, table.record(id).merge(*record)));
            merged.filter(|(id, merged)| table.record(id) != *merged).collect()
        })
    }

    /// Takes records that are in the journal.
    pub(super) fn merge(&self, records: &[(ObjectId, ErasureRecord)]) {
        if records.is_empty() {
            return;
        }
        self.write(|table| {
            records.iter().for_each(|(id, record)| _ = table.merge(*id, *record));
            self.metrics.tombstones.set(table.gone() as u64);
        });
        self.has_records.store(true, SeqCst);
    }

    /// No file of these ids is left here, and the journal says so.
    pub(super) fn set_erased(&self, ids: &[ObjectId]) {
        self.write(|table| ids.iter().for_each(|id| table.set_erased(id)));
    }

    /// At most `count` of these ids that are gone and of which files may be left.
    pub(super) fn unerased(&self, count: usize, is_wanted: impl Fn(&ObjectId) -> bool) -> Vec<ObjectId> {
        if !self.has_records.load(SeqCst) {
            return Vec::new();
        }
        self.read(|table| table.unerased(count, is_wanted))
    }

    /// The digest of each bucket.
    pub fn digests(&self) -> Box<BucketDigests> {
        self.read(|table| Box::new(*table.digests()))
    }

    /// The records of a bucket behind an id.
    pub fn page(&self, bucket: u8, after: Option<ObjectId>) -> ErasurePage {
        let (records, has_more) = self.read(|table| table.page(bucket, after));
        ErasurePage { records, has_more }
    }

    // A panic under the lock leaves the table whole: each change is one call.

    fn read<T>(&self, look: impl FnOnce(&ErasureTable) -> T) -> T {
        look(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut ErasureTable) -> T) -> T {
        change(&mut self.table.write().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::erasure::Intent;

    fn id(number: u8) -> ObjectId {
        ObjectId::from_digest([number; 20])
    }

    #[test]
    fn what_the_journal_says_is_known_after_a_start() {
        let deleted = ErasureRecord::default().fulfil(Intent::Delete);
        let entry = |number, record, is_erased| ErasureEntry { id: id(number), record, is_erased };
        let metrics = Arc::<DiskMetrics>::default();
        let erasures = Erasures::new(Arc::clone(&metrics));
        assert!(!erasures.is_gone(&id(1)) && erasures.unerased(9, |_| true).is_empty());
        let no_record = [0xff; 17];
        let live = ErasureRecord::live(2).to_bytes();
        erasures.load(&[
            entry(1, deleted.to_bytes(), true),
            entry(2, deleted.to_bytes(), false),
            entry(3, live, false),
            entry(4, no_record, true),
        ]);
        assert_eq!([1, 2, 3, 4].map(|number| erasures.is_gone(&id(number))), [true, true, false, false]);
        assert_eq!([1, 2, 3].map(|number| erasures.is_erased(&id(number))), [true, false, false]);
        assert_eq!((erasures.unerased(9, |_| true), erasures.count()), (vec![id(2)], 3));
        assert_eq!(metrics.tombstones.get(), 2);
        erasures.merge(&[(id(1), ErasureRecord::live(9))]);
        assert_eq!(metrics.tombstones.get(), 1, "it was uploaded again");
    }

    #[test]
    fn only_what_is_new_has_to_be_written() {
        let deleted = ErasureRecord::default().fulfil(Intent::Delete);
        let (erasures, banned) = (Erasures::default(), deleted.fulfil(Intent::Ban));
        erasures.merge(&[(id(1), deleted)]);
        assert!(erasures.news(&[(id(1), deleted), (id(1), ErasureRecord::live(1))]).is_empty());
        assert_eq!(erasures.news(&[(id(1), banned), (id(2), deleted)]), [(id(1), banned), (id(2), deleted)]);
    }
}
