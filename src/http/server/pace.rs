//! The pace of a client that sends a body or takes an answer: a limit on silence and a least mean rate. Pure.
//!
//! A sweep looks at a connection a few times a second; nothing here runs per request.

use std::time::{Duration, Instant};

/// Over this long the mean rate is taken, so this is also the time before it counts. A client on a train
/// pauses for seconds; one that is slower than the least rate for ten is not worth its place.
const WINDOW: Duration = Duration::from_secs(10);

/// Limits for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaceLimits {
    /// Without any byte.
    pub(in crate::http) silence: Duration,
    /// Bytes a second on average; 0 asks for none.
    pub(super) rate_min: u64,
}

/// One sample of a transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaceSample {
    pub(in crate::http) now: Instant,
    /// Bytes that have moved since the connection began.
    pub(in crate::http) moved: u64,
    /// The client could move more: it owes bytes, or has not taken what was sent.
    pub(super) is_awaited: bool,
}

/// One body or one answer under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The window's begin, and what had moved by then.
    begin: Instant,
    before: u64,
    /// When a look last found more than the look before it.
    last_at: Instant,
    last: u64,
}

impl Pace {
    pub(in crate::http) const fn begin(look: PaceSample) -> Self {
        Self { begin: look.now, before: look.moved, last_at: look.now, last: look.moved }
    }

    /// This node took so long for something else, and the client was not waited for.
    pub(in crate::http) fn pause(&mut self, time: Duration) {
        self.begin += time;
        self.last_at += time;
    }

    /// Whether the client is too slow.
    pub(in crate::http) fn check(&mut self, look: PaceSample, limits: PaceLimits) -> bool {
        let PaceSample { now, moved, is_awaited } = look;
        if moved > self.last {
            (self.last, self.last_at) = (moved, now);
        }
        if now.saturating_duration_since(self.last_at) > limits.silence {
            return true;
        }
        let passed = now.saturating_duration_since(self.begin);
        let is_slow = is_awaited
            && passed >= WINDOW
            && ((moved.saturating_sub(self.before)) as f64) < limits.rate_min as f64 * passed.as_secs_f64();
        // A window with a moment in which this node was the slow one says nothing of the client.
        if !is_slow && (!is_awaited || passed >= WINDOW) {
            (self.begin, self.before) = (now, moved);
        }
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PaceLimits = PaceLimits { silence: Duration::from_secs(10), rate_min: 1000 };

    /// The second at which a client is ended that has moved `moved(second)` bytes by each second.
    fn ended(limits: PaceLimits, is_awaited: bool, moved: impl Fn(u64) -> u64) -> Option<u64> {
        let begin = Instant::now();
        let at = |second| PaceSample {
            now: begin + Duration::from_secs(second),
            moved: moved(second),
            is_awaited,
        };
        let mut pace = Pace::begin(at(0));
        (1..300).find(|second| pace.check(at(*second), limits))
    }

    #[test]
    fn a_byte_now_and_then_is_too_slow_after_ten_seconds() {
        assert_eq!(ended(LIMITS, true, |second| second / 9), Some(10));
        assert_eq!(ended(LIMITS, true, |second| second * 999), Some(10));
    }

    #[test]
    fn a_good_begin_earns_no_credit() {
        assert_eq!(ended(LIMITS, true, |second| 100_000_000 * second.min(1) + second / 9), Some(20));
    }

    #[test]
    fn pauses_are_no_matter_while_the_mean_is_right() {
        assert_eq!(ended(LIMITS, true, |second| second / 9 * 50_000), None);
        assert_eq!(ended(LIMITS, true, |second| second * 1000), None);
    }

    #[test]
    fn silence_ends_it_whatever_the_rate() {
        assert_eq!(ended(PaceLimits { rate_min: 0, ..LIMITS }, true, |_| 0), Some(11));
        assert_eq!(ended(LIMITS, false, |_| 0), Some(11));
        assert_eq!(ended(PaceLimits { rate_min: 0, ..LIMITS }, true, |second| second / 9), None);
    }

    #[test]
    fn a_pause_of_the_node_does_not_count() {
        let begin = Instant::now();
        let look =
            |second, moved| PaceSample { now: begin + Duration::from_secs(second), moved, is_awaited: true };
        let mut pace = Pace::begin(look(0, 0));
        pace.pause(Duration::from_secs(100));
        assert!(!pace.check(look(109, 0), LIMITS));
        assert!(pace.check(look(110, 0), LIMITS));
    }

    #[test]
    fn a_slow_node_is_not_the_clients_fault() {
        assert_eq!(ended(LIMITS, false, |second| second / 9), None);
    }
}
