use std::collections::BTreeSet;

use super::*;
use crate::cluster::digest::SlotDigests;
use crate::cluster::layout::Role;
use crate::cluster::layout::tests::support::{id as node, settle};
use crate::cluster::protocol::tests::support::{Bench, five, set_role, view, view_without};
use crate::cluster::random::Random;
use crate::object::ObjectId;

/// Two stores, compared by a machine on the first.
struct Pair {
    bench: Bench<Compare>,
    here: BTreeSet<ObjectId>,
    there: BTreeSet<ObjectId>,
    /// Questions to the other node.
    asked: usize,
    repairs: Vec<ObjectId>,
}

fn with() -> NodeId {
    node(1)
}

fn version(view: &View) -> SyncHash {
    view.staged_version().unwrap()
}

/// Ids that these nodes own, or not.
fn ids(view: &View, count: usize, here: bool, there: bool) -> Vec<ObjectId> {
    let mut random = Random::from_seed(11);
    let mut draw = || {
        let mut digest = [0; 20];
        digest.as_chunks_mut::<4>().0.iter_mut().for_each(|word| {
            *word = u32::try_from(random.below(1 << 32)).unwrap().to_be_bytes();
        });
        ObjectId::from_digest(digest)
    };
    let wanted = |id: &ObjectId| view.is_owner(node(0), id) == here && view.is_owner(with(), id) == there;
    std::iter::repeat_with(&mut draw).filter(wanted).take(count).collect()
}

impl Pair {
    fn new(view: View, here: &[ObjectId], there: &[ObjectId]) -> Self {
        let bench = Bench::new(Compare::new(with(), version(&view)), view);
        let set = |ids: &[ObjectId]| ids.iter().copied().collect();
        Self { bench, here: set(here), there: set(there), asked: 0, repairs: Vec::new() }
    }

    /// Answers every question until the comparison waits or ends.
    fn go_on(&mut self) -> Option<CompareConclusion> {
        let mut effects: VecDeque<_> = self.bench.tick().into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                CompareEffect::Repair(ids) => self.repairs.extend(ids),
                CompareEffect::Conclude(conclusion) => return Some(conclusion),
                question => {
                    let outcome = self.answer(&question);
                    effects.extend(self.bench.hear(outcome));
                }
            }
        }
        None
    }

    /// Lets time pass until the comparison ends, or for so many looks.
    fn wait(&mut self, looks: usize) -> Option<CompareConclusion> {
        (0..looks).find_map(|_| {
            self.bench.now = self.bench.now.max(self.bench.machine.deadline().unwrap());
            self.go_on()
        })
    }

    fn answer(&mut self, question: &CompareEffect) -> CompareOutcome {
        let (view, version) = (&self.bench.view, version(&self.bench.view));
        let of = |side: &Side| match side {
            Side::Here => (&self.here, node(0), with()),
            Side::There => (&self.there, with(), node(0)),
        };
        let (CompareEffect::Digests(side, _)
        | CompareEffect::ExcessSlots(side)
        | CompareEffect::List(side, ..)) = question
        else {
            panic!("no question")
        };
        self.asked += usize::from(*side == Side::There);
        let (ids, this, other) = of(side);
        match question {
            CompareEffect::Digests(_, ranges) => {
                assert!(ranges.len() <= RANGES_MAX);
                let mut digests = SlotDigests::default();
                let shared = |id: &&ObjectId| view.is_owner(this, id) && view.is_owner(other, id);
                ids.iter().filter(shared).for_each(|id| digests.add(id));
                let sums =
                    |range: &SlotRange| range.children().map(|child| digests.sum(child, |_| true)).collect();
                CompareOutcome::Digests(*side, Some((version, ranges.iter().map(sums).collect())))
            }
            CompareEffect::ExcessSlots(_) => {
                let excess = |id: &&ObjectId| !view.is_owner(this, id) && view.is_owner(other, id);
                let slots: BTreeSet<_> = ids.iter().filter(excess).map(Slot::of).collect();
                CompareOutcome::ExcessSlots(
                    *side,
                    Some((version, slots.into_iter().take(SLOTS_MAX).collect())),
                )
            }
            CompareEffect::List(_, slots, after) => {
                assert!(slots.len() <= RANGES_MAX && slots.is_sorted());
                let wanted =
                    |id: &&ObjectId| slots.contains(&Slot::of(id)) && after.is_none_or(|after| **id > after);
                let mut ids: Vec<_> = ids.iter().filter(wanted).copied().take(3).collect();
                // Small pages: every listing takes several.
                let has_more = ids.len() > 2;
                ids.truncate(2);
                CompareOutcome::Listed(*side, Some((version, IdPage { ids, has_more })))
            }
            CompareEffect::Repair(_) | CompareEffect::Conclude(_) => unreachable!(),
        }
    }
}

