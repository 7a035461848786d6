//! Bodies of questions to other nodes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::auth::Digest;
use crate::object::ObjectId;

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
        /// The source of the bytes.
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
