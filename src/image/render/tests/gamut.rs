//! Results in Display P3: their colours, and the profile in each format.

use super::support::*;
use crate::image::color::{ColorSpace, ColorSpaceName, Gamut};
use crate::image::decode;
use crate::image::details::Details;
use crate::image::inspect::Inspector;
use crate::image::metadata;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::render::*;
use crate::object::Format;

const SIZE: Size = Size { width: 40, height: 30 };

const WIDE: [Format; 4] = [Format::Jpeg, Format::Png, Format::Webp, Format::Avif];

/// A plain picture in Display P3: a red that sRGB does not have.
fn wide(format: Format) -> Vec<u8> {
    let file = file(&plain([250, 20, 30]), format);
    metadata::with_profile(file, format, SIZE, Gamut::DisplayP3.icc().unwrap())
}

fn plain(color: [u8; 3]) -> Pixels {
    Pixels::new(SIZE, PixelKind::Rgb, color.repeat(SIZE.area() as usize)).unwrap()
}

fn made(spec: &str, source: &[u8], from: Format, to: Format) -> Vec<u8> {
    let header = header(from, SIZE, PixelKind::Rgb);
    render(source, &header, &recipe(spec, to), &LIMITS, &mut DecodedPlanes::Ignore, &always).unwrap()
}

fn inspected(bytes: &[u8]) -> (Header, Details) {
    let mut inspector = Inspector::new(LIMITS);
    inspector.push(bytes).unwrap();
    let inspected = inspector.finish().unwrap();
    (inspected.header, inspected.notes.details(&inspected.header))
}

/// The middle pixel, as stored, and as it is in sRGB.
fn shown(bytes: &[u8]) -> ([u8; 3], [u8; 3]) {
    let (header, _) = inspected(bytes);
    let mut pixels = decode::decode(bytes, &header, None, &LIMITS, &always).unwrap();
    let middle = |pixels: &Pixels| {
        let channels = pixels.kind().channels();
        let at = (pixels.size().area() / 2) as usize * channels;
        let [red, green, blue] = pixels.data()[at..at + 3] else { panic!("three channels") };
        [red, green, blue]
    };
    let stored = middle(&pixels);
    ColorSpace::of(bytes, &header, Gamut::Srgb).convert(&mut pixels);
    (stored, middle(&pixels))
}

fn assert_near(found: [u8; 3], expected: [u8; 3], within: u8, what: &str) {
    let is_near = found.iter().zip(expected).all(|(left, right)| left.abs_diff(right) <= within);
    assert!(is_near, "{what}: {found:?} in place of {expected:?}");
}

#[test]
fn wide_colours_stay_as_they_are_and_carry_their_profile() {
    for from in WIDE {
        let source = wide(from);
        for to in WIDE {
            for spec in ["full,p3", "20w,p3", "20w,p3,meta", "80w,up,p3", "full,trim,p3"] {
                let result = made(spec, &source, from, to);
                let (_, details) = inspected(&result);
                assert_eq!(details.color_space, ColorSpaceName::DisplayP3, "{spec} {from:?} {to:?}");
                assert_near(shown(&result).0, shown(&source).0, 6, &format!("{spec} {from:?} {to:?}"));
            }
            let narrow = made("full", &source, from, to);
            assert_eq!(inspected(&narrow).1.color_space, ColorSpaceName::Srgb);
            assert_near(shown(&narrow).0, shown(&source).1, 6, &format!("sRGB {from:?} {to:?}"));
        }
        // A GIF has no profile, so it stays in sRGB.
        assert_near(shown(&made("full,p3", &source, from, Format::Gif)).0, shown(&source).1, 6, "GIF");
    }
}

#[test]
fn a_picture_in_srgb_looks_the_same_in_display_p3() {
    for from in WIDE {
        let source = file(&plain([250, 40, 30]), from);
        for to in WIDE {
            let result = made("full,p3", &source, from, to);
            assert_eq!(inspected(&result).1.color_space, ColorSpaceName::DisplayP3, "{from:?} {to:?}");
            assert_near(shown(&result).1, shown(&source).0, 7, &format!("{from:?} {to:?}"));
            assert!(shown(&result).0 != shown(&source).0, "{from:?} {to:?}");
        }
    }
}

#[test]
fn gray_has_no_profile_of_colours() {
    let gray = Pixels::new(SIZE, PixelKind::Gray, (0..1200).map(|at| (at % 251) as u8).collect()).unwrap();
    for from in [Format::Jpeg, Format::Png] {
        let source = file(&gray, from);
        let header = header(from, SIZE, PixelKind::Gray);
        for to in WIDE {
            let make = |spec| {
                render(&source, &header, &recipe(spec, to), &LIMITS, &mut DecodedPlanes::Ignore, &always)
                    .unwrap()
            };
            assert!(make("full,p3") == make("full"), "{from:?} {to:?}");
        }
    }
    // Colours that turn out to be gray.
    let colored = made("full,grey,p3", &wide(Format::Png), Format::Png, Format::Png);
    assert_eq!(inspected(&colored).1.color_space, ColorSpaceName::Srgb);
}

#[test]
fn a_background_is_a_colour_of_srgb() {
    let result = made("60w60h,pad,bg-ff0000,p3", &wide(Format::Png), Format::Png, Format::Png);
    let (header, _) = inspected(&result);
    let mut pixels = decode::decode(&result, &header, None, &LIMITS, &always).unwrap();
    assert_near([pixels.data()[0], pixels.data()[1], pixels.data()[2]], [234, 51, 35], 1, "stored");
    ColorSpace::of(&result, &header, Gamut::Srgb).convert(&mut pixels);
    assert_near([pixels.data()[0], pixels.data()[1], pixels.data()[2]], [255, 0, 0], 3, "shown");
}

#[test]
fn an_animation_keeps_its_profile() {
    let gif = super::play::animated(Format::Gif, 3);
    let (header, _) = inspected(&gif);
    let recipe = recipe("full,p3", Format::Webp);
    let result = render(&gif, &header, &recipe, &LIMITS, &mut DecodedPlanes::Ignore, &always).unwrap();
    let (made, details) = inspected(&result);
    assert!(header.frames > 1 && made.frames == header.frames);
    assert_eq!(details.color_space, ColorSpaceName::DisplayP3);
}
