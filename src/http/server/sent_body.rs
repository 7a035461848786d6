//! A body on its way: the connection's timeouts hear when it is done with.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::timeouts::ConnectionTimeouts;
use crate::http::body::Body;
use crate::shard::bodies::BodyError;
use crate::shard::bodies::piece::BodyChunk;

/// An answer's body; what it is made of goes before the timeouts hear of its end.
pub(super) struct SentBody {
    body: Body,
    _sent: FinishOnDrop,
}

/// Reports that the body has been handed over or dropped.
struct FinishOnDrop(Rc<ConnectionTimeouts>);

impl SentBody {
    pub(super) fn new(body: Body, timeouts: Rc<ConnectionTimeouts>) -> Self {
        Self { body, _sent: FinishOnDrop(timeouts) }
    }
}

impl HttpBody for SentBody {
    type Data = BodyChunk;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<BodyChunk>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish_answer();
    }
}
