//! Erasure records on their way between nodes, as text and bytes. Pure.
//!
//! The answers about an image carry the record that their node has of it, if it has one, among the metadata. Pages are
//! 37 bytes a record: the id, then the record.

use super::auth::PeerMetadata;
use super::query::parameter;
use crate::cluster::erasure::table::{BUCKETS, BucketDigests, PAGE_MAX};
use crate::cluster::erasure::{ErasureRecord, RECORD_BYTES};
use crate::cluster::protocol::erase::HeldRecord;
use crate::object::ObjectId;

/// The metadata key that says whether more records follow a page.
pub const MORE: &str = "more";

/// Bytes of a record in a page.
const ENTRY_BYTES: usize = 20 + RECORD_BYTES;

/// A record that another node is to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EraseCall {
    /// Of which image.
    pub id: ObjectId,
    /// The record.
    pub record: ErasureRecord,
}

/// Which records a node is to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCall {
    /// Which bucket.
    pub bucket: u8,
    /// The id before the first one.
    pub after: Option<ObjectId>,
}

impl EraseCall {
    pub(super) fn parse(id: ObjectId, query: &str) -> Option<Self> {
        Some(Self { id, record: ErasureRecord::parse(parameter(query, "record")?)? })
    }
}

impl PageCall {
    pub(super) fn parse(bucket: &str, query: &str) -> Option<Self> {
        let bucket = bucket.parse().ok()?;
        let after = match parameter(query, "after") {
            Some(id) => Some(ObjectId::parse(id).ok()?),
            None => None,
        };
        Some(Self { bucket, after })
    }

    pub(super) fn target(&self) -> String {
        let after = self.after.map(|id| format!("?after={id}")).unwrap_or_default();
        format!("{}{after}", self.bucket)
    }
}

/// The part of an answer's metadata header that says what the node knows of the image's deletions; empty without a
/// record.
pub fn record_metadata(record: ErasureRecord) -> String {
    if record == ErasureRecord::default() { String::new() } else { format!("record={record}") }
}

/// Reads [`record_metadata`], and of a text that is none that there is no record.
pub fn read_record(metadata: PeerMetadata<'_>) -> ErasureRecord {
    metadata.get("record").and_then(ErasureRecord::parse).unwrap_or_default()
}

/// The same with whether the node has erased the image.
pub fn held_metadata(held: HeldRecord) -> String {
    format!("record={} erased={}", held.record, u8::from(held.is_erased))
}

/// Reads [`held_metadata`].
pub fn read_held(metadata: PeerMetadata<'_>) -> Option<HeldRecord> {
    let record = ErasureRecord::parse(metadata.get("record")?)?;
    Some(HeldRecord { record, is_erased: metadata.get("erased") == Some("1") })
}

/// The body of an answer with digests.
pub fn encode_digests(digests: &BucketDigests) -> Vec<u8> {
    digests.iter().flat_map(|digest| digest.to_be_bytes()).collect()
}

/// Reads [`encode_digests`].
pub fn parse_digests(body: &[u8]) -> Option<Box<BucketDigests>> {
    let (numbers, rest) = body.as_chunks::<8>();
    if numbers.len() != BUCKETS || !rest.is_empty() {
        return None;
    }
    let mut digests = Box::new([0; BUCKETS]);
    digests.iter_mut().zip(numbers).for_each(|(digest, bytes)| *digest = u64::from_be_bytes(*bytes));
    Some(digests)
}

/// The body of an answer with records.
pub fn encode_page(records: &[(ObjectId, ErasureRecord)]) -> Vec<u8> {
    records.iter().flat_map(|(id, record)| id.digest().iter().copied().chain(record.to_bytes())).collect()
}

/// Reads [`encode_page`]. `None`: these are no records of this bucket in order, behind `after`.
pub fn parse_page(body: &[u8], page: PageCall) -> Option<Vec<(ObjectId, ErasureRecord)>> {
    let (entries, rest) = body.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || entries.len() > PAGE_MAX {
        return None;
    }
    let records: Vec<_> = entries.iter().map(parse_entry).collect::<Option<_>>()?;
    let ids = page.after.into_iter().chain(records.iter().map(|(id, _)| *id));
    let is_page = ids.is_sorted_by(|before, id| before < id)
        && records.iter().all(|(id, _)| id.digest()[0] == page.bucket);
    is_page.then_some(records)
}

fn parse_entry(entry: &[u8; ENTRY_BYTES]) -> Option<(ObjectId, ErasureRecord)> {
    let (id, record) = entry.split_at(20);
    let record = ErasureRecord::from_bytes(record.try_into().ok()?)?;
    Some((ObjectId::from_digest(id.try_into().ok()?), record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::erasure::Intent;

    fn entry(first: u8, last: u8) -> (ObjectId, ErasureRecord) {
        let mut digest = [first; 20];
        digest[19] = last;
        (ObjectId::from_digest(digest), ErasureRecord::live(u64::from(last)).fulfil(Intent::Delete))
    }

    fn call(after: Option<ObjectId>) -> PageCall {
        PageCall { bucket: 7, after }
    }

    #[test]
    fn records_digests_and_pages_come_across() {
        let (_, record) = entry(1, 1);
        for is_erased in [false, true] {
            let held = HeldRecord { record, is_erased };
            assert_eq!(read_held(PeerMetadata::new(&held_metadata(held))), Some(held));
        }
        for record in [ErasureRecord::default(), record] {
            assert_eq!(read_record(PeerMetadata::new(&record_metadata(record))), record);
        }
        assert_eq!(read_held(PeerMetadata::new("")), None);
        let mut digests = Box::new([0; BUCKETS]);
        (digests[0], digests[255]) = (1, u64::MAX);
        assert_eq!(parse_digests(&encode_digests(&digests)), Some(digests));
        for records in [vec![], vec![entry(7, 1), entry(7, 2)]] {
            assert_eq!(parse_page(&encode_page(&records), call(None)), Some(records));
        }
    }

    #[test]
    fn what_is_no_page_that_was_asked_for_is_refused() {
        let after = Some(entry(7, 3).0);
        let mut cut = encode_page(&[entry(7, 5)]);
        cut.pop();
        let mut no_record = encode_page(&[entry(7, 5)]);
        *no_record.last_mut().unwrap() = 0xff;
        for (body, what) in [
            (encode_page(&[entry(7, 3)]), "not behind the last one"),
            (encode_page(&[entry(7, 5), entry(7, 4)]), "out of order"),
            (encode_page(&[entry(7, 5), entry(7, 5)]), "an id twice"),
            (encode_page(&[entry(8, 5)]), "another bucket"),
            (encode_page(&vec![entry(7, 5); PAGE_MAX + 1]), "too many"),
            (cut, "cut"),
            (no_record, "no record"),
        ] {
            assert_eq!(parse_page(&body, call(after)), None, "{what}");
        }
        for bytes in [vec![0; 2047], vec![0; 2049], vec![]] {
            assert_eq!(parse_digests(&bytes), None);
        }
    }
}
