//! Huffman decoding with look-up tables that take many bits at a time.
//!
//! Codes longer than the table, and damaged ones, take a slower path. An undefined code counts as sixteen bits without
//! meaning: the picture goes on with a visible error, as in other decoders.

use super::bits::Bits;

/// A table as the file defines it.
#[derive(Clone)]
pub(super) struct Definition {
    /// Codes of each length, 1–16 bits.
    counts: [u8; 16],
    symbols: [u8; 256],
}

impl Definition {
    /// Parses the first definition in `bytes` (after its class and number); returns it and the rest. `None` if it is
    /// cut off or defines more codes than exist.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = bytes.split_first_chunk::<16>()?;
        let length: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let (listed, rest) = rest.split_at_checked(length)?;
        let used: u32 = (1_u32..).zip(counts).map(|(bits, &count)| u32::from(count) << (16 - bits)).sum();
        let mut symbols = [0; 256];
        symbols.get_mut(..length)?.copy_from_slice(listed);
        (used <= 1 << 16).then_some((Self { counts: *counts, symbols }, rest))
    }
}

/// Bits of a code and its extra bits that one look-up covers.
const FAST_BITS: u32 = 10;
/// Bits that one look-up of a skipper covers.
const SKIP_BITS: u32 = 13;

/// The end of a block as a run length: beyond every coefficient.
pub(super) const BLOCK_END: u32 = 64;

/// A coefficient of a block, or its end: the number of zeros before it, and its value.
#[derive(Clone, Copy)]
pub(super) struct RunLength {
    /// 0–15. For symbols of size 0 other than sixteen zeros: [`BLOCK_END`] plus the symbol's upper half.
    pub(super) run: u32,
    pub(super) value: i32,
}

/// The codes of a table, with their extra bits.
pub(super) struct Codes {
    /// Entries by the next bits: see [`FastEntry`].
    fast: Box<[u32; 1 << FAST_BITS]>,
    long: LongCodes,
}

/// Fields of a fast entry: bits to skip (8), run (7), whether more must be read (1), value or its size (16). 0 for a
/// code longer than the table covers.
struct FastEntry;

impl FastEntry {
    const RUN_AT: u32 = 8;
    const MORE: u32 = 1 << 15;

    const fn run(entry: u32) -> u32 {
        entry >> Self::RUN_AT & 0x7F
    }
}

impl Codes {
    pub(super) fn new(definition: &Definition) -> Self {
        let long = LongCodes::new(definition);
        let mut fast = vec![FastEntry::MORE; 1 << FAST_BITS];
        for (at, entry) in fast.iter_mut().enumerate() {
            let (length, symbol) = long.find((at as u32) << (16 - FAST_BITS));
            let size = u32::from(symbol & 15);
            if length > FAST_BITS {
                continue;
            }
            let run = run(symbol) << FastEntry::RUN_AT;
            let left = FAST_BITS - length;
            *entry = if size <= left {
                let bits = at as u32 >> (left - size) & ((1 << size) - 1);
                (length + size) | run | (extended(bits, size) as u32) << 16
            } else {
                length | run | FastEntry::MORE | size << 16
            };
        }
        let fast = fast.into_boxed_slice().try_into().expect("the table has that many entries");
        Self { fast, long }
    }

    /// Reads the next coefficient. Takes at most 31 bits, which must be loaded.
    #[inline(always)]
    pub(super) fn step(&self, bits: &mut Bits<'_>) -> RunLength {
        let entry = self.fast[bits.peek(FAST_BITS) as usize];
        if entry & FastEntry::MORE != 0 {
            return self.step_further(entry, bits);
        }
        bits.pass(entry & 0xFF);
        RunLength { run: FastEntry::run(entry), value: entry as i32 >> 16 }
    }

    /// The number of bits of the next coefficient and its run, by the next 16 bits.
    fn measure(&self, bits: u32) -> (u32, u32) {
        let entry = self.fast[(bits >> (16 - FAST_BITS)) as usize];
        match entry & 0xFF {
            0 => {
                let (length, symbol) = self.long.find(bits);
                (length + u32::from(symbol & 15), run(symbol))
            }
            length if entry & FastEntry::MORE != 0 => (length + (entry >> 16), FastEntry::run(entry)),
            length => (length, FastEntry::run(entry)),
        }
    }

