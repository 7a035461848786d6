//! Huffman decoding with a look-up of many bits at a time.
//!
//! No branch depends on a value or its size: such branches cannot be predicted. Codes longer than the table, and damaged
//! ones, take a slower path. An undefined code counts as sixteen bits without
//! meaning: the picture goes on with a visible error, as in other decoders.

use std::hint::select_unpredictable;

use super::cursor::{Cursor, load};

/// A table as the file defines it.
#[derive(Clone)]
pub(super) struct Definition {
    /// Codes of each length, 1–16 bits.
    pub(super) counts: [u8; 16],
    pub(super) symbols: [u8; 256],
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

/// Bits of a code that one look-up covers.
const FAST_BITS: u32 = 10;

/// The end of a block as a run length: beyond every coefficient.
pub(super) const BLOCK_END: u32 = 64;

/// A coefficient of a block, or its end: the number of zeros before it, and its value.
#[derive(Clone, Copy)]
pub(super) struct RunLength {
    /// 0–15. For symbols of size 0 other than sixteen zeros: [`BLOCK_END`] plus the symbol's upper half.
    pub(super) run: u32,
    pub(super) value: i32,
}

/// A symbol: bits of its code and its value (8), bits of the code (8), run (8), bits of the value (8). Never 0.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Symbol(u32);

impl Symbol {
    const NONE: Self = Self(0);

    const fn new(length: u32, symbol: u8) -> Self {
        let (upper, size) = ((symbol >> 4) as u32, (symbol & 15) as u32);
        let run = if size == 0 && upper < 15 { BLOCK_END + upper } else { upper };
        Self((length + size) | length << 8 | run << 16 | size << 24)
    }

    /// Bits of the code and the value.
    pub(super) const fn bits(self) -> u32 {
        self.0 & 63
    }

    /// Bits of the code.
    pub(super) const fn code_bits(self) -> u32 {
        self.0 >> 8 & 63
    }

    /// As [`RunLength::run`].
    pub(super) const fn run(self) -> u32 {
        self.0 >> 16 & 0xFF
    }

    /// The value, which follows the code at the start of the window (T.81, F.2.2.1): the lower half of the range of its
    /// bits is negative.
    #[inline(always)]
    pub(super) fn value(self, window: u64) -> i32 {
        let (rest, size) = (window << self.code_bits(), self.0 >> 24);
        let bits = (rest >> 1 >> (63 - size)) as i32;
        select_unpredictable((rest as i64) < 0, bits, bits + (-1 << size) + 1)
    }
}

/// The codes of a table, with their extra bits.
pub(super) struct Codes {
    /// By the next bits; [`Symbol::NONE`] for a code longer than the table covers.
    fast: Box<[Symbol; 1 << FAST_BITS]>,
    long: LongCodes,
}

impl Codes {
    pub(super) fn new(definition: &Definition) -> Self {
        let long = LongCodes::new(definition);
        let symbol = |bits: u32| {
            let symbol = long.find(bits << (16 - FAST_BITS));
            if symbol.code_bits() > FAST_BITS { Symbol::NONE } else { symbol }
        };
        let fast: Vec<Symbol> = (0..1 << FAST_BITS).map(symbol).collect();
        let fast = fast.into_boxed_slice().try_into().ok().expect("the table has that many entries");
        Self { fast, long }
    }

    /// The symbol at the start of the window.
    #[inline(always)]
    pub(super) fn symbol(&self, window: u64) -> Symbol {
        let symbol = self.fast[(window >> (64 - FAST_BITS)) as usize];
        if symbol == Symbol::NONE { self.long_symbol((window >> 48) as u32) } else { symbol }
    }

    #[cold]
    #[inline(never)]
    fn long_symbol(&self, bits: u32) -> Symbol {
        self.long.find(bits)
    }

    /// Reads the next coefficient. Takes at most 31 bits, which must be loaded.
    #[inline(always)]
    pub(super) fn step(&self, cursor: &mut Cursor) -> RunLength {
        let symbol = self.symbol(cursor.window);
        let value = symbol.value(cursor.window);
        cursor.pass(symbol.bits());
        RunLength { run: symbol.run(), value }
    }

    /// The value of the coefficient at this bit.
    #[inline(always)]
    pub(super) fn value_at(&self, data: &[u8], bit: usize) -> i32 {
        let window = load(data, bit / 8) << (bit % 8);
        self.symbol(window).value(window)
    }
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

    /// The symbol at the start of these 16 bits.
    fn find(&self, bits: u32) -> Symbol {
        match self.ends.iter().position(|end| bits < *end) {
            Some(at) => {
                let index = (bits >> (15 - at)) as i32 + self.offsets[at];
                Symbol::new(at as u32 + 1, self.symbols[index as usize & 255])
            }
            None => Symbol::new(16, 0),
        }
    }
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
    fn plain_step(definition: &Definition, cursor: &mut Cursor) -> (u32, i32) {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &definition.counts {
            code = code << 1 | cursor.take(1);
            first <<= 1;
            let count = u32::from(count);
            if code < first + count {
                let symbol = definition.symbols[(index + code - first) as usize];
                let (upper, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
                let run = if size == 0 && upper < 15 { BLOCK_END + upper } else { upper };
                let value = cursor.take(size) as i32;
                let is_negative = size > 0 && value >> (size - 1) == 0;
                return (run, if is_negative { value - (1 << size) + 1 } else { value });
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
            let (mut fast, mut plain) = (Cursor::default(), Cursor::default());
            for _ in 0..100 {
                fast.refill(&data);
                plain.refill(&data);
                assert_eq!(codes.value_at(&data, fast.bit()), codes.step(&mut { fast }).value);
                let step = codes.step(&mut fast);
                assert_eq!((step.run, step.value), plain_step(&definition, &mut plain), "{seed}");
                assert_eq!(fast.bit(), plain.bit(), "{seed}");
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
