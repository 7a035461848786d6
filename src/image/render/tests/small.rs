//! The small picture that a variant leaves, against the one that is decoded for the placeholder.

use std::fs;

use super::support::*;
use crate::image::inspect::inspect;
use crate::image::pixels::PixelKind;
use crate::image::placeholder::{self, Placeholder};
use crate::image::render::*;
use crate::image::tests::corpus;
use crate::image::variant;
use crate::object::Format;

const SIZE: Size = Size { width: 400, height: 300 };

/// Specs that show all of a picture, a part of it, or something else.
const SPECS: [(&str, Format); 10] = [
    ("120w", Format::Jpeg),
    ("120w", Format::Png),
    ("90w,rot90,flop,blur3", Format::Jpeg),
    ("150w100h,pad,grey,bg-00ff00", Format::Webp),
    ("full", Format::Png),
    ("500w,up", Format::Jpeg),
    ("60s", Format::Jpeg),
    ("60s,g-smart", Format::Webp),
    ("90w,crop-7-9-301-200,p3", Format::Png),
    ("90w,trim", Format::Jpeg),
];

/// The placeholder of what the variant leaves; `None` if it leaves nothing.
fn left(source: &[u8], recipe: &Recipe) -> Option<Placeholder> {
    let prepared = variant::prepare(source, recipe, &LIMITS).unwrap();
    let mut small = SmallPicture::Wanted;
    prepared.make_with_small(&mut DecodedPlanes::Ignore, &mut small, &always).unwrap();
    small.into_pixels().map(|pixels| Placeholder::of(pixels).unwrap())
}

/// The placeholder by a decode of its own.
fn decoded_for(source: &[u8]) -> Placeholder {
    let recipe = placeholder::recipe();
    let prepared = variant::prepare(source, &recipe, &LIMITS).unwrap();
    prepared.placeholder(&mut DecodedPlanes::Ignore, &always).unwrap()
}

/// Red, green, blue and alpha of the picture that a ThumbHash gives back, in an 8 × 8 grid.
fn grid(placeholder: &Placeholder) -> Vec<u8> {
    let (width, height, rgba) = thumbhash::thumb_hash_to_rgba(&placeholder.thumbhash).unwrap();
    let place = |at: usize| (at / 8 * height / 8 * width + at % 8 * width / 8) * 4;
    (0..64).flat_map(|at| rgba[place(at)..place(at) + 4].to_vec()).collect()
}

fn assert_close(left: &Placeholder, right: &Placeholder, what: &str) {
    let apart = apart(left, right);
    assert!(apart.0 <= 3 && apart.1 < 4.0, "{what}: {apart:?} apart");
}

/// The worst channel of the averages, and the mean of the pictures.
fn apart(left: &Placeholder, right: &Placeholder) -> (u8, f64) {
    let average = left.average.iter().zip(right.average).map(|(left, right)| left.abs_diff(right)).max();
    (average.unwrap(), crate::image::tests::support::mean_apart(&grid(left), &grid(right)))
}

/// The orientation that the file says is this one.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = *b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    exif[28] = orientation;
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

/// A JPEG in Display P3 of a red whose numbers there are others than in sRGB.
fn vivid_in_p3() -> Vec<u8> {
    let mut pixels = photo(SIZE, PixelKind::Rgb);
    pixels
        .data_mut()
        .as_chunks_mut::<3>()
        .0
        .iter_mut()
        .for_each(|[_, green, blue]| (*green, *blue) = (20, 0));
    let plain = file(&pixels, Format::Png);
    let header = inspect(&plain, LIMITS).unwrap();
    let recipe = recipe("full,p3,q95", Format::Jpeg);
    render(&plain, &header, &recipe, &LIMITS, &mut DecodedPlanes::Ignore, &always).unwrap()
}

#[test]
fn every_variant_of_a_jpeg_leaves_nearly_the_same_placeholder() {
    let plain = file(&photo(SIZE, PixelKind::Rgb), Format::Jpeg);
    let (gray, tagged) = (file(&photo(SIZE, PixelKind::Gray), Format::Jpeg), vivid_in_p3());
    for (source, what) in [(plain, "plain"), (tagged, "P3"), (gray, "gray")] {
        let expected = decoded_for(&source);
        for (spec, format) in SPECS.into_iter().chain([("40w", Format::Jpeg), ("5w", Format::Gif)]) {
            let made = left(&source, &recipe(spec, format)).unwrap_or_else(|| panic!("{spec}: nothing"));
            assert_close(&made, &expected, &format!("{what} {spec} as {format:?}"));
        }
    }
}

#[test]
fn the_small_picture_is_upright_in_every_orientation() {
    let plain = file(&photo(SIZE, PixelKind::Rgb), Format::Jpeg);
    for orientation in 2..=8 {
        let source = turned(&plain, orientation);
        let expected = decoded_for(&source);
        for (spec, format) in [("60w", Format::Jpeg), ("40s,rot90", Format::Webp), ("90w,trim", Format::Png)]
        {
            let made = left(&source, &recipe(spec, format)).unwrap_or_else(|| panic!("{spec}: nothing"));
            assert_close(&made, &expected, &format!("{orientation}: {spec} as {format:?}"));
        }
    }
}

