//! Changes of a role that an operator has to force, one that cannot be made at all, and weights that are often slips.

use std::collections::BTreeSet;

use super::super::layout::{LayoutVersion, Role};
use super::super::node::{NodeId, Weight};
use super::{LayoutRefusal, OperatorRole};

/// Checks a change of one member's role.
///
/// # Errors
/// `LastActive`, and without `force` `TooFewNodes` and `TooLittleWeight`.
pub(super) fn check_role(
    before: &LayoutVersion,
    after: &LayoutVersion,
    role: OperatorRole,
    this: NodeId,
    alive: &BTreeSet<NodeId>,
    force: bool,
) -> Result<(), LayoutRefusal> {
    if role == OperatorRole::Active {
        return Ok(());
    }
    let active = members(after).filter(|(_, role, _)| *role == Role::Active).count();
    if active == 0 {
        return Err(LayoutRefusal::LastActive);
    }
    if force {
        return Ok(());
    }
    // A node that hands its share over will soon hold no copy.
    let left = match role {
        OperatorRole::Draining => active,
        OperatorRole::Removed | OperatorRole::Active => after.counted_on().count(),
    };
    let needed = (*after.min_replication.value()).into();
    if left < needed {
        return Err(LayoutRefusal::TooFewNodes { left, needed });
    }
    // A side of a cut must not take the other one for lost; and afterwards enough has to be there to go on.
    let answers = |node: NodeId| node == this || alive.contains(&node);
    if [before, after].into_iter().all(|version| is_half_alive(version, answers)) {
        Ok(())
    } else {
        Err(LayoutRefusal::TooLittleWeight)
    }
}

/// The weight before a change to more than ten times of it, or less than a tenth.
pub(super) fn steep_weight(before: &LayoutVersion, after: &LayoutVersion, node: NodeId) -> Option<Weight> {
    let weight = |version: &LayoutVersion| version.members.get(&node).map(|entry| *entry.weight.value());
    let (old, new) = (weight(before)?, weight(after)?);
    let (low, high) = (old.min(new).get(), old.max(new).get());
    (u64::from(high) > 10 * u64::from(low)).then_some(old)
}

/// Whether the members that answer have half of the weight of those that are counted on.
fn is_half_alive(version: &LayoutVersion, answers: impl Fn(NodeId) -> bool) -> bool {
    let (mut all, mut seen) = (0_u64, 0_u64);
    for (node, _, weight) in members(version).filter(|(_, role, _)| role.is_counted_on()) {
        all += weight;
        seen += if answers(node) { weight } else { 0 };
    }
    seen * 2 >= all
}

fn members(version: &LayoutVersion) -> impl Iterator<Item = (NodeId, Role, u64)> {
    let entries = version.members.iter();
    entries.map(|(node, entry)| (*node, *entry.role.value(), entry.weight.value().get().into()))
}
