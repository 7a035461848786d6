//! A decoder that reads the entropy-coded data bit by bit, as ITU-T T.81 describes it.
//!
//! It is slow, plain, and shares nothing with the decoder between the segments of a file and its coefficients. Damage is
//! taken in the same way: undefined codes, missing data, and restart markers that are missing or from elsewhere.

use super::super::*;
use crate::image::jpeg::huffman::Definition;
use crate::image::jpeg::scan::{Scan, ScanComponent};

/// The planes at these scales, and whether all data was there.
pub(super) fn decode(jpeg: &Jpeg<'_>, scales: Scales) -> Result<(Vec<ComponentPlane>, bool), RenderError> {
    let (source, frame) = (jpeg.source, &jpeg.frame);
    let scans = scan::list(source, frame).ok_or(CORRUPT)?;
    let mut stores: Vec<Store> = frame.components.iter().map(|of| Store::new(frame, of)).collect();
    for (index, (store, scale)) in stores.iter_mut().zip(scales).enumerate() {
        store.needed =
            if frame.is_progressive { progressive::needed(&scans, index, scale) } else { u64::MAX };
    }
    let mut is_whole = true;
    let (mut tables, mut at) = (Tables::default(), 2);
    for scan in &scans {
        Segments::from(&source[..scan.head], at).for_each(|segment| tables.read(&segment));
        at = scan.data.end;
        let mut stores_of_scan = scan.components.iter().map(|part| &stores[part.index]);
        let is_wanted = if frame.is_progressive {
            stores_of_scan.any(|store| store.needed & scan.band() != 0)
        } else {
            stores_of_scan.all(|store| store.steps.is_none())
        };
        if !is_wanted || !tables.serve(frame, scan) {
            continue;
        }
        for part in &scan.components {
            let steps = tables.quantization(frame.components[part.index].quantization).unwrap();
            stores[part.index].steps.get_or_insert(*steps);
        }
        let mut reader =
            Reader { frame, scan, tables: &tables, stores: &mut stores, previous: [0; 4], ends: 0 };
        is_whole &= reader.run(&source[scan.data.clone()]);
        for part in scan.components.iter().filter(|_| scan.low == 0) {
            stores[part.index].finished |= scan.band();
        }
    }
    is_whole &= stores.iter().all(|store| store.needed & !store.finished == 0);
    stores[0].steps.ok_or(CORRUPT)?;
    let planes = stores.iter().zip(&frame.components).zip(scales);
    Ok((planes.map(|((store, of), scale)| store.plane(frame, of, scale)).collect(), is_whole))
}

/// The coefficients of a component, in zigzag order.
struct Store {
    columns: u32,
    blocks: Vec<[i16; 64]>,
    /// For each block the set of coefficients that were ever given as non-zero.
    nonzero: Vec<u64>,
    steps: Option<[i16; 64]>,
    needed: u64,
    finished: u64,
}

impl Store {
    fn new(frame: &JpegFrame, component: &Component) -> Self {
        let grid = frame.padded_blocks(component);
        let blocks = grid.area() as usize;
        let (blocks, nonzero) = (vec![[0; 64]; blocks], vec![0; blocks]);
        Self { columns: grid.columns, blocks, nonzero, steps: None, needed: 0, finished: 0 }
    }

    fn plane(&self, frame: &JpegFrame, component: &Component, scale: Scale) -> ComponentPlane {
        let mut plane = ComponentPlane::new(frame, component, scale);
        let Some(steps) = self.steps else { return plane };
        let steps = scale.ordered_steps(&steps);
        let stride = plane.stride;
        for (at, coefficients) in (0..).zip(&self.blocks) {
            let mut block = [0; 65];
            for (value, place) in coefficients.iter().zip(scale.order()) {
                block[usize::from(*place)] = *value;
            }
            let samples = plane.block_mut(at % self.columns, at / self.columns, scale.block_side());
            transform::write_block(scale, &block[..64], &steps[..64], samples, stride);
        }
        plane
    }
}

