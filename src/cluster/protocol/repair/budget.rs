//! The number of copies that a shard reads, fetches or sends at once for repairs, and the rest after each turn.
//!
//! A repair must take what requests leave, and all of it. Nobody knows that amount, so it is found out: one more turn
//! for each window in which more were wanted, half of them after a window in which requests were late (additive increase,
//! multiplicative decrease: Chiu and Jain, 1989).
//!
//! Late is what the shard's executor gets to late: a task that is due waits as long as a request does. That counts while
//! requests are served; without any, nobody feels it. The executor does not feel a busy disk, so there are few turns
//! beside requests anyway.
//!
//! With one turn left and requests still late, the turn rests for a multiple of its own length. It never stops: an image
//! with too few copies is the greater harm.

use crate::cluster::time::Time;

/// A probe of the executor that comes later than this, in microseconds, counts as late. Requests may be slowed by two
/// milliseconds at their 99th percentile, and a request waits for the executor twice.
const LATE_US: u64 = 1_000;

/// One late probe of 50 is what any machine does now and then; a repair that is felt makes more.
const LATE_PARTS: u32 = 50;

/// The budget of one shard.
#[derive(Clone, Debug)]
pub struct RepairBudget {
    limit: u32,
    taken: u32,
    rest: u32,
    /// No window was bad yet: the number of turns doubles until then (slow start).
    is_starting: bool,
    window: Window,
}

/// The signals since the last decision.
#[derive(Clone, Debug, Default)]
struct Window {
    began: Option<Time>,
    probes: u32,
    late: u32,
    /// Whether more turns were wanted than there were.
    was_full: bool,
}

impl RepairBudget {
    /// Turns at once at most: they keep a disk busy that syncs for many at once. Each holds a megabyte at most.
    pub const LIMIT_MAX: u32 = 16;
    /// The same while requests are served: a read of theirs meets a short queue at the disk.
    pub const BUSY_LIMIT_MAX: u32 = 2;
    /// Turns at once that talk to one peer: a few peers together may use them all, one that hangs holds up a quarter.
    pub const PEER_MAX: u32 = 4;
    /// Between two probes of the delay, in milliseconds.
    pub const PROBE_EVERY_MS: u64 = 5;
    /// Between two decisions, in milliseconds: 50 probes, and a few turns.
    pub const WINDOW_MS: u64 = 250;
    /// A turn rests for so many times its length at most: a repair takes a fifth of one turn at least.
    pub const REST_MAX: u32 = 4;

    const LIMIT_FIRST: u32 = 2;

    /// Whether another turn may begin now. If not, more turns are wanted than there are.
    pub fn may_take(&mut self) -> bool {
        let may_take = self.taken < self.limit;
        self.window.was_full |= !may_take;
        may_take
    }

    /// A turn begins.
    pub fn take(&mut self) {
        assert!(self.taken < self.limit, "invariant: repair budget: no more turns are taken than there are");
        self.taken += 1;
    }

    /// The time that a turn rests for before it is given back; in microseconds, like the time that its work took.
    pub fn rest_after(&self, took_us: u64) -> u64 {
        took_us.saturating_mul(u64::from(self.rest))
    }

    /// A turn is given back.
    pub fn give_back(&mut self) {
        assert!(self.taken > 0, "invariant: repair budget: only a turn that was taken is given back");
        self.taken -= 1;
    }

    /// No turn is taken: there is nothing to be measured.
    pub fn be_idle(&mut self) {
        self.window = Window::default();
    }

    /// A task that was due ran so much later, in microseconds.
    pub fn note_delay(&mut self, delay_us: u64) {
        self.window.probes += 1;
        self.window.late += u32::from(delay_us > LATE_US);
    }

    /// Whether a window has ended, so that [`Self::decide`] is due.
    pub fn is_due(&mut self, now: Time) -> bool {
        now.since(*self.window.began.get_or_insert(now)) >= Self::WINDOW_MS
    }

    /// Ends a window: sets the number of turns and their rest by what was noted in it. `has_requests`: whether any request
    /// was answered in it.
    pub fn decide(&mut self, now: Time, has_requests: bool) {
        let window = std::mem::replace(&mut self.window, Window { began: Some(now), ..Window::default() });
        let limit_max = if has_requests { Self::BUSY_LIMIT_MAX } else { Self::LIMIT_MAX };
        if has_requests && window.late * LATE_PARTS > window.probes {
            self.is_starting = false;
            self.rest = if self.limit == 1 { (self.rest * 2).clamp(1, Self::REST_MAX) } else { self.rest };
            self.limit = (self.limit / 2).max(1);
        } else if self.rest > 0 {
            // First the rest goes, then turns are added.
            self.rest /= 2;
        } else if window.was_full {
            self.limit += if self.is_starting { self.limit } else { 1 };
        }
        self.limit = self.limit.min(limit_max);
        assert!(
            (1..=Self::LIMIT_MAX).contains(&self.limit) && self.rest <= Self::REST_MAX,
            "invariant: repair budget: repairs go on, and within their bounds"
        );
    }

    /// Turns at once.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Turns that are taken, or rest.
    pub const fn taken(&self) -> u32 {
        self.taken
    }
}

impl Default for RepairBudget {
    fn default() -> Self {
        Self { limit: Self::LIMIT_FIRST, taken: 0, rest: 0, is_starting: true, window: Window::default() }
    }
}

#[cfg(test)]
mod tests;
