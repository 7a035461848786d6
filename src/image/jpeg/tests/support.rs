//! JPEG files of kinds that no encoder at hand writes: any sampling, scans in any arrangement, four components.
//!
//! Written from ITU-T T.81, with the tables of its annex K. Slow and plain.

use std::f64::consts::PI;

use crate::image::shape::Size;

/// A component: its samples at the size of the whole picture, and its sampling factors.
#[derive(Clone, Debug)]
pub(super) struct MadeComponent {
    pub(super) samples: Vec<f64>,
    pub(super) across: u32,
    pub(super) down: u32,
}

/// The arrangement of a file.
#[derive(Clone, Debug)]
pub(super) struct Arrangement {
    pub(super) ids: Vec<u8>,
    /// Segments behind the start of the image.
    pub(super) head: Vec<u8>,
    pub(super) is_progressive: bool,
    /// A scan for each component instead of one for all.
    pub(super) is_apart: bool,
    /// Units between restart markers; 0 for none.
    pub(super) restart_interval: u16,
    /// Whether a DNL segment repeats the height after the first scan.
    pub(super) repeats_height: bool,
}

/// Coefficients of a component in zigzag order, for blocks of whole units.
struct Blocks {
    across: u32,
    down: u32,
    columns: u32,
    /// Columns and rows of blocks in a scan of this component alone.
    alone: (u32, u32),
    coefficients: Vec<[i32; 64]>,
}

/// A scan of these components and coefficients.
struct MadeScan {
    components: Vec<usize>,
    first: usize,
    last: usize,
}

const STEP: f64 = 3.0;

const DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];

/// The file.
pub(super) fn make(size: Size, components: &[MadeComponent], arrangement: &Arrangement) -> Vec<u8> {
    let most = |factor: fn(&MadeComponent) -> u32| components.iter().map(factor).max().unwrap();
    let most = (most(|component| component.across), most(|component| component.down));
    let units = (size.width.div_ceil(8 * most.0), size.height.div_ceil(8 * most.1));
    let blocks: Vec<_> =
        components.iter().map(|component| Blocks::of(size, component, most, units)).collect();
    let mut file = b"\xFF\xD8".to_vec();
    file.extend(&arrangement.head);
    segment(&mut file, 0xDB, &[&[0][..], &[STEP as u8; 64]].concat());
    let [[h0, h1], [w0, w1]] = [size.height, size.width].map(|side| (side as u16).to_be_bytes());
    let mut frame = vec![8, h0, h1, w0, w1, components.len() as u8];
    for (id, component) in arrangement.ids.iter().zip(components) {
        frame.extend([*id, (component.across << 4 | component.down) as u8, 0]);
    }
    segment(&mut file, if arrangement.is_progressive { 0xC2 } else { 0xC0 }, &frame);
    segment(&mut file, 0xC4, &[&[0][..], &DC_COUNTS, &(0..12).collect::<Vec<u8>>()].concat());
    // Codes of eight bits for 255 values: long, but simple.
    segment(&mut file, 0xC4, &[&[0x10, 0, 0, 0, 0, 0, 0, 0, 254, 2][..], &[0; 7], &ac_values()].concat());
    segment(&mut file, 0xDD, &arrangement.restart_interval.to_be_bytes());
    for (at, scan) in arrangement.scans(components.len()).iter().enumerate() {
        let mut header = vec![scan.components.len() as u8];
        header.extend(scan.components.iter().flat_map(|index| [arrangement.ids[*index], 0]));
        header.extend([scan.first as u8, scan.last as u8, 0]);
        segment(&mut file, 0xDA, &header);
        file.extend(scan.data(&blocks, units, arrangement.restart_interval.into()));
        if at == 0 && arrangement.repeats_height {
            segment(&mut file, 0xDC, &[h0, h1]);
        }
    }
    file.extend(b"\xFF\xD9");
    file
}

fn segment(file: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    file.extend([0xFF, marker]);
    file.extend((payload.len() as u16 + 2).to_be_bytes());
    file.extend(payload);
}

fn ac_values() -> Vec<u8> {
    (0..=255).collect()
}

impl Arrangement {
    fn scans(&self, components: usize) -> Vec<MadeScan> {
        let all = 0..components;
        let each = |first, last| {
            all.clone()
                .map(move |index| MadeScan { components: vec![index], first, last })
                .collect::<Vec<_>>()
        };
        let together = |first, last| vec![MadeScan { components: all.clone().collect(), first, last }];
        match (self.is_progressive, self.is_apart) {
            (false, false) => together(0, 63),
            (false, true) => each(0, 63),
            (true, false) => [together(0, 0), each(1, 5), each(6, 63)].into_iter().flatten().collect(),
            (true, true) => [each(0, 0), each(1, 5), each(6, 63)].into_iter().flatten().collect(),
        }
    }
}

