//! Whether control still lives, and that no executor sleeps over its work: on a thread of its own, for nothing else
//! could tell.
//!
//! It counts its own looks instead of asking a clock, so that a process that was stopped, and whose control had no
//! chance to do anything, is not taken for one whose control is stuck.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::RunError;
use super::system::Bells;
use crate::shard::Node;

/// Between two looks, and so the longest that an executor sleeps over its work.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const LOOKS_PER_S: u64 = 10;

/// After so long without a beat this process is of no use to its cluster, and ends.
const SILENT_MAX_S: u64 = 60;

/// When to warn.
const SILENT_WARN_S: u64 = 5;

/// What was seen.
#[derive(Default)]
struct Watch {
    beats: u64,
    silent: u64,
}

impl Watch {
    /// For how many looks in a row control has not moved.
    fn look(&mut self, beats: u64) -> u64 {
        self.silent = if self.beats == beats { self.silent + 1 } else { 0 };
        self.beats = beats;
        self.silent
    }
}

/// Watches until the process ends, and ends it when control is stuck.
///
/// # Errors
/// No thread can be started.
pub(super) fn start(node: Arc<Node>, bells: Bells) -> Result<(), RunError> {
    let watch = move || {
        let mut watch = Watch::default();
        loop {
            thread::sleep(LOOK_EVERY);
            bells.ring();
            let silent = watch.look(node.line.beats());
            let silent_s = silent / LOOKS_PER_S;
            node.line.set_silent_s(silent_s);
            if silent == SILENT_WARN_S * LOOKS_PER_S {
                log::warn!(silent_s; "control does not move");
            }
            if silent_s >= SILENT_MAX_S {
                log::error!(silent_s; "control does not move, so the process ends");
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
    fn only_looks_without_a_beat_in_between_are_counted() {
        let mut watch = Watch { beats: 7, silent: 0 };
        assert_eq!([7, 7, 7].map(|beats| watch.look(beats)), [1, 2, 3]);
        assert_eq!([8, 9, 9].map(|beats| watch.look(beats)), [0, 0, 1]);
    }

    #[test]
    fn a_process_that_was_stopped_for_long_is_not_silent_when_it_wakes() {
        // However long the stop was, the watchdog has not looked meanwhile.
        let mut watch = Watch { beats: 100, silent: 0 };
        assert_eq!(watch.look(100), 1);
        assert_eq!(watch.look(101), 0);
    }
}
