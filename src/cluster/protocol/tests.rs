//! The rules, each against a scenario that it must get right, and the write rule against all outcomes.

pub(super) mod support;

use std::collections::BTreeSet;

use self::support::{COPIES, five, object, set_role, synced, view, view_without};
use super::locate::absence::{AbsenceProof, LookupReply, ProofStep};
use super::read::order as read;
use super::repair::excess::{ExcessReplica, ExcessStep};
use super::repair::queue::needs_record;
use super::write::quorum::{WriteQuorum, WriteStatus};
use crate::cluster::layout::tests::support::{id as node, layout, new_node, settle};
use crate::cluster::layout::{Edit, Layout, LayoutHash, Role, SyncHash};
use crate::cluster::node::NodeId;
use crate::cluster::time::Time;
use crate::cluster::view::{LocalState, View, Writes};
use crate::object::ObjectId;

/// Runs a write to its end: `takes` says who takes its copy.
fn run(view: &View, id: ObjectId, takes: impl Fn(NodeId) -> bool) -> (WriteQuorum, WriteStatus) {
    let mut write = WriteQuorum::new(id);
    loop {
        let targets = write.targets(view);
        for target in &targets {
            write.ask(*target);
            assert!(!write.targets(view).contains(target));
            if takes(*target) { write.confirm(*target, view.hash()) } else { write.refuse(*target) }
        }
        let standing = write.status(view);
        if targets.is_empty() || standing != WriteStatus::Pending {
            return (write, standing);
        }
    }
}

#[test]
fn copies_go_to_the_owners_first_and_to_one_fallback_for_each_that_fails() {
    let view = view(&five());
    let id = object(1);
    let owners = view.owners(&id);
    let mut write = WriteQuorum::new(id);
    assert_eq!(write.targets(&view), owners);
    owners.iter().for_each(|owner| write.ask(*owner));
    assert_eq!(write.targets(&view), []);
    write.refuse(owners[1]);
    assert_eq!(write.targets(&view), view.fallbacks(&id)[..1]);
}

#[test]
fn every_outcome_is_acknowledged_exactly_when_enough_hold_it_and_an_owner_among_them() {
    let view = view(&five());
    for number in 0..8 {
        let id = object(number);
        let owners = view.owners(&id);
        for mask in 0..32_u32 {
            let takes = |it: NodeId| (0..5).any(|at| it == node(at) && mask >> at & 1 == 1);
            let (write, standing) = run(&view, id, takes);
            let holders: Vec<_> = write.holders().collect();
            let owned = holders.iter().filter(|it| owners.contains(it)).count();
            let expected = owned > 0 && (0..5).filter(|at| takes(node(*at))).count() >= 2;
            let answered = standing == WriteStatus::Acknowledged;
            assert_eq!(answered, expected, "{mask:05b}: {holders:?} of {owners:?}");
            assert!(holders.iter().all(|it| takes(*it)));
        }
    }
}

#[test]
fn an_owner_that_will_not_have_its_copy_leaves_a_debt() {
    let layout = five();
    let everybody = view(&layout);
    let id = object(1);
    let owners = everybody.owners(&id);
    let mut write = WriteQuorum::new(id);
    assert!(!write.is_under_replicated(&everybody), "all can take theirs still");
    let without = view_without(&layout, &owners[2..]);
    assert!(write.is_under_replicated(&without), "one cannot even be asked");
    owners.iter().for_each(|owner| write.ask(*owner));
    assert!(!write.is_under_replicated(&without), "it was asked and may take it");
    write.refuse(owners[2]);
    assert!(write.is_under_replicated(&everybody));
    write.confirm(owners[2], everybody.hash());
    assert!(!write.is_under_replicated(&everybody));
}

#[test]
fn a_copy_outside_the_owners_counts_only_for_an_owner_that_failed() {
    let view = view(&five());
    let id = object(2);
    let (owners, spare) = (view.owners(&id), view.fallbacks(&id)[0]);
    let mut write = WriteQuorum::new(id);
    owners.iter().for_each(|owner| write.ask(*owner));
    write.confirm(owners[0], view.hash());
    write.confirm(spare, view.hash());
    assert_eq!(write.status(&view), WriteStatus::Pending);
    write.refuse(owners[2]);
    assert_eq!(write.status(&view), WriteStatus::Acknowledged);
}

