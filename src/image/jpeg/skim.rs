//! Finds the bit at which each block starts, without a branch that depends on the data.
//!
//! A look-up of twelve bits passes over all symbols whose codes lie within them; the bits of the last value may lie
//! beyond. So most blocks need five or six look-ups. Each either ends in the block or at the start of the next one, and
//! nothing can predict which. A wrong guess costs more than two look-ups, so the walk selects the next state instead of
//! branching to it.

use std::hint::select_unpredictable;

use super::cursor::{Cursor, SYMBOL_BITS_MAX};
use super::huffman::{BLOCK_END, Codes};
use super::scan::Scan;
use super::tables::Lookups;

/// Bits that index a table. With one more the tables of most files would not fit into the first-level cache.
const INDEX_BITS: u32 = 12;

/// Most bits of an entry: three entries need no more than the 56 bits of one load.
const ENTRY_BITS_MAX: u32 = 18;

/// Fields of an entry: bits to pass (8), coefficients passed (6), whether it has no symbol (1), whether the block ends
/// (1). A sum of coefficients beyond the last one of a block sets the third field, too.
const COEFFICIENT: u32 = 1 << 8;
const SLOW: u32 = 1 << 14;
const END: u32 = 1 << 15;
/// Coefficients of an entry or a sum of them.
const COEFFICIENTS: u32 = 0x7F00;

/// Set in the offsets of those tables that begin with a DC coefficient.
const START: u32 = 4 << INDEX_BITS;
const OFFSET_BITS: u32 = 15;
/// Bits below the offset of the next block's table in [`Cell::offsets`].
const NEXT_SHIFT: u32 = 32 - OFFSET_BITS;

/// Most blocks of a batch. Three steps may pass its end by as many, and 256 is the number of cells.
pub(super) const BATCH_BLOCKS: usize = 252;
const CELLS: usize = 256;

/// Most bytes on the heap for the tables of a scan.
pub(super) const SKIM_TABLES_BYTES: u64 = 2 << OFFSET_BITS;

/// The codes of a component's blocks.
#[derive(Clone, Copy)]
pub(super) struct BlockCodes<'a> {
    pub(super) dc: &'a Codes,
    pub(super) ac: &'a Codes,
}

/// The offsets of the tables of a component.
#[derive(Clone, Copy)]
struct Offsets {
    /// For a whole block.
    start: u32,
    /// For AC coefficients.
    rest: u32,
}

/// The tables of a scan.
pub(super) struct SkimTables<'a> {
    entries: Box<[u16; 1 << OFFSET_BITS]>,
    /// For each component.
    parts: Vec<(BlockCodes<'a>, Offsets)>,
}

impl<'a> SkimTables<'a> {
    /// `None` if codes are missing, which [`super::tables::Tables::serve`] has ruled out.
    pub(super) fn new(lookups: &'a Lookups, scan: &Scan) -> Option<Self> {
        let mut entries = vec![0; 1 << OFFSET_BITS];
        let mut parts = Vec::with_capacity(scan.components.len());
        for (at, part) in scan.components.iter().enumerate() {
            let codes = BlockCodes { dc: lookups.dc(*part)?, ac: lookups.ac(*part)? };
            // Components with the same codes share the tables of the first one.
            let mut others = scan.components.iter();
            let start = others.position(|other| (other.dc, other.ac) == (part.dc, part.ac))?;
            let rest = scan.components.iter().position(|other| other.ac == part.ac)?;
            let [start_offset, rest_offset] = [start, rest].map(|place| (place as u32) << INDEX_BITS);
            let offsets = Offsets { start: START + start_offset, rest: rest_offset };
            parts.push((codes, offsets));
            for (dc, offset, is_new) in
                [(Some(codes.dc), offsets.start, start == at), (None, offsets.rest, rest == at)]
            {
                if is_new {
                    let table = &mut entries[offset as usize..][..1 << INDEX_BITS];
                    (0..).zip(table).for_each(|(index, entry)| *entry = compose(dc, codes.ac, index));
                }
            }
        }
        Some(Self { entries: entries.into_boxed_slice().try_into().ok()?, parts })
    }

