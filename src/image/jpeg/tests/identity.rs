//! The decoder against a plain one, the [oracle](support::decode): the same bytes, whatever the file.

mod support;

use super::damage::{Numbers, damaged};
use super::support::{Arrangement, MadeComponent, make};
use super::*;
use crate::image::tests::corpus as corpus_of_images;

type Outcome = Result<(Vec<ComponentPlane>, bool), RenderError>;

/// The outcome of the decoder, with skim tables for scans of at least this many bytes.
fn outcome(jpeg: &Jpeg<'_>, scales: Scales, skimmed_bytes_min: usize) -> Outcome {
    let scans = scan::list(jpeg.source, &jpeg.frame).ok_or(CORRUPT)?;
    let (source, frame, scans) = (jpeg.source, &jpeg.frame, &scans[..]);
    let work =
        Work { source, frame, scans, scales, lit: [false; 4], skimmed_bytes_min, keep_going: &|| true };
    if frame.is_progressive { progressive::decode(&work) } else { sequential::decode(&work) }
}

/// Whether the file came as far as its data.
fn assert_identical(bytes: &[u8], scales: Scales, skimmed_bytes_min: usize, name: &str) -> bool {
    let Some(jpeg) = Jpeg::read(bytes).filter(|jpeg| jpeg.size().area() <= 30_000_000) else { return false };
    let (expected, found) = (support::decode(&jpeg, scales), outcome(&jpeg, scales, skimmed_bytes_min));
    // Not by `assert_eq`, which would print all samples.
    assert!(found == expected, "{name} at {scales:?}, skimmed from {skimmed_bytes_min} bytes on");
    found.is_ok()
}

/// All components at one scale, and mixtures in which few and most blocks become a single sample.
fn all_scales() -> impl Iterator<Item = Scales> {
    let [whole, half, quarter, eighth] = SCALES;
    let mixed = [[eighth, quarter, half, eighth], [quarter, eighth, eighth, whole]];
    SCALES.map(|scale| [scale; 4]).into_iter().chain(mixed)
}

/// Small files of every kind, with their names.
fn kinds() -> Vec<(String, Vec<u8>)> {
    let pixels = picture(53, 37);
    let mut kinds = Vec::new();
    for (order, set) in ORDERS {
        for sampling in JPEG_SAMPLINGS {
            kinds.push((format!("{order}, {sampling:?}"), written(&pixels, sampling, set)));
        }
    }
    let size = Size { width: 75, height: 50 };
    for factors in [[(4, 4), (1, 2), (3, 1), (2, 4)], [(1, 1), (2, 2), (1, 4), (4, 1)]] {
        let mut numbers = Numbers(9);
        let components = factors.map(|(across, down)| {
            let samples = (0..size.area()).map(|at| (at % 75 * 3) as f64 + numbers.next(20) as f64);
            MadeComponent { samples: samples.collect(), across, down }
        });
        for (is_progressive, is_apart, restart_interval) in
            [(false, false, 0), (false, false, 2), (false, true, 3), (true, true, 0), (true, false, 1)]
        {
            let head = Vec::new();
            let arrangement = Arrangement {
                ids: vec![1, 2, 3, 4],
                head,
                is_progressive,
                is_apart,
                restart_interval,
                repeats_height: false,
            };
            let name = format!("four components, {arrangement:?}");
            kinds.push((name, make(size, &components, &arrangement)));
        }
    }
    kinds
}

#[test]
fn sound_files_of_every_kind_are_decoded_as_by_the_oracle() {
    for (name, bytes) in kinds() {
        for scales in all_scales() {
            assert!(assert_identical(&bytes, scales, 0, &name), "{name}");
            assert!(assert_identical(&bytes, scales, usize::MAX, &name), "{name}");
        }
    }
}

#[test]
fn pieces_of_the_data_meet_without_a_gap() {
    let mut numbers = Numbers(3);
    let size = Size { width: 640, height: 480 };
    let noise = (0..size.area() * 3).map(|_| numbers.byte()).collect();
    let pixels = Pixels::new(size, PixelKind::Rgb, noise).unwrap();
    for restart_interval in [0, 700] {
        let bytes = written(&pixels, SamplingFactor::R_4_2_0, |encoder| {
            encoder.set_restart_interval(restart_interval)
        });
        assert!(bytes.len() > 200_000, "several pieces");
        for scales in all_scales() {
            assert!(assert_identical(&bytes, scales, 0, "noise"));
        }
    }
}