#[test]
fn nodes_that_are_away_do_not_lower_the_copies_needed() {
    let pair = layout(&[0, 1], COPIES);
    let (_, standing) = run(&view_without(&pair, &[node(1)]), object(3), |it| it == node(0));
    assert_eq!(standing, WriteStatus::Impossible);
    let single = layout(&[0], COPIES);
    let (_, standing) = run(&view(&single), object(3), |_| true);
    assert_eq!(standing, WriteStatus::Acknowledged);
}

#[test]
fn copies_span_two_zones_while_two_have_nodes_that_take_them() {
    let zoned = layout(&[0, 0, 0, 1], COPIES);
    let far = node(3);
    for number in 0..8 {
        let id = object(number);
        let all = view(&zoned);
        let mut write = WriteQuorum::new(id);
        let near: Vec<_> = (0..3).map(node).filter(|it| all.is_owner(*it, &id)).collect();
        near.iter().for_each(|it| write.confirm(*it, all.hash()));
        assert_eq!(write.status(&all), WriteStatus::Pending, "{near:?}");
        assert_eq!(write.targets(&all), [far]);
        write.refuse(far);
        assert_eq!(write.status(&all), WriteStatus::Acknowledged);
        let (_, standing) = run(&view_without(&zoned, &[far]), id, |_| true);
        assert_eq!(standing, WriteStatus::Acknowledged);
    }
}

#[test]
fn during_a_change_each_version_needs_an_owner_and_enough_copies_among_its_members() {
    let mut changing = layout(&[0, 1, 2], COPIES);
    for number in 3..6 {
        changing.edit(node(0), &Edit::Join(node(number), new_node(number, 0))).unwrap();
        changing.edit(node(0), &Edit::Role(node(number), Role::Active)).unwrap();
    }
    (0..3).for_each(|at| set_role(&mut changing, node(at), Role::Draining));
    let view = view(&changing);
    let id = object(4);
    assert_eq!(view.owners_by_version(&id).len(), 2);
    assert_eq!(view.owners(&id).len(), 6);
    for (takers, expected) in [
        (&[0, 1, 2][..], WriteStatus::Impossible),
        (&[3, 4, 5], WriteStatus::Impossible),
        // A node that has not heard of node 5 would find one of three silent, and call the image absent.
        (&[0, 5], WriteStatus::Impossible),
        (&[0, 1, 5], WriteStatus::Acknowledged),
    ] {
        let (_, standing) = run(&view, id, |it| takers.iter().any(|at| node(*at) == it));
        assert_eq!(standing, expected, "{takers:?}");
    }
}

#[test]
fn a_copy_under_an_unknown_layout_counts_only_after_merging() {
    let layout = five();
    let mut ahead = layout.clone();
    ahead.edit(node(1), &Edit::Replication(2)).unwrap();
    let view = view(&layout);
    let id = object(5);
    let owners = view.owners(&id);
    let mut write = WriteQuorum::new(id);
    write.confirm(owners[0], view.hash());
    write.confirm(owners[1], ahead.hash());
    write.refuse(owners[2]);
    view.fallbacks(&id).iter().for_each(|it| write.refuse(*it));
    assert_eq!(write.status(&view), WriteStatus::Pending);
    let known = BTreeSet::from([layout.hash()]);
    let alive = layout.nodes.keys().copied().collect();
    let merged =
        LocalState { this: node(0), since: Time::default(), alive, known, writes: Writes::Allowed, store: 0 };
    let both = View::new(&ahead, merged);
    assert_eq!(write.status(&both), WriteStatus::Acknowledged);
}

