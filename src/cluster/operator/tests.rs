//! Changes that an operator may make, and refusals.

use super::super::layout::tests::support::{id, layout, new_node, settle};
use super::super::layout::{Copies, Edit};
use super::*;

const COPIES: Copies = Copies { replication: 3, min_replication: 2 };

fn ask(change: LayoutChange) -> LayoutRequest {
    LayoutRequest { change, if_staged: None, force: false, confirmed: false }
}

fn role(number: u64, role: OperatorRole) -> LayoutChange {
    LayoutChange::Role(id(number).to_string(), role)
}

fn weight(number: u64, weight: u32) -> LayoutChange {
    let settings = NodeSettings { weight: Weight::new(weight).ok(), ..NodeSettings::default() };
    LayoutChange::Node(id(number).to_string(), settings)
}

fn alive(numbers: &[u64]) -> BTreeSet<NodeId> {
    numbers.iter().copied().map(id).collect()
}

/// Node 0 of so many equal nodes is asked, of which these others answer.
fn asked(nodes: usize, others: &[u64], request: &LayoutRequest) -> Result<LayoutOutcome, LayoutRefusal> {
    let layout = layout(&vec![0; nodes], COPIES);
    plan(&layout, id(0), &alive(others), request, Some(1_000_000)).map(|plan| plan.outcome)
}

#[test]
fn a_member_is_found_by_name_id_and_the_beginning_of_its_id() {
    let layout = layout(&[0, 0, 0], COPIES);
    let find = |text: &str| resolve::member(&layout, text);
    assert_eq!(find("n1"), Ok(id(1)));
    assert_eq!(find(&id(2).to_string()), Ok(id(2)));
    assert_eq!(find(&id(2).to_string()[..31]), Err(candidates(&[0, 1, 2])));
    for unknown in ["n9", "", "n", &id(9).to_string(), &id(1).to_string()[..7], "00000001"] {
        assert_eq!(find(unknown), Err(LayoutRefusal::UnknownNode), "{unknown}");
    }
}

fn candidates(numbers: &[u64]) -> LayoutRefusal {
    let candidate = |number: &u64| (id(*number), new_node(*number, 0).name);
    LayoutRefusal::AmbiguousNode(numbers.iter().map(candidate).collect())
}

#[test]
fn a_name_that_two_members_have_or_that_is_the_beginning_of_an_id_is_ambiguous() {
    // Two sides of a cut have each taken in a node of this name.
    let (mut one, mut other) = (layout(&[0, 0], COPIES), layout(&[0, 0], COPIES));
    one.edit(id(0), &Edit::Join(id(2), new_node(7, 0))).unwrap();
    other.edit(id(1), &Edit::Join(id(3), new_node(7, 0))).unwrap();
    one.merge(&other).unwrap();
    let named = |number| (id(number), new_node(7, 0).name);
    let both = LayoutRefusal::AmbiguousNode(vec![named(2), named(3)]);
    assert_eq!(resolve::member(&one, "n7"), Err(both));
    let name = Label::parse(&id(3).to_string()[..30]).unwrap();
    one.edit(id(0), &Edit::Name(id(0), name.clone())).unwrap();
    assert!(matches!(resolve::member(&one, name.as_str()), Err(LayoutRefusal::AmbiguousNode(_))));
    assert_eq!(resolve::member(&one, &id(3).to_string()), Ok(id(3)));
}

#[test]
fn a_removed_node_is_told_apart_from_one_that_never_was_and_its_name_is_free() {
    let mut layout = layout(&[0, 0, 0], COPIES);
    layout.edit(id(0), &Edit::Role(id(2), Role::Removed)).unwrap();
    for change in [role(2, OperatorRole::Draining), role(2, OperatorRole::Removed), weight(2, 5)] {
        let refused = plan(&layout, id(0), &alive(&[1]), &ask(change), None).unwrap_err();
        assert_eq!(refused, LayoutRefusal::Removed);
    }
    assert_eq!(resolve::member(&layout, "n2"), Err(LayoutRefusal::UnknownNode));
    layout.edit(id(0), &Edit::Join(id(5), new_node(2, 0))).unwrap();
    assert_eq!(resolve::member(&layout, "n2"), Ok(id(5)));
}

