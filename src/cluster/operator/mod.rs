//! Changes of the layout that an operator asks for: what is asked, why it is refused, and what it would move.
//!
//! * `plan`: turns a request into a changed layout, or refuses it.
//! * `resolve`: which member a name or id means. `guard`: changes that an operator has to force.
//! * [`movement`]: how much of the cluster's copies a change moves.
//!
//! Pure: the layout, the members that answer and the known bytes are arguments. Every refusal leaves the layout as it
//! was. Each register is written on its own, so two operators who change different things at once both succeed.

mod guard;
pub mod movement;
mod resolve;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::movement::Movement;
use super::layout::{Edit, EditError, Layout, Role, SyncHash, Taken};
use super::node::{Label, NodeId, Weight};

/// A change that an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutRequest {
    /// The change.
    pub change: LayoutChange,
    /// The hash of the staged version that the operator saw. The change is refused where it is another one by now.
    pub if_staged: Option<SyncHash>,
    /// Whether a change of roles is made although too few nodes or too little weight would be left.
    pub force: bool,
    /// Whether settings are changed although much has to be moved.
    pub confirmed: bool,
}

/// The registers to be written; `None` leaves one as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutChange {
    /// The role of a member, named by its name, its id, or the first eight or more digits of its id.
    Role(String, OperatorRole),
    /// Settings of a member, named likewise.
    Node(String, NodeSettings),
    /// Settings of the cluster.
    Cluster {
        /// Copies wanted of each image.
        replication: Option<u8>,
        /// Copies before an upload is answered.
        min_replication: Option<u8>,
    },
}

/// Settings of a member; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSettings {
    /// Its share.
    pub weight: Option<Weight>,
    /// Its zone.
    pub zone: Option<Label>,
    /// Whether it takes new copies.
    pub writable: Option<bool>,
}

/// A role that an operator gives to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorRole {
    /// Owns its share.
    Active,
    /// Hands its share over.
    Draining,
    /// Gone forever.
    Removed,
}

/// The outcome of a request that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutOutcome {
    /// Whether anything was written: not where everything was as asked.
    pub changed: bool,
    /// The hash of the staged version by now.
    pub staged: SyncHash,
    /// The member that was changed, unless the cluster was.
    pub node: Option<NodeId>,
    /// The copies that the change moves.
    pub movement: Movement,
    /// Whether the asked node removed itself.
    pub removed_itself: bool,
}

/// Why a change is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutRefusal {
    /// The asked node belongs to no cluster, or must not act for it.
    NotMember,
    /// No member has this name or id.
    UnknownNode,
    /// Several members may be meant: these, at most [`LayoutRefusal::CANDIDATES_MAX`].
    AmbiguousNode(Vec<(NodeId, Label)>),
    /// That id was removed, and never comes back.
    Removed,
    /// Another member holds the name or URL of the node that is to be active.
    Taken(Taken),
    /// Not 1 to 16 copies, or more before an answer than wanted.
    Copies,
    /// No active member would be left to take anything.
    LastActive,
    /// So few nodes would be left, and uploads need so many copies. Can be forced.
    TooFewNodes {
        /// Nodes that would be left.
        left: usize,
        /// `min_replication`.
        needed: usize,
    },
    /// Less than half of the weight answers, now or after the change. Can be forced.
    TooLittleWeight,
    /// The staged version is another one by now: this.
    Changed(SyncHash),
    /// So much would be moved or given up; needs a confirmation.
    Unconfirmed(Movement),
    /// The weight would be more than ten times this one, or less than a tenth of it; needs a confirmation, however
    /// little it moves at once: it is more often a slip than meant.
    SteepWeight(Weight, Movement),
    /// The logical clock is at its end: only forged stamps reach it.
    Clock,
}

impl LayoutRefusal {
    /// Candidates that a refusal names. An id prefix of eight digits seldom fits two nodes.
    pub const CANDIDATES_MAX: usize = 16;
}

