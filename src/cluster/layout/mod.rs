//! The layout: who owns what. It is a replicated CRDT that all members edit and merge, and that converges without a leader.
//!
//! Every value is a register of its own in which the last writer wins (a lamport clock, then the writer's id);
//! `Removed` beats every other role forever. Edits touch the **staged** version. It becomes **current** in two phases.
//! When every member that is counted on has published "synced to this hash", the version is **proposed**. Members that
//! hear of the proposal publish it as **acknowledged**; when all have, it is promoted. Writes, reads, absence and
//! trimming go by the owners in all versions: current, proposed (unless contained in current), and staged.
//!
//! # Why two views never disagree on what is stored where
//!
//! * A member's own staged version only grows: it is persisted before anything is published of it, and the member
//!   publishes one hash at a time. So if two versions were ever promoted, a member that acknowledged both held one
//!   after the other: one contains the other, and merging takes the larger. Nothing is promoted from a stale view,
//!   because the hash that all acknowledged must be the hash of the very version that is promoted.
//! * A member may edit the staged version and be cut off while others promote the version that it acknowledged. It
//!   keeps that version among the proposed ones and goes by it until it hears of a promotion that contains it, or of
//!   another proposal. For another proposal every member has published that it is in sync, and what any of them had
//!   promoted before came with that.
//! * Only where two versions had no common member (clusters that were founded apart and then met, or removals forced on
//!   both sides of a cut) is neither the larger. Then **both** stay: `current` is a set of versions of which none
//!   contains another. Each has owners of what was written under it, until the next promotion. So is `proposed`.
//!
//! Name, URL and `writable` of a node are no part of a version: they take effect at once and move nothing. A name and a
//! URL belong to one id; the module `claim` says which one where two have it.

mod bootstrap;
mod claim;
mod edit;
mod hash;
mod register;
mod version;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use super::node::{Label, NodeId, NodeUrl};
use super::wire::{Malformed, WireReader, WireWriter};
pub use bootstrap::{BootstrapSettings, ConfigurationDrift};
pub use claim::Taken;
pub use edit::{Edit, EditError, NewNode};
pub(in crate::cluster) use hash::digest;
pub use hash::{LayoutHash, StateHash, SyncHash};
use register::{Rank, Register, Stamp};
pub use version::Role;
pub(in crate::cluster) use version::{LayoutVersion, MemberEntry, StoreId};

/// The replicated layout. Never empty: it begins with the node that founded the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Promoted versions of which none contains another; nearly always one.
    pub(in crate::cluster) current: Vec<LayoutVersion>,
    /// Versions that may have been promoted where this layout has not come from: all members were in sync with them.
    pub(in crate::cluster) proposed: Vec<LayoutVersion>,
    pub(in crate::cluster) staged: LayoutVersion,
    pub(in crate::cluster) nodes: BTreeMap<NodeId, NodeRecord>,
}

/// A node's registers that are no part of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct NodeRecord {
    pub(in crate::cluster) name: Register<Label>,
    pub(in crate::cluster) url: Register<NodeUrl>,
    pub(in crate::cluster) writable: Register<bool>,
    pub(in crate::cluster) published: Register<Published>,
}

/// The facts that a member publishes of itself; no other member writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// All its slots hold what they should under the staged version of this hash.
    pub synced_to: Option<SyncHash>,
    /// It acknowledged the version of this hash, and goes by it until that is current or another is proposed.
    pub acknowledged: Option<SyncHash>,
    /// Whether it holds any image: while nobody does, nothing has to be moved.
    pub holds_images: bool,
}

impl Rank for NodeUrl {}
impl Rank for bool {}
impl Rank for Published {}

/// A layout that cannot be merged. Nothing was changed, and trying again is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeError {
    /// More than [`Layout::HISTORIES_MAX`] clusters that were founded apart would be one.
    TooManyHistories,
    /// More than [`Layout::NODES_MAX`] nodes, removed ones included.
    TooManyNodes,
}

impl Layout {
    /// Nodes that a cluster may ever have had.
    pub const NODES_MAX: usize = 1024;
    /// Current versions that may meet before a promotion makes them one.
    pub const HISTORIES_MAX: usize = 4;

