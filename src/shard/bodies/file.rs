//! A stored file on its way to a client: read while it is sent, and proven on the way where it is not known to be right.

use std::future::{Future, poll_fn, ready};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Context, Poll};

use glommio::io::ReadResult;

use super::BodyError;
use super::memory::{BodyMemory, Charge};
use super::piece::{BodyChunk, UnsentReads};
use crate::object::{ObjectId, Verifier, WITHHELD_BYTES};
use crate::store::StoreError;
use crate::store::read::{CHUNK_BYTES, FileReader};

/// Bytes of a file that are read at once where bodies have no room in memory: with 10,000 connections, 80 MB.
const PIECE_BYTES: u64 = 8 << 10;

/// A part of a file, from `position` to `end`, perhaps proven on the way.
pub struct FileBody {
    reader: FileReader,
    position: u64,
    end: u64,
    verifier: Option<Verifier>,
    /// Called once at the end, but not when a part that is not verified was sent to its end.
    report: Option<EndReport>,
    reading: Option<PendingRead>,
    memory: Arc<BodyMemory>,
    unsent: Rc<UnsentReads>,
    /// Counts the file's disk space, if it is in no cache.
    _charge: Option<Arc<Charge>>,
}

/// A part of a file: read already, where it is short.
pub enum PartBody {
    /// In memory.
    Piece(BodyChunk),
    /// To be read while it is sent.
    File(Box<FileBody>),
}

type PendingRead = Pin<Box<dyn Future<Output = (Result<ReadResult, StoreError>, Charge)>>>;

/// The end of reading a stored file.
#[derive(Debug)]
pub enum ReadEnd {
    /// Its bytes are right.
    Right,
    /// They are not.
    Wrong,
    /// The disk could not read them.
    Unreadable(StoreError),
}

/// Called with the end of a read.
pub type EndReport = Box<dyn FnOnce(ReadEnd)>;

impl PartBody {
    /// Bytes `start..end` of a stored image whose bytes are right; `report` is called if the disk cannot read them later.
    /// A short part is read here, so that it leaves together with the answer's head.
    ///
    /// # Errors
    /// Of reading the first piece.
    pub async fn of_image(
        reader: FileReader,
        range: [u64; 2],
        memory: &Arc<BodyMemory>,
        report: EndReport,
    ) -> Result<Self, StoreError> {
        if let Some(piece) = short(&reader, range, memory).await? {
            return Ok(Self::Piece(piece));
        }
        Ok(Self::File(Box::new(FileBody::of_image(reader, range, memory, report).start().await?)))
    }

    /// The same of a file that has no id. `charge` is kept until it has been read.
    ///
    /// # Errors
    /// Of reading a short part.
    pub async fn of_variant(
        reader: FileReader,
        range: [u64; 2],
        memory: &Arc<BodyMemory>,
        charge: Option<Arc<Charge>>,
    ) -> Result<Self, StoreError> {
        if let Some(piece) = short(&reader, range, memory).await? {
            return Ok(Self::Piece(piece));
        }
        Ok(Self::File(Box::new(FileBody::new(reader, range, memory, charge))))
    }
}

/// The part, if it can be read at once.
async fn short(
    reader: &FileReader,
    [start, end]: [u64; 2],
    memory: &Arc<BodyMemory>,
) -> Result<Option<BodyChunk>, StoreError> {
    if end - start > CHUNK_BYTES {
        return Ok(None);
    }
    let Some(charge) = memory.reserve(end - start) else { return Ok(None) };
    let read = reader.read(start, end - start).await?;
    Ok((read.len() as u64 == end - start).then(|| BodyChunk::read(read, charge)))
}

impl FileBody {
    /// Bytes `start..end` of a file whose bytes are known to be right or have no id. What is read is counted in `memory`
    /// until it has been sent; where there is no room, the file is read piece by piece. `charge` is kept meanwhile.
    pub fn new(
        reader: FileReader,
        [start, end]: [u64; 2],
        memory: &Arc<BodyMemory>,
        charge: Option<Arc<Charge>>,
    ) -> Self {
        Self {
            reader,
            position: start,
            end,
            verifier: None,
            report: None,
            reading: None,
            memory: Arc::clone(memory),
            unsent: Rc::default(),
            _charge: charge,
        }
    }

