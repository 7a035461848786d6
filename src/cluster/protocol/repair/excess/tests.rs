//! The trimming rule, searched exhaustively on a small model: three nodes, one image, one change of the layout. Every
//! order of hearing of it, comparisons, copies, one lost copy, receipts, deletions and steps of time is tried.
//!
//! The layouts, the views and the rule are those that ship. The agreement on the layout is its two phases: a node hears
//! of the change at any time, is in sync by a comparison with all others, acknowledges when all are in sync, and goes
//! by the new version alone when all have acknowledged. A receipt is given at the moment when it is asked for; it may be
//! used any time later. No copy is lost while a receipt for it may be used, for no rule could see that. Time goes in steps
//! of the grace: it stands still, and all that was before moves back.

use std::collections::{BTreeSet, HashSet};

use super::*;
use crate::cluster::layout::tests::support::{id as node, layout, new_node, settle};
use crate::cluster::layout::{Copies, Edit, Layout, Role};
use crate::cluster::node::Weight;
use crate::cluster::protocol::tests::support::object;
use crate::cluster::view::{LocalState, Writes};

const NODES: usize = 3;

const COPIES: Copies = Copies { replication: 2, min_replication: 2 };

const STEP_MS: u64 = ExcessReplica::GRACE_MS;

const NOW: Time = Time::from_millis(60_000);

/// Steps after which no age makes a difference any more.
const STEPS_MAX: usize = (ExcessReplica::SETTLE_MS / STEP_MS) as usize + 1;

/// The rule that a model trims by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Shipped,
    /// As soon as the node is no owner.
    ByRank,
    /// A receipt is never void.
    OldReceipts,
    /// One owner is enough.
    OneReceipt,
}

/// The progress of a node with the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// It has not heard of it.
    Old,
    /// It goes by both versions.
    Both,
    Synced,
    Acknowledged,
    /// It goes by the new version alone.
    New,
}

#[derive(Clone)]
struct State {
    has_lost: bool,
    nodes: [ModelNode; NODES],
}

#[derive(Clone)]
struct ModelNode {
    phase: Phase,
    /// Since it goes by its layout.
    steps: usize,
    has_copy: bool,
    excess: Option<ExcessReplica>,
}

struct Model {
    rule: Rule,
    id: ObjectId,
    new_owners: Vec<NodeId>,
    /// By node, by layout (before, during and after the change), and by the steps since the node goes by it.
    views: Vec<[Vec<View>; 3]>,
}

/// The end of a search.
#[derive(Debug, Default)]
struct Searched {
    states: usize,
    deletions: usize,
    /// Whether a state was reached in which all go by the new version and nothing is in excess.
    has_settled: bool,
    /// The first promise that was broken.
    violation: Option<String>,
}

impl Model {
    /// Of an image whose owners this edit changes.
    fn new(rule: Rule, edit: &Edit) -> (Self, State) {
        let old = layout(&[0; NODES], COPIES);
        let mut both = old.clone();
        both.edit(node(0), edit).unwrap();
        let mut new = both.clone();
        settle(&mut new);
        let views = |at: u64| [&old, &both, &new].map(|layout| views_of(layout, node(at)));
        let views: Vec<_> = (0..NODES as u64).map(views).collect();
        let owners = |layout: usize, id: &ObjectId| views[0][layout][0].owners(id);
        let sorted = |layout, id: &ObjectId| owners(layout, id).into_iter().collect::<BTreeSet<_>>();
        let moves = |id: &ObjectId| sorted(0, id) != sorted(2, id);
        let id = (0..=255).map(object).find(moves).expect("an image that moves");
        let nodes = std::array::from_fn(|at| ModelNode {
            phase: Phase::Old,
            steps: STEPS_MAX,
            has_copy: owners(0, &id).contains(&node(at as u64)),
            excess: None,
        });
        let new_owners = owners(2, &id);
        (Self { rule, id, new_owners, views }, State { has_lost: false, nodes })
    }

    fn view(&self, state: &State, at: usize) -> &View {
        let layout = match state.nodes[at].phase {
            Phase::Old => 0,
            Phase::New => 2,
            _ => 1,
        };
        &self.views[at][layout][state.nodes[at].steps]
    }

    /// The node goes on with the change, where it may.
    fn advance(&self, state: &State, at: usize) -> Option<State> {
        let all_are = |phase| state.nodes.iter().all(|it| it.phase >= phase);
        let (phase, may) = match state.nodes[at].phase {
            Phase::Old => (Phase::Both, true),
            Phase::Both => (Phase::Synced, all_are(Phase::Both) && self.is_in_sync(state, at)),
            Phase::Synced => (Phase::Acknowledged, all_are(Phase::Synced)),
            Phase::Acknowledged => (Phase::New, all_are(Phase::Acknowledged)),
            Phase::New => return None,
        };
        let mut next = state.clone();
        if matches!(phase, Phase::Both | Phase::New) {
            next.nodes[at].steps = 0;
        }
        next.nodes[at].phase = phase;
        may.then_some(next)
    }