#[test]
fn twenty_thousand_damaged_files_are_decoded_as_by_the_oracle() {
    let kinds = kinds();
    let mut numbers = Numbers(77);
    let mut taken = 0;
    for round in 0..20_000 {
        let (name, good) = &kinds[round % kinds.len()];
        let bytes = with_markers(damaged(good, &mut numbers), &mut numbers);
        if Jpeg::read(&bytes).is_none_or(|jpeg| jpeg.size().area() > 20_000) {
            continue;
        }
        let scales = match numbers.next(3) {
            0 => [Scale::Eighth; 4],
            _ => [0; 4].map(|_| SCALES[numbers.next(4)]),
        };
        // The construction of skim tables takes longer than all the rest.
        let skimmed_bytes_min = if numbers.next(4) == 0 { 0 } else { usize::MAX };
        taken += usize::from(assert_identical(&bytes, scales, skimmed_bytes_min, name));
    }
    assert!(taken > 14_000, "of 20,000 only {taken} came as far as their data");
}

/// Often with a few FFs, restart markers and others set into the data.
fn with_markers(mut bytes: Vec<u8>, numbers: &mut Numbers) -> Vec<u8> {
    for _ in 0..numbers.next(3) {
        let at = bytes.len() - numbers.next(bytes.len() * 2 / 3);
        let code = [0xFF, 0xD0 + numbers.next(8) as u8, 0, numbers.byte()][numbers.next(4)];
        bytes.splice(at..at, [0xFF, code]);
    }
    bytes
}

/// Tables of any lengths, with all sizes of values, over random data.
#[test]
fn random_tables_are_read_as_by_the_oracle() {
    let mut numbers = Numbers(5);
    for round in 0..300 {
        let bytes = with_random_tables(&mut numbers);
        for scale in [Scale::Eighth, SCALES[round % 4]] {
            assert!(assert_identical(&bytes, [scale; 4], 0, "random tables"));
        }
    }
}

fn with_random_tables(numbers: &mut Numbers) -> Vec<u8> {
    let size = Size { width: 64, height: 64 };
    let flat = MadeComponent { samples: vec![0.0; 64 * 64], across: 1, down: 1 };
    let arrangement = Arrangement {
        ids: vec![1, 2, 3],
        head: Vec::new(),
        is_progressive: false,
        is_apart: false,
        restart_interval: 0,
        repeats_height: false,
    };
    let mut bytes = make(size, &[flat.clone(), flat.clone(), flat], &arrangement);
    let scan = Segments::of(&bytes).find(|segment| segment.marker == jpeg::SOS).unwrap();
    let (start, end) = (scan.start, scan.end());
    bytes.truncate(end);
    for _ in 0..6_000 {
        // Long runs of ones are codes of sixteen bits.
        let byte = [numbers.byte(), numbers.byte(), 0xFF][numbers.next(3)];
        bytes.extend([byte, 0].iter().take(if byte == 0xFF { 2 } else { 1 }));
    }
    let tables = [0x00, 0x10].map(|kind| {
        let (mut counts, mut space) = ([0_u8; 16], 1_usize << 16);
        for (length, count) in (1..).zip(&mut counts) {
            let most = (space >> (16 - length)).min(40);
            *count = if length < 3 { 0 } else { numbers.next(most / 2 + 1) as u8 };
            space -= usize::from(*count) << (16 - length);
        }
        let symbols = counts.iter().map(|&count| usize::from(count)).sum();
        let limit = if kind == 0 { 16 } else { 256 };
        let symbols: Vec<u8> = (0..symbols).map(|_| numbers.next(limit) as u8).collect();
        let length = 2 + 1 + 16 + symbols.len() as u16;
        [&[0xFF, 0xC4], &length.to_be_bytes()[..], &[kind], &counts, &symbols].concat()
    });
    bytes.splice(start..start, tables.concat());
    bytes
}

#[test]
fn photos_are_decoded_as_by_the_oracle() {
    let Some(folder) = corpus_of_images::folder() else { return };
    let mut seen = 0;
    for of in ["photos", "exif", "odd", "broken", "color"] {
        for (name, bytes) in super::corpus::files(&folder, of) {
            // A large file takes long in an unoptimised build: one scale must do.
            let most = if bytes.len() < 200_000 { 6 } else { 1 };
            for scales in all_scales().skip(3).chain(all_scales()).take(most) {
                seen += usize::from(assert_identical(&bytes, scales, SKIMMED_BYTES_MIN, &name));
            }
        }
    }
    assert!(seen > 100, "{seen}");
}
