//! The frame header: sizes, sampling, and the meaning of the components.

use super::Scale;
use crate::image::shape::Size;

/// Most components of a supported frame.
pub(super) const COMPONENTS_MAX: usize = 4;

/// A frame header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JpegFrame {
    pub(super) size: Size,
    pub(super) is_progressive: bool,
    /// Whether the file gives two components one id; here each has its own.
    pub(super) repeats_ids: bool,
    /// One, three or four.
    pub(super) components: Vec<Component>,
    /// The largest sampling factors of all components.
    pub(super) most_across: u32,
    pub(super) most_down: u32,
}

/// A component of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors: 1–4; 1 in a frame of one component.
    pub(super) across: u32,
    pub(super) down: u32,
    /// The number of its quantisation table: 0–3.
    pub(super) quantization: usize,
}

/// A number of rows and columns of blocks, or of units of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockGrid {
    pub(super) columns: u32,
    pub(super) rows: u32,
}

impl BlockGrid {
    pub(super) const fn area(self) -> u64 {
        self.columns as u64 * self.rows as u64
    }
}

impl JpegFrame {
    /// Parses the header of a frame with this marker. `None` unless it is a Huffman-coded frame of 8 bits, with one,
    /// three or four components and legal numbers.
    pub(super) fn parse(marker: u8, payload: &[u8]) -> Option<Self> {
        let is_progressive = match marker {
            0xC0 | 0xC1 => false,
            0xC2 => true,
            _ => return None,
        };
        let [8, high, low, left, right, count, fields @ ..] = payload else { return None };
        let size = Size {
            width: u32::from(u16::from_be_bytes([*left, *right])),
            height: u32::from(u16::from_be_bytes([*high, *low])),
        };
        let count = usize::from(*count);
        if size.area() == 0 || !matches!(count, 1 | 3 | COMPONENTS_MAX) {
            return None;
        }
        let fields = fields.get(..3 * count)?.chunks_exact(3);
        let mut components: Vec<Component> = fields.map(Component::parse).collect::<Option<_>>()?;
        let named: Vec<u8> = components.iter().map(|component| component.id).collect();
        make_unique(components.iter_mut().map(|component| &mut component.id));
        let repeats_ids = components.iter().zip(named).any(|(component, named)| component.id != named);
        if let [only] = components.as_mut_slice() {
            // The only component of every scan: its blocks come row by row, whatever its factors.
            (only.across, only.down) = (1, 1);
        }
        let most_across = components.iter().map(|component| component.across).max()?;
        let most_down = components.iter().map(|component| component.down).max()?;
        Some(Self { size, is_progressive, repeats_ids, components, most_across, most_down })
    }

    /// Whether luma has the picture's size, and colours the same or half of it, all with ids of their own.
    pub(super) fn has_common_sampling(&self) -> bool {
        let Some((luma, colors)) = self.components.split_first() else { return false };
        let are_single = colors.iter().all(|color| (color.across, color.down) == (1, 1));
        are_single && !self.repeats_ids && luma.across <= 2 && luma.down <= 2
    }

    /// The units of a scan of several components; each unit has `across` × `down` blocks of each component.
    pub(super) const fn units(&self) -> BlockGrid {
        BlockGrid {
            columns: self.size.width.div_ceil(8 * self.most_across),
            rows: self.size.height.div_ceil(8 * self.most_down),
        }
    }

    /// The blocks of a component in a scan of that component alone.
    pub(super) fn blocks(&self, component: &Component) -> BlockGrid {
        let size = self.plane_size(component, Scale::Whole);
        BlockGrid { columns: size.width.div_ceil(8), rows: size.height.div_ceil(8) }
    }

    /// The blocks of a component in whole units: at least as many, and the most that any scan reaches.
    pub(super) const fn padded_blocks(&self, component: &Component) -> BlockGrid {
        let units = self.units();
        BlockGrid { columns: units.columns * component.across, rows: units.rows * component.down }
    }

    /// The samples of a component at this scale; the last one of a row or column may be partial.
    pub(super) fn plane_size(&self, component: &Component, scale: Scale) -> Size {
        // Sides are below 2^16 and factors at most 4 and 8, so nothing overflows.
        let side = |side: u32, factor: u32, most: u32| {
            ((side * factor).div_ceil(most) * scale.block_side()).div_ceil(8)
        };
        Size {
            width: side(self.size.width, component.across, self.most_across),
            height: side(self.size.height, component.down, self.most_down),
        }
    }
}