    /// Each of two nodes has what the other has and it owns.
    fn is_in_sync(&self, state: &State, at: usize) -> bool {
        let has_its_own = |one: usize, other: usize| {
            let owns = self.new_owners.contains(&node(one as u64));
            !owns || !state.nodes[other].has_copy || state.nodes[one].has_copy
        };
        (0..NODES).filter(|other| *other != at).all(|it| has_its_own(at, it) && has_its_own(it, at))
    }

    /// The node hands a copy to an owner that has none.
    fn give(&self, state: &State, from: usize, to: usize) -> Option<State> {
        let is_wanted = state.nodes[from].has_copy && !state.nodes[to].has_copy;
        let mut next = state.clone();
        (next.nodes[to].has_copy, next.nodes[to].excess) = (true, None);
        (is_wanted && self.view(state, from).is_owner(node(to as u64), &self.id)).then_some(next)
    }

    /// An owner reads its copy and gives a receipt to a node that wants to trim.
    fn receive(&self, state: &State, at: usize, owner: usize) -> Option<State> {
        if !state.nodes[at].has_copy || !state.nodes[owner].has_copy {
            return None;
        }
        let view = self.view(state, at);
        let mut excess = state.nodes[at].excess.clone().unwrap_or_else(|| ExcessReplica::new(self.id, view));
        match self.step(&mut excess, view, NOW) {
            ExcessStep::Verify(missing) if missing.contains(&node(owner as u64)) => {}
            _ => return None,
        }
        excess.add_receipt(node(owner as u64), self.view(state, owner).hash(), NOW);
        self.step(&mut excess, view, NOW);
        let mut next = state.clone();
        next.nodes[at].excess = Some(excess);
        Some(next)
    }

    fn step(&self, excess: &mut ExcessReplica, view: &View, now: Time) -> ExcessStep {
        let asked = excess.receipts.values().copied().max().filter(|_| self.rule == Rule::OneReceipt);
        for owner in view.owners(&self.id) {
            asked.into_iter().for_each(|asked| _ = excess.receipts.entry(owner).or_insert(asked));
        }
        if self.rule == Rule::OldReceipts {
            excess.receipts.values_mut().for_each(|asked| *asked = now);
        }
        excess.next_step(view, now)
    }

    fn delete(&self, state: &State, at: usize) -> Option<State> {
        let view = self.view(state, at);
        let may_go = match (self.rule, state.nodes[at].excess.clone()) {
            _ if !state.nodes[at].has_copy => false,
            (Rule::ByRank, _) => !view.is_owner(view.this(), &self.id),
            (_, Some(mut excess)) => self.step(&mut excess, view, NOW) == ExcessStep::Delete,
            (_, None) => false,
        };
        let mut next = state.clone();
        (next.nodes[at].has_copy, next.nodes[at].excess) = (false, None);
        may_go.then_some(next)
    }

    /// A step of time.
    fn pass(&self, state: &State) -> State {
        let earlier = |time: &mut Time| {
            let oldest = NOW.millis() - STEPS_MAX as u64 * STEP_MS;
            *time = Time::from_millis((time.millis() - STEP_MS).max(oldest));
        };
        let mut next = state.clone();
        for it in &mut next.nodes {
            it.steps = (it.steps + 1).min(STEPS_MAX);
            if let Some(excess) = &mut it.excess {
                excess.receipts.values_mut().for_each(earlier);
                excess.complete_since.iter_mut().for_each(earlier);
            }
        }
        next
    }

    /// A copy is lost, while there is another and nobody relies on it.
    fn lose(&self, state: &State, at: usize) -> Option<State> {
        let copies = state.nodes.iter().filter(|it| it.has_copy).count();
        let receipts = state.nodes.iter().filter_map(|it| it.excess.as_ref());
        let is_relied_on = receipts.into_iter().any(|it| {
            it.receipts
                .get(&node(at as u64))
                .is_some_and(|asked| NOW.since(*asked) <= ExcessReplica::RECEIPT_AGE_MAX_MS)
        });
        let mut next = State { has_lost: true, ..state.clone() };
        (next.nodes[at].has_copy, next.nodes[at].excess) = (false, None);
        (!state.has_lost && state.nodes[at].has_copy && copies > 1 && !is_relied_on).then_some(next)
    }

