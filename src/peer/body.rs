//! Bodies to and from other nodes. An answer's digest is checked before its reader has all of it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_lite::future;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use sha2::{Digest as _, Sha256};

use super::auth::{AuthError, Digest};
use super::pool::{Lease, PeerError};
use crate::object::{ObjectId, Verifier, WITHHELD_BYTES};

/// No byte of a stream for this long ends it.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The body of a question.
#[derive(Clone)]
pub enum Outgoing {
    /// These bytes.
    Bytes(Bytes),
    /// An image.
    Image {
        /// Its id: the receiver proves the bytes by it.
        id: ObjectId,
        /// Bytes.
        length: u64,
        /// Where they come from.
        source: ByteSource,
    },
}

/// Reads some bytes from a position on; never none before the end. Called again when a question is repeated.
pub type ByteSource = Rc<dyn Fn(u64) -> SourceRead>;

/// One read of a [`ByteSource`].
pub type SourceRead = Pin<Box<dyn Future<Output = io::Result<Bytes>>>>;

/// A question's body on its way.
pub(super) struct Sending {
    body: Outgoing,
    position: u64,
    reading: Option<SourceRead>,
}

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

impl Outgoing {
    /// Nothing.
    pub const fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Image { id, .. } => Digest::Image(*id),
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Image { length, .. } => *length,
        }
    }
}

impl Sending {
    pub(super) fn new(body: Outgoing) -> Self {
        Self { body, position: 0, reading: None }
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let left = self.body.length() - self.position;
        if left == 0 {
            return Poll::Ready(None);
        }
        let source = match &self.body {
            Outgoing::Bytes(bytes) => {
                let bytes = bytes.clone();
                self.position += left;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Outgoing::Image { source, .. } => Rc::clone(source),
        };
        let position = self.position;
        let reading = self.reading.get_or_insert_with(|| source(position));
        let read = ready!(reading.as_mut().poll(context));
        self.reading = None;
        let bytes = match read {
            // A file that grew or shrank is not the image any more; the receiver will see it.
            Ok(bytes) if !bytes.is_empty() && bytes.len() as u64 <= left => bytes,
            Ok(_) => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        self.position += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.position == self.body.length()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.length() - self.position)
    }
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
