//! hyper's reads and writes on a connection to another node.
//!
//! These connections are few and carry much, so the runtime's own stream does; the listener's side has a poller.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use hyper::rt::{Read, ReadBufCursor, Write};

/// Bytes read at once.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A connection to another node.
pub(super) struct Socket(TcpStream);

impl Socket {
    /// Connects. The caller has a deadline.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await.map_err(io::Error::from)?;
        // Requests leave whole, so waiting for more to send never helps.
        stream.set_nodelay(true).map_err(io::Error::from)?;
        Ok(Self(stream))
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
            let read = ready!(Pin::new(&mut self.0).poll_read(context, &mut scratch[..room]))?;
            into.put_slice(&scratch[..read]);
            Poll::Ready(Ok(()))
        })
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}