impl Blocks {
    fn of(size: Size, component: &MadeComponent, most: (u32, u32), units: (u32, u32)) -> Self {
        let MadeComponent { samples, across, down } = component;
        let width = (size.width * across).div_ceil(most.0);
        let height = (size.height * down).div_ceil(most.1);
        let scale = (f64::from(most.0) / f64::from(*across), f64::from(most.1) / f64::from(*down));
        // The mean of the pixels that a sample covers.
        let sample = |x: u32, y: u32| {
            let range = |at: u32, scale: f64, side: u32| {
                let first = ((f64::from(at) * scale) as u32).min(side - 1);
                first..(((f64::from(at) + 1.0) * scale).ceil() as u32).clamp(first + 1, side)
            };
            let (columns, rows) = (range(x, scale.0, size.width), range(y, scale.1, size.height));
            let count = f64::from(columns.len() as u32 * rows.len() as u32);
            let row = |y: u32| columns.clone().map(|x| samples[(y * size.width + x) as usize]).sum::<f64>();
            rows.clone().map(row).sum::<f64>() / count
        };
        let (columns, rows) = (units.0 * across, units.1 * down);
        let block = |column: u32, row: u32| {
            transformed(|x, y| sample((column * 8 + x).min(width - 1), (row * 8 + y).min(height - 1)))
        };
        let coefficients =
            (0..rows).flat_map(|row| (0..columns).map(move |column| block(column, row))).collect();
        let alone = (width.div_ceil(8), height.div_ceil(8));
        Self { across: *across, down: *down, columns, alone, coefficients }
    }
}

/// Quantised coefficients of a block, in zigzag order.
fn transformed(sample: impl Fn(u32, u32) -> f64) -> [i32; 64] {
    let wave = |at: usize, frequency: usize| {
        let factor = if frequency == 0 { 0.125_f64.sqrt() } else { 0.5 };
        factor * ((2 * at + 1) as f64 * frequency as f64 * PI / 16.0).cos()
    };
    let rows: Vec<[f64; 8]> = (0..8)
        .map(|y| {
            let row: Vec<f64> = (0..8).map(|x| sample(x, y) - 128.0).collect();
            std::array::from_fn(|u| (0..8).map(|x| row[x] * wave(x, u)).sum())
        })
        .collect();
    let value = |u: usize, v: usize| -> f64 { (0..8).map(|y| rows[y][u] * wave(y, v)).sum::<f64>() / STEP };
    let mut places: Vec<(usize, usize)> = (0..64).map(|at| (at % 8, at / 8)).collect();
    places.sort_by_key(|(u, v)| (u + v, if (u + v) % 2 == 0 { *u } else { *v }));
    let mut places = places.into_iter();
    std::array::from_fn(|_| places.next().map(|(u, v)| value(u, v).round() as i32).unwrap())
}

impl MadeScan {
    fn data(&self, blocks: &[Blocks], units: (u32, u32), restart_interval: u32) -> Vec<u8> {
        let mut bits = BitWriter::default();
        let mut previous = vec![0; blocks.len()];
        let alone = self.components.len() == 1;
        let (columns, rows) = if alone { blocks[self.components[0]].alone } else { units };
        for unit in 0..columns * rows {
            if restart_interval > 0 && unit > 0 && unit % restart_interval == 0 {
                bits.pad();
                bits.bytes.extend([0xFF, 0xD0 | (unit / restart_interval - 1) as u8 & 7]);
                previous.fill(0);
            }
            let (column, row) = (unit % columns, unit / columns);
            for index in &self.components {
                let Blocks { across, down, columns, coefficients, .. } = &blocks[*index];
                let (across, down) = if alone { (1, 1) } else { (*across, *down) };
                for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                    let at = (row * down + y) * columns + column * across + x;
                    self.write(&coefficients[at as usize], &mut previous[*index], &mut bits);
                }
            }
        }
        bits.pad();
        bits.bytes
    }

    fn write(&self, block: &[i32; 64], previous: &mut i32, bits: &mut BitWriter) {
        if self.first == 0 {
            let difference = block[0] - *previous;
            *previous = block[0];
            let size = 32 - difference.unsigned_abs().leading_zeros();
            let (code, length) = dc_code(size);
            bits.put(code, length);
            bits.put_value(difference, size);
        }
        let mut zeros = 0;
        for &value in &block[self.first.max(1)..=self.last] {
            if value == 0 {
                zeros += 1;
                continue;
            }
            for _ in 0..zeros / 16 {
                bits.put_ac(0xF0);
            }
            let size = 32 - value.unsigned_abs().leading_zeros();
            bits.put_ac((zeros % 16) << 4 | size);
            bits.put_value(value, size);
            zeros = 0;
        }
        if zeros > 0 && self.last > 0 {
            bits.put_ac(0);
        }
    }
}

/// The code of a DC size: its bits and their number.
fn dc_code(size: u32) -> (u32, u32) {
    let (mut code, mut value) = (0, 0);
    for (length, count) in (1..).zip(DC_COUNTS) {
        if size < value + u32::from(count) {
            return (code + size - value, length);
        }
        value += u32::from(count);
        code = (code + u32::from(count)) << 1;
    }
    unreachable!("a size below 12")
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    bits: u32,
    count: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, length: u32) {
        for at in (0..length).rev() {
            self.bits = self.bits << 1 | value >> at & 1;
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.bits as u8);
                if self.bits == 0xFF {
                    self.bytes.push(0);
                }
                (self.bits, self.count) = (0, 0);
            }
        }
    }

    /// The first 254 values have codes of eight bits, the other two of nine.
    fn put_ac(&mut self, value: u32) {
        if value < 254 { self.put(value, 8) } else { self.put((254 << 1) + value - 254, 9) }
    }

    fn put_value(&mut self, value: i32, size: u32) {
        let bits = if value < 0 { value + (1 << size) - 1 } else { value };
        self.put(bits as u32, size);
    }

    /// Fills the last byte with ones.
    fn pad(&mut self) {
        if self.count > 0 {
            self.put(u32::MAX, 8 - self.count);
        }
    }
}
