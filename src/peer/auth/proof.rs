//! The contents of a proof, and its text.

use super::{AuthError, Digest, read_hex};
use crate::cluster::layout::LayoutHash;

/// The request line that a proof covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// As sent.
    pub method: &'a str,
    /// Path with query, as sent.
    pub target: &'a str,
}

/// The signed fields of a request or an answer beside the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedFields<'a> {
    /// The hash of the sender's layout; `None` without a layout header or with one that is none.
    pub layout: Option<LayoutHash>,
    /// The text of the metadata header; empty without one.
    pub metadata: &'a str,
}

/// The text of a metadata header: `key=value` pairs with blanks between, ASCII, at most [`PeerMetadata::BYTES_MAX`] bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerMetadata<'a>(&'a str);

/// Proves that the other end sent a message on this connection, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub(super) number: u64,
    pub(super) digest: Digest,
    pub(super) mac: [u8; 32],
}

impl Proof {
    /// Reads the text of a proof: number, digest, HMAC, in the one way in which it is written.
    ///
    /// # Errors
    /// [`AuthError::Unsigned`] for anything else.
    pub fn parse(text: &[u8]) -> Result<Self, AuthError> {
        let read = || {
            let mut fields = str::from_utf8(text).ok()?.split(' ');
            let number = fields.next()?;
            let digest = Digest::parse(fields.next()?)?;
            let mac = read_hex(fields.next()?)?;
            let parsed = number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number)?;
            fields.next().is_none().then_some(Self { number: parsed, digest, mac })
        };
        read().ok_or(AuthError::Unsigned)
    }
}

impl<'a> PeerMetadata<'a> {
    /// Bytes of a metadata header.
    pub const BYTES_MAX: usize = 4096;

    /// The metadata of a proven message.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The value of `key`; `None` without one.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let pairs = self.0.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}
