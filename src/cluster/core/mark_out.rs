//! Automatic mark-out: a node that is down for long leaves the layout, and comes back when it answers again.
//!
//! To move the share of a lost node costs much, and is wrong when the node was only cut off. So three conditions must
//! hold. The node was down for half an hour. This side sees three quarters of the weight. The lost nodes cannot hold an
//! image alone: they are fewer than an upload needs copies, or lie in one zone of several. Otherwise an operator has to
//! say that the node will not come back.

use std::collections::{BTreeMap, BTreeSet};

use super::super::layout::{Edit, LayoutVersion, Role};
use super::super::node::NodeId;
use super::super::time::Time;

/// A node that is down for this long is marked out.
pub(super) const AWAY_MS: u64 = 30 * 60 * 1_000;

/// A node that was marked out and answers for this long becomes active again.
pub(super) const BACK_MS: u64 = 60 * 1_000;

/// The decision about nodes that are down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MarkOutDecision {
    pub(super) edits: Vec<Edit>,
    /// Down for long, but not to be marked out automatically.
    pub(super) needs_operator: BTreeSet<NodeId>,
}

/// Decides from `changed`: since when each other member answers, or does not.
pub(super) fn decide(
    staged: &LayoutVersion,
    this: NodeId,
    alive: &BTreeSet<NodeId>,
    changed: &BTreeMap<NodeId, Time>,
    now: Time,
) -> MarkOutDecision {
    let is_here = |node: &NodeId| *node == this || alive.contains(node);
    let mut decision = MarkOutDecision::default();
    // One member decides, so that not all write the same at once; if two do, nothing is lost.
    if alive.iter().any(|node| *node < this && staged.role(*node).is_some_and(Role::is_counted_on)) {
        return decision;
    }
    let for_long = |node: &NodeId, long| changed.get(node).is_some_and(|since| now.since(*since) >= long);
    let (mut missing, mut out) = (Vec::new(), Vec::new());
    for (node, entry) in &staged.members {
        match *entry.role.value() {
            Role::Out { automatic: true } if is_here(node) && for_long(node, BACK_MS) => {
                decision.edits.push(Edit::Role(*node, Role::Active));
            }
            Role::Out { automatic: true } => out.push(*node),
            role if role.is_counted_on() && !is_here(node) => missing.push(*node),
            _ => {}
        }
    }
    let overdue: Vec<_> = missing.iter().copied().filter(|node| for_long(node, AWAY_MS)).collect();
    if overdue.is_empty() {
        return decision;
    }
    assert!(!overdue.contains(&this), "invariant: mark-out: a node does not mark itself out");
    assert!(
        !overdue.iter().any(|node| alive.contains(node)),
        "invariant: mark-out: a node that answers is not marked out"
    );
    let lost: Vec<_> = missing.into_iter().chain(out).collect();
    if is_bearable(staged, &lost) {
        decision
            .edits
            .extend(overdue.into_iter().map(|node| Edit::Role(node, Role::Out { automatic: true })));
    } else {
        decision.needs_operator.extend(overdue);
    }
    decision
}

fn is_bearable(staged: &LayoutVersion, lost: &[NodeId]) -> bool {
    let whole = staged
        .members
        .iter()
        .filter(|(node, entry)| entry.role.value().is_counted_on() || lost.contains(node));
    let (mut all, mut seen) = (0_u64, 0_u64);
    let (mut zones, mut zones_lost) = (BTreeSet::new(), BTreeSet::new());
    for (node, entry) in whole {
        let weight = u64::from(entry.weight.value().get());
        all += weight;
        zones.insert(entry.zone.value());
        if lost.contains(node) {
            zones_lost.insert(entry.zone.value());
        } else {
            seen += weight;
        }
    }
    let one_zone_of_several = zones_lost.len() == 1 && zones.len() > 1;
    seen * 4 >= all * 3 && (lost.len() < staged.min_replication() || one_zone_of_several)
}

#[cfg(test)]
mod tests {
    use super::super::super::layout::tests::support::{Member, id, version};
    use super::*;

    /// Which of nodes 0 to `zones.len()` are taken out or need an operator while these are away for so long.
    fn decided(zones: &[usize], away: &[u64], minutes: u64) -> (Vec<u64>, usize) {
        let members: Vec<_> =
            zones.iter().enumerate().map(|(at, zone)| Member::new(at as u64).in_zone(*zone)).collect();
        let alive = (1..zones.len() as u64).filter(|at| !away.contains(at)).map(id).collect();
        let changed = (0..zones.len() as u64).map(|at| (id(at), Time::default())).collect();
        let decision =
            decide(&version(&members, 3, 2), id(0), &alive, &changed, Time::from_millis(minutes * 60_000));
        let outs = (0..zones.len() as u64)
            .filter(|at| decision.edits.contains(&Edit::Role(id(*at), Role::Out { automatic: true })));
        (outs.collect(), decision.needs_operator.len())
    }

    #[test]
    fn one_of_four_is_taken_out_after_half_an_hour() {
        assert_eq!(decided(&[0; 4], &[3], 29), (vec![], 0));
        assert_eq!(decided(&[0; 4], &[3], 30), (vec![3], 0));
    }

    #[test]
    fn one_of_three_needs_an_operator() {
        assert_eq!(decided(&[0; 3], &[2], 60), (vec![], 1));
    }

    #[test]
    fn two_at_once_are_taken_out_only_where_they_are_one_zone_of_several() {
        assert_eq!(decided(&[0; 9], &[7, 8], 60), (vec![], 2));
        assert_eq!(decided(&[0, 0, 0, 1, 1, 1, 2, 2, 2], &[7, 8], 60), (vec![7, 8], 0));
        assert_eq!(decided(&[0, 0, 0, 1, 1, 1, 2, 2, 2], &[5, 8], 60), (vec![], 2));
    }

    #[test]
    fn a_node_that_came_back_by_itself_is_taken_in_after_a_minute() {
        let role = Role::Out { automatic: true };
        let members = [Member::new(0), Member::new(1), Member::new(2).with_role(role)];
        let version = version(&members, 3, 2);
        let alive = BTreeSet::from([id(1), id(2)]);
        let changed = BTreeMap::from([(id(2), Time::default())]);
        let at = |millis| decide(&version, id(0), &alive, &changed, Time::from_millis(millis)).edits;
        assert_eq!(at(BACK_MS - 1), []);
        assert_eq!(at(BACK_MS), [Edit::Role(id(2), Role::Active)]);
        // Another member decides where there is one with a smaller id.
        let decision =
            decide(&version, id(1), &BTreeSet::from([id(0), id(2)]), &changed, Time::from_millis(BACK_MS));
        assert_eq!(decision, MarkOutDecision::default());
    }
}
