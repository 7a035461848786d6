//! Taking an upload: whom to send copies to, and when it may be answered.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::layout::LayoutHash;
use crate::cluster::node::{Label, NodeId};
use crate::cluster::view::View;
use crate::object::ObjectId;

/// One upload on its way to its copies.
#[derive(Clone, Debug)]
pub struct WriteQuorum {
    id: ObjectId,
    asked: BTreeMap<NodeId, Outcome>,
}

/// The outcome of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Pending,
    /// Durable, under this layout.
    Taken(LayoutHash),
    Refused,
}

/// The state of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStatus {
    /// Wait, or ask [`WriteQuorum::targets`], or ask [`WriteQuorum::unconfirmed`] again while layouts are merged.
    Pending,
    /// Answer 200.
    Acknowledged,
    /// Nobody is left to ask: answer 503.
    Impossible,
}

impl WriteQuorum {
    /// An upload of which no copy is durable yet. The spool of the node that accepted it is none.
    pub fn new(id: ObjectId) -> Self {
        Self { id, asked: BTreeMap::new() }
    }

    /// Of which image.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Whom to send a copy to now, beside those who were asked: all owners at once; for each that does not take
    /// its own, the next fallback, those in zones without a copy first.
    pub fn targets(&self, view: &View) -> Vec<NodeId> {
        let owners = view.owners(&self.id);
        let open = |node: &NodeId| !self.asked.contains_key(node) && view.can_take(*node);
        let mut targets: Vec<_> = owners.iter().copied().filter(open).collect();
        let mut free: Vec<_> = view.fallbacks(&self.id).into_iter().filter(open).collect();
        let mut fallbacks = self.hopeful().filter(|node| !owners.contains(node)).count();
        let mut zones: BTreeSet<_> =
            self.hopeful().chain(targets.iter().copied()).filter_map(|node| view.zone(node)).collect();
        let allowed = self.fallbacks_allowed(view, &owners);
        while !free.is_empty() {
            let elsewhere =
                free.iter().position(|node| view.zone(*node).is_some_and(|zone| !zones.contains(zone)));
            let short_of_zones = view.copies_needed() > 1 && zones.len() == 1 && elsewhere.is_some();
            if fallbacks >= allowed && !short_of_zones {
                break;
            }
            let next = free.remove(elsewhere.unwrap_or(0));
            zones.extend(view.zone(next));
            targets.push(next);
            fallbacks += 1;
        }
        let targets = self.complete_versions(view, targets, free);
        assert!(
            targets.iter().all(open),
            "invariant: write: a copy goes only to a node that can take it, once"
        );
        assert!(
            (1..targets.len()).all(|at| !targets[..at].contains(&targets[at])),
            "invariant: write: no node is a target twice"
        );
        targets
    }

    /// Adds fallbacks for versions of which too few members hold a copy or may still.
    fn complete_versions(&self, view: &View, mut targets: Vec<NodeId>, free: Vec<NodeId>) -> Vec<NodeId> {
        let mut holders: Vec<_> = self.hopeful().chain(targets.iter().copied()).collect();
        for node in free {
            if view.would_help(node, &holders) {
                holders.push(node);
                targets.push(node);
            }
        }
        targets
    }

    /// A copy is on its way to this node.
    pub fn ask(&mut self, node: NodeId) {
        self.asked.entry(node).or_insert(Outcome::Pending);
    }

    /// The node holds the image durably, and took it (or proved it) under this layout.
    pub fn confirm(&mut self, node: NodeId, layout: LayoutHash) {
        self.asked.insert(node, Outcome::Taken(layout));
    }

    /// The node did not take it, or did not answer in time. A late [`Self::confirm`] still counts.
    pub fn refuse(&mut self, node: NodeId) {
        if !matches!(self.asked.get(&node), Some(Outcome::Taken(_))) {
            self.asked.insert(node, Outcome::Refused);
        }
    }

    /// Nodes whose copies do not count, because of the layout under which they were taken: ask them again.
    pub fn unconfirmed(&self, view: &View) -> Vec<NodeId> {
        self.holders().filter(|node| !self.counts(view, *node)).collect()
    }

