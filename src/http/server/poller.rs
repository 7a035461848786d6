//! Which sockets of a shard are ready: one edge-triggered epoll set per shard.
//!
//! The runtime arms a poll of its own for every read of every socket, and frees it again: about 3 µs a
//! request. Here a socket is registered once, when it is accepted, and its edges arrive in batches; what
//! the runtime polls is the set alone, once per batch.
//!
//! Invariants: an edge sets a flag that stays set until the socket says it is drained, so no edge is
//! lost between a look and a wait; a slot that is used again has another generation, so an event of the
//! socket before it wakes nobody.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::AsyncRead;
use glommio::net::TcpStream;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// The number of times in a row that the kernel is asked for events. Each wait through the runtime costs as much as an
/// answer, so a busy shard does without, but timers and messages of other shards come through the runtime.
const ROUNDS_MAX: usize = 16;

/// Pause where the set cannot be asked; nothing known makes the kernel refuse.
const PAUSE: Duration = Duration::from_millis(10);

/// The sockets of one shard.
pub(super) struct Poller {
    set: OwnedFd,
    slots: RefCell<PollerSlots>,
}

#[derive(Default)]
struct PollerSlots {
    all: Vec<PollerSlot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct PollerSlot {
    generation: u32,
    readiness: Option<Rc<Readiness>>,
}

/// The state of one socket.
struct Readiness {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// The peer has ended or failed: no further edge will tell, so reads are tried forever.
    ended: Cell<bool>,
    /// Both directions are over: the peer is gone, not only silent.
    gone: Cell<bool>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
    /// Is woken at the end, whether it reads or not.
    end_waker: Cell<Option<Waker>>,
}

/// The peer's end of a connection: open, half or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Not at all, as far as is known.
    Open,
    /// It sends nothing more, and may still read: a peer that closed and one that half-closed look the same.
    Half,
    /// It is gone.
    Gone,
}

/// Watches for the peer's end, beside the socket.
pub(super) struct Ending(Rc<Readiness>);

/// A socket's place in the set; dropping it gives the place up. Drop it before its socket is closed.
pub(super) struct Registration {
    poller: Rc<Poller>,
    index: u32,
    readiness: Rc<Readiness>,
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    /// No descriptor left.
    pub(in crate::http) fn new() -> io::Result<Rc<Self>> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Rc::new(Self { set, slots: RefCell::default() }))
    }

    /// Enters a socket, which must not block.
    ///
    /// # Errors
    /// The kernel's refusal: too many are watched.
    pub(super) fn register(self: &Rc<Self>, socket: &impl AsFd) -> io::Result<Registration> {
        // Bytes that are there already would make no edge, so the first try is free.
        let readiness = Rc::new(Readiness {
            readable: Cell::new(true),
            writable: Cell::new(true),
            ended: Cell::new(false),
            gone: Cell::new(false),
            reader: Cell::default(),
            writer: Cell::default(),
            end_waker: Cell::default(),
        });
        let (index, generation) = self.slots.borrow_mut().take(Rc::clone(&readiness));
        let registration = Registration { poller: Rc::clone(self), index, readiness };
        let number = u64::from(index) << 32 | u64::from(generation);
        let edges =
            epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        epoll::add(&self.set, socket, epoll::EventData::new_u64(number), edges)?;
        Ok(registration)
    }

    /// Wakes who waits for what has become ready, forever. Run one per shard.
    pub(in crate::http) async fn run(self: Rc<Self>) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.wait_for_events().await;
            for _ in 0..ROUNDS_MAX {
                self.take(&mut events);
                if events.is_empty() {
                    break;
                }
                // Those who were woken answer now, and by then the next requests have come.
                futures_lite::future::yield_now().await;
            }
        }
    }

    /// Waits until the set has events. The runtime offers no wait for a foreign descriptor, but its
    /// stream arms one when it is made, and its first read after that ends with the error that a set
    /// is no socket. (Tests here hold a newer release to that.)
    async fn wait_for_events(&self) {
        let Ok(copy) = rustix::io::fcntl_dupfd_cloexec(&self.set, 0) else {
            glommio::timer::sleep(PAUSE).await;
            return;
        };
        // SAFETY: `into_raw_fd` gives up ownership, so the stream is the only owner and closes it once.
        let mut stream = unsafe { TcpStream::from_raw_fd(copy.into_raw_fd()) };
        let _ = std::future::poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut [0])).await;
    }

    /// Handles the events there are, at most [`EVENTS`], and leaves them in `events`.
    fn take(&self, events: &mut Vec<epoll::Event>) {
        events.clear();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if let Err(error) = epoll::wait(&self.set, spare_capacity(events), Some(&now)) {
            log::error!(error:% = error; "shard cannot ask the kernel which sockets are ready and tries again; if it lasts, restart the node and report it");
        }
        for event in &*events {
            let readiness = self.slots.borrow().of(event.data.u64());
            if let Some(readiness) = readiness {
                readiness.edge(event.flags);
            }
        }
    }
}