fn in_sync(pair: &Pair) -> Option<CompareConclusion> {
    Some(CompareConclusion::InSync(version(&pair.bench.view)))
}

#[test]
fn equal_stores_are_in_sync_after_two_questions() {
    let view = view(&five());
    let ids = ids(&view, 300, true, true);
    let mut pair = Pair::new(view, &ids, &ids);
    assert_eq!(pair.go_on(), in_sync(&pair));
    assert_eq!((pair.asked, pair.repairs.len()), (2, 0));
}

#[test]
fn what_this_node_lacks_is_repaired_and_in_sync_only_once_it_is_here() {
    let view = view(&five());
    let ids = ids(&view, 40, true, true);
    let mut pair = Pair::new(view, &ids[..30], &ids);
    assert_eq!(pair.go_on(), None);
    assert_eq!(pair.repairs.iter().copied().collect::<BTreeSet<_>>(), ids[30..].iter().copied().collect());
    assert_eq!(pair.wait(2), None);
    pair.here.extend(&ids[30..39]);
    assert_eq!(pair.wait(2), None);
    pair.here.extend(&ids[39..]);
    assert_eq!(pair.wait(2), in_sync(&pair));
    assert_eq!(pair.repairs.len(), 10);
}

#[test]
fn what_the_other_node_lacks_is_waited_for_and_fetched_by_that_one() {
    let view = view(&five());
    let ids = ids(&view, 10, true, true);
    let mut pair = Pair::new(view, &ids, &ids[1..]);
    assert_eq!(pair.go_on(), None);
    assert_eq!(pair.repairs, []);
    pair.there.extend(&ids[..1]);
    assert_eq!(pair.wait(2), in_sync(&pair));
}

#[test]
fn images_that_came_after_the_first_listing_hold_nothing_up() {
    let view = view(&five());
    let ids = ids(&view, 30, true, true);
    let mut pair = Pair::new(view, &ids[..9], &ids[..10]);
    assert_eq!(pair.go_on(), None);
    pair.here.extend(&ids[9..20]);
    pair.there.extend(&ids[20..]);
    assert_eq!(pair.wait(2), in_sync(&pair));
}

#[test]
fn an_image_whose_holder_lost_it_is_no_difference_any_more() {
    let view = view(&five());
    let ids = ids(&view, 5, true, true);
    let mut pair = Pair::new(view, &ids[..4], &ids);
    assert_eq!(pair.go_on(), None);
    pair.there.remove(&ids[4]);
    assert_eq!(pair.wait(2), in_sync(&pair));
}

#[test]
fn copies_on_nodes_that_do_not_own_them_must_be_on_the_owner() {
    let view = view(&five());
    let (theirs, ours) = (ids(&view, 3, false, true), ids(&view, 3, true, false));
    // This node holds what only the other owns, and the other way round.
    let mut pair = Pair::new(view, &theirs, &ours);
    assert_eq!(pair.go_on(), None);
    assert_eq!(pair.repairs.iter().copied().collect::<BTreeSet<_>>(), ours.iter().copied().collect());
    pair.here.extend(&ours);
    assert_eq!(pair.wait(2), None);
    pair.there.extend(&theirs);
    assert_eq!(pair.wait(2), in_sync(&pair));
}

#[test]
fn images_that_neither_of_the_two_owns_do_not_matter() {
    let view = view(&five());
    let ids = ids(&view, 4, false, false);
    let mut pair = Pair::new(view, &ids, &[]);
    assert_eq!(pair.go_on(), in_sync(&pair));
}

#[test]
fn a_difference_that_nobody_mends_ends_the_comparison() {
    let view = view(&five());
    let ids = ids(&view, 2, true, true);
    let mut pair = Pair::new(view, &ids[..1], &ids);
    assert_eq!(pair.go_on(), None);
    let began = pair.bench.now;
    assert_eq!(pair.wait(1_000), Some(CompareConclusion::Differs));
    assert!(pair.bench.now.since(began) >= STALL_MS);
}

#[test]
fn more_differences_than_fit_are_mended_in_parts() {
    let view = view(&five());
    let ids = ids(&view, 5_000, true, true);
    let mut pair = Pair::new(view, &[], &ids);
    let mut rounds = 0;
    loop {
        assert_eq!(pair.go_on(), None);
        assert!(pair.repairs.len() <= OPEN_MAX + RANGES_MAX * 8, "{}", pair.repairs.len());
        pair.here.extend(pair.repairs.drain(..));
        let conclusion = pair.wait(2);
        rounds += 1;
        if conclusion == in_sync(&pair) {
            break;
        }
        assert_eq!(conclusion, Some(CompareConclusion::Progress));
        pair.bench.machine = Compare::new(with(), version(&pair.bench.view));
    }
    assert_eq!(pair.here, pair.there);
    assert!((3..10).contains(&rounds), "{rounds}");
}

