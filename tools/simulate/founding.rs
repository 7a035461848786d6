//! Worlds of fresh nodes that name each other: while they found their cluster, disks are wiped, processes end, and the
//! network is at its worst. All layouts on the disks of one moment must have one founder, and in the end all nodes must
//! be members of one cluster.
//!
//! These worlds have no clients and no images. A message may arrive after the end of its sender, and seconds late.

use std::collections::BTreeMap;

use reticulum::cluster::layout::{Edit, Layout, Role};
use reticulum::cluster::node::{NodeId, NodeUrl};

use crate::disk::Disk;
use crate::event::{Event, Index, Payload};
use crate::faults::{Fault, Kind};
use crate::setup::Choice;
use crate::world::World;

/// Milliseconds until all faults are healed.
const FAULTS_MS: u64 = 240_000;

/// Milliseconds from then on within which all must be members of one cluster.
const WHOLE_MS: u64 = 90_000;

/// Between two attempts of the operator to remove the ids of wiped disks, in milliseconds.
const OPERATOR_MS: u64 = 5_000;

/// Messages with more bytes than this are layouts.
const LONG_BYTES: usize = 400;

/// Extra delay of every tenth message, at most. Longer than all that a sender waits.
const LATE_MS: u64 = 6_000;

/// The faults of these worlds; a wiped disk is the most frequent one.
const FAULTS: [Kind; 14] = [
    Kind::Founding,
    Kind::Founding,
    Kind::Founding,
    Kind::Founding,
    Kind::Founding,
    Kind::Kill,
    Kind::Kill,
    Kind::Isolate,
    Kind::Partition,
    Kind::OneWay,
    Kind::BadNetwork,
    Kind::SlowDisk,
    Kind::SyncError,
    Kind::Stop,
];

/// The state of such a world.
#[derive(Default)]
pub(crate) struct FoundingWorld {
    /// The ids of disks that were wiped.
    former: Vec<NodeId>,
}

impl World {
    /// The world of a seed in which three to five fresh nodes name each other.
    pub(crate) fn of_fresh_nodes(seed: u64, choice: &Choice) -> Self {
        let mut world = Self::empty(seed, choice.bug, FAULTS_MS);
        world.traced.clone_from(&choice.traced);
        world.founding = Some(FoundingWorld::default());
        let count = 3 + usize::try_from(world.random.below(3)).expect("small");
        let url = |index: Index| NodeUrl::parse(&format!("http://n{index}:1")).expect("a URL");
        for _ in 0..count {
            let index = world.add_machine(3, &[]);
            // A list may have its own node or not.
            let names_itself = world.random.chance(500_000);
            let named = (0..count).filter(|other| names_itself || *other != index);
            world.nodes[index].settings.join = named.map(url).collect();
            let start = Fault { kind: Kind::Kill, nodes: (index, 0), duration: 0 };
            let at = world.random.below(10_000);
            world.at(at, Event::Heal(start));
        }
        let mut at = 2_000;
        while at < FAULTS_MS - 10_000 {
            let kind = *world.random.choose(&FAULTS).expect("one of them");
            let index = usize::try_from(world.random.below(count as u64)).expect("an index");
            let other = usize::try_from(world.random.below(count as u64)).expect("an index");
            // An ended process waits for no upload.
            let other = if kind == Kind::OneWay { other } else { 0 };
            let duration = match world.random.below(4) {
                0 | 1 => 20 + world.random.below(300),
                2 => 500 + world.random.below(3_000),
                _ => 3_000 + world.random.below(9_000),
            };
            world.at(at, Event::Fault(Fault { kind, nodes: (index, other), duration }));
            // In bursts: several within one round of a founder.
            at += if world.random.chance(700_000) {
                20 + world.random.below(400)
            } else {
                world.random.below(12_000)
            };
        }
        world
    }

    /// The machine gets an empty disk, and so another node.
    pub(crate) fn wipe(&mut self, index: Index) -> bool {
        self.take_down(index, true);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.next().to_be_bytes());
        let former = std::mem::replace(&mut self.nodes[index].id, NodeId::from_bytes(id));
        self.nodes[index].disk = Disk::default();
        let Some(founding) = &mut self.founding else { return false };
        founding.former.push(former);
        true
    }

    /// The extra delay of a message in these worlds; draws nothing in others. Layouts are long, and late more often.
    pub(crate) fn lateness(&mut self, payload: &Payload) -> u64 {
        let is_long = matches!(payload, Payload::Core(bytes) if bytes.len() > LONG_BYTES);
        let chance = if is_long { 400_000 } else { 100_000 };
        if self.founding.is_some() && self.random.chance(chance) { self.random.below(LATE_MS) } else { 0 }
    }

    /// Every other founder loses its disk a moment later: its layout is on its way, or known to one or two.
    pub(crate) fn hear_of_founding(&mut self, index: Index) {
        self.count("cluster founded by fresh nodes");
        if self.founding.is_some() && self.random.chance(500_000) {
            let at = self.now + self.random.below(2_000);
            let duration = 20 + self.random.below(300);
            self.at(at, Event::Fault(Fault { kind: Kind::Founding, nodes: (index, 0), duration }));
        }
    }

    /// All layouts that are durable now must have one founder.
    pub(crate) fn check_founders(&mut self) {
        if self.founding.is_none() {
            return;
        }
        let mut founders = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(bytes) = &node.disk.layout {
                let layout = Layout::decode(bytes).expect("what was written");
                founders.insert(layout.founder(), index);
            }
        }
        if founders.len() > 1 {
            self.fail(format!("two clusters: founders, and a node of each: {founders:?}"));
        }
    }

    /// Heals all faults. The operator removes the ids of wiped disks, and all nodes become members of one cluster.
    pub(crate) fn end_founding(&mut self) {
        self.heal_all();
        let end = self.now + WHOLE_MS;
        let standing = self.standing();
        let is_whole = |world: &Self| {
            let is_settled = |index: &Index| world.view(*index).is_settled();
            standing.iter().all(|index| world.sees_all(*index, &standing) && is_settled(index))
        };
        while self.log.failures.is_empty() && !is_whole(self) {
            if self.now >= end {
                return self.fail(format!("not one cluster {WHOLE_MS} ms after all faults have healed"));
            }
            self.run_to(self.now + OPERATOR_MS);
            let former = self.founding.as_ref().map(|founding| founding.former.clone()).unwrap_or_default();
            for node in former {
                self.edit(0, |_| Edit::Role(node, Role::Removed));
            }
        }
        self.check_founders();
    }
}