#[test]
fn a_variant_does_not_depend_on_what_it_leaves() {
    for from in [Format::Jpeg, Format::Png, Format::Webp] {
        let source = file(&photo(SIZE, PixelKind::Rgb), from);
        for (spec, format) in SPECS {
            let recipe = recipe(spec, format);
            let prepared = variant::prepare(&source, &recipe, &LIMITS).unwrap();
            let without = prepared.make(&mut DecodedPlanes::Ignore, &always).unwrap();
            let mut small = SmallPicture::Wanted;
            let with = prepared.make_with_small(&mut DecodedPlanes::Ignore, &mut small, &always).unwrap();
            assert!(with == without, "{from:?} {spec} as {format:?}");
        }
    }
}

#[test]
fn so_does_every_variant_of_another_format_that_decodes_enough() {
    let pairs = [Format::Png, Format::Gif, Format::Webp].into_iter();
    let pairs =
        pairs.flat_map(|from| KINDS.map(|kind| (from, kind))).chain([(Format::Avif, PixelKind::Rgba)]);
    for (from, kind) in pairs {
        let source = file(&photo(SIZE, kind), from);
        let expected = decoded_for(&source);
        for (spec, format) in SPECS {
            let made = left(&source, &recipe(spec, format));
            // A PNG is read down to the cut's end, and of a lossy WebP only the window becomes samples.
            let is_part = match from {
                Format::Png => spec.contains("crop"),
                Format::Webp => spec.contains("crop") || spec == "60s",
                _ => false,
            };
            assert!(made.is_some() || is_part, "{kind:?} {from:?} {spec}: nothing");
            if let Some(made) = made {
                assert_close(&made, &expected, &format!("{kind:?} {from:?} {spec} as {format:?}"));
            }
        }
    }
}

#[test]
fn an_animation_leaves_its_first_frame_and_a_later_frame_leaves_nothing() {
    let mut writer = encode::animation(Format::Webp, SIZE, 0, Some(90)).unwrap();
    for kind in [PixelKind::Rgb, PixelKind::Gray] {
        let mut pixels = photo(SIZE, kind);
        if kind == PixelKind::Gray {
            pixels.data_mut().iter_mut().for_each(|value| *value /= 4);
        }
        writer.push(pixels, 100, &always).unwrap();
    }
    let source = writer.finish(&always).unwrap();
    let expected = decoded_for(&source);
    for (spec, format) in [("120w", Format::Webp), ("20s", Format::Gif), ("60w,frame0", Format::Jpeg)] {
        let made = left(&source, &recipe(spec, format)).unwrap_or_else(|| panic!("{spec}: nothing"));
        assert_close(&made, &expected, spec);
    }
    assert_eq!(left(&source, &recipe("120w,frame1", Format::Jpeg)), None);
}

#[test]
fn a_variant_with_too_few_pixels_leaves_nothing() {
    let webp = file(&photo(SIZE, PixelKind::Rgb), Format::Webp);
    assert!(left(&webp, &recipe("16w", Format::Jpeg)).is_some());
    assert_eq!(left(&webp, &recipe("15w", Format::Jpeg)), None);
    let small = file(&photo(Size { width: 120, height: 90 }, PixelKind::Rgb), Format::Jpeg);
    assert_eq!(left(&small, &recipe("9w", Format::Jpeg)), None);
}

#[test]
fn a_job_that_begins_with_kept_samples_leaves_the_same() {
    let source = file(&photo(SIZE, PixelKind::Rgb), Format::Jpeg);
    let recipe = recipe("45w", Format::Jpeg);
    let mut planes = DecodedPlanes::Collect;
    variant::prepare(&source, &recipe, &LIMITS).unwrap().make(&mut planes, &always).unwrap();
    let DecodedPlanes::Collected(samples) = planes else { panic!("no samples were left") };
    let head = crate::image::decoded_planes::head(&source).unwrap();
    let mut small = SmallPicture::Wanted;
    let prepared = variant::prepare(&head, &recipe, &LIMITS).unwrap();
    prepared.make_with_small(&mut DecodedPlanes::Reuse(samples), &mut small, &always).unwrap();
    let placeholder = small.into_pixels().and_then(Placeholder::of);
    assert_eq!(placeholder, left(&source, &recipe));
}

#[test]
fn thumbnails_of_real_files_leave_nearly_the_same_placeholder() {
    let Some(folder) = corpus::folder() else { return };
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let (mut count, mut far) = (0, Vec::new());
    for path in manifest.lines().skip(1).filter_map(|line| line.split('\t').next()) {
        let Ok(source) = fs::read(folder.join(path)) else { continue };
        let recipe = recipe("300w", Format::Jpeg);
        let Ok(prepared) = variant::prepare(&source, &recipe, &LIMITS) else { continue };
        let mut small = SmallPicture::Wanted;
        let made = prepared.make_with_small(&mut DecodedPlanes::Ignore, &mut small, &always);
        let (Ok(_), Some(pixels)) = (made, small.into_pixels()) else { continue };
        let apart = apart(&Placeholder::of(pixels).unwrap(), &decoded_for(&source));
        // In linear light, means of luma and of colours differ where colours are strong; and a sharp edge may fall to
        // either side of a place in the grid.
        if apart.0 > 8 || apart.1 > 10.0 {
            far.push((path, apart));
        }
        count += 1;
    }
    assert!(far.is_empty(), "{far:?}");
    assert!(count > 80, "only {count} files left a small picture");
}