/// Gives ids that were seen before a number of their own. Some writers repeat an id, against the standard. Frames and
/// scans are made unique by the same rule, so that a scan that repeats them in the frame's order names all components.
pub(super) fn make_unique<'a>(ids: impl Iterator<Item = &'a mut u8>) {
    let mut seen: Vec<u8> = Vec::with_capacity(COMPONENTS_MAX);
    for id in ids {
        if seen.contains(id) {
            *id = seen.iter().max().map_or(0, |most| most.saturating_add(1));
        }
        seen.push(*id);
    }
}

impl Component {
    fn parse(fields: &[u8]) -> Option<Self> {
        let [id, factors, quantization] = *fields else { return None };
        let (across, down) = (u32::from(factors >> 4), u32::from(factors & 15));
        let legal = (1..=4).contains(&across) && (1..=4).contains(&down) && quantization < 4;
        legal.then_some(Self { id, across, down, quantization: usize::from(quantization) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(width: u16, height: u16, factors: &[u8]) -> Vec<u8> {
        let [[h0, h1], [w0, w1]] = [height, width].map(u16::to_be_bytes);
        let mut payload = vec![8, h0, h1, w0, w1, factors.len() as u8];
        payload.extend((1..).zip(factors).flat_map(|(id, &factors)| [id, factors, 0]));
        payload
    }

    #[test]
    fn planes_and_blocks_follow_from_size_and_sampling() {
        let frame = JpegFrame::parse(0xC0, &header(35, 17, &[0x22, 0x11, 0x21])).unwrap();
        let [luma, blue, red] = frame.components[..] else { panic!("three components") };
        let sizes = |component: &Component| {
            [Scale::Whole, Scale::Half, Scale::Quarter, Scale::Eighth].map(|scale| {
                let Size { width, height } = frame.plane_size(component, scale);
                (width, height)
            })
        };
        assert_eq!(sizes(&luma), [(35, 17), (18, 9), (9, 5), (5, 3)]);
        assert_eq!(sizes(&blue), [(18, 9), (9, 5), (5, 3), (3, 2)]);
        assert_eq!(sizes(&red), [(35, 9), (18, 5), (9, 3), (5, 2)]);
        let grid = |columns, rows| BlockGrid { columns, rows };
        assert_eq!(frame.units(), grid(3, 2));
        assert_eq!((frame.blocks(&luma), frame.padded_blocks(&luma)), (grid(5, 3), grid(6, 4)));
        assert_eq!((frame.blocks(&blue), frame.padded_blocks(&blue)), (grid(3, 2), grid(3, 2)));
    }

    #[test]
    fn a_lone_component_has_no_sampling() {
        let frame = JpegFrame::parse(0xC2, &header(17, 9, &[0x22])).unwrap();
        assert_eq!(frame.units(), BlockGrid { columns: 3, rows: 2 });
        assert_eq!(frame.padded_blocks(&frame.components[0]), frame.blocks(&frame.components[0]));
        assert!(frame.is_progressive);
    }

    #[test]
    fn no_scan_of_one_component_reaches_beyond_whole_units() {
        for factors in (1..=4).flat_map(|across| (1..=4).map(move |down| across << 4 | down)) {
            for side in (1..100).chain([65_535]) {
                let frame = JpegFrame::parse(0xC0, &header(side, side, &[0x43, factors, 0x12])).unwrap();
                for component in &frame.components {
                    let (few, most) = (frame.blocks(component), frame.padded_blocks(component));
                    assert!(few.columns <= most.columns && few.rows <= most.rows, "{side} {factors:x}");
                }
            }
        }
    }

    #[test]
    fn other_frames_are_not_taken() {
        let good = header(8, 8, &[0x11, 0x11, 0x11]);
        let with = |at: usize, value: u8| {
            let mut changed = good.clone();
            changed[at] = value;
            changed
        };
        assert!(JpegFrame::parse(0xC1, &good).is_some());
        let twelve_bit = with(0, 12);
        let no_factor = with(7, 0x01);
        let large_factor = with(7, 0x15);
        let fifth_table = with(8, 4);
        for payload in [twelve_bit, no_factor, large_factor, fifth_table, good[..14].to_vec(), Vec::new()] {
            assert_eq!(JpegFrame::parse(0xC0, &payload), None, "{payload:?}");
        }
        for (width, height, factors) in
            [(0, 8, &[0x11][..]), (8, 0, &[0x11]), (8, 8, &[]), (8, 8, &[0x11; 2]), (8, 8, &[0x11; 5])]
        {
            assert_eq!(JpegFrame::parse(0xC0, &header(width, height, factors)), None);
        }
        for marker in [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCF] {
            assert_eq!(JpegFrame::parse(marker, &good), None, "{marker:x}");
        }
    }
}
