//! Hashes of layouts as they ride on requests between nodes: 32 hex digits.

use std::fmt;

use super::super::node::NodeId;
use super::super::wire::Malformed;
use super::{LayoutHash, SyncHash};

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
