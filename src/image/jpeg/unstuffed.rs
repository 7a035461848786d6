//! The entropy-coded data of a scan without its stuffed bytes, a piece at a time.
//!
//! A piece never reaches beyond a restart marker. So readers meet neither stuffing nor markers, and load eight bytes at
//! once wherever they are. A piece stays in the cache between the pass that makes it and those that read it, and its
//! memory does not grow with the file.

use memchr::memchr;

/// Bytes of a piece: a few of the largest units.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes behind a piece that are loaded together with its last ones.
const MARGIN_BYTES: usize = 16;

/// Most bytes on the heap.
pub(super) const UNSTUFFED_BYTES_MAX: u64 = (PIECE_BYTES + MARGIN_BYTES) as u64;

/// A piece of the data, which belongs to one restart interval.
pub(super) struct Unstuffed<'a> {
    source: &'a [u8],
    /// The next byte of the source.
    at: usize,
    /// Space for a piece and the margin behind it.
    bytes: Vec<u8>,
    /// Length of the piece.
    filled: usize,
    is_last: bool,
}

impl<'a> Unstuffed<'a> {
    /// The first piece of a scan.
    pub(super) fn of(source: &'a [u8]) -> Self {
        let bytes = vec![0; PIECE_BYTES.min(source.len()) + MARGIN_BYTES];
        let mut unstuffed = Self { source, at: 0, bytes, filled: 0, is_last: false };
        unstuffed.advance(0);
        unstuffed
    }

    /// The piece and its margin, which is zeros at the end of an interval.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled + MARGIN_BYTES]
    }

    /// Length of the piece without its margin.
    pub(super) const fn filled(&self) -> usize {
        self.filled
    }

    /// Whether the interval ends with the piece.
    pub(super) const fn is_last(&self) -> bool {
        self.is_last
    }

    /// Drops this many bytes from the start of the piece, and appends those that follow.
    pub(super) fn advance(&mut self, dropped: usize) {
        self.bytes.copy_within(dropped..self.filled, 0);
        self.filled -= dropped;
        let space = self.bytes.len() - MARGIN_BYTES;
        while !self.is_last && self.filled < space {
            self.append(space - self.filled);
        }
        self.is_last |= self.at == self.source.len();
        if self.is_last {
            self.bytes[self.filled..self.filled + MARGIN_BYTES].fill(0);
        }
    }

    /// Appends bytes up to the next FF, and the FF if it is data.
    fn append(&mut self, most: usize) {
        let rest = &self.source[self.at..];
        let part = &rest[..most.min(rest.len())];
        let plain = memchr(0xFF, part).unwrap_or(part.len());
        self.bytes[self.filled..self.filled + plain].copy_from_slice(&part[..plain]);
        self.filled += plain;
        self.at += plain;
        if plain == part.len() {
            self.is_last = plain == rest.len();
            return;
        }
        match self.source.get(self.at + 1) {
            Some(0) => {
                self.bytes[self.filled] = 0xFF;
                self.filled += 1;
                self.at += 2;
            }
            Some(0xFF) => self.at += 1,
            Some(0xD0..=0xD7) | None => self.is_last = true,
            // A marker that ends a scan is not part of its data; any other one can only be damage.
            Some(_) => self.at += 2,
        }
    }

    /// Skips everything up to and including the next restart marker, and returns its number, 0–7. `None` if there is
    /// none.
    pub(super) fn restart(&mut self) -> Option<u8> {
        loop {
            let at = self.at + memchr(0xFF, self.source.get(self.at..)?)?;
            match *self.source.get(at + 1)? {
                code @ 0xD0..=0xD7 => {
                    (self.at, self.filled, self.is_last) = (at + 2, 0, false);
                    self.advance(0);
                    return Some(code - 0xD0);
                }
                0xFF => self.at = at + 1,
                _ => self.at = at + 2,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole interval, read by pieces of which each leaves this many bytes for the next.
    fn interval(unstuffed: &mut Unstuffed<'_>, left: usize) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            let (filled, bytes) = (unstuffed.filled(), unstuffed.bytes());
            if unstuffed.is_last() {
                assert_eq!(bytes[filled..], [0; MARGIN_BYTES]);
                read.extend(&bytes[..filled]);
                return read;
            }
            read.extend(&bytes[..filled - left]);
            unstuffed.advance(filled - left);
        }
    }

    #[test]
    fn stuffed_bytes_fill_bytes_and_damage_are_taken_out_wherever_they_lie() {
        for before in 0..20 {
            let mut data: Vec<u8> = (1..=before).collect();
            data.extend_from_slice(b"\xFF\0\xFF\xFF\0\xFF\x05\x77\xFF\xD9\x88");
            data.extend(1..=20);
            let expected: Vec<u8> = (1..=before).chain([0xFF, 0xFF, 0x77, 0x88]).chain(1..=20).collect();
            assert_eq!(interval(&mut Unstuffed::of(&data), 0), expected, "after {before}");
        }
    }

    #[test]
    fn an_interval_ends_with_the_data_and_before_a_restart_marker() {
        for end in [&b""[..], b"\xFF", b"\xFF\xD3more of the next interval", b"\xFF\xFF\xD0"] {
            let data = [b"abc", end].concat();
            assert_eq!(interval(&mut Unstuffed::of(&data), 0), b"abc", "{end:?}");
        }
        assert_eq!(interval(&mut Unstuffed::of(b""), 0), b"");
    }

    #[test]
    fn pieces_follow_each_other_without_a_gap() {
        for length in [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 5] {
            // An FF at every place of a piece's end, by and by.
            let plain: Vec<u8> =
                (0..length).map(|at| if at % 251 == 0 { 0xFF } else { (at % 241) as u8 }).collect();
            let stuffed: Vec<u8> = plain
                .iter()
                .flat_map(|&byte| [Some(byte), (byte == 0xFF).then_some(0)])
                .flatten()
                .chain(*b"\xFF\xD1")
                .collect();
            for left in [0, 1, 500] {
                let mut unstuffed = Unstuffed::of(&stuffed);
                assert!(interval(&mut unstuffed, left) == plain, "{length} {left}");
                assert_eq!(unstuffed.restart(), Some(1));
                assert_eq!((unstuffed.filled(), unstuffed.is_last()), (0, true));
            }
        }
    }

    #[test]
    fn a_restart_is_found_behind_anything_and_begins_afresh() {
        let mut unstuffed = Unstuffed::of(b"abcdefghijkl\xFF\xD4\xFF\0mn\xFF\xFF\xD5xyz\xFF");
        assert_eq!(interval(&mut unstuffed, 0), b"abcdefghijkl");
        assert_eq!(unstuffed.restart(), Some(4));
        assert_eq!(unstuffed.restart(), Some(5));
        assert_eq!(interval(&mut unstuffed, 0), b"xyz");
        assert_eq!(unstuffed.restart(), None);
    }
}
