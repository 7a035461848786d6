//! Two members compare their images: this node with one other.
//!
//! * Of the slots that both own they should hold the same. They compare digests, from the root of the tree down to the
//!   slots that differ, and list only those.
//! * Of the slots that one owns, and in which the other holds images although it does not own them (a hinted replica,
//!   or a former owner's), the owner should hold all that the other holds.
//!
//! An image that this node lacks is reported to its repairs, which fetch it; the other node does the same when it
//! compares. The comparison then lists the differing slots again, until each difference that it found at first is
//! mended. New uploads do not hold it up: they are no difference that it found.
//!
//! It ends in sync when none is left. When every member is in sync with every other under a staged version, that version
//! may become current (`docs/PROOF.md`, rule S).
//!
//! Memory: at most [`SLOTS_MAX`] slots twice, and [`OPEN_MAX`] ids with one batch more. What is beyond is left to the
//! next comparison.

mod difference;
pub mod effect;
pub mod schedule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use self::difference::{Batch, Differences, SlotOwnership};
use super::deviation::{Deviation, Deviations, Shipped};
use super::{ANSWER_MAX_MS, Input, Machine};
use crate::cluster::digest::SlotRange;
use crate::cluster::layout::SyncHash;
use crate::cluster::node::NodeId;
use crate::cluster::placement::Slot;
use crate::cluster::time::Time;
use crate::cluster::view::View;

pub use effect::{CompareConclusion, CompareEffect, CompareOutcome, IdPage, Side};

/// Time for either node to answer, in milliseconds: it may have to read directories.
pub const WITHIN_MS: u64 = 2 * ANSWER_MAX_MS;

/// Ranges of a question. Their digests are at most 32 KiB.
pub const RANGES_MAX: usize = 64;

/// Ids of a page: 20 KB.
pub const IDS_MAX: usize = 1_000;

/// Slots that a comparison lists at most, of each of the three kinds.
pub const SLOTS_MAX: usize = 1_024;

/// Images that differ, after which a comparison looks for no others.
pub const OPEN_MAX: usize = 2_048;

/// Between two listings of the slots that differ, in milliseconds.
const AGAIN_MS: u64 = 500;

/// Without any progress for this long a comparison ends, in milliseconds.
const STALL_MS: u64 = 15_000;

const _: () =
    assert!(STALL_MS > 2 * AGAIN_MS, "invariant: compare: a difference is looked at more than once");

/// The machine.
#[derive(Clone, Debug)]
pub struct Compare<D = Shipped> {
    deviations: D,
    with: NodeId,
    version: SyncHash,
    is_partial: bool,
    effects: VecDeque<CompareEffect>,
    stage: Stage,
    /// Slots that differ, to be listed.
    slots: BTreeSet<Slot>,
    differences: Differences,
    progress_at: Time,
}

#[derive(Clone, Debug)]
enum Stage {
    Beginning,
    /// Ranges that differ, the next one last; and those that both nodes were asked of, with the answers.
    Descending {
        ranges: Vec<SlotRange>,
        asked: Vec<SlotRange>,
        here: Option<Digests>,
        there: Option<Digests>,
    },
    /// Which of the two have answered.
    ExcessSlots {
        here: bool,
        there: bool,
    },
    Listing {
        batch: Batch,
        left: VecDeque<Slot>,
        is_first: bool,
    },
    Waiting {
        until: Time,
    },
    Concluded,
}

type Digests = Vec<Vec<u64>>;

impl Compare {
    /// With this member, under this staged version, which the node's view has.
    pub fn new(with: NodeId, version: SyncHash) -> Self {
        Self::deviating(with, version, Shipped)
    }
}

impl<D: Deviations> Compare<D> {
    /// The same, with bugs that the simulator is to find.
    pub fn deviating(with: NodeId, version: SyncHash, deviations: D) -> Self {
        Self {
            deviations,
            with,
            version,
            is_partial: false,
            effects: VecDeque::new(),
            stage: Stage::Beginning,
            slots: BTreeSet::new(),
            differences: Differences::default(),
            progress_at: Time::default(),
        }
    }