#[test]
fn a_drain_is_undone_by_activate_and_said_once() {
    let mut layout = layout(&[0; 4], COPIES);
    let others = alive(&[1, 2, 3]);
    for (wanted, changed) in [
        (OperatorRole::Draining, true),
        (OperatorRole::Draining, false),
        (OperatorRole::Active, true),
        (OperatorRole::Active, false),
    ] {
        let plan = plan(&layout, id(0), &others, &ask(role(3, wanted)), None).unwrap();
        assert_eq!(plan.outcome.changed, changed, "{wanted:?}");
        assert_eq!(plan.outcome.node, Some(id(3)));
        layout = plan.layout;
        assert_eq!(layout.staged.role(id(3)), Some(wanted.into()));
    }
}

#[test]
fn a_removal_needs_force_where_too_few_nodes_or_too_little_weight_would_be_left() {
    let remove = |number| ask(role(number, OperatorRole::Removed));
    let force = |request: LayoutRequest| LayoutRequest { force: true, ..request };
    assert!(asked(3, &[1], &remove(2)).is_ok());
    let too_few = LayoutRefusal::TooFewNodes { left: 1, needed: 2 };
    assert_eq!(asked(2, &[1], &remove(1)), Err(too_few));
    // The side of a cut that has less than half of the weight.
    assert_eq!(asked(5, &[1], &remove(4)), Err(LayoutRefusal::TooLittleWeight));
    // Half is left now, and less after it.
    assert_eq!(asked(4, &[1], &remove(1)), Err(LayoutRefusal::TooLittleWeight));
    assert!(asked(4, &[1], &remove(3)).is_ok());
    for (nodes, others, number) in [(2, &[1][..], 1), (5, &[1], 4), (4, &[1], 1)] {
        assert!(asked(nodes, others, &force(remove(number))).is_ok());
    }
}

#[test]
fn a_drain_counts_only_those_that_stay_active() {
    let drain = |number| ask(role(number, OperatorRole::Draining));
    let mut layout = layout(&[0; 3], COPIES);
    let others = alive(&[1, 2]);
    layout = plan(&layout, id(0), &others, &drain(2), None).unwrap().layout;
    let refused = plan(&layout, id(0), &others, &drain(1), None).unwrap_err();
    assert_eq!(refused, LayoutRefusal::TooFewNodes { left: 1, needed: 2 });
    let forced = LayoutRequest { force: true, ..drain(1) };
    layout = plan(&layout, id(0), &others, &forced, None).unwrap().layout;
    // Nobody would be left to take anything, which no force can mend.
    for last in [drain(0), ask(role(0, OperatorRole::Removed))] {
        let forced = LayoutRequest { force: true, ..last };
        let refused = plan(&layout, id(0), &others, &forced, None).unwrap_err();
        assert_eq!(refused, LayoutRefusal::LastActive);
    }
}

#[test]
fn the_asked_node_may_remove_itself_and_says_so_and_changes_nothing_from_then_on() {
    let layout = layout(&[0; 3], COPIES);
    let others = alive(&[1, 2]);
    let removal = plan(&layout, id(0), &others, &ask(role(0, OperatorRole::Removed)), None).unwrap();
    assert!(removal.outcome.removed_itself);
    let refused = plan(&removal.layout, id(0), &others, &ask(weight(1, 110)), None).unwrap_err();
    assert_eq!(refused, LayoutRefusal::NotMember);
}

#[test]
fn a_change_that_moves_much_needs_a_confirmation_and_says_how_much() {
    let Err(LayoutRefusal::Unconfirmed(movement)) = asked(5, &[1, 2, 3, 4], &ask(weight(3, 1_000))) else {
        panic!("a mass move");
    };
    assert!(movement.made > 100_000, "{movement:?}");
    let bytes = movement.bytes.unwrap();
    assert!(bytes.abs_diff(movement.made) < 1_000, "{movement:?}");
    let confirmed = LayoutRequest { confirmed: true, ..ask(weight(3, 1_000)) };
    assert_eq!(asked(5, &[1, 2, 3, 4], &confirmed).unwrap().movement, movement);
    // A little moves at once.
    let little = asked(5, &[1, 2, 3, 4], &ask(weight(3, 110))).unwrap();
    assert!(little.changed && (1..100_000).contains(&little.movement.made), "{little:?}");
}

