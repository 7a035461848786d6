//! Sequential files: each block becomes samples as soon as it is read, and no coefficient is kept.

use super::bits::Bits;
use super::huffman::{BLOCK_END, Codes};
use super::scan::{Scan, ScanComponent};
use super::tables::{AcCodes, Lookups, Tables};
use super::transform;
use super::walk::{SegmentWalk, Units};
use super::{CORRUPT, ComponentPlane, Scale, Work};
use crate::image::container::jpeg::Segments;
use crate::image::error::RenderError;

/// Least bytes of data for a skipper: for less, its construction costs more than it saves.
const SKIPPED_BYTES_MIN: usize = 32 << 10;

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
    let skips = scan.data.len() >= SKIPPED_BYTES_MIN;
    let lookups = Lookups::new(tables, work.frame, scan, skips);
    let mut parts = Vec::with_capacity(planes.len());
    // First in the frame's order, because each plane can be borrowed only once; then in the scan's order.
    for (index, plane) in planes.iter_mut().enumerate() {
        if let Some(place) = scan.components.iter().position(|part| part.index == index) {
            let part = ComponentDecoder::new(work, scan, place, tables, &lookups, plane).ok_or(CORRUPT)?;
            parts.push((place, part));
        }
    }
    parts.sort_by_key(|(place, _)| *place);
    let mut unit = Unit { parts: parts.into_iter().map(|(_, part)| part).collect() };
    let data = &work.source[scan.data.clone()];
    let grid = scan.units(work.frame);
    let restart_interval = tables.restart_interval;
    SegmentWalk { data, grid, restart_interval, keep_going: work.keep_going }.run(&mut unit)
}

/// The blocks of a unit.
struct Unit<'a> {
    parts: Vec<ComponentDecoder<'a>>,
}

impl Units for Unit<'_> {
    #[inline(always)]
    fn decode(&mut self, bits: &mut Bits<'_>, column: u32, row: u32) {
        for part in &mut self.parts {
            for y in 0..part.down {
                for x in 0..part.across {
                    part.decode(bits, column * part.across + x, row * part.down + y);
                }
            }
        }
    }

    fn restart(&mut self) {
        self.parts.iter_mut().for_each(|part| part.previous = 0);
    }
}

/// A component of the scan.
struct ComponentDecoder<'a> {
    dc: &'a Codes,
    ac: &'a AcCodes,
    scale: Scale,
    /// Blocks in a unit.
    across: u32,
    down: u32,
    /// Quantisation steps, in the order of the coefficients.
    steps: [i16; 65],
    /// The DC coefficient of the previous block.
    previous: i32,
    /// The coefficients of a block, with space for every index that a byte can hold.
    block: [i16; 256],
    plane: &'a mut ComponentPlane,
}

impl<'a> ComponentDecoder<'a> {
    fn new(
        work: &Work<'_>,
        scan: &Scan,
        place: usize,
        tables: &Tables,
        lookups: &'a Lookups,
        plane: &'a mut ComponentPlane,
    ) -> Option<Self> {
        let part: ScanComponent = scan.components[place];
        let (scale, component) = (work.scales[part.index], work.frame.components[part.index]);
        let (across, down) = scan.unit_blocks(work.frame, part);
        Some(Self {
            dc: lookups.dc(part)?,
            ac: lookups.ac(part)?,
            scale,
            across,
            down,
            steps: scale.ordered_steps(tables.quantization(component.quantization)?),
            previous: 0,
            block: [0; 256],
            plane,
        })
    }

    fn decode(&mut self, bits: &mut Bits<'_>, column: u32, row: u32) {
        match self.scale {
            Scale::Eighth => self.decode_at(Scale::Eighth, bits, column, row),
            Scale::Quarter => self.decode_at(Scale::Quarter, bits, column, row),
            Scale::Half => self.decode_at(Scale::Half, bits, column, row),
            Scale::Whole => self.decode_at(Scale::Whole, bits, column, row),
        }
    }

    /// Decodes the block at this place; `scale` is the component's.
    #[inline(always)]
    fn decode_at(&mut self, scale: Scale, bits: &mut Bits<'_>, column: u32, row: u32) {
        bits.need(31);
        self.previous = self.previous.wrapping_add(self.dc.step(bits).value);
        // A valid file has 12 bits here.
        let first = self.previous as i16;
        let is_flat = self.read_coefficients(scale, bits);
        let stride = self.plane.stride;
        let samples = self.plane.block_mut(column, row, scale.block_side());
        if is_flat {
            transform::write_flat(scale, first, self.steps[0], samples, stride);
        } else {
            self.block[0] = first;
            transform::write_block(scale, &self.block[..64], &self.steps[..64], samples, stride);
        }
    }

    /// Reads the AC coefficients and keeps the ones that the scale needs. Returns whether there are none.
    #[inline(always)]
    fn read_coefficients(&mut self, scale: Scale, bits: &mut Bits<'_>) -> bool {
        let codes = &self.ac.codes;
        let (order, last) = (scale.order(), scale.last_coefficient());
        let mut at = 1;
        let mut is_flat = true;
        if last > 0 {
            bits.need(31);
            let mut step = codes.step(bits);
            if step.run >= BLOCK_END {
                return true;
            }
            is_flat = false;
            self.block[..scale.coefficients()].fill(0);
            loop {
                at += step.run;
                self.block[usize::from(order[at as usize & 255])] = step.value as i16;
                at += 1;
                if at > last {
                    break;
                }
                bits.need(31);
                step = codes.step(bits);
            }
        }
        match &self.ac.skipper {
            Some(skipper) => skipper.finish(codes, at, bits),
            None => {
                while at < 64 {
                    bits.need(31);
                    at += codes.step(bits).run + 1;
                }
            }
        }
        is_flat
    }
}
