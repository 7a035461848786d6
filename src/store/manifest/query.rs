//! Questions to the keeper about the digests, and its answers.

use std::fmt;
use std::sync::Arc;

use crate::cluster::digest::{SlotDigests, SlotRange};
use crate::cluster::placement::Slot;
use crate::object::ObjectId;
use crate::store::StoreError;
use crate::store::directory;
use crate::store::path::StorePaths;

/// Which slots are wanted: who owns them is the caller's knowledge. It is called once for each slot that is not empty, a
/// million times at most, by the keeper's thread.
pub type SlotFilter = Arc<dyn Fn(Slot) -> bool + Send + Sync>;

/// The most ranges of one question: the children of one node of the tree.
pub const RANGES_MAX: usize = 64;

/// Bits of a slot's number that are beyond the two bytes of its directory.
const SLOT_BITS_IN_DIRECTORY: u32 = Slot::BITS - 16;

/// Where an answer goes. It has room for one.
pub(super) type Reply<T> = flume::Sender<Result<T, ManifestQueryError>>;

/// A question to the keeper.
pub(super) enum Query {
    Digests { ranges: Vec<SlotRange>, wanted: SlotFilter, reply: Reply<Vec<Vec<u64>>> },
    Sum { range: SlotRange, wanted: SlotFilter, reply: Reply<u64> },
    Slots { wanted: SlotFilter, after: Option<Slot>, count_max: usize, reply: Reply<Vec<Slot>> },
    List { ranges: Vec<SlotRange>, after: Option<ObjectId>, count_max: usize, reply: Reply<IdPage> },
}

/// A part of the ids in some slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdPage {
    /// In order.
    pub ids: Vec<ObjectId>,
    /// Whether there may be more behind the last one.
    pub has_more: bool,
}

/// Why a question has no answer. Nothing was changed.
#[derive(Debug)]
pub enum ManifestQueryError {
    /// The manifests were not compared with the store yet: asking again helps later.
    NotReady,
    /// Too much waits for the keeper: asking again helps later.
    Busy,
    /// More than [`RANGES_MAX`] ranges. Asking again does not help.
    TooManyRanges,
    /// The disk cannot tell.
    Store(StoreError),
    /// The keeper has ended: the node stops, or the log says why.
    Ended,
}

/// The sources of the answers.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) digests: &'a SlotDigests,
    pub(super) paths: &'a StorePaths,
    /// Whether the digests of the ids that begin with this byte are right.
    pub(super) is_settled: &'a dyn Fn(u8) -> bool,
}

impl Known<'_> {
    /// Answers a question. Nobody may wait for the answer any more.
    pub(super) fn answer(self, query: Query) {
        match query {
            Query::Digests { ranges, wanted, reply } => drop(reply.send(self.digests(&ranges, &wanted))),
            Query::Sum { range, wanted, reply } => drop(reply.send(self.sum(range, &wanted))),
            Query::Slots { wanted, after, count_max, reply } => {
                drop(reply.send(self.slots(&wanted, after, count_max)));
            }
            Query::List { ranges, after, count_max, reply } => {
                drop(reply.send(self.list(ranges, after, count_max)));
            }
        }
    }

    fn digests(self, ranges: &[SlotRange], wanted: &SlotFilter) -> Result<Vec<Vec<u64>>, ManifestQueryError> {
        self.check(ranges)?;
        let children = |range: &SlotRange| range.children().map(|child| self.digests.sum(child, &**wanted));
        Ok(ranges.iter().map(|range| children(range).collect()).collect())
    }

    fn sum(self, range: SlotRange, wanted: &SlotFilter) -> Result<u64, ManifestQueryError> {
        self.check(&[range])?;
        Ok(self.digests.sum(range, &**wanted))
    }

    fn slots(
        self,
        wanted: &SlotFilter,
        after: Option<Slot>,
        count_max: usize,
    ) -> Result<Vec<Slot>, ManifestQueryError> {
        self.check(&[SlotRange::ALL])?;
        let all = self.digests.slots(SlotRange::ALL).map(|(slot, _)| slot);
        let behind = all.filter(|slot| after.is_none_or(|after| *slot > after) && wanted(*slot));
        Ok(behind.take(count_max).collect())
    }

    fn list(
        self,
        ranges: Vec<SlotRange>,
        after: Option<ObjectId>,
        count_max: usize,
    ) -> Result<IdPage, ManifestQueryError> {
        self.check(&ranges)?;
        let ranges = disjoint(ranges);
        let first = after.map_or(0, |id| Slot::of(&id).number());
        let slots = ranges.iter().flat_map(|range| self.digests.slots(*range)).map(|(slot, _)| slot.number());
        let mut slots = slots.filter(|slot| *slot >= first).peekable();
        let mut page = IdPage::default();
        while let Some(slot) = slots.next() {
            let directory = slot >> SLOT_BITS_IN_DIRECTORY;
            let mut wanted = vec![slot];
            while let Some(next) = slots.next_if(|next| next >> SLOT_BITS_IN_DIRECTORY == directory) {
                wanted.push(next);
            }
            let [.., first, second] = directory.to_be_bytes();
            let listed = directory::list(self.paths, [first, second])
                .map_err(|error| ManifestQueryError::Store(StoreError::new("list a directory", error)))?;
            let is_wanted = |id: &ObjectId| wanted.contains(&Slot::of(id).number());
            let behind = listed.into_keys().filter(|id| after.is_none_or(|after| *id > after));
            for id in behind.filter(is_wanted) {
                if page.ids.len() == count_max {
                    return Ok(IdPage { has_more: true, ..page });
                }
                page.ids.push(id);
            }
        }
        assert!(
            page.ids.is_sorted_by(|one, other| one < other) && page.ids.len() <= count_max,
            "invariant: manifest: a page holds each id once, in order, and no more than were asked for"
        );
        Ok(page)
    }

    /// Refuses too many ranges, and those whose digests are not known to be right.
    fn check(self, ranges: &[SlotRange]) -> Result<(), ManifestQueryError> {
        if ranges.len() > RANGES_MAX {
            return Err(ManifestQueryError::TooManyRanges);
        }
        let first_byte = |slot: u32| u8::try_from(slot >> (Slot::BITS - 8)).unwrap_or(u8::MAX);
        let is_settled = |range: &SlotRange| {
            let slots = range.slots();
            (first_byte(slots.start)..=first_byte(slots.end - 1)).all(self.is_settled)
        };
        if ranges.iter().all(is_settled) { Ok(()) } else { Err(ManifestQueryError::NotReady) }
    }
}

/// The same ranges in order, without those that lie in others. Two ranges are apart, or one holds the other.
fn disjoint(mut ranges: Vec<SlotRange>) -> Vec<SlotRange> {
    ranges.sort_by_key(|range| (range.first(), range.level()));
    let mut end = 0;
    ranges.retain(|range| {
        let slots = range.slots();
        let is_apart = slots.start >= end;
        end = end.max(slots.end);
        is_apart
    });
    ranges
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digests { .. } => "Digests",
            Self::Sum { .. } => "Sum",
            Self::Slots { .. } => "Slots",
            Self::List { .. } => "List",
        })
    }
}

impl fmt::Display for ManifestQueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the manifests were not compared with the store yet"),
            Self::Busy => f.write_str("too much waits for the manifest keeper"),
            Self::TooManyRanges => write!(f, "more than {RANGES_MAX} ranges"),
            Self::Store(error) => error.fmt(f),
            Self::Ended => f.write_str("the manifest keeper has ended"),
        }
    }
}

impl std::error::Error for ManifestQueryError {}
