//! Time limits of connections, by one sweep per shard instead of a timer per request.
//!
//! Each connection notes what it does and when bytes last moved; a sweep looks at all of them a few
//! times within the shortest limit. That costs a request nothing but the notes, and covers slow
//! readers, whom a timer on reading would miss.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Settings;
use crate::shard::event::Event;

/// Bytes of a request's head that are kept for [`Watch::head_has_length`]; a longer head is refused
/// by the parser.
const HEAD_BYTES_MAX: usize = 128 << 10;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
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

/// One connection's notes.
#[derive(Debug)]
pub(super) struct Watch {
    phase: Cell<Phase>,
    /// When the phase began or bytes last moved in it (for a head: when it began).
    since: Cell<Instant>,
    /// Nothing has come yet.
    is_new: Cell<bool>,
    /// The head as received, for requests whose framing must be looked at; empty for GET and HEAD.
    head: RefCell<Vec<u8>>,
    /// The sender of a body has gone silent; the upload is to be answered so.
    pub(super) stalled: Event,
    /// The connection is to be dropped.
    pub(super) expired: Event,
    /// A request was answered before its body's end.
    pub(super) unread: Cell<bool>,
    /// hyper was given an answer that has not wholly left.
    owed: Cell<bool>,
}

/// The watches of one shard.
#[derive(Debug, Default)]
pub(super) struct Watches {
    next: Cell<u64>,
    all: RefCell<HashMap<u64, Rc<Watch>>>,
}

/// A connection's entry among the watches; dropping it removes it.
#[derive(Debug)]
pub(super) struct Watched {
    watches: Rc<Watches>,
    number: u64,
}

impl Watch {
    fn new() -> Self {
        Self {
            // Whoever connects is about to ask.
            phase: Cell::new(Phase::Head),
            since: Cell::new(Instant::now()),
            is_new: Cell::new(true),
            head: RefCell::default(),
            stalled: Event::default(),
            expired: Event::default(),
            unread: Cell::new(false),
            owed: Cell::new(false),
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
    }

    /// It is served from now on, however long it has waited for a place.
    pub(super) fn begins(&self) {
        self.enter(Phase::Head);
    }

    /// Bytes have come.
    pub(super) fn received(&self, bytes: &[u8]) {
        self.is_new.set(false);
        match self.phase.get() {
            Phase::Idle if !bytes.is_empty() => {
                self.enter(Phase::Head);
                self.head.borrow_mut().clear();
                self.keep_head(bytes);
            }
            Phase::Head => self.keep_head(bytes),
            Phase::Receiving => self.since.set(Instant::now()),
            Phase::Idle | Phase::Busy | Phase::Sending => {}
        }
    }

    /// Bytes have left.
    pub(super) fn sent(&self) {
        if self.phase.get() == Phase::Sending {
            self.since.set(Instant::now());
        }
    }

    /// A request's head is whole.
    pub(super) fn request(&self) {
        self.enter(Phase::Busy);
    }

    /// A request's body is being taken.
    pub(super) fn receiving(&self) {
        self.enter(Phase::Receiving);
    }

    /// A request's body is whole; its answer is being worked on.
    pub(super) fn working(&self) {
        self.enter(Phase::Busy);
    }

    /// An answer's head is ready.
    pub(super) fn sending(&self) {
        self.owed.set(true);
        self.enter(Phase::Sending);
    }

    /// hyper has nothing left to write for now.
    pub(super) fn flushed(&self) {
        // In the middle of an answer that only means that its next part is not there yet.
        if matches!(self.phase.get(), Phase::Idle | Phase::Head) {
            self.owed.set(false);
        }
    }

    /// Whether hyper has neither a request to be answered nor an answer of ours: what it writes now is
    /// its own.
    pub(super) fn is_unasked(&self) -> bool {
        matches!(self.phase.get(), Phase::Idle | Phase::Head) && !self.owed.get()
    }

    /// Whether no request has begun: the next byte is a head's first.
    pub(super) fn is_between(&self) -> bool {
        match self.phase.get() {
            Phase::Idle => true,
            Phase::Head => self.is_new.get(),
            Phase::Busy | Phase::Receiving | Phase::Sending => false,
        }
    }

    /// A request is answered without a phase of its own; its answer leaves from `now` on.
    pub(super) fn answering(&self, now: Instant) {
        self.is_new.set(false);
        self.phase.set(Phase::Sending);
        self.since.set(now);
    }

    /// That answer has left. The time of its last bytes stands.
    pub(super) fn answered_before(&self) {
        self.phase.set(Phase::Idle);
    }

    /// An answer is wholly handed over to the socket's buffer.
    pub(super) fn answered(&self) {
        self.enter(Phase::Idle);
    }

    /// Whether the current request's head has a `Content-Length`. hyper drops that header where there
    /// is a `Transfer-Encoding`, so it must be looked for in the bytes. `None`: the head was not seen
    /// by itself (it came behind another request), so it cannot be told.
    pub(super) fn head_has_length(&self) -> Option<bool> {
        let head = self.head.borrow();
        let end = memchr::memmem::find(&head, b"\r\n\r\n")?;
        let names =
            head[..end].split(|byte| *byte == b'\n').filter_map(|line| line.split(|b| *b == b':').next());
        Some(names.into_iter().any(|name| name.trim_ascii().eq_ignore_ascii_case(b"content-length")))
    }

    fn keep_head(&self, bytes: &[u8]) {
        let mut head = self.head.borrow_mut();
        let first = head.first().or(bytes.first());
        if !matches!(first, Some(b'G' | b'H')) && head.len() + bytes.len() <= HEAD_BYTES_MAX {
            head.extend_from_slice(bytes);
        }
    }

    fn look(&self, settings: &Settings) {
        let quiet = self.since.get().elapsed();
        match self.phase.get() {
            Phase::Idle if quiet > settings.idle_timeout => self.expired.set(),
            Phase::Head if quiet > settings.header_timeout => self.expired.set(),
            Phase::Receiving if quiet > settings.body_progress => {
                self.stalled.set();
                // The answer gets as long again; then the connection goes.
                self.enter(Phase::Sending);
            }
            Phase::Sending if quiet > settings.body_progress => self.expired.set(),
            _ => {}
        }
    }
}

impl Watches {
    /// A new connection's notes.
    pub(super) fn add(self: &Rc<Self>) -> (Rc<Watch>, Watched) {
        let number = self.next.get();
        self.next.set(number + 1);
        let watch = Rc::new(Watch::new());
        self.all.borrow_mut().insert(number, Rc::clone(&watch));
        (watch, Watched { watches: Rc::clone(self), number })
    }

