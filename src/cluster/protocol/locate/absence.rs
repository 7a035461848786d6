//! Whether an image is nowhere: only then a 404, else a 503.

use std::collections::BTreeMap;

use crate::cluster::layout::SyncHash;
use crate::cluster::node::NodeId;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// One search for an image.
#[derive(Clone, Debug)]
pub struct AbsenceProof {
    id: ObjectId,
    said: BTreeMap<NodeId, LookupReply>,
}

/// The reply of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupReply {
    /// It has the image.
    Present,
    /// It has no such file, its disk is well, and this is what it is in sync with (nothing: a store that was
    /// emptied or has just joined, or a damaged copy under this id).
    Absent(Option<SyncHash>),
    /// It did not answer, or could not look.
    Unknown,
    /// The image is deleted or banned, as far as it knows: by a record that the asker knows too now.
    Gone,
}

/// The state of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofStep {
    /// This node has it.
    Found(NodeId),
    /// Ask these, all at once; none of them was asked before.
    Ask(Vec<NodeId>),
    /// It is nowhere: 404.
    Absent,
    /// It may be where nobody answers: 503.
    Unproven,
}

impl AbsenceProof {
    /// A search that has asked nobody.
    pub fn new(id: ObjectId) -> Self {
        Self { id, said: BTreeMap::new() }
    }

    /// Takes an answer. A yes stays.
    pub fn record(&mut self, node: NodeId, said: LookupReply) {
        if self.said.get(&node) != Some(&LookupReply::Present) {
            self.said.insert(node, said);
        }
    }

    /// The node counts as one that was not asked.
    pub fn forget(&mut self, node: NodeId) {
        self.said.remove(&node);
    }

    /// The next step: the owners are asked first, then every live member once.
    pub fn next_step(&self, view: &View) -> ProofStep {
        let step = self.decide(view);
        match &step {
            ProofStep::Ask(nodes) => {
                assert!(!nodes.is_empty(), "invariant: absence: a search that asks asks somebody");
                let is_new = |node: &NodeId| !self.said.contains_key(node) && view.is_alive(*node);
                assert!(
                    nodes.iter().all(is_new),
                    "invariant: absence: only live nodes are asked, each of them once"
                );
            }
            ProofStep::Absent => {
                let is_held = self.said.values().any(|said| *said == LookupReply::Present);
                assert!(!is_held, "invariant: absence: an image that a node has is not called absent");
                let has_no = self.said.values().any(|said| matches!(said, LookupReply::Absent(Some(_))));
                assert!(
                    has_no || view.members().next().is_some(),
                    "invariant: absence: the proof rests on a reply or on known members"
                );
            }
            ProofStep::Found(_) | ProofStep::Unproven => {}
        }
        step
    }

    fn decide(&self, view: &View) -> ProofStep {
        if let Some((node, _)) = self.said.iter().find(|(_, said)| **said == LookupReply::Present) {
            return ProofStep::Found(*node);
        }
        let owners = view.owners(&self.id);
        let unasked = |node: &NodeId| !self.said.contains_key(node) && view.is_alive(*node);
        let open: Vec<_> = owners.iter().copied().filter(unasked).collect();
        if !open.is_empty() {
            return ProofStep::Ask(open);
        }
        // Without owners, "every owner said no" would be said of nobody.
        let all_owners = !owners.is_empty() && owners.iter().all(|owner| self.says_no(view, *owner));
        // What was written by nodes on the far side of a cut that are out by now lies on them alone.
        let out_of_sight = |node: &NodeId| view.is_out(*node) && !self.says_no(view, *node);
        if all_owners && everybody(view).filter(out_of_sight).count() < view.copies_certain() {
            return ProofStep::Absent;
        }
        let open: Vec<_> = everybody(view).filter(unasked).collect();
        if !open.is_empty() {
            return ProofStep::Ask(open);
        }
        // A node that belongs to no cluster yet knows of nobody it could ask.
        let knows_nobody = everybody(view).next().is_none();
        // Nor does a node that was just removed: one of the copies may have been its own.
        let silent = everybody(view).filter(|node| !self.says_no(view, *node)).count();
        let out_of_reach = silent + view.lost().len();
        if out_of_reach < view.copies_certain() && !knows_nobody {
            ProofStep::Absent
        } else {
            ProofStep::Unproven
        }
    }

    /// Only "no such file" of a node that is in sync counts.
    fn says_no(&self, view: &View, node: NodeId) -> bool {
        matches!(self.said.get(&node), Some(LookupReply::Absent(Some(hash))) if view.is_version(*hash))
    }
}

fn everybody(view: &View) -> impl Iterator<Item = NodeId> {
    view.members().map(|(node, _)| node)
}
