//! The difference of two pictures: on the whole, and in the worst block.

use std::fmt;

use reticulum::image::light::Light;

use crate::picture::{Flat, Picture};

/// Side of a block. A wrong tile, a shifted plane or a torn row fills at least one, however large the picture is.
const BLOCK: usize = 8;

/// Differences of samples, in values of 0–255.
#[derive(Clone, Copy, Default)]
pub(crate) struct Difference {
    /// The mean of all differences.
    pub(crate) mean: f64,
    /// The mean of the differences in the worst block.
    block: f64,
    /// The difference of the means of one channel in the worst block: what remains if sharpness does not count.
    tone: f64,
    /// The worst sample.
    most: u8,
    /// The left and top edge of the block that is worst by its mean.
    at: (usize, usize),
}

/// Most that a right picture differs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) mean: f64,
    pub(crate) block: f64,
    pub(crate) tone: f64,
}

impl Bound {
    /// The bound for a picture that was scaled in linear light. Where dark meets bright, small differences of light are
    /// large ones of dark values; and colour differences are scaled as they are stored.
    pub(crate) fn in_linear_light(&self) -> Self {
        Self { mean: self.mean + 2.0, block: self.block * 2.0 + 8.0, tone: self.tone * 2.0 + 8.0 }
    }

    pub(crate) fn holds(&self, difference: &Difference) -> bool {
        difference.mean <= self.mean && difference.block <= self.block && difference.tone <= self.tone
    }
}

/// The sums of one block.
#[derive(Clone, Copy, Default)]
struct BlockSums {
    samples: u32,
    apart: u32,
    signed: [i32; 3],
}

impl BlockSums {
    fn add(&mut self, ours: [u8; 3], theirs: [u8; 3]) {
        self.samples += 3;
        for ((one, other), signed) in ours.into_iter().zip(theirs).zip(&mut self.signed) {
            self.apart += u32::from(one.abs_diff(other));
            *signed += i32::from(one) - i32::from(other);
        }
    }

    fn mean(&self) -> f64 {
        f64::from(self.apart) / f64::from(self.samples)
    }

    fn tone(&self) -> f64 {
        let most = self.signed.iter().map(|sum| sum.unsigned_abs()).max().unwrap_or_default();
        f64::from(3 * most) / f64::from(self.samples)
    }
}

impl Difference {
    /// Compares two pictures as they show on black and on white. If they differ in size, theirs is scaled to ours, by
    /// means of these values.
    pub(crate) fn between(ours: &Picture, theirs: &Picture, light: Light) -> Self {
        let backgrounds: &[u8] = if ours.is_opaque() && theirs.is_opaque() { &[0] } else { &[0, 255] };
        let differences = backgrounds.iter().map(|gray| {
            let (ours, theirs) = (ours.over(*gray), theirs.over(*gray));
            if (ours.width, ours.height) == (theirs.width, theirs.height) {
                Self::of(&ours, &theirs)
            } else {
                Self::of(&ours, &theirs.scaled(ours.width, ours.height, light))
            }
        });
        differences.reduce(Self::worse).unwrap_or_default()
    }

    fn worse(self, other: Self) -> Self {
        let worst = if other.block > self.block { other } else { self };
        Self {
            mean: self.mean.max(other.mean),
            tone: self.tone.max(other.tone),
            most: self.most.max(other.most),
            ..worst
        }
    }

    fn of(ours: &Flat, theirs: &Flat) -> Self {
        let (width, height) = (ours.width, ours.height);
        let mut difference = Self::default();
        let mut total = 0;
        let bands = ours.colors.chunks(width * BLOCK).zip(theirs.colors.chunks(width * BLOCK));
        for (band, (ours, theirs)) in bands.enumerate() {
            let mut blocks = vec![BlockSums::default(); width.div_ceil(BLOCK)];
            for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                if ours != theirs {
                    let apart = ours.iter().zip(theirs).map(|(one, other)| one.abs_diff(*other)).max();
                    difference.most = difference.most.max(apart.unwrap_or_default());
                }
                blocks[at % width / BLOCK].add(*ours, *theirs);
            }
            for (column, block) in blocks.iter().enumerate() {
                total += u64::from(block.apart);
                difference.tone = difference.tone.max(block.tone());
                if block.mean() > difference.block {
                    (difference.block, difference.at) = (block.mean(), (column * BLOCK, band * BLOCK));
                }
            }
        }
        difference.mean = total as f64 / (3 * width * height) as f64;
        difference
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, block, tone, most, at: (x, y) } = self;
        write!(
            f,
            "mean {mean:.3}, worst block {block:.2} at {x},{y}, its tone {tone:.2}, worst sample {most}"
        )
    }
}

/// The correlation of the brightness of blocks, for two pictures that show the same in different tones: 1 if one tone
/// always means the same other tone.
pub(crate) fn correlation(ours: &Picture, theirs: &Picture) -> f64 {
    let (width, height) = (ours.width.div_ceil(BLOCK), ours.height.div_ceil(BLOCK));
    let blocks = |picture: &Picture| {
        let small = picture.over(0).scaled(width, height, Light::Encoded);
        small.colors.into_iter().map(|color| color.iter().map(|value| f64::from(*value)).sum()).collect()
    };
    let (ours, theirs): (Vec<f64>, Vec<f64>) = (blocks(ours), blocks(theirs));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (our_mean, their_mean) = (mean(&ours), mean(&theirs));
    let pairs = || ours.iter().zip(&theirs).map(|(one, other)| (one - our_mean, other - their_mean));
    let sum = |product: fn((f64, f64)) -> f64| pairs().map(product).sum::<f64>();
    sum(|(one, other)| one * other) / (sum(|(one, _)| one * one) * sum(|(_, other)| other * other)).sqrt()
}
