//! Whether a block is one of a pair that collides: its sibling is hashed, too.
//!
//! A disturbance vector fixes by which bits the sibling's expanded message differs, and that both have the same working
//! state in the middle. From there the sibling is run to both ends: what it must have begun with, and where it arrives.

use std::ops::Range;

use VectorKind::{I, II};

/// The two kinds of disturbance vectors.
#[derive(Clone, Copy)]
pub(super) enum VectorKind {
    I,
    II,
}

/// The disturbance vectors of all attacks that are feasible as far as is known: kind, first step, bit (Manuel 2008).
#[rustfmt::skip]
pub(super) const VECTORS: [(VectorKind, usize, u32); 32] = [
    (I, 43, 0), (I, 44, 0), (I, 45, 0), (I, 46, 0), (I, 46, 2), (I, 47, 0), (I, 47, 2), (I, 48, 0),
    (I, 48, 2), (I, 49, 0), (I, 49, 2), (I, 50, 0), (I, 50, 2), (I, 51, 0), (I, 51, 2), (I, 52, 0),
    (II, 45, 0), (II, 46, 0), (II, 46, 2), (II, 47, 0), (II, 48, 0), (II, 49, 0), (II, 49, 2), (II, 50, 0),
    (II, 50, 2), (II, 51, 0), (II, 51, 2), (II, 52, 0), (II, 53, 0), (II, 54, 0), (II, 55, 0), (II, 56, 0),
];

/// The constants that the steps of each quarter add.
const CONSTANTS: [u32; 4] = [0x5A82_7999, 0x6ED9_EBA1, 0x8F1B_BCDC, 0xCA62_C1D6];

/// By which bits the siblings' expanded messages differ, for each of [`VECTORS`].
pub(super) static DIFFERENCES: [[u32; 80]; 32] = {
    let mut all = [[0; 80]; 32];
    let mut at = 0;
    while at < all.len() {
        all[at] = difference(VECTORS[at]);
        at += 1;
    }
    all
};

/// Whether the sibling of this block by a vector (a place in [`VECTORS`]) leads to the same state `after` it.
pub(super) fn collides(before: [u32; 5], after: [u32; 5], words: &[u32; 80], vector: usize) -> bool {
    let (middle, difference) = (middle(VECTORS[vector]), &DIFFERENCES[vector]);
    let sibling = |step: usize| words[step] ^ difference[step];
    // The result of the last step: the state after the block is the sum of it and the state before.
    let last = std::array::from_fn(|at| after[at].wrapping_sub(before[at]));
    let state = undo(last, middle..80, |step| words[step]);
    let begun = undo(state, 0..middle, sibling);
    let ended = run(state, middle..80, sibling);
    (0..5).all(|at| begun[at].wrapping_add(ended[at]) == after[at])
}

/// A step before which the siblings' states are equal, for vectors of this one's first step.
fn middle((_, first, _): (VectorKind, usize, u32)) -> usize {
    if first < 50 { 58 } else { 65 }
}

/// The difference of a message is the sum of the local collisions that its vector begins: a disturbance at one step, and
/// its corrections at the next five.
const fn difference((kind, first, bit): (VectorKind, usize, u32)) -> [u32; 80] {
    // The five steps before the first may begin local collisions, too.
    const BEFORE: usize = 5;
    let mut vector = [0_u32; BEFORE + 80];
    vector[BEFORE + first + 15] = 1 << bit;
    if let II = kind {
        let other = 1_u32.rotate_left(31 + bit);
        vector[BEFORE + first + 1] = other;
        vector[BEFORE + first + 3] = other;
    }
    // A vector is an expanded message itself, known by 16 words in a row.
    let mut at = BEFORE + first + 16;
    while at < vector.len() {
        vector[at] = (vector[at - 3] ^ vector[at - 8] ^ vector[at - 14] ^ vector[at - 16]).rotate_left(1);
        at += 1;
    }
    let mut at = BEFORE + first;
    while at > 0 {
        at -= 1;
        vector[at] = vector[at + 16].rotate_right(1) ^ vector[at + 13] ^ vector[at + 8] ^ vector[at + 2];
    }
    let mut words = [0; 80];
    let mut at = 0;
    while at < words.len() {
        let here = BEFORE + at;
        words[at] = vector[here]
            ^ vector[here - 1].rotate_left(5)
            ^ vector[here - 2]
            ^ (vector[here - 3] ^ vector[here - 4] ^ vector[here - 5]).rotate_left(30);
        at += 1;
    }
    words
}

/// Some steps of SHA-1.
fn run(mut state: [u32; 5], steps: Range<usize>, word: impl Fn(usize) -> u32) -> [u32; 5] {
    // A loop for each quarter: which function a step has is then known to the compiler.
    macro_rules! quarter {
        ($quarter:literal) => {
            for step in part::<$quarter>(&steps) {
                let [a, b, c, d, e] = state;
                // In each step what the one before gave comes last: it is what the processor waits for.
                let sum = e.wrapping_add(word(step)).wrapping_add(CONSTANTS[$quarter]);
                let sum = sum.wrapping_add(mixed::<$quarter>(b, c, d)).wrapping_add(a.rotate_left(5));
                state = [sum, a, b.rotate_left(30), c, d];
            }
        };
    }
    quarter!(0);
    quarter!(1);
    quarter!(2);
    quarter!(3);
    state
}

/// The state before these steps.
fn undo(mut state: [u32; 5], steps: Range<usize>, word: impl Fn(usize) -> u32) -> [u32; 5] {
    macro_rules! quarter {
        ($quarter:literal) => {
            for step in part::<$quarter>(&steps).rev() {
                let [sum, a, b, c, d] = state;
                let b = b.rotate_right(30);
                let rest = sum.wrapping_sub(word(step)).wrapping_sub(CONSTANTS[$quarter]);
                let rest = rest.wrapping_sub(a.rotate_left(5));
                state = [a, b, c, d, rest.wrapping_sub(mixed::<$quarter>(b, c, d))];
            }
        };
    }
    quarter!(3);
    quarter!(2);
    quarter!(1);
    quarter!(0);
    state
}

/// Those of the steps that lie in a quarter of all 80.
fn part<const QUARTER: usize>(steps: &Range<usize>) -> Range<usize> {
    steps.start.max(QUARTER * 20)..steps.end.min(QUARTER * 20 + 20)
}

/// A step's function of three words.
fn mixed<const QUARTER: usize>(b: u32, c: u32, d: u32) -> u32 {
    match QUARTER {
        0 => b & c | !b & d,
        2 => b & c | d & (b | c),
        _ => b ^ c ^ d,
    }
}