    /// Passes over the coefficients of a block of this component from `coefficient` on.
    #[inline(always)]
    pub(super) fn finish(&self, part: usize, data: &[u8], mut cursor: Cursor, coefficient: u32) -> Cursor {
        let (codes, offsets) = &self.parts[part];
        let mut coefficient = coefficient;
        while coefficient < BLOCK_END {
            cursor.need(data, SYMBOL_BITS_MAX);
            let entry = u32::from(self.entries[(offsets.rest | index(cursor.window)) as usize]);
            let next = coefficient * COEFFICIENT + (entry & COEFFICIENTS);
            if next & SLOW != 0 {
                coefficient += codes.ac.step(&mut cursor).run + 1;
            } else {
                cursor.pass(entry & 63);
                coefficient = if entry & END != 0 { BLOCK_END } else { next / COEFFICIENT };
            }
        }
        cursor
    }
}

#[inline(always)]
const fn index(window: u64) -> u32 {
    (window >> (64 - INDEX_BITS)) as u32
}

/// The entry for these bits: a DC symbol if there are codes for it, and AC symbols up to the end of the block.
fn compose(dc: Option<&Codes>, ac: &Codes, bits: u32) -> u16 {
    let window = u64::from(bits) << (64 - INDEX_BITS);
    let (mut passed, mut coefficients) = (0, 0);
    if let Some(codes) = dc {
        let symbol = codes.symbol(window);
        if symbol.code_bits() > INDEX_BITS || symbol.bits() > ENTRY_BITS_MAX {
            return SLOW as u16;
        }
        passed = symbol.bits();
    }
    while passed < INDEX_BITS {
        let symbol = ac.symbol(window << passed);
        let after = passed + symbol.bits();
        if passed + symbol.code_bits() > INDEX_BITS || after > ENTRY_BITS_MAX {
            break;
        }
        if symbol.run() >= BLOCK_END {
            return (after | (coefficients * COEFFICIENT) | END) as u16;
        }
        // A block has at most 63 coefficients after its first.
        if coefficients + symbol.run() + 1 > 63 {
            break;
        }
        (passed, coefficients) = (after, coefficients + symbol.run() + 1);
    }
    if passed == 0 { SLOW as u16 } else { (passed | (coefficients * COEFFICIENT)) as u16 }
}

/// A block of a batch.
#[derive(Clone, Copy, Default)]
pub(super) struct Cell {
    /// The offset of the table of its AC coefficients, and above it that of the start of the next block. They are not
    /// halves of a word: the compiler would load the selected one only after the selection.
    offsets: u32,
    /// Its first bit.
    pub(super) start: u32,
}

/// The walk over the blocks of a scan, a batch at a time.
pub(super) struct Skimmer<'a> {
    tables: &'a SkimTables<'a>,
    cells: [Cell; CELLS + 1],
    /// For each block its component in the scan.
    parts: [u8; CELLS],
}

/// A place in a batch.
#[derive(Clone, Copy, Default)]
pub(super) struct SkimPlace {
    pub(super) cursor: Cursor,
    pub(super) block: usize,
    /// The next coefficient: 0–63.
    pub(super) coefficient: u32,
}

impl<'a> Skimmer<'a> {
    /// `unit` are the components of the blocks of a unit: at least one.
    pub(super) fn new(tables: &'a SkimTables<'a>, unit: &[usize]) -> Self {
        let mut skimmer = Self { tables, cells: [Cell::default(); CELLS + 1], parts: [0; CELLS] };
        let places = unit.iter().cycle().zip(unit.iter().cycle().skip(1));
        for ((cell, part), (this, next)) in skimmer.cells.iter_mut().zip(&mut skimmer.parts).zip(places) {
            *part = *this as u8;
            cell.offsets = (tables.parts[*next].1.start << NEXT_SHIFT) | tables.parts[*this].1.rest;
        }
        skimmer
    }

    /// The blocks of the batch, with their starts up to the one that was reached.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Walks until `limit` blocks of the batch are passed, or fewer than eight bytes of the data are left. All bits that
    /// it passes are within the data but for its last byte.
    pub(super) fn run(&mut self, data: &[u8], mut place: SkimPlace, limit: usize) -> SkimPlace {
        if place.coefficient == 0 {
            self.note_start(place);
        }
        loop {
            place = self.run_fast(data, place, limit);
            if place.block >= limit || data.len() < place.cursor.at + 8 {
                return place;
            }
            place = self.step(data, place);
        }
    }