/// A layout with the change in it.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct ChangePlan {
    pub(in crate::cluster) layout: Layout,
    pub(in crate::cluster) outcome: LayoutOutcome,
}

/// Makes the change in the name of `this` on a copy of the layout. `alive` are the other members that answer; `bytes`
/// are those of all copies in the cluster, where that is known.
///
/// # Errors
/// [`LayoutRefusal`]
pub(in crate::cluster) fn plan(
    layout: &Layout,
    this: NodeId,
    alive: &BTreeSet<NodeId>,
    request: &LayoutRequest,
    bytes: Option<u64>,
) -> Result<ChangePlan, LayoutRefusal> {
    if !layout.staged.is_member(this) {
        return Err(LayoutRefusal::NotMember);
    }
    let (node, edits) = edits(layout, &request.change)?;
    let staged = layout.staged.sync_hash();
    if request.if_staged.is_some_and(|seen| seen != staged) {
        return Err(LayoutRefusal::Changed(staged));
    }
    let mut changed_layout = layout.clone();
    let mut changed = false;
    for edit in &edits {
        changed |= changed_layout.edit(this, edit)?;
    }
    let (before, after) = (&layout.staged, &changed_layout.staged);
    let movement = movement::estimate(before, after, bytes);
    if changed {
        match &request.change {
            LayoutChange::Role(_, role) => {
                guard::check_role(before, after, *role, this, alive, request.force)?;
            }
            LayoutChange::Node(..) | LayoutChange::Cluster { .. } if request.confirmed => {}
            LayoutChange::Node(..) | LayoutChange::Cluster { .. } => {
                if movement.is_large() {
                    return Err(LayoutRefusal::Unconfirmed(movement));
                }
                if let Some(weight) = node.and_then(|node| guard::steep_weight(before, after, node)) {
                    return Err(LayoutRefusal::SteepWeight(weight, movement));
                }
            }
        }
    }
    let removed_itself = changed && !after.is_member(this);
    let outcome = LayoutOutcome { changed, staged: after.sync_hash(), node, movement, removed_itself };
    Ok(ChangePlan { layout: changed_layout, outcome })
}

/// The member that is meant, and the edits in an order in which each is valid.
fn edits(layout: &Layout, change: &LayoutChange) -> Result<(Option<NodeId>, Vec<Edit>), LayoutRefusal> {
    match change {
        LayoutChange::Role(name, role) => {
            let node = resolve::member(layout, name)?;
            Ok((Some(node), vec![Edit::Role(node, (*role).into())]))
        }
        LayoutChange::Node(name, settings) => {
            let node = resolve::member(layout, name)?;
            let NodeSettings { weight, zone, writable } = settings.clone();
            let edits = [
                weight.map(|weight| Edit::Weight(node, weight)),
                zone.map(|zone| Edit::Zone(node, zone)),
                writable.map(|flag| Edit::Writable(node, flag)),
            ];
            Ok((Some(node), edits.into_iter().flatten().collect()))
        }
        LayoutChange::Cluster { replication, min_replication } => {
            let mut edits: Vec<_> =
                [replication.map(Edit::Replication), min_replication.map(Edit::MinReplication)]
                    .into_iter()
                    .flatten()
                    .collect();
            // In between, too, there may not be more before an answer than wanted.
            let wanted = *layout.staged.replication.value();
            if min_replication.is_some_and(|copies| copies <= wanted) {
                edits.reverse();
            }
            Ok((None, edits))
        }
    }
}

impl From<OperatorRole> for Role {
    fn from(role: OperatorRole) -> Self {
        match role {
            OperatorRole::Active => Self::Active,
            OperatorRole::Draining => Self::Draining,
            OperatorRole::Removed => Self::Removed,
        }
    }
}

impl From<EditError> for LayoutRefusal {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Unknown => Self::UnknownNode,
            EditError::Removed => Self::Removed,
            EditError::Taken(taken) => Self::Taken(taken),
            EditError::Copies => Self::Copies,
            // No edit of an operator adds a node.
            EditError::Full | EditError::Clock => Self::Clock,
        }
    }
}