/// Others may promote what was next there, and the writer has no owner in it.
#[test]
fn a_copy_under_a_next_that_the_writer_has_left_is_asked_for_again() {
    let mut behind = five();
    behind.edit(node(1), &Edit::Replication(2)).unwrap();
    let mut ahead = behind.clone();
    ahead.edit(node(1), &Edit::Replication(4)).unwrap();
    let view = view(&ahead);
    assert!(!view.knows(behind.hash()));
    let id = object(5);
    let owners = view.owners(&id);
    let mut write = WriteQuorum::new(id);
    owners.iter().for_each(|owner| write.confirm(*owner, behind.hash()));
    let others: Vec<_> = owners.iter().copied().filter(|owner| *owner != node(0)).collect();
    let mut doubtful = write.unconfirmed(&view);
    doubtful.sort_by_key(|node| owners.iter().position(|owner| owner == node));
    assert_eq!(doubtful, others, "its own copy counts");
    assert_eq!(write.status(&view), WriteStatus::Pending);
    others[..2].iter().for_each(|owner| write.confirm(*owner, view.hash()));
    assert_eq!(write.status(&view), WriteStatus::Acknowledged);
}

#[test]
fn while_a_node_drains_its_copy_completes_the_number() {
    let mut pair = layout(&[0, 1], COPIES);
    pair.edit(node(0), &Edit::Role(node(1), Role::Draining)).unwrap();
    settle(&mut pair);
    let view = view(&pair);
    let (write, standing) = run(&view, object(6), |_| true);
    assert_eq!(standing, WriteStatus::Acknowledged);
    assert_eq!(write.holders().count(), 2);
}

#[test]
fn a_full_node_is_passed_over() {
    let mut full = five();
    let id = object(7);
    let first = view(&full).owners(&id)[0];
    full.edit(node(0), &Edit::Writable(first, false)).unwrap();
    let view = view(&full);
    let mut write = WriteQuorum::new(id);
    assert!(!write.targets(&view).contains(&first));
    assert_eq!(write.targets(&view).len(), 3);
    write.targets(&view)[1..].to_vec().iter().for_each(|it| write.confirm(*it, view.hash()));
    assert_eq!(write.status(&view), WriteStatus::Acknowledged);
}

#[test]
fn absence_is_proven_when_every_owner_says_no() {
    let layout = five();
    let view = view(&layout);
    let mut absence = AbsenceProof::new(object(1));
    let owners = view.owners(&object(1));
    assert_eq!(absence.next_step(&view), ProofStep::Ask(owners.clone()));
    owners.iter().for_each(|owner| absence.record(*owner, synced(&layout)));
    assert_eq!(absence.next_step(&view), ProofStep::Absent);
    absence.record(owners[2], LookupReply::Present);
    assert_eq!(absence.next_step(&view), ProofStep::Found(owners[2]));
}

#[test]
fn one_silent_owner_makes_everybody_be_asked() {
    let layout = five();
    let id = object(2);
    let owners = view(&layout).owners(&id);
    for (silent, expected) in [(1, ProofStep::Absent), (2, ProofStep::Unproven)] {
        let view = view_without(&layout, &owners[..silent]);
        let mut absence = AbsenceProof::new(id);
        assert_eq!(absence.next_step(&view), ProofStep::Ask(owners[silent..].to_vec()));
        owners[silent..].iter().for_each(|owner| absence.record(*owner, synced(&layout)));
        let ProofStep::Ask(rest) = absence.next_step(&view) else { panic!("not everybody was asked") };
        assert_eq!(rest.len(), 2);
        rest.iter().for_each(|it| absence.record(*it, synced(&layout)));
        assert_eq!(absence.next_step(&view), expected);
    }
}

#[test]
fn a_no_counts_only_from_a_store_that_is_in_sync() {
    let layout = five();
    let view = view(&layout);
    for said in
        [LookupReply::Absent(None), LookupReply::Absent(Some(SyncHash([9; 16]))), LookupReply::Unknown]
    {
        let mut absence = AbsenceProof::new(object(3));
        let owners = view.owners(&object(3));
        owners.iter().for_each(|owner| absence.record(*owner, synced(&layout)));
        owners[..2].iter().for_each(|owner| absence.record(*owner, said));
        let ProofStep::Ask(rest) = absence.next_step(&view) else { panic!("{said:?} counted") };
        rest.iter().for_each(|it| absence.record(*it, synced(&layout)));
        assert_eq!(absence.next_step(&view), ProofStep::Unproven);
    }
}