/// Reads a scan.
struct Reader<'a> {
    frame: &'a JpegFrame,
    scan: &'a Scan,
    tables: &'a Tables,
    stores: &'a mut [Store],
    /// DC coefficients of the previous blocks.
    previous: [i32; 4],
    /// Blocks that remain of a run of ended ones.
    ends: u32,
}

impl Reader<'_> {
    /// Returns whether no data was missing.
    fn run(&mut self, data: &[u8]) -> bool {
        let grid = self.scan.units(self.frame);
        let interval = match self.tables.restart_interval {
            0 => grid.area(),
            interval => u64::from(interval),
        };
        let mut bits = Bits::of(data);
        let (mut unit, mut expected, mut is_whole) = (0, 0, true);
        while unit < grid.area() {
            let end = grid.area().min(unit + interval);
            for at in unit..end {
                let columns = u64::from(grid.columns);
                self.unit(&mut bits, (at % columns) as u32, (at / columns) as u32);
                if bits.is_exhausted {
                    is_whole = false;
                    break;
                }
            }
            if end == grid.area() {
                return is_whole;
            }
            let Some(lost) = lost_intervals(&mut bits, &mut expected) else { break };
            is_whole &= lost == 0;
            unit = end + u64::from(lost) * interval;
            (self.previous, self.ends) = ([0; 4], 0);
        }
        false
    }

    fn unit(&mut self, bits: &mut Bits<'_>, column: u32, row: u32) {
        let scan = self.scan;
        for part in &scan.components {
            let (across, down) = scan.unit_blocks(self.frame, *part);
            for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                let columns = self.stores[part.index].columns;
                let block = (row * down + y) * columns + column * across + x;
                self.block(bits, *part, block as usize);
            }
        }
    }

    fn block(&mut self, bits: &mut Bits<'_>, part: ScanComponent, block: usize) {
        let Self { scan, tables, .. } = *self;
        if scan.first == 0 && scan.has_dc_codes(self.frame) {
            let (_, _, difference) = bits.coefficient(tables.dc(part.dc).unwrap());
            let previous = &mut self.previous[part.index];
            *previous = previous.wrapping_add(difference);
            self.stores[part.index].blocks[block][0] = (*previous << scan.low) as i16;
        } else if scan.first == 0 {
            self.stores[part.index].blocks[block][0] |= (bits.take(1) << scan.low) as i16;
        }
        if scan.has_ac_codes() {
            let codes = tables.ac(part.ac).unwrap();
            let store = &mut self.stores[part.index];
            let block = (&mut store.blocks[block], &mut store.nonzero[block]);
            if scan.refines {
                self.ends = refine(bits, codes, scan, block, self.ends)
            } else {
                self.ends = read(bits, codes, scan, block, self.ends)
            }
        }
    }
}

type Block<'a> = (&'a mut [i16; 64], &'a mut u64);

/// First bits of AC coefficients. Returns the number of blocks after this one that have ended already.
fn read(bits: &mut Bits<'_>, codes: &Definition, scan: &Scan, (block, nonzero): Block<'_>, ends: u32) -> u32 {
    if ends > 0 {
        return ends - 1;
    }
    let mut at = scan.first.max(1);
    while at <= scan.last {
        let (run, size, value) = bits.coefficient(codes);
        if size == 0 && run < 15 {
            let is_alone = scan.last == 63 && scan.first == 0;
            return if is_alone { 0 } else { (1 << run) + bits.take(run) - 1 };
        }
        at += run;
        if size > 0 && at <= scan.last {
            block[at as usize] = (value << scan.low) as i16;
            *nonzero |= 1 << at;
        }
        at += 1;
    }
    0
}