    /// The layout of a cluster of one, which is in sync with itself.
    pub fn found(node: NodeId, about: &NewNode, copies: Copies) -> Self {
        let stamp = Stamp { lamport: 1, writer: node };
        let entry = MemberEntry {
            role: Register::new(Role::Active, stamp),
            weight: Register::new(about.weight, stamp),
            zone: Register::new(about.zone.clone(), stamp),
            store: Register::new(0, stamp),
        };
        let version = LayoutVersion {
            members: BTreeMap::from([(node, entry)]),
            replication: Register::new(copies.replication, stamp),
            min_replication: Register::new(copies.min_replication, stamp),
        };
        let hash = Some(version.sync_hash());
        let published = Published { synced_to: hash, acknowledged: hash, holds_images: false };
        let known = NodeRecord {
            name: Register::new(about.name.clone(), stamp),
            url: Register::new(about.url.clone(), stamp),
            writable: Register::new(about.writable, stamp),
            published: Register::new(published, stamp),
        };
        let founded = Self {
            current: vec![version.clone()],
            proposed: Vec::new(),
            staged: version,
            nodes: BTreeMap::from([(node, known)]),
        };
        assert!(founded.is_settled(), "invariant: layout: a cluster begins with one version");
        founded
    }

    /// The node that said last how many copies are wanted: the founder, until an operator changes that.
    pub fn founder(&self) -> NodeId {
        self.staged.replication.stamp().writer
    }

    /// Takes over everything that the other has later. Says whether anything changed.
    ///
    /// # Errors
    /// [`MergeError`], and then nothing was changed.
    pub fn merge(&mut self, other: &Self) -> Result<bool, MergeError> {
        let mut merged = self.clone();
        let mut changed = merged.staged.join(&other.staged);
        for version in &other.current {
            changed |= merged.promote(version);
        }
        for version in &other.proposed {
            changed |= merged.propose(version);
        }
        for (node, theirs) in &other.nodes {
            changed |= match merged.nodes.get_mut(node) {
                Some(mine) => mine.join(theirs),
                None => merged.nodes.insert(*node, theirs.clone()).is_none(),
            };
        }
        if merged.current.len().max(merged.proposed.len()) > Self::HISTORIES_MAX {
            return Err(MergeError::TooManyHistories);
        }
        if merged.nodes.len() > Self::NODES_MAX {
            return Err(MergeError::TooManyNodes);
        }
        if changed {
            assert!(
                other.staged.is_within(&merged.staged) && self.staged.is_within(&merged.staged),
                "invariant: layout: a merged version contains both"
            );
            assert!(
                merged.nodes.len() >= self.nodes.len().max(other.nodes.len()),
                "invariant: layout: a merge forgets no node"
            );
            *self = merged;
        }
        Ok(changed)
    }

    /// Advances the staged version as far as all members have published: to proposed, acknowledged by this member, the
    /// only current. Says whether anything changed.
    pub fn advance(&mut self, this: NodeId) -> bool {
        if self.is_settled() {
            return false;
        }
        let hash = Some(self.staged.sync_hash());
        let mut changed = false;
        if self.have_all_published(|published| published.synced_to == hash) {
            changed |= self.propose(&self.staged.clone());
        }
        let own = self.nodes.get(&this).map(|known| *known.published.value());
        if let Some(own) = own.filter(|own| own.acknowledged != hash)
            && self.staged.role(this).is_some_and(Role::is_counted_on)
            && self.proposed.contains(&self.staged)
        {
            changed |= self.publish(this, Published { acknowledged: hash, ..own }).unwrap_or(false);
        }
        if self.have_all_published(|published| published.acknowledged == hash) {
            (self.current, self.proposed, changed) = (vec![self.staged.clone()], Vec::new(), true);
            assert!(self.is_settled(), "invariant: layout: what is promoted is the only version");
        }
        changed
    }

