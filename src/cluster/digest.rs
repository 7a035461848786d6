//! Digests of the images in each slot, summed up in a tree: two nodes find where their images differ without listing them.
//!
//! The digest of a slot is the sum of a 64-bit hash of each id in it, so that adding and removing an image are one
//! addition each, in any order. The digest of a range of slots is the sum of theirs. Two different sets of ids have
//! equal sums once in 2^64; an uploader who makes his own ids collide hides only the loss of his own images.
//!
//! The tree is a Merkle tree with a fan-out of 64 (Merkle, 1987; used for anti-entropy in Dynamo, 2007), over the slots
//! of [`placement`](super::placement). Inner sums are not stored: a comparison that descends adds them up.
//!
//! Memory: 10 bytes for each slot that is not empty. That is at most 10 MiB, and 6.3 MiB for a million images.

use std::ops::Range;

use super::placement::Slot;
use super::random::mix;
use crate::object::ObjectId;

/// Bits of a slot that each level of the tree adds: 64 children each, and 4 at the last level.
const LEVEL_BITS: [u32; 4] = [6, 6, 6, 2];

/// Slots that begin with the same first byte are kept together, so that an insertion moves at most 40 KiB.
const PARTS: usize = 256;

const _: () = assert!(
    LEVEL_BITS[0] + LEVEL_BITS[1] + LEVEL_BITS[2] + LEVEL_BITS[3] == Slot::BITS,
    "invariant: digest: the leaves of the tree are the slots"
);
const _: () = assert!(
    SlotRange::SLOT_LEVEL as usize == LEVEL_BITS.len(),
    "invariant: digest: the last level is that of the slots"
);
const _: () =
    assert!(Slot::COUNT as usize / PARTS <= 1 << 16, "invariant: digest: a slot of a part fits 16 bits");

/// A node of the tree: all slots that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotRange {
    first: u32,
    level: u8,
}

impl SlotRange {
    /// All slots: the root.
    pub const ALL: Self = Self { first: 0, level: 0 };

    /// The level of the leaves.
    pub const SLOT_LEVEL: u8 = 4;

    /// The leaf of one slot.
    pub fn of(slot: Slot) -> Self {
        Self { first: slot.number(), level: Self::SLOT_LEVEL }
    }

    /// From its first slot and its level; `None` for what is no node of the tree.
    pub fn new(first: u32, level: u8) -> Option<Self> {
        let range = Self { first, level };
        let is_level = usize::from(level) <= LEVEL_BITS.len();
        (is_level && first < Slot::COUNT && first.is_multiple_of(range.length())).then_some(range)
    }

    /// The number of its first slot.
    pub const fn first(self) -> u32 {
        self.first
    }

    /// Its distance from the root: 0 to 4.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Whether it is a single slot.
    pub const fn is_slot(self) -> bool {
        self.level == Self::SLOT_LEVEL
    }

    /// Its slot, if it is a single one.
    pub fn slot(self) -> Option<Slot> {
        self.is_slot().then(|| Slot::numbered(self.first))
    }

    /// The numbers of its slots.
    pub fn slots(self) -> Range<u32> {
        self.first..self.first + self.length()
    }

    /// Whether the slot of this id is one of them.
    pub fn contains(self, id: &ObjectId) -> bool {
        self.slots().contains(&Slot::of(id).number())
    }

    /// Its parts, in order; none of a single slot.
    pub fn children(self) -> impl Iterator<Item = Self> {
        let count = LEVEL_BITS.get(usize::from(self.level)).map_or(0, |bits| 1 << bits);
        let length = self.length() / count.max(1);
        (0..count).map(move |at| Self { first: self.first + at * length, level: self.level + 1 })
    }

    fn length(self) -> u32 {
        let below: u32 = LEVEL_BITS.iter().skip(usize::from(self.level)).sum();
        1 << below
    }
}

/// The digests of a node's images.
#[derive(Clone, Debug)]
pub struct SlotDigests {
    parts: Vec<Part>,
}

