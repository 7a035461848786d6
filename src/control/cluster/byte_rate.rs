//! The rate of a counter of bytes, over the last ten seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Long enough to even out single copies, short enough to follow a change.
const OVER: Duration = Duration::from_secs(10);

/// Values of a counter, and when each was read: those of the last ten seconds, and one before.
#[derive(Debug, Default)]
pub(super) struct ByteRate(VecDeque<(Instant, u64)>);

impl ByteRate {
    /// The counter has this value now.
    pub(super) fn note(&mut self, value: u64, now: Instant) {
        self.0.push_back((now, value));
        while self.0.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= OVER) {
            self.0.pop_front();
        }
    }

    /// Bytes in a second; 0 before the second value.
    pub(super) fn per_second(&self) -> u64 {
        let (Some((from, before)), Some((to, after))) = (self.0.front(), self.0.back()) else { return 0 };
        let millis = u64::try_from(to.saturating_duration_since(*from).as_millis()).unwrap_or(u64::MAX);
        after.saturating_sub(*before).saturating_mul(1_000).checked_div(millis).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_ten_seconds() {
        let (mut rate, start) = (ByteRate::default(), Instant::now());
        let mut note = |second: u64, value| {
            rate.note(value, start + Duration::from_secs(second));
            rate.per_second()
        };
        assert_eq!(note(0, 1_000), 0);
        assert_eq!(note(2, 3_000), 1_000);
        assert_eq!(note(4, 3_000), 500);
        assert_eq!(note(12, 3_000), 0);
        assert_eq!(note(14, 33_000), 3_000);
    }
}
