//! hyper's reads and writes on a glommio socket.
//!
//! This is the only type that hyper sees of a connection, so that another socket implementation can
//! take its place. Reads go through one initialised scratch buffer per shard: a buffer per connection
//! would cost memory, and handing hyper's uninitialised memory to glommio would be unsound. Writes are
//! vectored: head and body leave in one system call without being copied together.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

use super::watch::Watch;

/// Bytes read at once.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// One connection's socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    watch: Rc<Watch>,
}

/// A glommio listener of this executor that owns `listener`, which already listens.
pub(super) fn adopt_listener(listener: OwnedFd) -> TcpListener {
    // SAFETY: `into_raw_fd` gives up ownership, so the listener is the only owner and closes it once.
    unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) }
}

impl Socket {
    pub(super) fn new(stream: TcpStream, watch: Rc<Watch>) -> Self {
        Self { stream, watch }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream keeps its descriptor open as long as it lives, and the result borrows it.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }

    /// Nothing more is written; the peer sees the end.
    pub(super) fn finish_writing(&self) {
        // A peer that is gone already needs no farewell.
        let _ = rustix::net::shutdown(self.descriptor(), Shutdown::Write);
    }

    /// Reads and throws away until the peer ends, fails, or has sent `bytes_max` bytes.
    pub(super) async fn discard(&mut self, bytes_max: u64) {
        let mut left = bytes_max;
        while left > 0 {
            let read = std::future::poll_fn(|context| {
                SCRATCH.with_borrow_mut(|scratch| Pin::new(&mut self.stream).poll_read(context, scratch))
            });
            match read.await {
                Ok(read) if read > 0 => left = left.saturating_sub(read as u64),
                _ => return,
            }
        }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let room = into.remaining().min(scratch.len());
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut scratch[..room]))?;
            self.watch.received(&scratch[..read]);
            into.put_slice(&scratch[..read]);
            Poll::Ready(Ok(()))
        })
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = loop {
            let mut none = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(self.descriptor(), slices, &mut none, flags) {
                Ok(sent) => break sent,
                Err(rustix::io::Errno::INTR) => {}
                // glommio tries once more and then waits for room.
                Err(rustix::io::Errno::AGAIN) => {
                    let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
                    break ready!(Pin::new(&mut self.stream).poll_write(context, first))?;
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        };
        self.watch.sent();
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}
