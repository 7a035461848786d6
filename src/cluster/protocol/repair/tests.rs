use super::super::read::FetchReply;
use super::super::tests::support::Bench;
use super::*;
use crate::cluster::layout::Role;
use crate::cluster::layout::tests::support::{id as node, settle};
use crate::cluster::protocol::tests::support::{five, object, set_role, synced, view};

const LENGTH: u64 = 1_000;

/// An image that this node owns, or does not own, and its other owners.
fn bench(is_owner: bool) -> (Bench<Repair>, Vec<NodeId>) {
    let view = view(&five());
    let id = (0..=255).map(object).find(|id| view.is_owner(node(0), id) == is_owner).unwrap();
    let owners = view.owners(&id).into_iter().filter(|owner| *owner != node(0)).collect();
    let mut bench = Bench::new(Repair::new(id, Time::default()), view);
    assert_eq!(bench.tick(), [RepairEffect::Look]);
    (bench, owners)
}

fn looked(copy: OwnCopy) -> RepairOutcome {
    RepairOutcome::Looked { copy, can_store: true }
}

fn give(to: NodeId) -> RepairEffect {
    RepairEffect::Give { to, misplaced: false, within_ms: copy_within_ms(LENGTH) }
}

fn ask(node: NodeId) -> RepairEffect {
    RepairEffect::Ask { node, within_ms: ANSWER_MAX_MS }
}

fn verify(owner: NodeId) -> RepairEffect {
    RepairEffect::Verify { owner, within_ms: VERIFY_MAX_MS }
}

/// All owners say that they have read their copies.
fn all_verify(bench: &mut Bench<Repair>, owners: &[NodeId]) -> Vec<RepairEffect> {
    let layout = bench.view.hash();
    let mut effects = Vec::new();
    for owner in owners {
        effects = bench.hear(RepairOutcome::Verified(*owner, LookupReply::Present, Some(layout)));
    }
    effects
}

#[test]
fn an_owner_verifies_its_copy_and_gives_one_to_each_other_owner_that_lacks_it() {
    let (mut bench, owners) = bench(true);
    assert_eq!(bench.hear(looked(OwnCopy::Here(LENGTH))), [RepairEffect::TakeTurn]);
    assert_eq!(bench.hear(RepairOutcome::TurnTaken), [RepairEffect::VerifyOwn]);
    assert_eq!(bench.hear(RepairOutcome::OwnVerified(OwnVerified::Right)), [ask(owners[0])]);
    assert_eq!(bench.hear(RepairOutcome::Replied(owners[0], LookupReply::Present)), [ask(owners[1])]);
    assert_eq!(bench.hear(RepairOutcome::Replied(owners[1], LookupReply::Absent(None))), [give(owners[1])]);
    assert_eq!(bench.hear(RepairOutcome::Given(owners[1], true)), [RepairEffect::Settle]);
    bench.hear(RepairOutcome::Settled);
    assert!(bench.machine.is_finished());
}

