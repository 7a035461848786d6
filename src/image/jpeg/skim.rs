//! Finds the bit at which each block starts, without a branch that depends on the data.
//!
//! A look-up of twelve bits passes over all symbols whose codes lie within them; the bits of the last value may lie
//! beyond. So most blocks need five or six look-ups. Each either ends in the block or at the start of the next one, and
//! nothing can predict which. A wrong guess costs more than two look-ups, so the walk selects the next state instead of
//! branching to it.
//!
//! A second table has the class of the energy that each look-up passes over, for those blocks whose samples need it.

use std::hint::select_unpredictable;

use super::cursor::{Cursor, SYMBOL_BITS_MAX};
use super::energy::{self, Energy, WEIGHTS, Weights};
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

/// Most bytes on the heap for the tables of a scan, and the weights of its components.
pub(super) const SKIM_TABLES_BYTES: u64 = (3 << OFFSET_BITS) + (4 * 4 * WEIGHTS as u64);

/// Most components of a scan.
const PARTS: usize = 4;

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
    /// The class of the energy of each entry; 0 for codes that no component with energies uses.
    classes: Box<[u8; 1 << OFFSET_BITS]>,
    /// The weights of each component.
    weights: Box<[u32; PARTS * WEIGHTS]>,
    has_energies: bool,
    /// For each component.
    parts: Vec<(BlockCodes<'a>, Offsets)>,
}

impl<'a> SkimTables<'a> {
    /// `weights` are those of the scan's components; `None` for one whose blocks need no energy. `None` if codes are
    /// missing, which [`super::tables::Tables::serve`] has ruled out.
    pub(super) fn new(lookups: &'a Lookups, scan: &Scan, weights: &[Option<&Weights>]) -> Option<Self> {
        let mut entries = vec![0; 1 << OFFSET_BITS];
        let mut classes = vec![0; 1 << OFFSET_BITS];
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
            let mut sharing = scan.components.iter().zip(weights).filter(|(other, _)| other.ac == part.ac);
            let has_classes = sharing.any(|(_, weights)| weights.is_some());
            for (dc, offset, is_new) in
                [(Some(codes.dc), offsets.start, start == at), (None, offsets.rest, rest == at)]
            {
                if is_new {
                    let range = offset as usize..offset as usize + (1 << INDEX_BITS);
                    let table = entries[range.clone()].iter_mut().zip(&mut classes[range]);
                    for (index, (entry, class)) in (0..).zip(table) {
                        let (composed, squares) = compose(dc, codes.ac, index);
                        *entry = composed;
                        if has_classes {
                            *class = energy::class(squares);
                        }
                    }
                }
            }
        }
        let weights_of =
            |at: usize| weights.get(at / WEIGHTS).copied().flatten().map_or(0, |all| all[at % WEIGHTS]);
        Some(Self {
            entries: entries.into_boxed_slice().try_into().ok()?,
            classes: classes.into_boxed_slice().try_into().ok()?,
            weights: Box::new(std::array::from_fn(weights_of)),
            has_energies: weights.iter().any(Option::is_some),
            parts,
        })
    }

    /// Passes over the coefficients of a block of this component from `coefficient` on. Returns their energy, too, if
    /// that is wanted.
    #[inline(always)]
    pub(super) fn finish<const ENERGIES: bool>(
        &self,
        part: usize,
        data: &[u8],
        mut cursor: Cursor,
        coefficient: u32,
    ) -> (Cursor, Energy) {
        let (codes, offsets) = &self.parts[part];
        let (mut coefficient, mut energy) = (coefficient, Energy::default());
        while coefficient < BLOCK_END {
            cursor.need(data, SYMBOL_BITS_MAX);
            let at = ((offsets.rest | index(cursor.window)) & ((1 << OFFSET_BITS) - 1)) as usize;
            let entry = u32::from(self.entries[at]);
            let next = coefficient * COEFFICIENT + (entry & COEFFICIENTS);
            if next & SLOW != 0 {
                let step = codes.ac.step(&mut cursor);
                if ENERGIES {
                    energy.add(step.value, self.weights[self.weight(part, coefficient + step.run)]);
                }
                coefficient += step.run + 1;
            } else {
                if ENERGIES {
                    let weight = self.weights[self.weight(part, middle(coefficient * COEFFICIENT, entry))];
                    energy.add_class(self.classes[at], weight);
                }
                cursor.pass(entry & 63);
                coefficient = if entry & END != 0 { BLOCK_END } else { next / COEFFICIENT };
            }
        }
        (cursor, energy)
    }

    /// The index of a coefficient's weight.
    #[inline(always)]
    const fn weight(&self, part: usize, coefficient: u32) -> usize {
        (part * WEIGHTS + (coefficient as usize & (WEIGHTS - 1))) & (PARTS * WEIGHTS - 1)
    }
}