#[test]
fn a_weight_with_a_zero_too_many_or_too_few_needs_a_confirmation_though_it_moves_nothing() {
    // Three nodes have everything, whatever they weigh; the fourth that joins one day would have nearly nothing.
    for slip in [1_001, 9, 1_000_000] {
        let refused = asked(3, &[1, 2], &ask(weight(2, slip))).unwrap_err();
        let hundred = Weight::new(100).unwrap();
        assert!(
            matches!(refused, LayoutRefusal::SteepWeight(old, moved) if old == hundred && moved.made == 0)
        );
        let confirmed = LayoutRequest { confirmed: true, ..ask(weight(2, slip)) };
        assert!(asked(3, &[1, 2], &confirmed).unwrap().changed);
    }
    for weighed in [1_000, 10] {
        assert!(asked(3, &[1, 2], &ask(weight(2, weighed))).is_ok());
    }
}

#[test]
fn to_give_copies_up_needs_a_confirmation_as_well() {
    let change = |replication, min_replication| ask(LayoutChange::Cluster { replication, min_replication });
    let Err(LayoutRefusal::Unconfirmed(movement)) = asked(5, &[1, 2, 3, 4], &change(Some(2), None)) else {
        panic!("a third of all copies");
    };
    assert_eq!((movement.made, movement.dropped), (0, 333_333));
    // With as many nodes as copies there is no third copy to give up, nor room for a fourth.
    assert!(asked(2, &[1], &change(Some(2), None)).is_ok());
    assert!(asked(3, &[1, 2], &change(Some(4), None)).is_ok());
}

#[test]
fn both_numbers_of_copies_are_changed_together_in_any_direction() {
    let change = |replication, min_replication| {
        let change = LayoutChange::Cluster { replication, min_replication };
        asked(3, &[1, 2], &LayoutRequest { confirmed: true, ..ask(change) })
    };
    assert!(change(Some(1), Some(1)).is_ok());
    assert!(change(Some(5), Some(4)).is_ok());
    assert!(change(None, Some(3)).is_ok());
    for (replication, min_replication) in [
        (Some(0), None),
        (Some(17), None),
        (Some(1), None),
        (None, Some(4)),
        (Some(2), Some(3)),
        (Some(0), Some(0)),
    ] {
        assert_eq!(change(replication, min_replication), Err(LayoutRefusal::Copies));
    }
}

#[test]
fn writable_moves_nothing_and_takes_effect_at_once() {
    let settings = NodeSettings { writable: Some(false), ..NodeSettings::default() };
    let request = ask(LayoutChange::Node("n1".to_owned(), settings));
    let outcome = asked(3, &[1, 2], &request).unwrap();
    assert!(outcome.changed);
    assert_eq!(outcome.movement, Movement { bytes: Some(0), ..Movement::default() });
}

#[test]
fn of_two_operators_who_saw_the_same_layout_the_second_is_told() {
    let layout = layout(&[0; 3], COPIES);
    let others = alive(&[1, 2]);
    let seen = Some(layout.staged.sync_hash());
    let saw = |change| LayoutRequest { if_staged: seen, ..ask(change) };
    let first = plan(&layout, id(0), &others, &saw(weight(1, 105)), None).unwrap();
    let second = plan(&first.layout, id(0), &others, &saw(weight(2, 105)), None).unwrap_err();
    assert_eq!(second, LayoutRefusal::Changed(first.outcome.staged));
    // A promotion is no change of theirs.
    let mut promoted = layout.clone();
    settle(&mut promoted);
    assert!(plan(&promoted, id(0), &others, &saw(weight(2, 105)), None).is_ok());
}

#[test]
fn the_estimate_stays_cheap_and_near_the_truth_in_the_largest_cluster() {
    let mut members: Vec<_> = (0..1024).map(super::super::layout::tests::support::Member::new).collect();
    let version = |members: &[_]| super::super::layout::tests::support::version(members, 3, 2);
    let before = version(&members);
    members.truncate(512);
    let movement = movement::estimate(&before, &version(&members), None);
    assert!((450_000..550_000).contains(&movement.made), "{movement:?}");
}
