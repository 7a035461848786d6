//! The units of a scan in their order, and the handling of restart markers.

use std::ops::Range;

use super::bits::Bits;
use super::frame::BlockGrid;
use crate::image::error::{RenderError, proceed};

/// The decoder of one kind of scan.
pub(super) trait Units {
    /// Decodes the unit at this place.
    fn decode(&mut self, bits: &mut Bits<'_>, column: u32, row: u32);

    /// Resets the state that one unit leaves for the next.
    fn restart(&mut self);
}

/// A scan: its data, its units, and the units between restart markers (0 without markers).
pub(super) struct SegmentWalk<'a> {
    pub(super) data: &'a [u8],
    pub(super) grid: BlockGrid,
    pub(super) restart_interval: u32,
    pub(super) keep_going: &'a dyn Fn() -> bool,
}

impl SegmentWalk<'_> {
    /// Decodes the units for which there is data. Skips the rest, and intervals whose markers are missing. Returns
    /// whether nothing was missing.
    ///
    /// # Errors
    ///
    /// [`RenderError::Cancelled`].
    pub(super) fn run(&self, units: &mut impl Units) -> Result<bool, RenderError> {
        let total = self.grid.area();
        let interval = if self.restart_interval == 0 { total } else { u64::from(self.restart_interval) };
        let mut bits = Bits::of(self.data);
        let (mut start, mut expected, mut row) = (0, 0, None);
        let mut is_whole = true;
        while start < total {
            let end = total.min(start + interval);
            is_whole &= self.run_interval(units, &mut bits, start..end, &mut row)?;
            if end == total {
                return Ok(is_whole);
            }
            let Some(lost) = lost_intervals(&mut bits, &mut expected) else { break };
            is_whole &= lost == 0;
            start = end + u64::from(lost) * interval;
            units.restart();
        }
        Ok(false)
    }

    /// `asked_in` is the row of the last call of `keep_going`. Returns whether there was data for all units.
    fn run_interval(
        &self,
        units: &mut impl Units,
        bits: &mut Bits<'_>,
        interval: Range<u64>,
        asked_in: &mut Option<u64>,
    ) -> Result<bool, RenderError> {
        let columns = u64::from(self.grid.columns);
        let mut at = interval.start;
        while at < interval.end {
            let (row, column) = (at / columns, at % columns);
            let end = columns.min(column + interval.end - at);
            if asked_in.replace(row) != Some(row) {
                proceed(self.keep_going)?;
            }
            for column in column..end {
                units.decode(bits, column as u32, row as u32);
                if bits.is_exhausted() {
                    return Ok(false);
                }
            }
            at += end - column;
        }
        Ok(true)
    }
}

/// Skips to the next restart marker of the sequence, and returns the number of missing intervals before it. Markers
/// with earlier numbers belong to intervals that were given up.
fn lost_intervals(bits: &mut Bits<'_>, expected: &mut u8) -> Option<u8> {
    loop {
        let found = bits.restart()?;
        let ahead = found.wrapping_sub(*expected) & 7;
        if ahead < 4 {
            *expected = (found + 1) & 7;
            return Some(ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Each unit is a byte.
    #[derive(Default)]
    struct Bytes {
        seen: Vec<(u32, u32, u8)>,
        restarts: usize,
    }

    impl Units for Bytes {
        fn decode(&mut self, bits: &mut Bits<'_>, column: u32, row: u32) {
            bits.refill();
            let byte = bits.take(8) as u8;
            if !bits.is_exhausted() {
                self.seen.push((column, row, byte));
            }
        }

        fn restart(&mut self) {
            self.restarts += 1;
        }
    }

    fn walked(data: &[u8], restart_interval: u32) -> (String, usize) {
        let grid = BlockGrid { columns: 3, rows: 4 };
        let mut bytes = Bytes::default();
        let walk = SegmentWalk { data, grid, restart_interval, keep_going: &|| true };
        let is_whole = walk.run(&mut bytes).unwrap();
        let mut shown = vec![b'.'; 12];
        for (column, row, byte) in bytes.seen {
            shown[(row * 3 + column) as usize] = byte;
        }
        assert_eq!(is_whole, !shown.contains(&b'.'));
        (String::from_utf8(shown).unwrap(), bytes.restarts)
    }

    #[test]
    fn units_come_row_by_row_with_and_without_restarts() {
        assert_eq!(walked(b"abcdefghijklmno", 0), ("abcdefghijkl".into(), 0));
        assert_eq!(walked(b"abcde\xFF\xD0fghij\xFF\xD1kl", 5), ("abcdefghijkl".into(), 2));
    }

    #[test]
    fn an_early_end_leaves_the_rest_out() {
        assert_eq!(walked(b"abcd", 0), ("abcd........".into(), 0));
        assert_eq!(walked(b"abcd\xFF\xD0efgh\xFF\xD1", 4), ("abcdefgh....".into(), 2));
    }

    #[test]
    fn damage_ends_at_the_next_restart() {
        assert_eq!(walked(b"ab\xFF\xD0efgh\xFF\xD1ijkl", 4), ("ab..efghijkl".into(), 2), "too few bytes");
        assert_eq!(
            walked(b"abcdxyz\xFF\xD0efgh\xFF\xD1ijkl", 4),
            ("abcdefghijkl".into(), 2),
            "too many bytes"
        );
        assert_eq!(walked(b"abcd\xFF\xD1ijkl", 4), ("abcd....ijkl".into(), 1), "a missing interval");
        assert_eq!(
            walked(b"abcd\xFF\xD7xy\xFF\xD0efgh\xFF\xD1ijkl", 4),
            ("abcdefghijkl".into(), 2),
            "a stale marker"
        );
        assert_eq!(
            walked(b"abcd\xFF\xD3efgh", 4),
            ("abcd........".into(), 1),
            "a marker from beyond the end"
        );
    }

    #[test]
    fn a_restart_at_every_unit_goes_round_the_eight_markers() {
        let data: Vec<u8> = (0..12).flat_map(|unit| [b'a' + unit, 0xFF, 0xD0 | unit & 7]).collect();
        assert_eq!(walked(&data, 1), ("abcdefghijkl".into(), 11));
    }

    #[test]
    fn every_row_asks_whether_to_go_on() {
        for most in 0..5 {
            let asked = Cell::new(0);
            let keep_going = || {
                asked.set(asked.get() + 1);
                asked.get() <= most
            };
            let grid = BlockGrid { columns: 3, rows: 4 };
            let mut bytes = Bytes::default();
            let walk =
                SegmentWalk { data: b"abcdefghijkl", grid, restart_interval: 0, keep_going: &keep_going };
            let expected = if most < 4 { Err(RenderError::Cancelled) } else { Ok(true) };
            assert_eq!(walk.run(&mut bytes), expected);
            assert_eq!(bytes.seen.len(), 3 * most.min(4));
        }
    }
}
