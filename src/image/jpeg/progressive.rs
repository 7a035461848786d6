//! Progressive files: collects the coefficients of all scans, then transforms them to samples.
//!
//! Only the coefficients that the scale needs are kept, and for each block the set of its non-zero ones: a refining
//! scan has a bit for each of these, needed or not. A scan without a needed coefficient is skipped, unless it shares a
//! band with a scan that has one. At one eighth only the scans of DC coefficients remain; for samples of linear light also
//! those that bring the first bits of luma's other coefficients, which have nearly all of its energy.

use super::component::Lighting;
use super::cursor::{Cursor, SYMBOL_BITS_MAX};
use super::energy::{Energy, WEIGHTS};
use super::frame::{Component, JpegFrame};
use super::huffman::{BLOCK_END, Codes};
use super::scan::Scan;
use super::tables::{Lookups, Tables};
use super::transform;
use super::walk::{OneByOne, ScanWalk, Units};
use super::{CORRUPT, ComponentPlane, Scale, Work};
use crate::image::container::jpeg::Segments;
use crate::image::error::{RenderError, proceed};

/// Bytes of the coefficients of a component, and of their energies if it has some.
pub(super) fn storage_bytes(frame: &JpegFrame, component: &Component, scale: Scale, is_lit: bool) -> u64 {
    let set = if scale == Scale::Eighth { 0 } else { 8 };
    let energy = if is_lit { 4 } else { 0 };
    frame.padded_blocks(component).area() * (2 * scale.coefficients() as u64 + set + energy)
}

/// Decodes all needed scans, then makes the planes. Returns also whether every bit of every tracked coefficient was
/// there; at a scale below the whole, not all are tracked.
pub(super) fn decode(work: &Work<'_>) -> Result<(Vec<ComponentPlane>, bool), RenderError> {
    let stores = work.frame.components.iter().zip(work.scales);
    let mut stores: Vec<CoefficientStore> =
        stores.map(|(component, scale)| CoefficientStore::new(work.frame, component, scale)).collect();
    for (index, store) in stores.iter_mut().enumerate() {
        store.needed = needed(work.scans, index, store.scale);
    }
    let mut is_whole = true;
    let (mut tables, mut at) = (Tables::default(), 2);
    for scan in work.scans {
        Segments::from(&work.source[..scan.head], at).for_each(|segment| tables.read(&segment));
        at = scan.data.end;
        let is_needed = scan.components.iter().any(|part| stores[part.index].wants(scan, work, part.index));
        if is_needed && tables.serve(work.frame, scan) {
            for part in &scan.components {
                let quantization = work.frame.components[part.index].quantization;
                let steps = tables.quantization(quantization).ok_or(CORRUPT)?;
                stores[part.index].set_steps(work, part.index, steps);
            }
            is_whole &= decode_scan(work, scan, &tables, &mut stores)?;
            for part in scan.components.iter().filter(|_| scan.low == 0) {
                stores[part.index].finished |= scan.band();
            }
        }
    }
    is_whole &= stores.iter().all(|store| store.needed & !store.finished == 0);
    if stores[0].steps.is_none() {
        return Err(CORRUPT);
    }
    let mut planes = work.planes();
    for (store, plane) in stores.into_iter().zip(&mut planes) {
        store.write(plane, work.keep_going)?;
    }
    Ok((planes, is_whole))
}

/// The coefficients of a component that must be tracked: the ones of the scale, and all that share a scan with them.
pub(super) fn needed(scans: &[Scan], index: usize, scale: Scale) -> u64 {
    let mut needed = u64::MAX >> (63 - scale.last_coefficient());
    loop {
        let before = needed;
        for scan in scans.iter().filter(|scan| scan.components.iter().any(|part| part.index == index)) {
            if needed & scan.band() != 0 {
                needed |= scan.band();
            }
        }
        if needed == before {
            return needed;
        }
    }
}

