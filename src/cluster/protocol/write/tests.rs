use super::super::tests::support::Bench;
use super::*;
use crate::cluster::erasure::Intent;
use crate::cluster::layout::tests::support::{id as node, layout};
use crate::cluster::layout::{Copies, Layout};
use crate::cluster::protocol::tests::support::{five, object, view, view_without};

fn upload(number: u8) -> Upload {
    Upload {
        id: object(number),
        length: 1_000,
        is_known: false,
        record: ErasureRecord::default(),
        started: Time::default(),
    }
}

fn bench(upload: Upload, view: View) -> Bench<Write> {
    Bench::new(Write::new(upload), view)
}

/// An image of which this node is the first owner, or one that it does not own.
fn upload_owned(layout: &Layout, is_owner: bool) -> Upload {
    let view = view(layout);
    (0..=255).map(upload).find(|upload| view.is_owner(node(0), &upload.id) == is_owner).unwrap()
}

fn targets(effects: &[WriteEffect], this: NodeId) -> Vec<NodeId> {
    let target = |effect: &WriteEffect| match effect {
        WriteEffect::Store { .. } => Some(this),
        WriteEffect::Send { to, .. } => Some(*to),
        _ => None,
    };
    effects.iter().filter_map(target).collect()
}

fn copied(bench: &mut Bench<Write>, node: NodeId) -> Vec<WriteEffect> {
    let layout = bench.view.hash();
    bench.hear(WriteOutcome::Copied(node, 0, Some(layout)))
}

