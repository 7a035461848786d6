//! The samples of one component, from blocks whose data begins at known bits or follows each other.

use super::cursor::{Cursor, SYMBOL_BITS_MAX};
use super::energy::{self, Correction, Energy, WEIGHTS, Weights};
use super::huffman::BLOCK_END;
use super::scan::Scan;
use super::skim::{BATCH_BLOCKS, BlockCodes, Cell, SkimTables};
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
    /// For samples of linear light.
    light: Option<Lighting>,
    /// The DC coefficient of the previous block.
    previous: i32,
    /// The coefficients of a block, with space for every index that a byte can hold.
    block: [i16; 256],
    plane: &'a mut ComponentPlane,
}

/// The weights of a component's coefficients, and what their energy does to samples.
#[derive(Clone, Copy)]
pub(super) struct Lighting {
    pub(super) weights: Weights,
    pub(super) correction: Correction,
}

impl Lighting {
    /// `None` for a component whose samples stay as they are.
    pub(super) fn of(work: &Work<'_>, component: usize, steps: &[i16; 64]) -> Option<Self> {
        let scale = work.scales[component];
        (work.lit[component] && scale < Scale::Whole)
            .then(|| Self { weights: energy::weights(scale, steps), correction: Correction::new() })
    }
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
        let steps = tables.quantization(component.quantization)?;
        Some(Self {
            codes: BlockCodes { dc: lookups.dc(part)?, ac: lookups.ac(part)? },
            scale,
            across,
            down,
            steps: scale.ordered_steps(steps),
            light: Lighting::of(work, part.index, steps),
            previous: 0,
            block: [0; 256],
            plane,
        })
    }

    pub(super) const fn scale(&self) -> Scale {
        self.scale
    }

    /// The weights of the coefficients whose energy the decoder needs.
    pub(super) fn weights(&self) -> Option<&Weights> {
        self.light.as_ref().map(|light| &light.weights)
    }

    /// Blocks in a unit.
    pub(super) const fn unit_blocks(&self) -> usize {
        (self.across * self.down) as usize
    }

    pub(super) const fn restart(&mut self) {
        self.previous = 0;
    }

    /// Decodes the blocks of a unit, which begin at the cursor.
    #[inline(always)]
    pub(super) fn decode_unit(
        &mut self,
        data: &[u8],
        mut cursor: Cursor,
        (column, row): (u32, u32),
        rest: BlockRest<'_>,
    ) -> Cursor {
        for y in 0..self.down {
            for x in 0..self.across {
                let start = self.offset(column * self.across + x, row * self.down + y);
                cursor.refill(data);
                cursor = match self.light {
                    None => {
                        let (cursor, next, _) = self.decode_block::<false>(data, cursor, start);
                        self.finish::<false>(rest, data, cursor, next).0
                    }
                    Some(Lighting { correction, .. }) => {
                        let (cursor, next, kept) = self.decode_block::<true>(data, cursor, start);
                        let (cursor, energy) = self.finish::<true>(rest, data, cursor, next);
                        self.correct(correction, start, kept.plus(energy));
                        cursor
                    }
                };
            }
        }
        cursor
    }

    /// Passes over the coefficients of a block from `coefficient` on. Returns their energy, too, if that is wanted.
    #[inline(always)]
    fn finish<const ENERGIES: bool>(
        &self,
        rest: BlockRest<'_>,
        data: &[u8],
        mut cursor: Cursor,
        coefficient: u32,
    ) -> (Cursor, Energy) {
        if let Some((tables, part)) = rest {
            return tables.finish::<ENERGIES>(part, data, cursor, coefficient);
        }
        let (mut coefficient, mut energy) = (coefficient, Energy::default());
        let weights = weights(self.light.as_ref());
        while coefficient < BLOCK_END {
            cursor.refill(data);
            let step = self.codes.ac.step(&mut cursor);
            if ENERGIES {
                energy.add(step.value, weights[(coefficient + step.run) as usize & (WEIGHTS - 1)]);
            }
            coefficient += step.run + 1;
        }
        (cursor, energy)
    }

    /// Decodes the blocks of some units of a row, from this one on.
    pub(super) fn decode_cells(
        &mut self,
        data: &[u8],
        (cells, energies): (&[Cell], &[Energy]),
        spots: &[Spot],
        (column, row): (u32, u32),
    ) {
        let start = self.offset(column * self.across, row * self.down);
        if self.scale == Scale::Eighth {
            self.decode_dc(data, cells, spots, start);
        } else {
            for spot in spots {
                let cursor = Cursor::at_bit(data, cells[usize::from(spot.block)].start as usize);
                self.decode_block::<false>(data, cursor, start + spot.offset as usize);
            }
        }
        if let Some(Lighting { correction, .. }) = self.light {
            for spot in spots {
                self.correct(correction, start + spot.offset as usize, energies[usize::from(spot.block)]);
            }
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

    /// Corrects the samples of the block that begins here.
    #[inline(always)]
    fn correct(&mut self, correction: Correction, start: usize, energy: Energy) {
        let (samples, stride) = (&mut self.plane.data[start..], self.plane.stride);
        match self.scale {
            Scale::Eighth => samples[0] = correction.sample(samples[0], energy),
            Scale::Quarter => correction.block(samples, stride, 2, energy),
            Scale::Half => correction.block(samples, stride, 4, energy),
            Scale::Whole => {}
        }
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

    /// Decodes a block whose first 31 bits are loaded. Returns the coefficient where it stopped, and the energy of those
    /// before, if that is wanted.
    #[inline(always)]
    fn decode_block<const ENERGIES: bool>(
        &mut self,
        data: &[u8],
        cursor: Cursor,
        start: usize,
    ) -> (Cursor, u32, Energy) {
        match self.scale {
            Scale::Eighth => self.decode_block_at::<ENERGIES>(Scale::Eighth, data, cursor, start),
            Scale::Quarter => self.decode_block_at::<ENERGIES>(Scale::Quarter, data, cursor, start),
            Scale::Half => self.decode_block_at::<ENERGIES>(Scale::Half, data, cursor, start),
            Scale::Whole => self.decode_block_at::<ENERGIES>(Scale::Whole, data, cursor, start),
        }
    }

    /// `scale` is the component's.
    #[inline(always)]
    fn decode_block_at<const ENERGIES: bool>(
        &mut self,
        scale: Scale,
        data: &[u8],
        mut cursor: Cursor,
        start: usize,
    ) -> (Cursor, u32, Energy) {
        let (mut energy, weights) = (Energy::default(), weights(self.light.as_ref()));
        let (order, last) = (scale.order(), scale.last_coefficient());
        self.previous = self.previous.wrapping_add(self.codes.dc.step(&mut cursor).value);
        // A valid file has 12 bits here.
        let first = self.previous as i16;
        let (samples, stride) = (&mut self.plane.data[start..], self.plane.stride);
        if last == 0 {
            samples[0] = transform::flat(first, self.steps[0]);
            return (cursor, 1, energy);
        }
        cursor.need(data, SYMBOL_BITS_MAX);
        let mut step = self.codes.ac.step(&mut cursor);
        if step.run >= BLOCK_END {
            transform::write_flat(scale, first, self.steps[0], samples, stride);
            return (cursor, BLOCK_END, energy);
        }
        self.block[..scale.coefficients()].fill(0);
        let mut at = 1;
        loop {
            at += step.run;
            self.block[usize::from(order[at as usize & 255])] = step.value as i16;
            if ENERGIES {
                energy.add(step.value, weights[at as usize & (WEIGHTS - 1)]);
            }
            at += 1;
            if at > last {
                break;
            }
            cursor.need(data, SYMBOL_BITS_MAX);
            step = self.codes.ac.step(&mut cursor);
        }
        self.block[0] = first;
        transform::write_block(scale, &self.block[..64], &self.steps[..64], samples, stride);
        (cursor, at, energy)
    }
}

#[inline(always)]
const fn weights(light: Option<&Lighting>) -> &Weights {
    const NONE: &Weights = &[0; WEIGHTS];
    match light {
        Some(light) => &light.weights,
        None => NONE,
    }
}

/// The tables by which the rest of a block is passed, and the component's number in them; else symbol by symbol.
pub(super) type BlockRest<'a> = Option<(&'a SkimTables<'a>, usize)>;

/// The place of a block of a batch.
pub(super) struct Spot {
    block: u8,
    /// From the first sample of the batch in a row of units.
    offset: u32,
}
