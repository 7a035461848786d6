//! The faults, their times and durations: drawn from the seed.

use reticulum::cluster::random::Random;

use crate::event::Index;

/// One fault, and the nodes that it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The nodes that it hits; the second one only for links, and as a further random number.
    pub(crate) nodes: (Index, Index),
    /// Duration until it is healed, in milliseconds.
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
    /// All processes end and start again.
    RestartAll,
    /// All machines of a zone lose power.
    ZoneDown,
    /// SIGSTOP.
    Stop,
    /// The control core hangs; the shards go on.
    BlockCore,
    /// The monotonic clock jumps ahead.
    ClockJump,
    /// A node is cut off from all others.
    Isolate,
    /// The cluster is partitioned in two.
    Partition,
    /// One link is cut in one direction.
    OneWay,
    /// Half a second and a third of the packets lost, on all links of a node.
    BadNetwork,
    /// Bits change on all links of a node.
    Corruption,
    DiskFull,
    InodesUsed,
    /// The next sync fails.
    SyncError,
    /// One file cannot be read, or the whole disk.
    ReadError,
    SlowDisk,
    /// One copy's bytes change.
    BitFlip,
    /// Files vanish behind the node's back.
    Vanish,
    /// A store is emptied by hand while its node is down.
    Emptied,
    /// A machine is lost for good, and an operator removes its node.
    Remove,
    /// A node is away until it is marked out automatically.
    Away,
    /// An operator changes weights, zones or copies, a few times in a row.
    Reweigh,
    /// New nodes join, up to three at once.
    Join,
    /// A node is drained for a while, sometimes while others join.
    Drain,
    /// Both sides of a partition take in a new node under the same name; later an operator renames one of them.
    Namesakes,
    /// An operator takes a node out for a while, sometimes a node that does not learn of it.
    Out,
    /// A disk is wiped while fresh nodes that name each other found their cluster: in worlds of its own.
    Founding,
}

impl Kind {
    /// All kinds, by their names on the command line.
    pub(crate) const ALL: [(&'static str, Self); 29] = [
        ("kill", Self::Kill),
        ("power-cut", Self::PowerCut),
        ("power-cut-all", Self::PowerCutAll),
        ("restart-all", Self::RestartAll),
        ("zone-down", Self::ZoneDown),
        ("stop", Self::Stop),
        ("block-core", Self::BlockCore),
        ("clock-jump", Self::ClockJump),
        ("isolate", Self::Isolate),
        ("partition", Self::Partition),
        ("one-way", Self::OneWay),
        ("bad-network", Self::BadNetwork),
        ("corruption", Self::Corruption),
        ("disk-full", Self::DiskFull),
        ("inodes-used", Self::InodesUsed),
        ("sync-error", Self::SyncError),
        ("read-error", Self::ReadError),
        ("slow-disk", Self::SlowDisk),
        ("bit-flip", Self::BitFlip),
        ("vanish", Self::Vanish),
        ("emptied", Self::Emptied),
        ("remove", Self::Remove),
        ("away", Self::Away),
        ("reweigh", Self::Reweigh),
        ("join", Self::Join),
        ("namesakes", Self::Namesakes),
        ("drain", Self::Drain),
        ("out", Self::Out),
        ("founding", Self::Founding),
    ];

    /// Whether it occurs in worlds with all kinds of fault: not if it takes half an hour, adds a machine each time, or
    /// needs fresh nodes.
    fn is_of_every_world(self) -> bool {
        !matches!(self, Self::Away | Self::Namesakes | Self::Founding)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).expect("each kind has a name").0
    }
}

/// Milliseconds from the first start to the healing of all faults.
pub(crate) const FAULTS_MS: u64 = 600_000;

/// The same in a world in which a node stays away for longer than half an hour.
pub(crate) const LONG_FAULTS_MS: u64 = 3_000_000;

/// Time that a node is away in a long world, in milliseconds.
const AWAY_MS: u64 = 2_000_000;

/// The faults of one run of `millis` milliseconds, each with its time: about one every 20 s (80 s in a long run). Kinds
/// are in shuffled order, so that each run has many of them; with `only`, all are of one kind.
pub(crate) fn draw(random: &mut Random, nodes: usize, millis: u64, only: Option<Kind>) -> Vec<(u64, Fault)> {
    let index = |random: &mut Random| usize::try_from(random.below(nodes as u64)).expect("an index");
    let mut faults = Vec::new();
    let mut at = 30_000;
    if millis == LONG_FAULTS_MS {
        let nodes = (index(random), index(random));
        faults.push((at, Fault { kind: Kind::Away, nodes, duration: AWAY_MS + random.below(200_000) }));
    }
    let mut kinds = Vec::new();
    while at < millis.saturating_sub(60_000) && only != Some(Kind::Away) {
        if kinds.is_empty() {
            kinds = match only {
                Some(kind) => vec![kind],
                None => {
                    Kind::ALL.iter().map(|(_, kind)| *kind).filter(|kind| kind.is_of_every_world()).collect()
                }
            };
        }
        let pick = random.below(kinds.len() as u64);
        let kind = kinds.swap_remove(usize::try_from(pick).expect("an index"));
        let duration = match random.below(3) {
            0 => 1_000 + random.below(5_000),
            1 => 10_000 + random.below(20_000),
            _ => 30_000 + random.below(40_000),
        };
        faults.push((at, Fault { kind, nodes: (index(random), index(random)), duration }));
        at += (8_000 + random.below(25_000)) * (millis / FAULTS_MS).max(1) * 4 / 5;
    }
    faults
}
