//! Operators change the layout through any member, at once, during a cut, and while a disk is slow.

use super::super::super::layout::tests::support::id;
use super::super::super::operator::{LayoutChange, LayoutRefusal, LayoutRequest, NodeSettings, OperatorRole};
use super::*;

fn request(change: LayoutChange) -> LayoutRequest {
    LayoutRequest { change, if_staged: None, force: false, confirmed: true }
}

fn weigh(name: &str, weight: u32) -> LayoutRequest {
    let settings = NodeSettings { weight: Weight::new(weight).ok(), ..NodeSettings::default() };
    request(LayoutChange::Node(name.to_owned(), settings))
}

fn role(name: &str, role: OperatorRole) -> LayoutRequest {
    request(LayoutChange::Role(name.to_owned(), role))
}

impl World {
    fn operate(&mut self, at: usize, request: &LayoutRequest) -> Result<bool, LayoutRefusal> {
        let now = self.now;
        let outcome = self.stations[at].core.operate(request, None, now);
        self.drain(at);
        outcome.map(|outcome| outcome.changed)
    }

    fn weights(&self, at: usize) -> Vec<u32> {
        self.stations[at].core.view().members().map(|(_, member)| member.weight.get()).collect()
    }
}

#[test]
fn two_operators_who_change_different_things_at_once_on_two_nodes_both_succeed() {
    let mut world = World::settled(3);
    assert_eq!(world.operate(0, &weigh("n1", 200)), Ok(true));
    assert_eq!(world.operate(2, &weigh("n2", 300)), Ok(true));
    world.run(5_000);
    for at in 0..3 {
        assert_eq!(world.weights(at), [100, 200, 300], "node {at}");
        assert!(world.stations[at].core.view().is_settled());
    }
}

#[test]
fn of_two_who_change_one_thing_at_once_one_is_heard_by_all() {
    let mut world = World::settled(3);
    assert_eq!(world.operate(0, &weigh("n1", 200)), Ok(true));
    assert_eq!(world.operate(2, &weigh("n1", 300)), Ok(true));
    world.run(5_000);
    let weights = world.weights(0);
    assert!([200, 300].contains(&weights[1]));
    assert!((0..3).all(|at| world.weights(at) == weights));
}

#[test]
fn a_change_on_the_small_side_of_a_cut_is_kept_and_counts_after_it_but_no_removal_is_made_there() {
    let mut world = World::settled(5);
    for a in [0, 1, 2] {
        for b in [3, 4] {
            world.cut.extend([(a, b), (b, a)]);
        }
    }
    world.run(30_000);
    let refused = world.operate(3, &role("n0", OperatorRole::Removed));
    assert_eq!(refused, Err(LayoutRefusal::TooLittleWeight));
    assert_eq!(world.operate(3, &weigh("n4", 200)), Ok(true));
    assert_eq!(world.operate(0, &role("n4", OperatorRole::Draining)), Ok(true));
    world.run(10_000);
    assert!(!world.stations[0].core.view().is_settled(), "a member is missing");
    world.cut.clear();
    world.run(10_000);
    for station in &world.stations {
        let view = station.core.view();
        let member = view.member(id(4)).unwrap();
        assert_eq!((member.weight.get(), member.role), (200, Role::Draining));
        assert!(view.is_settled());
    }
}

#[test]
fn the_layout_says_whom_it_waits_for() {
    let mut world = World::settled(3);
    let waits = |world: &World| {
        let progress = world.stations[0].core.view().progress().clone();
        (progress.unsynced, progress.unacknowledged)
    };
    assert_eq!(waits(&world), (BTreeSet::new(), BTreeSet::new()));
    world.late.insert(2);
    world.operate(0, &weigh("n1", 200)).unwrap();
    world.run(5_000);
    assert_eq!(waits(&world).0, BTreeSet::from([id(2)]));
    let view = world.stations[0].core.view().clone();
    let progress = view.progress();
    assert_eq!((progress.current.len(), progress.proposed.len()), (1, 0));
    assert_ne!(progress.staged, progress.current.first().copied());
    let (shares, shares_now) = (view.slots_owned(4096), view.slots_owned_now(4096));
    assert_eq!(shares_now[&id(1)], shares_now[&id(2)]);
    assert_eq!(shares.len(), 3);
    let hash = view.staged_version().unwrap();
    world.stations[2].core.handle(Input::Synced(hash), world.now);
    world.drain(2);
    world.run(5_000);
    assert_eq!(waits(&world), (BTreeSet::new(), BTreeSet::new()));
}

#[test]
fn a_change_may_be_told_when_it_is_durable_and_not_before() {
    let mut world = World::settled(1);
    let (station, now) = (&mut world.stations[0], world.now);
    let settled = station.core.durable_sequence();
    assert_eq!(station.core.changes_sequence(), settled);
    station.core.operate(&weigh("n0", 200), None, now).unwrap();
    let first = station.core.changes_sequence();
    assert!(station.core.durable_sequence() < first);
    // The second change comes while the disk still writes the first.
    station.core.operate(&weigh("n0", 300), None, now).unwrap();
    let second = station.core.changes_sequence();
    assert!(first < second);
    // A failure leaves both waiting; the next try has both.
    station.core.handle(Input::PersistFailed(first), now);
    assert!(station.core.durable_sequence() < first);
    station.core.handle(Input::Tick, now.after(1_000));
    world.now = now.after(1_000);
    world.drain(0);
    let station = &world.stations[0];
    assert!(station.core.durable_sequence() >= second);
    assert_eq!(world.weights(0), [300]);
}

#[test]
fn a_node_without_a_cluster_changes_nothing_and_one_that_removed_itself_neither() {
    let mut world = World::settled(3);
    world.start(ClusterSettings { join: vec![new_node(9, 0).url], ..settings(5, true) }, id(5), 1, None);
    assert_eq!(world.operate(3, &weigh("n5", 200)), Err(LayoutRefusal::NotMember));
    world.stations.truncate(3);
    assert_eq!(world.operate(1, &role("n1", OperatorRole::Removed)), Ok(true));
    assert_eq!(world.operate(1, &weigh("n2", 200)), Err(LayoutRefusal::NotMember));
    world.run(5_000);
    assert_eq!(world.stations[1].core.view().writes(), Writes::Removed);
    assert_eq!(world.stations[0].core.view().members().count(), 2);
    assert!(world.stations[0].core.view().is_settled());
    // Its name is free for another one.
    let mut heir = settings(7, true);
    heir.about.name = new_node(1, 0).name;
    world.start(heir, id(7), 1, None);
    world.run(5_000);
    assert_eq!(world.stations[3].core.view().writes(), Writes::Allowed);
}
