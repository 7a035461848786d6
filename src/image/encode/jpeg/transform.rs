//! 8 × 8 samples → quantised coefficients, in integers, with the same result on every machine.
//!
//! The transform is by Loeffler, Ligtenberg and Moschytz (ICASSP 1989). Its constants are in 8192ths, and its results
//! are eight times the standard's. It is written as loops over eight 16-bit numbers, which compilers turn into vector
//! instructions. Samples are 0–255, and no sum overflows: results of the first pass are within 4 × 1024, and no sum of
//! the second pass has more than eight terms.

/// Eight rows of eight.
pub(super) type Block = [i16; 64];

/// Reciprocals of the steps of one table, to divide by multiplication.
pub(super) struct Quantizer {
    half: [i16; 64],
    reciprocal: [u16; 64],
    scale: [u16; 64],
}

impl Quantizer {
    /// `steps` are 1–255, in the order of a block.
    pub(super) fn new(steps: &[u8; 64]) -> Self {
        let mut quantizer = Self { half: [0; 64], reciprocal: [0; 64], scale: [0; 64] };
        for (at, &step) in steps.iter().enumerate() {
            // The transform's results are eight times too large.
            let divisor = u32::from(step) * 8;
            // ⌊n × ⌈2^shift ÷ divisor⌉ ÷ 2^shift⌋ is ⌊n ÷ divisor⌋ as long as n × divisor ≤ 2^shift. Here n < 2^14: a
            // coefficient is at most 2^13, and half a divisor is below 2^10. All factors fit in 16 bits.
            let shift = 14 + divisor.next_power_of_two().ilog2();
            quantizer.half[at] = (divisor / 2) as i16;
            quantizer.reciprocal[at] = (1_u32 << shift).div_ceil(divisor) as u16;
            quantizer.scale[at] = 1 << (32 - shift);
        }
        quantizer
    }

    /// Divides each coefficient by its step and rounds to the nearest, halves away from zero.
    fn apply(&self, block: &mut Block) {
        let high = |left: u16, right: u16| ((u32::from(left) * u32::from(right)) >> 16) as u16;
        let factors = self.half.iter().zip(&self.reciprocal).zip(&self.scale);
        for (value, ((&half, &reciprocal), &scale)) in block.iter_mut().zip(factors) {
            let sign = *value >> 15;
            let size = ((*value ^ sign) - sign + half) as u16;
            let size = high(high(size, reciprocal), scale) as i16;
            *value = (size ^ sign) - sign;
        }
    }
}

/// Transforms and quantises eight rows of samples that begin at the start of `samples`, `stride` apart. Rows of the
/// result are horizontal frequencies.
pub(super) fn coefficients(samples: &[u8], stride: usize, quantizer: &Quantizer) -> Block {
    let mut bytes = [0; 64];
    for (row, samples) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(samples.chunks(stride)) {
        *row = *samples.first_chunk().expect("a strip is whole blocks wide");
    }
    let mut block = bytes.map(|sample| i16::from(sample) - 128);
    pass::<true>(&mut block);
    let mut other = [0; 64];
    interleave(&block, &mut other);
    interleave(&other, &mut block);
    interleave(&block, &mut other);
    pass::<false>(&mut other);
    quantizer.apply(&mut other);
    other
}

/// Interleaves the numbers of the upper four rows with those of the lower four. Three times that is a transposition:
/// each time the highest bit of a number's place moves to the end.
///
/// Not inlined: the compiler would recognise three of them as a transposition and emit code that takes twice as long.
#[inline(never)]
fn interleave(from: &Block, to: &mut Block) {
    for at in 0..32 {
        (to[2 * at], to[2 * at + 1]) = (from[at], from[at + 32]);
    }
}