    #[inline(never)]
    fn step_further(&self, entry: u32, bits: &mut Bits<'_>) -> RunLength {
        let (length, run, size) = match entry & 0xFF {
            0 => {
                let (length, symbol) = self.long.find(bits.peek(16));
                (length, run(symbol), u32::from(symbol & 15))
            }
            length => (length, FastEntry::run(entry), entry >> 16),
        };
        bits.pass(length);
        RunLength { run, value: extended(bits.take(size), size) }
    }
}

const fn run(symbol: u8) -> u32 {
    let upper = (symbol >> 4) as u32;
    if symbol & 15 == 0 && upper < 15 { BLOCK_END + upper } else { upper }
}

/// The value of `size` extra bits (T.81, F.2.2.1): the lower half of their range is negative.
#[inline(always)]
const fn extended(bits: u32, size: u32) -> i32 {
    let bits = bits as i32;
    if bits < (1 << size) >> 1 { bits - (1 << size) + 1 } else { bits }
}

/// All codes in ascending order, hence in the order of their lengths.
struct LongCodes {
    /// For each length, the first code, extended to 16 bits, that is longer.
    ends: [u32; 16],
    /// For each length, the offset from a code to the index of its symbol.
    offsets: [i32; 16],
    symbols: [u8; 256],
}

impl LongCodes {
    fn new(definition: &Definition) -> Self {
        let (mut ends, mut offsets) = ([0; 16], [0; 16]);
        let (mut code, mut index) = (0_u32, 0_u32);
        for (at, &count) in definition.counts.iter().enumerate() {
            code <<= 1;
            offsets[at] = index as i32 - code as i32;
            code += u32::from(count);
            index += u32::from(count);
            ends[at] = code << (15 - at);
        }
        Self { ends, offsets, symbols: definition.symbols }
    }

    /// The length and the symbol of the code at the start of these 16 bits.
    fn find(&self, bits: u32) -> (u32, u8) {
        match self.ends.iter().position(|end| bits < *end) {
            Some(at) => {
                let index = (bits >> (15 - at)) as i32 + self.offsets[at];
                (at as u32 + 1, self.symbols[index as usize & 255])
            }
            None => (16, 0),
        }
    }
}

/// Skips the rest of a block, several coefficients in one look-up.
pub(super) struct Skipper {
    /// Entries by the next bits: bits to skip (4), coefficients skipped (6), whether the block ends (1). 0 if not even
    /// one coefficient fits.
    table: Box<[u16; 1 << SKIP_BITS]>,
}

impl Skipper {
    pub(super) fn new(codes: &Codes) -> Self {
        let table: Vec<u16> = (0..1 << SKIP_BITS).map(|bits| skip(codes, bits)).collect();
        Self { table: table.into_boxed_slice().try_into().expect("the table has that many entries") }
    }

    /// Skips the coefficients of a block from `at` on. `codes` are the ones from which the skipper was made.
    #[inline(always)]
    pub(super) fn finish(&self, codes: &Codes, mut at: u32, bits: &mut Bits<'_>) {
        while at < 64 {
            bits.need(SKIP_BITS);
            let entry = u32::from(self.table[bits.peek(SKIP_BITS) as usize]);
            // Codes after the last coefficient belong to the next block.
            if entry == 0 || at + (entry >> 4 & 63) > 63 {
                bits.need(31);
                at += codes.step(bits).run + 1;
            } else {
                at += entry >> 4;
                bits.pass(entry & 15);
            }
        }
    }
}

