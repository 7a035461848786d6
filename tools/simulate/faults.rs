//! What goes wrong, when, and for how long: drawn from the seed.

use reticulum::cluster::random::Random;

use crate::event::Index;

/// One fault. Its node or link is drawn when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Whom it strikes; the second only for links.
    pub(crate) nodes: (Index, Index),
    /// How long until it is healed, in milliseconds.
    pub(crate) duration: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// kill -9 and a later restart.
    Kill,
    /// The machine loses power: unsynced writes are gone.
    PowerCut,
    /// All machines lose power at once, just after an answer.
    PowerCutAll,
    /// SIGSTOP.
    Stop,
    /// A node is cut off from all others.
    Isolate,
    /// The cluster is cut in two.
    Partition,
    /// One link is cut in one direction.
    OneWay,
    /// Half a second and a third of the packets lost, on all links of a node.
    BadNetwork,
    DiskFull,
    /// The next sync fails.
    SyncError,
    SlowDisk,
    /// One copy's bytes change.
    BitFlip,
    /// A store is emptied by hand while its node is down.
    Emptied,
    /// An operator changes a weight or zone.
    Reweigh,
    /// New nodes join, up to three at once.
    Join,
    /// A node is drained for a while.
    Drain,
}

impl Kind {
    pub(crate) const ALL: [Self; 16] = [
        Self::Kill,
        Self::PowerCut,
        Self::PowerCutAll,
        Self::Stop,
        Self::Isolate,
        Self::Partition,
        Self::OneWay,
        Self::BadNetwork,
        Self::DiskFull,
        Self::SyncError,
        Self::SlowDisk,
        Self::BitFlip,
        Self::Emptied,
        Self::Reweigh,
        Self::Join,
        Self::Drain,
    ];
}

/// The faults of one run of so many milliseconds, each with its time: one about every 20 s, of kinds in a
/// shuffled order, so that each run has many of them.
pub(crate) fn draw(random: &mut Random, nodes: usize, millis: u64) -> Vec<(u64, Fault)> {
    let mut faults = Vec::new();
    let mut at = 30_000;
    let mut kinds = Vec::new();
    while at < millis.saturating_sub(60_000) {
        if kinds.is_empty() {
            kinds = Kind::ALL.to_vec();
        }
        let pick = random.below(kinds.len() as u64);
        let kind = kinds.swap_remove(usize::try_from(pick).expect("an index"));
        let index = |random: &mut Random| usize::try_from(random.below(nodes as u64)).expect("an index");
        let duration = match random.below(3) {
            0 => 1_000 + random.below(5_000),
            1 => 10_000 + random.below(20_000),
            _ => 30_000 + random.below(40_000),
        };
        faults.push((at, Fault { kind, nodes: (index(random), index(random)), duration }));
        at += 8_000 + random.below(25_000);
    }
    faults
}