    /// The same of a stored image; `report` is called if the disk cannot read it.
    pub fn of_image(
        reader: FileReader,
        range: [u64; 2],
        memory: &Arc<BodyMemory>,
        report: EndReport,
    ) -> Self {
        Self { report: Some(report), ..Self::new(reader, range, memory, None) }
    }

    /// A whole image that is verified while it is sent: its last 64 KiB only if all of it is right.
    pub fn verifying(reader: FileReader, id: ObjectId, memory: &Arc<BodyMemory>, report: EndReport) -> Self {
        let range = [0, reader.length()];
        Self { verifier: Some(Verifier::new(id)), ..Self::of_image(reader, range, memory, report) }
    }

    /// The same with its first piece read: a file that the disk cannot read is known before anything is sent.
    ///
    /// # Errors
    /// Of that reading.
    pub async fn start(mut self) -> Result<Self, StoreError> {
        // Nothing is unsent yet, so that this does not wait for it.
        let reading = poll_fn(|context| self.poll_next_read(context)).await;
        let (first, charge) = reading.await;
        self.reading = Some(Box::pin(ready((Ok(first?), charge))));
        Ok(self)
    }

    /// Bytes that are still to be given.
    pub const fn left(&self) -> u64 {
        self.end - self.position
    }

    /// The next piece; `None` at the end.
    pub fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<BodyChunk, BodyError>>> {
        if self.position >= self.end {
            return Poll::Ready(None);
        }
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => {
                let next = task::ready!(self.poll_next_read(context));
                self.reading.insert(next)
            }
        };
        let (read, charge) = task::ready!(reading.as_mut().poll(context));
        self.reading = None;
        let read = read.inspect_err(|error| {
            if let Some(report) = self.report.take() {
                report(ReadEnd::Unreadable(error.again()));
            }
        });
        let proven = read.map_err(BodyError::Store).and_then(|buffer| self.verify(buffer));
        Poll::Ready(Some(proven.map(|buffer| BodyChunk::read_of(buffer, charge, &self.unsent))))
    }

    /// The next read. Where there is no room in memory it waits until what was read before has been sent.
    fn poll_next_read(&mut self, context: &mut Context<'_>) -> Poll<PendingRead> {
        let mut length = self.next_length(CHUNK_BYTES);
        let charge = match self.memory.reserve(length) {
            Some(charge) => charge,
            None if self.unsent.is_waiting_for_sends(context) => return Poll::Pending,
            None => {
                length = self.next_length(PIECE_BYTES);
                self.memory.charge(length)
            }
        };
        let (reader, position) = (self.reader.clone(), self.position);
        Poll::Ready(Box::pin(async move { (reader.read(position, length).await, charge) }))
    }

    /// The end that is held back ([`WITHHELD_BYTES`]) is read by itself.
    fn next_length(&self, most: u64) -> u64 {
        let left = self.left();
        let free = if self.verifier.is_some() { left.saturating_sub(WITHHELD_BYTES) } else { left };
        if free > 0 { free.min(most) } else { left }
    }

    fn verify(&mut self, buffer: ReadResult) -> Result<ReadResult, BodyError> {
        self.position += buffer.len() as u64;
        let Some(verifier) = &mut self.verifier else { return Ok(buffer) };
        verifier.update(&buffer);
        let left = self.end - self.position;
        if left == 0 {
            let is_right = verifier.finish();
            if let Some(report) = self.report.take() {
                report(if is_right { ReadEnd::Right } else { ReadEnd::Wrong });
            }
            if !is_right {
                return Err(BodyError::Corrupt);
            }
        } else if left < WITHHELD_BYTES && self.end > WITHHELD_BYTES {
            // A short read within the end that is held back must not let its first part go.
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(BodyError::Store(StoreError::new("read a file's end", short)));
        }
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests;
