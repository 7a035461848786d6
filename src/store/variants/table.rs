//! The files of one kind that a shard keeps, in the order of their last use, within a bound of entries.
//!
//! An entry takes 56 bytes and its place in the index 4 to 8, in two flat vectors: millions of entries are kept, and
//! a general map with a list in it takes twice as much. Entries of one image share a bucket of the index, in the
//! order of their last use, so that one walk finds an entry, counts its image's entries and knows the least used of
//! them. The walk is short, for an image has at most [`VARIANTS_PER_IMAGE_MAX`] entries.

use std::hash::{BuildHasher, RandomState};

use super::{Cached, ObjectId, VariantKey};

/// Files of one kind that are kept of one image. 20 widths in 4 formats at 3 densities are 240; beyond that somebody
/// tries out what can be asked for, and takes room from this image alone.
pub const VARIANTS_PER_IMAGE_MAX: usize = 256;

/// One entry for each so many bytes of the budget: the usual mean of what a file costs. 10 GiB have at most 655,360
/// entries, which take 42 MB of memory.
const ENTRY_BUDGET_BYTES: u64 = 16 << 10;

/// Entries that are allowed however small the budget is; 256 kB of memory.
const ENTRIES_MIN: u64 = 1 << 12;

/// Entries of one shard however large the budget is; 1 GiB of memory.
const ENTRIES_MAX: u64 = 1 << 24;

/// Costs are kept in units of so many bytes.
const UNIT_BYTES: u64 = 128;

pub(super) type VariantName = (ObjectId, VariantKey, Cached);

/// A place in `slots`, counted from 1; 0 is none, so that memory that was never written is an empty index.
type EntryIndex = u32;

#[derive(Debug)]
pub(super) struct LruTable {
    slots: Vec<LruEntry>,
    /// The most recently used entry of each bucket.
    buckets: Vec<EntryIndex>,
    newest: EntryIndex,
    oldest: EntryIndex,
    /// The first of the places that were given up.
    free: EntryIndex,
    count: usize,
    entries_max: usize,
    units: u64,
    hasher: RandomState,
}

#[derive(Debug)]
struct LruEntry {
    id: ObjectId,
    key: VariantKey,
    cached: Cached,
    units: u32,
    newer: EntryIndex,
    older: EntryIndex,
    /// In the bucket, used less recently; of a place that was given up, the next such.
    next: EntryIndex,
}

/// The result of a walk through a bucket.
#[derive(Default)]
struct BucketWalk {
    found: Option<BucketPosition>,
    /// The entry of the image that was not used for the longest time.
    last: Option<BucketPosition>,
    /// Entries of the image.
    entries: usize,
    /// The last entry of the bucket.
    end: EntryIndex,
}

/// An entry and the one before it in its bucket.
#[derive(Clone, Copy)]
struct BucketPosition {
    before: EntryIndex,
    place: EntryIndex,
}

/// The number of entries that a table of this budget may have.
pub(super) fn entries_max(bytes_max: u64) -> usize {
    // At most 2^24.
    (bytes_max / ENTRY_BUDGET_BYTES).clamp(ENTRIES_MIN, ENTRIES_MAX) as usize
}

impl LruTable {
    pub(super) fn new(entries_max: usize) -> Self {
        // Zeroed pages become resident as they are written.
        let buckets = vec![0; entries_max.next_power_of_two()];
        assert!(buckets.len().is_power_of_two(), "invariant: variants: the buckets are a power of two");
        Self {
            slots: Vec::new(),
            buckets,
            newest: 0,
            oldest: 0,
            free: 0,
            count: 0,
            entries_max,
            units: 0,
            hasher: RandomState::new(),
        }
    }