#[test]
fn the_record_stays_when_the_node_has_ceased_to_be_an_owner_while_it_gave_copies() {
    let (mut bench, owners) = bench(true);
    bench.hear(looked(OwnCopy::Here(LENGTH)));
    bench.hear(RepairOutcome::TurnTaken);
    bench.hear(RepairOutcome::OwnVerified(OwnVerified::Right));
    bench.hear(RepairOutcome::Replied(owners[0], LookupReply::Present));
    bench.hear(RepairOutcome::Replied(owners[1], LookupReply::Absent(None)));
    let mut layout = five();
    set_role(&mut layout, node(0), Role::Draining);
    settle(&mut layout);
    bench.view = view(&layout);
    // Its own copy is misplaced now, and without a record nobody would hand it over.
    assert_eq!(bench.hear(RepairOutcome::Given(owners[1], true)), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn the_record_stays_when_an_owner_cannot_be_asked_and_the_others_are_supplied_all_the_same() {
    let (mut bench, owners) = bench(true);
    bench.hear(looked(OwnCopy::Here(LENGTH)));
    bench.hear(RepairOutcome::TurnTaken);
    bench.hear(RepairOutcome::OwnVerified(OwnVerified::Right));
    assert_eq!(bench.hear(RepairOutcome::Replied(owners[0], LookupReply::Unknown)), [ask(owners[1])]);
    assert_eq!(bench.hear(RepairOutcome::Replied(owners[1], LookupReply::Absent(None))), [give(owners[1])]);
    assert_eq!(bench.hear(RepairOutcome::Given(owners[1], true)), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn an_own_copy_that_is_wrong_is_given_to_nobody() {
    for verified in [OwnVerified::Gone, OwnVerified::Unknown] {
        let (mut bench, _) = bench(true);
        bench.hear(looked(OwnCopy::Here(LENGTH)));
        bench.hear(RepairOutcome::TurnTaken);
        assert_eq!(bench.hear(RepairOutcome::OwnVerified(verified)), []);
        assert!(bench.machine.is_finished());
    }
}

#[test]
fn an_own_copy_that_cannot_be_read_is_replaced_before_the_others_are_supplied() {
    let (mut bench, owners) = bench(true);
    bench.hear(looked(OwnCopy::Here(LENGTH)));
    bench.hear(RepairOutcome::TurnTaken);
    let effects = bench.hear(RepairOutcome::OwnVerified(OwnVerified::Unreadable));
    assert_eq!(effects, [RepairEffect::Fetch { from: owners[0], within_ms: ANSWER_MAX_MS }]);
    assert_eq!(
        bench.hear(RepairOutcome::Fetched(owners[0], FetchReply::Given)),
        [RepairEffect::TakeIn(owners[0])]
    );
    assert_eq!(bench.hear(RepairOutcome::TakenIn(true)), [ask(owners[0])]);
}

#[test]
fn an_owner_that_lacks_its_copy_fetches_one_with_the_patience_of_a_read() {
    let (mut bench, owners) = bench(true);
    assert_eq!(bench.hear(looked(OwnCopy::Lacking)), [RepairEffect::TakeTurn]);
    bench.hear(RepairOutcome::TurnTaken);
    assert_eq!(bench.wait(), [RepairEffect::Fetch { from: owners[1], within_ms: ANSWER_MAX_MS }]);
    assert_eq!(
        bench.hear(RepairOutcome::Fetched(owners[1], FetchReply::Given)),
        [RepairEffect::TakeIn(owners[1])]
    );
    assert_eq!(bench.hear(RepairOutcome::TakenIn(true)), [RepairEffect::Settle]);
}

#[test]
fn what_is_gone_everywhere_is_struck_out_and_what_may_be_somewhere_is_not() {
    for is_gone in [true, false] {
        let (mut bench, owners) = bench(true);
        bench.hear(looked(OwnCopy::Lacking));
        bench.hear(RepairOutcome::TurnTaken);
        let reply = if is_gone { synced(&five()) } else { LookupReply::Unknown };
        let mut asked = vec![];
        for owner in &owners {
            asked = bench.hear(RepairOutcome::Fetched(*owner, FetchReply::Refused(reply)));
        }
        while let Some(RepairEffect::Ask { node, .. }) = asked.pop() {
            let effects = bench.hear(RepairOutcome::Replied(node, reply));
            asked.extend(effects);
        }
        assert_eq!(asked.is_empty() && bench.machine.is_finished(), !is_gone);
    }
}

#[test]
fn a_node_that_could_not_keep_a_copy_fetches_none() {
    let (mut bench, _) = bench(true);
    bench.hear(RepairOutcome::Looked { copy: OwnCopy::Lacking, can_store: false });
    assert_eq!(bench.hear(RepairOutcome::TurnTaken), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn a_misplaced_copy_goes_when_all_owners_have_read_theirs_and_the_grace_has_passed() {
    let (mut bench, owners) = bench(false);
    assert_eq!(bench.hear(looked(OwnCopy::Here(LENGTH))), [RepairEffect::TakeTurn]);
    assert_eq!(bench.hear(RepairOutcome::TurnTaken), owners.iter().copied().map(verify).collect::<Vec<_>>());
    assert_eq!(all_verify(&mut bench, &owners), [RepairEffect::YieldTurn]);
    let began = bench.now;
    assert_eq!(bench.wait(), [RepairEffect::Lock]);
    assert!(bench.now.since(began) >= ExcessReplica::GRACE_MS);
    assert_eq!(bench.hear(RepairOutcome::Locked { is_here: true }), [RepairEffect::Remove]);
    assert_eq!(bench.hear(RepairOutcome::Removed(true)), [RepairEffect::Settle]);
}

#[test]
fn an_owner_without_a_copy_is_given_one_and_reads_it_before_the_misplaced_copy_goes() {
    let (mut bench, owners) = bench(false);
    bench.hear(looked(OwnCopy::Here(LENGTH)));
    bench.hear(RepairOutcome::TurnTaken);
    let absent = RepairOutcome::Verified(owners[0], LookupReply::Absent(None), None);
    assert_eq!(bench.hear(absent), [give(owners[0])]);
    assert_eq!(bench.hear(RepairOutcome::Given(owners[0], true)), [verify(owners[0])]);
    assert_eq!(all_verify(&mut bench, &owners), [RepairEffect::YieldTurn]);
}

#[test]
fn a_misplaced_copy_stays_when_an_owner_says_nothing_or_lacks_what_it_was_given() {
    for replies in [vec![LookupReply::Unknown], vec![LookupReply::Absent(None); 2]] {
        let (mut bench, owners) = bench(false);
        bench.hear(looked(OwnCopy::Here(LENGTH)));
        bench.hear(RepairOutcome::TurnTaken);
        for reply in replies {
            if bench.hear(RepairOutcome::Verified(owners[0], reply, None)) == [give(owners[0])] {
                bench.hear(RepairOutcome::Given(owners[0], true));
            }
        }
        assert_eq!(all_verify(&mut bench, &owners[1..]), []);
        assert!(bench.machine.is_finished());
    }
}

#[test]
fn a_receipt_under_another_layout_puts_the_copy_off() {
    let (mut bench, owners) = bench(false);
    bench.hear(looked(OwnCopy::Here(LENGTH)));
    bench.hear(RepairOutcome::TurnTaken);
    let foreign = Some(LayoutHash([9; 16]));
    for owner in owners {
        bench.hear(RepairOutcome::Verified(owner, LookupReply::Present, foreign));
    }
    assert!(bench.machine.is_finished());
}

#[test]
fn a_lock_that_took_too_long_voids_the_permission_to_remove() {
    let (mut bench, owners) = bench(false);
    bench.hear(looked(OwnCopy::Here(LENGTH)));
    bench.hear(RepairOutcome::TurnTaken);
    all_verify(&mut bench, &owners);
    assert_eq!(bench.wait(), [RepairEffect::Lock]);
    bench.now = bench.now.after(ExcessReplica::RECEIPT_AGE_MAX_MS);
    assert_eq!(bench.hear(RepairOutcome::Locked { is_here: true }), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn a_record_without_a_copy_is_struck_out_when_all_owners_have_read_theirs_and_none_came() {
    for is_here in [false, true] {
        let (mut bench, owners) = bench(false);
        assert_eq!(bench.hear(looked(OwnCopy::Lacking)), [RepairEffect::TakeTurn]);
        let asked = bench.hear(RepairOutcome::TurnTaken);
        assert_eq!(asked, owners.iter().copied().map(verify).collect::<Vec<_>>());
        assert_eq!(all_verify(&mut bench, &owners), [RepairEffect::YieldTurn]);
        assert_eq!(bench.wait(), [RepairEffect::Lock]);
        let effects = bench.hear(RepairOutcome::Locked { is_here });
        assert_eq!(effects, [if is_here { RepairEffect::Remove } else { RepairEffect::Settle }]);
    }
}

#[test]
fn the_record_of_a_lost_misplaced_copy_stays_while_an_owner_says_nothing() {
    let (mut bench, owners) = bench(false);
    bench.hear(looked(OwnCopy::Lacking));
    bench.hear(RepairOutcome::TurnTaken);
    bench.hear(RepairOutcome::Verified(owners[0], LookupReply::Unknown, None));
    assert_eq!(all_verify(&mut bench, &owners[1..]), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn a_lost_misplaced_copy_that_an_owner_lacks_is_fetched_again_and_handed_over_later() {
    let (mut bench, owners) = bench(false);
    bench.hear(looked(OwnCopy::Lacking));
    bench.hear(RepairOutcome::TurnTaken);
    bench.hear(RepairOutcome::Verified(owners[0], LookupReply::Absent(None), None));
    let effects = all_verify(&mut bench, &owners[1..]);
    let [RepairEffect::Fetch { from, .. }] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(bench.hear(RepairOutcome::Fetched(from, FetchReply::Given)), [RepairEffect::TakeIn(from)]);
    assert_eq!(bench.hear(RepairOutcome::TakenIn(true)), []);
    assert!(bench.machine.is_finished());
}

#[test]
fn the_record_of_a_lost_misplaced_copy_goes_when_the_image_is_proven_to_be_nowhere_and_none_came() {
    for (is_proven, is_here) in [(true, false), (true, true), (false, false)] {
        let (mut bench, owners) = bench(false);
        bench.hear(looked(OwnCopy::Lacking));
        bench.hear(RepairOutcome::TurnTaken);
        let mut open = vec![];
        for owner in &owners {
            open = bench.hear(RepairOutcome::Verified(*owner, LookupReply::Absent(None), None));
        }
        let reply = if is_proven { synced(&five()) } else { LookupReply::Unknown };
        let mut last = vec![];
        while let Some(effect) = open.pop() {
            last = match effect {
                RepairEffect::Fetch { from, .. } => {
                    bench.hear(RepairOutcome::Fetched(from, FetchReply::Refused(reply)))
                }
                RepairEffect::Ask { node, .. } => bench.hear(RepairOutcome::Replied(node, reply)),
                other => panic!("{other:?}"),
            };
            open.extend(last.iter().filter(|effect| **effect != RepairEffect::Lock));
        }
        if !is_proven {
            assert!(last.is_empty() && bench.machine.is_finished());
            continue;
        }
        assert_eq!(last, [RepairEffect::Lock]);
        let effects = bench.hear(RepairOutcome::Locked { is_here });
        assert_eq!(effects, if is_here { vec![] } else { vec![RepairEffect::Settle] });
    }
}

#[test]
fn a_copy_that_is_worked_on_for_too_long_is_put_off() {
    let (mut bench, owners) = bench(false);
    bench.hear(looked(OwnCopy::Here(LENGTH)));
    bench.hear(RepairOutcome::TurnTaken);
    bench.now = bench.now.after(WORK_MAX_MS);
    assert_eq!(all_verify(&mut bench, &owners), [RepairEffect::YieldTurn]);
    assert!(bench.machine.is_finished());
}

#[test]
fn a_disk_that_does_not_say_ends_it() {
    for is_owner in [true, false] {
        let (mut bench, _) = bench(is_owner);
        assert_eq!(bench.hear(looked(OwnCopy::Unknown)), []);
        assert!(bench.machine.is_finished());
    }
}
