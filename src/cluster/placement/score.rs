//! Integer logarithms and the score by which nodes compete for a slot.
//!
//! A node draws a number u in (0, 1] for each slot, from a hash of both. With −log(u)/rate as its time of
//! arrival, the first to arrive is chosen in proportion to the rates, and a node that joins or leaves changes
//! nobody else's time. Floating point would do, but its logarithm differs between libraries, and nodes that
//! place differently lose images; so the logarithm is made of integers.

use super::super::random::mix;

/// Logarithms have this many bits behind the point.
pub(super) const FRACTION_BITS: u32 = 32;

/// A node's number of slots' hashes never meets another node's.
const SLOT_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

const TABLE_BITS: u32 = 10;

/// log2(1 + i/1024) for i = 0..=1024. Straight lines between them are off by at most 1/8 · 2^-20 / ln 2, or
/// 1.8e-7. Rates are chosen so that the last owner arrives near time 1, so a share's error stays below 1.8e-7
/// divided by the smallest rate that matters: 2e-4 of its share for a node with a thousandth of the data.
static LOG_TABLE: [u64; (1 << TABLE_BITS) + 1] = log_table();

/// −log2((hash + 1) / 2^64), with 32 bits behind the point: 0 to 2^38. Never rises with the hash.
pub(super) fn negative_log2(hash: u64) -> u64 {
    // hash + 1 would overflow for the largest; it counts as 1 all the same.
    let Some(number) = hash.checked_add(1) else { return 0 };
    let exponent = 63 - number.leading_zeros();
    // The bits behind the leading one, at the top of a word.
    let mantissa = if exponent == 0 { 0 } else { number << (64 - exponent) };
    let index =
        usize::try_from(mantissa >> (64 - TABLE_BITS)).expect("invariant: placement: an index has ten bits");
    // 22 bits of what is left keep the product in a word.
    let rest = (mantissa << TABLE_BITS) >> 42;
    let (low, high) = (LOG_TABLE[index], LOG_TABLE[index + 1]);
    let between = low + (((high - low) * rest) >> 22);
    (64 << FRACTION_BITS) - ((u64::from(exponent) << FRACTION_BITS) + between)
}

/// log2 of a number, with 32 bits behind the point; 0 for 0.
pub(super) fn log2(number: u64) -> u64 {
    (64 << FRACTION_BITS) - negative_log2(number.max(1) - 1)
}

/// The hash of a node and a slot; equal on every machine.
pub(super) fn draw(key: u64, slot: u32) -> u64 {
    mix(mix(key.wrapping_add(u64::from(slot).wrapping_mul(SLOT_STRIDE))) ^ key)
}

/// The time at which a node arrives, in units that are equal for all nodes; smaller is better.
pub(super) fn arrival(draw: u64, rate: u64) -> u64 {
    let log = negative_log2(draw);
    assert!(log < 1 << 39, "invariant: placement: a logarithm has at most 39 bits");
    // Below 2^63.
    (log << 24) / rate.max(1)
}

const fn log_table() -> [u64; (1 << TABLE_BITS) + 1] {
    let mut table = [0; (1 << TABLE_BITS) + 1];
    let mut at = 0;
    while at < table.len() {
        table[at] = log2_of(at as u64);
        at += 1;
    }
    table
}

/// log2(1 + at/1024), bit by bit: squaring doubles the logarithm, and a result of 2 or more shows the next bit.
const fn log2_of(at: u64) -> u64 {
    if at == 1 << TABLE_BITS {
        return 1 << FRACTION_BITS;
    }
    // 62 bits behind the point.
    let mut number = ((1 << TABLE_BITS) + at as u128) << (62 - TABLE_BITS);
    let mut result = 0;
    let mut bit = 0;
    while bit < FRACTION_BITS {
        number = (number * number) >> 62;
        result <<= 1;
        if number >= 2 << 62 {
            number >>= 1;
            result |= 1;
        }
        bit += 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_seven_digits() {
        for hash in [0, 1, 2, 1023, 1 << 40, u64::MAX / 3, u64::MAX / 2, u64::MAX - 1000, u64::MAX] {
            let exact = 64.0 - ((hash as f64) + 1.0).log2();
            let ours = negative_log2(hash) as f64 / (1_u64 << FRACTION_BITS) as f64;
            assert!((exact - ours).abs() < 2e-7, "{hash}: {exact} {ours}");
        }
    }

    #[test]
    fn logarithms_never_rise_with_the_hash() {
        let mut last = u64::MAX;
        for step in 0..100_000_u64 {
            let log = negative_log2(step * (u64::MAX / 100_000));
            assert!(log <= last);
            last = log;
        }
    }

    #[test]
    fn draws_are_the_same_on_every_machine() {
        assert_eq!([draw(0, 0), draw(1, 0), draw(1, 1)], GOLDEN);
    }

    const GOLDEN: [u64; 3] = [0, 12487746179268413727, 6669045184288502695];
}
