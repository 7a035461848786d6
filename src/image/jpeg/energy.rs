//! The energy of coefficients that become no samples, and what it does to the light of a block.
//!
//! A sample of a scaled decode is the mean of stored values. The mean of their light is higher, by as much as the
//! values spread around it. Their spread is known without decoding them: by Parseval's theorem the squares of a block's
//! other coefficients add up to 64 times its variance. The mean light of values is taken from two that have their mean
//! and variance, which is closed-form, never leaves black to white, and is within a level of the truth even for text.
//!
//! The corrected sample is the stored value of the mean light, so planes stay bytes. Only their meaning changes.

use std::sync::LazyLock;

use super::Scale;
use crate::image::light;

/// A step or a coefficient above this makes more energy than any block can have. Sums of this many cannot overflow.
const FACTOR_MAX: u64 = 1 << 20;

/// Energies count in halves.
const UNIT: u64 = 2;

/// Weights of the coefficients in zigzag order, and beyond the end of a block: the squares of their steps, or 0 for one
/// that becomes samples.
pub(super) type Weights = [u32; WEIGHTS];
pub(super) const WEIGHTS: usize = 128;

/// The weights of a component at this scale, with its steps in zigzag order.
pub(super) fn weights(scale: Scale, steps: &[i16; 64]) -> Weights {
    let weight = |at: usize| {
        let at = at.min(63);
        let is_kept = usize::from(scale.order()[at]) < scale.coefficients();
        let step = u64::from(steps[at].unsigned_abs());
        if is_kept { 0 } else { (step * step).min(FACTOR_MAX) as u32 }
    };
    std::array::from_fn(weight)
}

/// The energy of a block's coefficients.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Energy(u64);

impl Energy {
    /// Adds a coefficient of this value.
    #[inline(always)]
    pub(super) const fn add(&mut self, value: i32, weight: u32) {
        let square = value as i64 * value as i64;
        let square = if square < FACTOR_MAX as i64 { square as u64 } else { FACTOR_MAX };
        self.0 += UNIT * square * weight as u64;
    }

    /// Adds a coefficient whose `low` lower bits are not known.
    #[inline(always)]
    pub(super) const fn add_upper(&mut self, value: i32, low: u32, weight: u32) {
        // The mean of its values is two fifths of the lowest known bit above the least.
        let fifths = (5 * value.unsigned_abs() as u64 + if low > 0 { 2 } else { 0 }) << low;
        let square = fifths * fifths / 25;
        let square = if square < FACTOR_MAX { square } else { FACTOR_MAX };
        self.0 += UNIT * square * weight as u64;
    }

    /// Adds some coefficients, of which only the class of their squares' sum is known.
    #[inline(always)]
    pub(super) const fn add_class(&mut self, class: u8, weight: u32) {
        self.0 += SUMS[class as usize] * weight as u64;
    }

    /// Adds another energy of the same block.
    #[inline(always)]
    pub(super) const fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// In four bytes, for a store of many: the energy of a damaged block may be cut off.
    pub(super) const fn stored(self) -> u32 {
        if self.0 < u32::MAX as u64 { self.0 as u32 } else { u32::MAX }
    }

    /// The energy that was stored.
    pub(super) const fn of_stored(stored: u32) -> Self {
        Self(stored as u64)
    }

    /// Its row of a [`LightTable`].
    #[inline(always)]
    const fn row(self) -> usize {
        let energy = self.0 / UNIT;
        if energy < ENERGY_MIN {
            return 0;
        }
        let (exponent, quarter) = parts(energy);
        let row = (exponent - ENERGY_MIN.ilog2()) * 4 + quarter + 1;
        if row < ROWS as u32 { row as usize } else { ROWS - 1 }
    }
}

/// The exponent of a number above 3, and the quarter of the range up to the next one.
#[inline(always)]
const fn parts(number: u64) -> (u32, u32) {
    let exponent = number.ilog2();
    (exponent, (number >> (exponent - 2)) as u32 & 3)
}

/// Classes of sums of squares: 0–7 exactly, then four for each power of two.
const CLASSES: usize = 96;

