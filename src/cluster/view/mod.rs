//! One node's view of the cluster at one moment: made by the core, published, never changed.
//!
//! Every rule takes a view as an argument. Two nodes may hold different ones for a while; the rules are such
//! that this costs availability, never an image.

mod compiled;
mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::layout::{Layout, LayoutHash, Role, SyncHash, Taken};
use super::node::{Label, NodeId, NodeUrl, Weight};
use super::placement::Slot;
use super::time::Time;
use crate::object::ObjectId;
pub(in crate::cluster) use compiled::CompiledLayout;
use compiled::CompiledVersion;
pub use progress::{LayoutProgress, SlotCounts, VersionOwners};

/// An immutable picture of the cluster.
#[derive(Clone, Debug)]
pub struct View {
    this: NodeId,
    hash: LayoutHash,
    /// When this node took over this layout.
    since: Time,
    /// The current versions, the proposed ones, then the staged one where it differs; never empty once the node has a
    /// layout.
    versions: Arc<[CompiledVersion]>,
    members: BTreeMap<NodeId, Member>,
    known: BTreeSet<LayoutHash>,
    writes: Writes,
    synced_to: Option<SyncHash>,
    is_trusted: bool,
    holds_nothing: bool,
    progress: Arc<LayoutProgress>,
}

/// A node that was not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name for people.
    pub name: Label,
    /// Its URL.
    pub url: NodeUrl,
    /// The node's zone.
    pub zone: Label,
    /// Its share.
    pub weight: Weight,
    /// The role in the layout, as shown to people.
    pub role: Role,
    /// Whether it answers, as far as this node can tell. This node itself always does.
    pub alive: bool,
    /// Whether it takes new copies.
    pub writable: bool,
}

/// Whether this node may take uploads and copies at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Yes.
    Allowed,
    /// It is not a member yet.
    NotJoined,
    /// Another node holds its name or its URL: it gives what it has, and is no member to anybody else.
    Taken(Taken),
    /// Another live node has the same id.
    DuplicateId,
    /// It was removed forever, and has to come back with a new id and an empty store.
    Removed,
}

/// The part of a view that is local to a node, beside the layout.
#[derive(Clone, Debug)]
pub struct LocalState {
    /// The node whose view it is.
    pub this: NodeId,
    /// When it took over this layout.
    pub since: Time,
    /// The members that answer.
    pub alive: BTreeSet<NodeId>,
    /// Hashes of layouts that this one contains and whose staged version is one of its versions.
    pub known: BTreeSet<LayoutHash>,
    /// Whether it may take uploads and copies.
    pub writes: Writes,
    /// Which of its stores it has.
    pub store: u64,
}

impl View {
    /// The view of a node with this layout.
    pub fn new(layout: &Layout, local: LocalState) -> Self {
        Self::from_compiled(&CompiledLayout::new(layout, local.this, None), local)
    }

    /// The view of the node of this outline, as things are.
    pub(in crate::cluster) fn from_compiled(compiled: &CompiledLayout, local: LocalState) -> Self {
        assert!(
            compiled.this == local.this,
            "invariant: view: a node is shown the layout that was compiled for it"
        );
        let LocalState { since, alive, mut known, writes, store, .. } = local;
        let CompiledLayout { this, hash, versions, mut members, synced_to, holds_nothing, progress, .. } =
            compiled.clone();
        known.insert(hash);
        for (node, member) in &mut members {
            member.alive = *node == this || alive.contains(node);
            member.writable &= *node != this || writes == Writes::Allowed;
        }
        let is_trusted = versions.iter().all(|version| version.store == store);
        Self {
            this,
            hash,
            since,
            versions,
            members,
            known,
            writes,
            synced_to,
            is_trusted,
            holds_nothing,
            progress,
        }
    }

    /// The view of a node that belongs to no cluster yet.
    pub fn empty(this: NodeId, now: Time) -> Self {
        let (versions, members, known) = (Arc::default(), BTreeMap::new(), BTreeSet::new());
        let hash = LayoutHash([0; 16]);
        let writes = Writes::NotJoined;
        let (synced_to, is_trusted, holds_nothing) = (None, false, true);
        Self {
            this,
            hash,
            since: now,
            versions,
            members,
            known,
            writes,
            synced_to,
            is_trusted,
            holds_nothing,
            progress: Arc::default(),
        }
    }