    fn take(&mut self, now: Time, view: &View, outcome: CompareOutcome) {
        let version = match &outcome {
            CompareOutcome::Digests(_, answer) => answer.as_ref().map(|answer| answer.0),
            CompareOutcome::ExcessSlots(_, answer) => answer.as_ref().map(|answer| answer.0),
            CompareOutcome::Listed(_, answer) => answer.as_ref().map(|answer| answer.0),
        };
        // Under another version the two do not agree on what each of them owns.
        if version != Some(self.version) {
            return self.conclude(CompareConclusion::Failed);
        }
        match outcome {
            CompareOutcome::Digests(side, Some((_, digests))) => self.take_digests(side, digests),
            CompareOutcome::ExcessSlots(side, Some((_, slots))) => self.take_excess(now, side, &slots),
            CompareOutcome::Listed(side, Some((_, page))) => self.take_page(now, view, side, page),
            _ => self.conclude(CompareConclusion::Failed),
        }
    }

    fn descend(&mut self, mut ranges: Vec<SlotRange>) {
        if self.slots.len() >= SLOTS_MAX {
            self.is_partial |= !ranges.is_empty();
            ranges.clear();
        }
        if ranges.is_empty() {
            return self.ask_excess();
        }
        let asked = ranges.split_off(ranges.len().saturating_sub(RANGES_MAX));
        for side in [Side::Here, Side::There] {
            self.effects.push_back(CompareEffect::Digests(side, asked.clone()));
        }
        self.stage = Stage::Descending { ranges, asked, here: None, there: None };
    }

    fn take_digests(&mut self, side: Side, digests: Digests) {
        let Stage::Descending { asked, here, there, .. } = &mut self.stage else { return };
        let is_answer = digests.len() == asked.len()
            && asked.iter().zip(&digests).all(|(range, digests)| range.children().count() == digests.len());
        if !is_answer {
            return self.conclude(CompareConclusion::Failed);
        }
        *(if side == Side::Here { &mut *here } else { &mut *there }) = Some(digests);
        if here.is_none() || there.is_none() {
            return;
        }
        let Stage::Descending { mut ranges, asked, here: Some(here), there: Some(there) } =
            std::mem::replace(&mut self.stage, Stage::Beginning)
        else {
            unreachable!("invariant: compare: both have answered")
        };
        let before = ranges.len();
        for (range, (here, there)) in asked.iter().zip(here.iter().zip(&there)) {
            let children = range.children().zip(here.iter().zip(there));
            for (child, _) in children.filter(|(_, (here, there))| here != there) {
                match child.slot() {
                    Some(slot) => drop(self.slots.insert(slot)),
                    None => ranges.push(child),
                }
            }
        }
        // In order: the first slots are listed first.
        ranges[before..].reverse();
        self.descend(ranges);
    }

    fn ask_excess(&mut self) {
        for side in [Side::Here, Side::There] {
            self.effects.push_back(CompareEffect::ExcessSlots(side));
        }
        self.stage = Stage::ExcessSlots { here: false, there: false };
    }

    fn take_excess(&mut self, now: Time, side: Side, found: &[Slot]) {
        let Stage::ExcessSlots { here, there } = &mut self.stage else { return };
        *(if side == Side::Here { &mut *here } else { &mut *there }) = true;
        let is_answered = *here && *there;
        self.is_partial |= found.len() >= SLOTS_MAX;
        self.slots.extend(found.iter().take(SLOTS_MAX));
        if is_answered {
            self.progress_at = now;
            self.list(true);
        }
    }

    /// Lists all slots that differ, for the first time or again.
    fn list(&mut self, is_first: bool) {
        let slots = if is_first {
            std::mem::take(&mut self.slots).into_iter().collect()
        } else {
            self.differences.slots().into()
        };
        self.list_next(slots, is_first);
    }

    fn list_next(&mut self, mut left: VecDeque<Slot>, is_first: bool) {
        if is_first && self.differences.images() >= OPEN_MAX {
            self.is_partial |= !left.is_empty();
            left.clear();
        }
        if left.is_empty() {
            return self.conclude_or_wait();
        }
        let batch: Vec<_> = left.drain(..left.len().min(RANGES_MAX)).collect();
        for side in [Side::Here, Side::There] {
            self.effects.push_back(CompareEffect::List(side, batch.clone(), None));
        }
        self.stage = Stage::Listing { batch: Batch::new(batch), left, is_first };
    }

