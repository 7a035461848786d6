//! Which disturbance vectors a block can belong to: the unavoidable bit conditions of Stevens and Shumow (2017).
//!
//! A block can be part of a collision attack by a disturbance vector only if bits of its expanded message are equal, or
//! differ, in pairs. The facts are those of the authors' `sha1collisiondetection` (MIT licence, Copyright 2017 Marc Stevens
//! and Dan Shumow), written as a table.
//!
//! Sixty-four blocks are judged at once: a number of 64 bits holds one bit of each.

/// Calls `$each!` with every bit that a condition looks at, as `word bit` of the expanded message.
macro_rules! bits {
    ($each:ident) => {
        $each! {
            35 1, 35 3, 35 4, 35 5, 35 30, 36 0, 36 1, 36 3, 36 4, 36 6, 36 30, 37 0, 37 1, 37 3, 37 4,
            37 5, 37 6, 37 30, 38 0, 38 1, 38 3, 38 4, 38 5, 38 6, 38 30, 39 1, 39 3, 39 4, 39 5, 39 6,
            39 28, 39 29, 39 30, 40 1, 40 3, 40 4, 40 6, 40 28, 40 29, 41 1, 41 3, 41 4, 41 6, 41 28,
            41 29, 41 30, 42 1, 42 3, 42 4, 42 6, 42 28, 42 29, 42 30, 43 1, 43 3, 43 4, 43 6, 43 28,
            43 29, 43 30, 44 1, 44 3, 44 4, 44 6, 44 28, 44 29, 45 1, 45 4, 45 6, 45 28, 45 29, 46 1, 46 4,
            46 6, 46 28, 46 29, 47 1, 47 4, 47 6, 47 28, 47 29, 48 1, 48 4, 48 6, 48 28, 48 29, 49 1, 49 4,
            49 6, 49 29, 50 1, 50 4, 50 6, 50 29, 51 1, 51 4, 51 6, 51 29, 52 1, 52 4, 52 6, 52 29, 53 4,
            53 6, 53 29, 54 1, 54 4, 54 6, 54 29, 55 1, 55 4, 55 6, 55 29, 56 1, 56 4, 56 29, 57 4, 57 29,
            58 0, 58 4, 58 29, 59 0, 59 4, 59 5, 59 29, 60 0, 60 4, 60 5, 60 29, 61 0, 61 1, 61 2, 61 5,
            61 29, 62 0, 62 1, 62 2, 62 5, 62 6, 62 7, 62 29, 63 0, 63 1, 63 2, 63 5, 63 6, 63 7, 63 29,
            63 30, 64 5, 64 6, 64 7, 64 29, 64 30
        }
    };
}

pub(super) use bits;

macro_rules! list {
    ($($word:literal $bit:literal),*) => { [$(($word, $bit)),*] };
}

/// The same as a list: `(word, bit)`.
pub(super) const BITS: [MessageBit; 154] = bits!(list);

/// Of each bit of [`BITS`] that of 64 blocks.
pub(super) type BitPlanes = [u64; BITS.len()];

/// Words of the expanded message that conditions look at: the first so many.
pub(super) const WORDS: usize = 65;

/// Whether two bits must be equal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Same,
    Differ,
}

use Relation::{Differ, Same};

/// Word and bit of an expanded message.
type MessageBit = (u8, u8);