/// The slots of one first byte that are not empty, in order, and the digest of each.
#[derive(Clone, Debug, Default)]
struct Part {
    slots: Vec<u16>,
    digests: Vec<u64>,
    images: u64,
}

impl Default for SlotDigests {
    fn default() -> Self {
        Self { parts: vec![Part::default(); PARTS] }
    }
}

impl SlotDigests {
    /// Adds an image. The caller adds none twice.
    pub fn add(&mut self, id: &ObjectId) {
        self.part_of(id).images += 1;
        self.change(id, digest_of(id));
    }

    /// Removes an image that was added.
    pub fn remove(&mut self, id: &ObjectId) {
        let images = &mut self.part_of(id).images;
        assert!(*images > 0, "invariant: digest: only an image that was added is removed");
        *images -= 1;
        self.change(id, digest_of(id).wrapping_neg());
    }

    /// Removes all images whose ids begin with this byte.
    pub fn clear(&mut self, first: u8) {
        self.parts[usize::from(first)] = Part::default();
    }

    /// The number of images.
    pub fn images(&self) -> u64 {
        self.parts.iter().map(|part| part.images).sum()
    }

    /// The slots of `range` that are not empty, in order, with their digests.
    pub fn slots(&self, range: SlotRange) -> impl Iterator<Item = (Slot, u64)> {
        let wanted = range.slots();
        let part_length = Slot::COUNT / PARTS as u32;
        let parts = wanted.start / part_length..=(wanted.end - 1) / part_length;
        parts.flat_map(move |number| {
            let part = &self.parts[number as usize];
            let base = number * part_length;
            let at = |slot: u32| part.slots.partition_point(|known| base + u32::from(*known) < slot);
            let inside = at(wanted.start)..at(wanted.end);
            inside.map(move |at| (Slot::numbered(base + u32::from(part.slots[at])), part.digests[at]))
        })
    }

    /// The digest of the slots of `range` that `is_wanted`.
    pub fn sum(&self, range: SlotRange, is_wanted: impl Fn(Slot) -> bool) -> u64 {
        let wanted = self.slots(range).filter(|(slot, _)| is_wanted(*slot));
        wanted.fold(0, |sum, (_, digest)| sum.wrapping_add(digest))
    }

    /// The part of the slots that begin with the first byte of this id.
    fn part_of(&mut self, id: &ObjectId) -> &mut Part {
        &mut self.parts[usize::from(id.digest()[0])]
    }

    fn change(&mut self, id: &ObjectId, by: u64) {
        let part_length = Slot::COUNT / PARTS as u32;
        let number = Slot::of(id).number();
        let part = self.part_of(id);
        let slot =
            u16::try_from(number % part_length).expect("invariant: digest: a slot of a part fits 16 bits");
        match part.slots.binary_search(&slot) {
            Ok(at) => {
                part.digests[at] = part.digests[at].wrapping_add(by);
                // Empty, or one of 2^64 sets of images that look so.
                if part.digests[at] == 0 {
                    part.slots.remove(at);
                    part.digests.remove(at);
                }
            }
            Err(at) => {
                part.slots.insert(at, slot);
                part.digests.insert(at, by);
            }
        }
    }
}

