//! Connection timeouts, by one sweep per shard instead of a timer per request.
//!
//! Each connection notes what it does and how many bytes have moved; a sweep looks at all of them a few
//! times within the shortest limit. That costs a request nothing but the notes, and covers slow
//! readers, whom a timer on reading would miss.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::pace::{Pace, PaceLimits, PaceSample};
use super::poller;
use crate::http::HttpSettings;
use crate::shard::latch::Latch;

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionPhase {
    /// Waits for a request.
    Idle,
    /// Receives a request's head.
    Head,
    /// Works on an answer: no limit here, the work has its own.
    Busy,
    /// Receives a request's body.
    Receiving,
    /// Sends an answer.
    Sending,
}

/// The phase, counters and flags of one connection.
#[derive(Debug)]
pub(in crate::http) struct ConnectionTimeouts {
    phase: Cell<ConnectionPhase>,
    /// When the phase began.
    since: Cell<Instant>,
    /// Bytes that came and that the kernel took, since the connection began.
    received: Cell<u64>,
    sent: Cell<u64>,
    /// All that has come was taken: more is the client's to send.
    is_drained: Cell<bool>,
    /// The pace of the present body or answer; set by the first check.
    pace: Cell<Option<Pace>>,
    /// The socket, to ask the kernel what the client has not taken yet.
    descriptor: RefCell<Weak<OwnedFd>>,
    /// The sender of a body is too slow; the upload is to be answered so.
    pub(in crate::http) stalled: Latch,
    /// The connection is to be dropped.
    pub(in crate::http) expired: Latch,
    /// A request was answered before its body's end.
    pub(in crate::http) unread: Cell<bool>,
    /// The other end sent a peer request and failed authentication: it gets no time to read why.
    pub(in crate::http) is_refused: Cell<bool>,
    /// hyper has been given a head that it has not reported yet.
    is_head_pending: Cell<bool>,
    /// The last head given was one of HTTP/1.1.
    is_11: Cell<bool>,
    /// hyper was given an answer that has not wholly left.
    is_answer_pending: Cell<bool>,
    /// hyper has written and not yet seen all of it leave.
    unflushed: Cell<bool>,
}

/// The timeouts of all connections of one shard.
#[derive(Debug, Default)]
pub(super) struct TimeoutRegistry {
    next: Cell<u64>,
    all: RefCell<HashMap<u64, Rc<ConnectionTimeouts>>>,
}

/// A connection's entry in the registry; dropping it removes it.
#[derive(Debug)]
pub(super) struct TimeoutEntry {
    registry: Rc<TimeoutRegistry>,
    number: u64,
}

impl ConnectionTimeouts {
    pub(in crate::http) fn new() -> Self {
        Self {
            // A new connection is about to send a request.
            phase: Cell::new(ConnectionPhase::Head),
            since: Cell::new(Instant::now()),
            received: Cell::new(0),
            sent: Cell::new(0),
            is_drained: Cell::new(false),
            pace: Cell::new(None),
            descriptor: RefCell::default(),
            stalled: Latch::default(),
            expired: Latch::default(),
            unread: Cell::new(false),
            is_refused: Cell::new(false),
            is_head_pending: Cell::new(false),
            is_11: Cell::new(true),
            is_answer_pending: Cell::new(false),
            unflushed: Cell::new(false),
        }
    }

    fn start_phase(&self, phase: ConnectionPhase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
        self.pace.set(None);
    }

    /// The connection's socket.
    pub(super) fn set_socket(&self, descriptor: &Rc<OwnedFd>) {
        *self.descriptor.borrow_mut() = Rc::downgrade(descriptor);
    }

    /// It is served from now on, however long it has waited for a slot.
    pub(super) fn start_serving(&self) {
        self.start_phase(ConnectionPhase::Head);
    }

    /// Bytes have come.
    pub(super) fn add_received(&self, count: usize) {
        self.received.set(self.received.get() + count as u64);
        self.is_drained.set(false);
    }

    /// All that came was taken.
    pub(super) fn mark_drained(&self) {
        self.is_drained.set(true);
    }

