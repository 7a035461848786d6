//! Rate-limited log lines for events that strangers can trigger: one a second, with the count of suppressed ones.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// One kind of line, for the whole process. Takes a lock, so keep it off the hit path.
#[derive(Debug)]
pub struct Occasionally(Mutex<OccasionState>);

#[derive(Debug)]
struct OccasionState {
    last: Option<Instant>,
    suppressed: u64,
}

impl Occasionally {
    /// Nothing was logged yet.
    pub const fn new() -> Self {
        Self(Mutex::new(OccasionState { last: None, suppressed: 0 }))
    }

    /// Calls `say` with the number of suppressed lines, unless the last call is less than a second ago.
    pub fn say(&self, say: impl FnOnce(u64)) {
        self.say_at(Instant::now(), say);
    }

    fn say_at(&self, now: Instant, say: impl FnOnce(u64)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.suppressed += 1;
            return;
        }
        state.last = Some(now);
        let suppressed = std::mem::take(&mut state.suppressed);
        drop(state);
        say(suppressed);
    }
}

impl Default for Occasionally {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_times_a_second_is_said_once_a_second() {
        let (line, begin) = (Occasionally::new(), Instant::now());
        let mut said = Vec::new();
        for number in 0..=200 {
            line.say_at(begin + Duration::from_millis(10) * number, |suppressed| said.push(suppressed));
        }
        assert_eq!(said, [0, 99, 99]);
    }
}
