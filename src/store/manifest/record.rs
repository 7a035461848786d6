//! One record of a manifest: an image that lies here, or one that has gone. Pure.
//!
//! A record is 32 bytes with a checksum of its own: id (20), kind (1), length (7), CRC-32 (4). So a reader that looks up
//! one record can trust it without the rest of the file.

use crate::object::{Format, ObjectId};

/// Bytes of a record.
pub(super) const RECORD_BYTES: usize = 32;

/// The bytes under the checksum.
const CHECKED_BYTES: usize = RECORD_BYTES - 4;

const ID_BYTES: usize = 20;

const _: () = assert!(CHECKED_BYTES == ID_BYTES + 8, "invariant: manifest: kind and length fill a word");

/// The longest image that a record can name: seven bytes of length. No file system holds a longer file.
const LENGTH_MAX: u64 = (1 << 56) - 1;

/// The kind of a record of an image that has gone.
const GONE: u8 = 0;

/// An image that lies here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ManifestEntry {
    pub(super) id: ObjectId,
    pub(super) format: Format,
    /// Bytes.
    pub(super) length: u64,
}

/// The state of one image from this record on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ManifestRecord {
    Here(ManifestEntry),
    Gone(ObjectId),
}

impl ManifestRecord {
    pub(super) fn id(&self) -> ObjectId {
        match self {
            Self::Here(entry) => entry.id,
            Self::Gone(id) => *id,
        }
    }

    /// The image, if it lies here by this record.
    pub(super) fn entry(self) -> Option<ManifestEntry> {
        match self {
            Self::Here(entry) => Some(entry),
            Self::Gone(_) => None,
        }
    }

    pub(super) fn encode(&self) -> [u8; RECORD_BYTES] {
        let (kind, length) = match self {
            Self::Here(entry) => (code(entry.format), entry.length.min(LENGTH_MAX)),
            Self::Gone(_) => (GONE, 0),
        };
        let mut record = [0; RECORD_BYTES];
        record[..ID_BYTES].copy_from_slice(self.id().digest());
        record[ID_BYTES..CHECKED_BYTES].copy_from_slice(&(u64::from(kind) << 56 | length).to_be_bytes());
        let checksum = crc32fast::hash(&record[..CHECKED_BYTES]);
        record[CHECKED_BYTES..].copy_from_slice(&checksum.to_be_bytes());
        record
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub(super) fn decode(record: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (checked, checksum) = record.split_at(CHECKED_BYTES);
        if crc32fast::hash(checked).to_be_bytes() != *checksum {
            return None;
        }
        let id = ObjectId::from_digest(checked[..ID_BYTES].try_into().ok()?);
        let word = u64::from_be_bytes(checked[ID_BYTES..].try_into().ok()?);
        let (kind, length) = (word.to_be_bytes()[0], word & LENGTH_MAX);
        if kind == GONE {
            return Some(Self::Gone(id));
        }
        let format = Format::ALL.into_iter().find(|format| code(*format) == kind)?;
        Some(Self::Here(ManifestEntry { id, format, length }))
    }
}

/// The number of a format on disk.
const fn code(format: Format) -> u8 {
    match format {
        Format::Jpeg => 1,
        Format::Png => 2,
        Format::Gif => 3,
        Format::Webp => 4,
        Format::Avif => 5,
        Format::Heic => 6,
        Format::Jxl => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = ManifestRecord> {
        (any::<[u8; 20]>(), 0..=Format::ALL.len(), 0..=LENGTH_MAX).prop_map(|(digest, format, length)| {
            let id = ObjectId::from_digest(digest);
            match Format::ALL.get(format) {
                Some(format) => ManifestRecord::Here(ManifestEntry { id, format: *format, length }),
                None => ManifestRecord::Gone(id),
            }
        })
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(record in any_record()) {
            prop_assert_eq!(ManifestRecord::decode(&record.encode()), Some(record));
        }

        #[test]
        fn a_record_with_a_flipped_bit_is_refused(record in any_record(), bit in 0..RECORD_BYTES * 8) {
            let mut bytes = record.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(ManifestRecord::decode(&bytes), None);
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(ManifestRecord::decode(&[0; RECORD_BYTES]), None);
    }
}
