//! Sequential files: each block becomes samples as soon as it is read, and no coefficient is kept.
//!
//! Where most blocks become a single sample, [`Skimmer`] finds the starts of a batch of blocks, and only then their
//! samples are decoded. Else blocks are read one after another.

use std::ops::Range;

use super::component::{ComponentDecoder, Spot};
use super::cursor::Cursor;
use super::scan::Scan;
use super::skim::{BATCH_BLOCKS, SkimPlace, SkimTables, Skimmer};
use super::tables::{Lookups, Tables};
use super::unstuffed::Unstuffed;
use super::walk::{Intervals, OneByOne, ScanWalk, UnitRows, Units};
use super::{CORRUPT, ComponentPlane, Scale, Work};
use crate::image::container::jpeg::Segments;
use crate::image::error::RenderError;

/// Decodes all scans, one after another. Returns also whether every block of every component was there.
pub(super) fn decode(work: &Work<'_>) -> Result<(Vec<ComponentPlane>, bool), RenderError> {
    let frame = work.frame;
    let mut planes = work.planes();
    let mut seen = vec![false; planes.len()];
    let mut is_whole = true;
    let (mut tables, mut at) = (Tables::default(), 2);
    for scan in work.scans {
        Segments::from(&work.source[..scan.head], at).for_each(|segment| tables.read(&segment));
        at = scan.data.end;
        // Each component has one scan; a second one would replace the work of the first.
        if scan.components.iter().any(|part| seen[part.index]) || !tables.serve(frame, scan) {
            continue;
        }
        scan.components.iter().for_each(|part| seen[part.index] = true);
        is_whole &= decode_scan(work, scan, &tables, &mut planes)?;
    }
    is_whole &= seen.iter().all(|seen| *seen);
    if seen[0] { Ok((planes, is_whole)) } else { Err(CORRUPT) }
}

fn decode_scan(
    work: &Work<'_>,
    scan: &Scan,
    tables: &Tables,
    planes: &mut [ComponentPlane],
) -> Result<bool, RenderError> {
    let lookups = Lookups::new(tables, work.frame, scan);
    let mut parts = Vec::with_capacity(planes.len());
    // First in the frame's order, because each plane can be borrowed only once; then in the scan's order.
    for (index, plane) in planes.iter_mut().enumerate() {
        if let Some(place) = scan.components.iter().position(|part| part.index == index) {
            let part = ComponentDecoder::new(work, (scan, place), tables, &lookups, plane).ok_or(CORRUPT)?;
            parts.push((place, part));
        }
    }
    parts.sort_by_key(|(place, _)| *place);
    let parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
    let walk = ScanWalk {
        data: &work.source[scan.data.clone()],
        grid: scan.units(work.frame),
        restart_interval: tables.restart_interval,
        keep_going: work.keep_going,
    };
    let is_short = walk.data.len() < work.skimmed_bytes_min;
    if is_short || parts.iter().all(|part| part.scale() == Scale::Whole) {
        return walk.run(&mut OneByOne(Unit { parts, skim_tables: None }));
    }
    let weights: Vec<_> = parts.iter().map(ComponentDecoder::weights).collect();
    let skim_tables = SkimTables::new(&lookups, scan, &weights).ok_or(CORRUPT)?;
    let blocks = |scale: Scale| -> usize {
        parts.iter().filter(|part| part.scale() == scale).map(ComponentDecoder::unit_blocks).sum()
    };
    let all: usize = parts.iter().map(ComponentDecoder::unit_blocks).sum();
    if 2 * blocks(Scale::Eighth) >= all {
        walk.run(&mut Batches::new(parts, &skim_tables))
    } else {
        walk.run(&mut OneByOne(Unit { parts, skim_tables: Some(skim_tables) }))
    }
}

/// The blocks of a unit.
struct Unit<'a> {
    parts: Vec<ComponentDecoder<'a>>,
    skim_tables: Option<SkimTables<'a>>,
}

