//! Problem bodies for parser errors. hyper answers bytes that are no request with a bare head, before this code
//! is called. This socket replaces that head by a problem of the same status.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};

use super::socket::Socket;
use super::timeouts::ConnectionTimeouts;
use crate::http::reply::{self, Problem};
use crate::telemetry::metrics::{Cache, Route, ShardMetrics};

/// A socket that replaces hyper's bare heads.
pub(super) struct ParserErrorSocket {
    socket: Socket,
    timeouts: Rc<ConnectionTimeouts>,
    metrics: Arc<ShardMetrics>,
    replacement: Option<Replacement>,
}

/// The bytes that replace a head of hyper's.
struct Replacement {
    bytes: Vec<u8>,
    sent: usize,
}

impl ParserErrorSocket {
    pub(in crate::http) fn new(
        socket: Socket,
        timeouts: Rc<ConnectionTimeouts>,
        metrics: Arc<ShardMetrics>,
    ) -> Self {
        Self { socket, timeouts, metrics, replacement: None }
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Notes what is to be sent in place of `bytes`, if they are hyper's own.
    fn replace(&mut self, bytes: &[u8]) {
        if self.replacement.is_some() || !self.timeouts.has_no_request() {
            return;
        }
        if let Some((problem, status)) = Problem::of_parser_error(bytes) {
            self.metrics.request(Route::Other, status, Cache::None, Duration::ZERO);
            self.replacement = Some(Replacement { bytes: reply::closing_response(problem), sent: 0 });
        }
    }

    /// Ready when the whole replacement has left; `None` where there is none.
    fn poll_replacement(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<()>>> {
        let Some(Replacement { bytes, sent }) = &mut self.replacement else { return Poll::Ready(None) };
        while *sent < bytes.len() {
            match ready!(Pin::new(&mut self.socket).poll_write(context, &bytes[*sent..])) {
                Ok(count) => *sent += count,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready(Some(Ok(())))
    }
}

impl Read for ParserErrorSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}

impl Write for ParserErrorSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.replace(bytes);
        match ready!(self.poll_replacement(context)) {
            Some(sent) => Poll::Ready(sent.map(|()| bytes.len())),
            None => Pin::new(&mut self.socket).poll_write(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.replace(slices.first().map_or(&[], |slice| slice));
        match ready!(self.poll_replacement(context)) {
            Some(sent) => Poll::Ready(sent.map(|()| slices.iter().map(|slice| slice.len()).sum())),
            None => Pin::new(&mut self.socket).poll_write_vectored(context, slices),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
