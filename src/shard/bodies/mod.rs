//! The bytes of answers: pieces in memory, a stored file that is read while it is sent, another node's stream.
//!
//! * [`memory`]: how many bytes may be in memory. [`piece`]: what is sent at once.
//! * [`mod@file`]: a stored file. [`relay`]: a part of another node's stream.

pub mod file;
pub mod memory;
pub mod piece;
pub mod relay;

use std::fmt;

use crate::peer::error::PeerError;
use crate::store::StoreError;

/// Why a body ended unfinished. The connection is closed, so that nobody takes a part for the whole.
#[derive(Debug)]
pub enum BodyError {
    /// The disk could not read it.
    Store(StoreError),
    /// The stored bytes do not have their id.
    Corrupt,
    /// Another node did not give all of it, or gave something else.
    Peer(PeerError),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Peer(error) => error.fmt(f),
            Self::Corrupt => f.write_str("the stored bytes do not have their id"),
        }
    }
}

impl std::error::Error for BodyError {}
