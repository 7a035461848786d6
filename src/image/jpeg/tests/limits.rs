//! Bounds on memory, pixels, scans and time.

use std::cell::Cell;

use super::*;

/// As at upload.
const SCANS_MAX: usize = jpeg::SCANS_MAX as usize;

#[test]
fn too_many_pixels_are_refused_before_anything_is_reserved() {
    let mut bytes = written(&picture(16, 16), SamplingFactor::R_4_2_0, |_| ());
    let frame = Segments::of(&bytes).find(|segment| segment.marker == 0xC0).unwrap().start;
    bytes[frame + 5..frame + 9].fill(0xFF);
    let jpeg = Jpeg::read(&bytes).unwrap();
    let pixels_max = 65_535 * 65_535 - 1;
    let limits = Limits { pixels_max, frames_max: 1 };
    assert_eq!(jpeg.decode([Scale::Whole; 4], &limits, &|| true), Err(RenderError::TooLarge { pixels_max }));
}

#[test]
fn the_peak_is_known_from_the_header_and_shrinks_with_the_scale() {
    let of = |set| {
        let bytes = written(&picture(1024, 768), SamplingFactor::R_4_2_0, set);
        SCALES.map(|scale| Jpeg::read(&bytes).unwrap().peak_bytes([scale; 4]) - WORK_BYTES_MAX)
    };
    let samples = 1024 * 768 * 3 / 2;
    assert_eq!(of(ORDERS[0].1), [samples, samples / 4, samples / 16, samples / 64]);
    // Two bytes a coefficient, and eight a block if it has more than one coefficient.
    let blocks = samples / 64;
    assert_eq!(
        of(ORDERS[3].1),
        [
            samples + blocks * (128 + 8),
            samples / 4 + blocks * (32 + 8),
            samples / 16 + blocks * (8 + 8),
            samples / 64 + blocks * 2
        ]
    );
}

#[test]
fn more_than_a_hundred_scans_are_refused() {
    let good = written(&picture(16, 16), SamplingFactor::R_4_4_4, |encoder| encoder.set_progressive(true));
    let last = Segments::of(&good).filter(|segment| segment.marker == jpeg::SOS).last().unwrap();
    let scans = Segments::of(&good).filter(|segment| segment.marker == jpeg::SOS).count();
    let end = jpeg::data_end(&good, last.end());
    let with = |more: usize| [&good[..end], &good[last.start..end].repeat(more), &good[end..]].concat();
    let result = |bytes: &[u8]| Jpeg::read(bytes).unwrap().decode([Scale::Half; 4], &LIMITS, &|| true);
    assert!(result(&with(SCANS_MAX - scans)).is_ok());
    assert_eq!(result(&with(SCANS_MAX - scans + 1)), Err(CORRUPT));
}

#[test]
fn a_row_of_blocks_is_the_longest_that_goes_on_unasked() {
    for (order, set) in ORDERS {
        let bytes = written(&picture(64, 64), SamplingFactor::R_4_2_0, set);
        let jpeg = Jpeg::read(&bytes).unwrap();
        let asked = Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            true
        };
        jpeg.decode([Scale::Half; 4], &LIMITS, &count).unwrap();
        let most = asked.get();
        assert!(most >= 4, "{order}");
        for stop in 0..most {
            let left: Cell<usize> = Cell::new(stop);
            let keep_going = || left.replace(left.get().saturating_sub(1)) > 0;
            assert_eq!(
                jpeg.decode([Scale::Half; 4], &LIMITS, &keep_going),
                Err(RenderError::Cancelled),
                "{order} {stop}"
            );
        }
    }
}

#[test]
fn a_scan_without_data_costs_a_look_and_not_a_pass() {
    // A large picture whose scans are empty: `keep_going` is called for rows only while there is data.
    let mut bytes =
        written(&picture(64, 64), SamplingFactor::R_4_2_0, |encoder| encoder.set_progressive(true));
    let frame = Segments::of(&bytes).find(|segment| segment.marker == 0xC2).unwrap().start;
    bytes[frame + 5..frame + 9].copy_from_slice(&[8, 0, 8, 0]);
    let scan = Segments::of(&bytes).find(|segment| segment.marker == jpeg::SOS).unwrap();
    let (head, scan) = (bytes[..scan.start].to_vec(), bytes[scan.start..scan.end()].to_vec());
    let empty = [head, scan.repeat(SCANS_MAX)].concat();
    let asked = Cell::new(0);
    let count = || {
        asked.set(asked.get() + 1);
        true
    };
    Jpeg::read(&empty).unwrap().decode([Scale::Eighth; 4], &LIMITS, &count).unwrap();
    // Once for every scan, and once for each of the 2048 / 8 rows of blocks of the component.
    assert_eq!(asked.get(), SCANS_MAX + 256);
}
