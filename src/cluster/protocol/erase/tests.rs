use super::*;
use crate::cluster::layout::tests::support::id as node;
use crate::cluster::protocol::tests::support::{Bench, five, object, view, view_without};

fn erase(intent: Intent) -> Erase {
    Erase::new(Erasure { id: object(3), intent, started: Time::default() })
}

fn deleted(counter: u64) -> ErasureRecord {
    ErasureRecord::live(counter - 1).fulfil(Intent::Delete)
}

fn held(record: ErasureRecord) -> Option<HeldRecord> {
    Some(HeldRecord { record, is_erased: record.is_gone() })
}

fn read_of(effects: &[EraseEffect]) -> BTreeSet<NodeId> {
    let node = |effect: &EraseEffect| match effect {
        EraseEffect::Read { node, .. } => *node,
        other => panic!("only reads come first: {other:?}"),
    };
    effects.iter().map(node).collect()
}

fn written(effects: &[EraseEffect]) -> (BTreeSet<NodeId>, ErasureRecord) {
    let mut all = BTreeSet::new();
    let mut written = None;
    for effect in effects {
        let EraseEffect::Write { node, record, .. } = effect else { panic!("only writes: {effect:?}") };
        all.insert(*node);
        written = Some(*record);
    }
    (all, written.expect("somebody is written to"))
}

/// Answers all reads alike, but those of these nodes.
fn read_all(
    bench: &mut Bench<Erase>,
    nodes: &BTreeSet<NodeId>,
    of: impl Fn(NodeId) -> ErasureRecord,
) -> Vec<EraseEffect> {
    nodes.iter().flat_map(|node| bench.hear(EraseOutcome::Read(*node, Some(of(*node))))).collect()
}

