//! Messages between threads that a bounded channel refused: counted by kind and reason, for the whole process.
//!
//! Nobody waits to send from one core to another. A refused message is answered, sent again or given up by its sender, and
//! always counted here. The counters are written only then, so all threads share them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use flume::TrySendError;
use prometheus::proto;

use super::family::counter;
use super::label::{ChannelMessage, ChannelRefusal, Label};

static REFUSED: ChannelMetrics = ChannelMetrics::new();

const COUNTERS: usize = ChannelMessage::ALL.len() * ChannelRefusal::ALL.len();

/// The counters of refused messages.
#[derive(Debug)]
struct ChannelMetrics([AtomicU64; COUNTERS]);

/// Sends a message without waiting. False: the channel refused it, and the refusal is counted.
pub fn try_send<T>(channel: &flume::Sender<T>, kind: ChannelMessage, message: T) -> bool {
    let refusal = match channel.try_send(message) {
        Ok(()) => return true,
        Err(TrySendError::Full(_)) => ChannelRefusal::Full,
        Err(TrySendError::Disconnected(_)) => ChannelRefusal::Closed,
    };
    REFUSED.add(kind, refusal);
    false
}

/// Counts a message that was refused before it came to its channel, or whose channel has closed.
pub fn count_refused(kind: ChannelMessage, refusal: ChannelRefusal) {
    REFUSED.add(kind, refusal);
}

pub(super) fn family() -> proto::MetricFamily {
    REFUSED.family()
}

impl ChannelMetrics {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; COUNTERS])
    }

    fn add(&self, kind: ChannelMessage, refusal: ChannelRefusal) {
        self.0[position(kind, refusal)].fetch_add(1, Relaxed);
    }

    /// Every kind that was ever refused, so that a scrape stays short.
    fn family(&self) -> proto::MetricFamily {
        let all = ChannelMessage::ALL
            .iter()
            .flat_map(|kind| ChannelRefusal::ALL.iter().map(move |refusal| (*kind, *refusal)));
        let samples = all.filter_map(|((kind, kind_text), (refusal, refusal_text))| {
            let count = self.0[position(kind, refusal)].load(Relaxed);
            (count > 0).then(|| (vec![("kind", kind_text), ("reason", refusal_text)], count))
        });
        counter(
            "reticulum_channel_refused_total",
            "Messages between threads that found their channel full or closed.",
            samples.collect(),
        )
    }
}

fn position(kind: ChannelMessage, refusal: ChannelRefusal) -> usize {
    kind.index() * ChannelRefusal::ALL.len() + refusal.index()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_counted_by_kind_and_reason_and_the_rest_is_not_shown() {
        let metrics = ChannelMetrics::new();
        assert!(metrics.family().get_metric().is_empty());
        metrics.add(ChannelMessage::Gossip, ChannelRefusal::Full);
        metrics.add(ChannelMessage::Gossip, ChannelRefusal::Full);
        metrics.add(ChannelMessage::End, ChannelRefusal::Closed);
        let family = metrics.family();
        let read = |metric: &proto::Metric| {
            let labels = metric.get_label().iter().map(|label| label.value().to_owned());
            (labels.collect::<Vec<_>>().join(" "), metric.get_counter().get_value())
        };
        let found: Vec<_> = family.get_metric().iter().map(read).collect();
        assert_eq!(found, [("end closed".to_owned(), 1.0), ("gossip full".to_owned(), 2.0)]);
    }

    #[test]
    fn a_full_and_a_closed_channel_refuse() {
        let (sender, receiver) = flume::bounded(1);
        assert!(try_send(&sender, ChannelMessage::Made, 1));
        assert!(!try_send(&sender, ChannelMessage::Made, 2));
        drop(receiver);
        assert!(!try_send(&sender, ChannelMessage::Made, 3));
        let count = |refusal| REFUSED.0[position(ChannelMessage::Made, refusal)].load(Relaxed);
        assert_eq!((count(ChannelRefusal::Full), count(ChannelRefusal::Closed)), (1, 1));
    }
}
