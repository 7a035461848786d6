//! Claims to a name and a URL: one id holds each, until that id is removed or takes another.
//!
//! The join of a node is refused when another id holds its name or URL ([`Layout::edit`]). But two sides of a cut may
//! each accept one, and the two layouts are merged later. Then the layout itself decides, by a pure function of the
//! merged registers: so all members decide alike, in whatever order they merged. Claims are ordered by (latest lamport
//! of name and URL, id). Each is valid unless an earlier valid one has the same name or URL. The first claim is always
//! valid, so a name always has a holder.
//!
//! A node whose claim is refused keeps its images and its place in the current versions. It owns nothing from the
//! staged version on, takes no copies, and comes back by itself when its claim is valid.

use std::collections::BTreeMap;

use super::super::node::{Label, NodeId, NodeUrl};
use super::{Layout, NodeRecord, Role};

/// The name or URL that another id holds, and which id that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// The name.
    Name(NodeId),
    /// The URL.
    Url(NodeId),
}

impl Taken {
    /// The node that holds it.
    pub fn holder(self) -> NodeId {
        let (Self::Name(holder) | Self::Url(holder)) = self;
        holder
    }
}

impl Layout {
    /// Every node whose claim to its name or URL does not stand, and why. Costs a sort of all nodes.
    pub fn refused_claims(&self) -> BTreeMap<NodeId, Taken> {
        let mut claims: Vec<_> = self.remaining().collect();
        claims
            .sort_by_key(|(node, known)| (known.name.stamp().lamport.max(known.url.stamp().lamport), *node));
        let (mut names, mut urls) = (BTreeMap::new(), BTreeMap::new());
        let mut refused = BTreeMap::new();
        for (node, known) in claims {
            let (name, url) = (known.name.value(), known.url.value().key());
            let by_name = names.get(name).copied().map(Taken::Name);
            if let Some(taken) = by_name.or_else(|| urls.get(&url).copied().map(Taken::Url)) {
                assert!(taken.holder() != node, "invariant: claims: no node is refused for its own claim");
                refused.insert(node, taken);
            } else {
                names.insert(name, node);
                urls.insert(url, node);
            }
        }
        assert!(refused.is_empty() || !names.is_empty(), "invariant: claims: the first claim is valid");
        refused
    }

    /// Another node that has this name or URL.
    pub(in crate::cluster) fn taken(&self, node: NodeId, name: &Label, url: &NodeUrl) -> Option<Taken> {
        self.holder_of_name(node, name)
            .map(Taken::Name)
            .or_else(|| self.holder_of_url(node, url).map(Taken::Url))
    }

    pub(super) fn holder_of_name(&self, node: NodeId, name: &Label) -> Option<NodeId> {
        let mut others = self.remaining().filter(|(other, _)| *other != node);
        others.find(|(_, known)| known.name.value() == name).map(|(other, _)| other)
    }

    pub(super) fn holder_of_url(&self, node: NodeId, url: &NodeUrl) -> Option<NodeId> {
        let key = url.key();
        let mut others = self.remaining().filter(|(other, _)| *other != node);
        others.find(|(_, known)| known.url.value().key() == key).map(|(other, _)| other)
    }

    /// Whether a node of the other that this one does not know has the name or URL of one that it does. Such a layout
    /// is of a cluster that was founded apart, and its claims must not meet older ones by a merge.
    pub(in crate::cluster) fn conflicts_with(&self, other: &Self) -> Option<(NodeId, Taken)> {
        other.remaining().filter(|(node, _)| !self.nodes.contains_key(node)).find_map(|(node, known)| {
            let taken = self.taken(node, known.name.value(), known.url.value())?;
            // Removed there, it is about to be removed here.
            let is_over = other.staged.role(taken.holder()) == Some(Role::Removed);
            (!is_over).then_some((node, taken))
        })
    }

    /// Every node that was not removed.
    fn remaining(&self) -> impl Iterator<Item = (NodeId, &NodeRecord)> {
        let all = self.nodes.iter().map(|(node, known)| (*node, known));
        all.filter(|(node, _)| self.staged.role(*node) != Some(Role::Removed))
    }
}