/// Each condition: `(word, bit)` twice, and the vectors that need it: bit n stands for entry n of
/// [`super::attack::VECTORS`].
#[rustfmt::skip]
const CONDITIONS: [(MessageBit, MessageBit, Relation, u32); 156] = [
    ((44, 29), (45, 29), Same, 0x0283_a080),
    ((49, 29), (50, 29), Same, 0xc281_0008),
    ((48, 29), (49, 29), Same, 0x60a0_8004),
    ((47, 4), (50, 29), Same, 0x8201_2220),
    ((47, 29), (48, 29), Same, 0x3030_2002),
    ((46, 4), (49, 29), Same, 0x4080_8888),
    ((46, 29), (47, 29), Same, 0x1818_0801),
    ((45, 4), (48, 29), Same, 0x2020_2224),
    ((45, 29), (46, 29), Same, 0x0a0a_8200),
    ((44, 4), (47, 29), Same, 0x1010_088a),
    ((43, 4), (46, 29), Same, 0x0808_0225),
    ((43, 29), (44, 29), Same, 0x00a1_2820),
    ((42, 4), (45, 29), Same, 0x0202_808a),
    ((41, 4), (44, 29), Same, 0x0081_2025),
    ((40, 29), (41, 29), Same, 0x800a_00a2),
    ((54, 29), (55, 29), Same, 0xc088_2000),
    ((53, 29), (54, 29), Same, 0x6022_0800),
    ((52, 29), (53, 29), Same, 0x3011_0200),
    ((50, 4), (53, 29), Same, 0x2012_8800),
    ((50, 29), (51, 29), Same, 0x8a02_0020),
    ((49, 4), (52, 29), Same, 0x1009_2200),
    ((48, 4), (51, 29), Same, 0x0802_8880),
    ((42, 29), (43, 29), Same, 0x0030_0a08),
    ((41, 29), (42, 29), Same, 0x0018_0284),
    ((40, 4), (43, 29), Same, 0x8020_080a),
    ((39, 4), (42, 29), Same, 0x4010_0205),
    ((38, 4), (41, 29), Same, 0xa008_0082),
    ((37, 4), (40, 29), Same, 0x5002_0021),
    ((55, 29), (56, 29), Same, 0x8210_8000),
    ((52, 4), (55, 29), Same, 0x8090_8000),
    ((51, 4), (54, 29), Same, 0x4028_2000),
    ((51, 29), (52, 29), Same, 0x1808_0080),
    ((36, 4), (40, 29), Same, 0x0011_0208),
    ((53, 29), (56, 29), Differ, 0x0030_8000),
    ((51, 29), (54, 29), Differ, 0x000a_0800),
    ((50, 29), (52, 29), Differ, 0x0001_2200),
    ((49, 29), (51, 29), Differ, 0x0000_8880),
    ((48, 29), (50, 29), Differ, 0x0000_2220),
    ((47, 29), (49, 29), Differ, 0x0000_0888),
    ((46, 29), (48, 29), Differ, 0x0000_0224),
    ((45, 6), (47, 6), Same, 0x0000_4440),
    ((45, 29), (47, 29), Differ, 0x0000_008a),
    ((44, 6), (46, 6), Same, 0x0000_1110),
    ((44, 29), (46, 29), Differ, 0x0000_0025),
    ((41, 1), (42, 6), Differ, 0x0404_0100),
    ((40, 1), (41, 6), Differ, 0x0100_4040),
    ((40, 4), (42, 4), Differ, 0x8000_000a),
    ((39, 1), (40, 6), Differ, 0x0040_1010),
    ((39, 4), (41, 4), Differ, 0x4000_0005),
    ((38, 4), (40, 4), Differ, 0xa000_0002),
    ((37, 4), (39, 4), Differ, 0x5000_0001),
    ((36, 1), (37, 6), Differ, 0x0004_1040),
    ((35, 4), (39, 29), Same, 0x0008_0084),
    ((63, 0), (64, 5), Differ, 0x0010_0080),
    ((63, 1), (64, 6), Differ, 0x0001_0004),
    ((62, 0), (63, 5), Differ, 0x0008_0020),
    ((61, 0), (62, 5), Differ, 0x0002_0008),
    ((61, 2), (62, 7), Differ, 0x0004_0010),
    ((60, 0), (61, 5), Differ, 0x0001_0004),
    ((58, 29), (59, 29), Same, 0x2200_0000),
    ((57, 29), (58, 29), Same, 0x1080_0000),
    ((56, 4), (59, 29), Same, 0x2800_0000),
    ((56, 29), (59, 29), Differ, 0x0a00_0000),
    ((56, 29), (57, 29), Same, 0x0820_0000),
    ((55, 4), (58, 29), Same, 0x1200_0000),
    ((54, 4), (57, 29), Same, 0x0880_0000),
    ((53, 4), (56, 29), Same, 0x0220_0000),
    ((51, 1), (50, 6), Same, 0x0004_1000),
    ((48, 6), (50, 6), Same, 0x0004_1000),
    ((48, 29), (55, 29), Differ, 0x0000_a000),
    ((47, 6), (49, 6), Same, 0x0000_4400),
    ((48, 1), (47, 6), Same, 0x0400_0040),
    ((46, 6), (48, 6), Same, 0x0000_1100),
    ((47, 1), (46, 6), Same, 0x0100_0010),
    ((44, 1), (45, 6), Differ, 0x0040_4000),
    ((43, 6), (45, 6), Same, 0x0000_0440),
    ((42, 6), (44, 6), Same, 0x0000_0110),
    ((43, 1), (42, 6), Same, 0x0404_0000),
    ((42, 1), (41, 6), Same, 0x0100_4000),
    ((41, 1), (40, 6), Same, 0x0040_1000),
    ((39, 4), (43, 29), Same, 0x0200_8000),
    ((38, 4), (42, 29), Same, 0x0080_2000),
    ((37, 1), (38, 6), Differ, 0x0000_4100),
    ((37, 4), (41, 29), Same, 0x0020_0800),
    ((36, 4), (38, 4), Differ, 0x2800_0000),
    ((35, 1), (36, 6), Differ, 0x0000_0410),
    ((35, 3), (39, 28), Same, 0x0008_2000),
    ((61, 1), (62, 6), Differ, 0x0000_0001),
    ((59, 5), (63, 30), Same, 0x0000_0001),
    ((58, 0), (63, 30), Differ, 0x0000_0001),
    ((62, 1), (63, 6), Differ, 0x0000_0002),
    ((60, 5), (64, 30), Same, 0x0000_0002),
    ((59, 0), (64, 30), Differ, 0x0000_0002),
    ((40, 6), (42, 6), Same, 0x0000_0010),
    ((62, 2), (63, 7), Differ, 0x0000_0040),
    ((41, 6), (43, 6), Same, 0x0000_0040),
    ((63, 2), (64, 7), Differ, 0x0000_0100),
    ((48, 6), (49, 1), Same, 0x0000_0100),
    ((49, 6), (50, 1), Same, 0x0000_0400),
    ((42, 1), (50, 1), Differ, 0x0000_0400),
    ((39, 6), (40, 1), Same, 0x0000_0400),
    ((38, 1), (40, 1), Differ, 0x0000_0400),
    ((36, 4), (37, 4), Differ, 0x0000_0800),
    ((43, 1), (51, 1), Differ, 0x0000_1000),
    ((37, 4), (38, 4), Differ, 0x0000_2000),
    ((51, 6), (52, 1), Same, 0x0000_4000),
    ((49, 6), (51, 6), Same, 0x0000_4000),
    ((37, 1), (37, 6), Same, 0x0000_4000),
    ((35, 5), (39, 30), Same, 0x0000_4000),
    ((38, 4), (39, 4), Differ, 0x0000_8000),
    ((47, 1), (51, 1), Differ, 0x0004_0000),
    ((36, 3), (40, 28), Same, 0x0010_0000),
    ((35, 30), (40, 28), Differ, 0x0010_0000),
    ((37, 3), (41, 28), Same, 0x0020_0000),
    ((36, 30), (41, 28), Differ, 0x0020_0000),
    ((53, 6), (54, 1), Same, 0x0040_0000),
    ((51, 6), (53, 6), Same, 0x0040_0000),
    ((50, 1), (54, 1), Differ, 0x0040_0000),
    ((45, 6), (46, 1), Same, 0x0040_0000),
    ((37, 5), (41, 30), Same, 0x0040_0000),
    ((36, 0), (41, 30), Differ, 0x0040_0000),
    ((55, 29), (58, 29), Differ, 0x0080_0000),
    ((38, 3), (42, 28), Same, 0x0080_0000),
    ((37, 30), (42, 28), Differ, 0x0080_0000),
    ((54, 6), (55, 1), Same, 0x0100_0000),
    ((52, 6), (54, 6), Same, 0x0100_0000),
    ((51, 1), (55, 1), Differ, 0x0100_0000),
    ((45, 1), (47, 1), Differ, 0x0100_0000),
    ((38, 5), (42, 30), Same, 0x0100_0000),
    ((37, 0), (42, 30), Differ, 0x0100_0000),
    ((39, 3), (43, 28), Same, 0x0200_0000),
    ((38, 30), (43, 28), Differ, 0x0200_0000),
    ((55, 6), (56, 1), Same, 0x0400_0000),
    ((53, 6), (55, 6), Same, 0x0400_0000),
    ((52, 1), (56, 1), Differ, 0x0400_0000),
    ((46, 1), (48, 1), Differ, 0x0400_0000),
    ((39, 5), (43, 30), Same, 0x0400_0000),
    ((38, 0), (43, 30), Differ, 0x0400_0000),
    ((59, 29), (60, 29), Same, 0x0800_0000),
    ((40, 3), (44, 28), Same, 0x0800_0000),
    ((40, 4), (44, 29), Same, 0x0800_0000),
    ((39, 30), (44, 28), Differ, 0x0800_0000),
    ((58, 29), (61, 29), Differ, 0x1000_0000),
    ((57, 4), (61, 29), Same, 0x1000_0000),
    ((41, 3), (45, 28), Same, 0x1000_0000),
    ((41, 4), (45, 29), Same, 0x1000_0000),
    ((58, 4), (62, 29), Same, 0x2000_0000),
    ((42, 3), (46, 28), Same, 0x2000_0000),
    ((42, 4), (46, 29), Same, 0x2000_0000),
    ((59, 4), (63, 29), Same, 0x4000_0000),
    ((57, 4), (59, 29), Same, 0x4000_0000),
    ((43, 3), (47, 28), Same, 0x4000_0000),
    ((43, 4), (47, 29), Same, 0x4000_0000),
    ((60, 4), (64, 29), Same, 0x8000_0000),
    ((44, 3), (48, 28), Same, 0x8000_0000),
    ((44, 4), (48, 29), Same, 0x8000_0000),
];

