//! When requests are to begin: one after another on each connection, or at a fixed rate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The time since the start of the load, in nanoseconds.
pub(crate) type Moment = u64;

/// The schedule, shared by all threads.
#[derive(Debug)]
pub(crate) struct Schedule {
    started: Instant,
    end: Moment,
    rate: Option<f64>,
    /// The number of the next request at a fixed rate.
    next: AtomicU64,
    is_used_up: AtomicBool,
}

impl Schedule {
    /// A load that begins at `started`: `rate` requests per second, or as many as there can be.
    pub(crate) fn new(rate: Option<f64>, duration: Duration, started: Instant) -> Self {
        let end = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { started, end, rate, next: AtomicU64::new(0), is_used_up: AtomicBool::new(false) }
    }

    pub(crate) fn now(&self) -> Moment {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) const fn end(&self) -> Moment {
        self.end
    }

    /// Whether no further request begins.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        now >= self.end || self.is_used_up.load(Relaxed)
    }

    /// There is nothing left to ask for.
    pub(crate) fn use_up(&self) {
        self.is_used_up.store(true, Relaxed);
    }

    /// Takes the next request that is to have begun by now: the moment when it was to begin.
    pub(crate) fn claim(&self, now: Moment) -> Option<Moment> {
        if self.is_over(now) {
            return None;
        }
        let Some(rate) = self.rate else { return Some(now) };
        let is_due = |number: u64| moment(number, rate) <= now;
        let claimed =
            self.next.fetch_update(Relaxed, Relaxed, |number| is_due(number).then(|| number + 1)).ok()?;
        Some(moment(claimed, rate))
    }

    /// The time until a request is to begin, or until the end.
    pub(crate) fn pause(&self, now: Moment) -> Duration {
        let next = self.rate.map_or(self.end, |rate| moment(self.next.load(Relaxed), rate));
        Duration::from_nanos(next.min(self.end).saturating_sub(now))
    }

    /// Requests that were to begin before the end and for which there was no connection.
    pub(crate) fn left_over(&self) -> u64 {
        let Some(rate) = self.rate.filter(|_| !self.is_used_up.load(Relaxed)) else { return 0 };
        let planned = (self.end as f64 / 1e9 * rate).ceil() as u64;
        planned.saturating_sub(self.next.load(Relaxed))
    }
}

/// When this request of a fixed rate is to begin.
fn moment(number: u64, rate: f64) -> Moment {
    (number as f64 * 1e9 / rate) as Moment
}