    /// Open connections.
    pub(super) fn count(&self) -> usize {
        self.all.borrow().len()
    }

    /// Looks at all connections again and again. Run one per shard.
    pub(super) async fn sweep(&self, settings: &Settings) {
        let shortest = settings.header_timeout.min(settings.idle_timeout).min(settings.body_progress);
        let pause = (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            glommio::timer::sleep(pause).await;
            // Setting an event may run tasks that open or close connections, so no borrow is held.
            let all: Vec<_> = self.all.borrow().values().cloned().collect();
            for watch in all {
                watch.look(settings);
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watches.all.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(parts: &[&str]) -> Watch {
        let watch = Watch::new();
        for part in parts {
            watch.received(part.as_bytes());
        }
        watch
    }

    #[test]
    fn a_length_beside_chunks_is_seen_whatever_its_case_and_wherever_the_head_is_cut() {
        for head in [
            &["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncOnTent-Length: 3\r\n\r\n"][..],
            &["POST / HTTP/1.1\r\nContent-", "Length : 3\r\nTransfer-Encoding: chunked\r\n\r", "\nabc"],
        ] {
            assert_eq!(after(head).head_has_length(), Some(true), "{head:?}");
        }
    }

    #[test]
    fn a_length_in_the_body_is_none() {
        let watch = after(&["POST / HTTP/1.1\r\nA: b\r\n\r\nContent-Length: 3\r\n"]);
        assert_eq!(watch.head_has_length(), Some(false));
    }

    #[test]
    fn a_head_that_was_not_seen_cannot_be_told() {
        let watch = after(&["GET / HTTP/1.1\r\n\r\n"]);
        assert_eq!(watch.head_has_length(), None);
    }
}
