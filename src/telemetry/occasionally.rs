//! Log lines that a stranger can trigger as often as it likes: one a second, with the count of those left out.

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
    untold: u64,
}

impl Occasionally {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self(Mutex::new(OccasionState { last: None, untold: 0 }))
    }

    /// Calls `say` with how many times it was not called since it was, unless that is less than a second ago.
    pub fn say(&self, say: impl FnOnce(u64)) {
        self.say_at(Instant::now(), say);
    }

    fn say_at(&self, now: Instant, say: impl FnOnce(u64)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.untold += 1;
            return;
        }
        state.last = Some(now);
        let untold = std::mem::take(&mut state.untold);
        drop(state);
        say(untold);
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
            line.say_at(begin + Duration::from_millis(10) * number, |untold| said.push(untold));
        }
        assert_eq!(said, [0, 99, 99]);
    }
}
