//! The place of the sRGB conversion among the steps.

use super::support::*;
use crate::image::color;
use crate::image::container::png;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::render::*;
use crate::object::Format;

const SIZE: Size = Size { width: 40, height: 40 };

/// A picture with linear values: a plain square of `inner` in the middle of `outer`.
fn linear(outer: u8, inner: u8) -> (Vec<u8>, Header) {
    let is_inside = |at: u32| (10..30).contains(&(at % 40)) && (10..30).contains(&(at / 40));
    let data = (0..1600).flat_map(|at| [if is_inside(at) { inner } else { outer }; 3]).collect();
    let mut bytes = file(&Pixels::new(SIZE, PixelKind::Rgb, data).unwrap(), Format::Png);
    bytes.splice(png::HEAD_BYTES..png::HEAD_BYTES, png::chunk(*b"gAMA", &100_000_u32.to_be_bytes()));
    (bytes, header(Format::Png, SIZE, PixelKind::Rgb))
}

fn made(spec: &str, (bytes, header): &(Vec<u8>, Header), size: Size) -> Pixels {
    let result =
        render(bytes, header, &recipe(spec, Format::Png), &LIMITS, &mut DecodedPlanes::Ignore, &always)
            .unwrap();
    decoded(&result, Format::Png, size)
}

#[test]
fn colours_are_converted_exactly_once_whatever_the_size() {
    let plain = linear(55, 55);
    for (spec, side) in
        [("full", 40), ("20w", 20), ("80w,up", 80), ("30w", 30), ("20w,trim", 20), ("full,trim", 40)]
    {
        let made = made(spec, &plain, Size { width: side, height: side });
        // 55 of 255 in linear light is 128 in sRGB.
        assert!(made.data().iter().all(|&value| value == 128), "{spec}: {:?}", &made.data()[..3]);
    }
}

#[test]
fn trimming_and_effects_see_the_colours_that_are_shown() {
    // Four steps apart in linear values, which would count as border, but 34 steps in sRGB.
    let content = linear(0, 4);
    let trimmed = made("full,trim", &content, Size { width: 20, height: 20 });
    assert!(trimmed.data().iter().all(|&value| value.abs_diff(34) <= 1), "{:?}", &trimmed.data()[..3]);
    let padded = made("60w60h,pad,bg-808080", &linear(55, 55), Size { width: 60, height: 60 });
    assert!(padded.data().iter().all(|&value| value == 128), "the background was converted too");
}

#[test]
fn the_peak_leaves_room_for_a_profile() {
    let (source, header) = linear(1, 1);
    assert!(peak_bytes(&source, &header, &recipe("20w", Format::Png), &LIMITS) > color::WORK_BYTES_MAX);
}
