//! hyper's reads and writes on a shard's sockets.
//!
//! This is the only type that hyper sees of a connection. Reads go through one initialised scratch
//! buffer per shard: a buffer per connection would cost memory. Writes are vectored: head and body
//! leave in one system call without being copied together. Between two requests of hyper's (the [`RequestGate`]
//! tells where that is), a request that has an [immediate answer](ImmediateAnswers) gets it here.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, getpeername, recv, send, sendmsg, shutdown,
};

use super::ImmediateAnswers;
use super::framing::FramingError;
use super::gate::{GateAction, RequestGate};
use super::poller::{Ending, Poller, Registration};
use super::timeouts::ConnectionTimeouts;

/// Bytes read at once.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// One connection's socket.
pub(super) struct Socket {
    registration: Registration,
    descriptor: Rc<OwnedFd>,
    timeouts: Rc<ConnectionTimeouts>,
    at_once: Rc<dyn ImmediateAnswers>,
    gate: RequestGate,
    /// hyper asked for a request that came before the last answer had left.
    is_held: bool,
    /// The head of an answer given here.
    head: Vec<u8>,
    unsent: Option<Unsent>,
}

/// The rest of an immediate answer.
#[derive(Debug)]
struct Unsent {
    /// Bytes of the head that have left.
    head_sent: usize,
    body: Bytes,
    /// The kernel had no room for all of it at once.
    has_waited: bool,
}

/// Asks a silent client's kernel whether a reader is left.
///
/// The end of a client's bytes says only that it asks nothing more. Work for one that has left is dropped, and the one way to
/// find that out is to send something: the kernel of a client that has closed answers with a reset. An interim answer is
/// what a client of HTTP/1.1 must be able to pass over at any time.
pub(super) struct Probe(Weak<OwnedFd>);

impl Probe {
    /// Sends the probe, unless what is sent now would stand inside of an answer; false if it is to be tried later.
    pub(super) fn is_sent(&self, timeouts: &ConnectionTimeouts) -> bool {
        const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        if !timeouts.may_interject() {
            return false;
        }
        let Some(descriptor) = self.0.upgrade() else { return true };
        let sent = send(&descriptor, INTERIM, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        if sent.is_ok_and(|sent| sent < INTERIM.len()) {
            // Never seen: a buffer with room for a part only. What follows could not be read.
            timeouts.expired.set();
        }
        true
    }
}

impl Socket {
    /// A connection that was accepted.
    ///
    /// # Errors
    /// The kernel's refusal to watch it.
    pub(in crate::http) fn new(
        descriptor: OwnedFd,
        poller: &Rc<Poller>,
        timeouts: Rc<ConnectionTimeouts>,
        at_once: Rc<dyn ImmediateAnswers>,
    ) -> io::Result<Self> {
        let registration = poller.register(&descriptor)?;
        let descriptor = Rc::new(descriptor);
        timeouts.set_socket(&descriptor);
        let (gate, head) = (RequestGate::new(), Vec::new());
        Ok(Self { registration, descriptor, timeouts, at_once, gate, is_held: false, head, unsent: None })
    }

    /// The address of the other end; `None` where it has gone already.
    pub(in crate::http) fn remote(&self) -> Option<IpAddr> {
        let name = getpeername(&self.descriptor).ok()??;
        SocketAddr::try_from(name).ok().map(|address| address.ip())
    }

    /// Whether `is_it` finds what it looks for at the beginning of what has come. It stays there to be read.
    pub(super) fn has_received(&self, is_it: fn(&[u8]) -> bool) -> bool {
        let mut beginning = [0; 32];
        let seen = recv(&self.descriptor, &mut beginning, RecvFlags::DONTWAIT | RecvFlags::PEEK);
        seen.is_ok_and(|(length, _)| is_it(&beginning[..length]))
    }

    /// Watches for the client's end.
    pub(super) fn ending(&self) -> Ending {
        self.registration.ending()
    }

    /// A probe that tells a closed client from one that only sends nothing more.
    pub(super) fn probe(&self) -> Probe {
        Probe(Rc::downgrade(&self.descriptor))
    }

