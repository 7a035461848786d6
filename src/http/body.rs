//! Response bodies, as hyper takes them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::shard::bodies::BodyError;
use crate::shard::bodies::file::{FileBody, PartBody};
use crate::shard::bodies::piece::BodyChunk;
use crate::shard::bodies::relay::RelayBody;
use crate::shard::service::original::{OriginalBytes, OwnBytes};

/// An answer's body.
pub(super) enum Body {
    Chunk(Option<BodyChunk>),
    File(Box<FileBody>),
    /// A part of another node's stream.
    Relay(RelayBody),
}

impl Body {
    pub(super) const fn empty() -> Self {
        Self::Chunk(None)
    }

    pub(super) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::chunk(BodyChunk::Bytes(bytes.into()))
    }

    pub(super) const fn chunk(chunk: BodyChunk) -> Self {
        Self::Chunk(Some(chunk))
    }

    fn left(&self) -> u64 {
        match self {
            Self::Chunk(None) => 0,
            Self::Chunk(Some(chunk)) => chunk.remaining() as u64,
            Self::File(file) => file.left(),
            Self::Relay(body) => body.left(),
        }
    }
}

impl From<FileBody> for Body {
    fn from(file: FileBody) -> Self {
        Self::File(Box::new(file))
    }
}

impl From<PartBody> for Body {
    fn from(part: PartBody) -> Self {
        match part {
            PartBody::Piece(piece) => Self::chunk(piece),
            PartBody::File(file) => Self::File(file),
        }
    }
}

impl From<OriginalBytes> for Body {
    fn from(bytes: OriginalBytes) -> Self {
        match bytes {
            OriginalBytes::None => Self::empty(),
            OriginalBytes::Entry(entry) => Self::bytes(entry.bytes.clone()),
            OriginalBytes::Part(part) => part.into(),
            OriginalBytes::Relay(body) => Self::Relay(body),
        }
    }
}

impl From<OwnBytes> for Body {
    fn from(bytes: OwnBytes) -> Self {
        match bytes {
            OwnBytes::None => Self::empty(),
            OwnBytes::Whole(bytes) => Self::bytes(bytes),
            OwnBytes::Part(part) => part.into(),
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
        match &mut *self {
            Self::Chunk(chunk) => Poll::Ready(chunk.take().map(|chunk| Ok(Frame::data(chunk)))),
            Self::File(file) => {
                let piece = ready!(file.poll_piece(context));
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Relay(body) => {
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