    /// Nodes that hold it durably, in order of ids: for the answer, whether 200 or 503.
    pub fn holders(&self) -> impl Iterator<Item = NodeId> {
        let taken = self.asked.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Taken(_)));
        taken.map(|(node, _)| *node)
    }

    /// Whether an owner will not have its copy by this write, which a holder must then repair.
    pub fn is_under_replicated(&self, view: &View) -> bool {
        let is_settled = |owner: &NodeId| match self.asked.get(owner) {
            Some(Outcome::Taken(_) | Outcome::Pending) => true,
            Some(Outcome::Refused) => false,
            None => view.can_take(*owner),
        };
        !view.owners(&self.id).iter().all(is_settled)
    }

    /// Whether it may be answered.
    pub fn status(&self, view: &View) -> WriteStatus {
        let owners = view.owners(&self.id);
        let counted: Vec<_> = self.holders().filter(|node| self.counts(view, *node)).collect();
        let owned = counted.iter().filter(|node| owners.contains(node)).count();
        let spare = (counted.len() - owned).min(self.fallbacks_allowed(view, &owners));
        let enough = owned + spare >= view.copies_needed() && view.are_enough_in_every_version(&counted);
        if enough && self.has_owner_in_every_version(view, &counted) && self.spans_zones(view, &counted) {
            assert!(!counted.is_empty(), "invariant: write: an upload that nobody holds is not acknowledged");
            assert!(
                counted.len() >= view.copies_needed(),
                "invariant: write: an upload is acknowledged with as many copies as it needs"
            );
            return WriteStatus::Acknowledged;
        }
        let waiting = self.asked.values().any(|outcome| *outcome == Outcome::Pending);
        // A copy under an unknown layout counts as soon as the two have become one.
        if waiting || counted.len() < self.holders().count() || !self.targets(view).is_empty() {
            WriteStatus::Pending
        } else {
            WriteStatus::Impossible
        }
    }

    /// This node's own does: it goes by this very view.
    fn counts(&self, view: &View, node: NodeId) -> bool {
        let is_known = |layout: &LayoutHash| node == view.this() || view.knows(*layout);
        matches!(self.asked.get(&node), Some(Outcome::Taken(layout)) if is_known(layout))
    }

    /// Copies outside the owners stand for owners that did not take their own, or that there are too few of.
    fn fallbacks_allowed(&self, view: &View, owners: &[NodeId]) -> usize {
        let missing = |owner: &&NodeId| match self.asked.get(owner) {
            Some(Outcome::Taken(_) | Outcome::Pending) => false,
            Some(Outcome::Refused) => true,
            None => !view.can_take(**owner),
        };
        owners.iter().filter(missing).count() + view.copies_needed().saturating_sub(owners.len())
    }

    fn has_owner_in_every_version(&self, view: &View, counted: &[NodeId]) -> bool {
        let mut versions = view.owners_by_version(&self.id).into_iter().filter(|owners| !owners.is_empty());
        versions.all(|owners| owners.iter().any(|owner| counted.contains(owner)))
    }

    /// Two zones, where two zones have nodes that could take it and did not refuse.
    fn spans_zones(&self, view: &View, counted: &[NodeId]) -> bool {
        let zones = |nodes: &mut dyn Iterator<Item = NodeId>| -> usize {
            nodes.filter_map(|node| view.zone(node)).collect::<BTreeSet<&Label>>().len()
        };
        let refused = |node: &NodeId| self.asked.get(node) == Some(&Outcome::Refused);
        let everybody = view.members().map(|(node, _)| node);
        let mut takers = everybody.filter(|node| view.can_take(*node) && !refused(node));
        view.copies_needed() < 2 || zones(&mut counted.iter().copied()) >= 2 || zones(&mut takers) < 2
    }

    /// Nodes that have taken it or may still.
    fn hopeful(&self) -> impl Iterator<Item = NodeId> {
        let hopeful = self.asked.iter().filter(|(_, outcome)| **outcome != Outcome::Refused);
        hopeful.map(|(node, _)| *node)
    }
}