/// The class of a sum of squares.
pub(super) const fn class(sum: u32) -> u8 {
    if sum < 8 {
        return sum as u8;
    }
    let (exponent, quarter) = parts(sum as u64);
    let class = 8 + (exponent - 3) * 4 + quarter;
    if class < CLASSES as u32 { class as u8 } else { CLASSES as u8 - 1 }
}

/// The energy of each class at a weight of 1: the middle of its sums.
static SUMS: [u64; 256] = {
    let mut sums = [0; 256];
    let mut class = 0;
    while class < CLASSES {
        sums[class] = if class < 8 {
            UNIT * class as u64
        } else {
            let (exponent, quarter) = ((class - 8) / 4 + 3, (class - 8) % 4);
            let first = (4 + quarter as u64) << (exponent - 2);
            let last = first + (1 << (exponent - 2)) - 1;
            (first + last) * UNIT / 2
        };
        class += 1;
    }
    sums
};

/// Energy below this changes no sample.
const ENERGY_MIN: u64 = 32;

/// Rows of a [`LightTable`]: one for no energy, then four for each power of two, up to that of the most that a block
/// can have.
const ROWS: usize = 64;

/// For each row of energies, the corrected sample of each sample.
type LightTable = [[u8; 256]; ROWS];

static LIGHT: LazyLock<Box<LightTable>> = LazyLock::new(light_table);