    /// The cost of the files.
    pub(super) const fn bytes(&self) -> u64 {
        self.units * UNIT_BYTES
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are more entries than there may be.
    pub(super) const fn has_too_many(&self) -> bool {
        self.count > self.entries_max
    }

    /// Notes that a file is used now, and what it costs. Whether it was not known before.
    pub(super) fn use_now(&mut self, name: &VariantName, bytes: u64) -> bool {
        let walk = self.walk(name);
        let (place, is_new) = match walk.found {
            Some(step) => {
                self.leave_bucket(&name.0, step);
                self.leave_order(step.place);
                (step.place, false)
            }
            None => (self.take_place(name), true),
        };
        let bucket = self.bucket(&name.0);
        self.slot(place).next = std::mem::replace(&mut self.buckets[bucket], place);
        self.slot(place).older = self.newest;
        match self.newest {
            0 => self.oldest = place,
            newest => self.slot(newest).newer = place,
        }
        self.newest = place;
        self.set_cost(place, bytes);
        self.assert_linked();
        is_new
    }

    /// Notes a file as used before all that are known. `false` if it is known already.
    pub(super) fn add_oldest(&mut self, name: &VariantName, bytes: u64) -> bool {
        let walk = self.walk(name);
        if walk.found.is_some() {
            return false;
        }
        let place = self.take_place(name);
        match walk.end {
            0 => {
                let bucket = self.bucket(&name.0);
                self.buckets[bucket] = place;
            }
            end => self.slot(end).next = place,
        }
        self.slot(place).newer = self.oldest;
        match self.oldest {
            0 => self.newest = place,
            oldest => self.slot(oldest).older = place,
        }
        self.oldest = place;
        self.set_cost(place, bytes);
        self.assert_linked();
        true
    }

    fn assert_linked(&self) {
        assert!(
            self.count <= self.slots.len(),
            "invariant: variants: no more entries are counted than there are places"
        );
        assert!(
            (self.count == 0) == (self.newest == 0) && (self.newest == 0) == (self.oldest == 0),
            "invariant: variants: the order of use has two ends while there is an entry"
        );
        let newer =
            |place: EntryIndex| self.slots.get((place as usize).wrapping_sub(1)).map(|slot| slot.newer);
        assert!(
            newer(self.newest).is_none_or(|newer| newer == 0),
            "invariant: variants: nothing is newer than the newest"
        );
    }

    /// Forgets a file; what it cost, if it was known.
    pub(super) fn remove(&mut self, name: &VariantName) -> Option<u64> {
        let step = self.walk(name).found?;
        Some(self.give_up(&name.0, step))
    }

    /// Forgets the file that was not used for the longest time, and tells its name and what it cost.
    pub(super) fn pop_oldest(&mut self) -> Option<(VariantName, u64)> {
        let name = self.name(self.oldest)?;
        let bytes = self.remove(&name)?;
        Some((name, bytes))
    }

    /// The same among the files of one image, if it has too many.
    pub(super) fn pop_excess(&mut self, name: &VariantName) -> Option<(VariantName, u64)> {
        let walk = self.walk(name);
        let last = walk.last.filter(|_| walk.entries > VARIANTS_PER_IMAGE_MAX)?;
        let name = self.name(last.place)?;
        let bytes = self.give_up(&name.0, last);
        Some((name, bytes))
    }

    /// Forgets one file of an image. Whether there was one.
    pub(super) fn pop_of(&mut self, id: &ObjectId) -> bool {
        // No image has a file of this name more often than another.
        let walk = self.walk(&(*id, [0; 16], Cached::Planes));
        let popped = walk.last.map(|last| self.give_up(id, last));
        popped.is_some()
    }

    fn walk(&self, name: &VariantName) -> BucketWalk {
        let mut walk = BucketWalk::default();
        let mut place = self.buckets[self.bucket(&name.0)];
        while place != 0 {
            let slot = &self.slots[place as usize - 1];
            if slot.id == name.0 {
                let step = BucketPosition { before: walk.end, place };
                walk.entries += 1;
                walk.last = Some(step);
                if (slot.key, slot.cached) == (name.1, name.2) {
                    walk.found = Some(step);
                }
            }
            walk.end = place;
            place = slot.next;
        }
        walk
    }

    fn bucket(&self, id: &ObjectId) -> usize {
        // Keyed, so that nobody can upload images that share a bucket. The number of buckets is a power of two.
        (self.hasher.hash_one(id) as usize) & (self.buckets.len() - 1)
    }

    fn name(&self, place: EntryIndex) -> Option<VariantName> {
        let slot = self.slots.get((place as usize).checked_sub(1)?)?;
        Some((slot.id, slot.key, slot.cached))
    }

    /// The slot at a place that is one.
    fn slot(&mut self, place: EntryIndex) -> &mut LruEntry {
        &mut self.slots[place as usize - 1]
    }

    fn take_place(&mut self, name: &VariantName) -> EntryIndex {
        let (id, key, cached) = *name;
        let slot = LruEntry { id, key, cached, units: 0, newer: 0, older: 0, next: 0 };
        self.count += 1;
        if self.free == 0 {
            assert!(
                self.slots.len() < EntryIndex::MAX as usize,
                "invariant: variants: every entry has a number"
            );
            self.slots.push(slot);
            // Bounded by `ENTRIES_MAX` and what is counted before the bound is kept.
            return self.slots.len() as EntryIndex;
        }
        let place = self.free;
        self.free = std::mem::replace(self.slot(place), slot).next;
        place
    }

    fn give_up(&mut self, id: &ObjectId, step: BucketPosition) -> u64 {
        assert!(self.count > 0, "invariant: variants: only an entry that was counted is given up");
        let bytes = u64::from(self.slot(step.place).units) * UNIT_BYTES;
        self.set_cost(step.place, 0);
        self.leave_bucket(id, step);
        self.leave_order(step.place);
        self.slot(step.place).next = self.free;
        self.free = step.place;
        self.count -= 1;
        assert!(self.count > 0 || self.units == 0, "invariant: variants: an empty table costs nothing");
        self.assert_linked();
        bytes
    }

    fn leave_bucket(&mut self, id: &ObjectId, BucketPosition { before, place }: BucketPosition) {
        let next = self.slot(place).next;
        match before {
            0 => {
                let bucket = self.bucket(id);
                self.buckets[bucket] = next;
            }
            before => self.slot(before).next = next,
        }
    }

    fn leave_order(&mut self, place: EntryIndex) {
        let slot = self.slot(place);
        let (newer, older) = (std::mem::take(&mut slot.newer), std::mem::take(&mut slot.older));
        match newer {
            0 => self.newest = older,
            newer => self.slot(newer).older = older,
        }
        match older {
            0 => self.oldest = newer,
            older => self.slot(older).newer = newer,
        }
    }

    fn set_cost(&mut self, place: EntryIndex, bytes: u64) {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let before = std::mem::replace(&mut self.slot(place).units, units);
        assert!(
            self.units >= u64::from(before),
            "invariant: variants: the sum of the costs is not below one of them"
        );
        self.units = self.units - u64::from(before) + u64::from(units);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::object::Format;

    fn name(image: u8, variant: u16) -> VariantName {
        let mut key = [0; 16];
        key[..2].copy_from_slice(&variant.to_be_bytes());
        (ObjectId::from_digest([image; 20]), key, Cached::Variant(Format::Jpeg))
    }

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<LruEntry>() <= 56, "{}", size_of::<LruEntry>());
    }