fn decode_scan(
    work: &Work<'_>,
    scan: &Scan,
    tables: &Tables,
    stores: &mut [CoefficientStore],
) -> Result<bool, RenderError> {
    let lookups = Lookups::new(tables, work.frame, scan);
    let walk = ScanWalk {
        data: &work.source[scan.data.clone()],
        grid: scan.units(work.frame),
        restart_interval: tables.restart_interval,
        keep_going: work.keep_going,
    };
    if scan.first == 0 {
        let parts = scan.components.iter().map(|part| {
            let (across, down) = scan.unit_blocks(work.frame, *part);
            DcPart { index: part.index, across, down, codes: lookups.dc(*part), previous: 0 }
        });
        let parts = parts.collect();
        return walk.run(&mut OneByOne(Dc { parts, stores, low: scan.low }));
    }
    let part = scan.components[0];
    let store = &mut stores[part.index];
    let codes = lookups.ac(part).ok_or(CORRUPT)?;
    let band = Band { codes, first: scan.first, last: scan.last, low: scan.low, ends: 0, store };
    if scan.refines { walk.run(&mut OneByOne(Refined(band))) } else { walk.run(&mut OneByOne(First(band))) }
}

/// The coefficients of a component.
struct CoefficientStore {
    scale: Scale,
    /// Blocks in a row.
    columns: usize,
    rows: usize,
    /// For each block the set of non-zero coefficients, in zigzag order; empty at one eighth, which does not need it.
    nonzero: Vec<u64>,
    /// For each block as many coefficients as the scale needs, in the scale's order.
    coefficients: Vec<i16>,
    /// Quantisation steps in zigzag order; `None` before the first scan.
    steps: Option<[i16; 64]>,
    /// The tracked coefficients, in zigzag order.
    needed: u64,
    /// The coefficients whose lowest bits have come.
    finished: u64,
    /// The stored coefficients.
    kept: u64,
    /// For samples of linear light; `None` before the first scan.
    light: Option<Lighting>,
    /// For each block the energy of its other coefficients; empty for samples that stay as they are.
    energies: Vec<u32>,
}

impl CoefficientStore {
    fn new(frame: &JpegFrame, component: &Component, scale: Scale) -> Self {
        let grid = frame.padded_blocks(component);
        let blocks = grid.area() as usize;
        let places = (0_u64..64).zip(scale.order());
        let kept = places.filter(|(_, place)| usize::from(**place) < scale.coefficients());
        Self {
            scale,
            columns: grid.columns as usize,
            rows: grid.rows as usize,
            nonzero: vec![0; if scale == Scale::Eighth { 0 } else { blocks }],
            coefficients: vec![0; blocks * scale.coefficients()],
            steps: None,
            needed: 0,
            finished: 0,
            kept: kept.fold(0, |kept, (at, _)| kept | 1 << at),
            light: None,
            energies: Vec::new(),
        }
    }

    /// Whether the scan has coefficients that become samples, or energy.
    fn wants(&self, scan: &Scan, work: &Work<'_>, component: usize) -> bool {
        let is_energy = work.lit[component] && scan.first > 0 && !scan.refines;
        self.needed & scan.band() != 0 || (is_energy && scan.band() & !self.kept != 0)
    }

    /// The steps that count are those at the first scan.
    fn set_steps(&mut self, work: &Work<'_>, component: usize, steps: &[i16; 64]) {
        if self.steps.is_none() {
            self.steps = Some(*steps);
            self.light = Lighting::of(work, component, steps);
            self.energies = vec![0; if self.light.is_some() { self.columns * self.rows } else { 0 }];
        }
    }

    const fn block(&self, column: u32, row: u32) -> usize {
        row as usize * self.columns + column as usize
    }