impl Units for Unit<'_> {
    #[inline(always)]
    fn decode(&mut self, data: &[u8], mut cursor: Cursor, place: (u32, u32)) -> Cursor {
        for (at, part) in self.parts.iter_mut().enumerate() {
            let rest = self.skim_tables.as_ref().map(|tables| (tables, at));
            cursor = part.decode_unit(data, cursor, place, rest);
        }
        cursor
    }

    fn restart(&mut self) {
        self.parts.iter_mut().for_each(ComponentDecoder::restart);
    }
}

/// Blocks, a batch at a time.
struct Batches<'a> {
    parts: Vec<(ComponentDecoder<'a>, Vec<Spot>)>,
    skimmer: Skimmer<'a>,
    unit_blocks: usize,
}

impl<'a> Batches<'a> {
    fn new(parts: Vec<ComponentDecoder<'a>>, tables: &'a SkimTables<'a>) -> Self {
        let numbered = parts.iter().enumerate();
        let unit: Vec<usize> = numbered.flat_map(|(at, part)| vec![at; part.unit_blocks()]).collect();
        let mut first = 0;
        let with_spots = parts.into_iter().map(|part| {
            let spots = part.spots(first, unit.len());
            first += part.unit_blocks();
            (part, spots)
        });
        Self { parts: with_spots.collect(), skimmer: Skimmer::new(tables, &unit), unit_blocks: unit.len() }
    }

    /// Walks on to this block or to the end of the piece. Returns whether the interval ended before.
    fn skim(&mut self, data: &Unstuffed<'_>, place: &mut SkimPlace, limit: usize) -> bool {
        let (bytes, filled) = (data.bytes(), data.filled());
        // Where the interval goes on, eight bytes more than those that a block ends in are loaded.
        let end = if data.is_last() { filled + 1 } else { filled.saturating_sub(7) };
        *place = self.skimmer.run(&bytes[..end], *place, limit);
        while data.is_last() && place.block < limit {
            let is_end = self.skimmer.pass_symbol(bytes, place);
            // A unit that takes more bits than there are is the last one.
            if is_end && place.block.is_multiple_of(self.unit_blocks) && place.cursor.bit() > filled * 8 {
                return true;
            }
        }
        false
    }

    /// Decodes the first units of the batch.
    fn write(&mut self, data: &[u8], units: Range<u64>, rows: &mut UnitRows<'_>) -> Result<(), RenderError> {
        let mut unit = units.start;
        while unit < units.end {
            let (column, row, count) = rows.enter(unit)?;
            let count = count.min(units.end - unit);
            let first = (unit - units.start) as usize * self.unit_blocks;
            let blocks = (&self.skimmer.cells()[first..], &self.skimmer.energies()[first..]);
            for (part, spots) in &mut self.parts {
                let spots = &spots[..count as usize * part.unit_blocks()];
                part.decode_cells(data, blocks, spots, (column, row));
            }
            unit += count;
        }
        Ok(())
    }
}

impl Intervals for Batches<'_> {
    fn decode(
        &mut self,
        data: &mut Unstuffed<'_>,
        units: Range<u64>,
        rows: &mut UnitRows<'_>,
    ) -> Result<bool, RenderError> {
        let most = (BATCH_BLOCKS / self.unit_blocks) as u64;
        let mut place = SkimPlace::default();
        let mut unit = units.start;
        loop {
            let end = units.end.min(unit + most);
            let limit = (end - unit) as usize * self.unit_blocks;
            let is_exhausted = self.skim(data, &mut place, limit);
            let done = place.block.min(limit) / self.unit_blocks;
            self.write(data.bytes(), unit..unit + done as u64, rows)?;
            unit += done as u64;
            if is_exhausted || unit == units.end {
                return Ok(!is_exhausted);
            }
            let is_short = place.block < limit;
            self.skimmer.drop_blocks(done * self.unit_blocks, &mut place);
            if is_short {
                let dropped = self.skimmer.first_byte();
                data.advance(dropped);
                self.skimmer.drop_bytes(dropped, &mut place);
            }
        }
    }

    fn restart(&mut self) {
        self.parts.iter_mut().for_each(|(part, _)| part.restart());
    }
}
