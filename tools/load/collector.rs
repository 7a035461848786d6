//! Gathers the tallies of all threads second by second, shows progress, and makes the report.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::flags::Flags;
use crate::report::{Report, Second};
use crate::schedule::Schedule;
use crate::tally::Tally;
use crate::worker::SecondTally;

/// Seconds that may be incomplete, because a thread has not handed its tally over yet.
const OPEN_SECONDS: u64 = 2;

/// The pause between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Collector<'a> {
    flags: &'a Flags,
    schedule: &'a Schedule,
    total: Tally,
    open: BTreeMap<u64, Tally>,
    seconds: Vec<Second>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(flags: &'a Flags, schedule: &'a Schedule) -> Self {
        Self { flags, schedule, total: Tally::new(), open: BTreeMap::new(), seconds: Vec::new() }
    }

    /// Gathers until all threads have ended.
    pub(crate) fn collect(mut self, tallies: &flume::Receiver<SecondTally>) -> Report {
        loop {
            match tallies.recv_timeout(PROGRESS_EVERY) {
                Ok(SecondTally { second, tally }) => {
                    self.total.add(&tally);
                    self.open.entry(second).or_insert_with(Tally::new).add(&tally);
                    self.close_before(second.saturating_sub(OPEN_SECONDS));
                }
                Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => break,
            }
            self.show_progress();
        }
        self.close_before(u64::MAX);
        if io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
        Report::new(self.flags, self.total, self.seconds, self.schedule.left_over())
    }

    /// Reduces each earlier second to a few numbers: histograms of a long load would fill the memory.
    fn close_before(&mut self, second: u64) {
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() < second) {
            let (second, tally) = entry.remove_entry();
            // A thread may be late with a second; its part stands by itself then, and the total is right.
            self.seconds.push(Second::of(second, &tally));
        }
    }

    fn show_progress(&self) {
        if !io::stderr().is_terminal() {
            return;
        }
        let Some((second, tally)) = self.open.iter().next_back() else { return };
        let latency = tally.latency();
        let ms = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1000.0;
        let line = format!(
            "{second} s of {}: {} answers/s, p50 {:.2} ms, p99 {:.2} ms, {} wrong in all",
            self.flags.duration,
            tally.right(),
            ms(0.5),
            ms(0.99),
            self.total.failures()
        );
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }
}