#[test]
fn nodes_that_are_out_may_hold_what_nobody_else_has() {
    let mut layout = layout(&[0, 1, 2, 3, 4, 4], COPIES);
    let gone = [node(4), node(5)];
    gone.iter().for_each(|it| set_role(&mut layout, *it, Role::Out { automatic: true }));
    settle(&mut layout);
    let view = view_without(&layout, &gone);
    let mut absence = AbsenceProof::new(object(4));
    (0..4).for_each(|at| absence.record(node(at), synced(&layout)));
    assert_eq!(absence.next_step(&view), ProofStep::Unproven);
    layout.edit(node(0), &Edit::Role(gone[0], Role::Removed)).unwrap();
    settle(&mut layout);
    let view = view_without(&layout, &gone);
    (0..4).for_each(|at| absence.record(node(at), synced(&layout)));
    assert_eq!(absence.next_step(&view), ProofStep::Absent);
}

#[test]
fn a_node_just_removed_counts_as_out_of_reach_until_its_copies_were_made_again() {
    let mut layout = five();
    let id = object(9);
    let owners = view(&layout).owners(&id);
    let (gone, away) = (owners[0], owners[1]);
    let removed = gone;
    layout.edit(removed, &Edit::Role(removed, Role::Removed)).unwrap();
    let find = |layout: &Layout| {
        let view = view_without(layout, &[away]);
        let mut absence = AbsenceProof::new(id);
        let others = view.members().map(|(node, _)| node).filter(|node| *node != away);
        others.for_each(|node| absence.record(node, synced(layout)));
        absence.record(away, LookupReply::Unknown);
        absence.next_step(&view)
    };
    assert_eq!(find(&layout), ProofStep::Unproven);
    settle(&mut layout);
    assert_eq!(find(&layout), ProofStep::Absent);
}

#[test]
fn what_lies_on_its_only_owner_is_not_absent_while_that_is_silent() {
    let mut layout = layout(&[0, 0, 0], COPIES);
    set_role(&mut layout, node(1), Role::Draining);
    set_role(&mut layout, node(2), Role::Out { automatic: false });
    // By now the others have deleted their copies, with the only owner's receipt.
    settle(&mut layout);
    set_role(&mut layout, node(2), Role::Active);
    let view = view_without(&layout, &[node(0)]);
    let mut absence = AbsenceProof::new(object(7));
    (1..3).for_each(|at| absence.record(node(at), synced(&layout)));
    absence.record(node(0), LookupReply::Unknown);
    assert_eq!(absence.next_step(&view), ProofStep::Unproven);
    absence.record(node(0), synced(&layout));
    assert_eq!(absence.next_step(&view), ProofStep::Absent);
}

#[test]
fn without_owners_nothing_is_absent_by_the_word_of_nobody() {
    let view = View::empty(node(0), Time::default());
    assert_eq!(AbsenceProof::new(object(1)).next_step(&view), ProofStep::Unproven);
    let mut draining = layout(&[0, 1], COPIES);
    (0..2).for_each(|at| set_role(&mut draining, node(at), Role::Draining));
    settle(&mut draining);
    let view = view_without(&draining, &[node(1)]);
    let mut absence = AbsenceProof::new(object(1));
    absence.record(node(0), LookupReply::Unknown);
    assert_eq!(absence.next_step(&view), ProofStep::Unproven);
}

#[test]
fn reads_go_to_owners_then_to_everybody_else_alive() {
    let layout = layout(&[0, 1, 1, 0, 0], COPIES);
    let id = object(5);
    let dead = view(&layout).fallbacks(&id)[0];
    let view = view_without(&layout, &[dead]);
    let order = read::placement_order(&view, &id);
    let owners: Vec<_> = view.owners(&id).into_iter().filter(|it| *it != node(0)).collect();
    assert_eq!(order.owners, owners);
    let mut all: Vec<_> = order.owners.iter().chain(&order.others).copied().collect();
    all.sort_unstable();
    let expected: Vec<_> = (1..5).map(node).filter(|it| *it != dead).collect();
    assert_eq!(all, expected);
    let near: Vec<_> = read::nearest_order(&view, &id).owners;
    assert!(near.is_sorted_by_key(|it| view.zone(*it) != view.zone(node(0))));
}

/// An id that node 0 does not own.
fn foreign(view: &View) -> ObjectId {
    (0..50).map(object).find(|id| !view.is_owner(node(0), id)).unwrap()
}