    /// Transforms all blocks to samples.
    fn write(self, plane: &mut ComponentPlane, keep_going: &dyn Fn() -> bool) -> Result<(), RenderError> {
        let Some(steps) = self.steps else { return Ok(()) };
        let steps = self.scale.ordered_steps(&steps);
        let stride = plane.stride;
        for row in 0..self.rows as u32 {
            proceed(keep_going)?;
            for column in 0..self.columns as u32 {
                let block = self.block(column, row);
                let samples = plane.block_mut(column, row, self.scale.block_side());
                let count = self.scale.coefficients();
                let coefficients = &self.coefficients[block * count..][..count];
                if self.nonzero.get(block).is_none_or(|set| set & self.kept == 0) {
                    transform::write_flat(self.scale, coefficients[0], steps[0], samples, stride);
                } else {
                    transform::write_block(self.scale, coefficients, &steps[..count], samples, stride);
                }
                if let (Some(light), Some(energy)) = (&self.light, self.energies.get(block)) {
                    let side = self.scale.block_side() as usize;
                    light.correction.block(samples, stride, side, Energy::of_stored(*energy));
                }
            }
        }
        Ok(())
    }
}

/// A scan of DC coefficients.
struct Dc<'a> {
    parts: Vec<DcPart<'a>>,
    stores: &'a mut [CoefficientStore],
    low: u32,
}

struct DcPart<'a> {
    index: usize,
    /// Blocks in a unit.
    across: u32,
    down: u32,
    /// `None` in a refining scan.
    codes: Option<&'a Codes>,
    previous: i32,
}

impl Units for Dc<'_> {
    #[inline(always)]
    fn decode(&mut self, data: &[u8], mut cursor: Cursor, (column, row): (u32, u32)) -> Cursor {
        for part in &mut self.parts {
            let store = &mut self.stores[part.index];
            for y in 0..part.down {
                for x in 0..part.across {
                    let block = store.block(column * part.across + x, row * part.down + y);
                    let first = &mut store.coefficients[block * store.scale.coefficients()];
                    cursor.need(data, SYMBOL_BITS_MAX);
                    match part.codes {
                        Some(codes) => {
                            part.previous = part.previous.wrapping_add(codes.step(&mut cursor).value);
                            *first = (part.previous << self.low) as i16;
                        }
                        None => *first |= (cursor.take(1) << self.low) as i16,
                    }
                }
            }
        }
        cursor
    }

    fn restart(&mut self) {
        self.parts.iter_mut().for_each(|part| part.previous = 0);
    }
}

/// A scan of AC coefficients, which has one component.
struct Band<'a> {
    codes: &'a Codes,
    /// First and last coefficient, in zigzag order.
    first: u32,
    last: u32,
    /// The number of lower bits, which later scans give.
    low: u32,
    /// Remaining blocks that have only refining bits.
    ends: u32,
    store: &'a mut CoefficientStore,
}

/// A scan of the upper bits of coefficients.
struct First<'a>(Band<'a>);

impl Units for First<'_> {
    #[inline(always)]
    fn decode(&mut self, data: &[u8], mut cursor: Cursor, (column, row): (u32, u32)) -> Cursor {
        let band = &mut self.0;
        if band.ends > 0 {
            band.ends -= 1;
            return cursor;
        }
        let block = band.store.block(column, row);
        let count = band.store.scale.coefficients();
        let order = band.store.scale.order();
        let (mut nonzero, mut energy) = (0, Energy::default());
        let light = band.store.light.as_ref();
        let coefficients = &mut band.store.coefficients[block * count..][..count];
        let mut at = band.first;
        while at <= band.last {
            cursor.refill(data);
            let step = band.codes.step(&mut cursor);
            if step.run >= BLOCK_END {
                let size = step.run - BLOCK_END;
                band.ends = (1 << size) + cursor.take(size) - 1;
                break;
            }
            at += step.run;
            if step.value != 0 && at <= band.last {
                nonzero |= 1_u64 << at;
                if let Some(light) = light {
                    energy.add_upper(step.value, band.low, light.weights[at as usize & (WEIGHTS - 1)]);
                }
                if let Some(place) = coefficients.get_mut(usize::from(order[at as usize])) {
                    *place = (step.value << band.low) as i16;
                }
            }
            at += 1;
        }
        if let Some(set) = band.store.nonzero.get_mut(block) {
            *set |= nonzero;
        }
        if let Some(stored) = band.store.energies.get_mut(block) {
            *stored = Energy::of_stored(*stored).plus(energy).stored();
        }
        cursor
    }

    fn restart(&mut self) {
        self.0.ends = 0;
    }
}

