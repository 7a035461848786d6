//! The erasure records of one node, with digests by which two nodes find the records in which they differ.
//!
//! The records lie in 256 buckets by the first byte of their ids. Of each bucket the table keeps the sum of a hash of
//! each record, so that a change costs one subtraction and one addition. Two nodes compare 256 sums (2 KiB), and then
//! exchange the records of the buckets that differ: of a million records 4,000, which are 145 KB.
//!
//! Records are never collected: a member that was away for a year may hold a copy. In memory a record takes 37 bytes, and
//! with the tree about 60: 60 MB for a million deleted images.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::ErasureRecord;
use crate::object::ObjectId;

/// Buckets, by the first byte of an id.
pub const BUCKETS: usize = 256;

/// Records of one page: 37 bytes each.
pub const PAGE_MAX: usize = 1_000;

/// The sum of each bucket.
pub type BucketDigests = [u64; BUCKETS];

/// The records of one node.
#[derive(Clone, Debug)]
pub struct ErasureTable {
    records: BTreeMap<ObjectId, ErasureRecord>,
    /// Ids that are gone and of which this node may still have files: a few, while they are erased.
    unerased: BTreeSet<ObjectId>,
    /// The number of ids that are gone.
    gone: usize,
    digests: Box<BucketDigests>,
}

impl Default for ErasureTable {
    fn default() -> Self {
        let digests = Box::new([0; BUCKETS]);
        Self { records: BTreeMap::new(), unerased: BTreeSet::new(), gone: 0, digests }
    }
}

impl ErasureTable {
    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The number of ids that are deleted or banned: tombstones.
    pub fn gone(&self) -> usize {
        self.gone
    }

    /// Whether nothing was ever deleted here.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record of an id.
    pub fn record(&self, id: &ObjectId) -> ErasureRecord {
        self.records.get(id).copied().unwrap_or_default()
    }

    /// Takes what another record knows. Whether this was new. An id that is gone now has files to be erased.
    pub fn merge(&mut self, id: ObjectId, record: ErasureRecord) -> bool {
        let before = self.record(&id);
        let merged = before.merge(record);
        if merged == before {
            return false;
        }
        let bucket = &mut self.digests[usize::from(id.digest()[0])];
        let known = self.records.insert(id, merged);
        *bucket = bucket.wrapping_sub(known.map_or(0, |known| hash(&id, &known)));
        *bucket = bucket.wrapping_add(hash(&id, &merged));
        if merged.is_gone() {
            self.unerased.insert(id);
        } else {
            self.unerased.remove(&id);
        }
        self.gone += usize::from(merged.is_gone());
        self.gone -= usize::from(before.is_gone());
        true
    }

    /// No file of this id is left, which is gone by this record. Does nothing if it was uploaded again since.
    pub fn set_erased(&mut self, id: &ObjectId) {
        self.unerased.remove(id);
    }

    /// Whether the id is gone and this node has no file of it.
    pub fn is_erased(&self, id: &ObjectId) -> bool {
        self.record(id).is_gone() && !self.unerased.contains(id)
    }

    /// At most `count` of these ids that are gone and of which files may be left.
    pub fn unerased(&self, count: usize, is_wanted: impl Fn(&ObjectId) -> bool) -> Vec<ObjectId> {
        self.unerased.iter().filter(|id| is_wanted(id)).take(count).copied().collect()
    }

    /// The digest of each bucket.
    pub fn digests(&self) -> &BucketDigests {
        &self.digests
    }

    /// The digest of all records: equal ones mean equal records.
    pub fn root(&self) -> u64 {
        root(&self.digests)
    }

    /// The records of a bucket behind an id, in order, at most [`PAGE_MAX`]; and whether there are more.
    pub fn page(&self, bucket: u8, after: Option<ObjectId>) -> (Vec<(ObjectId, ErasureRecord)>, bool) {
        let (first, last) = (id_of(bucket, 0), id_of(bucket, 0xff));
        let start = match after {
            Some(after) if after >= first => Bound::Excluded(after.min(last)),
            _ => Bound::Included(first),
        };
        // A range that begins behind its end is a mistake of the caller for the library.
        if start == Bound::Excluded(last) {
            return (Vec::new(), false);
        }
        let mut rest = self.records.range((start, Bound::Included(last)));
        let page: Vec<_> = rest.by_ref().take(PAGE_MAX).map(|(id, record)| (*id, *record)).collect();
        let has_more = rest.next().is_some();
        assert!(
            !has_more || page.len() == PAGE_MAX,
            "invariant: erasure: a page is full before the next begins"
        );
        (page, has_more)
    }

    /// All records, in order of ids.
    pub fn records(&self) -> impl Iterator<Item = (ObjectId, ErasureRecord)> {
        self.records.iter().map(|(id, record)| (*id, *record))
    }
}

