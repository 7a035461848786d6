//! The inverse cosine transform: a block of coefficients → its samples, 8×8 or fewer.
//!
//! A transform of N points uses the N×N lowest frequencies. Its results are the samples of the block at a smaller size,
//! and their centres are at the right places. All arithmetic is in integers with 13 fraction bits, so the result is the
//! same everywhere; between the two passes values keep two bits of fraction.
//!
//! Coefficients saturate at 16 bits when they are multiplied by their steps, and so do values between the passes; valid
//! files stay far below. No sum can overflow: the factors of one output add up to less than 61,300, and times 2^15 that
//! is below 2^31 by more than any rounding.

use super::Scale;
use super::lanes::{Lanes, Wide};

/// √2 cos(kπ/16) × 2^13 for k = 1–7; it is 1 × 2^13 for k = 4.
const C1: i16 = 11_363;
const C2: i16 = 10_703;
const C3: i16 = 9_633;
const C5: i16 = 6_437;
const C6: i16 = 4_433;
const C7: i16 = 2_260;
const ONE: i16 = 1 << 13;

/// The first pass leaves two bits of fraction.
const FIRST_SHIFT: i32 = 13 - 2;
/// The second pass removes them, and the factor of 8 in the definition of the transform.
const SECOND_SHIFT: i32 = 13 + 2 + 3;

/// For each scale, the index at which the coefficient of each zigzag place is kept: by columns, because the first pass
/// runs along rows. Coefficients that the scale does not need, and those past the end of a block, share the index after
/// all others.
static ORDERS: [[u8; 256]; 4] =
    [order(Scale::Eighth), order(Scale::Quarter), order(Scale::Half), order(Scale::Whole)];

impl Scale {
    /// Coefficients of a block that the scale needs: the N×N lowest.
    pub(super) const fn coefficients(self) -> usize {
        (self.block_side() * self.block_side()) as usize
    }

    /// The last of them, in zigzag order.
    pub(super) const fn last_coefficient(self) -> u32 {
        match self {
            Self::Eighth => 0,
            Self::Quarter => 4,
            Self::Half => 24,
            Self::Whole => 63,
        }
    }

    /// The index at which the coefficient of each zigzag place is kept, for [`write_block`]. Unneeded coefficients, and
    /// those past the end of a block, share the index after all others.
    #[inline(always)]
    pub(super) const fn order(self) -> &'static [u8; 256] {
        &ORDERS[self as usize]
    }

    /// Converts steps from zigzag order to the order of the coefficients.
    pub(super) fn ordered_steps(self, steps: &[i16; 64]) -> [i16; 65] {
        let mut ordered = [0; 65];
        for (step, place) in steps.iter().zip(self.order()) {
            ordered[usize::from(*place)] = *step;
        }
        ordered
    }
}

const fn order(scale: Scale) -> [u8; 256] {
    let side = scale.block_side();
    let mut order = [(side * side) as u8; 256];
    let (mut column, mut row) = (0_u32, 0_u32);
    let mut at = 0;
    while at < 64 {
        if column < side && row < side {
            order[at] = (column * side + row) as u8;
        }
        // Even diagonals run up, odd ones down; they turn at the edges.
        let up = (column + row) % 2 == 0;
        match (up, column, row) {
            (true, 7, _) => row += 1,
            (true, _, 0) => column += 1,
            (true, _, _) => (column, row) = (column + 1, row - 1),
            (false, _, 7) => column += 1,
            (false, 0, _) => row += 1,
            (false, _, _) => (column, row) = (column - 1, row + 1),
        }
        at += 1;
    }
    order
}

/// Writes the samples of a block: `side` rows of `side` samples, `stride` apart. Coefficients and steps are in the
/// scale's order.
#[inline(always)]
pub(super) fn write_block(scale: Scale, block: &[i16], steps: &[i16], samples: &mut [u8], stride: usize) {
    match scale {
        Scale::Eighth => samples[0] = flat(block[0], steps[0]),
        Scale::Quarter => write(two(block, steps), samples, stride),
        Scale::Half => write(four(block, steps), samples, stride),
        Scale::Whole => write(eight(block, steps), samples, stride),
    }
}

/// Writes the samples of a block in which only the DC coefficient is not zero, with the same result as [`write_block`].
#[inline(always)]
pub(super) fn write_flat(scale: Scale, first: i16, step: i16, samples: &mut [u8], stride: usize) {
    let sample = flat(first, step);
    match scale {
        Scale::Eighth => samples[0] = sample,
        Scale::Quarter => write([[sample; 2]; 2], samples, stride),
        Scale::Half => write([[sample; 4]; 4], samples, stride),
        Scale::Whole => write([[sample; 8]; 8], samples, stride),
    }
}

