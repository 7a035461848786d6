//! Response bodies: bytes in memory, a file that is read while it is sent, or a peer's stream.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use glommio::io::ReadResult;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use sha1::{Digest, Sha1};

use super::relay::PeerBody;
use crate::object::ObjectId;
use crate::peer::body::Stream;
use crate::peer::pool::PeerError;
use crate::shard::bodies::{BodyMemory, Charge};
use crate::store::StoreError;
use crate::store::read::{CHUNK_BYTES, FileReader};

/// Bytes of an unproven file that are held back until its hash is known.
const HELD_BACK_BYTES: u64 = 64 << 10;

/// Bytes of a file that are read at once where bodies have no room in memory: with 10,000 connections, 80 MB.
const PIECE_BYTES: u64 = 8 << 10;

/// An answer's body.
pub(super) struct Body {
    source: BodySource,
    _charge: Option<Arc<Charge>>,
}

enum BodySource {
    Empty,
    Chunk(Option<BodyChunk>),
    File(FileBody),
    Peer(PeerBody),
}

/// A piece of a body. Reads are sent from the buffer that the kernel filled.
#[derive(Debug)]
pub(super) enum BodyChunk {
    Bytes(Bytes),
    Read { buffer: ReadResult, position: usize, _held: Option<HeldRead> },
}

/// A read that is counted until it has been sent.
#[derive(Debug)]
pub(super) struct HeldRead {
    _charge: Charge,
    unsent: Option<Rc<UnsentReads>>,
}

/// The number of a file's reads that are not sent yet, and the task that waits until none is left.
#[derive(Debug, Default)]
struct UnsentReads {
    reads: Cell<u32>,
    waiting: RefCell<Option<Waker>>,
}

/// Why a body ended unfinished. The connection is closed, so that nobody takes a part for the whole.
#[derive(Debug)]
pub(super) enum BodyError {
    Store(StoreError),
    /// The stored bytes do not have their id.
    Corrupt,
    /// Another node did not give all of it, or gave something else.
    Peer(PeerError),
}

/// A part of a file, from `position` to `end`, perhaps proven on the way.
struct FileBody {
    reader: FileReader,
    position: u64,
    end: u64,
    check: Option<HashCheck>,
    /// Called once at the end, but not when a range was sent to its end without a hash check.
    report: Option<EndReport>,
    reading: Option<FileRead>,
    memory: Option<Arc<BodyMemory>>,
    unsent: Rc<UnsentReads>,
}

type FileRead = Pin<Box<dyn Future<Output = (Result<ReadResult, StoreError>, Option<Charge>)>>>;

/// A hash that must come out as the id.
struct HashCheck {
    id: ObjectId,
    hasher: Sha1,
}

/// The end of reading a stored file.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// Its bytes are right.
    Right,
    /// They are not.
    Wrong,
    /// The disk could not read them.
    Unreadable(StoreError),
}

/// Called with the end of a read.
pub(super) type EndReport = Box<dyn FnOnce(ReadEnd)>;

impl Body {
    pub(super) fn empty() -> Self {
        Self { source: BodySource::Empty, _charge: None }
    }

    pub(super) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::chunk(BodyChunk::Bytes(bytes.into()))
    }

    pub(super) fn chunk(chunk: BodyChunk) -> Self {
        Self { source: BodySource::Chunk(Some(chunk)), _charge: None }
    }

    /// Bytes `start..end` of a file whose bytes are known to be right (or have no id).
    pub(super) fn file(reader: FileReader, start: u64, end: u64) -> Self {
        let file = FileBody::new(reader, start, end, None, None);
        Self { source: BodySource::File(file), _charge: None }
    }

    /// The same of a stored image; `report` is called if the disk cannot read it.
    pub(super) fn image(reader: FileReader, start: u64, end: u64, report: EndReport) -> Self {
        let file = FileBody::new(reader, start, end, None, Some(report));
        Self { source: BodySource::File(file), _charge: None }
    }

    /// A whole file that is hashed while it is sent, its last 64 KiB only if the hash is `id`.
    pub(super) fn verifying(reader: FileReader, id: ObjectId, report: EndReport) -> Self {
        let check = Some(HashCheck { id, hasher: Sha1::new() });
        let end = reader.length();
        let file = FileBody::new(reader, 0, end, check, Some(report));
        Self { source: BodySource::File(file), _charge: None }
    }

    /// The same as [`Self::meter`], with the first piece of a file read: one that the disk cannot read is known before
    /// anything is sent.
    ///
    /// # Errors
    /// Of that reading.
    pub(super) async fn start(self, memory: &Arc<BodyMemory>) -> Result<Self, StoreError> {
        let mut body = self.meter(memory);
        if let BodySource::File(file) = &mut body.source {
            // Nothing is unsent yet, so that this does not wait for it.
            let reading = std::future::poll_fn(|context| file.poll_next_read(context)).await;
            let (first, charge) = reading.await;
            file.reading = Some(Box::pin(std::future::ready((Ok(first?), charge))));
        }
        Ok(body)
    }

    /// Bytes `start..end` of what another node gives, the last of them only when all of it is proven.
    pub(super) fn peer(stream: Box<Stream>, start: u64, end: u64) -> Self {
        Self { source: BodySource::Peer(PeerBody::new(stream, start, end)), _charge: None }
    }

    /// Counts what is read of a file in `memory` until it has been sent; where there is no room, it is read piece by piece.
    pub(super) fn meter(mut self, memory: &Arc<BodyMemory>) -> Self {
        if let BodySource::File(file) = &mut self.source {
            file.memory = Some(Arc::clone(memory));
        }
        self
    }

    /// Keeps a charge until the body has been handed over or dropped.
    pub(super) fn hold_charge(mut self, charge: Option<Arc<Charge>>) -> Self {
        self._charge = charge;
        self
    }

    fn left(&self) -> u64 {
        match &self.source {
            BodySource::Empty | BodySource::Chunk(None) => 0,
            BodySource::Chunk(Some(chunk)) => chunk.remaining() as u64,
            BodySource::File(file) => file.end - file.position,
            BodySource::Peer(body) => body.left(),
        }
    }
}