    #[test]
    fn the_least_used_of_an_image_with_too_many_goes_first() {
        let mut table = LruTable::new(10_000);
        table.use_now(&name(2, 0), 128);
        for variant in 0..300 {
            table.use_now(&name(1, 0), 128);
            table.use_now(&name(1, variant), 128);
            let gone = table.pop_excess(&name(1, variant));
            let expected = (usize::from(variant) >= VARIANTS_PER_IMAGE_MAX)
                .then(|| (name(1, variant - VARIANTS_PER_IMAGE_MAX as u16 + 1), 128));
            assert_eq!(gone, expected, "{variant}");
        }
        assert_eq!(table.len(), VARIANTS_PER_IMAGE_MAX + 1);
        assert_eq!(table.pop_oldest(), Some((name(2, 0), 128)));
    }

    #[test]
    fn all_files_of_an_image_are_forgotten_one_by_one_and_no_others() {
        let mut table = LruTable::new(10_000);
        for (image, variant) in [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)] {
            table.use_now(&name(image, variant), 128);
        }
        let id = name(1, 0).0;
        assert_eq!((0..5).filter(|_| table.pop_of(&id)).count(), 3);
        assert_eq!((table.len(), table.bytes()), (2, 256));
        assert_eq!(table.pop_oldest(), Some((name(2, 0), 128)));
    }

    #[test]
    fn its_memory_is_bounded_by_its_entries() {
        let mut table = LruTable::new(100);
        for round in 0..10_000_u16 {
            table.use_now(&name((round % 97) as u8, round), 128);
            if table.has_too_many() {
                table.pop_oldest();
            }
        }
        assert_eq!((table.len(), table.slots.len(), table.buckets.len()), (100, 101, 128));
        assert_eq!((entries_max(10 << 30), entries_max(0), entries_max(u64::MAX)), (655_360, 4096, 1 << 24));
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Use(u8, u16, u64),
        AddOldest(u8, u16, u64),
        Remove(u8, u16),
        PopOldest,
    }

    fn deed() -> impl Strategy<Value = Deed> {
        let name = || (0..4u8, 0..6u16);
        prop_oneof![
            4 => (name(), 0..9u64).prop_map(|((image, variant), units)| Deed::Use(image, variant, units * 128)),
            2 => (name(), 0..9u64).prop_map(|((image, variant), units)| Deed::AddOldest(image, variant, units * 128)),
            1 => name().prop_map(|(image, variant)| Deed::Remove(image, variant)),
            1 => Just(Deed::PopOldest),
        ]
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_does(deeds in proptest::collection::vec(deed(), 0..200), entries_max in 1..9usize) {
            let mut table = LruTable::new(entries_max);
            // Oldest first.
            let mut list: VecDeque<(VariantName, u64)> = VecDeque::new();
            let take = |list: &mut VecDeque<(VariantName, u64)>, name: &VariantName| {
                list.iter().position(|(known, _)| known == name).and_then(|index| list.remove(index))
            };
            for deed in deeds {
                match deed {
                    Deed::Use(image, variant, bytes) => {
                        let name = name(image, variant);
                        prop_assert_eq!(table.use_now(&name, bytes), take(&mut list, &name).is_none());
                        list.push_back((name, bytes));
                    }
                    Deed::AddOldest(image, variant, bytes) => {
                        let name = name(image, variant);
                        let known = list.iter().any(|(known, _)| *known == name);
                        prop_assert_eq!(table.add_oldest(&name, bytes), !known);
                        if !known {
                            list.push_front((name, bytes));
                        }
                    }
                    Deed::Remove(image, variant) => {
                        let name = name(image, variant);
                        prop_assert_eq!(table.remove(&name), take(&mut list, &name).map(|(_, bytes)| bytes));
                    }
                    Deed::PopOldest => prop_assert_eq!(table.pop_oldest(), list.pop_front()),
                }
                prop_assert_eq!(table.len(), list.len());
                prop_assert_eq!(table.bytes(), list.iter().map(|(_, bytes)| bytes).sum::<u64>());
                prop_assert_eq!(table.has_too_many(), list.len() > entries_max);
            }
            while let Some(oldest) = table.pop_oldest() {
                prop_assert_eq!(Some(oldest), list.pop_front());
            }
            prop_assert!(list.is_empty() && table.bytes() == 0);
        }
    }
}
