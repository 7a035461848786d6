//! The pace of jobs: it tells whether a new job would have its turn in time.
//!
//! The median of the last jobs, not their mean: one job that took its whole deadline says nothing of the next ones,
//! and as long as fewer than half are slow it counts for nothing. Where most are slow, the queue really is; and since
//! a job is always taken when none waits, the estimate follows when that is over.

use std::time::Duration;

/// Jobs that are looked at: enough that seven slow ones change nothing, few enough to follow a change within seconds.
const JOBS: usize = 15;

/// The times of the last jobs.
#[derive(Debug, Default)]
pub(super) struct Pace {
    times: [Duration; JOBS],
    /// Jobs so far.
    count: usize,
}

impl Pace {
    /// A job took so long.
    pub(super) const fn note(&mut self, took: Duration) {
        self.times[self.count % JOBS] = took;
        self.count += 1;
    }

    /// The time that the next job may take; zero before the first.
    pub(super) fn estimate(&self) -> Duration {
        let mut times = self.times;
        let times = &mut times[..self.count.min(JOBS)];
        times.sort_unstable();
        // Of an even number the lower one: jobs are not refused on suspicion.
        times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(times_ms: &[u64]) -> u64 {
        let mut pace = Pace::default();
        times_ms.iter().for_each(|time| pace.note(Duration::from_millis(*time)));
        pace.estimate().as_millis() as u64
    }

    #[test]
    fn outliers_do_not_count_and_a_change_does() {
        assert_eq!(estimate(&[]), 0);
        assert_eq!(estimate(&[40]), 40);
        assert_eq!(estimate(&[40, 10_000]), 40);
        let mut times = vec![40; 15];
        times.extend([10_000; 7]);
        assert_eq!(estimate(&times), 40);
        times.push(10_000);
        assert_eq!(estimate(&times), 10_000);
        times.extend([50; 8]);
        assert_eq!(estimate(&times), 50);
    }
}