impl HttpBody for Body {
    type Data = BodyChunk;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<BodyChunk>, BodyError>>> {
        match &mut self.source {
            BodySource::Empty => Poll::Ready(None),
            BodySource::Chunk(chunk) => Poll::Ready(chunk.take().map(|chunk| Ok(Frame::data(chunk)))),
            BodySource::File(file) => {
                let chunk = ready!(file.poll_chunk(context));
                Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
            }
            BodySource::Peer(body) => {
                let bytes = ready!(body.poll_bytes(context));
                Poll::Ready(bytes.map(|bytes| {
                    bytes.map(|bytes| Frame::data(BodyChunk::Bytes(bytes))).map_err(BodyError::Peer)
                }))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

impl FileBody {
    fn new(
        reader: FileReader,
        start: u64,
        end: u64,
        check: Option<HashCheck>,
        report: Option<EndReport>,
    ) -> Self {
        let unsent = Rc::default();
        Self { reader, position: start, end, check, report, reading: None, memory: None, unsent }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<BodyChunk, BodyError>>> {
        if self.position >= self.end {
            return Poll::Ready(None);
        }
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => {
                let next = ready!(self.poll_next_read(context));
                self.reading.insert(next)
            }
        };
        let (read, charge) = ready!(reading.as_mut().poll(context));
        self.reading = None;
        let read = read.inspect_err(|error| {
            if let Some(report) = self.report.take() {
                report(ReadEnd::Unreadable(error.again()));
            }
        });
        let proven = read.map_err(BodyError::Store).and_then(|buffer| self.verify(buffer));
        let held = charge.map(|charge| HeldRead::new(charge, &self.unsent));
        Poll::Ready(Some(proven.map(|buffer| BodyChunk::Read { buffer, position: 0, _held: held })))
    }

    /// The next read. Where there is no room in memory it waits until what was read before has been sent.
    fn poll_next_read(&mut self, context: &mut Context<'_>) -> Poll<FileRead> {
        let mut length = self.next_length(CHUNK_BYTES);
        let mut charge = None;
        if let Some(memory) = &self.memory {
            charge = memory.reserve(length);
            if charge.is_none() {
                if self.unsent.reads.get() > 0 {
                    *self.unsent.waiting.borrow_mut() = Some(context.waker().clone());
                    return Poll::Pending;
                }
                length = self.next_length(PIECE_BYTES);
                charge = Some(memory.charge(length));
            }
        }
        let (reader, position) = (self.reader.clone(), self.position);
        Poll::Ready(Box::pin(async move { (reader.read(position, length).await, charge) }))
    }

    /// The held-back end is read by itself, so that it can be withheld.
    fn next_length(&self, most: u64) -> u64 {
        let left = self.end - self.position;
        let free = if self.check.is_some() { left.saturating_sub(HELD_BACK_BYTES) } else { left };
        if free > 0 { free.min(most) } else { left }
    }

    fn verify(&mut self, buffer: ReadResult) -> Result<ReadResult, BodyError> {
        self.position += buffer.len() as u64;
        if let Some(check) = &mut self.check {
            check.hasher.update(&*buffer);
            // A short read within the held-back end must not let its first part go.
            let in_end = self.end - self.position < HELD_BACK_BYTES;
            if self.position == self.end {
                let right = ObjectId::from_digest(check.hasher.finalize_reset().into()) == check.id;
                if let Some(report) = self.report.take() {
                    report(if right { ReadEnd::Right } else { ReadEnd::Wrong });
                }
                if !right {
                    return Err(BodyError::Corrupt);
                }
            } else if in_end && self.end > HELD_BACK_BYTES {
                let short = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(BodyError::Store(StoreError::new("read a file's end", short)));
            }
        }
        Ok(buffer)
    }
}

impl BodyChunk {
    /// A read that was charged for.
    pub(super) fn read(buffer: ReadResult, charge: Charge) -> Self {
        Self::Read { buffer, position: 0, _held: Some(HeldRead { _charge: charge, unsent: None }) }
    }
}

impl HeldRead {
    fn new(charge: Charge, unsent: &Rc<UnsentReads>) -> Self {
        unsent.reads.set(unsent.reads.get() + 1);
        Self { _charge: charge, unsent: Some(Rc::clone(unsent)) }
    }
}

impl Drop for HeldRead {
    fn drop(&mut self) {
        if let Some(unsent) = &self.unsent {
            unsent.reads.set(unsent.reads.get() - 1);
            let waiting = unsent.waiting.take();
            if let Some(waiting) = waiting {
                waiting.wake();
            }
        }
    }
}

impl Buf for BodyChunk {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Read { buffer, position, .. } => buffer.len() - position,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Read { buffer, position, .. } => &buffer[*position..],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Read { buffer, position, .. } => {
                assert!(count <= buffer.len() - *position, "advanced past the end");
                *position += count;
            }
        }
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Peer(error) => error.fmt(f),
            Self::Corrupt => f.write_str("the stored bytes do not have their id"),
        }
    }
}

impl std::error::Error for BodyError {}
