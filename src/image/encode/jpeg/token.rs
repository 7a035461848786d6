//! Quantised blocks → tokens: the input of the entropy coder before its tables are known (T.81 F.1.2).
//!
//! A token is a symbol with the extra bits after its code. A picture has far fewer tokens than coefficients, most of
//! which are zero, so it costs little to keep all tokens until the tables are made.

use super::tables::PLACES;
use super::transform::Block;

/// The lowest 16 bits hold the extra bits; above them are the symbol and the number of its table.
pub(super) type Token = u32;

/// Tables: DC and AC of luma, DC and AC of chroma.
pub(super) const TABLES: usize = 4;

/// The table of a component's DC coefficients; the next one is for its AC coefficients.
#[derive(Clone, Copy)]
pub(super) struct TablePair(u32);

impl TablePair {
    pub(super) const LUMA: Self = Self(0);
    pub(super) const CHROMA: Self = Self(2);
}

/// Most tokens of a block: as many as it has coefficients.
pub(super) const BLOCK_TOKENS_MAX: usize = 64;

/// The end of a block: all following coefficients are zero.
const END_OF_BLOCK: u32 = 0x00;
/// Sixteen zeros.
const SIXTEEN_ZEROS: u32 = 0xF0;

/// Symbol and table of a token, as an index into the tables in one array: below 256 × [`TABLES`].
pub(super) const fn symbol_index(token: Token) -> usize {
    (token >> 16) as usize
}

/// Appends the tokens of one block; `last` is the DC coefficient of the component's previous block.
pub(super) fn push_block(block: &Block, tables: TablePair, last: &mut i16, tokens: &mut Vec<Token>) {
    let mut row = [0; BLOCK_TOKENS_MAX];
    row[0] = token(tables.0, 0, block[0] - *last);
    *last = block[0];
    let mut count = 1;
    let mut place = |token: Token| {
        row[count] = token;
        count += 1;
    };
    let (ordered, mut found) = in_order(block);
    let table = tables.0 + 1;
    let mut next = 1;
    while found != 0 {
        let k = found.trailing_zeros();
        found &= found - 1;
        let mut zeros = k - next;
        while zeros > 15 {
            place(table << 24 | SIXTEEN_ZEROS << 16);
            zeros -= 16;
        }
        place(token(table, zeros, ordered[k as usize]));
        next = k + 1;
    }
    if next < 64 {
        place(table << 24 | END_OF_BLOCK << 16);
    }
    tokens.extend_from_slice(&row[..count]);
}

/// The AC coefficients in the file's order, and a bit for each that is not zero. Most are zero, so only the others are
/// moved.
fn in_order(block: &Block) -> (Block, u64) {
    let mut ordered = [0; 64];
    let mut order = 0;
    let mut found = nonzero(block) & !1;
    while found != 0 {
        let at = found.trailing_zeros() as usize;
        found &= found - 1;
        let k = PLACES[at] & 63;
        ordered[usize::from(k)] = block[at];
        order |= 1 << k;
    }
    (ordered, order)
}

/// A bit for each number that is not zero.
fn nonzero(block: &Block) -> u64 {
    let bytes = block.map(|value| u8::from(value != 0));
    let mut bits = 0;
    for (at, &eight) in (0..).step_by(8).zip(bytes.as_chunks().0) {
        // Bit i of the product's highest byte is byte i: i × 8 + (56 − i × 7) = 56 + i. Other products lie below.
        let byte = u64::from_le_bytes(eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= byte << at;
    }
    bits
}

/// Appends a block that lies completely beyond the picture's edge. It is invisible, so it gets the cheapest
/// coefficients: no change of DC, no detail.
pub(super) fn push_unseen(tables: TablePair, tokens: &mut Vec<Token>) {
    tokens.extend_from_slice(&[tables.0 << 24, (tables.0 + 1) << 24 | END_OF_BLOCK << 16]);
}

/// The token of a value: its size in bits, and these bits; a negative value has the bits of the value less one.
fn token(table: u32, zeros: u32, value: i16) -> Token {
    let size = 16 - value.unsigned_abs().leading_zeros();
    let bits = (value + (value >> 15)) as u32 & ((1 << size) - 1);
    table << 24 | (zeros << 4 | size) << 16 | bits
}

/// The number of extra bits after the symbol's code.
pub(super) const fn extra_bits(token: Token) -> u32 {
    token >> 16 & 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::encode::jpeg::tables::ZIGZAG;

    /// The tokens of a block with these values in the file's order, after a DC of 5.
    fn tokens(values: &[(usize, i16)]) -> Vec<(usize, u32)> {
        let mut block: Block = [0; 64];
        for &(k, value) in values {
            block[usize::from(ZIGZAG[k])] = value;
        }
        let mut tokens = Vec::new();
        push_block(&block, TablePair::CHROMA, &mut 5, &mut tokens);
        tokens.into_iter().map(|token| (symbol_index(token), token & 0xFFFF)).collect()
    }

    const DC: usize = 2 << 8;
    const AC: usize = 3 << 8;

    #[test]
    fn values_become_their_size_and_bits() {
        assert_eq!(tokens(&[(0, 5)]), [(DC, 0), (AC, 0)]);
        assert_eq!(tokens(&[(0, 12), (1, -1)]), [(DC + 3, 7), (AC + 1, 0), (AC, 0)]);
        assert_eq!(tokens(&[(0, 2), (1, 1023)]), [(DC + 2, 0), (AC + 10, 1023), (AC, 0)]);
        assert_eq!(tokens(&[(0, -1024), (3, -6)])[..2], [(DC + 11, 1018), (AC + 0x23, 1)]);
    }

    #[test]
    fn long_runs_are_cut_in_sixteens_and_the_last_place_needs_no_end() {
        assert_eq!(tokens(&[(0, 5), (17, 1)]), [(DC, 0), (AC + 0xF0, 0), (AC + 1, 1), (AC, 0)]);
        assert_eq!(tokens(&[(0, 5), (16, 1)]), [(DC, 0), (AC + 0xF1, 1), (AC, 0)]);
        let three = (AC + 0xF0, 0);
        assert_eq!(tokens(&[(0, 5), (63, 1)]), [(DC, 0), three, three, three, (AC + 0xE1, 1)]);
        let full: Vec<(usize, i16)> = (0..64).map(|k| (k, 1)).collect();
        assert_eq!(tokens(&full).len(), BLOCK_TOKENS_MAX);
    }
}