/// A scan of one more bit of each coefficient.
struct Refined<'a>(Band<'a>);

impl Units for Refined<'_> {
    #[inline(always)]
    fn decode(&mut self, data: &[u8], mut cursor: Cursor, (column, row): (u32, u32)) -> Cursor {
        let band = &mut self.0;
        let block = band.store.block(column, row);
        let count = band.store.scale.coefficients();
        let Some(set) = band.store.nonzero.get_mut(block) else { return cursor };
        let coefficients = &mut band.store.coefficients[block * count..][..count];
        let mut refined = RefinedBlock {
            nonzero: *set,
            left: (u64::MAX >> (63 - band.last)) & (u64::MAX << band.first),
            kept: band.store.kept,
            order: band.store.scale.order(),
            unit: 1 << band.low,
            coefficients,
        };
        while band.ends == 0 && refined.left != 0 {
            cursor.refill(data);
            let step = band.codes.step(&mut cursor);
            if step.run >= BLOCK_END {
                let size = step.run - BLOCK_END;
                band.ends = (1 << size) + cursor.take(size);
            } else {
                refined.place(step.run, step.value, data, &mut cursor);
            }
        }
        if band.ends > 0 {
            band.ends -= 1;
            refined.correct(refined.left, data, &mut cursor);
        }
        *set = refined.nonzero;
        cursor
    }

    fn restart(&mut self) {
        self.0.ends = 0;
    }
}

struct RefinedBlock<'a> {
    nonzero: u64,
    /// The remaining coefficients, in zigzag order.
    left: u64,
    kept: u64,
    order: &'static [u8; 256],
    /// The value of this scan's bit.
    unit: i16,
    coefficients: &'a mut [i16],
}

impl RefinedBlock<'_> {
    /// Skips `run` zero coefficients, and sets the next zero one to a value, unless `sign` is 0. Corrects all non-zero
    /// coefficients on the way.
    #[inline(always)]
    fn place(&mut self, run: u32, sign: i32, data: &[u8], cursor: &mut Cursor) {
        let mut zeros = self.left & !self.nonzero;
        for _ in 0..run {
            zeros &= zeros.wrapping_sub(1);
        }
        // The lowest remaining one; none if the block has too few, and then the whole block is skipped.
        let target = zeros & zeros.wrapping_neg();
        let passed = self.left & target.wrapping_sub(1);
        self.correct(passed, data, cursor);
        self.left &= !(passed | target);
        if sign != 0 && target != 0 {
            self.nonzero |= target;
            let value = if sign > 0 { self.unit } else { -self.unit };
            let place = self.order[target.trailing_zeros() as usize];
            if let Some(coefficient) = self.coefficients.get_mut(usize::from(place)) {
                *coefficient = value;
            }
        }
    }

    /// Reads a bit for each non-zero one of these coefficients.
    #[inline(always)]
    fn correct(&mut self, these: u64, data: &[u8], cursor: &mut Cursor) {
        let mut corrected = these & self.nonzero;
        // One by one only up to the last stored coefficient.
        while corrected & self.kept != 0 {
            let at = corrected.trailing_zeros() as usize;
            corrected &= corrected - 1;
            cursor.need(data, 1);
            if cursor.take(1) != 0
                && let Some(coefficient) = self.coefficients.get_mut(usize::from(self.order[at]))
            {
                let change = if *coefficient < 0 { -self.unit } else { self.unit };
                *coefficient = coefficient.wrapping_add(change);
            }
        }
        cursor.pass_many(data, corrected.count_ones());
    }
}