impl PollerSlots {
    fn take(&mut self, readiness: Rc<Readiness>) -> (u32, u32) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.all.push(PollerSlot::default());
            u32::try_from(self.all.len() - 1).expect("a process has fewer descriptors than that")
        });
        let slot = &mut self.all[index as usize];
        slot.readiness = Some(readiness);
        (index, slot.generation)
    }

    fn give(&mut self, index: u32) {
        let slot = &mut self.all[index as usize];
        slot.readiness = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
    }

    fn of(&self, number: u64) -> Option<Rc<Readiness>> {
        let (index, generation) = ((number >> 32) as usize, number as u32);
        let slot = self.all.get(index).filter(|slot| slot.generation == generation)?;
        slot.readiness.clone()
    }
}

impl Readiness {
    fn edge(&self, flags: epoll::EventFlags) {
        use epoll::EventFlags as F;
        let ended = flags.intersects(F::RDHUP | F::HUP | F::ERR);
        if ended {
            self.ended.set(true);
            self.gone.set(self.gone.get() || flags.intersects(F::HUP | F::ERR));
            if let Some(waker) = self.end_waker.take() {
                waker.wake();
            }
        }
        if ended || flags.contains(F::IN) {
            self.readable.set(true);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        if ended || flags.contains(F::OUT) {
            self.writable.set(true);
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
    }
}

impl Registration {
    /// Ready when a read may succeed.
    pub(super) fn poll_readable(&self, context: &Context<'_>) -> Poll<()> {
        poll(&self.readiness.readable, &self.readiness.reader, context)
    }

    /// Ready when a write may succeed.
    pub(super) fn poll_writable(&self, context: &Context<'_>) -> Poll<()> {
        poll(&self.readiness.writable, &self.readiness.writer, context)
    }

    /// Watches for the peer's end, too.
    pub(super) fn ending(&self) -> Ending {
        Ending(Rc::clone(&self.readiness))
    }

    /// A read found less than it had room for: the next byte makes an edge, unless the end was there.
    pub(super) fn read_short(&self) {
        self.readiness.readable.set(self.readiness.ended.get());
    }

    /// A read would have blocked.
    pub(super) fn not_readable(&self) {
        self.readiness.readable.set(false);
    }

    /// A write would have blocked.
    pub(super) fn not_writable(&self) {
        self.readiness.writable.set(false);
    }
}

impl Ending {
    /// Whether the peer has ended; the task is woken when that changes.
    pub(in crate::http) fn check(&self, context: &Context<'_>) -> End {
        let Readiness { ended, gone, end_waker, .. } = &*self.0;
        if gone.get() {
            return End::Gone;
        }
        let waker = end_waker.take().filter(|waker| waker.will_wake(context.waker()));
        end_waker.set(Some(waker.unwrap_or_else(|| context.waker().clone())));
        if ended.get() { End::Half } else { End::Open }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.poller.slots.borrow_mut().give(self.index);
    }
}

fn poll(ready: &Cell<bool>, waiting: &Cell<Option<Waker>>, context: &Context<'_>) -> Poll<()> {
    if ready.get() {
        return Poll::Ready(());
    }
    let waker = waiting.take().filter(|waker| waker.will_wake(context.waker()));
    waiting.set(Some(waker.unwrap_or_else(|| context.waker().clone())));
    Poll::Pending
}

/// Bytes that the kernel has of this socket and that the peer has not acknowledged.
pub(super) fn unacknowledged(socket: &OwnedFd) -> u64 {
    // `SIOCOUTQ` of linux/sockios.h, the same number on all systems that this is built for.
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
    // SAFETY: for a TCP socket this call writes one `int` to where it is told, and nothing else.
    let count = unsafe { rustix::ioctl::ioctl(socket, rustix::ioctl::Getter::<SIOCOUTQ, i32>::new()) };
    count.ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use futures_lite::future::poll_once;
    use glommio::LocalExecutorBuilder;

    use super::*;

    fn run<T>(test: impl AsyncFnOnce() -> T) -> T {
        let executor = LocalExecutorBuilder::default().io_memory(64 << 10).ring_depth(64).make().unwrap();
        executor.run(test())
    }

    async fn readable(registration: &Registration) {
        poll_fn(|context| registration.poll_readable(context)).await;
    }

    #[test]
    fn an_edge_wakes_a_reader_and_only_a_drained_socket_waits() {
        run(async || {
            let poller = Poller::new().unwrap();
            let running = glommio::spawn_local(Rc::clone(&poller).run());
            let (mut far, near) = UnixStream::pair().unwrap();
            let registration = poller.register(&near).unwrap();
            readable(&registration).await;
            registration.not_readable();
            assert!(poll_once(readable(&registration)).await.is_none());
            for _ in 0..3 {
                far.write_all(b"x").unwrap();
                readable(&registration).await;
                assert!(poll_once(readable(&registration)).await.is_some(), "still undrained");
                registration.read_short();
                assert!(poll_once(readable(&registration)).await.is_none());
            }
            running.cancel().await;
        });
    }

    #[test]
    fn the_end_stays_readable() {
        run(async || {
            let poller = Poller::new().unwrap();
            let running = glommio::spawn_local(Rc::clone(&poller).run());
            let (far, near) = UnixStream::pair().unwrap();
            let registration = poller.register(&near).unwrap();
            registration.not_readable();
            drop(far);
            readable(&registration).await;
            registration.read_short();
            readable(&registration).await;
            running.cancel().await;
        });
    }

    #[test]
    fn a_wait_for_the_set_ends_with_an_event_and_not_before() {
        run(async || {
            let poller = Poller::new().unwrap();
            let (mut far, near) = UnixStream::pair().unwrap();
            let _registration = poller.register(&near).unwrap();
            let mut events = Vec::with_capacity(EVENTS);
            // The first event: the socket can be written to.
            poller.wait_for_events().await;
            poller.take(&mut events);
            assert_eq!(events.len(), 1);
            let early = futures_lite::future::or(
                async {
                    poller.wait_for_events().await;
                    true
                },
                async {
                    glommio::timer::sleep(Duration::from_millis(20)).await;
                    false
                },
            );
            assert!(!early.await, "a wait must not end while nothing has happened");
            far.write_all(b"x").unwrap();
            poller.wait_for_events().await;
            poller.take(&mut events);
            assert_eq!(events.len(), 1);
        });
    }

    #[test]
    fn an_event_of_a_socket_that_had_the_slot_before_wakes_nobody() {
        run(async || {
            let poller = Poller::new().unwrap();
            let (_far, near) = UnixStream::pair().unwrap();
            let first = poller.register(&near).unwrap();
            let number = u64::from(first.index) << 32;
            drop(first);
            let (_far, near) = UnixStream::pair().unwrap();
            let second = poller.register(&near).unwrap();
            assert_eq!(u64::from(second.index) << 32, number, "the slot is used again");
            assert!(poller.slots.borrow().of(number).is_none());
            assert!(poller.slots.borrow().of(number | 1).is_some());
        });
    }
}