/// The corrected samples by energy.
#[derive(Clone, Copy)]
pub(super) struct Correction(&'static LightTable);

impl Correction {
    pub(super) fn new() -> Self {
        Self(&LIGHT)
    }

    /// The stored value of the mean light of pixels around this sample.
    #[inline(always)]
    pub(super) const fn sample(self, sample: u8, energy: Energy) -> u8 {
        self.0[energy.row()][sample as usize]
    }

    /// Corrects the samples of a block.
    #[inline(always)]
    pub(super) fn block(self, samples: &mut [u8], stride: usize, side: usize, energy: Energy) {
        let row = &self.0[energy.row()];
        for y in 0..side {
            for sample in &mut samples[y * stride..y * stride + side] {
                *sample = row[usize::from(*sample)];
            }
        }
    }
}

fn light_table() -> Box<LightTable> {
    // The curve at 1,024 places: what lies between two is within a hundredth of a level on the line between them.
    const PLACES: usize = 1024;
    let places: Vec<f64> = (0..=PLACES).map(|at| light::of_encoded(at as f64 / PLACES as f64)).collect();
    let linear = |stored: f64| {
        let place = stored * PLACES as f64;
        let at = (place as usize).min(PLACES - 1);
        places[at] + (places[at + 1] - places[at]) * (place - at as f64)
    };
    let borders: Vec<f64> = (0..255).map(|at| light::of_encoded((f64::from(at) + 0.5) / 255.0)).collect();
    let mut table = Box::new([[0; 256]; ROWS]);
    for (row, samples) in table.iter_mut().enumerate() {
        let variance = row_energy(row) / 64.0 / (255.0 * 255.0);
        let mut most = 0;
        for (sample, corrected) in samples.iter_mut().enumerate() {
            let light = mean_light(sample as f64 / 255.0, variance, &linear);
            // Near black a brighter mean of the same variance can have less light, by less than two levels.
            most = most.max(borders.partition_point(|border| *border <= light) as u8);
            *corrected = most;
        }
    }
    table
}

/// The middle of a row's energies.
fn row_energy(row: usize) -> f64 {
    let Some(step) = row.checked_sub(1) else { return 0.0 };
    let (octave, quarter) = (step / 4, (step % 4) as f64);
    (ENERGY_MIN << octave) as f64 * (1.0 + (quarter + 0.5) / 4.0)
}

/// The mean light of stored values with this mean and variance, if they are two in equal parts; where one of these
/// would lie beyond black or white, one of the two is black or white and their parts differ.
fn mean_light(mean: f64, variance: f64, linear: &impl Fn(f64) -> f64) -> f64 {
    let variance = variance.min(mean * (1.0 - mean));
    let spread = variance.sqrt();
    if mean - spread < 0.0 {
        let bright = (variance + mean * mean) / mean;
        return mean / bright * linear(bright);
    }
    if mean + spread > 1.0 {
        let rest = 1.0 - mean;
        let dark = (variance + rest * rest) / rest;
        let part = rest / dark;
        return (1.0 - part) + part * linear(1.0 - dark);
    }
    f64::midpoint(linear(mean - spread), linear(mean + spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy_of(variance: f64) -> Energy {
        Energy((variance * 64.0 * 2.0) as u64)
    }

    #[test]
    fn the_light_of_two_values_is_their_mean() {
        let correction = Correction::new();
        for (dark, bright) in [(0, 255), (0, 40), (10, 90), (60, 200), (100, 110), (200, 255)] {
            let (mean, spread) =
                (f64::midpoint(f64::from(dark), f64::from(bright)), f64::from(bright - dark) / 2.0);
            let light = [dark, bright].map(|value| light::of_encoded(f64::from(value) / 255.0));
            let expected = f64::midpoint(light[0], light[1]);
            let sample = correction.sample(mean.round() as u8, energy_of(spread * spread));
            let nearest = (0..=255_u8).min_by(|a, b| {
                let off = |value: &u8| (light::of_encoded(f64::from(*value) / 255.0) - expected).abs();
                off(a).total_cmp(&off(b))
            });
            assert!(sample.abs_diff(nearest.unwrap()) <= 3, "{dark} {bright}: {sample} {nearest:?}");
        }
        assert!((184..=190).contains(&correction.sample(127, energy_of(127.5 * 127.5))));
    }

    #[test]
    fn samples_rise_with_energy_and_with_samples_and_black_and_white_stay() {
        let table = &*LIGHT;
        assert!(table[0].iter().zip(0..=255_u8).all(|(corrected, sample)| *corrected == sample), "no energy");
        for row in table.iter() {
            assert!(row.is_sorted());
            assert_eq!((row[0], row[255]), (0, 255));
        }
        for (less, more) in table.iter().zip(&table[1..]) {
            assert!(less.iter().zip(more).all(|(less, more)| less <= more));
        }
    }

    #[test]
    fn rows_hold_the_energies_around_their_middle() {
        for row in 0..ROWS {
            assert_eq!(Energy(row_energy(row) as u64 * UNIT).row(), row);
        }
        let rows: Vec<usize> = (0..4_000_000).step_by(7).map(|energy| Energy(energy).row()).collect();
        assert!(rows.is_sorted() && rows.last() == Some(&(ROWS - 1)));
        assert_eq!(Energy(u64::MAX).row(), ROWS - 1);
    }

    #[test]
    fn the_sum_of_a_class_is_within_an_eighth_of_every_sum_in_it() {
        for sum in (0..100_000).chain((100_000..FACTOR_MAX as u32).step_by(997)) {
            let middle = SUMS[usize::from(class(sum))] as f64 / UNIT as f64;
            assert!((middle - f64::from(sum)).abs() <= f64::from(sum) / 8.0, "{sum}: {middle}");
        }
        assert!((0..8).all(|sum| SUMS[usize::from(class(sum))] == u64::from(sum) * UNIT));
        assert_eq!(usize::from(class(u32::MAX)), CLASSES - 1);
    }

    #[test]
    fn the_largest_coefficients_and_steps_overflow_nothing() {
        let weights = weights(Scale::Eighth, &[i16::MIN; 64]);
        let mut energy = Energy::default();
        for weight in weights {
            energy.add(i32::from(i16::MIN), weight);
            energy.add_class(CLASSES as u8 - 1, weight);
        }
        assert_eq!(energy.plus(energy).row(), ROWS - 1);
        assert_eq!(Energy::of_stored(energy.stored()).row(), ROWS - 1);
    }

    #[test]
    fn coefficients_that_become_samples_weigh_nothing() {
        let steps: [i16; 64] = std::array::from_fn(|at| at as i16 + 1);
        let weighty = |scale| weights(scale, &steps)[..64].iter().filter(|weight| **weight > 0).count();
        let scales = [Scale::Eighth, Scale::Quarter, Scale::Half, Scale::Whole];
        assert_eq!(scales.map(weighty), [63, 60, 48, 0]);
        assert_eq!(weights(Scale::Quarter, &steps)[3], 16, "the third of the first row");
    }
}