/// The digest of all buckets.
pub fn root(digests: &BucketDigests) -> u64 {
    digests.iter().enumerate().fold(0, |sum: u64, (bucket, digest)| {
        // Bucket by bucket another number: two sums that are exchanged are noticed.
        sum.wrapping_add(mixed(digest ^ (bucket as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    })
}

/// Each bit of a record changes about half of the bits. The members are trusted: none forges a sum.
fn hash(id: &ObjectId, record: &ErasureRecord) -> u64 {
    let bytes = id.digest().iter().copied().chain(record.to_bytes());
    bytes.fold(0x243f_6a88_85a3_08d3, |hash, byte| mixed(hash ^ u64::from(byte)))
}

/// The last steps of MurmurHash3.
fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    value = (value ^ (value >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

fn id_of(first: u8, rest: u8) -> ObjectId {
    let mut digest = [rest; 20];
    digest[0] = first;
    ObjectId::from_digest(digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Intent;
    use super::super::tests::any_record;
    use super::*;

    fn id(first: u8, number: u16) -> ObjectId {
        let mut digest = [0; 20];
        digest[0] = first;
        digest[1..3].copy_from_slice(&number.to_be_bytes());
        ObjectId::from_digest(digest)
    }

    fn any_id() -> impl Strategy<Value = ObjectId> {
        (0..3_u8, 0..4_u16).prop_map(|(first, number)| id(first, number))
    }

    proptest! {
        #[test]
        fn whatever_the_order_equal_knowledge_has_equal_digests(
            heard in proptest::collection::vec((any_id(), any_record()), 0..40),
            order in any::<u64>(),
        ) {
            let mut one = ErasureTable::default();
            let mut other = ErasureTable::default();
            let mut shuffled = heard.clone();
            let count = shuffled.len().max(1);
            (0..count).for_each(|at| shuffled.rotate_left((order >> (at % 60)) as usize % count));
            heard.iter().for_each(|(id, record)| _ = one.merge(*id, *record));
            shuffled.iter().for_each(|(id, record)| _ = other.merge(*id, *record));
            prop_assert_eq!(one.digests(), other.digests());
            prop_assert!(one.records().eq(other.records()));
            prop_assert_eq!(one.root(), other.root());
        }

        #[test]
        fn a_difference_changes_its_bucket_and_the_root(
            heard in proptest::collection::vec((any_id(), any_record()), 0..40),
            id in any_id(), record in any_record(),
        ) {
            let mut table = ErasureTable::default();
            heard.iter().for_each(|(id, record)| _ = table.merge(*id, *record));
            let before = table.clone();
            let is_new = table.merge(id, record);
            let bucket = usize::from(id.digest()[0]);
            prop_assert_eq!(is_new, table.digests()[bucket] != before.digests()[bucket]);
            prop_assert_eq!(is_new, table.root() != before.root());
        }
    }

    #[test]
    fn pages_give_every_record_of_a_bucket_once_and_in_order() {
        let mut table = ErasureTable::default();
        let deleted = ErasureRecord::default().fulfil(Intent::Delete);
        (0..2_500).for_each(|number| _ = table.merge(id(7, number), deleted));
        table.merge(id(6, 1), deleted);
        table.merge(id_of(7, 0xff), deleted);
        let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
        loop {
            let (page, has_more) = table.page(7, after);
            after = page.last().map(|(id, _)| *id);
            found.extend(page.into_iter().map(|(id, _)| id));
            pages += 1;
            if !has_more {
                break;
            }
        }
        assert_eq!((found.len(), pages), (2_501, 3));
        assert!(found.is_sorted() && found.iter().all(|id| id.digest()[0] == 7));
        assert_eq!(table.page(7, after), (Vec::new(), false));
        assert_eq!(table.page(6, None).0.len(), 1);
        assert!(table.page(6, after).0.is_empty() && table.page(8, after).0.is_empty());
    }

    #[test]
    fn an_id_has_files_to_be_erased_until_that_is_done_or_it_is_live_again() {
        let mut table = ErasureTable::default();
        let (one, deleted) = (id(1, 1), ErasureRecord::default().fulfil(Intent::Delete));
        assert!(table.merge(one, deleted) && !table.merge(one, deleted));
        assert_eq!((table.unerased(9, |_| true), table.is_erased(&one)), (vec![one], false));
        assert!(table.unerased(9, |id| *id != one).is_empty());
        table.set_erased(&one);
        assert!(table.is_erased(&one) && table.unerased(9, |_| true).is_empty());
        assert!(table.merge(one, deleted.fulfil(Intent::Ban)) && !table.is_erased(&one));
        assert!(table.merge(one, deleted.fulfil(Intent::Ban).fulfil(Intent::Lift)));
        assert!(table.merge(one, ErasureRecord::live(deleted.next_live())));
        assert!(table.unerased(9, |_| true).is_empty() && !table.is_erased(&one));
    }
}