#[test]
fn a_deletion_is_written_above_what_the_owners_have_and_answered_when_enough_have_it() {
    let layout = five();
    let mut bench = Bench::new(erase(Intent::Delete), view(&layout));
    let owners = bench.view.owners(&object(3));
    let asked = read_of(&bench.tick());
    let expected: BTreeSet<_> = owners.iter().copied().chain([node(0)]).collect();
    assert_eq!(asked, expected);
    let effects =
        read_all(&mut bench, &asked, |node| ErasureRecord::live(if node == owners[1] { 4 } else { 0 }));
    let (all, record) = written(&effects);
    assert_eq!((all.len(), record), (5, deleted(5)), "all live members are told at once");
    let others: Vec<_> = all.iter().copied().filter(|node| !owners.contains(node)).collect();
    for other in &others {
        assert_eq!(bench.hear(EraseOutcome::Written(*other, held(record))), [], "it is no owner");
    }
    assert_eq!(bench.hear(EraseOutcome::Written(owners[0], held(record))), []);
    assert_eq!(bench.hear(EraseOutcome::Written(owners[1], held(record))), []);
    // The last owner takes its time.
    let done: BTreeSet<_> = others.into_iter().chain(owners[..2].iter().copied()).collect();
    assert_eq!(bench.wait(), [EraseEffect::Acknowledge(done)]);
    assert!(!bench.machine.is_finished());
    assert_eq!(bench.hear(EraseOutcome::Written(owners[2], held(record))), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn without_enough_owners_it_is_refused() {
    let layout = five();
    let owners = view(&layout).owners(&object(3));
    let mut bench = Bench::new(erase(Intent::Delete), view_without(&layout, &owners[..2]));
    // Two owners do not answer: this node waits for them after its start alone.
    let asked = read_of(&bench.tick());
    assert!(owners[..2].iter().all(|owner| !asked.contains(owner)));
    let (all, record) = written(&read_all(&mut bench, &asked, |_| ErasureRecord::default()));
    let effects: Vec<_> =
        all.iter().flat_map(|node| bench.hear(EraseOutcome::Written(*node, held(record)))).collect();
    assert_eq!(effects, [EraseEffect::Refuse]);
    assert!(bench.machine.is_finished());
}

#[test]
fn what_is_deleted_already_is_not_written_above() {
    for (intent, before) in [
        (Intent::Delete, deleted(3)),
        (Intent::Ban, deleted(3).fulfil(Intent::Ban)),
        (Intent::Lift, deleted(3).fulfil(Intent::Ban).fulfil(Intent::Lift)),
        (Intent::Lift, ErasureRecord::default()),
    ] {
        let mut bench = Bench::new(erase(intent), view(&five()));
        let asked = read_of(&bench.tick());
        let (_, record) = written(&read_all(&mut bench, &asked, |_| before));
        assert_eq!(record, before, "{intent:?}");
    }
}

#[test]
fn a_later_upload_that_was_not_read_is_overtaken_by_the_next_round() {
    let mut bench = Bench::new(erase(Intent::Delete), view(&five()));
    let owners = bench.view.owners(&object(3));
    let asked = read_of(&bench.tick());
    let (all, first) = written(&read_all(&mut bench, &asked, |_| deleted(1)));
    assert_eq!(first, deleted(1));
    let mut effects = Vec::new();
    for node in &all {
        let has = if *node == owners[2] { first.merge(ErasureRecord::live(2)) } else { first };
        effects.extend(bench.hear(EraseOutcome::Written(*node, held(has))));
    }
    let (again, second) = written(&effects);
    assert_eq!((again, second), (all.clone(), deleted(3)));
    let effects: Vec<_> =
        all.iter().flat_map(|node| bench.hear(EraseOutcome::Written(*node, held(second)))).collect();
    assert_eq!(effects, [EraseEffect::Acknowledge(all)]);
}

#[test]
fn a_fight_with_uploads_ends_in_a_refusal() {
    let mut bench = Bench::new(erase(Intent::Delete), view(&five()));
    let asked = read_of(&bench.tick());
    let mut effects = read_all(&mut bench, &asked, |_| ErasureRecord::default());
    let mut rounds = 0;
    while effects != [EraseEffect::Refuse] {
        let (all, record) = written(&effects);
        rounds += 1;
        let over = record.merge(ErasureRecord::live(record.next_live()));
        effects = all.iter().flat_map(|node| bench.hear(EraseOutcome::Written(*node, held(over)))).collect();
    }
    assert_eq!(rounds, ROUNDS_MAX);
    assert!(bench.machine.is_finished());
}

#[test]
fn the_end_of_a_ban_names_all_that_have_it_and_a_node_that_cannot_write_is_left_out() {
    let mut bench = Bench::new(erase(Intent::Lift), view(&five()));
    let owners = bench.view.owners(&object(3));
    let asked = read_of(&bench.tick());
    let banned = deleted(1).fulfil(Intent::Ban);
    let (all, record) = written(&read_all(&mut bench, &asked, |_| banned));
    assert!(!record.is_banned() && record.is_gone(), "it stays deleted");
    let mut effects = Vec::new();
    for node in &all {
        let held = Some(HeldRecord { record, is_erased: false }).filter(|_| *node != owners[0]);
        effects.extend(bench.hear(EraseOutcome::Written(*node, held)));
    }
    let done = all.into_iter().filter(|node| *node != owners[0]).collect();
    assert_eq!(effects, [EraseEffect::Acknowledge(done)]);
}

#[test]
fn a_reply_that_overtakes_it_after_enough_have_it_ends_the_wait_for_the_others() {
    let mut bench = Bench::new(erase(Intent::Delete), view(&five()));
    let owners = bench.view.owners(&object(3));
    let asked = read_of(&bench.tick());
    let (all, record) = written(&read_all(&mut bench, &asked, |_| ErasureRecord::default()));
    bench.hear(EraseOutcome::Written(owners[0], held(record)));
    bench.hear(EraseOutcome::Written(owners[1], held(record)));
    assert!(bench.machine.deadline().is_some());
    let over = record.merge(ErasureRecord::live(record.next_live()));
    assert_eq!(bench.hear(EraseOutcome::Written(owners[2], held(over))), []);
    assert_eq!(bench.machine.deadline(), None, "the rest is awaited, and nothing else");
    let rest = all.iter().filter(|node| !owners.contains(node));
    let effects: Vec<_> =
        rest.flat_map(|node| bench.hear(EraseOutcome::Written(*node, held(record)))).collect();
    assert_eq!(written(&effects).1, deleted(3));
}