#[test]
fn a_copy_goes_only_with_fresh_receipts_of_all_owners_and_after_the_grace() {
    let layout = five();
    let view = view(&layout);
    let id = foreign(&view);
    let owners = view.owners(&id);
    let start = Time::from_millis(100_000);
    let mut excess = ExcessReplica::new(id, &view);
    assert_eq!(excess.next_step(&view, start), ExcessStep::Verify(owners.clone()));
    owners[..2].iter().for_each(|it| excess.add_receipt(*it, view.hash(), start));
    assert_eq!(excess.next_step(&view, start), ExcessStep::Verify(owners[2..].to_vec()));
    excess.add_receipt(owners[2], LayoutHash([1; 16]), start);
    assert_eq!(excess.next_step(&view, start), ExcessStep::Verify(owners[2..].to_vec()));
    excess.add_receipt(owners[2], view.hash(), start);
    let due = start.after(ExcessReplica::GRACE_MS);
    assert_eq!(excess.next_step(&view, start), ExcessStep::Wait(due));
    assert_eq!(excess.next_step(&view, due), ExcessStep::Delete);
    // A node that was stopped in between finds its receipts void.
    let late = start.after(ExcessReplica::RECEIPT_AGE_MAX_MS + 1);
    assert_eq!(excess.next_step(&view, late), ExcessStep::Verify(owners));
}

#[test]
fn receipts_that_came_one_by_one_are_asked_for_again_together() {
    let view = view(&five());
    let id = foreign(&view);
    let owners = view.owners(&id);
    let mut excess = ExcessReplica::new(id, &view);
    for (at, owner) in owners.iter().enumerate() {
        excess.add_receipt(*owner, view.hash(), Time::from_millis(4_000 * at as u64));
    }
    assert_eq!(
        excess.next_step(&view, Time::from_millis(8_000)),
        ExcessStep::Wait(Time::from_millis(15_000))
    );
    assert_eq!(excess.next_step(&view, Time::from_millis(10_001)), ExcessStep::Verify(owners));
}

#[test]
fn after_a_change_of_the_layout_receipts_are_void_and_the_copy_stays_longer() {
    let mut layout = five();
    let id = foreign(&view(&layout));
    let before = view(&layout);
    let mut excess = ExcessReplica::new(id, &before);
    let now = Time::from_millis(1_000);
    before.owners(&id).iter().for_each(|it| excess.add_receipt(*it, before.hash(), now));
    layout.edit(node(0), &Edit::Replication(2)).unwrap();
    let after = view(&layout);
    assert!(matches!(excess.next_step(&after, now), ExcessStep::Verify(_)));
    after.owners(&id).iter().for_each(|it| excess.add_receipt(*it, after.hash(), now));
    assert_eq!(excess.next_step(&after, now), ExcessStep::Wait(Time::from_millis(ExcessReplica::SETTLE_MS)));
}

#[test]
fn what_a_node_owns_in_either_version_is_no_excess() {
    let mut layout = layout(&[0, 1, 2], COPIES);
    let one = view(&layout);
    let id = object(1);
    assert_eq!(ExcessReplica::new(id, &one).next_step(&one, Time::default()), ExcessStep::Keep);
    layout.edit(node(1), &Edit::Role(node(0), Role::Draining)).unwrap();
    let both = view(&layout);
    assert_eq!(ExcessReplica::new(id, &both).next_step(&both, Time::default()), ExcessStep::Keep);
    settle(&mut layout);
    let drained = view(&layout);
    assert!(matches!(
        ExcessReplica::new(id, &drained).next_step(&drained, Time::default()),
        ExcessStep::Verify(_)
    ));
    (0..3).for_each(|at| set_role(&mut layout, node(at), Role::Draining));
    settle(&mut layout);
    let ownerless = view(&layout);
    assert_eq!(ExcessReplica::new(id, &ownerless).next_step(&ownerless, Time::default()), ExcessStep::Keep);
}

#[test]
fn a_copy_needs_a_record_where_its_node_owns_it_in_no_version() {
    let view = view(&five());
    for number in 0..20 {
        let id = object(number);
        assert_eq!(needs_record(&view, &id), !view.owners(&id).contains(&node(0)));
    }
}
