//! A crop that depends on pixels, through the whole pipeline: the salient part is kept in every orientation.

use super::support::*;
use crate::image::header::Orientation;
use crate::image::pixels::PixelKind;
use crate::image::render::*;
use crate::image::{decode, draw, smart};
use crate::object::Format;

const GROUND: [u8; 3] = [150, 150, 150];
const RED: [u8; 3] = [230, 20, 20];

/// Side of the red square in [`picture`], in pixels.
const BLOB: u32 = 20;

/// A plain picture with a red square at one of three by three places.
fn picture(size: Size, column: u32, row: u32) -> Pixels {
    let (left, top) = ((size.width - BLOB) * column / 2, (size.height - BLOB) * row / 2);
    let data = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))).flat_map(|(x, y)| {
        let inside = (left..left + BLOB).contains(&x) && (top..top + BLOB).contains(&y);
        if inside { RED } else { GROUND }
    });
    Pixels::new(size, PixelKind::Rgb, data.collect()).unwrap()
}

/// The share of the red square in the variant, in per cent of its pixels in the source.
fn measure_kept(source: &[u8], header: &Header, spec: &str, format: Format, scale: f64) -> f64 {
    let recipe = recipe(spec, format);
    let bytes = render(source, header, &recipe, &LIMITS, &mut DecodedPlanes::Ignore, &always).unwrap();
    let read = crate::image::inspect::inspect(&bytes, LIMITS).unwrap();
    let shown = decode::decode(&bytes, &read, None, &LIMITS, &always).unwrap();
    let channels = shown.kind().channels();
    // The position of green between the background's and the square's value, so that pixels at the square's edge count
    // by their share. A picture without the square is gray, and may be decoded as such.
    let green = shown.kind().channels() / 3;
    let share = |pixel: &[u8]| f64::from(150_u8.saturating_sub(pixel[green])) / 130.0;
    let area: f64 = shown.data().chunks_exact(channels).map(share).sum();
    100.0 * area / (f64::from(BLOB).powi(2) * scale * scale)
}

const WIDE: Size = Size { width: 160, height: 80 };
const TALL: Size = Size { width: 80, height: 160 };

fn places() -> impl Iterator<Item = (u32, u32)> {
    (0..9).map(|place| (place % 3, place / 3))
}

#[test]
fn a_square_keeps_what_stands_out_wherever_it_is_and_in_whatever_format() {
    for from in FORMATS {
        for size in [WIDE, TALL] {
            for (column, row) in places() {
                let source = file(&picture(size, column, row), from);
                let header = header(from, size, PixelKind::Rgb);
                // From a quarter of the size on, some formats are decoded near the requested size.
                for (side, format) in [(50, Format::Png), (20, Format::Jpeg), (10, Format::Png)] {
                    let spec = format!("{side}s,g-smart");
                    let kept = measure_kept(&source, &header, &spec, format, f64::from(side) / 80.0);
                    assert!(kept > 85.0, "{from:?} {size:?} {column} {row} {spec}: {kept:.0} %");
                }
            }
        }
    }
}

#[test]
fn the_middle_would_have_lost_it() {
    let source = file(&picture(WIDE, 0, 1), Format::Png);
    let lost = measure_kept(&source, &header(Format::Png, WIDE, PixelKind::Rgb), "50s", Format::Png, 0.625);
    assert!(lost < 5.0, "{lost:.0} %");
}

#[test]
fn it_is_kept_however_the_picture_is_stored_and_turned() {
    for (column, row) in places() {
        let source = file(&picture(WIDE, column, row), Format::Png);
        for orientation in 1..=8 {
            let header = Header {
                orientation: Orientation::from_exif(orientation),
                ..header(Format::Png, WIDE, PixelKind::Rgb)
            };
            for turn in ["", ",rot90", ",rot270,flop"] {
                let spec = format!("40s,g-smart{turn}");
                let kept = measure_kept(&source, &header, &spec, Format::Png, 0.5);
                assert!(kept > 90.0, "{column} {row} {orientation} {spec}: {kept:.0} %");
            }
        }
    }
}

#[test]
fn boxes_device_pixels_crops_and_trimming_go_with_it() {
    for (column, row) in places() {
        let source = file(&picture(WIDE, column, row), Format::Png);
        let header = header(Format::Png, WIDE, PixelKind::Rgb);
        for (spec, scale) in [
            ("30w40h,fill,g-smart", 0.5),
            ("80w20h,fill,g-smart", 0.5),
            ("20s,g-smart,dpr2", 0.5),
            ("200s,g-smart,up", 2.5),
            ("500s,g-smart", 1.0),
        ] {
            let kept = measure_kept(&source, &header, spec, Format::Png, scale);
            assert!(kept > 90.0, "{column} {row} {spec}: {kept:.0} %");
        }
    }
    // The cut has the square at its right end; pixels outside the cut have no influence.
    let source = file(&picture(WIDE, 1, 1), Format::Png);
    let header = header(Format::Png, WIDE, PixelKind::Rgb);
    for (spec, expected) in [("15s,g-smart,crop-0-25-90-30", 100.0), ("15s,g-smart,crop-0-25-70-30", 0.0)] {
        let kept = measure_kept(&source, &header, spec, Format::Png, 0.5);
        assert!((kept - expected).abs() < 8.0, "{spec}: {kept:.0} %");
    }
    let trimmed = measure_kept(&source, &header, "20s,g-smart,trim", Format::Png, 1.0);
    assert!((trimmed - 100.0).abs() < 1.0, "{trimmed:.0} %");
}

#[test]
fn a_plain_picture_is_cropped_in_the_middle_and_equal_calls_give_equal_bytes() {
    let plain = Pixels::new(WIDE, PixelKind::Rgb, GROUND.repeat(WIDE.area() as usize)).unwrap();
    let source = file(&plain, Format::Png);
    let header = header(Format::Png, WIDE, PixelKind::Rgb);
    let made = |source: &[u8], spec: &str| {
        render(source, &header, &recipe(spec, Format::Png), &LIMITS, &mut DecodedPlanes::Ignore, &always)
            .unwrap()
    };
    assert_eq!(made(&source, "50s,g-smart"), made(&source, "50s"));
    let scene = file(&draw::sample(0, WIDE).unwrap(), Format::Png);
    assert_eq!(made(&scene, "50s,g-smart"), made(&scene, "50s,g-smart"));
    assert_ne!(made(&scene, "50s,g-smart"), made(&scene, "50s"));
}

#[test]
fn the_buffers_of_looking_are_charged() {
    let header = header(Format::Png, Size { width: 4000, height: 3000 }, PixelKind::Rgb);
    let smart = peak_bytes(&[], &header, &recipe("3000s,g-smart", Format::Jpeg), &LIMITS);
    assert!(smart >= 4000 * 3000 * 3 + smart::WORK_BYTES_MAX);
    // A smart window may begin between pixels where a centred one does not.
    assert!(smart >= peak_bytes(&[], &header, &recipe("3000s", Format::Jpeg), &LIMITS));
}