    /// The node whose view this is.
    pub fn this(&self) -> NodeId {
        self.this
    }

    /// The hash of the layout, for every request to another node.
    pub fn hash(&self) -> LayoutHash {
        self.hash
    }

    /// When this node took over this layout.
    pub fn since(&self) -> Time {
        self.since
    }

    /// Whether this node may take uploads and copies.
    pub fn writes(&self) -> Writes {
        self.writes
    }

    /// Whether this node belongs to its cluster. If not, it cannot say of any image that it does not exist, whomever it
    /// asks: they are others' images.
    pub fn is_joined(&self) -> bool {
        matches!(self.writes, Writes::Allowed | Writes::DuplicateId)
    }

    /// Every node that was not removed, in order of ids.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter().map(|(node, member)| (*node, member))
    }

    /// A member; `None` for strangers and removed ones.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    /// Whether a node answers, as far as this node can tell.
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.members.get(&node).is_some_and(|member| member.alive)
    }

    /// Whether the layout of this hash is contained in this one and its staged version is a version here: a copy that
    /// was taken under it counts. Else the layouts have to be merged first, or the other has to advance.
    pub fn knows(&self, hash: LayoutHash) -> bool {
        self.known.contains(&hash)
    }

    /// The version that this node last published to be in sync with.
    pub fn synced_to(&self) -> Option<SyncHash> {
        self.synced_to
    }

    /// The hash that this node's "no such file" carries. None of a node that does not belong to its cluster; and none
    /// after its store was emptied, until every member has synced since: beside its own slots it may have held hinted
    /// replicas.
    pub fn trusted_to(&self) -> Option<SyncHash> {
        self.synced_to.filter(|_| self.is_trusted && self.is_joined())
    }

    /// The hash of the staged version; `None` without a layout.
    pub fn staged_version(&self) -> Option<SyncHash> {
        self.versions.last().map(|version| version.hash)
    }

    /// Whether no member has published that it holds an image: then there is nothing to sync.
    pub fn holds_nothing(&self) -> bool {
        self.holds_nothing
    }

    /// Whether a member has to be in sync before the staged version becomes current.
    pub fn is_counted_on(&self, node: NodeId) -> bool {
        self.versions.iter().any(|version| version.counted_on.contains(&node))
    }

    /// Whether a node that is in sync with this version is in sync as far as this view goes.
    pub fn is_version(&self, hash: SyncHash) -> bool {
        self.versions.iter().any(|version| version.hash == hash)
    }

    /// The owners of an id in each version: current, proposed, then staged where it differs.
    pub fn owners_by_version(&self, id: &ObjectId) -> Vec<Vec<NodeId>> {
        self.versions.iter().map(|version| version.placement.owners(Slot::of(id))).collect()
    }

    /// The owners of an id in any version, each once, in placement order.
    pub fn owners(&self, id: &ObjectId) -> Vec<NodeId> {
        self.slot_owners(Slot::of(id))
    }

    /// Whether a node owns an id in any version.
    pub fn is_owner(&self, node: NodeId, id: &ObjectId) -> bool {
        self.is_slot_owner(node, Slot::of(id))
    }

    /// The owners of a slot in any version, each once, in placement order.
    pub fn slot_owners(&self, slot: Slot) -> Vec<NodeId> {
        each_once(self.versions.iter().flat_map(|version| version.placement.owners(slot)))
    }

    /// Whether a node owns a slot in any version.
    pub fn is_slot_owner(&self, node: NodeId, slot: Slot) -> bool {
        self.versions.iter().any(|version| version.placement.owners(slot).contains(&node))
    }

    /// Owners of an id in a current version that answer, this node aside: the nodes that are likely to hold it.
    pub fn likely_holders(&self, id: &ObjectId) -> usize {
        let owners = self.versions.first().map(|version| version.placement.owners(Slot::of(id)));
        let holds = |owner: &NodeId| *owner != self.this && self.is_alive(*owner);
        owners.map_or(0, |owners| owners.into_iter().filter(holds).count())
    }

    /// Everybody that may be asked to hold a copy instead of an owner, the best first.
    pub fn fallbacks(&self, id: &ObjectId) -> Vec<NodeId> {
        let owners = self.owners(id);
        // The staged version first: what it places elsewhere would have to move.
        let order = self.versions.iter().rev().flat_map(|version| version.placement.order(Slot::of(id)));
        let mut all = each_once(order);
        all.retain(|node| !owners.contains(node));
        all
    }

    /// Copies that an upload needs before it is answered: by the stricter version, and never fewer because nodes
    /// are away.
    pub fn copies_needed(&self) -> usize {
        self.versions.iter().map(|version| version.min_replication).max().unwrap_or(1)
    }

    /// Whether these are enough by every version's own count of its own members: a node that goes by one version alone
    /// knows of no other nodes, and must find too many of those silent to call the image absent.
    pub fn are_enough_in_every_version(&self, holders: &[NodeId]) -> bool {
        self.versions.iter().all(|version| !version.is_short_of(holders))
    }

    /// Whether a copy on this node, too, would count in a version where these are not enough.
    pub fn would_help(&self, node: NodeId, holders: &[NodeId]) -> bool {
        self.versions.iter().any(|version| version.counted_on.contains(&node) && version.is_short_of(holders))
    }

    /// Whether so many owners of every version are among these that any other such set, and any set of owners by which
    /// an upload is answered, has one of them in common.
    pub fn is_erasure_durable(&self, id: &ObjectId, nodes: &[NodeId]) -> bool {
        let is_enough = |version: &CompiledVersion| {
            let owners = version.placement.owners(Slot::of(id));
            let needed =
                version.min_replication.max((owners.len() + 1).saturating_sub(version.min_replication));
            owners.iter().filter(|owner| nodes.contains(owner)).count() >= needed.min(owners.len())
        };
        let has_owners = self.versions.iter().any(|version| version.placement.owner_count() > 0);
        has_owners && self.versions.iter().all(is_enough)
    }

    /// Copies that every image that was answered has for certain: by the laxest version. Where a version has fewer
    /// owners than an answer needs copies, as while others drain or are out, those in excess were deleted since.
    pub fn copies_certain(&self) -> usize {
        let of =
            |version: &CompiledVersion| version.min_replication.min(version.placement.owner_count()).max(1);
        self.versions.iter().map(of).min().unwrap_or(1)
    }

    /// Whether a node could take a copy now: it answers, is writable, and has a role in which it holds copies.
    pub fn can_take(&self, node: NodeId) -> bool {
        let takes = self.members.get(&node).is_some_and(|member| member.alive && member.writable);
        takes && self.is_counted_on(node)
    }

    /// Nodes that are not counted on but were not removed either: what they hold is out of sight, not gone.
    pub fn is_out(&self, node: NodeId) -> bool {
        self.members.contains_key(&node)
            && !self.versions.iter().any(|version| version.counted_on.contains(&node))
    }

    /// Nodes that were removed since images were last brought in order: what they held may have one copy less, and
    /// nobody can ask them.
    pub fn lost(&self) -> BTreeSet<NodeId> {
        let counted = self.versions.iter().flat_map(|version| version.counted_on.iter().copied());
        counted.filter(|node| !self.members.contains_key(node)).collect()
    }

    /// Copies wanted of each image, by the version that is to come; 0 without a layout.
    pub fn copies_wanted(&self) -> usize {
        self.versions.last().map_or(0, |version| version.placement.replication())
    }

    /// Whether there is nothing to move: one version alone decides who owns what.
    pub fn is_settled(&self) -> bool {
        self.versions.len() == 1
    }

    /// The zone of a node that is no stranger.
    pub fn zone(&self, node: NodeId) -> Option<&Label> {
        self.members.get(&node).map(|member| &member.zone)
    }
}

fn each_once(nodes: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut once = Vec::new();
    for node in nodes {
        if !once.contains(&node) {
            once.push(node);
        }
    }
    once
}
