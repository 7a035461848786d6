//! Bodies of answers of other nodes. An answer's digest is checked before its reader has all of it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::future;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Incoming};
use sha2::{Digest as _, Sha256};

use super::auth::{AuthError, Digest};
use super::error::PeerError;
use super::lease::Lease;
use crate::object::{ObjectId, Verifier, WITHHELD_BYTES};

/// No byte of a stream for this long ends it.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// An answer's body: a stream of bytes whose last 64 KiB come only when all of them are right.
pub struct Stream {
    body: Incoming,
    hasher: Hasher,
    digest: Digest,
    held: VecDeque<Bytes>,
    held_bytes: usize,
    ended: bool,
    /// The connection; `None` once it is back in the pool.
    lease: Option<Lease>,
}

enum Hasher {
    Bytes(Box<Sha256>),
    Image(Box<Verifier>),
}

impl Stream {
    /// Says that this answer may last: it leaves its place among the questions to the other node to the next one.
    /// `false`: too many long answers of that node are under way.
    pub fn stand_aside(&mut self) -> bool {
        self.lease.as_mut().is_none_or(Lease::stand_aside)
    }

    pub(super) fn new(body: Incoming, digest: Digest, lease: Lease) -> Box<Self> {
        let hasher = match digest {
            Digest::Bytes(_) => Hasher::Bytes(Box::default()),
            Digest::Image(id) => Hasher::Image(Box::new(Verifier::new(id))),
        };
        let (held, held_bytes, ended) = (VecDeque::new(), 0, false);
        Box::new(Self { body, hasher, digest, held, held_bytes, ended, lease: Some(lease) })
    }

    /// Whether its reader gets the last bytes only if all of them are those of this image.
    pub fn proves(&self, id: ObjectId) -> bool {
        self.digest == Digest::Image(id)
    }

    /// Bytes that the answer announces.
    pub fn length(&self) -> Option<u64> {
        self.body.size_hint().exact().map(|left| left + self.held_bytes as u64)
    }

    /// The next bytes; `None` at the end, which is reached only if all of them were right.
    ///
    /// # Errors
    /// [`PeerError`]: what was given so far is a part of something that was not proven.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PeerError> {
        loop {
            if self.ended || self.held_bytes as u64 > WITHHELD_BYTES {
                let bytes = self.held.pop_front();
                self.held_bytes -= bytes.as_ref().map_or(0, Bytes::len);
                return Ok(bytes);
            }
            match self.frame().await? {
                Some(bytes) => {
                    self.hasher.update(&bytes);
                    self.held_bytes += bytes.len();
                    self.held.push_back(bytes);
                }
                None => self.prove()?,
            }
        }
    }

    /// All of it, at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`Stream::next`], and [`PeerError::TooLong`].
    pub async fn collect(mut self: Box<Self>, bytes_max: usize) -> Result<Bytes, PeerError> {
        let mut all = Vec::with_capacity(self.length().map_or(0, |length| (length as usize).min(bytes_max)));
        while let Some(bytes) = self.next().await? {
            if all.len() + bytes.len() > bytes_max {
                return Err(PeerError::TooLong);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.into())
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, PeerError> {
        loop {
            let silent = async {
                glommio::timer::sleep(SILENCE_MAX).await;
                Err(PeerError::Late)
            };
            let frame = async { Ok(self.body.frame().await) };
            match future::or(frame, silent).await? {
                None => return Ok(None),
                Some(Err(_)) => return Err(PeerError::Broken),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.into_data().ok().filter(|bytes| !bytes.is_empty()) {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    fn prove(&mut self) -> Result<(), PeerError> {
        let is_right = match &mut self.hasher {
            Hasher::Bytes(hasher) => Digest::Bytes(hasher.finalize_reset().into()) == self.digest,
            Hasher::Image(verifier) => verifier.finish(),
        };
        if !is_right {
            return Err(PeerError::Untrusted(AuthError::Proof));
        }
        self.ended = true;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        Ok(())
    }
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Bytes(hasher) => hasher.update(bytes),
            Self::Image(verifier) => verifier.update(bytes),
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("digest", &self.digest).finish_non_exhaustive()
    }
}