/// One more bit of AC coefficients (T.81, G.1.2.3).
fn refine(
    bits: &mut Bits<'_>,
    codes: &Definition,
    scan: &Scan,
    (block, nonzero): Block<'_>,
    ends: u32,
) -> u32 {
    let unit = 1_i16 << scan.low;
    let (mut at, mut ends) = (scan.first, ends);
    while ends == 0 && at <= scan.last {
        let (mut run, size, value) = bits.coefficient(codes);
        if size == 0 && run < 15 {
            ends = (1 << run) + bits.take(run);
            break;
        }
        while at <= scan.last {
            if *nonzero >> at & 1 != 0 {
                correct(bits, &mut block[at as usize], unit);
            } else if run > 0 {
                run -= 1;
            } else {
                break;
            }
            at += 1;
        }
        if at <= scan.last && value != 0 {
            block[at as usize] = if value > 0 { unit } else { -unit };
            *nonzero |= 1 << at;
        }
        at += 1;
    }
    if ends > 0 {
        for at in at..=scan.last {
            if *nonzero >> at & 1 != 0 {
                correct(bits, &mut block[at as usize], unit);
            }
        }
        ends -= 1;
    }
    ends
}

fn correct(bits: &mut Bits<'_>, coefficient: &mut i16, unit: i16) {
    if bits.take(1) != 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient < 0 { -unit } else { unit });
    }
}

/// Restart markers with earlier numbers belong to intervals that were given up.
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

/// The bits of a scan, with zeros behind the end of an interval.
struct Bits<'a> {
    data: &'a [u8],
    /// The next byte.
    at: usize,
    byte: u8,
    /// Bits of the byte that are left.
    left: u32,
    /// Whether more bits were taken than there are.
    is_exhausted: bool,
}

impl<'a> Bits<'a> {
    const fn of(data: &'a [u8]) -> Self {
        Self { data, at: 0, byte: 0, left: 0, is_exhausted: false }
    }

    /// `None` at a restart marker and at the end.
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            match self.data.get(self.at..)? {
                [] | [0xFF] | [0xFF, 0xD0..=0xD7, ..] => return None,
                [0xFF, 0, ..] => {
                    self.at += 2;
                    return Some(0xFF);
                }
                [0xFF, 0xFF, ..] => self.at += 1,
                [0xFF, ..] => self.at += 2,
                [byte, ..] => {
                    self.at += 1;
                    return Some(*byte);
                }
            }
        }
    }

    fn bit(&mut self) -> u32 {
        if self.left == 0 {
            let Some(byte) = self.next_byte() else {
                self.is_exhausted = true;
                return 0;
            };
            (self.byte, self.left) = (byte, 8);
        }
        self.left -= 1;
        u32::from(self.byte >> self.left & 1)
    }

    fn take(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |bits, _| bits << 1 | self.bit())
    }

    /// The run, the size and the value of the next coefficient (T.81, F.2.2).
    fn coefficient(&mut self, codes: &Definition) -> (u32, u32, i32) {
        let symbol = self.symbol(codes);
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let value = self.take(size) as i32;
        let is_negative = size > 0 && value >> (size - 1) == 0;
        (run, size, if is_negative { value - (1 << size) + 1 } else { value })
    }

    /// 0 for a code that is not defined.
    fn symbol(&mut self, codes: &Definition) -> u8 {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &codes.counts {
            (code, first) = (code << 1 | self.bit(), first << 1);
            let count = u32::from(count);
            if code < first + count {
                return codes.symbols[(index + code - first) as usize];
            }
            (first, index) = (first + count, index + count);
        }
        0
    }

    /// The number of the next restart marker, behind which reading goes on.
    fn restart(&mut self) -> Option<u8> {
        loop {
            match self.data.get(self.at..)? {
                [] | [0xFF] => return None,
                [0xFF, code @ 0xD0..=0xD7, ..] => {
                    *self = Self { at: self.at + 2, ..Self::of(self.data) };
                    return Some(code - 0xD0);
                }
                [0xFF, 0xFF, ..] => self.at += 1,
                [0xFF, ..] => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}