    /// Whether this holds for every member that the staged version counts on. A version without any is never promoted.
    fn have_all_published(&self, is_said: impl Fn(&Published) -> bool) -> bool {
        let mut counted = self.staged.counted_on().peekable();
        let has_said =
            |node: NodeId| self.nodes.get(&node).is_some_and(|known| is_said(known.published.value()));
        counted.peek().is_some() && counted.all(has_said)
    }

    /// Whether there is nothing to change: the staged version is the only current one.
    pub fn is_settled(&self) -> bool {
        self.current.len() == 1 && self.current[0] == self.staged
    }

    /// Whether any node but `this` is or may become a member: known and not removed.
    pub fn has_others(&self, this: NodeId) -> bool {
        let others = self.staged.members.iter().filter(|(node, _)| **node != this);
        others.into_iter().any(|(_, entry)| *entry.role.value() != Role::Removed)
    }

    /// The hash that this member last published.
    pub(in crate::cluster) fn synced_to(&self, node: NodeId) -> Option<SyncHash> {
        self.nodes.get(&node)?.published.value().synced_to
    }

    /// Every version that decides who owns what: all current, all proposed, then the staged one.
    pub(in crate::cluster) fn versions(&self) -> impl Iterator<Item = &LayoutVersion> {
        let proposed = self.proposed.iter().filter(|version| **version != self.staged);
        self.current.iter().chain(proposed).chain([&self.staged])
    }

    /// The hash of all versions.
    pub fn hash(&self) -> LayoutHash {
        let mut writer = WireWriter::default();
        self.versions().for_each(|version| wire::write_layout_version(&mut writer, version));
        LayoutHash(digest(&writer.into_bytes()))
    }

    /// The hash of everything in it.
    pub fn state_hash(&self) -> StateHash {
        StateHash(digest(&self.encode()))
    }

    /// All of it in bytes, with a version in front.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = WireWriter::default();
        wire::write_layout(&mut writer, self);
        writer.into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] for anything else, and for what breaks a bound or an invariant.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = WireReader::new(bytes);
        let layout = wire::read_layout(&mut reader)?;
        reader.end()?;
        Ok(layout)
    }

    /// Adds a promoted version unless one contains it.
    fn promote(&mut self, version: &LayoutVersion) -> bool {
        let is_new = add_largest(&mut self.current, version);
        if is_new {
            self.proposed.retain(|mine| !mine.is_within(version));
        }
        is_new
    }

    /// Adds a proposed version unless another proposed or current one contains it.
    fn propose(&mut self, version: &LayoutVersion) -> bool {
        !self.current.iter().any(|mine| version.is_within(mine)) && add_largest(&mut self.proposed, version)
    }

    /// The latest lamport anywhere in it.
    fn clock(&self) -> u64 {
        let of_node = |node: &NodeRecord| {
            [node.name.stamp(), node.url.stamp(), node.writable.stamp(), node.published.stamp()]
        };
        let stamps =
            self.versions().flat_map(LayoutVersion::stamps).chain(self.nodes.values().flat_map(of_node));
        stamps.map(|stamp| stamp.lamport).max().unwrap_or(0)
    }
}

/// Adds a version unless one contains it; drops those that it contains.
fn add_largest(versions: &mut Vec<LayoutVersion>, version: &LayoutVersion) -> bool {
    if versions.iter().any(|mine| version.is_within(mine)) {
        return false;
    }
    versions.retain(|mine| !mine.is_within(version));
    versions.push(version.clone());
    // The order of a set must not depend on the order of merges.
    versions.sort();
    let mut others = versions.iter().filter(|mine| *mine != version);
    assert!(
        others.all(|mine| !mine.is_within(version) && !version.is_within(mine)),
        "invariant: layout: of the versions that are kept none contains another"
    );
    true
}

/// The copies that a new cluster wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// Of each image: 1 to 16.
    pub replication: u8,
    /// Before an upload is answered: 1 to `replication`.
    pub min_replication: u8,
}

impl NodeRecord {
    fn join(&mut self, other: &Self) -> bool {
        let name = self.name.join(&other.name);
        let url = self.url.join(&other.url);
        let writable = self.writable.join(&other.writable);
        let published = self.published.join(&other.published);
        name | url | writable | published
    }
}
