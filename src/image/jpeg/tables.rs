//! Quantisation and Huffman tables, and the restart interval: each is valid until it is replaced.

use super::frame::JpegFrame;
use super::huffman::{Codes, Definition};
use super::scan::{Scan, ScanComponent};
use crate::image::container::jpeg::{self, Segment};

/// All tables that are defined at one place of a file.
#[derive(Default)]
pub(super) struct Tables {
    /// In zigzag order. Steps are 1–65535; beyond 32767 a step makes no difference.
    quantization: [Option<[i16; 64]>; 4],
    dc: [Option<Definition>; 4],
    ac: [Option<Definition>; 4],
    /// Units between restart markers; 0 without markers.
    pub(super) restart_interval: u32,
}

impl Tables {
    /// Reads a segment. Ignores a segment that it does not understand or that defines no table.
    pub(super) fn read(&mut self, segment: &Segment<'_>) {
        match (segment.marker, segment.payload) {
            (jpeg::DQT, payload) => while_some(payload, |rest| self.read_quantization(rest)),
            (jpeg::DHT, payload) => while_some(payload, |rest| self.read_huffman(rest)),
            (jpeg::DRI, &[high, low, ..]) => {
                self.restart_interval = u32::from(u16::from_be_bytes([high, low]))
            }
            _ => {}
        }
    }

    fn read_quantization<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[kind], rest) = bytes.split_first_chunk::<1>()?;
        let place = self.quantization.get_mut(usize::from(kind & 15))?;
        let width = 1 + usize::from(kind >> 4);
        let (steps, rest) = rest.split_at_checked(64 * width)?;
        let mut table = [0; 64];
        for (step, bytes) in table.iter_mut().zip(steps.chunks_exact(width)) {
            let value = bytes.iter().fold(0_u16, |value, byte| value << 8 | u16::from(*byte));
            *step = i16::try_from(value).unwrap_or(i16::MAX);
        }
        (width <= 2).then(|| *place = Some(table))?;
        Some(rest)
    }

    fn read_huffman<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[kind], rest) = bytes.split_first_chunk::<1>()?;
        let class = match kind >> 4 {
            0 => &mut self.dc,
            1 => &mut self.ac,
            _ => return None,
        };
        let place = class.get_mut(usize::from(kind & 15))?;
        let (definition, rest) = Definition::parse(rest)?;
        *place = Some(definition);
        Some(rest)
    }

    /// The steps of this table, in zigzag order.
    pub(super) fn quantization(&self, index: usize) -> Option<&[i16; 64]> {
        self.quantization.get(index)?.as_ref()
    }

    pub(super) fn dc(&self, index: usize) -> Option<&Definition> {
        self.dc.get(index)?.as_ref()
    }

    pub(super) fn ac(&self, index: usize) -> Option<&Definition> {
        self.ac.get(index)?.as_ref()
    }

    /// Whether all tables that this scan needs are defined.
    pub(super) fn serve(&self, frame: &JpegFrame, scan: &Scan) -> bool {
        scan.components.iter().all(|part| {
            let quantization = frame.components[part.index].quantization;
            self.quantization(quantization).is_some()
                && (!scan.has_dc_codes(frame) || self.dc(part.dc).is_some())
                && (!scan.has_ac_codes() || self.ac(part.ac).is_some())
        })
    }
}

/// The look-up tables of a scan, by the numbers of the file's tables.
#[derive(Default)]
pub(super) struct Lookups {
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
}

impl Lookups {
    /// The tables for a scan; [`Tables::serve`] has found them.
    pub(super) fn new(tables: &Tables, frame: &JpegFrame, scan: &Scan) -> Self {
        let mut lookups = Self::default();
        for part in &scan.components {
            if let Some(definition) = tables.dc(part.dc).filter(|_| scan.has_dc_codes(frame)) {
                lookups.dc[part.dc].get_or_insert_with(|| Codes::new(definition));
            }
            if let Some(definition) = tables.ac(part.ac).filter(|_| scan.has_ac_codes()) {
                lookups.ac[part.ac].get_or_insert_with(|| Codes::new(definition));
            }
        }
        lookups
    }

    pub(super) fn dc(&self, part: ScanComponent) -> Option<&Codes> {
        self.dc.get(part.dc)?.as_ref()
    }

    pub(super) fn ac(&self, part: ScanComponent) -> Option<&Codes> {
        self.ac.get(part.ac)?.as_ref()
    }
}

/// Calls `step` with the rest that it returns, until nothing is left or it returns `None`.
fn while_some<'a>(mut rest: &'a [u8], mut step: impl FnMut(&'a [u8]) -> Option<&'a [u8]>) {
    while let Some(next) = step(rest) {
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tables: &mut Tables, marker: u8, payload: &[u8]) {
        tables.read(&Segment { marker, start: 0, payload });
    }

    #[test]
    fn tables_of_both_widths_share_a_segment_and_replace_older_ones() {
        let mut tables = Tables::default();
        let wide: Vec<u8> = (0..64_u16).flat_map(|step| (step * 1000).to_be_bytes()).collect();
        read(&mut tables, jpeg::DQT, &[&[2][..], &[7; 64], &[0x13], &wide].concat());
        assert_eq!(tables.quantization(2), Some(&[7; 64]));
        let steps = tables.quantization(3).unwrap();
        assert_eq!((steps[1], steps[32], steps[33], steps[63]), (1000, 32_000, i16::MAX, i16::MAX));
        read(&mut tables, jpeg::DQT, &[&[2][..], &[9; 64]].concat());
        assert_eq!(tables.quantization(2), Some(&[9; 64]));
    }

    #[test]
    fn what_is_cut_off_or_unknown_changes_nothing() {
        let mut tables = Tables::default();
        for payload in [&[][..], &[0], &[0; 64], &[4; 65], &[0x20; 200]] {
            read(&mut tables, jpeg::DQT, payload);
        }
        let full = [&[0x10][..], &[0, 2], &[0; 14], b"ab"].concat();
        for payload in [&[][..], &full[..18], &[0x20; 40], &[&[0x00, 3][..], &[0; 15], b"abc"].concat()] {
            read(&mut tables, jpeg::DHT, payload);
        }
        read(&mut tables, jpeg::DRI, &[1]);
        assert!((0..9).all(|index| tables.quantization(index).is_none() && tables.dc(index).is_none()));
        assert!(tables.ac(0).is_none() && tables.restart_interval == 0);
        read(&mut tables, jpeg::DHT, &full);
        read(&mut tables, jpeg::DRI, &[1, 2]);
        assert!(tables.ac(0).is_some() && tables.dc(0).is_none() && tables.restart_interval == 258);
    }
}
