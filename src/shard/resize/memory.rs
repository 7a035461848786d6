//! The node-wide budget of decoded pixels (`limits.decode_memory`).
//!
//! Only resize workers touch it, which may block; it is a lock and a condition variable, off every
//! executor's path.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of decoded pixels that may be alive at once, all shards together.
#[derive(Debug)]
pub struct DecodeMemory {
    bytes_max: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// A part of the budget; dropping it gives it back.
#[derive(Debug)]
pub struct Charge<'a> {
    memory: &'a DecodeMemory,
    bytes: u64,
}

/// The least budget there is, whatever is configured: a small picture with its codec's tables and a profile of colours
/// takes half of it, and a node that makes nothing is no use to anybody.
pub const BYTES_LEAST: u64 = 32 << 20;

/// The interval at which a waiter checks whether its job is still wanted.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl DecodeMemory {
    /// A budget of `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// The whole budget. A job that may take more never fits.
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Takes `bytes` of the budget, waiting while others hold it, but not past `deadline` and only while `wanted`. More
    /// than the whole budget is never given.
    pub fn charge(&self, bytes: u64, deadline: Instant, wanted: impl Fn() -> bool) -> Option<Charge<'_>> {
        if bytes > self.bytes_max {
            return None;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while bytes > self.bytes_max - *used {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !wanted() {
                return None;
            }
            let wait = self.freed.wait_timeout(used, left.min(LOOK_AGAIN));
            used = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        *used += bytes;
        assert!(*used <= self.bytes_max, "invariant: decode memory: no more is charged than there is");
        Some(Charge { memory: self, bytes })
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        let mut used = self.memory.used.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(*used >= self.bytes, "invariant: decode memory: only what was charged is given back");
        *used -= self.bytes;
        drop(used);
        self.memory.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_waits_until_enough_is_given_back() {
        let memory = DecodeMemory::new(100);
        let far = Instant::now() + Duration::from_secs(60);
        let first = memory.charge(60, far, || true).unwrap();
        assert!(memory.charge(60, Instant::now(), || true).is_none());
        assert!(memory.charge(60, far, || false).is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| memory.charge(60, far, || true).is_some());
            drop(first);
            assert!(second.join().unwrap());
        });
    }

    #[test]
    fn a_job_as_large_as_the_budget_runs_alone_and_a_larger_one_never() {
        let memory = DecodeMemory::new(100);
        let far = Instant::now() + Duration::from_secs(60);
        let whole = memory.charge(100, far, || true).unwrap();
        assert!(memory.charge(1, Instant::now(), || true).is_none());
        drop(whole);
        for bytes in [101, u64::MAX] {
            assert!(memory.charge(bytes, far, || true).is_none(), "{bytes}");
        }
        assert!(memory.charge(1, far, || true).is_some());
    }
}