/// The hash of one id: all of its bits reach all bits of the sum.
fn digest_of(id: &ObjectId) -> u64 {
    let [first @ .., a, b, c, d] = *id.digest();
    let (words, _) = first.as_chunks::<8>();
    let tail = u64::from(u32::from_be_bytes([a, b, c, d]));
    words.iter().fold(mix(tail), |hash, word| mix(hash ^ u64::from_be_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::random::Random;

    fn ids(count: u64) -> Vec<ObjectId> {
        let mut random = Random::from_seed(7);
        (0..count)
            .map(|_| {
                let mut digest = [0; 20];
                digest.as_chunks_mut::<4>().0.iter_mut().for_each(|word| {
                    *word = u32::try_from(random.below(1 << 32)).unwrap().to_be_bytes();
                });
                ObjectId::from_digest(digest)
            })
            .collect()
    }

    fn digests(ids: &[ObjectId]) -> SlotDigests {
        let mut digests = SlotDigests::default();
        ids.iter().for_each(|id| digests.add(id));
        digests
    }

    #[test]
    fn the_children_of_a_range_are_its_slots_each_once() {
        let mut ranges = vec![SlotRange::ALL];
        let mut levels = Vec::new();
        while let Some(range) = ranges.first().copied() {
            levels.push(range.children().count());
            let mut next = range.slots().start;
            for child in range.children() {
                assert_eq!(child.slots().start, next);
                assert_eq!(SlotRange::new(child.first(), child.level()), Some(child));
                next = child.slots().end;
            }
            assert!(range.is_slot() || next == range.slots().end);
            ranges = range.children().skip(1).take(1).collect();
        }
        assert_eq!(levels, [64, 64, 64, 4, 0]);
    }

    #[test]
    fn what_is_no_node_of_the_tree_is_refused() {
        assert_eq!(SlotRange::new(0, 0), Some(SlotRange::ALL));
        for (first, level) in [(1, 0), (1, 3), (5, 1), (Slot::COUNT, 4), (0, 5)] {
            assert_eq!(SlotRange::new(first, level), None, "{first} at {level}");
        }
    }

    #[test]
    fn digests_depend_on_the_images_and_not_on_their_order() {
        let ids = ids(2_000);
        let all = digests(&ids);
        let mut others = ids.clone();
        others.reverse();
        let mut again = digests(&others);
        assert_eq!(all.sum(SlotRange::ALL, |_| true), again.sum(SlotRange::ALL, |_| true));
        assert_eq!(again.images(), 2_000);
        again.remove(&ids[77]);
        assert_ne!(all.sum(SlotRange::ALL, |_| true), again.sum(SlotRange::ALL, |_| true));
        let differs = |range: &SlotRange| all.sum(*range, |_| true) != again.sum(*range, |_| true);
        let mut range = SlotRange::ALL;
        while !range.is_slot() {
            let differing: Vec<_> = range.children().filter(differs).collect();
            assert_eq!(differing.len(), 1);
            range = differing[0];
        }
        assert!(range.contains(&ids[77]));
    }

    #[test]
    fn a_slot_that_lost_its_last_image_takes_no_memory() {
        let ids = ids(300);
        let mut digests = digests(&ids);
        ids.iter().for_each(|id| digests.remove(id));
        assert_eq!((digests.images(), digests.slots(SlotRange::ALL).count()), (0, 0));
    }

    #[test]
    fn the_images_of_one_first_byte_are_removed_together() {
        let ids = ids(600);
        let mut all = digests(&ids);
        let (gone, left): (Vec<_>, Vec<_>) = ids.iter().copied().partition(|id| id.digest()[0] == 7);
        assert!(!gone.is_empty());
        all.clear(7);
        let expected = digests(&left);
        assert_eq!(all.images(), expected.images());
        assert_eq!(all.sum(SlotRange::ALL, |_| true), expected.sum(SlotRange::ALL, |_| true));
        gone.iter().for_each(|id| all.add(id));
        assert_eq!(all.sum(SlotRange::ALL, |_| true), digests(&ids).sum(SlotRange::ALL, |_| true));
    }

    #[test]
    fn only_the_slots_that_are_wanted_are_summed_up() {
        let ids = ids(500);
        let all = digests(&ids);
        let is_even = |slot: Slot| slot.number().is_multiple_of(2);
        let even: Vec<_> = ids.iter().copied().filter(|id| is_even(Slot::of(id))).collect();
        assert_eq!(all.sum(SlotRange::ALL, is_even), digests(&even).sum(SlotRange::ALL, |_| true));
        let parts = SlotRange::ALL.children().map(|child| all.sum(child, |_| true));
        assert_eq!(parts.fold(0, u64::wrapping_add), all.sum(SlotRange::ALL, |_| true));
    }
}
