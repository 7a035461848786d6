use super::super::tests::support::Bench;
use super::*;
use crate::cluster::layout::tests::support::id as node;
use crate::cluster::protocol::tests::support::{five, object, synced, view, view_without};

const WITHIN_MS: u64 = 10_000;

/// An image that this node owns first, or does not own.
fn wanted(is_owner: bool) -> WantedVariant {
    let view = view(&five());
    let is_right = |id: &ObjectId| {
        let owners = view.owners(id);
        if is_owner { owners[0] == node(0) } else { !owners.contains(&node(0)) }
    };
    let id = (0..=255).map(object).find(is_right).unwrap();
    WantedVariant { id, within_ms: WITHIN_MS, started: Time::default() }
}

fn bench(is_owner: bool) -> (Bench<Variant>, Vec<NodeId>) {
    let (wanted, view) = (wanted(is_owner), view(&five()));
    let owners = view.owners(&wanted.id);
    (Bench::new(Variant::new(wanted), view), owners)
}

fn at(node: NodeId) -> VariantEffect {
    VariantEffect::MakeAt { node, within_ms: WITHIN_MS }
}

const HERE: VariantEffect = VariantEffect::MakeHere { has_others: true };

#[test]
fn the_first_owner_makes_it_itself() {
    let (mut bench, _) = bench(true);
    assert_eq!(bench.tick(), [HERE]);
    let effects = bench.hear(VariantOutcome::Made(node(0), Made::Given));
    assert_eq!(effects, [VariantEffect::Give { by: node(0), is_lacked: false }]);
    assert!(bench.machine.is_finished());
}

#[test]
fn another_node_looks_at_its_own_disk_and_then_asks_the_owners_for_all_who_want_it() {
    let (mut bench, owners) = bench(false);
    assert_eq!(bench.tick(), [VariantEffect::LookHere]);
    assert_eq!(bench.hear(VariantOutcome::NotKept), [VariantEffect::Share]);
    assert_eq!(bench.hear(VariantOutcome::Leading), [at(owners[0])]);
    assert_eq!(bench.hear(VariantOutcome::Made(owners[0], Made::Busy)), [at(owners[1])]);
    bench.now = bench.now.after(1_000);
    let effects = bench.hear(VariantOutcome::Made(owners[1], Made::Without(LookupReply::Unknown)));
    assert_eq!(effects, [VariantEffect::MakeAt { node: owners[2], within_ms: WITHIN_MS - 1_000 }]);
    let effects = bench.hear(VariantOutcome::Made(owners[2], Made::Given));
    assert_eq!(effects, [VariantEffect::Give { by: owners[2], is_lacked: false }]);
}

#[test]
fn what_somebody_else_got_is_the_end() {
    let (mut bench, _) = bench(false);
    bench.tick();
    bench.hear(VariantOutcome::NotKept);
    assert_eq!(bench.hear(VariantOutcome::Shared), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn an_owner_that_is_busy_keeps_the_search_from_beginning() {
    let (mut bench, owners) = bench(false);
    bench.tick();
    bench.hear(VariantOutcome::NotKept);
    bench.hear(VariantOutcome::Leading);
    for owner in &owners[..2] {
        bench.hear(VariantOutcome::Made(*owner, Made::Without(synced(&five()))));
    }
    assert_eq!(bench.hear(VariantOutcome::Made(owners[2], Made::Busy)), [HERE]);
    let effects = bench.hear(VariantOutcome::Made(node(0), Made::Without(synced(&five()))));
    assert_eq!(effects, [VariantEffect::Fail(VariantFailure::Busy)]);
}

#[test]
fn an_image_that_is_nowhere_is_absent_and_a_copy_elsewhere_is_used() {
    for is_elsewhere in [false, true] {
        let (mut bench, owners) = bench(false);
        bench.tick();
        bench.hear(VariantOutcome::NotKept);
        bench.hear(VariantOutcome::Leading);
        let reply = if is_elsewhere { LookupReply::Unknown } else { synced(&five()) };
        for owner in &owners {
            bench.hear(VariantOutcome::Made(*owner, Made::Without(reply)));
        }
        let effects = bench.hear(VariantOutcome::Made(node(0), Made::Without(synced(&five()))));
        if is_elsewhere {
            let [VariantEffect::Ask { node: other, .. }] = effects[..] else { panic!("{effects:?}") };
            assert_eq!(bench.hear(VariantOutcome::Replied(other, LookupReply::Present)), [at(other)]);
            let effects = bench.hear(VariantOutcome::Made(other, Made::Given));
            assert_eq!(effects, [VariantEffect::Give { by: other, is_lacked: true }]);
        } else {
            assert_eq!(effects, [VariantEffect::Fail(VariantFailure::NotFound(NotFound::Absent))]);
        }
    }
}

#[test]
fn what_no_other_node_would_do_better_ends_it() {
    let (mut bench, owners) = bench(false);
    bench.tick();
    bench.hear(VariantOutcome::NotKept);
    bench.hear(VariantOutcome::Leading);
    let effects = bench.hear(VariantOutcome::Made(owners[0], Made::Failed));
    assert_eq!(effects, [VariantEffect::Fail(VariantFailure::Of(owners[0]))]);
}

#[test]
fn an_owner_whose_disk_hangs_is_passed_over_without_being_called_lacking() {
    let (mut bench, owners) = bench(true);
    bench.tick();
    assert_eq!(bench.hear(VariantOutcome::Made(node(0), Made::Hung)), [VariantEffect::Share]);
    assert_eq!(bench.hear(VariantOutcome::Leading), [HERE]);
    assert_eq!(bench.hear(VariantOutcome::Made(node(0), Made::Hung)), [at(owners[1])]);
    let effects = bench.hear(VariantOutcome::Made(owners[1], Made::Given));
    assert_eq!(effects, [VariantEffect::Give { by: owners[1], is_lacked: false }]);
}

#[test]
fn a_node_of_no_cluster_gives_what_it_has_and_says_of_nothing_that_it_is_absent() {
    let alone = View::empty(node(0), Time::default());
    for (made, expected) in [
        (Made::Given, VariantEffect::Give { by: node(0), is_lacked: false }),
        (Made::Busy, VariantEffect::Fail(VariantFailure::Busy)),
        (Made::Without(LookupReply::Absent(None)), VariantEffect::Fail(VariantFailure::NotJoined)),
    ] {
        let mut bench = Bench::new(Variant::new(wanted(false)), alone.clone());
        assert_eq!(bench.tick(), [HERE]);
        assert_eq!(bench.hear(VariantOutcome::Made(node(0), made)), [expected]);
    }
}

#[test]
fn a_node_that_has_just_started_waits_for_the_owners() {
    let wanted = wanted(false);
    let owners = view(&five()).owners(&wanted.id);
    let mut bench = Bench::new(Variant::new(wanted), view_without(&five(), &owners));
    bench.now = Time::from_millis(0);
    assert_eq!(bench.tick(), []);
    bench.view = view(&five());
    assert_eq!(bench.wait(), [VariantEffect::LookHere]);
}
