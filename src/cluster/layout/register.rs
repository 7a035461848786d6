//! The smallest thing that replicates: a value with the stamp of its last writer.

use super::super::node::NodeId;

/// The last lamport that is taken from others or written. A tick a microsecond reaches it in nine years, and a
/// forged later one must not end all editing.
pub(super) const LAMPORT_MAX: u64 = 1 << 48;

/// When a register was written: a logical clock, and who wrote, to order what happened at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cluster) struct Stamp {
    pub(in crate::cluster) lamport: u64,
    pub(in crate::cluster) writer: NodeId,
}

/// A value of which the last writer wins. Joining is the maximum of a total order, which makes it commutative,
/// associative and idempotent. The value itself is the last word of that order: two nodes that share an id
/// may write different values with one stamp, and even then all must agree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cluster) struct Register<T> {
    rank: u8,
    stamp: Stamp,
    value: T,
}

/// A rank that some values have before any stamp: a higher rank wins whenever it was written.
pub(in crate::cluster) trait Rank {
    fn rank(&self) -> u8 {
        0
    }
}

impl<T: Rank + Ord + Clone> Register<T> {
    pub(in crate::cluster) fn new(value: T, stamp: Stamp) -> Self {
        Self { rank: value.rank(), stamp, value }
    }

    pub(in crate::cluster) fn value(&self) -> &T {
        &self.value
    }

    pub(in crate::cluster) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Takes the other's value if it was written later. Says whether anything changed.
    pub(in crate::cluster) fn join(&mut self, other: &Self) -> bool {
        let later = *other > *self;
        if later {
            self.clone_from(other);
        }
        later
    }
}
