//! The watchdog: ends the process when the control core is stuck, and wakes executors that sleep over their work. It
//! has a thread of its own, for nothing else could tell.
//!
//! It counts its own checks instead of reading a clock: a process that was stopped must not look like one whose control
//! is stuck.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::error::RunError;
use super::system::{ExecutorWakers, processor_time};
use crate::shard::NodeContext;

/// Between two checks.
const CHECK_EVERY: Duration = Duration::from_millis(100);

const CHECKS_PER_S: u64 = 10;

/// Processor time of a process at rest from one look to the next, and what it takes an executor to be woken in vain.
const AT_REST: Duration = Duration::from_micros(150);
const WOKEN: Duration = Duration::from_micros(150);

/// After so long without a heartbeat this process is of no use to its cluster, and ends.
const SILENT_MAX_S: u64 = 60;

/// When to warn.
const SILENT_WARN_S: u64 = 5;

/// Counts checks without a heartbeat.
#[derive(Default)]
struct StallCounter {
    heartbeats: u64,
    silent: u64,
}

impl StallCounter {
    /// For how many checks in a row control has not moved.
    fn count(&mut self, heartbeats: u64) -> u64 {
        self.silent = if self.heartbeats == heartbeats { self.silent + 1 } else { 0 };
        self.heartbeats = heartbeats;
        self.silent
    }
}

/// When the executors have to be woken: as long as anything is done, at each look or each other; at rest once a second,
/// or their waking would be most of what a node at rest does.
struct WakeSchedule {
    /// The processor time that it takes to wake all of them.
    cost: Duration,
    /// The processor time of the process at the last look.
    used: Duration,
    since_wake: u64,
}

impl WakeSchedule {
    fn is_due(&mut self, used: Duration) -> bool {
        let spent = used.saturating_sub(self.used);
        let at_rest = if self.since_wake == 0 { AT_REST + self.cost } else { AT_REST };
        let is_due = spent > at_rest || self.since_wake + 1 >= CHECKS_PER_S;
        self.used = used;
        self.since_wake = if is_due { 0 } else { self.since_wake + 1 };
        is_due
    }
}

/// Watches until the process ends, and ends it when control is stuck.
///
/// # Errors
/// No thread can be started.
pub(super) fn start(node: Arc<NodeContext>, wakers: ExecutorWakers) -> Result<(), RunError> {
    let watch = move || {
        let mut stalls = StallCounter::default();
        let mut schedule = WakeSchedule { cost: WOKEN * wakers.count(), used: Duration::ZERO, since_wake: 0 };
        loop {
            thread::sleep(CHECK_EVERY);
            if schedule.is_due(processor_time()) {
                wakers.wake();
            }
            // Of a disk that hangs only another thread can tell.
            node.health.log_changes();
            let silent = stalls.count(node.control.heartbeats());
            let silent_s = silent / CHECKS_PER_S;
            node.control.set_silent_s(silent_s);
            if silent == SILENT_WARN_S * CHECKS_PER_S {
                log::warn!(silent_s; "the control core has not moved; if it stays stuck for a minute, the process ends");
            }
            if silent_s >= SILENT_MAX_S {
                log::error!(silent_s; "the control core is stuck, so the process ends; restart the node and report this line");
                std::process::exit(1);
            }
        }
    };
    let spawned = thread::Builder::new().name("watchdog".to_owned()).spawn(watch);
    spawned.map(drop).map_err(|error| RunError::Start(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_checks_without_a_heartbeat_in_between_are_counted() {
        let mut stalls = StallCounter { heartbeats: 7, silent: 0 };
        assert_eq!([7, 7, 7].map(|heartbeats| stalls.count(heartbeats)), [1, 2, 3]);
        assert_eq!([8, 9, 9].map(|heartbeats| stalls.count(heartbeats)), [0, 0, 1]);
    }

    #[test]
    fn executors_are_woken_at_once_while_something_is_done_and_once_a_second_at_rest() {
        let cost = WOKEN * 3;
        let mut schedule = WakeSchedule { cost, used: Duration::ZERO, since_wake: 0 };
        let mut used = Duration::ZERO;
        let mut look = |spent: Duration| {
            used += spent;
            schedule.is_due(used)
        };
        let busy = AT_REST + cost + Duration::from_micros(1);
        assert!((0..5).all(|_| look(busy)));
        // To have been woken is no work.
        let mut at_rest = vec![look(AT_REST + cost)];
        at_rest.extend((0..9).map(|_| look(AT_REST)));
        assert_eq!(at_rest, [[false; 9].as_slice(), &[true]].concat());
        assert!(!look(AT_REST + cost));
        assert!(look(AT_REST + Duration::from_micros(1)), "the least that is done");
    }

    #[test]
    fn a_process_that_was_stopped_for_long_is_not_silent_when_it_wakes() {
        // However long the stop was, the watchdog has not looked meanwhile.
        let mut stalls = StallCounter { heartbeats: 100, silent: 0 };
        assert_eq!(stalls.count(100), 1);
        assert_eq!(stalls.count(101), 0);
    }
}
