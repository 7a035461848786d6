//! Scan headers, and the place of each scan's data.

use std::ops::Range;

use super::frame::{BlockGrid, COMPONENTS_MAX, JpegFrame, make_unique};
use crate::image::container::jpeg::{self, SCANS_MAX, Segment, Segments};

/// A scan with legal parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    /// First and last coefficient, in zigzag order.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Whether an earlier scan gave the upper bits.
    pub(super) refines: bool,
    /// The number of bits below the ones of this scan.
    pub(super) low: u32,
    /// The offset of its header in the file.
    pub(super) head: usize,
    pub(super) data: Range<usize>,
}

/// A component of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScanComponent {
    /// The component's index in the frame.
    pub(super) index: usize,
    /// The numbers of its Huffman tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

impl Scan {
    /// `None` if it refers to a component or table that cannot exist.
    pub(super) fn parse(frame: &JpegFrame, segment: &Segment<'_>) -> Option<Self> {
        let (&count, rest) = segment.payload.split_first()?;
        let count = usize::from(count);
        let (fields, rest) = rest.split_at_checked(2 * count)?;
        let &[first, last, bits, ..] = rest else { return None };
        if count > COMPONENTS_MAX {
            return None;
        }
        let mut fields: Vec<_> = fields.chunks_exact(2).map(|field| (field[0], field[1])).collect();
        make_unique(fields.iter_mut().map(|(id, _)| id));
        let mut components = Vec::with_capacity(COMPONENTS_MAX);
        for (id, tables) in fields {
            let index = frame.components.iter().position(|component| component.id == id)?;
            if components.iter().any(|other: &ScanComponent| other.index == index) {
                return None;
            }
            components.push(ScanComponent {
                index,
                dc: usize::from(tables >> 4),
                ac: usize::from(tables & 15),
            });
        }
        let mut scan = Self {
            components,
            first: u32::from(first),
            last: u32::from(last),
            refines: bits >> 4 != 0,
            low: u32::from(bits & 15),
            head: segment.start,
            data: segment.end()..segment.end(),
        };
        if !frame.is_progressive {
            // Some encoders write wrong values here, and a sequential scan allows no others.
            (scan.first, scan.last, scan.refines, scan.low) = (0, 63, false, 0);
        }
        let has_sense = if scan.first == 0 {
            !frame.is_progressive || scan.last == 0
        } else {
            scan.components.len() == 1 && scan.first <= scan.last && scan.last <= 63
        };
        (has_sense && !scan.components.is_empty() && scan.low <= 13).then_some(scan)
    }

    pub(super) const fn has_dc_codes(&self, frame: &JpegFrame) -> bool {
        self.first == 0 && !(frame.is_progressive && self.refines)
    }

    pub(super) const fn has_ac_codes(&self) -> bool {
        self.last > 0
    }

    /// The units of the scan: single blocks if it has one component, else the blocks of each by its sampling.
    pub(super) fn units(&self, frame: &JpegFrame) -> BlockGrid {
        match self.components.as_slice() {
            [only] => frame.blocks(&frame.components[only.index]),
            _ => frame.units(),
        }
    }

    /// Blocks of a component in a unit: across and down.
    pub(super) fn unit_blocks(&self, frame: &JpegFrame, part: ScanComponent) -> (u32, u32) {
        let component = frame.components[part.index];
        if self.components.len() == 1 { (1, 1) } else { (component.across, component.down) }
    }

    /// The coefficients of the scan, as a set.
    pub(super) const fn band(&self) -> u64 {
        (u64::MAX >> (63 - self.last)) & (u64::MAX << self.first)
    }
}

/// The scans of a file that begins with its start-of-image marker, without the ones with illegal parameters. `None` if
/// there are too many.
pub(super) fn list(source: &[u8], frame: &JpegFrame) -> Option<Vec<Scan>> {
    let mut scans = Vec::new();
    let mut seen = 0;
    let mut segments = Segments::of(source);
    while let Some(segment) = segments.next() {
        match segment.marker {
            jpeg::EOI => break,
            jpeg::SOS => {
                seen += 1;
                if seen > SCANS_MAX {
                    return None;
                }
                let end = jpeg::data_end(source, segment.end());
                if let Some(scan) = Scan::parse(frame, &segment) {
                    scans.push(Scan { data: segment.end()..end, ..scan });
                }
                segments = Segments::from(source, end);
            }
            _ => {}
        }
    }
    Some(scans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(marker: u8) -> JpegFrame {
        JpegFrame::parse(marker, &[8, 0, 20, 0, 20, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]).unwrap()
    }

    fn parsed(marker: u8, payload: &[u8]) -> Option<Scan> {
        Scan::parse(&frame(marker), &Segment { marker: jpeg::SOS, start: 0, payload })
    }

    #[test]
    fn a_scan_names_components_tables_and_a_band() {
        let scan = parsed(0xC2, &[1, 2, 0x31, 6, 63, 0x21]).unwrap();
        assert_eq!(scan.components, [ScanComponent { index: 1, dc: 3, ac: 1 }]);
        assert_eq!((scan.first, scan.last, scan.refines, scan.low), (6, 63, true, 1));
        assert_eq!(scan.band(), u64::MAX << 6);
        assert_eq!(scan.units(&frame(0xC2)), BlockGrid { columns: 2, rows: 2 });
        let scan = parsed(0xC0, &[3, 1, 0, 2, 0x11, 3, 0x11, 5, 1, 0xFF]).unwrap();
        assert_eq!((scan.band(), scan.refines, scan.low), (u64::MAX, false, 0));
        assert_eq!(scan.units(&frame(0xC0)), BlockGrid { columns: 2, rows: 2 });
        assert_eq!(parsed(0xC2, &[1, 1, 0, 0, 0, 0x01]).unwrap().band(), 1);
    }

    #[test]
    fn a_scan_without_sense_is_none() {
        let bad: [&[u8]; 9] = [
            &[],
            &[0, 0, 63, 0],
            &[1, 9, 0, 0, 0, 0],
            &[1, 1, 0, 0, 0],
            &[2, 1, 0, 2, 0, 1, 5, 0],
            &[1, 1, 0, 0, 5, 0],
            &[1, 1, 0, 6, 5, 0],
            &[1, 1, 0, 6, 64, 0],
            &[1, 1, 0, 6, 63, 0x0E],
        ];
        for payload in bad {
            assert_eq!(parsed(0xC2, payload), None, "{payload:?}");
        }
    }

    #[test]
    fn scans_are_listed_with_their_data_up_to_a_hundred() {
        let scan = b"\xFF\xDA\0\x08\x01\x02\0\0\x3F\0data\xFF\0\xFF\xD0\xFF\x02more";
        let file = |scans: usize| [b"\xFF\xD8", &scan.repeat(scans)[..], b"\xFF\xD9"].concat();
        let two = file(2);
        let listed = list(&two, &frame(0xC0)).unwrap();
        assert_eq!(listed.len(), 2);
        for scan in listed {
            assert_eq!(&two[scan.data], b"data\xFF\0\xFF\xD0\xFF\x02more");
        }
        assert!(list(&file(SCANS_MAX as usize), &frame(0xC0)).is_some());
        assert!(list(&file(SCANS_MAX as usize + 1), &frame(0xC0)).is_none());
    }
}