    fn take_page(&mut self, now: Time, view: &View, side: Side, page: IdPage) {
        let Stage::Listing { batch, .. } = &mut self.stage else { return };
        let slots = batch.slots().to_vec();
        if let Some(last) = batch.take(side, page.ids, page.has_more) {
            // A batch of slots that hold more than this is beyond any store.
            if batch.len() > OPEN_MAX.saturating_mul(RANGES_MAX) {
                return self.conclude(CompareConclusion::Failed);
            }
            return self.effects.push_back(CompareEffect::List(side, slots, Some(last)));
        }
        if !batch.is_whole() {
            return;
        }
        let Stage::Listing { batch, left, is_first } = std::mem::replace(&mut self.stage, Stage::Beginning)
        else {
            unreachable!("invariant: compare: it lists")
        };
        self.note(now, view, &batch, is_first);
        self.list_next(left, is_first);
    }

    fn note(&mut self, now: Time, view: &View, batch: &Batch, is_first: bool) {
        let mut lacking = Vec::new();
        for slot in batch.slots() {
            let [here, there] = batch.ids_of(*slot);
            if is_first {
                let owned = SlotOwnership {
                    here: view.is_slot_owner(view.this(), *slot),
                    there: view.is_slot_owner(self.with, *slot),
                };
                lacking.extend(self.differences.note(*slot, owned, &here, &there));
            } else if self.differences.note_again(*slot, &here, &there) {
                self.progress_at = now;
            }
        }
        if !lacking.is_empty() {
            self.effects.push_back(CompareEffect::Repair(lacking));
        }
    }

    fn conclude_or_wait(&mut self) {
        let is_mended = self.differences.images() == 0 || self.deviations.has(Deviation::MoveCountedEarly);
        if !is_mended {
            return self.stage = Stage::Waiting { until: self.progress_at };
        }
        self.conclude(if self.is_partial {
            CompareConclusion::Progress
        } else {
            CompareConclusion::InSync(self.version)
        });
    }

    fn conclude(&mut self, conclusion: CompareConclusion) {
        self.stage = Stage::Concluded;
        self.effects.push_back(CompareEffect::Conclude(conclusion));
    }

    fn tick(&mut self, now: Time) {
        match self.stage {
            Stage::Beginning => {
                self.progress_at = now;
                self.descend(vec![SlotRange::ALL]);
            }
            Stage::Waiting { until } if until <= now => self.list(false),
            _ => {}
        }
    }

    /// A wait that has just begun gets its end here, where the time is known.
    fn bound_wait(&mut self, now: Time) {
        let Stage::Waiting { until } = &mut self.stage else { return };
        if now.since(self.progress_at) >= STALL_MS {
            return self.conclude(CompareConclusion::Differs);
        }
        if *until <= now {
            *until = now.after(AGAIN_MS);
        }
    }
}

impl<D: Deviations> Machine for Compare<D> {
    type Effect = CompareEffect;
    type Outcome = CompareOutcome;

    fn handle(&mut self, now: Time, view: &View, input: Input<CompareOutcome>) {
        if matches!(self.stage, Stage::Concluded) {
            // The other side's answer to a question that does not matter any more.
            return;
        }
        if view.staged_version() != Some(self.version) || !view.is_alive(self.with) {
            return self.conclude(CompareConclusion::Failed);
        }
        match input {
            Input::Tick => self.tick(now),
            Input::Outcome(outcome) => self.take(now, view, outcome),
        }
        self.bound_wait(now);
        assert!(self.slots.len() <= 3 * SLOTS_MAX + RANGES_MAX * 4, "invariant: compare: slots are bounded");
    }

    fn poll(&mut self) -> Option<CompareEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        if let Stage::Waiting { until } = self.stage { Some(until) } else { None }
    }

    fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Concluded) && self.effects.is_empty()
    }
}