/// The coefficient whose weight stands for those of an entry; `passed` is that before the entry, in its field. Most of
/// the energy is in the first ones.
#[inline(always)]
const fn middle(passed: u32, entry: u32) -> u32 {
    ((passed & COEFFICIENTS) + ((entry & (COEFFICIENTS ^ SLOW)) >> 2)) / COEFFICIENT
}

#[inline(always)]
const fn index(window: u64) -> u32 {
    (window >> (64 - INDEX_BITS)) as u32
}

/// The entry for these bits: a DC symbol if there are codes for it, and AC symbols up to the end of the block. Returns
/// also the sum of the squares of their AC values, as far as the bits tell.
fn compose(dc: Option<&Codes>, ac: &Codes, bits: u32) -> (u16, u32) {
    // Behind the bits stands the middle of what may follow, so a value that ends there is near its mean.
    let window = u64::from(bits) << (64 - INDEX_BITS) | 1 << (63 - INDEX_BITS);
    let (mut passed, mut coefficients, mut squares) = (0, 0, 0);
    if let Some(codes) = dc {
        let symbol = codes.symbol(window);
        if symbol.code_bits() > INDEX_BITS || symbol.bits() > ENTRY_BITS_MAX {
            return (SLOW as u16, 0);
        }
        passed = symbol.bits();
    }
    while passed < INDEX_BITS {
        let rest = window << passed;
        let symbol = ac.symbol(rest);
        let (coded, after) = (passed + symbol.code_bits(), passed + symbol.bits());
        if coded > INDEX_BITS || after > ENTRY_BITS_MAX {
            break;
        }
        if symbol.run() >= BLOCK_END {
            return ((after | (coefficients * COEFFICIENT) | END) as u16, squares);
        }
        // A block has at most 63 coefficients after its first.
        if coefficients + symbol.run() + 1 > 63 {
            break;
        }
        let square = symbol.value(rest).unsigned_abs().pow(2);
        // Of a value without a bit only the size is known: from 1 to 2 times the value here, whose mean square is 7/3.
        squares += if coded == INDEX_BITS { square * 7 / 3 } else { square };
        (passed, coefficients) = (after, coefficients + symbol.run() + 1);
    }
    let entry = if passed == 0 { SLOW } else { passed | (coefficients * COEFFICIENT) };
    (entry as u16, squares)
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
    /// For each block its energy.
    energies: [Energy; CELLS],
}

/// A place in a batch.
#[derive(Clone, Copy, Default)]
pub(super) struct SkimPlace {
    pub(super) cursor: Cursor,
    pub(super) block: usize,
    /// The next coefficient: 0–63.
    pub(super) coefficient: u32,
    /// The energy of the block's coefficients before it.
    energy: Energy,
}

