//! Publishes views to the shards. At most one is in flight to each shard, so that a late shard gets the newest view next.
//! A view that a full mailbox refuses is sent again.

use std::sync::Arc;

use crate::cluster::view::View;
use crate::shard::message::Message;

/// The views that are shown.
pub(super) struct Publisher {
    shards: Vec<ShardViews>,
    number: u64,
    newest: Option<Arc<View>>,
}

struct ShardViews {
    mailbox: flume::Sender<Message>,
    /// The number of the view that was sent last, and of the one that it works by.
    sent: u64,
    taken: u64,
}

impl Publisher {
    pub(super) fn new(mailboxes: Vec<flume::Sender<Message>>) -> Self {
        let shards = mailboxes.into_iter().map(|mailbox| ShardViews { mailbox, sent: 0, taken: 0 }).collect();
        Self { shards, number: 0, newest: None }
    }

    /// Every shard is to work by this view.
    pub(super) fn publish(&mut self, view: Arc<View>) {
        self.number += 1;
        self.newest = Some(view);
        (0..self.shards.len()).for_each(|shard| self.send(shard));
    }

    /// A shard works by the view of this number.
    pub(super) fn view_taken(&mut self, shard: usize, number: u64) {
        self.shards[shard].taken = number;
        self.send(shard);
    }

    /// Sends again what a mailbox refused. A shard that has ended refuses everything and needs nothing.
    pub(super) fn retry(&mut self) {
        (0..self.shards.len()).for_each(|shard| self.send(shard));
    }

    /// The number of the oldest view that a shard works by.
    pub(super) fn taken_everywhere(&self) -> u64 {
        self.shards.iter().map(|shard| shard.taken).min().unwrap_or(self.number)
    }

    /// Whether all shards work by the newest view.
    pub(super) fn is_current(&self) -> bool {
        self.shards.iter().all(|shard| shard.taken == self.number)
    }

    fn send(&mut self, index: usize) {
        let (shard, number) = (&mut self.shards[index], self.number);
        if let Some(view) = self.newest.as_ref().filter(|_| shard.sent == shard.taken && shard.sent < number)
        {
            let message = Message::SetView { view: Arc::clone(view), number };
            // A mailbox can be full for a moment, with questions that their clients gave up.
            if message.post(&shard.mailbox) {
                shard.sent = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::node::NodeId;
    use crate::cluster::time::Time;

    #[test]
    fn a_late_shard_gets_the_newest_view_and_never_two_at_once() {
        let (mailbox, messages) = flume::bounded(1);
        let mut publisher = Publisher::new(vec![mailbox]);
        assert!(publisher.is_current());
        let view = || Arc::new(View::empty(NodeId::from_bytes([1; 16]), Time::default()));
        let number = |message| match message {
            Message::SetView { number, .. } => number,
            other => panic!("{other:?}"),
        };
        (0..3).for_each(|_| publisher.publish(view()));
        assert_eq!(number(messages.try_recv().unwrap()), 1);
        assert!(messages.is_empty() && !publisher.is_current());
        publisher.view_taken(0, 1);
        assert_eq!(number(messages.try_recv().unwrap()), 3);
        assert!(!publisher.is_current());
        publisher.view_taken(0, 3);
        assert!(messages.is_empty() && publisher.is_current());
    }

    #[test]
    fn a_view_that_a_full_mailbox_refuses_is_sent_again() {
        let (mailbox, messages) = flume::bounded(1);
        mailbox.try_send(Message::Drain).unwrap();
        let mut publisher = Publisher::new(vec![mailbox]);
        publisher.publish(Arc::new(View::empty(NodeId::from_bytes([1; 16]), Time::default())));
        publisher.retry();
        assert!(matches!(messages.try_recv(), Ok(Message::Drain)) && messages.is_empty());
        publisher.retry();
        publisher.retry();
        assert!(matches!(messages.try_recv(), Ok(Message::SetView { number: 1, .. })) && messages.is_empty());
    }
}
