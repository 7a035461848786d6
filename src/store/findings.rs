//! Findings of the threads that walk and read the store: faults of single images, told to the shards that hold them.
//!
//! A finding is a hint. The shard looks itself before it acts. The scrub, and a walk that was asked for, tell it again while
//! it is refused. What is told is among the node's [`BadCopies`] before a shard hears of it.

use crate::object::{Format, ObjectId};
use crate::store::StoreError;
use crate::store::bad_copies::{Added, BadCopies, FoundBy};
use crate::store::stamp::Stamp;
use crate::telemetry::metrics::{ChannelMessage, channel};

/// Findings that wait for one shard, about 100 bytes each. A shard that has more to do than this repairs for long anyway.
pub(super) const WAITING_MAX: usize = 1024;

/// Something wrong with the file of an image.
#[derive(Debug)]
pub enum Finding {
    /// It was there, and has gone without the node's doing.
    Vanished(ObjectId),
    /// Its bytes do not have its id.
    Wrong {
        /// The id that it should have.
        id: ObjectId,
        /// The format in its name.
        format: Format,
        /// Which file was read.
        stamp: Stamp,
    },
    /// The disk cannot read it.
    Unreadable(ObjectId, StoreError),
}

/// The way to all shards.
#[derive(Clone, Debug)]
pub struct FindingSender {
    shards: Vec<flume::Sender<Finding>>,
    bad_copies: BadCopies,
}

/// A shard's end of it.
pub type FindingReceiver = flume::Receiver<Finding>;

/// The way to so many shards, and the end of each.
pub fn channels(shards: usize, bad_copies: BadCopies) -> (FindingSender, Vec<FindingReceiver>) {
    let (senders, receivers) = (0..shards).map(|_| flume::bounded(WAITING_MAX)).unzip();
    (FindingSender { shards: senders, bad_copies }, receivers)
}

impl Finding {
    /// The image.
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Vanished(id) | Self::Unreadable(id, _) | Self::Wrong { id, .. } => *id,
        }
    }
}

impl FindingSender {
    /// Tells the shard that holds the image, without waiting. False: that was refused, because too much waits.
    pub fn report(&self, finding: Finding) -> bool {
        let id = finding.id();
        let added = self.bad_copies.add(id, FoundBy::Scrub);
        if added == Added::Full {
            return false;
        }
        let shard = id.shard(self.shards.len());
        let is_sent = channel::try_send(&self.shards[shard], ChannelMessage::Finding, finding);
        if !is_sent && added == Added::New {
            self.bad_copies.close(&id);
        }
        is_sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_that_holds_an_image_is_told_until_its_channel_is_full() {
        let (sender, receivers) = channels(3, BadCopies::default());
        let id = ObjectId::from_digest([0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for _ in 0..WAITING_MAX {
            assert!(sender.report(Finding::Vanished(id)));
        }
        assert!(!sender.report(Finding::Vanished(id)));
        assert_eq!(sender.bad_copies.found_by(&id), Some(FoundBy::Scrub));
        let refused = ObjectId::from_digest([0, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert!(!sender.report(Finding::Vanished(refused)));
        assert_eq!(sender.bad_copies.found_by(&refused), None);
        let waiting: Vec<_> = receivers.iter().map(flume::Receiver::len).collect();
        assert_eq!(waiting, [0, WAITING_MAX, 0]);
    }
}
