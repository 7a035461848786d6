//! Hashes of layouts. They ride on requests between nodes as 32 hex digits.

use std::fmt;

use sha2::{Digest, Sha256};

use super::super::node::NodeId;
use super::super::wire::Malformed;

/// The hash of all versions: it rides on every request between nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayoutHash(pub(in crate::cluster) [u8; 16]);

/// The hash of everything in a layout, to see whether two nodes have anything to tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateHash(pub(in crate::cluster) [u8; 16]);

/// The hash of all that decides ownership in a version, stamps included: a version that has been left and come
/// back to has another hash, because copies were written elsewhere in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SyncHash(pub(in crate::cluster) [u8; 16]);

impl LayoutHash {
    /// Reads 32 hex digits.
    ///
    /// # Errors
    /// [`Malformed`] for any other text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        NodeId::parse(text).map(|same| Self(*same.bytes()))
    }
}

impl SyncHash {
    /// From the bytes of another node's.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads 32 hex digits.
    ///
    /// # Errors
    /// [`Malformed`] for any other text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        NodeId::parse(text).map(|same| Self(*same.bytes()))
    }
}

impl fmt::Display for LayoutHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The form of node ids, which have as many bytes.
        NodeId::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Display for SyncHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NodeId::from_bytes(self.0).fmt(f)
    }
}

/// The first half of SHA-256: enough against accidents, and short on every request.
pub(in crate::cluster) fn digest(bytes: &[u8]) -> [u8; 16] {
    let whole = Sha256::digest(bytes);
    std::array::from_fn(|at| whole[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_print_what_they_parsed() {
        let text = "00ff00ff00ff00ff0123456789abcdef";
        assert_eq!(LayoutHash::parse(text).unwrap().to_string(), text);
        assert_eq!(SyncHash::parse(text).unwrap().to_string(), text);
        assert_eq!(LayoutHash::parse(&text[1..]), Err(Malformed));
        assert_eq!(SyncHash::parse(""), Err(Malformed));
    }
}
