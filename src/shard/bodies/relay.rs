//! A part of what another node gives, on its way to a client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::peer::error::PeerError;
use crate::peer::stream::Stream;

/// Bytes of a stream from one position to another. All of the stream is read, since only all of it can be proven,
/// and the last piece is given only then.
pub struct RelayBody {
    reading: Option<StreamRead>,
    /// Bytes of the stream before what is read next.
    position: u64,
    start: u64,
    end: u64,
    given: u64,
    /// The piece that is given when the next one has come, or the end.
    held: Option<Bytes>,
}

type StreamRead = Pin<Box<dyn Future<Output = (Box<Stream>, Result<Option<Bytes>, PeerError>)>>>;

impl RelayBody {
    /// Bytes `start..end` of the stream.
    pub fn new(stream: Box<Stream>, start: u64, end: u64) -> Self {
        Self { reading: Some(read(stream)), position: 0, start, end, given: 0, held: None }
    }

    /// Bytes that are still to be given.
    pub const fn left(&self) -> u64 {
        self.end - self.start - self.given
    }

    /// The next bytes; `None` at the end.
    pub fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, PeerError>>> {
        while let Some(reading) = &mut self.reading {
            let (stream, read_bytes) = ready!(reading.as_mut().poll(context));
            self.reading = None;
            match read_bytes {
                Err(error) => {
                    self.held = None;
                    return Poll::Ready(Some(Err(error)));
                }
                // Proven, but perhaps shorter than was said.
                Ok(None) if self.position < self.end => {
                    self.held = None;
                    return Poll::Ready(Some(Err(PeerError::Broken)));
                }
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    self.reading = Some(read(stream));
                    let wanted = self.cut(bytes);
                    if wanted.is_empty() {
                        continue;
                    }
                    if let Some(before) = self.held.replace(wanted) {
                        return Poll::Ready(Some(Ok(self.give(before))));
                    }
                }
            }
        }
        let last = self.held.take();
        Poll::Ready(last.map(|last| Ok(self.give(last))))
    }

    /// The part of the next bytes of the stream that lies between start and end.
    fn cut(&mut self, bytes: Bytes) -> Bytes {
        let length = bytes.len() as u64;
        let from = self.start.saturating_sub(self.position).min(length);
        let to = self.end.saturating_sub(self.position).min(length).max(from);
        self.position += length;
        // Both are at most the length of a buffer.
        bytes.slice(from as usize..to as usize)
    }

    fn give(&mut self, bytes: Bytes) -> Bytes {
        self.given += bytes.len() as u64;
        bytes
    }
}

fn read(mut stream: Box<Stream>) -> StreamRead {
    Box::pin(async move {
        let read = stream.next().await;
        (stream, read)
    })
}