    /// Bytes have left.
    pub(super) fn add_sent(&self, count: usize) {
        self.sent.set(self.sent.get() + count as u64);
    }

    /// A head has begun to come. Only its first byte counts.
    pub(super) fn start_head(&self) {
        if self.phase.get() == ConnectionPhase::Idle {
            self.start_phase(ConnectionPhase::Head);
        }
    }

    /// hyper is given a whole head, of HTTP/1.1 or not.
    pub(super) fn pass_head(&self, is_11: bool) {
        self.is_head_pending.set(true);
        self.is_11.set(is_11);
    }

    /// hyper reports a request. False: its head did not pass the gate.
    pub(in crate::http) fn start_request(&self) -> bool {
        self.start_phase(ConnectionPhase::Busy);
        self.is_head_pending.replace(false)
    }

    /// A request's body is being taken, or taken further after a pause of this node's. A client that sends a byte at a
    /// time has such a pause at each, so its pace goes on; the pause itself does not count.
    pub(in crate::http) fn start_receiving(&self) {
        let now = Instant::now();
        if let Some(mut pace) = self.pace.get() {
            pace.pause(now.saturating_duration_since(self.since.get()));
            self.pace.set(Some(pace));
        }
        self.phase.set(ConnectionPhase::Receiving);
        self.since.set(now);
    }

    /// A request's body is whole, or a piece of it is being stored: the client is not waited for.
    pub(in crate::http) fn start_work(&self) {
        self.phase.set(ConnectionPhase::Busy);
        self.since.set(Instant::now());
    }

    /// An answer's head is ready.
    pub(in crate::http) fn start_sending(&self) {
        self.is_answer_pending.set(true);
        self.start_phase(ConnectionPhase::Sending);
    }

    /// hyper writes.
    pub(super) fn note_write(&self) {
        self.unflushed.set(true);
    }

    /// hyper has nothing left to write for now.
    pub(super) fn note_flush(&self) {
        self.unflushed.set(false);
        // In the middle of an answer that only means that its next part is not there yet.
        if matches!(self.phase.get(), ConnectionPhase::Idle | ConnectionPhase::Head) {
            self.is_answer_pending.set(false);
        }
    }

    /// Whether hyper has neither a request to be answered nor an answer of ours: what it writes now is
    /// its own.
    pub(super) fn has_no_request(&self) -> bool {
        matches!(self.phase.get(), ConnectionPhase::Idle | ConnectionPhase::Head)
            && !self.is_answer_pending.get()
    }

    /// Whether all requests that hyper was given are answered and all answers have left: the next request
    /// may be given, or answered past hyper.
    pub(super) fn is_free(&self) -> bool {
        self.has_no_request() && !self.is_head_pending.get() && !self.unflushed.get()
    }

    /// Whether an interim answer may be written past hyper: a request is worked on, and nothing of its answer is
    /// on its way.
    pub(super) fn may_interject(&self) -> bool {
        self.phase.get() == ConnectionPhase::Busy
            && self.is_11.get()
            && !self.is_answer_pending.get()
            && !self.unflushed.get()
    }

    /// A request is answered without a phase of its own; its answer leaves from `now` on.
    pub(super) fn start_answer(&self, now: Instant) {
        self.phase.set(ConnectionPhase::Sending);
        self.since.set(now);
        self.pace.set(None);
    }

    /// That answer has left at once, so the time of its begin stands.
    pub(super) fn finish_at_once(&self) {
        self.phase.set(ConnectionPhase::Idle);
    }

    /// An answer is wholly handed over to the socket's buffer.
    pub(in crate::http) fn finish_answer(&self) {
        self.start_phase(ConnectionPhase::Idle);
    }