/// One-dimensional transforms of all eight columns. The first pass leaves its results four times too large, which the
/// second pass corrects.
#[inline(always)]
fn pass<const FIRST: bool>(rows: &mut Block) {
    let times = |value: i16, factor: i16| i32::from(value) * i32::from(factor);
    let narrow = |value: i32| {
        let shift = if FIRST { 13 - 2 } else { 13 + 2 };
        ((value + (1 << (shift - 1))) >> shift) as i16
    };
    // In the second pass such a sum comes within two of the limit of 16 bits.
    let whole = |value: i16| if FIRST { value << 2 } else { ((i32::from(value) + 2) >> 2) as i16 };
    for at in 0..8 {
        let (sum_0, difference_0) = butterfly(rows[at], rows[56 + at]);
        let (sum_1, difference_1) = butterfly(rows[8 + at], rows[48 + at]);
        let (sum_2, difference_2) = butterfly(rows[16 + at], rows[40 + at]);
        let (sum_3, difference_3) = butterfly(rows[24 + at], rows[32 + at]);

        let (even_0, even_3) = butterfly(sum_0, sum_3);
        let (even_1, even_2) = butterfly(sum_1, sum_2);
        rows[at] = whole(even_0 + even_1);
        rows[32 + at] = whole(even_0 - even_1);
        let turned = times(even_2 + even_3, 4433);
        rows[16 + at] = narrow(turned + times(even_3, 6270));
        rows[48 + at] = narrow(turned + times(even_2, -15137));

        let (outer, inner) = (difference_3 + difference_1, difference_2 + difference_0);
        let both = times(outer + inner, 9633);
        let (outer, inner) = (both + times(outer, -16069), both + times(inner, -3196));
        let ends = times(difference_3 + difference_0, -7373);
        let middles = times(difference_2 + difference_1, -20995);
        rows[8 + at] = narrow(times(difference_0, 12299) + ends + inner);
        rows[24 + at] = narrow(times(difference_1, 25172) + middles + outer);
        rows[40 + at] = narrow(times(difference_2, 16819) + middles + inner);
        rows[56 + at] = narrow(times(difference_3, 2446) + ends + outer);
    }
}

/// Sum and difference.
#[inline(always)]
fn butterfly(left: i16, right: i16) -> (i16, i16) {
    (left + right, left - right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transform as T.81 A.3.3 defines it, for the frequency `across`, `down`.
    fn defined(samples: &[u8; 64], across: usize, down: usize) -> f64 {
        let turn = |at: usize, frequency: usize| {
            let angle = (2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0;
            angle.cos() * if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 }
        };
        let sum = |(at, &sample): (usize, &u8)| {
            (f64::from(sample) - 128.0) * turn(at % 8, across) * turn(at / 8, down)
        };
        samples.iter().enumerate().map(sum).sum::<f64>() / 4.0
    }

    /// Blocks with every kind of extreme, and noise.
    fn blocks() -> Vec<[u8; 64]> {
        let mut blocks = vec![[0; 64], [255; 64], [128; 64]];
        for across in 0..8 {
            for down in 0..8 {
                // The largest value that a coefficient can have, and the smallest.
                let signed = |at: usize, low: u8, high: u8| {
                    let mut one = [128; 64];
                    one[at] = 129;
                    if defined(&one, across, down) > 0.0 { high } else { low }
                };
                blocks.push(std::array::from_fn(|at| signed(at, 0, 255)));
                blocks.push(std::array::from_fn(|at| signed(at, 255, 0)));
            }
        }
        let mut state = 1_u32;
        for _ in 0..200 {
            blocks.push(std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }));
        }
        blocks
    }

    #[test]
    fn coefficients_are_those_of_the_definition() {
        let quantizer = Quantizer::new(&[1; 64]);
        for samples in blocks() {
            let block = coefficients(&samples, 8, &quantizer);
            for across in 0..8 {
                for down in 0..8 {
                    let (made, exact) = (block[across * 8 + down], defined(&samples, across, down));
                    assert!((f64::from(made) - exact).abs() < 0.75, "{made} for {exact} at {across},{down}");
                }
            }
        }
    }

    #[test]
    fn every_division_is_exact() {
        for step in 1..=255_u8 {
            let quantizer = Quantizer::new(&[step; 64]);
            let divisor = i32::from(step) * 8;
            for values in (-8192..=8191_i16).collect::<Vec<_>>().chunks(64) {
                let mut block: Block = values.try_into().unwrap();
                quantizer.apply(&mut block);
                for (&value, &made) in values.iter().zip(&block) {
                    let size = (i32::from(value).abs() + divisor / 2) / divisor;
                    assert_eq!(i32::from(made), size * i32::from(value.signum()), "{value} / {divisor}");
                }
            }
        }
    }
}
