//! hyper's reads and writes on a shard's sockets, and the shard's listener.
//!
//! This is the only type that hyper sees of a connection. Reads go through one initialised scratch
//! buffer per shard: a buffer per connection would cost memory. Writes are vectored: head and body
//! leave in one system call without being copied together. Between two requests of hyper's, a hit that
//! [`Front`] knows is answered here.
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, accept_with, getpeername, recv, send,
    sendmsg, shutdown, sockopt,
};

use super::front::Front;
use super::poller::{Entered, Poller};
use super::watch::Watch;

/// Bytes read at once.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A listener of this shard.
pub(super) struct Listener {
    // Before the descriptor, so that its place is given up first.
    entered: Entered,
    descriptor: OwnedFd,
}

/// One connection's socket.
pub(super) struct Socket {
    entered: Entered,
    descriptor: OwnedFd,
    watch: Rc<Watch>,
    front: Rc<Front>,
    /// hyper has written and not yet seen all of it leave.
    unflushed: bool,
    /// The head of an answer given here.
    head: Vec<u8>,
    unsent: Option<Unsent>,
}

/// What is left of an answer given here.
#[derive(Debug)]
struct Unsent {
    /// Bytes of the head that have left.
    head_sent: usize,
    body: Bytes,
}

impl Listener {
    /// A listener that already listens.
    ///
    /// # Errors
    /// The kernel's refusal to watch it.
    pub(super) fn new(descriptor: OwnedFd, poller: &Rc<Poller>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        // Sockets inherit it. Answers leave whole in one call, so waiting for more to send never helps.
        sockopt::set_tcp_nodelay(&descriptor, true)?;
        Ok(Self { entered: poller.enter(&descriptor)?, descriptor })
    }

    /// The next connection.
    ///
    /// # Errors
    /// No descriptor left, or the like: try again after a pause.
    pub(super) async fn accept(&self) -> io::Result<OwnedFd> {
        std::future::poll_fn(|context| {
            loop {
                ready!(self.entered.poll_readable(context));
                match self.accept_waiting() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.entered.not_readable(),
                    done => return Poll::Ready(done),
                }
            }
        })
        .await
    }

    /// A connection that waits already.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, or as [`Listener::accept`].
    pub(super) fn accept_waiting(&self) -> io::Result<OwnedFd> {
        loop {
            match accept_with(&self.descriptor, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                // A client that has gone while it waited is not worth a word.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                done => return Ok(done?),
            }
        }
    }
}

impl Socket {
    /// A connection that was accepted.
    ///
    /// # Errors
    /// The kernel's refusal to watch it.
    pub(super) fn new(
        descriptor: OwnedFd,
        poller: &Rc<Poller>,
        watch: Rc<Watch>,
        front: Rc<Front>,
    ) -> io::Result<Self> {
        let entered = poller.enter(&descriptor)?;
        Ok(Self { entered, descriptor, watch, front, unflushed: false, head: Vec::new(), unsent: None })
    }

    /// The address of the other end; `None` where it has gone already.
    pub(super) fn remote(&self) -> Option<IpAddr> {
        let name = getpeername(&self.descriptor).ok()??;
        SocketAddr::try_from(name).ok().map(|address| address.ip())
    }

    /// Whether `is_it` finds what it looks for at the beginning of what has come. It stays there to be read.
    pub(super) fn has_received(&self, is_it: fn(&[u8]) -> bool) -> bool {
        let mut beginning = [0; 32];
        let seen = recv(&self.descriptor, &mut beginning, RecvFlags::DONTWAIT | RecvFlags::PEEK);
        seen.is_ok_and(|(length, _)| is_it(&beginning[..length]))
    }

    /// Sends these few bytes and nothing after them, as far as the kernel takes them at once.
    pub(super) fn say_last(&self, bytes: &[u8]) {
        // Whoever does not take as much as this has no use for it.
        let _ = send(&self.descriptor, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        self.finish_writing();
    }

    /// Nothing more is written; the peer sees the end.
    pub(super) fn finish_writing(&self) {
        // A peer that is gone already needs no farewell.
        let _ = shutdown(&self.descriptor, Shutdown::Write);
    }

    /// Reads and throws away until the peer ends, fails, or has sent `bytes_max` bytes.
    pub(super) async fn discard(&mut self, bytes_max: u64) {
        let mut left = bytes_max;
        while left > 0 {
            let read = std::future::poll_fn(|context| {
                SCRATCH.with_borrow_mut(|scratch| self.poll_receive(context, scratch))
            });
            match read.await {
                Ok(read) if read > 0 => left = left.saturating_sub(read as u64),
                _ => return,
            }
        }
    }

    /// Takes what has come; 0 at the end.
    fn poll_receive(&self, context: &Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.entered.poll_readable(context));
            match recv(&self.descriptor, &mut *into, RecvFlags::DONTWAIT) {
                Ok((read, _)) => {
                    if read < into.len() {
                        self.entered.read_short();
                    }
                    return Poll::Ready(Ok(read));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.entered.not_readable(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Sends a part of `slices`, as much as there is room for.
    fn poll_send(&self, context: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.entered.poll_writable(context));
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let sent = match slices {
                // The kernel is quicker to read one slice than a list of one.
                [one] => send(&self.descriptor, one, flags),
                _ => sendmsg(&self.descriptor, slices, &mut SendAncillaryBuffer::default(), flags),
            };
            match sent {
                Ok(sent) => {
                    self.watch.sent();
                    return Poll::Ready(Ok(sent));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.entered.not_writable(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

impl Socket {
    /// Answers `received`, which has just come, if it is a hit that is known; false if it is not.
    fn answer(&mut self, received: &[u8]) -> bool {
        if self.unflushed || !self.watch.is_between() {
            return false;
        }
        let Some((body, now)) = self.front.answer(received, &mut self.head) else { return false };
        self.watch.answering(now);
        self.unsent = Some(Unsent { head_sent: 0, body });
        true
    }

    /// Ready when nothing of an answer given here is left to send.
    fn poll_answered(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        while let Some(Unsent { head_sent, body }) = &self.unsent {
            let head = &self.head[*head_sent..];
            if head.is_empty() && body.is_empty() {
                self.unsent = None;
                self.watch.answered_before();
                break;
            }
            let head_left = head.len();
            let slices = [IoSlice::new(head), IoSlice::new(body)];
            let slices = if body.is_empty() { &slices[..1] } else { &slices };
            let sent = ready!(self.poll_send(context, slices))?;
            if let Some(Unsent { head_sent, body }) = &mut self.unsent {
                *head_sent += sent.min(head_left);
                body.advance(sent.saturating_sub(head_left));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                ready!(self.poll_answered(context))?;
                let room = into.remaining().min(scratch.len());
                let read = ready!(self.poll_receive(context, &mut scratch[..room]))?;
                let received = &scratch[..read];
                if !self.answer(received) {
                    self.watch.received(received);
                    into.put_slice(received);
                    return Poll::Ready(Ok(()));
                }
            }
        })
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        self.poll_send(context, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        self.poll_send(context, slices)
    }

    /// hyper calls this when its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answered(context))?;
        self.finish_writing();
        Poll::Ready(Ok(()))
    }
}
