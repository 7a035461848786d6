//! Which nodes own an id: weighted rendezvous hashing over 2^20 slots, zones spread first.
//!
//! Every node draws a number for the slot; the order of their arrivals (see `score`) is the order of placement,
//! taken in rounds: first the best of each zone, then the second of each. The first R active nodes are the
//! owners; the rest, and behind them members that hand over or just join, are the fallbacks. Computed for one
//! id at a time: there is no table that could be stale.

mod inclusion;
mod score;
mod share;

#[cfg(test)]
mod tests;

use super::layout::{LayoutVersion, Role, digest};
use super::node::{Label, NodeId};
use crate::object::ObjectId;
use score::{arrival, draw};
use share::rates;

/// Bits of an id that say in which slot it lies.
pub const SLOT_BITS: u32 = 20;

const _: () = assert!(SLOT_BITS <= 24, "invariant: placement: a slot is read from three bytes of an id");

/// One of 2^20 parts of all ids: the first 20 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    /// Bits of a slot's number.
    pub const BITS: u32 = SLOT_BITS;
    /// The number of slots.
    pub const COUNT: u32 = 1 << SLOT_BITS;

    /// Its number: the first [`Self::BITS`] bits of its ids.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The slot of this number.
    pub(in crate::cluster) fn numbered(number: u32) -> Self {
        assert!(number < Self::COUNT, "invariant: placement: a slot has a number below their count");
        Self(number)
    }

    /// So many slots, at even distances from each other: what holds of them holds of all, nearly.
    pub(in crate::cluster) fn sample(count: u32) -> impl Iterator<Item = Self> {
        let all = 1 << SLOT_BITS;
        (0..count.min(all)).map(move |at| Self(at * (all / count.min(all))))
    }

    /// The slot of an id.
    pub fn of(id: &ObjectId) -> Self {
        let [a, b, c, ..] = *id.digest();
        Self(u32::from_be_bytes([0, a, b, c]) >> (24 - SLOT_BITS))
    }
}

/// The placement of one version of the layout.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Placement {
    replication: usize,
    /// Members that may hold copies, in order of ids.
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    node: NodeId,
    zone: usize,
    /// The seed of its draws.
    key: u64,
    rate: share::Rate,
    tier: OwnerTier,
}

/// In which order kinds of members are asked to hold a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum OwnerTier {
    Owner,
    Draining,
    Joining,
}

impl Placement {
    /// Copies wanted of each image.
    pub(in crate::cluster) fn replication(&self) -> usize {
        self.replication
    }

    pub(in crate::cluster) fn new(version: &LayoutVersion) -> Self {
        let members = version.members.iter();
        let tier = |role: Role| match role {
            Role::Active => Some(OwnerTier::Owner),
            Role::Draining => Some(OwnerTier::Draining),
            Role::Joining => Some(OwnerTier::Joining),
            Role::Out { .. } | Role::Removed => None,
        };
        let held: Vec<_> =
            members.filter_map(|(node, entry)| Some((*node, entry, tier(*entry.role.value())?))).collect();
        let mut zones: Vec<_> = held.iter().map(|(_, entry, _)| entry.zone.value()).collect();
        zones.sort_unstable();
        zones.dedup();
        let zone_of = |zone: &Label| {
            zones.binary_search(&zone).expect("invariant: placement: the zone of a member is in the list")
        };
        let active = held.iter().filter(|(_, _, tier)| *tier == OwnerTier::Owner);
        let weights: Vec<_> = active
            .map(|(_, entry, _)| (zone_of(entry.zone.value()), u64::from(entry.weight.value().get())))
            .collect();
        let mut of_active = rates(&dense(&weights), version.replication()).into_iter();
        let candidate = |(node, entry, tier): &(NodeId, &super::layout::MemberEntry, OwnerTier)| Candidate {
            node: *node,
            zone: zone_of(entry.zone.value()),
            key: key_of(*node),
            rate: match tier {
                OwnerTier::Owner => {
                    of_active.next().expect("invariant: placement: each active member has a rate")
                }
                OwnerTier::Draining | OwnerTier::Joining => share::Rate { per_time: 1, is_forced: false },
            },
            tier: *tier,
        };
        let candidates = held.iter().map(candidate).collect();
        assert!(of_active.next().is_none(), "invariant: placement: each active member has one rate");
        Self { replication: version.replication(), candidates }
    }

    /// All members that may hold a copy, the best first: the owners, then the fallbacks.
    pub(in crate::cluster) fn order(&self, slot: Slot) -> Vec<NodeId> {
        self.best(slot, self.candidates.len())
    }

    /// The nodes that should have the images of a slot, the best first: as many as copies are wanted, or all.
    pub(in crate::cluster) fn owners(&self, slot: Slot) -> Vec<NodeId> {
        let owners = self.best(slot, self.owner_count());
        assert!(
            owners.len() <= self.replication,
            "invariant: placement: no more owners than replicas are wanted"
        );
        owners
    }

    /// The first `count` of the order. Greedy: each time the earliest in the zone that has the fewest, which is
    /// why a node that joins takes the place of one other node and moves nobody else.
    fn best(&self, slot: Slot, count: usize) -> Vec<NodeId> {
        let arrivals: Vec<_> = self.candidates.iter().map(|it| it.arrival(slot)).collect();
        let mut rounds = vec![0_usize; self.candidates.len()];
        let mut taken = vec![false; self.candidates.len()];
        let mut best = Vec::with_capacity(count);
        while best.len() < count {
            let free = (0..arrivals.len()).filter(|at| !taken[*at]);
            let turn = |at: &usize| (arrivals[*at].tier, rounds[self.candidates[*at].zone], arrivals[*at]);
            let Some(next) = free.min_by_key(turn) else { break };
            taken[next] = true;
            rounds[self.candidates[next].zone] += 1;
            best.push(arrivals[next].node);
        }
        assert!(
            best.len() == count.min(self.candidates.len()),
            "invariant: placement: every place is taken while there are candidates"
        );
        best
    }

    /// The number of owners that every slot has.
    pub(in crate::cluster) fn owner_count(&self) -> usize {
        let active = self.candidates.iter().filter(|it| it.tier == OwnerTier::Owner).count();
        active.min(self.replication)
    }
}

/// In which tier and when a node arrives at a slot; the least is the best. Ties go by node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    tier: OwnerTier,
    is_late: bool,
    time: u64,
    node: NodeId,
}

impl Candidate {
    fn arrival(&self, slot: Slot) -> Arrival {
        let time = arrival(draw(self.key, slot.0), self.rate.per_time);
        Arrival { tier: self.tier, is_late: !self.rate.is_forced, time, node: self.node }
    }
}

/// The same zones with numbers that leave none out.
fn dense(nodes: &[(usize, u64)]) -> Vec<(usize, u64)> {
    let mut zones: Vec<_> = nodes.iter().map(|(zone, _)| *zone).collect();
    zones.sort_unstable();
    zones.dedup();
    let number =
        |zone| zones.binary_search(zone).expect("invariant: placement: a zone is in the list of its zones");
    nodes.iter().map(|(zone, weight)| (number(zone), *weight)).collect()
}

/// Node ids are random, but nothing keeps anybody from choosing 1, 2, 3.
fn key_of(node: NodeId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest(node.bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