#[inline(always)]
fn write<const N: usize>(rows: [[u8; N]; N], samples: &mut [u8], stride: usize) {
    for (y, row) in rows.iter().enumerate() {
        samples[y * stride..y * stride + N].copy_from_slice(row);
    }
}

#[inline(always)]
pub(super) fn flat(coefficient: i16, step: i16) -> u8 {
    // A product beyond 16 bits is beyond every sample, saturated or not.
    sample(i32::from(coefficient) * i32::from(step), 3)
}

#[inline(always)]
fn dequantized(coefficient: i16, step: i16) -> i16 {
    (i32::from(coefficient) * i32::from(step)).clamp(-32_768, 32_767) as i16
}

/// Rounds like [`Wide::narrowed`], to a sample.
#[inline(always)]
fn sample(value: i32, shift: i32) -> u8 {
    (((value + (1 << (shift - 1))) >> shift) + 128).clamp(0, 255) as u8
}

/// Two points need no factors: √2 cos(π/4) is 1.
#[inline(always)]
fn two(block: &[i16], steps: &[i16]) -> [[u8; 2]; 2] {
    let at = |at: usize| i32::from(dequantized(block[at], steps[at]));
    let (a, b, c, d) = (at(0), at(1), at(2), at(3));
    // By columns: the second coefficient is in the second row of the first column.
    let (left, right) = ([a + c, b + d], [a - c, b - d]);
    [
        [sample(left[0] + left[1], 3), sample(right[0] + right[1], 3)],
        [sample(left[0] - left[1], 3), sample(right[0] - right[1], 3)],
    ]
}

#[inline(always)]
fn four(block: &[i16], steps: &[i16]) -> [[u8; 4]; 4] {
    let columns = dequantized_columns::<4>(block, steps);
    let rows = Lanes::<4>::transposed(four_points(columns).map(Wide::narrowed::<FIRST_SHIFT>));
    four_points(rows).map(|row| row.narrowed::<SECOND_SHIFT>().samples())
}

#[inline(always)]
fn eight(block: &[i16], steps: &[i16]) -> [[u8; 8]; 8] {
    let columns = dequantized_columns::<8>(block, steps);
    let rows = Lanes::<8>::transposed(eight_points(columns).map(Wide::narrowed::<FIRST_SHIFT>));
    eight_points(rows).map(|row| row.narrowed::<SECOND_SHIFT>().samples())
}

#[inline(always)]
fn dequantized_columns<const N: usize>(block: &[i16], steps: &[i16]) -> [Lanes<N>; N] {
    let (block, steps) = (block.as_chunks::<N>().0, steps.as_chunks::<N>().0);
    let mut columns = [Lanes::of([0; N]); N];
    for (column, (values, steps)) in columns.iter_mut().zip(block.iter().zip(steps)) {
        *column = Lanes::of(*values).times(Lanes::of(*steps));
    }
    columns
}

#[inline(always)]
fn four_points([x0, x1, x2, x3]: [Lanes<4>; 4]) -> [Wide<4>; 4] {
    let (even0, even1) = (x0.dot(ONE, x2, ONE), x0.dot(ONE, x2, -ONE));
    let (odd0, odd1) = (x1.dot(C2, x3, C6), x1.dot(C6, x3, -C2));
    [even0.plus(odd0), even1.plus(odd1), even1.minus(odd1), even0.minus(odd0)]
}

