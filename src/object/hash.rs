//! Ids of bytes as they pass, and the proof of bytes by their id (SHA-1, FIPS 180-4).

use std::fmt;
use std::mem;

use sha1::{Digest, Sha1};

use super::ObjectId;

/// Bytes at the end of an image that are given to nobody before all of it is proven: who gets wrong bytes gets too few of
/// them, and sees that.
pub const WITHHELD_BYTES: u64 = 64 << 10;

/// The id of bytes that come in order.
#[derive(Clone, Default)]
pub struct IdHasher(Sha1);

/// Proves bytes that come in order by the id that they should have. All stored bytes are verified by this.
#[derive(Debug)]
pub struct Verifier {
    id: ObjectId,
    hasher: IdHasher,
}

impl ObjectId {
    /// The id of an image with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_digest(Sha1::digest(bytes).into())
    }
}

impl IdHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of all bytes.
    pub fn finish(self) -> ObjectId {
        ObjectId::from_digest(self.0.finalize().into())
    }
}

impl Verifier {
    /// Of the image with this id.
    pub fn new(id: ObjectId) -> Self {
        Self { id, hasher: IdHasher::default() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Whether all bytes since the last call are the image's.
    pub fn finish(&mut self) -> bool {
        mem::take(&mut self.hasher).finish() == self.id
    }
}

impl fmt::Debug for IdHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_same_id_at_once_and_in_pieces() {
        // The example of FIPS 180-4.
        let id = ObjectId::parse("a9993e364706816aba3e25717850c26c9cd0d89d").unwrap();
        assert_eq!(ObjectId::of(b"abc"), id);
        let mut hasher = IdHasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), id);
    }

    #[test]
    fn only_all_bytes_of_an_image_prove_it() {
        let mut verifier = Verifier::new(ObjectId::of(b"abc"));
        verifier.update(b"ab");
        assert!(!verifier.finish());
        verifier.update(b"ab");
        verifier.update(b"c");
        assert!(verifier.finish());
        verifier.update(b"abd");
        assert!(!verifier.finish());
    }
}
