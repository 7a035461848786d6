//! Authenticates connections between nodes: who the other end is, and that each message is unchanged, in order, sent
//! once and meant for this node.
//!
//! No socket or clock: nonces come in as arguments (from [`nonce`], except in tests) and headers go in and out as text.
//! So every byte that a stranger can send ends in one of these functions.
//!
//! # A connection
//!
//! 1. The client's first request carries its **handshake** (`reticulum-hello`): protocol version, node id, nonce of 16
//!    bytes, cluster name and an HMAC with the secret. The server answers 401, because this may be a replay, and adds
//!    its own half, the **challenge**, whose HMAC covers both halves.
//! 2. From then on each request has a [`Proof`]: its number on this connection (from 1, without gaps), the digest of
//!    its body, and an HMAC-SHA-256 over both ids, both nonces, that number, method, path with query, the
//!    layout hash, the metadata and the digest. Each answer has one over the same with its status in place of method
//!    and path.
//! 3. The first error ends the connection: neither end accepts anything more on it.
//!
//! A replay on the same connection has a used number; a replay on another one has a foreign nonce. An answer that is
//! sent back as a request (or the other way round) has another transcript kind. The receiver of the body checks the
//! digest: the proof says only what it must be.

mod handshake;
mod proof;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

pub use self::handshake::{ClientHandshake, ServerHandshake};
pub use self::proof::{PeerMetadata, Proof, Question, SignedFields};
use crate::cluster::node::{Label, NodeId};
use crate::object::ObjectId;
use crate::telemetry::metrics::Unproven;

/// The header of a handshake and of a challenge.
pub const HANDSHAKE_HEADER: &str = "reticulum-hello";
/// The header of a proof.
pub const PROOF_HEADER: &str = "reticulum-proof";
/// The header of the sender's layout hash: 32 hex digits.
pub const LAYOUT_HEADER: &str = "reticulum-layout";
/// The metadata header.
pub const METADATA_HEADER: &str = "reticulum-facts";

/// The protocol version between nodes; any other is rejected.
pub const VERSION: u8 = 1;

/// 16 random bytes of one end of a connection.
pub type Nonce = [u8; 16];

/// This node's identity among its peers, and its secrets.
pub struct Identity {
    /// This node.
    pub node: NodeId,
    /// Its cluster: nodes of another one are refused.
    pub cluster: Label,
    keys: RwLock<Keys>,
}

struct Keys {
    /// Those that verify. None: nothing is accepted.
    keys: Vec<Hmac<Sha256>>,
    /// The signing key: the first of them, or a random one. Never an empty one.
    own: Hmac<Sha256>,
}

/// The digest that a body must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// The SHA-256 of its bytes.
    Bytes([u8; 32]),
    /// An image: the SHA-1 of its bytes, proven while they pass.
    Image(ObjectId),
}

/// Why authentication failed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// There is no proof, or it cannot be parsed.
    Unsigned,
    /// It uses another version of the protocol.
    Version,
    /// It is of another cluster.
    Cluster,
    /// The proof is not of this text with a secret of this cluster: forged, changed, from another connection, or
    /// sent back to where it came from.
    Proof,
    /// Right, but not the next on this connection: repeated, skipped or out of order.
    Number,
    /// Something was wrong on this connection before.
    Over,
}

/// 16 unpredictable bytes.
pub fn nonce() -> Nonce {
    let mut nonce = [0; 16];
    let mut filled = 0;
    while filled < nonce.len() {
        match rustix::rand::getrandom(&mut nonce[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random numbers: {error}"),
        }
    }
    nonce
}

impl Identity {
    /// The node of this id in this cluster, with its secrets, of which the first signs and all verify. Without
    /// any it accepts no peer and no peer accepts it: see [`Identity::is_secret`].
    pub fn new(node: NodeId, cluster: Label, secrets: &[String]) -> Self {
        Self { node, cluster, keys: RwLock::new(Keys::new(secrets)) }
    }

    /// From the next proof on, on open connections too, these secrets count and no others.
    pub fn replace_secrets(&self, secrets: &[String]) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Keys::new(secrets);
    }

    /// Whether it has a secret. A node without has no peers.
    pub fn is_secret(&self) -> bool {
        !self.keys().keys.is_empty()
    }

    /// Fingerprints of a configuration key for comparison among the nodes of a cluster, one per secret, the one that signs
    /// first: equal for equal keys, and of no use to anybody without the secret. Empty without any.
    pub fn fingerprints(&self, key: &str) -> Vec<String> {
        let text = Transcript::new(TranscriptKind::Fingerprint).field(key.as_bytes());
        let keys = self.keys();
        let mac = |key: &Hmac<Sha256>| key.clone().chain_update(&text.0).finalize().into_bytes();
        keys.keys.iter().map(|key| Hex(&mac(key)).to_string()).collect()
    }

    fn sign(&self, text: &Transcript) -> [u8; 32] {
        self.keys().own.clone().chain_update(&text.0).finalize().into_bytes().into()
    }

    /// In constant time for each key.
    fn verifies(&self, text: &Transcript, mac: &[u8; 32]) -> bool {
        let verifies = |key: &Hmac<Sha256>| key.clone().chain_update(&text.0).verify_slice(mac).is_ok();
        self.keys().keys.iter().fold(false, |found, key| found | verifies(key))
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn new(secrets: &[String]) -> Self {
        let key = |secret: &[u8]| Hmac::new_from_slice(secret).expect("HMAC takes keys of every length");
        // The configuration refuses empty ones; should one come all the same, it is none.
        let secrets = secrets.iter().filter(|secret| !secret.is_empty());
        let keys: Vec<_> = secrets.map(|secret| key(secret.as_bytes())).collect();
        let own = keys.first().cloned().unwrap_or_else(|| key(&[nonce(), nonce()].concat()));
        Self { keys, own }
    }
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::Bytes(Sha256::digest(bytes).into())
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_at_checked(1)? {
            ("b", hex) => read_hex(hex).map(Self::Bytes),
            ("i", hex) => read_hex(hex).map(ObjectId::from_digest).map(Self::Image),
            _ => None,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(digest) => write!(f, "b{}", Hex(digest)),
            Self::Image(id) => write!(f, "i{id}"),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.node, self.cluster)
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "no proof",
            Self::Version => "another version of the protocol",
            Self::Cluster => "another cluster",
            Self::Proof => "a wrong proof",
            Self::Number => "a wrong number",
            Self::Over => "a connection that is not believed any more",
        })
    }
}

impl std::error::Error for AuthError {}

impl From<AuthError> for Unproven {
    fn from(refusal: AuthError) -> Self {
        match refusal {
            // Everything behind the first error.
            AuthError::Unsigned | AuthError::Over => Self::Unsigned,
            AuthError::Version => Self::Version,
            AuthError::Cluster => Self::Cluster,
            AuthError::Proof => Self::Proof,
            AuthError::Number => Self::Replay,
        }
    }
}

/// The text that a proof covers: a list of fields, each with its length in front, so that no two lists are one text.
struct Transcript(Vec<u8>);

/// The kind of a transcript: none can stand for another.
#[derive(Clone, Copy)]
enum TranscriptKind {
    Handshake = 1,
    Challenge = 2,
    Request = 3,
    Answer = 4,
    Fingerprint = 5,
}

impl Transcript {
    fn new(kind: TranscriptKind) -> Self {
        Self(vec![VERSION, kind as u8])
    }

    fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
        self
    }
}

/// Bytes as lower-case hex digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads exactly `2 * N` lower-case hex digits.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
