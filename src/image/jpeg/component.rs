//! The samples of one component, from blocks whose data begins at known bits or follows each other.

use super::cursor::{Cursor, SYMBOL_BITS_MAX};
use super::huffman::BLOCK_END;
use super::scan::Scan;
use super::skim::{BATCH_BLOCKS, BlockCodes, Cell};
use super::tables::{Lookups, Tables};
use super::transform;
use super::{ComponentPlane, Scale, Work};

/// Decodes the blocks of a component in a scan.
pub(super) struct ComponentDecoder<'a> {
    codes: BlockCodes<'a>,
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
    /// `place` is the component's in the scan. `None` if a table is missing, which [`Tables::serve`] has ruled out.
    pub(super) fn new(
        work: &Work<'_>,
        (scan, place): (&Scan, usize),
        tables: &Tables,
        lookups: &'a Lookups,
        plane: &'a mut ComponentPlane,
    ) -> Option<Self> {
        let part = scan.components[place];
        let (scale, component) = (work.scales[part.index], work.frame.components[part.index]);
        let (across, down) = scan.unit_blocks(work.frame, part);
        Some(Self {
            codes: BlockCodes { dc: lookups.dc(part)?, ac: lookups.ac(part)? },
            scale,
            across,
            down,
            steps: scale.ordered_steps(tables.quantization(component.quantization)?),
            previous: 0,
            block: [0; 256],
            plane,
        })
    }

    pub(super) const fn scale(&self) -> Scale {
        self.scale
    }

    /// Blocks in a unit.
    pub(super) const fn unit_blocks(&self) -> usize {
        (self.across * self.down) as usize
    }

    pub(super) const fn restart(&mut self) {
        self.previous = 0;
    }

    /// Decodes the blocks of a unit, which begin at the cursor. `finish` passes over the coefficients of a block from
    /// one on.
    #[inline(always)]
    pub(super) fn decode_unit(
        &mut self,
        data: &[u8],
        mut cursor: Cursor,
        (column, row): (u32, u32),
        finish: impl Fn(BlockCodes<'_>, Cursor, u32) -> Cursor,
    ) -> Cursor {
        for y in 0..self.down {
            for x in 0..self.across {
                let start = self.offset(column * self.across + x, row * self.down + y);
                cursor.refill(data);
                let next;
                (cursor, next) = self.decode_block(data, cursor, start);
                cursor = finish(self.codes, cursor, next);
            }
        }
        cursor
    }

    /// Decodes the blocks of some units of a row, from this one on.
    pub(super) fn decode_cells(
        &mut self,
        data: &[u8],
        cells: &[Cell],
        spots: &[Spot],
        (column, row): (u32, u32),
    ) {
        let start = self.offset(column * self.across, row * self.down);
        if self.scale == Scale::Eighth {
            return self.decode_dc(data, cells, spots, start);
        }
        for spot in spots {
            let cursor = Cursor::at_bit(data, cells[usize::from(spot.block)].start as usize);
            self.decode_block(data, cursor, start + spot.offset as usize);
        }
    }

    /// [`ComponentDecoder::decode_cells`] at one eighth.
    fn decode_dc(&mut self, data: &[u8], cells: &[Cell], spots: &[Spot], start: usize) {
        let (codes, step) = (self.codes.dc, self.steps[0]);
        let samples = &mut self.plane.data[start..];
        let mut previous = self.previous;
        for spot in spots {
            let bit = cells[usize::from(spot.block)].start as usize;
            previous = previous.wrapping_add(codes.value_at(data, bit));
            samples[spot.offset as usize] = transform::flat(previous as i16, step);
        }
        self.previous = previous;
    }

    /// The places of a component's blocks in a batch; `first` is the number of the first one in its unit.
    pub(super) fn spots(&self, first: usize, unit_blocks: usize) -> Vec<Spot> {
        let (side, stride) = (self.scale.block_side(), self.plane.stride as u32);
        let places = || (0..self.down).flat_map(|y| (0..self.across).map(move |x| (x, y)));
        let units = 0..BATCH_BLOCKS / unit_blocks;
        let spots = units.flat_map(|unit| {
            (first + unit * unit_blocks..).zip(places()).map(move |(block, (x, y))| Spot {
                block: block as u8,
                offset: (y * stride + unit as u32 * self.across + x) * side,
            })
        });
        spots.collect()
    }

    /// The offset of a block's first sample.
    const fn offset(&self, column: u32, row: u32) -> usize {
        let side = self.scale.block_side();
        (row * side) as usize * self.plane.stride + (column * side) as usize
    }

    /// Decodes a block whose first 31 bits are loaded. Returns the coefficient where it stopped.
    #[inline(always)]
    fn decode_block(&mut self, data: &[u8], cursor: Cursor, start: usize) -> (Cursor, u32) {
        match self.scale {
            Scale::Eighth => self.decode_block_at(Scale::Eighth, data, cursor, start),
            Scale::Quarter => self.decode_block_at(Scale::Quarter, data, cursor, start),
            Scale::Half => self.decode_block_at(Scale::Half, data, cursor, start),
            Scale::Whole => self.decode_block_at(Scale::Whole, data, cursor, start),
        }
    }

    /// `scale` is the component's.
    #[inline(always)]
    fn decode_block_at(
        &mut self,
        scale: Scale,
        data: &[u8],
        mut cursor: Cursor,
        start: usize,
    ) -> (Cursor, u32) {
        let (order, last) = (scale.order(), scale.last_coefficient());
        self.previous = self.previous.wrapping_add(self.codes.dc.step(&mut cursor).value);
        // A valid file has 12 bits here.
        let first = self.previous as i16;
        let (samples, stride) = (&mut self.plane.data[start..], self.plane.stride);
        if last == 0 {
            samples[0] = transform::flat(first, self.steps[0]);
            return (cursor, 1);
        }
        cursor.need(data, SYMBOL_BITS_MAX);
        let mut step = self.codes.ac.step(&mut cursor);
        if step.run >= BLOCK_END {
            transform::write_flat(scale, first, self.steps[0], samples, stride);
            return (cursor, BLOCK_END);
        }
        self.block[..scale.coefficients()].fill(0);
        let mut at = 1;
        loop {
            at += step.run;
            self.block[usize::from(order[at as usize & 255])] = step.value as i16;
            at += 1;
            if at > last {
                break;
            }
            cursor.need(data, SYMBOL_BITS_MAX);
            step = self.codes.ac.step(&mut cursor);
        }
        self.block[0] = first;
        transform::write_block(scale, &self.block[..64], &self.steps[..64], samples, stride);
        (cursor, at)
    }
}

/// The place of a block of a batch.
pub(super) struct Spot {
    block: u8,
    /// From the first sample of the batch in a row of units.
    offset: u32,
}