#[inline(always)]
fn eight_points([x0, x1, x2, x3, x4, x5, x6, x7]: [Lanes<8>; 8]) -> [Wide<8>; 8] {
    let (sum, difference) = (x0.dot(ONE, x4, ONE), x0.dot(ONE, x4, -ONE));
    let (outer, inner) = (x2.dot(C2, x6, C6), x2.dot(C6, x6, -C2));
    let even = [sum.plus(outer), difference.plus(inner), difference.minus(inner), sum.minus(outer)];
    let odd = [
        x1.dot(C1, x3, C3).plus(x5.dot(C5, x7, C7)),
        x1.dot(C3, x3, -C7).plus(x5.dot(-C1, x7, -C5)),
        x1.dot(C5, x3, -C1).plus(x5.dot(C7, x7, C3)),
        x1.dot(C7, x3, -C5).plus(x5.dot(C3, x7, -C1)),
    ];
    [
        even[0].plus(odd[0]),
        even[1].plus(odd[1]),
        even[2].plus(odd[2]),
        even[3].plus(odd[3]),
        even[3].minus(odd[3]),
        even[2].minus(odd[2]),
        even[1].minus(odd[1]),
        even[0].minus(odd[0]),
    ]
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{PI, SQRT_2};

    use super::*;

    const SCALES: [Scale; 4] = [Scale::Eighth, Scale::Quarter, Scale::Half, Scale::Whole];

    /// The definition in floating point, before rounding. `block` and `steps` are in zigzag order.
    fn exact(scale: Scale, block: &[i16; 64], steps: &[i16; 64]) -> Vec<f64> {
        let side = scale.block_side() as usize;
        let wave = |frequency: usize, at: usize| {
            let angle = (2 * at + 1) as f64 * frequency as f64 * PI / (2 * side) as f64;
            if frequency == 0 { 1.0 } else { SQRT_2 * angle.cos() }
        };
        let mut natural = [[0.0; 8]; 8];
        for (at, place) in Scale::Whole.order()[..64].iter().enumerate() {
            let (u, v) = (usize::from(place / 8), usize::from(place % 8));
            natural[v][u] = f64::from(block[at]) * f64::from(steps[at]);
        }
        let sample = |x: usize, y: usize| {
            let terms = (0..side * side).map(|at| (at % side, at / side));
            let sum: f64 = terms.map(|(u, v)| natural[v][u] * wave(u, x) * wave(v, y)).sum();
            (sum / 8.0 + 128.0).clamp(0.0, 255.0)
        };
        (0..side * side).map(|at| sample(at % side, at / side)).collect()
    }

    fn written(scale: Scale, block: &[i16; 64], steps: &[i16; 64]) -> Vec<u8> {
        let side = scale.block_side() as usize;
        let (mut ordered, stride) = ([0; 65], side + 3);
        for (value, place) in block.iter().zip(scale.order()) {
            ordered[usize::from(*place)] = *value;
        }
        let mut samples = vec![77; stride * side];
        write_block(scale, &ordered, &scale.ordered_steps(steps), &mut samples, stride);
        assert!(samples.chunks(stride).all(|row| row[side..] == [77; 3]), "wrote beyond the block");
        samples.chunks(stride).flat_map(|row| row[..side].to_vec()).collect()
    }

    fn numbers(seed: u64) -> impl FnMut(i64) -> i16 {
        let mut state = seed;
        move |most| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as i64 % (2 * most + 1) - most) as i16
        }
    }

    #[test]
    fn zigzag_is_that_of_the_standard() {
        // The first and last places of T.81's figure A.6, as column and row.
        let places: Vec<(u8, u8)> =
            Scale::Whole.order()[..64].iter().map(|place| (place / 8, place % 8)).collect();
        assert_eq!(
            places[..10],
            [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (2, 0), (3, 0), (2, 1), (1, 2), (0, 3)]
        );
        assert_eq!(places[60..], [(7, 5), (7, 6), (6, 7), (7, 7)]);
        for scale in SCALES {
            let order = scale.order();
            let mut kept: Vec<u8> =
                order.iter().copied().filter(|place| usize::from(*place) < scale.coefficients()).collect();
            kept.sort_unstable();
            assert_eq!(kept, (0..scale.coefficients() as u8).collect::<Vec<_>>());
            let last = order.iter().rposition(|place| usize::from(*place) < scale.coefficients()).unwrap();
            assert_eq!(last as u32, scale.last_coefficient());
        }
    }

    #[test]
    fn samples_are_within_one_of_the_exact_transform() {
        let mut number = numbers(1);
        for round in 0..4_000 {
            let count = 1 + round % 64;
            let mut block = [0; 64];
            block[..count].fill_with(|| number([1, 20, 300][round % 3]));
            let steps = std::array::from_fn(|_| 1 + number(3).abs());
            for scale in SCALES {
                let pairs = written(scale, &block, &steps).into_iter().zip(exact(scale, &block, &steps));
                for (sample, exact) in pairs {
                    assert!(
                        (f64::from(sample) - exact).abs() <= 0.75,
                        "{scale:?} {sample} {exact} {block:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_flat_block_is_written_as_any_other() {
        for first in (-3_000..3_000).step_by(7).chain([i16::MIN, i16::MAX]) {
            for step in [1, 3, 255, i16::MAX] {
                let (mut block, mut steps) = ([0; 64], [9; 64]);
                (block[0], steps[0]) = (first, step);
                for scale in SCALES {
                    let side = scale.block_side() as usize;
                    let mut samples = vec![0; side * side];
                    write_flat(scale, first, step, &mut samples, side);
                    assert_eq!(samples, written(scale, &block, &steps), "{scale:?} {first} {step}");
                }
            }
        }
    }

    #[test]
    fn no_coefficients_overflow() {
        let mut number = numbers(2);
        for _ in 0..2_000 {
            let block = std::array::from_fn(|_| {
                [i16::MIN, i16::MAX, number(32_767)][number(1).unsigned_abs() as usize * 2]
            });
            let signs = std::array::from_fn(|_| if number(1) > 0 { i16::MIN } else { i16::MAX });
            let steps = std::array::from_fn(|_| i16::MAX);
            for scale in SCALES {
                written(scale, &block, &steps);
                written(scale, &signs, &[1; 64]);
            }
        }
    }
}
