use super::super::tests::support::Bench;
use super::*;
use crate::cluster::layout::Layout;
use crate::cluster::layout::tests::support::id as node;
use crate::cluster::protocol::tests::support::{five, object, synced, view, view_without};

/// An image that this node does not own, of which it says that it has no such file.
fn wanted(layout: &Layout) -> WantedImage {
    let view = view(layout);
    let id = (0..=255).map(object).find(|id| !view.is_owner(node(0), id)).unwrap();
    WantedImage { id, here: synced(layout), started: Time::default() }
}

fn bench(layout: &Layout, part: ReadPart) -> (Bench<Read>, Vec<NodeId>) {
    let wanted = wanted(layout);
    let view = view(layout);
    let owners = view.owners(&wanted.id);
    (Bench::new(Read::new(wanted, part), view), owners)
}

fn fetch(from: NodeId) -> ReadEffect {
    ReadEffect::Fetch { from, within_ms: ANSWER_MAX_MS }
}

fn ask(node: NodeId) -> ReadEffect {
    ReadEffect::Ask { node, within_ms: ANSWER_MAX_MS }
}

#[test]
fn the_next_owner_is_asked_when_one_takes_its_time_and_the_first_that_gives_is_taken() {
    let (mut bench, owners) = bench(&five(), ReadPart::Bytes);
    assert_eq!(bench.tick(), [fetch(owners[0])]);
    let began = bench.now;
    assert_eq!(bench.wait(), [fetch(owners[1])]);
    assert_eq!(bench.now.since(began), PATIENCE_MS);
    assert_eq!(bench.wait(), [fetch(owners[2])]);
    assert_eq!(bench.machine.deadline(), None);
    assert_eq!(bench.hear(ReadOutcome::Fetched(owners[1], FetchReply::Given)), [ReadEffect::Give(owners[1])]);
    assert!(bench.machine.is_finished());
}

#[test]
fn an_owner_that_refuses_is_followed_by_the_next_at_once() {
    let layout = five();
    let (mut bench, owners) = bench(&layout, ReadPart::Bytes);
    bench.tick();
    let effects = bench.hear(ReadOutcome::Fetched(owners[0], FetchReply::Refused(synced(&layout))));
    assert_eq!(effects, [fetch(owners[1])]);
    assert_eq!(bench.hear(ReadOutcome::Fetched(owners[1], FetchReply::Broken)), [fetch(owners[2])]);
    assert_eq!(bench.hear(ReadOutcome::Fetched(owners[2], FetchReply::Given)), [ReadEffect::Give(owners[2])]);
}

#[test]
fn an_image_that_every_owner_lacks_is_absent_without_another_question() {
    let layout = five();
    let (mut bench, owners) = bench(&layout, ReadPart::Bytes);
    bench.tick();
    bench.hear(ReadOutcome::Fetched(owners[0], FetchReply::Refused(synced(&layout))));
    bench.hear(ReadOutcome::Fetched(owners[1], FetchReply::Refused(synced(&layout))));
    let effects = bench.hear(ReadOutcome::Fetched(owners[2], FetchReply::Refused(synced(&layout))));
    assert_eq!(effects, [ReadEffect::Fail(NotFound::Absent)]);
}

#[test]
fn a_copy_outside_the_owners_is_found_and_fetched() {
    let layout = five();
    let (mut bench, owners) = bench(&layout, ReadPart::Bytes);
    let mut effects = bench.tick();
    for owner in &owners {
        assert_eq!(effects, [fetch(*owner)]);
        effects = bench.hear(ReadOutcome::Fetched(*owner, FetchReply::Refused(LookupReply::Unknown)));
    }
    let [ReadEffect::Ask { node: other, .. }] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(bench.hear(ReadOutcome::Replied(other, LookupReply::Present)), [fetch(other)]);
    assert_eq!(bench.hear(ReadOutcome::Fetched(other, FetchReply::Given)), [ReadEffect::Give(other)]);
}

#[test]
fn a_copy_that_was_found_and_is_not_given_leaves_it_unproven() {
    let layout = five();
    let (mut bench, owners) = bench(&layout, ReadPart::Bytes);
    bench.tick();
    owners.iter().for_each(|owner| {
        bench.hear(ReadOutcome::Fetched(*owner, FetchReply::Broken));
    });
    let other = (1..5).map(node).find(|other| !owners.contains(other)).unwrap();
    bench.hear(ReadOutcome::Replied(other, LookupReply::Present));
    let effects = bench.hear(ReadOutcome::Fetched(other, FetchReply::Refused(LookupReply::Absent(None))));
    assert_eq!(effects, [ReadEffect::Fail(NotFound::Unproven)]);
}

#[test]
fn descriptions_are_asked_for_one_after_another_and_a_lack_is_asked_what_it_is_worth() {
    let layout = five();
    let (mut bench, owners) = bench(&layout, ReadPart::Description);
    assert_eq!(bench.tick(), [fetch(owners[0])]);
    assert_eq!(bench.machine.deadline(), None);
    assert_eq!(bench.hear(ReadOutcome::Fetched(owners[0], FetchReply::Lacking)), [fetch(owners[1])]);
    bench.hear(ReadOutcome::Fetched(owners[1], FetchReply::Refused(LookupReply::Unknown)));
    let effects = bench.hear(ReadOutcome::Fetched(owners[2], FetchReply::Refused(LookupReply::Unknown)));
    assert_eq!(effects, [ask(owners[0])]);
    assert_eq!(bench.hear(ReadOutcome::Replied(owners[0], synced(&layout))).len(), 1);
}

#[test]
fn a_node_that_has_just_started_waits_for_the_owners_but_not_for_ever() {
    let layout = five();
    let wanted = wanted(&layout);
    let owners = view(&layout).owners(&wanted.id);
    let mut bench = Bench::new(Read::new(wanted, ReadPart::Bytes), view_without(&layout, &owners[..1]));
    bench.now = Time::from_millis(0);
    assert_eq!(bench.tick(), []);
    let effects = bench.wait_for_effects();
    assert_eq!(bench.now.millis(), ACQUAINTED_MS);
    assert!(matches!(effects[..], [ReadEffect::Fetch { .. }]) && effects != [fetch(owners[0])]);
}
