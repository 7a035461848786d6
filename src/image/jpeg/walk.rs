//! The restart intervals of a scan, and its units in their order.

use std::ops::Range;

use super::cursor::Cursor;
use super::frame::BlockGrid;
use super::unstuffed::Unstuffed;
use crate::image::error::{RenderError, proceed};

/// A scan: its data, its units, and the units between restart markers (0 without markers).
pub(super) struct ScanWalk<'a> {
    pub(super) data: &'a [u8],
    pub(super) grid: BlockGrid,
    pub(super) restart_interval: u32,
    pub(super) keep_going: &'a dyn Fn() -> bool,
}

/// The decoder of one kind of scan.
pub(super) trait Intervals {
    /// Decodes those units of an interval for which there is data, the first of which lies at the start of the piece.
    /// Returns whether there was data for all.
    ///
    /// # Errors
    ///
    /// Those of [`UnitRows::enter`].
    fn decode(
        &mut self,
        data: &mut Unstuffed<'_>,
        units: Range<u64>,
        rows: &mut UnitRows<'_>,
    ) -> Result<bool, RenderError>;

    /// Resets the state that one unit leaves for the next.
    fn restart(&mut self);
}

impl ScanWalk<'_> {
    /// Decodes the units for which there is data. Skips the rest, and intervals whose markers are missing. Returns
    /// whether nothing was missing.
    ///
    /// # Errors
    ///
    /// [`RenderError::Cancelled`].
    pub(super) fn run(&self, intervals: &mut impl Intervals) -> Result<bool, RenderError> {
        let total = self.grid.area();
        let interval = if self.restart_interval == 0 { total } else { u64::from(self.restart_interval) };
        let mut data = Unstuffed::of(self.data);
        let mut rows = UnitRows { columns: self.grid.columns, keep_going: self.keep_going, entered: None };
        let (mut start, mut expected) = (0, 0);
        let mut is_whole = true;
        while start < total {
            let end = total.min(start + interval);
            is_whole &= intervals.decode(&mut data, start..end, &mut rows)?;
            if end == total {
                return Ok(is_whole);
            }
            let Some(lost) = lost_intervals(&mut data, &mut expected) else { break };
            is_whole &= lost == 0;
            start = end + u64::from(lost) * interval;
            intervals.restart();
        }
        Ok(false)
    }
}

/// Skips to the next restart marker of the sequence, and returns the number of missing intervals before it. Markers
/// with earlier numbers belong to intervals that were given up.
fn lost_intervals(data: &mut Unstuffed<'_>, expected: &mut u8) -> Option<u8> {
    loop {
        let found = data.restart()?;
        let ahead = found.wrapping_sub(*expected) & 7;
        if ahead < 4 {
            *expected = (found + 1) & 7;
            return Some(ahead);
        }
    }
}

/// The rows of a scan's units.
pub(super) struct UnitRows<'a> {
    columns: u32,
    keep_going: &'a dyn Fn() -> bool,
    /// The row that was entered last.
    entered: Option<u64>,
}

impl UnitRows<'_> {
    /// The column and row of a unit, and the number of units from it to the end of the row. To be called before any
    /// unit of a row is written.
    ///
    /// # Errors
    ///
    /// [`RenderError::Cancelled`], asked for once for each row.
    pub(super) fn enter(&mut self, unit: u64) -> Result<(u32, u32, u64), RenderError> {
        let columns = u64::from(self.columns);
        let (row, column) = (unit / columns, unit % columns);
        if self.entered.replace(row) != Some(row) {
            proceed(self.keep_going)?;
        }
        Ok((column as u32, row as u32, columns - column))
    }
}

/// The decoder of a kind of scan whose units must be read one after another.
pub(super) trait Units {
    /// Decodes the unit at this column and row. The cursor comes from the unit before.
    fn decode(&mut self, data: &[u8], cursor: Cursor, place: (u32, u32)) -> Cursor;

    /// Resets the state that one unit leaves for the next.
    fn restart(&mut self);
}

/// Reads units one after another.
pub(super) struct OneByOne<U>(pub(super) U);

/// Most bytes of a unit: four components of 4 × 4 blocks, with 32 bits a coefficient, and those of a load.
const UNIT_BYTES_MAX: usize = 4 * 16 * 64 * 4 + 8;

impl<U: Units> Intervals for OneByOne<U> {
    fn decode(
        &mut self,
        data: &mut Unstuffed<'_>,
        units: Range<u64>,
        rows: &mut UnitRows<'_>,
    ) -> Result<bool, RenderError> {
        let mut cursor = Cursor::default();
        let mut unit = units.start;
        while unit < units.end {
            let (first, row, count) = rows.enter(unit)?;
            let count = count.min(units.end - unit);
            for column in first..first + count as u32 {
                if !data.is_last() && cursor.at + UNIT_BYTES_MAX > data.filled() {
                    let dropped = cursor.bit() / 8;
                    data.advance(dropped);
                    cursor.at -= dropped;
                }
                cursor = self.0.decode(data.bytes(), cursor, (column, row));
                if cursor.bit() > data.filled() * 8 {
                    return Ok(false);
                }
            }
            unit += count;
        }
        Ok(true)
    }

    fn restart(&mut self) {
        self.0.restart();
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
        fn decode(&mut self, data: &[u8], mut cursor: Cursor, (column, row): (u32, u32)) -> Cursor {
            cursor.refill(data);
            // Zeros follow the data.
            match cursor.take(8) as u8 {
                0 => {}
                byte => self.seen.push((column, row, byte)),
            }
            cursor
        }

        fn restart(&mut self) {
            self.restarts += 1;
        }
    }

    fn walked(data: &[u8], restart_interval: u32) -> (String, usize) {
        let grid = BlockGrid { columns: 3, rows: 4 };
        let mut bytes = OneByOne(Bytes::default());
        let walk = ScanWalk { data, grid, restart_interval, keep_going: &|| true };
        let is_whole = walk.run(&mut bytes).unwrap();
        let OneByOne(bytes) = bytes;
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
            let mut bytes = OneByOne(Bytes::default());
            let walk = ScanWalk { data: b"abcdefghijkl", grid, restart_interval: 0, keep_going: &keep_going };
            let expected = if most < 4 { Err(RenderError::Cancelled) } else { Ok(true) };
            assert_eq!(walk.run(&mut bytes), expected);
            assert_eq!(bytes.0.seen.len(), 3 * most.min(4));
        }
    }
}
