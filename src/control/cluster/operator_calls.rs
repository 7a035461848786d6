//! Operators' calls: each is answered when the layout that contains its change is durable on this node.
//!
//! A refusal waits likewise, for it may name the hash of a layout that is not durable yet.

use crate::cluster::operator::{LayoutOutcome, LayoutRefusal};
use crate::shard::control_link::OperatorCall;
use crate::telemetry::metrics::{ChannelMessage, ChannelRefusal, channel};

type Outcome = Result<LayoutOutcome, LayoutRefusal>;

/// Outcomes of about 200 bytes that may wait for the disk. Their askers wait ten seconds each, so they are more only
/// where many ask at once while the disk hangs.
const WAITING_MAX: usize = 64;

/// Outcomes that wait until the layout of their number is durable.
#[derive(Default)]
pub(super) struct PendingReplies(Vec<PendingReply>);

struct PendingReply {
    sequence: u64,
    outcome: Outcome,
    reply: flume::Sender<Outcome>,
}

impl PendingReplies {
    /// Makes room where askers have gone, and says whether there is any. If not, the call must not be carried out.
    pub(super) fn has_room(&mut self) -> bool {
        self.0.retain(|pending| !pending.reply.is_disconnected());
        self.0.len() < WAITING_MAX
    }

    /// Keeps an outcome until the layout of this number is durable.
    pub(super) fn add(&mut self, sequence: u64, outcome: Outcome, reply: flume::Sender<Outcome>) {
        self.0.push(PendingReply { sequence, outcome, reply });
    }

    /// Sends the outcomes whose layout is durable by now.
    pub(super) fn send_durable(&mut self, durable_sequence: u64) {
        for pending in self.0.extract_if(.., |pending| pending.sequence <= durable_sequence) {
            // Its asker may have given up.
            channel::try_send(&pending.reply, ChannelMessage::OperatorReply, pending.outcome);
        }
    }
}

/// Gives a call up, which its asker is told by the end of its channel.
pub(super) fn refuse(call: OperatorCall) {
    drop(call);
    channel::count_refused(ChannelMessage::OperatorReply, ChannelRefusal::Full);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_sent_when_its_layout_is_durable_and_not_before() {
        let mut replies = PendingReplies::default();
        let (reply, outcome) = flume::bounded(1);
        replies.add(3, Err(LayoutRefusal::UnknownNode), reply);
        replies.send_durable(2);
        assert!(outcome.is_empty());
        replies.send_durable(4);
        assert_eq!(outcome.try_recv(), Ok(Err(LayoutRefusal::UnknownNode)));
    }

    #[test]
    fn while_the_disk_hangs_only_so_many_wait_and_those_who_left_make_room() {
        let mut replies = PendingReplies::default();
        let mut askers = Vec::new();
        while replies.has_room() {
            let (reply, outcome) = flume::bounded(1);
            replies.add(1, Err(LayoutRefusal::UnknownNode), reply);
            askers.push(outcome);
        }
        assert_eq!(askers.len(), WAITING_MAX);
        askers.pop();
        assert!(replies.has_room());
    }
}