/// Conditions of all vectors, counted for each.
const NEEDS: usize = {
    let (mut sum, mut at) = (0, 0);
    while at < CONDITIONS.len() {
        sum += CONDITIONS[at].3.count_ones() as usize;
        at += 1;
    }
    sum
};

/// The conditions by their places in [`BITS`].
static PLACES: [(u8, u8, Relation); CONDITIONS.len()] = {
    let mut places = [(0, 0, Same); CONDITIONS.len()];
    let mut at = 0;
    while at < places.len() {
        let (one, other, bits, _) = CONDITIONS[at];
        places[at] = (place(one), place(other), bits);
        at += 1;
    }
    places
};

/// The conditions that a vector needs, those of one vector after those of another; and for each vector where its end is.
static NEEDED: ([u8; NEEDS], [usize; 32]) = {
    let (mut needed, mut ends) = ([0; NEEDS], [0; 32]);
    let (mut vector, mut end) = (0, 0);
    while vector < 32 {
        let mut at = 0;
        while at < CONDITIONS.len() {
            if CONDITIONS[at].3 >> vector & 1 == 1 {
                needed[end] = at as u8;
                end += 1;
            }
            at += 1;
        }
        ends[vector] = end;
        vector += 1;
    }
    (needed, ends)
};

const fn place((word, bit): MessageBit) -> u8 {
    let mut at = 0;
    while BITS[at].0 != word || BITS[at].1 != bit {
        at += 1;
    }
    at as u8
}

/// For each vector the blocks that can belong to it, a bit for each.
pub(super) fn possible_blocks(planes: &BitPlanes) -> [u64; 32] {
    let mut hold = [0; CONDITIONS.len()];
    for (holds, (one, other, bits)) in hold.iter_mut().zip(&PLACES) {
        let differ = planes[usize::from(*one)] ^ planes[usize::from(*other)];
        *holds = if *bits == Differ { differ } else { !differ };
    }
    let (needed, ends) = &NEEDED;
    let mut start = 0;
    ends.map(|end| {
        let blocks = needed[start..end].iter().fold(u64::MAX, |blocks, at| blocks & hold[usize::from(*at)]);
        start = end;
        blocks
    })
}
