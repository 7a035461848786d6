//! Reads the bits of [un-stuffed](super::unstuffed) data, first bit first.

/// A position in the data. It is small enough to be passed by value, and so stays in registers.
#[derive(Clone, Copy, Default)]
pub(super) struct Cursor {
    /// The next bits; the first one is the highest. Below the top `count` bits are either zeros or exactly the bits
    /// that the next load puts there.
    pub(super) window: u64,
    /// Valid bits of the window: 0–63.
    pub(super) count: u32,
    /// The next byte to load.
    pub(super) at: usize,
}

/// Most bits of a Huffman code and its extra bits.
pub(super) const SYMBOL_BITS_MAX: u32 = 31;

impl Cursor {
    /// At this bit, with at least 49 bits in the window.
    #[inline(always)]
    pub(super) fn at_bit(data: &[u8], bit: usize) -> Self {
        let passed = (bit % 8) as u32;
        Self { window: load(data, bit / 8) << passed, count: 56 - passed, at: bit / 8 + 7 }
    }

    /// The number of bits before the next one.
    #[inline(always)]
    pub(super) const fn bit(self) -> usize {
        self.at * 8 - self.count as usize
    }

    /// Loads at least 56 bits into the window.
    #[inline(always)]
    pub(super) fn refill(&mut self, data: &[u8]) {
        self.window |= load(data, self.at) >> self.count;
        self.at += ((63 - self.count) / 8) as usize;
        self.count |= 56;
    }

    /// Loads at least `needed` bits (at most 56) into the window.
    #[inline(always)]
    pub(super) fn need(&mut self, data: &[u8], needed: u32) {
        if self.count < needed {
            self.refill(data);
        }
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
    pub(super) fn pass_many(&mut self, data: &[u8], count: u32) {
        let first = count.min(32);
        self.need(data, first);
        self.pass(first);
        if count > first {
            self.need(data, count - first);
            self.pass(count - first);
        }
    }
}

/// Eight bytes from this place on; zeros behind the data.
#[inline(always)]
pub(super) fn load(data: &[u8], at: usize) -> u64 {
    data.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Vec<u8> {
        (0..200_u8).map(|byte| byte.wrapping_mul(37)).collect()
    }

    #[test]
    fn many_bits_are_passed_as_one_by_one() {
        let data = data();
        for count in 0..=64 {
            let (mut many, mut single) = (Cursor::default(), Cursor::default());
            for _ in 0..12 {
                many.pass_many(&data, count);
                for _ in 0..count {
                    single.need(&data, 1);
                    single.pass(1);
                }
                assert_eq!(many.bit(), single.bit());
                many.need(&data, 16);
                single.need(&data, 16);
                assert_eq!(many.window >> 48, single.window >> 48, "{count}");
            }
        }
    }

    #[test]
    fn a_cursor_at_a_bit_reads_on_as_one_that_came_there() {
        let data = data();
        for bit in 0..100 {
            let (mut placed, mut passed) = (Cursor::at_bit(&data, bit), Cursor::default());
            for _ in 0..bit {
                passed.need(&data, 1);
                passed.pass(1);
            }
            for _ in 0..30 {
                assert_eq!(placed.bit(), passed.bit());
                passed.refill(&data);
                placed.refill(&data);
                assert_eq!(placed.take(13), passed.take(13), "{bit}");
            }
        }
    }

    #[test]
    fn zeros_follow_the_data_without_end() {
        let data = [&[0xAA; 20][..], &[0; 16]].concat();
        let mut cursor = Cursor::default();
        let taken: Vec<u32> = std::iter::repeat_with(|| {
            cursor.refill(&data);
            cursor.take(8)
        })
        .take(200)
        .collect();
        assert_eq!(taken, [&[0xAA; 20][..], &[0; 180]].concat());
        assert_eq!(cursor.bit(), 1600);
    }
}