    /// Sends these few bytes and nothing after them, as far as the kernel takes them at once.
    pub(super) fn write_last(&self, bytes: &[u8]) {
        // A client that does not take as much as this has no use for it.
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
            if self.registration.poll_readable(context).is_pending() {
                self.timeouts.mark_drained();
                return Poll::Pending;
            }
            match recv(&self.descriptor, &mut *into, RecvFlags::DONTWAIT) {
                Ok((read, _)) => {
                    self.timeouts.add_received(read);
                    if read < into.len() {
                        self.registration.read_short();
                    }
                    return Poll::Ready(Ok(read));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.registration.not_readable(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Sends a part of `slices`, as much as there is room for.
    fn poll_send(&self, context: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.registration.poll_writable(context));
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let sent = match slices {
                // The kernel is quicker to read one slice than a list of one.
                [one] => send(&self.descriptor, one, flags),
                _ => sendmsg(&self.descriptor, slices, &mut SendAncillaryBuffer::default(), flags),
            };
            match sent {
                Ok(sent) => {
                    self.timeouts.add_sent(sent);
                    return Poll::Ready(Ok(sent));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.registration.not_writable(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

impl Socket {
    /// Ready when nothing of an answer given here is left to send.
    fn poll_answered(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        while let Some(Unsent { head_sent, body, has_waited }) = &self.unsent {
            let head = &self.head[*head_sent..];
            if head.is_empty() && body.is_empty() {
                if *has_waited {
                    self.timeouts.finish_answer()
                } else {
                    self.timeouts.finish_at_once()
                }
                self.unsent = None;
                break;
            }
            let head_left = head.len();
            let slices = [IoSlice::new(head), IoSlice::new(body)];
            let slices = if body.is_empty() { &slices[..1] } else { &slices };
            let sent = self.poll_send(context, slices);
            if let Some(Unsent { head_sent, body, has_waited }) = &mut self.unsent {
                *has_waited |= sent.is_pending();
                let sent = ready!(sent)?;
                *head_sent += sent.min(head_left);
                body.advance(sent.saturating_sub(head_left));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until there are bytes for hyper and puts them into `into`, or until the end. Hits are answered on the way.
    fn poll_next(
        &mut self,
        context: &Context<'_>,
        scratch: &mut [u8],
        into: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_held = false;
        loop {
            ready!(self.poll_answered(context))?;
            if self.gate.is_over() || self.gate.take_allowed(into.remaining(), |bytes| into.put_slice(bytes))
            {
                return Poll::Ready(Ok(()));
            }
            if self.gate.is_between() && !self.timeouts.is_free() {
                // hyper looks ahead before its answer has left. What comes then waits in the kernel.
                if self.gate.is_empty() {
                    ready!(self.registration.poll_readable(context));
                }
                self.is_held = true;
                return Poll::Pending;
            }
            if self.gate.is_waiting() {
                let step = self.gate.look_at_kept(|head| self.at_once.answer(head, &mut self.head));
                self.take(step);
                continue;
            }
            let is_alone = self.gate.is_empty();
            let room = if is_alone { into.remaining().min(scratch.len()) } else { scratch.len() };
            let read = ready!(self.poll_receive(context, &mut scratch[..room]))?;
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            let received = &scratch[..read];
            if !is_alone {
                self.gate.keep(received);
                continue;
            }
            let step = self.gate.look(received, |head| self.at_once.answer(head, &mut self.head));
            match &step {
                GateAction::Give(count, _) => {
                    into.put_slice(&received[..*count]);
                    self.gate.keep(&received[*count..]);
                }
                GateAction::Hit(count, _) | GateAction::Pass(count) => self.gate.keep(&received[*count..]),
                GateAction::Wait => self.gate.keep_part(received),
                GateAction::Refuse(_) => {}
            }
            if self.take(step) && is_alone {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Does what the gate found to be done. True: bytes are given to hyper.
    fn take(&mut self, step: GateAction<(Bytes, Instant)>) -> bool {
        match step {
            GateAction::Give(_, begun) => {
                self.timeouts.start_head();
                if let Some(is_11) = begun {
                    self.timeouts.pass_head(is_11);
                }
                return true;
            }
            GateAction::Hit(_, (body, now)) => {
                self.timeouts.start_answer(now);
                self.unsent = Some(Unsent { head_sent: 0, body, has_waited: false });
            }
            GateAction::Pass(_) | GateAction::Wait => self.timeouts.start_head(),
            GateAction::Refuse(fault) => self.refuse(fault),
        }
        false
    }

    /// Answers a request that hyper does not see, and reads nothing more.
    fn refuse(&mut self, fault: FramingError) {
        self.gate.end();
        self.head = self.at_once.refuse(fault);
        self.unsent = Some(Unsent { head_sent: 0, body: Bytes::new(), has_waited: false });
        self.timeouts.start_answer(Instant::now());
        self.timeouts.unread.set(true);
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| self.poll_next(context, scratch, &mut into))
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.timeouts.note_write();
        self.poll_send(context, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.timeouts.note_write();
        self.poll_send(context, slices)
    }

    /// hyper calls this when its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timeouts.note_flush();
        // The request that was held back has its turn. Most clients wait for an answer, so this is rare.
        if self.is_held && self.timeouts.is_free() {
            self.is_held = false;
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answered(context))?;
        self.finish_writing();
        Poll::Ready(Ok(()))
    }
}