#[test]
fn silence_another_version_and_a_wrong_number_of_digests_end_it() {
    let foreign = SyncHash([9; 16]);
    let view = view(&five());
    let mine = version(&view);
    let right = vec![vec![0; 64]];
    for answer in [None, Some((foreign, right)), Some((mine, vec![])), Some((mine, vec![vec![0; 3]]))] {
        let mut pair = Pair::new(view.clone(), &[], &[]);
        pair.bench.tick();
        let effects = pair.bench.hear(CompareOutcome::Digests(Side::There, answer));
        assert_eq!(effects, [CompareEffect::Conclude(CompareConclusion::Failed)]);
        assert!(pair.bench.machine.is_finished());
    }
}

#[test]
fn a_change_of_the_layout_or_a_dead_partner_ends_it() {
    let mut changed = five();
    set_role(&mut changed, node(4), Role::Draining);
    settle(&mut changed);
    for after in [view(&changed), view_without(&five(), &[with()])] {
        let mut pair = Pair::new(view(&five()), &[], &[]);
        pair.bench.tick();
        pair.bench.view = after;
        assert_eq!(pair.bench.tick(), [CompareEffect::Conclude(CompareConclusion::Failed)]);
    }
}

mod schedule {
    use super::*;
    use crate::cluster::protocol::compare::schedule::CompareSchedule;
    use crate::cluster::protocol::deviation::Shipped;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn new() -> CompareSchedule<Shipped> {
        CompareSchedule::default()
    }

    #[test]
    fn a_node_is_in_sync_when_it_is_with_every_other_member() {
        let view = view(&five());
        let mut schedule = new();
        let due = schedule.take_due(at(0), &view);
        assert_eq!(due.len(), 4);
        assert_eq!(schedule.take_due(at(0), &view), []);
        for node in &due {
            assert_eq!(schedule.synced(&view), None);
            schedule.end(*node, CompareConclusion::InSync(version(&view)), at(1), &view);
        }
        assert_eq!(schedule.synced(&view), Some(version(&view)));
        // A member with a difference is out of sync again; one that did not answer is as it was.
        schedule.take_due(at(90_000), &view);
        schedule.end(due[0], CompareConclusion::Failed, at(90_000), &view);
        assert_eq!(schedule.synced(&view), Some(version(&view)));
        schedule.end(due[1], CompareConclusion::Differs, at(90_000), &view);
        assert_eq!(schedule.synced(&view), None);
        assert_eq!(schedule.open(&view), [due[1]]);
    }

    #[test]
    fn another_version_is_compared_at_once_and_the_same_one_later() {
        let before = view(&five());
        let mut schedule = new();
        for node in schedule.take_due(at(0), &before) {
            schedule.end(node, CompareConclusion::InSync(version(&before)), at(0), &before);
        }
        assert_eq!(schedule.take_due(at(29_999), &before), []);
        let mut layout = five();
        set_role(&mut layout, node(4), Role::Draining);
        let after = view(&layout);
        assert_eq!(schedule.synced(&after), None);
        assert_eq!(schedule.take_due(at(29_999), &after).len(), 4);
        assert_eq!(schedule.take_due(at(30_000), &before), []);
    }

    #[test]
    fn a_dead_member_is_not_compared_with_and_keeps_the_node_out_of_sync() {
        let view = view_without(&five(), &[node(3)]);
        let mut schedule = new();
        for node in schedule.take_due(at(0), &view) {
            schedule.end(node, CompareConclusion::InSync(version(&view)), at(0), &view);
        }
        assert_eq!(schedule.open(&view), [node(3)]);
        assert_eq!(schedule.synced(&view), None);
    }

    #[test]
    fn a_bounded_number_is_under_way_and_the_longest_waiting_come_first() {
        use crate::cluster::layout::tests::support::layout;
        use crate::cluster::protocol::tests::support::COPIES;
        let numbers: Vec<usize> = (0..20).collect();
        let view = view(&layout(&numbers, COPIES));
        let mut schedule = new();
        let first = schedule.take_due(at(0), &view);
        assert_eq!(first.len(), 8);
        schedule.end(first[0], CompareConclusion::Differs, at(0), &view);
        let next = schedule.take_due(at(60_000), &view);
        assert!(next.len() == 1 && !first.contains(&next[0]));
    }
}
