//! Thousands of damaged files, the same ones every time: each decode ends in planes or an error.

use super::*;

/// Pseudo-random numbers (SplitMix64).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) % below.max(1) as u64) as usize
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next(256) as u8
    }
}

pub(super) fn damaged(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let header = Segments::of(good).find(|segment| segment.marker == jpeg::SOS).unwrap().end();
    for _ in 0..=numbers.next(4) {
        let at = numbers.next(bytes.len());
        match numbers.next(7) {
            0 => bytes.truncate(at.max(header / 2)),
            1 => bytes[at] ^= 1 << numbers.next(8),
            2 => bytes[at] = numbers.byte(),
            3 => {
                let at = numbers.next(header.min(bytes.len()));
                bytes[at] = numbers.byte();
            }
            4 => {
                let end = (at + 1 + numbers.next(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let end = (at + 1 + numbers.next(40)).min(bytes.len());
                let value = [0, 0xFF, numbers.byte()][numbers.next(3)];
                bytes[at..end].fill(value);
            }
            _ => {
                let end = (at + 1 + numbers.next(200)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

fn survives(good: &[u8], files: usize, seed: u64) -> usize {
    let mut numbers = Numbers(seed);
    let small = Limits { pixels_max: 10_000, frames_max: 1 };
    let mut taken = 0;
    for _ in 0..files {
        let bytes = damaged(good, &mut numbers);
        let Some(jpeg) = Jpeg::read(&bytes) else { continue };
        let scales = [0; 4].map(|_| SCALES[numbers.next(4)]);
        // The limit keeps the cost of patched sizes out of this test; a refused file has no planes.
        if let Ok(planes) = jpeg.decode(scales, &small, &|| true) {
            taken += 1;
            let held: usize = planes.iter().map(|plane| plane.data.len()).sum();
            assert!(held as u64 <= jpeg.peak_bytes(scales));
            for plane in planes {
                let samples = plane.size().area();
                assert_eq!(plane.into_samples().len() as u64, samples);
            }
        }
    }
    taken
}

#[test]
fn damaged_files_end_in_planes_or_an_error() {
    let pixels = picture(35, 27);
    for (at, (order, set)) in (0_u64..).zip(ORDERS) {
        for (sampling, seed) in [(SamplingFactor::R_4_2_0, 100), (SamplingFactor::R_4_1_1, 200)] {
            let good = written(&pixels, sampling, set);
            let taken = survives(&good, 400, seed + at);
            assert!(taken > 150, "{order}: of 400 only {taken} came as far as a scan");
        }
    }
}

#[test]
fn extreme_coefficients_saturate() {
    // Every coefficient of every block at its maximum, and steps of 16 bits.
    let steps = [&b"\xFF\xDB\0\x83\x10"[..], &[0x7F; 128]].concat();
    let codes = |class: u8, symbol: u8| [&b"\xFF\xC4\0\x14"[..], &[class, 1], &[0; 15], &[symbol]].concat();
    let scan = b"\xFF\xDA\0\x08\x01\x01\0\0\x3F\0";
    for (fill, marker) in [(0x7F, 0xC1), (0x00, 0xC1)] {
        let frame = [0xFF, marker, 0, 11, 8, 0, 24, 0, 24, 1, 1, 0x11, 0];
        let bytes =
            [b"\xFF\xD8", &steps[..], &frame, &codes(0, 15), &codes(0x10, 15), scan, &[fill; 4000]].concat();
        for scale in SCALES {
            let planes = decoded(&bytes, scale);
            assert!(planes[0].row(0).iter().any(|sample| [0, 255].contains(sample)), "{scale:?}");
        }
    }
}