    /// As [`Skimmer::run`], but also ends where a symbol must be read by itself.
    #[inline(always)]
    fn run_fast(&mut self, data: &[u8], place: SkimPlace, limit: usize) -> SkimPlace {
        let Cursor { mut window, mut at, .. } = place.cursor;
        let mut bit = place.cursor.bit() as u32;
        let mut block = place.block;
        let (_, offsets) = &self.tables.parts[usize::from(self.parts[block & (CELLS - 1)])];
        let (mut table, mut passed) = match place.coefficient {
            0 => (offsets.start, COEFFICIENT),
            next => (offsets.rest, next * COEFFICIENT),
        };
        let (entries, cells) = (&*self.tables.entries, &mut self.cells);
        'fast: while block < limit {
            let Some(word) = data.get(at..).and_then(|rest| rest.first_chunk()) else { break };
            let count = (at as u32 * 8 - bit) & 63;
            window |= u64::from_be_bytes(*word) >> count;
            at += ((63 - count) / 8) as usize;
            passed &= COEFFICIENTS;
            for _ in 0..3 {
                let entry = u32::from(entries[((table | index(window)) & ((1 << OFFSET_BITS) - 1)) as usize]);
                let next = passed + entry;
                if next & SLOW != 0 {
                    break 'fast;
                }
                window <<= entry & 63;
                bit += entry & 0xFF;
                let here = block & (CELLS - 1);
                let offsets = cells[here].offsets;
                // Too early within a block, but its last step comes last.
                cells[here + 1].start = bit;
                let ends = entry & END != 0;
                passed = select_unpredictable(ends, COEFFICIENT, next);
                table = select_unpredictable(ends, offsets >> NEXT_SHIFT, offsets & ((1 << OFFSET_BITS) - 1));
                block += (entry / END) as usize;
            }
        }
        let cursor = Cursor { window, count: at as u32 * 8 - bit, at };
        let coefficient = if table & START == 0 { (passed & COEFFICIENTS) / COEFFICIENT } else { 0 };
        SkimPlace { cursor, block, coefficient }
    }

    /// Passes a symbol for which the tables have no entry, and the rest of the block if the next is such a one, too.
    #[inline(never)]
    fn step(&mut self, data: &[u8], mut place: SkimPlace) -> SkimPlace {
        let (_, offsets) = self.tables.parts[usize::from(self.parts[place.block])];
        if self.pass_symbol(data, &mut place) {
            return place;
        }
        let entry = self.tables.entries[(offsets.rest | index(place.cursor.window)) as usize];
        if (place.coefficient * COEFFICIENT + u32::from(entry)) & SLOW != 0 {
            while place.cursor.at + 8 <= data.len() && !self.pass_symbol(data, &mut place) {}
        }
        place
    }

    /// Passes one symbol, and notes the start of the block that begins behind it. Returns whether one does.
    #[inline(always)]
    pub(super) fn pass_symbol(&mut self, data: &[u8], place: &mut SkimPlace) -> bool {
        place.cursor.refill(data);
        let (codes, _) = &self.tables.parts[usize::from(self.parts[place.block])];
        if place.coefficient == 0 {
            place.cursor.pass(codes.dc.symbol(place.cursor.window).bits());
            place.coefficient = 1;
            return false;
        }
        let symbol = codes.ac.symbol(place.cursor.window);
        place.cursor.pass(symbol.bits());
        place.coefficient += symbol.run() + 1;
        let ends = place.coefficient >= BLOCK_END;
        if ends {
            (place.block, place.coefficient) = (place.block + 1, 0);
            self.note_start(*place);
        }
        ends
    }

    const fn note_start(&mut self, place: SkimPlace) {
        self.cells[place.block].start = place.cursor.bit() as u32;
    }

    /// Begins a new batch behind this many blocks.
    pub(super) fn drop_blocks(&mut self, dropped: usize, place: &mut SkimPlace) {
        for at in dropped..=place.block {
            self.cells[at - dropped].start = self.cells[at].start;
        }
        place.block -= dropped;
    }

    /// The first byte that the blocks of the batch need.
    pub(super) const fn first_byte(&self) -> usize {
        self.cells[0].start as usize / 8
    }

    /// Counts bits from this byte on, which is not behind the first one of the batch.
    pub(super) fn drop_bytes(&mut self, dropped: usize, place: &mut SkimPlace) {
        for cell in &mut self.cells[..=place.block] {
            cell.start -= dropped as u32 * 8;
        }
        place.cursor.at -= dropped;
    }
}
