//! Counters, gauges and histograms that a thread writes and a scrape reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the histograms' buckets, in seconds.
pub(super) const BOUNDS_S: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// A number that one shard writes and a scrape reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Durations by how long they were.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    pub(super) buckets: [AtomicU64; BOUNDS_S.len()],
    pub(super) count: AtomicU64,
    pub(super) sum_ns: AtomicU64,
}

impl Counter {
    /// Adds one.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Adds so many.
    pub fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Takes one off (gauges only).
    pub fn sub(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Sets it (gauges, and counters that another module keeps).
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Its present value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Histogram {
    /// Counts one duration.
    pub(super) fn observe(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        if let Some(bucket) = BOUNDS_S.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}
