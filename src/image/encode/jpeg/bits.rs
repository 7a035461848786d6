//! Tokens → the bytes of a scan: code after code, with a zero byte after each byte of ones (T.81 F.1.2.3).

use super::token::{TABLES, Token, extra_bits, symbol_index};

/// The codes of all tables in one array, each as `HuffmanTable::codes` returns them.
pub(super) type Codes = [u32; 256 * TABLES];

/// Bits that do not fill a unit of writing yet.
#[derive(Default)]
pub(super) struct BitWriter {
    /// The lowest `count` bits are pending; the bits above have been written.
    waiting: u64,
    count: u32,
}

impl BitWriter {
    /// Writes tokens; all their symbols have codes.
    pub(super) fn write(&mut self, tokens: &[Token], codes: &Codes, bytes: &mut Vec<u8>) {
        for &token in tokens {
            let (code, extra) = (codes[symbol_index(token)], extra_bits(token));
            // A token has at most 16 bits of code and 11 extra bits, and fewer than 32 are pending.
            self.waiting = self.waiting << ((code & 0xFF) + extra)
                | u64::from(code >> 8) << extra
                | u64::from(token & 0xFFFF);
            self.count += (code & 0xFF) + extra;
            if self.count >= 32 {
                self.count -= 32;
                push_stuffed((self.waiting >> self.count) as u32, bytes);
            }
        }
    }

    /// Writes the pending bits, padded with ones.
    pub(super) fn finish(self, bytes: &mut Vec<u8>) {
        let (mut waiting, mut count) = (self.waiting, self.count);
        let fill = count.next_multiple_of(8) - count;
        waiting = waiting << fill | ((1 << fill) - 1);
        count += fill;
        while count > 0 {
            count -= 8;
            push_byte((waiting >> count) as u8, bytes);
        }
    }
}

fn push_stuffed(word: u32, bytes: &mut Vec<u8>) {
    let four = word.to_be_bytes();
    if four.contains(&0xFF) {
        four.into_iter().for_each(|byte| push_byte(byte, bytes));
    } else {
        bytes.extend_from_slice(&four);
    }
}

fn push_byte(byte: u8, bytes: &mut Vec<u8>) {
    bytes.push(byte);
    if byte == 0xFF {
        bytes.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each token is a symbol whose code is `length` ones, and the number of its extra bits.
    fn written(tokens: &[(u32, u32)], length: u32) -> Vec<u8> {
        let codes = [((1 << length) - 1) << 8 | length; 256 * TABLES];
        let tokens: Vec<Token> = tokens.iter().map(|&(size, bits)| size << 16 | bits).collect();
        let (mut writer, mut bytes) = (BitWriter::default(), Vec::new());
        writer.write(&tokens, &codes, &mut bytes);
        writer.finish(&mut bytes);
        bytes
    }

    #[test]
    fn codes_stand_before_their_bits_and_the_rest_is_ones() {
        assert_eq!(written(&[(4, 0b0101), (2, 0)], 1), [0b1010_1100]);
        assert_eq!(written(&[(3, 0)], 2), [0b1100_0111]);
        assert!(written(&[], 1).is_empty());
    }

    #[test]
    fn a_zero_follows_each_byte_of_ones() {
        assert_eq!(written(&[(0, 0)], 8), [0xFF, 0]);
        assert_eq!(written(&[(0, 0)], 16), [0xFF, 0, 0xFF, 0]);
        assert_eq!(
            written(&[(8, 1), (8, 0xFF), (8, 0), (8, 0xFE)], 8),
            [0xFF, 0, 1, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0, 0xFF, 0, 0xFE]
        );
    }

    #[test]
    fn however_long_the_codes_every_bit_is_kept() {
        let tokens: Vec<(u32, u32)> =
            (0..200).map(|at| (at % 12, (at * 37) & ((1 << (at % 12)) - 1))).collect();
        for length in 1..=16 {
            let bits: String = tokens
                .iter()
                .map(|&(size, bits)| format!("{:1<1$}", "", length as usize) + &binary(bits, size))
                .collect();
            let plain: Vec<u8> = written(&tokens, length);
            let mut seen = String::new();
            let mut after_ones = false;
            for byte in plain {
                if after_ones {
                    assert_eq!(byte, 0);
                } else {
                    seen += &format!("{byte:08b}");
                }
                after_ones = byte == 0xFF && !after_ones;
            }
            assert_eq!(seen[..bits.len()], bits);
            assert!(seen.len() < bits.len() + 8 && !seen[bits.len()..].contains('0'));
        }
    }

    fn binary(bits: u32, size: u32) -> String {
        (0..size).rev().map(|bit| if bits >> bit & 1 == 1 { '1' } else { '0' }).collect()
    }
}