#[test]
fn all_owners_are_sent_a_copy_at_once_and_enough_of_them_are_the_answer() {
    let upload = upload_owned(&five(), true);
    let mut bench = bench(upload, view(&five()));
    let owners = bench.view.owners(&upload.id);
    let effects = bench.tick();
    assert_eq!(targets(&effects, node(0)), owners);
    assert!(!effects.iter().any(|effect| matches!(effect, WriteEffect::Send { misplaced: true, .. })));
    assert_eq!(copied(&mut bench, owners[0]), []);
    let mut holders = vec![owners[0], owners[1]];
    holders.sort();
    assert_eq!(copied(&mut bench, owners[1]), [WriteEffect::Acknowledge(holders)]);
    assert!(!bench.machine.is_finished(), "one copy is still on its way");
    assert_eq!(copied(&mut bench, owners[2]), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn a_node_that_takes_its_time_gets_a_fallback_and_its_late_copy_counts() {
    let upload = upload_owned(&five(), false);
    let mut bench = bench(upload, view(&five()));
    let owners = bench.view.owners(&upload.id);
    bench.tick();
    assert_eq!(copied(&mut bench, owners[0]), []);
    let began = bench.now;
    let effects = bench.wait();
    assert_eq!(bench.now.since(began), PATIENCE_MS);
    assert_eq!(targets(&effects, node(0)), bench.view.fallbacks(&upload.id)[..2], "{effects:?}");
    assert!(effects.iter().all(|effect| !matches!(effect, WriteEffect::Send { misplaced: false, .. })));
    let effects = copied(&mut bench, owners[2]);
    assert!(matches!(&effects[..], [WriteEffect::Acknowledge(holders)] if holders.len() == 2), "{effects:?}");
}

#[test]
fn an_owner_that_will_lack_its_copy_is_recorded_before_the_answer() {
    let upload = upload_owned(&five(), true);
    let owners = view(&five()).owners(&upload.id);
    let mut bench = bench(upload, view(&five()));
    bench.tick();
    let others: Vec<_> = owners.iter().copied().filter(|owner| *owner != node(0)).collect();
    bench.hear(WriteOutcome::Copied(others[0], 0, None));
    assert_eq!(copied(&mut bench, node(0)), []);
    assert_eq!(copied(&mut bench, others[1]), [WriteEffect::Record]);
    assert!(matches!(&bench.hear(WriteOutcome::Recorded)[..], [WriteEffect::Acknowledge(_)]));
}

#[test]
fn too_few_copies_are_refused_once_with_the_names_of_those_that_hold_it() {
    let layout = five();
    let upload = upload_owned(&layout, true);
    let mut bench = bench(upload, view(&layout));
    let (mut open, mut answers) = (targets(&bench.tick(), node(0)), Vec::new());
    while let Some(next) = open.pop() {
        let effects = if next == node(0) {
            copied(&mut bench, next)
        } else {
            bench.hear(WriteOutcome::Copied(next, 0, None))
        };
        open.extend(targets(&effects, node(0)));
        answers.extend(effects.into_iter().filter(|effect| !matches!(effect, WriteEffect::Send { .. })));
    }
    assert_eq!(answers, [WriteEffect::Record]);
    assert_eq!(bench.hear(WriteOutcome::Recorded), [WriteEffect::Refuse(vec![node(0)])]);
    assert!(bench.machine.is_finished());
}

#[test]
fn a_known_image_is_verified_first_and_sent_only_where_it_is_not() {
    let upload = Upload { is_known: true, ..upload_owned(&five(), false) };
    let mut bench = bench(upload, view(&five()));
    let owners = bench.view.owners(&upload.id);
    let verify = |node: &NodeId| WriteEffect::Verify { node: *node, live: 0, within_ms: ANSWER_MAX_MS };
    assert_eq!(bench.tick(), owners.iter().map(verify).collect::<Vec<_>>());
    let effects = bench.hear(WriteOutcome::Verified(owners[0], 0, None));
    assert_eq!(targets(&effects, node(0)), owners[..1]);
    let layout = bench.view.hash();
    assert_eq!(bench.hear(WriteOutcome::Verified(owners[1], 0, Some(layout))), []);
    assert!(matches!(&copied(&mut bench, owners[0])[..], [WriteEffect::Acknowledge(_)]));
}

#[test]
fn a_copy_under_an_unknown_layout_is_verified_again_until_the_layouts_are_one_or_it_takes_too_long() {
    let upload = upload_owned(&five(), false);
    let mut bench = bench(upload, view(&five()));
    let owners = bench.view.owners(&upload.id);
    let foreign = LayoutHash([7; 16]);
    bench.tick();
    for owner in &owners {
        assert_eq!(bench.hear(WriteOutcome::Copied(*owner, 0, Some(foreign))), []);
    }
    let began = bench.now;
    let effects = bench.wait_for_effects();
    assert_eq!(bench.now.since(began), MERGE_LOOK_MS);
    assert_eq!(effects.len(), owners.len());
    assert_eq!(bench.machine.deadline(), bench.machine.patience.values().copied().min());
    for owner in &owners {
        assert_eq!(bench.hear(WriteOutcome::Verified(*owner, 0, Some(foreign))), []);
    }
    loop {
        match &bench.wait_for_effects()[..] {
            [WriteEffect::Refuse(holders)] => break assert_eq!(holders.len(), owners.len()),
            asked => {
                assert_eq!(asked.len(), owners.len());
                for owner in &owners {
                    bench.hear(WriteOutcome::Verified(*owner, 0, Some(foreign)));
                }
            }
        }
    }
    assert!(bench.now.since(began) >= MERGE_MAX_MS && bench.machine.is_finished());
}

#[test]
fn a_node_that_has_just_started_waits_until_the_owners_are_known_to_answer() {
    let layout = five();
    let upload = upload_owned(&layout, true);
    let owners = view(&layout).owners(&upload.id);
    let mut bench = bench(upload, view_without(&layout, &owners[1..]));
    bench.now = Time::from_millis(100);
    assert_eq!(bench.tick(), []);
    assert_eq!(bench.wait(), []);
    bench.view = view(&layout);
    assert_eq!(targets(&bench.wait(), node(0)), owners);
}

#[test]
fn the_wait_for_the_owners_ends_and_fallbacks_take_their_copies() {
    let layout = five();
    let upload = upload_owned(&layout, true);
    let owners = view(&layout).owners(&upload.id);
    let dead: Vec<_> = owners.iter().copied().filter(|owner| *owner != node(0)).collect();
    let mut bench = bench(upload, view_without(&layout, &dead));
    bench.now = Time::from_millis(100);
    assert_eq!(bench.tick(), []);
    let effects = bench.wait_for_effects();
    assert_eq!(bench.now, Time::from_millis(ACQUAINTED_MS));
    assert_eq!(targets(&effects, node(0)).len(), 3);
}

fn deleted(counter: u64) -> ErasureRecord {
    ErasureRecord::live(counter - 1).fulfil(Intent::Delete)
}

/// Every owner has its copy with this counter; the effects of the last one.
fn copied_by_all(bench: &mut Bench<Write>, live: u64) -> Vec<WriteEffect> {
    let (layout, owners) = (bench.view.hash(), bench.view.owners(&bench.machine.upload.id));
    let outcomes = owners.into_iter().map(|owner| WriteOutcome::Verified(owner, live, Some(layout)));
    outcomes.flat_map(|outcome| bench.hear(outcome)).collect()
}

#[test]
fn an_upload_of_a_deleted_image_is_live_above_the_deletion_on_every_node() {
    let upload = upload_owned(&five(), false);
    let mut bench = bench(upload, view(&five()));
    let (owners, layout) = (bench.view.owners(&upload.id), bench.view.hash());
    assert_eq!(targets(&bench.tick(), node(0)), owners);
    assert_eq!(bench.hear(WriteOutcome::Copied(owners[0], 0, Some(layout))), []);
    let effects = bench.hear(WriteOutcome::Outdated(owners[1], 0, deleted(3)));
    let verify = |node: &NodeId| WriteEffect::Verify { node: *node, live: 4, within_ms: ANSWER_MAX_MS };
    assert_eq!(effects, owners.iter().map(verify).collect::<Vec<_>>(), "also where the copy lies already");
    // The last copy of the first round counts no more.
    assert_eq!(bench.hear(WriteOutcome::Copied(owners[2], 0, Some(layout))), []);
    assert!(matches!(&copied_by_all(&mut bench, 4)[..], [WriteEffect::Acknowledge(_)]));
    assert_eq!(bench.machine.live(), 4);
}

#[test]
fn a_raised_upload_needs_as_many_owners_as_a_deletion() {
    let layout = layout(&[0, 1, 2, 3, 4], Copies { replication: 3, min_replication: 1 });
    let upload = Upload { record: deleted(1), ..upload_owned(&layout, false) };
    let mut bench = bench(upload, view(&layout));
    let owners = bench.view.owners(&upload.id);
    bench.tick();
    let hash = bench.view.hash();
    // One copy would do for an image that was never deleted.
    assert_eq!(bench.hear(WriteOutcome::Copied(owners[0], 2, Some(hash))), []);
    assert_eq!(bench.hear(WriteOutcome::Copied(owners[1], 2, Some(hash))), []);
    let effects = bench.hear(WriteOutcome::Copied(owners[2], 2, Some(hash)));
    assert!(matches!(&effects[..], [WriteEffect::Acknowledge(_)]), "{effects:?}");
}

#[test]
fn a_banned_image_is_refused_at_once() {
    let upload = upload_owned(&five(), false);
    let mut bench = bench(upload, view(&five()));
    let owners = bench.view.owners(&upload.id);
    bench.tick();
    let banned = deleted(1).fulfil(Intent::Ban);
    let effects = bench.hear(WriteOutcome::Outdated(owners[0], 0, banned));
    assert_eq!(effects, [WriteEffect::RefuseGone { is_banned: true }]);
    assert_eq!(copied(&mut bench, owners[1]), []);
    assert_eq!(copied(&mut bench, owners[2]), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn an_image_that_is_deleted_again_and_again_meanwhile_is_refused() {
    let upload = upload_owned(&five(), false);
    let mut bench = bench(upload, view(&five()));
    let owner = bench.view.owners(&upload.id)[0];
    bench.tick();
    let (mut raises, mut live) = (0, 0);
    while !matches!(
        &bench.hear(WriteOutcome::Outdated(owner, live, deleted(live + 1)))[..],
        [WriteEffect::RefuseGone { is_banned: false }]
    ) {
        live = bench.machine.live();
        raises += 1;
    }
    assert_eq!((raises, live), (RAISES_MAX, 2 * u64::from(RAISES_MAX)));
}

#[test]
fn a_deletion_after_the_answer_is_not_overturned() {
    let upload = upload_owned(&five(), true);
    let mut bench = bench(upload, view(&five()));
    let owners = bench.view.owners(&upload.id);
    bench.tick();
    copied(&mut bench, owners[0]);
    assert!(matches!(&copied(&mut bench, owners[1])[..], [WriteEffect::Acknowledge(_)]));
    assert_eq!(bench.hear(WriteOutcome::Outdated(owners[2], 0, deleted(1))), []);
    assert!(bench.machine.is_finished());
    assert_eq!(bench.machine.live(), 0);
}