    fn check(&self, now: Instant, settings: &HttpSettings) {
        let passed = now.saturating_duration_since(self.since.get());
        match self.phase.get() {
            ConnectionPhase::Idle if passed > settings.idle_timeout => self.expired.set(),
            ConnectionPhase::Head if passed > settings.header_timeout => self.expired.set(),
            ConnectionPhase::Receiving if self.is_too_slow(self.incoming(now), settings) => {
                self.stalled.set();
                // The answer gets as long again; then the connection goes.
                self.start_phase(ConnectionPhase::Sending);
            }
            ConnectionPhase::Sending if self.is_too_slow(self.outgoing(now), settings) => self.expired.set(),
            _ => {}
        }
    }

    fn is_too_slow(&self, look: PaceSample, settings: &HttpSettings) -> bool {
        let limits = PaceLimits { silence: settings.body_progress, rate_min: settings.byte_rate_min };
        let mut pace = self.pace.get().unwrap_or(Pace::begin(look));
        let is_too_slow = pace.check(look, limits);
        self.pace.set(Some(pace));
        is_too_slow
    }

    fn incoming(&self, now: Instant) -> PaceSample {
        PaceSample { now, moved: self.received.get(), is_awaited: self.is_drained.get() }
    }

    /// The kernel takes megabytes that no client has seen, and tells that there is room again only when a third of
    /// them has gone. So what counts is what the client has acknowledged, which one call per look tells.
    fn outgoing(&self, now: Instant) -> PaceSample {
        let descriptor = self.descriptor.borrow().upgrade();
        let waiting = descriptor.map_or(0, |descriptor| poller::unacknowledged(&descriptor));
        PaceSample { now, moved: self.sent.get().saturating_sub(waiting), is_awaited: waiting > 0 }
    }
}

impl TimeoutRegistry {
    /// The timeouts of a new connection.
    pub(super) fn add(self: &Rc<Self>) -> (Rc<ConnectionTimeouts>, TimeoutEntry) {
        let number = self.next.get();
        self.next.set(number + 1);
        let timeouts = Rc::new(ConnectionTimeouts::new());
        self.all.borrow_mut().insert(number, Rc::clone(&timeouts));
        (timeouts, TimeoutEntry { registry: Rc::clone(self), number })
    }

    /// Open connections.
    pub(in crate::http) fn count(&self) -> usize {
        self.all.borrow().len()
    }

    /// Looks at all connections again and again, and calls `also` each time. Run one per shard.
    pub(in crate::http) async fn sweep(&self, settings: &HttpSettings, also: impl Fn()) {
        let shortest = settings.header_timeout.min(settings.idle_timeout).min(settings.body_progress);
        let pause = (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            glommio::timer::sleep(pause).await;
            let now = Instant::now();
            // Setting an event may run tasks that open or close connections, so no borrow is held.
            let all: Vec<_> = self.all.borrow().values().cloned().collect();
            for timeouts in all {
                timeouts.check(now, settings);
            }
            also();
        }
    }
}

impl Drop for TimeoutEntry {
    fn drop(&mut self) {
        self.registry.all.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_stored_piece_by_piece_has_one_pace() {
        let timeouts = ConnectionTimeouts::new();
        timeouts.start_request();
        timeouts.start_receiving();
        let pace = Pace::begin(timeouts.incoming(Instant::now()));
        timeouts.pace.set(Some(pace));
        timeouts.start_work();
        timeouts.start_receiving();
        assert!(timeouts.pace.get().is_some(), "the pace goes on");
        timeouts.start_sending();
        assert!(timeouts.pace.get().is_none(), "an answer has its own");
    }

    #[test]
    fn nothing_is_given_to_hyper_while_it_has_a_head_an_answer_or_bytes_to_write() {
        let timeouts = ConnectionTimeouts::new();
        assert!(timeouts.is_free());
        timeouts.pass_head(true);
        assert!(!timeouts.is_free(), "a head that is not reported");
        assert!(timeouts.start_request());
        assert!(!timeouts.is_free() && timeouts.may_interject());
        timeouts.start_sending();
        timeouts.note_write();
        timeouts.finish_answer();
        assert!(!timeouts.is_free(), "an answer that has not left");
        timeouts.note_flush();
        assert!(timeouts.is_free());
        assert!(!timeouts.start_request(), "a request whose head was not looked at");
    }
}