impl<'a> Skimmer<'a> {
    /// `unit` are the components of the blocks of a unit: at least one.
    pub(super) fn new(tables: &'a SkimTables<'a>, unit: &[usize]) -> Self {
        let mut skimmer = Self {
            tables,
            cells: [Cell::default(); CELLS + 1],
            parts: [0; CELLS],
            energies: [Energy::default(); CELLS],
        };
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

    /// The energies of the blocks of the batch, for components with weights.
    pub(super) fn energies(&self) -> &[Energy] {
        &self.energies
    }

    /// Walks until `limit` blocks of the batch are passed, or fewer than eight bytes of the data are left. All bits that
    /// it passes are within the data but for its last byte.
    pub(super) fn run(&mut self, data: &[u8], mut place: SkimPlace, limit: usize) -> SkimPlace {
        if place.coefficient == 0 {
            self.note_start(place);
        }
        loop {
            place = if self.tables.has_energies {
                self.run_fast::<true>(data, place, limit)
            } else {
                self.run_fast::<false>(data, place, limit)
            };
            if place.block >= limit || data.len() < place.cursor.at + 8 {
                return place;
            }
            place = self.step(data, place);
        }
    }

    /// As [`Skimmer::run`], but also ends where a symbol must be read by itself.
    #[inline(always)]
    fn run_fast<const ENERGIES: bool>(&mut self, data: &[u8], place: SkimPlace, limit: usize) -> SkimPlace {
        let Cursor { mut window, at: mut byte, .. } = place.cursor;
        let mut bit = place.cursor.bit() as u32;
        let (mut block, mut energy) = (place.block, place.energy);
        let (_, offsets) = &self.tables.parts[usize::from(self.parts[block & (CELLS - 1)])];
        let (mut table, mut passed) = match place.coefficient {
            0 => (offsets.start, COEFFICIENT),
            next => (offsets.rest, next * COEFFICIENT),
        };
        let SkimTables { entries, classes, weights, .. } = self.tables;
        let (cells, energies) = (&mut self.cells, &mut self.energies);
        'fast: while block < limit {
            let Some(word) = data.get(byte..).and_then(|rest| rest.first_chunk()) else { break };
            let count = (byte as u32 * 8 - bit) & 63;
            window |= u64::from_be_bytes(*word) >> count;
            byte += ((63 - count) / 8) as usize;
            passed &= COEFFICIENTS;
            for _ in 0..3 {
                let at = ((table | index(window)) & ((1 << OFFSET_BITS) - 1)) as usize;
                let entry = u32::from(entries[at]);
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
                if ENERGIES {
                    let part = usize::from(self.parts[here]);
                    let weight = weights[self.tables.weight(part, middle(passed, entry))];
                    energy.add_class(classes[at], weight);
                    energies[here] = energy;
                    energy = select_unpredictable(ends, Energy::default(), energy);
                }
                passed = select_unpredictable(ends, COEFFICIENT, next);
                table = select_unpredictable(ends, offsets >> NEXT_SHIFT, offsets & ((1 << OFFSET_BITS) - 1));
                block += (entry / END) as usize;
            }
        }
        let cursor = Cursor { window, count: byte as u32 * 8 - bit, at: byte };
        let coefficient = if table & START == 0 { (passed & COEFFICIENTS) / COEFFICIENT } else { 0 };
        SkimPlace { cursor, block, coefficient, energy }
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
        let part = usize::from(self.parts[place.block]);
        let (codes, _) = &self.tables.parts[part];
        if place.coefficient == 0 {
            place.cursor.pass(codes.dc.symbol(place.cursor.window).bits());
            place.coefficient = 1;
            return false;
        }
        let symbol = codes.ac.symbol(place.cursor.window);
        let weight = self.tables.weight(part, place.coefficient + symbol.run());
        place.energy.add(symbol.value(place.cursor.window), self.tables.weights[weight]);
        place.cursor.pass(symbol.bits());
        place.coefficient += symbol.run() + 1;
        let ends = place.coefficient >= BLOCK_END;
        if ends {
            self.energies[place.block] = std::mem::take(&mut place.energy);
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
        self.energies.copy_within(dropped..place.block, 0);
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
