//! The memory of answers' bodies: in the memory tier, and on their way to clients that read slowly.
//!
//! A body that is being sent stays in memory until the client has taken the last of it, also when the memory tier has
//! dropped it long since. So bodies are counted from the moment they are in memory until nobody holds them any more,
//! wherever that is. A body that finds no room is sent from a file, in small pieces. A hit costs nothing for this: it shares
//! bytes that are counted already.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

/// Beside the memory tier, bodies may take one part in so many of its budget.
const SENDING_PART: u64 = 4;

/// Bodies may take so many bytes beside the memory tier however small that is.
const SENDING_BYTES_MIN: u64 = 16 << 20;

/// Bytes of variants, all shards together, that are sent from the disk and not kept there, because `cache.disk` has no
/// room for them: beyond, those who ask are told to try again.
const UNNAMED_BYTES_MAX: u64 = 1 << 30;

/// The bytes of bodies in memory, all shards together. With `cache.memory` of 256 MiB at most 320 MiB; beyond that each
/// connection that sends a file has a piece of a few KiB.
#[derive(Debug)]
pub struct BodyMemory {
    used: AtomicU64,
    bytes_max: u64,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub struct Charge {
    memory: Arc<BodyMemory>,
    bytes: u64,
}

/// A body with its charge, dropped with the last who shares it.
struct Held<T> {
    body: T,
    _charge: Charge,
}

impl BodyMemory {
    /// Beside a memory tier of so many bytes, all shards together.
    pub fn new(cache_bytes: u64) -> Arc<Self> {
        let sending = (cache_bytes / SENDING_PART).max(SENDING_BYTES_MIN);
        Arc::new(Self { used: AtomicU64::new(0), bytes_max: cache_bytes.saturating_add(sending) })
    }

    /// For bodies in files that have no name: on disk, where they last as long as in memory.
    pub fn unnamed() -> Arc<Self> {
        Self::bounded(UNNAMED_BYTES_MAX)
    }

    /// At most so many bytes, wherever they lie.
    pub fn bounded(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), bytes_max })
    }

    /// Counts so many bytes, if there is room for them.
    pub fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        let charge = self.charge(bytes);
        (self.used.load(Relaxed) <= self.bytes_max).then_some(charge)
    }

    /// Counts so many bytes that are in memory in any case.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Charge {
        self.used.fetch_add(bytes, Relaxed);
        Charge { memory: Arc::clone(self), bytes }
    }

    /// Bytes counted now.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    fn release(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Relaxed);
        assert!(before >= bytes, "invariant: body memory: only what was charged is given back");
    }
}

impl Charge {
    /// The body for which this was reserved, counted by its length until nobody holds it any more.
    pub fn hold(mut self, body: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        let bytes = body.as_ref().len() as u64;
        self.memory.used.fetch_add(bytes, Relaxed);
        self.memory.release(self.bytes);
        self.bytes = bytes;
        Bytes::from_owner(Held { body, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.release(self.bytes);
    }
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.body.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_counts_until_the_last_who_shares_it_has_gone() {
        let memory = BodyMemory::new(0);
        let body = memory.reserve(1 << 20).unwrap().hold(vec![7; 1000]);
        assert_eq!((memory.used(), &body[..3]), (1000, &[7; 3][..]));
        let (shared, part) = (body.clone(), body.slice(10..20));
        drop(body);
        assert_eq!(memory.used(), 1000);
        drop(shared);
        assert_eq!(memory.used(), 1000, "a part holds the whole");
        drop(part);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_finds_no_room_leaves_no_trace() {
        let memory = BodyMemory::new(100 << 20);
        let most = memory.reserve(125 << 20).unwrap();
        assert!(memory.reserve(1).is_none());
        let piece = memory.charge(8 << 10);
        assert_eq!(memory.used(), (125 << 20) + (8 << 10));
        drop((most, piece));
        assert_eq!(memory.used(), 0);
        assert!(memory.reserve(1).is_some() && memory.reserve(126 << 20).is_none());
    }
}
