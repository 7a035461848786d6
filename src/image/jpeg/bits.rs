//! Reads the bits of a scan's entropy-coded data, first bit first.
//!
//! It removes stuffed bytes. It never passes a restart marker by itself: there, and at the end of the data, it returns
//! zeros without end and remembers that they are padding ([`Bits::is_exhausted`]).

use memchr::memchr;

/// A position in the data. Code that reads many bits copies it into registers.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to load.
    at: usize,
    /// The next bits; the first one is the highest. Below the top `count` bits are either zeros or exactly the bits
    /// that the next load puts there.
    window: u64,
    /// Valid bits of the window: 0–63.
    count: u32,
    /// The number of loaded bits that are padding.
    padding: u32,
}

/// Fewest bits after [`Bits::refill`]. A Huffman code and its extra bits have at most 31 bits.
pub(super) const REFILLED: u32 = 56;

impl<'a> Bits<'a> {
    pub(super) const fn of(data: &'a [u8]) -> Self {
        Self { data, at: 0, window: 0, count: 0, padding: 0 }
    }

    /// Loads at least [`REFILLED`] bits into the window.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if let Some(word) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*word);
            if !has_ff(word) {
                self.window |= word >> self.count;
                let bytes = (63 - self.count) / 8;
                self.at += bytes as usize;
                self.count += bytes * 8;
                return;
            }
        }
        self.refill_by_bytes();
    }

    /// Loads at least `needed` bits (at most [`REFILLED`]) into the window.
    #[inline(always)]
    pub(super) fn need(&mut self, needed: u32) {
        if self.count < needed {
            self.refill();
        }
    }

    /// The slow path near an FF or the end.
    #[inline(never)]
    fn refill_by_bytes(&mut self) {
        while self.count < REFILLED {
            let Some(byte) = self.next_byte() else {
                self.padding = self.padding.saturating_add(63 - self.count);
                self.count = 63;
                return;
            };
            self.window |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// `None` at a restart marker and at the end.
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.data.get(self.at)?;
            if byte != 0xFF {
                self.at += 1;
                return Some(byte);
            }
            match self.data.get(self.at + 1) {
                Some(0) => {
                    self.at += 2;
                    return Some(0xFF);
                }
                Some(0xFF) => self.at += 1,
                Some(0xD0..=0xD7) | None => return None,
                // A marker that ends a scan is not part of its data; any other one can only be damage.
                Some(_) => self.at += 2,
            }
        }
    }

    /// The next `count` bits: 1–32, and loaded.
    #[inline(always)]
    pub(super) const fn peek(&self, count: u32) -> u32 {
        (self.window >> (64 - count)) as u32
    }

    /// Skips `count` bits, which must be loaded.
    #[inline(always)]
    pub(super) const fn pass(&mut self, count: u32) {
        self.window <<= count;
        self.count -= count;
    }

    /// The next `count` bits: 0–16, and loaded.
    #[inline(always)]
    pub(super) const fn take(&mut self, count: u32) -> u32 {
        let bits = ((self.window >> 1) >> (63 - count)) as u32;
        self.pass(count);
        bits
    }

    /// Skips up to 64 bits.
    #[inline(always)]
    pub(super) fn pass_many(&mut self, count: u32) {
        let first = count.min(32);
        self.need(first);
        self.pass(first);
        if count > first {
            self.need(count - first);
            self.pass(count - first);
        }
    }

    /// Whether padding bits were taken.
    #[inline(always)]
    pub(super) const fn is_exhausted(&self) -> bool {
        self.padding > self.count
    }

    /// Skips everything up to and including the next restart marker, and returns its number, 0–7. `None` if there is
    /// none.
    pub(super) fn restart(&mut self) -> Option<u8> {
        loop {
            let at = self.at + memchr(0xFF, self.data.get(self.at..)?)?;
            match *self.data.get(at + 1)? {
                code @ 0xD0..=0xD7 => {
                    *self = Self { at: at + 2, ..Self::of(self.data) };
                    return Some(code - 0xD0);
                }
                0xFF => self.at = at + 1,
                _ => self.at = at + 2,
            }
        }
    }
}

/// Whether any of the eight bytes is FF.
#[inline(always)]
const fn has_ff(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The usual test for a zero byte, applied to the complement.
    (!word).wrapping_sub(ONES) & word & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(data: &[u8], bytes: usize) -> (Vec<u8>, bool) {
        let mut bits = Bits::of(data);
        let mut taken = Vec::new();
        for _ in 0..bytes {
            bits.refill();
            taken.push(bits.take(8) as u8);
        }
        (taken, bits.is_exhausted())
    }

    #[test]
    fn stuffed_bytes_fill_bytes_and_damage_are_taken_out_wherever_they_lie() {
        for before in 0..20 {
            let mut data: Vec<u8> = (1..=before).collect();
            data.extend_from_slice(b"\xFF\0\xFF\xFF\0\xFF\x05\x77\xFF\xD9\x88");
            data.extend(1..=20);
            let expected: Vec<u8> = (1..=before).chain([0xFF, 0xFF, 0x77, 0x88]).chain(1..=20).collect();
            assert_eq!(taken(&data, expected.len()), (expected, false), "after {before}");
        }
    }

    #[test]
    fn gives_zeros_and_says_so_where_the_data_or_a_restart_interval_ends() {
        for end in [&b""[..], b"\xFF", b"\xFF\xD3more of the next interval", b"\xFF\xFF\xD0"] {
            let data = [b"abc", end].concat();
            assert_eq!(taken(&data, 3), (b"abc".to_vec(), false));
            assert_eq!(taken(&data, 40).0[3..], [0; 37]);
            assert!(taken(&data, 4).1 && taken(&data, 400).1);
        }
    }

    #[test]
    fn a_restart_is_found_behind_anything_and_begins_afresh() {
        let mut bits = Bits::of(b"abcdefghijkl\xFF\0mn\xFF\xFF\xD5xyz\xFF");
        bits.refill();
        bits.take(3);
        assert_eq!(bits.restart(), Some(5));
        bits.refill();
        assert_eq!((bits.take(8) as u8, bits.take(8) as u8), (b'x', b'y'));
        assert_eq!(bits.restart(), None);
    }

    #[test]
    fn many_bits_are_passed_as_one_by_one() {
        let data: Vec<u8> = (0..200_u8).map(|byte| byte.wrapping_mul(37)).collect();
        for count in 0..=64 {
            let (mut many, mut single) = (Bits::of(&data), Bits::of(&data));
            for _ in 0..12 {
                many.pass_many(count);
                for _ in 0..count {
                    single.need(1);
                    single.pass(1);
                }
                many.need(16);
                single.need(16);
                assert_eq!(many.peek(16), single.peek(16), "{count}");
            }
        }
    }

    #[test]
    fn ff_is_seen_in_every_place_and_nothing_else_is_taken_for_it() {
        for place in 0..8 {
            assert!(has_ff(0xFF << (8 * place)) && !has_ff(0xFE << (8 * place)));
        }
        assert!(has_ff(u64::MAX) && !has_ff(0) && !has_ff(0x7F80_FE01_8000_FEFE));
    }
}