    fn successors(&self, state: &State, deletions: &mut usize) -> Vec<State> {
        let mut next = vec![self.pass(state)];
        for at in 0..NODES {
            next.extend(self.advance(state, at));
            next.extend(self.lose(state, at));
            for other in (0..NODES).filter(|other| *other != at) {
                next.extend(self.give(state, at, other));
                next.extend(self.receive(state, at, other));
            }
            let deleted = self.delete(state, at);
            *deletions += usize::from(deleted.is_some());
            next.extend(deleted);
        }
        next
    }

    /// A promise that this state breaks.
    fn violation(&self, state: &State) -> Option<String> {
        let copies = state.nodes.iter().filter(|it| it.has_copy).count();
        if copies + usize::from(state.has_lost) < usize::from(COPIES.replication) {
            return Some(format!("{copies} copies are left"));
        }
        let has = |owner: &NodeId| (0..NODES).any(|at| node(at as u64) == *owner && state.nodes[at].has_copy);
        let blind = (0..NODES).find(|at| !self.view(state, *at).owners(&self.id).iter().any(has));
        blind.map(|at| format!("node {at} finds the image on no owner"))
    }

    /// A deletion that leaves fewer copies than are wanted.
    fn short_deletion(&self, state: &State) -> Option<String> {
        let copies = state.nodes.iter().filter(|it| it.has_copy).count();
        let at = (0..NODES).find(|at| self.delete(state, *at).is_some())?;
        let is_short = copies <= usize::from(COPIES.replication);
        is_short.then(|| format!("node {at} deletes one of {copies} copies"))
    }

    fn is_settled(&self, state: &State) -> bool {
        state.nodes.iter().enumerate().all(|(at, it)| {
            it.phase == Phase::New && it.has_copy == self.new_owners.contains(&node(at as u64))
        })
    }

    fn search(&self, first: State) -> Searched {
        let mut seen = HashSet::from([key(&first)]);
        let mut open = vec![first];
        let mut searched = Searched::default();
        while let Some(state) = open.pop() {
            searched.states += 1;
            searched.has_settled |= self.is_settled(&state);
            searched.violation = self.violation(&state);
            if searched.violation.is_some() {
                return searched;
            }
            let next = self.successors(&state, &mut searched.deletions);
            searched.violation = self.short_deletion(&state);
            if searched.violation.is_some() {
                return searched;
            }
            open.extend(next.into_iter().filter(|state| seen.insert(key(state))));
        }
        searched
    }
}

/// A node's views under a layout, by the steps since it goes by that.
fn views_of(layout: &Layout, this: NodeId) -> Vec<View> {
    let view = |steps: usize| {
        let since = Time::from_millis(NOW.millis() - steps as u64 * STEP_MS);
        let alive = (0..NODES as u64).map(node).collect();
        let known = BTreeSet::new();
        View::new(layout, LocalState { this, since, alive, known, writes: Writes::Allowed, store: 0 })
    };
    (0..=STEPS_MAX).map(view).collect()
}

/// All that the future depends on.
fn key(state: &State) -> Vec<u8> {
    let steps = |time: Time| (NOW.since(time) / STEP_MS) as u8;
    let mut key = vec![u8::from(state.has_lost)];
    for ModelNode { phase, steps: since, has_copy, excess } in &state.nodes {
        key.extend([*phase as u8, *since as u8, u8::from(*has_copy)]);
        if let Some(ExcessReplica { layout, receipts, complete_since, .. }) = excess {
            key.extend(layout.0);
            for (owner, asked) in receipts {
                key.extend([owner.bytes()[15], steps(*asked)]);
            }
            key.push(complete_since.map_or(253, steps));
        }
        key.push(254);
    }
    key
}

fn changes() -> [Edit; 3] {
    [
        Edit::Role(node(0), Role::Draining),
        Edit::Weight(node(0), Weight::new(1_000).unwrap()),
        Edit::Zone(node(0), new_node(0, 1).zone),
    ]
}

#[test]
fn no_order_of_events_trims_a_copy_that_is_needed() {
    for edit in changes() {
        let (model, first) = Model::new(Rule::Shipped, &edit);
        let searched = model.search(first);
        assert!(searched.violation.is_none(), "{edit:?}: {searched:?}");
        assert!(searched.has_settled && searched.deletions > 0, "{edit:?}: {searched:?}");
    }
}

#[test]
fn the_search_finds_rules_that_trim_too_much() {
    for rule in [Rule::ByRank, Rule::OneReceipt, Rule::OldReceipts] {
        let is_found = |edit: &Edit| {
            let (model, first) = Model::new(rule, edit);
            model.search(first).violation.is_some()
        };
        assert!(changes().iter().any(is_found), "{rule:?}");
    }
}
