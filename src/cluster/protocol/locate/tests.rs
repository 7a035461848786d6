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

fn asked(effects: &[LocateEffect]) -> Vec<NodeId> {
    let node = |effect: &LocateEffect| match effect {
        LocateEffect::Ask { node, .. } => Some(*node),
        LocateEffect::Conclude(_) => None,
    };
    effects.iter().filter_map(node).collect()
}

#[test]
fn an_image_is_absent_when_every_owner_says_so() {
    let layout = five();
    let wanted = wanted(&layout);
    let mut bench = Bench::new(Locate::new(wanted), view(&layout));
    let owners = bench.view.owners(&wanted.id);
    assert_eq!(asked(&bench.tick()), owners);
    assert_eq!(bench.hear(LocateOutcome::Replied(owners[0], synced(&layout))), []);
    assert_eq!(bench.hear(LocateOutcome::Replied(owners[1], synced(&layout))), []);
    let effects = bench.hear(LocateOutcome::Replied(owners[2], synced(&layout)));
    assert_eq!(effects, [LocateEffect::Conclude(Err(NotFound::Absent))]);
    assert!(bench.machine.is_finished());
}

#[test]
fn the_first_node_that_has_it_ends_the_search() {
    let layout = five();
    let wanted = wanted(&layout);
    let mut bench = Bench::new(Locate::new(wanted), view(&layout));
    let owners = bench.view.owners(&wanted.id);
    bench.tick();
    let effects = bench.hear(LocateOutcome::Replied(owners[1], LookupReply::Present));
    assert_eq!(effects, [LocateEffect::Conclude(Ok(owners[1]))]);
}

#[test]
fn silent_owners_are_followed_by_everybody_else_and_leave_it_unproven() {
    let layout = five();
    let wanted = wanted(&layout);
    let mut bench = Bench::new(Locate::new(wanted), view(&layout));
    let owners = bench.view.owners(&wanted.id);
    bench.tick();
    bench.hear(LocateOutcome::Replied(owners[0], LookupReply::Unknown));
    bench.hear(LocateOutcome::Replied(owners[1], LookupReply::Unknown));
    let others = asked(&bench.hear(LocateOutcome::Replied(owners[2], synced(&layout))));
    assert_eq!(others.len(), 1, "neither this node nor an owner is asked again: {others:?}");
    let effects = bench.hear(LocateOutcome::Replied(others[0], synced(&layout)));
    assert_eq!(effects, [LocateEffect::Conclude(Err(NotFound::Unproven))]);
}

#[test]
fn an_own_copy_that_cannot_be_given_sends_nobody_to_this_node() {
    let layout = five();
    let wanted = WantedImage { here: LookupReply::Present, ..wanted(&layout) };
    let mut bench = Bench::new(Locate::new(wanted), view(&layout));
    let owners = bench.view.owners(&wanted.id);
    assert_eq!(asked(&bench.tick()), owners);
    bench.hear(LocateOutcome::Replied(owners[0], LookupReply::Unknown));
    bench.hear(LocateOutcome::Replied(owners[1], LookupReply::Unknown));
    let others = asked(&bench.hear(LocateOutcome::Replied(owners[2], LookupReply::Unknown)));
    let effects = bench.hear(LocateOutcome::Replied(others[0], LookupReply::Unknown));
    assert_eq!(effects, [LocateEffect::Conclude(Err(NotFound::Unproven))]);
}

#[test]
fn a_node_that_has_just_started_asks_when_it_knows_the_owners() {
    let layout = five();
    let wanted = wanted(&layout);
    let owners = view(&layout).owners(&wanted.id);
    let mut bench = Bench::new(Locate::new(wanted), view_without(&layout, &owners));
    bench.now = Time::from_millis(10);
    assert_eq!(bench.tick(), []);
    bench.view = view(&layout);
    assert_eq!(asked(&bench.wait()), owners);
    assert!(bench.now.millis() < ACQUAINTED_MS);
}

#[test]
fn a_no_that_has_become_too_old_is_asked_for_again_before_it_counts() {
    let layout = five();
    let wanted = wanted(&layout);
    let mut bench = Bench::new(Locate::new(wanted), view(&layout));
    let owners = bench.view.owners(&wanted.id);
    bench.tick();
    bench.hear(LocateOutcome::Replied(owners[0], synced(&layout)));
    bench.hear(LocateOutcome::Replied(owners[1], synced(&layout)));
    // The copy may have come to the first two meanwhile, and left the node that had it before.
    bench.now = bench.now.after(ABSENT_AGE_MAX_MS);
    assert_eq!(asked(&bench.hear(LocateOutcome::Replied(owners[2], synced(&layout)))), owners);
    let effects = bench.hear(LocateOutcome::Replied(owners[0], LookupReply::Present));
    assert_eq!(effects, [LocateEffect::Conclude(Ok(owners[0]))]);
}

#[test]
fn a_search_that_is_too_slow_again_and_again_proves_nothing() {
    let layout = five();
    let wanted = wanted(&layout);
    let mut bench = Bench::new(Locate::new(wanted), view(&layout));
    let mut effects = bench.tick();
    for _ in 0..10 {
        bench.now = bench.now.after(ABSENT_AGE_MAX_MS);
        let nodes = asked(&effects);
        effects = nodes
            .into_iter()
            .map(|node| bench.hear(LocateOutcome::Replied(node, synced(&layout))))
            .fold(Vec::new(), |mut all, effects| {
                all.extend(effects);
                all
            });
        if let [LocateEffect::Conclude(conclusion)] = effects[..] {
            assert_eq!(conclusion, Err(NotFound::Unproven));
            return;
        }
    }
    panic!("no conclusion");
}