/// The entry of a skipper for these bits.
fn skip(codes: &Codes, bits: u32) -> u16 {
    let (mut passed, mut coefficients) = (0, 0);
    while coefficients < BLOCK_END {
        let rest = bits << passed & ((1 << SKIP_BITS) - 1);
        let (length, run) = codes.measure(rest << (16 - SKIP_BITS));
        let after = if run >= BLOCK_END { BLOCK_END + coefficients } else { coefficients + run + 1 };
        // A block has at most 63 coefficients after its first.
        if passed + length > SKIP_BITS || (run < BLOCK_END && after > 63) {
            break;
        }
        (passed, coefficients) = (passed + length, after);
    }
    (passed | coefficients << 4) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of every length, with the last ones unused; among them the end of a block and sixteen zeros.
    fn definition() -> Definition {
        let mut bytes = vec![0, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9];
        bytes.extend([0x01, 0x00, 0x11, 0x02, 0x21, 0xF0, 0x31, 0x12, 0x03, 0x51, 0x61, 0x04, 0x13, 0x22]);
        bytes.extend([0x71, 0x05, 0x81, 0x0F, 0x1F, 0x2A, 0x50, 0xFF, 0x33, 0x44, 0x55]);
        Definition::parse(&bytes).unwrap().0
    }

    /// Pseudo-random bytes without stuffing.
    fn data(seed: u32) -> Vec<u8> {
        let mixed = |at: u32| ((at ^ seed << 16).wrapping_mul(2_654_435_761) ^ seed) >> 11;
        (0..600).map(|at| (mixed(at) as u8).min(0xFE)).collect()
    }

    /// Reads one coefficient by the definition, bit by bit.
    fn plain_step(definition: &Definition, bits: &mut Bits<'_>) -> (u32, i32) {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &definition.counts {
            code = code << 1 | bits.take(1);
            first <<= 1;
            let count = u32::from(count);
            if code < first + count {
                let symbol = definition.symbols[(index + code - first) as usize];
                let size = u32::from(symbol & 15);
                let value = bits.take(size) as i32;
                let is_negative = size > 0 && value >> (size - 1) == 0;
                return (run(symbol), if is_negative { value - (1 << size) + 1 } else { value });
            }
            (first, index) = (first + count, index + count);
        }
        (BLOCK_END, 0)
    }

    #[test]
    fn looked_up_steps_are_those_of_the_definition() {
        let definition = definition();
        let codes = Codes::new(&definition);
        for seed in 0..200 {
            let data = data(seed);
            let (mut fast, mut plain) = (Bits::of(&data), Bits::of(&data));
            for _ in 0..100 {
                fast.need(31);
                plain.need(31);
                let step = codes.step(&mut fast);
                assert_eq!((step.run, step.value), plain_step(&definition, &mut plain), "{seed}");
            }
            fast.refill();
            plain.refill();
            assert_eq!(fast.peek(32), plain.peek(32));
        }
    }

    #[test]
    fn skipping_ends_where_stepping_does() {
        let codes = Codes::new(&definition());
        let skipper = Skipper::new(&codes);
        for seed in 0..500 {
            let data = data(seed);
            let (mut skipped, mut stepped) = (Bits::of(&data), Bits::of(&data));
            for block in 0..20 {
                let start = [1, 2, 5, 25, 50, 60, 62, 63][(seed + block) as usize % 8];
                skipper.finish(&codes, start, &mut skipped);
                let mut at = start;
                while at < 64 {
                    stepped.need(31);
                    at += codes.step(&mut stepped).run + 1;
                }
                skipped.refill();
                stepped.refill();
                assert_eq!(skipped.peek(32), stepped.peek(32), "{seed} {block}");
            }
        }
    }

    #[test]
    fn more_codes_than_there_are_make_no_table() {
        let with = |counts: &[u8], symbols: usize| {
            let mut bytes = [counts, &vec![0; 16 - counts.len()]].concat();
            bytes.resize(16 + symbols, 7);
            Definition::parse(&bytes).map(|(_, rest)| rest.len())
        };
        assert_eq!(with(&[2], 2), Some(0));
        assert_eq!(with(&[1, 1, 1], 5), Some(2));
        assert_eq!(with(&[3], 3), None, "three codes of one bit");
        assert_eq!(with(&[2, 1], 3), None, "one beyond a full set");
        assert_eq!(with(&[1, 1, 1], 2), None, "cut off");
        assert_eq!(with(&[0, 0, 0, 0, 0, 0, 0, 255, 255], 510), None, "more symbols than bytes can name");
    }
}
