//! The events that control waits for, and the thread that turns signals into them.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::RunError;
use crate::telemetry::metrics::{ChannelMessage, channel};

/// An event that control waits for.
#[derive(Debug)]
pub(super) enum ProcessEvent {
    /// A shard is ready.
    Ready,
    /// This node knows its cluster, or has to be asked before it can.
    ClusterReady,
    Served,
    Ended(usize),
    Signal(i32),
}

/// Signals arrive on a thread of their own: nothing else is safe to do in a handler.
pub(super) fn watch_signals(events: flume::Sender<ProcessEvent>) -> Result<(), RunError> {
    let start = |error: std::io::Error| RunError::Start(error.to_string());
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(start)?;
    let watch = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if stopping && signal != SIGHUP {
                // The second one: its sender does not want to wait.
                std::process::exit(1);
            }
            stopping |= signal != SIGHUP;
            if events.send(ProcessEvent::Signal(signal)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(start)?;
    Ok(())
}

/// Tells control that this node knows its cluster.
pub(super) fn report_ready(events: &flume::Sender<ProcessEvent>) {
    channel::try_send(events, ChannelMessage::Lifecycle, ProcessEvent::ClusterReady);
}
