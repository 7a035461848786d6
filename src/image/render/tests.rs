//! The pipeline as a whole, on generated pictures.

mod animation;
mod color;
mod corpus;
mod gamut;
#[cfg(all(feature = "heic", feature = "jxl"))]
mod heic;
mod planes;
mod play;
mod progress;
mod small;
mod smart;
pub(super) mod support;

use proptest::prelude::*;

use super::*;
use crate::image::error::DecodeFault;
use crate::image::error::GeometryError;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Rect;
use crate::image::{decode, resize};
use crate::object::Format;
use support::*;

fn made(source: &[u8], header: &Header, recipe: &Recipe) -> Result<Vec<u8>, RenderError> {
    render(source, header, recipe, &LIMITS, &mut DecodedPlanes::Ignore, &always)
}

const SMALL: Size = Size { width: 37, height: 23 };
const PHOTO: Size = Size { width: 240, height: 180 };

#[test]
fn a_png_at_its_own_size_comes_out_with_the_same_pixels() {
    for kind in KINDS {
        let pixels = photo(SMALL, kind);
        let source = file(&pixels, Format::Png);
        let result = made(&source, &header(Format::Png, SMALL, kind), &full(Format::Png)).unwrap();
        assert_eq!(decoded(&result, Format::Png, SMALL), pixels, "{kind:?}");
    }
}

fn transforms() -> impl Iterator<Item = Transform> {
    (0..8).map(|bits| Transform { swap: bits & 4 != 0, mirror_x: bits & 1 != 0, mirror_y: bits & 2 != 0 })
}

#[test]
fn every_transform_is_applied_after_the_cut_was_taken_from_the_turned_picture() {
    let stored = photo(SMALL, PixelKind::Rgb);
    let source = file(&stored, Format::Png);
    for transform in transforms() {
        let displayed = orient::apply(transform, stored.clone());
        let recipe = Recipe { transform, ..recipe("full,crop-5-9-12-7", Format::Png) };
        let result = made(&source, &header(Format::Png, SMALL, PixelKind::Rgb), &recipe).unwrap();
        let part = Rect { x: 5, y: 9, width: 12, height: 7 };
        let expected = displayed.cropped(part).unwrap();
        assert_eq!(decoded(&result, Format::Png, part.size()), expected, "{transform:?}");
    }
}

#[test]
fn scaling_and_turning_gives_what_turning_and_scaling_would() {
    let stored = photo(PHOTO, PixelKind::Rgb);
    let source = file(&stored, Format::Png);
    for transform in transforms() {
        let displayed = orient::apply(transform, stored.clone());
        // The square of 101 pixels shows a window of 101 × 62.62, from 11.5 on.
        let recipe =
            Recipe { transform, ..recipe("50w31h,fill,g-x0.5y0.42,crop-10-20-101-101", Format::Png) };
        let to = Size { width: 50, height: 31 };
        let height = 101.0 * 31.0 / 50.0;
        let window = Rect { x: 0.0, y: 101.0 * 0.42 - height / 2.0, width: 101.0, height };
        let result = made(&source, &header(Format::Png, PHOTO, PixelKind::Rgb), &recipe).unwrap();
        let part = displayed.cropped(Rect { x: 10, y: 20, width: 101, height: 101 }).unwrap();
        let expected = resize::resize(part, window, to).unwrap();
        let similarity = psnr(&decoded(&result, Format::Png, to), &expected);
        assert!(similarity > 48.0, "{transform:?}: {similarity:.1} dB");
    }
}

#[test]
fn each_format_is_made_from_each_and_resembles_the_source() {
    let to = Size { width: 120, height: 90 };
    for kind in KINDS {
        let pixels = photo(PHOTO, kind);
        let expected = resize::resize(pixels.clone(), Rect::whole(PHOTO), to).unwrap();
        for from in FORMATS {
            let source = file(&pixels, from);
            for format in FORMATS {
                let result = made(&source, &header(from, PHOTO, kind), &scaled(to, format)).unwrap();
                let similarity = psnr(&decoded(&result, format, to), &expected);
                // GIF is limited to 256 colours and to edges that are either clear or opaque.
                let least = if from == Format::Gif || format == Format::Gif { 19.0 } else { 27.0 };
                assert!(similarity > least, "{kind:?} {from:?} to {format:?}: {similarity:.1} dB");
            }
        }
    }
}

#[test]
fn gray_stays_gray() {
    let gray = photo(SMALL, PixelKind::Gray);
    for from in [Format::Png, Format::Jpeg] {
        let source = file(&gray, from);
        let header = header(from, SMALL, PixelKind::Gray);
        let png = made(&source, &header, &full(Format::Png)).unwrap();
        // Byte 25 of a PNG is its colour type: 0 is gray.
        assert_eq!(png[25], 0, "from {from:?}");
        let jpeg = made(&source, &header, &full(Format::Jpeg)).unwrap();
        assert_eq!(decoded(&jpeg, Format::Jpeg, SMALL).kind(), PixelKind::Gray, "from {from:?}");
    }
}

#[test]
fn what_is_transparent_becomes_white_where_there_is_no_alpha_and_stays_clear_elsewhere() {
    let clear = Pixels::new(SMALL, PixelKind::Rgba, [200, 0, 0, 0].repeat(SMALL.area() as usize)).unwrap();
    let source = file(&clear, Format::Png);
    let header = header(Format::Png, SMALL, PixelKind::Rgba);
    let jpeg = made(&source, &header, &full(Format::Jpeg)).unwrap();
    let darkest = decoded(&jpeg, Format::Jpeg, SMALL).data().iter().copied().min();
    assert!(darkest >= Some(254), "{darkest:?}");
    for format in [Format::Png, Format::Gif, Format::Webp] {
        let result = made(&source, &header, &full(format)).unwrap();
        let pixels = decoded(&result, format, SMALL);
        assert!(pixels.data().chunks_exact(4).all(|pixel| pixel[3] == 0), "{format:?}");
    }
}

#[test]
fn a_gif_keeps_up_to_256_colours_exactly_and_alpha_above_127() {
    let data = (0..16 * 16_u32)
        .flat_map(|index| [index as u8, 0, 255 - index as u8, if index < 40 { 127 } else { 128 }]);
    let size = Size { width: 16, height: 16 };
    let pixels = Pixels::new(size, PixelKind::Rgba, data.collect()).unwrap();
    let back = decoded(&file(&pixels, Format::Gif), Format::Gif, size);
    for (index, (pixel, original)) in
        back.data().chunks_exact(4).zip(pixels.data().chunks_exact(4)).enumerate()
    {
        let expected = if index < 40 { &[0; 4] } else { &[original[0], original[1], original[2], 255] };
        assert_eq!(pixel, expected, "pixel {index}");
    }
}

#[test]
fn a_gif_of_many_colours_makes_exactly_the_clear_pixels_transparent() {
    let pixels = photo(PHOTO, PixelKind::Rgba);
    let back = decoded(&file(&pixels, Format::Gif), Format::Gif, PHOTO);
    for (pixel, original) in back.data().chunks_exact(4).zip(pixels.data().chunks_exact(4)) {
        assert_eq!(pixel[3] == 255, original[3] >= 128);
    }
}

#[test]
fn sixteen_bits_are_rounded_to_the_nearest_eight() {
    let values: [u16; 6] = [0, 128, 129, 32767, 65407, 65535];
    let mut source = Vec::new();
    let mut encoder = png::Encoder::new(&mut source, 6, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    let rows: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    encoder.write_header().unwrap().write_image_data(&rows).unwrap();
    let pixels = decoded(&source, Format::Png, Size { width: 6, height: 1 });
    // 257 steps of 16 bits are one step of 8: 128 is below half a step, 129 above.
    assert_eq!(pixels.data(), [0, 0, 1, 127, 255, 255]);
}

#[test]
fn errors_name_their_cause() {
    let pixels = photo(SMALL, PixelKind::Rgb);
    let source = file(&pixels, Format::Png);
    let right = header(Format::Png, SMALL, PixelKind::Rgb);
    let tried = |header: &Header, recipe: &Recipe| made(&source, header, recipe).unwrap_err();

    assert_eq!(tried(&right, &recipe("full,frame1", Format::Png)), RenderError::FrameMissing { frames: 1 });
    let nothing = GeometryError::NothingLeft { turned: SMALL };
    assert_eq!(tried(&right, &recipe("full,crop-37-0-1-1", Format::Png)), RenderError::Geometry(nothing));
    let limits = Limits { pixels_max: SMALL.area() - 1, ..LIMITS };
    let large =
        render(&source, &right, &recipe("9w", Format::Png), &limits, &mut DecodedPlanes::Ignore, &always)
            .unwrap_err();
    assert_eq!(large, RenderError::TooLarge { pixels_max: SMALL.area() - 1 });
}

#[test]
fn what_trimming_leaves_is_bounded_like_everything_else() {
    // A line of 1 × 4 in a white field, enlarged to 4000 × 16000.
    let size = Size { width: 9, height: 9 };
    let mut pixels = Pixels::new(size, PixelKind::Gray, vec![255; 81]).unwrap();
    (2..6).for_each(|y| pixels.data_mut()[y * 9 + 4] = 0);
    let source = file(&pixels, Format::Png);
    let header = header(Format::Png, size, PixelKind::Gray);
    let result = made(&source, &header, &recipe("4000w,trim,up", Format::Png));
    let beyond = GeometryError::BeyondDimension { side: 16_000, dimension_max: 8192 };
    assert_eq!(result, Err(RenderError::Geometry(beyond)));
    let line = made(&source, &header, &recipe("2w,trim,up", Format::Png)).unwrap();
    assert_eq!(decoded(&line, Format::Png, Size { width: 2, height: 8 }).data(), [0; 16]);
}

#[test]
fn a_side_that_a_format_cannot_hold_is_refused_by_its_encoder() {
    let wide = Pixels::new(Size { width: 16_384, height: 1 }, PixelKind::Gray, vec![0; 16_384]).unwrap();
    let refused = encode::encode(wide, Format::Webp, None);
    assert_eq!(refused, Err(RenderError::SideOutOfRange { side_max: 16_383 }));
}

#[test]
fn a_file_of_another_size_than_its_header_is_refused_in_every_format() {
    for format in FORMATS {
        let source = file(&photo(SMALL, PixelKind::Rgb), format);
        for (width, height) in [(36, 23), (37, 24), (74, 46), (5, 5)] {
            let other = Size { width, height };
            let result = made(&source, &header(format, other, PixelKind::Rgb), &full(Format::Png));
            assert!(
                matches!(result, Err(RenderError::Undecodable(_))),
                "{format:?} as {width}x{height}: {result:?}"
            );
        }
    }
}

#[test]
fn bytes_that_are_no_image_are_corrupt_in_every_format() {
    for format in FORMATS {
        for source in
            [&b""[..], b"\xFF\xD8", b"GIF89a", b"RIFF\x04\0\0\0WEBP", b"\x89PNG\r\n\x1a\n", &[0; 500]]
        {
            let result = made(source, &header(format, SMALL, PixelKind::Rgb), &full(Format::Png));
            assert_eq!(result, Err(RenderError::Undecodable(DecodeFault::Corrupt)), "{format:?}: {source:?}");
        }
    }
}

#[test]
fn work_ends_at_the_first_no_wherever_it_comes() {
    for format in FORMATS {
        let source = file(&photo(SMALL, PixelKind::Rgb), format);
        let asked = std::cell::Cell::new(0);
        let until = |last: u32| {
            asked.set(0);
            let keep_going = || {
                asked.set(asked.get() + 1);
                asked.get() <= last
            };
            let header = header(format, SMALL, PixelKind::Rgb);
            render(&source, &header, &full(Format::Jpeg), &LIMITS, &mut DecodedPlanes::Ignore, &keep_going)
        };
        assert!(until(u32::MAX).is_ok());
        let questions = asked.get();
        assert!(
            questions >= if format == Format::Png { SMALL.height } else { 3 },
            "{format:?} asks {questions} times"
        );
        for last in 0..questions {
            assert_eq!(until(last), Err(RenderError::Cancelled), "{format:?} after {last}");
            assert_eq!(asked.get(), last + 1, "{format:?} went on after a no");
        }
    }
}

#[test]
fn the_peak_holds_at_least_the_source_and_the_result() {
    for kind in KINDS {
        for from in FORMATS {
            for format in FORMATS {
                let (recipe, header) = (scaled(SMALL, format), header(from, PHOTO, kind));
                let least = PHOTO.area() * kind.channels().min(decode::kind(&header).channels()) as u64;
                let peak = peak_bytes(&[], &header, &recipe, &LIMITS);
                assert!(peak >= least + SMALL.area(), "{kind:?} {from:?} to {format:?}");
            }
        }
    }
    let wide = header(Format::Png, Size { width: 100_000, height: 1000 }, PixelKind::Rgba);
    assert!(peak_bytes(&[], &wide, &recipe("37w", Format::Png), &LIMITS) >= 400_000_000);
    // Sizes beyond every limit must saturate, not wrap to something small.
    let huge = header(Format::Jpeg, Size { width: u32::MAX, height: u32::MAX }, PixelKind::Rgb);
    assert!(peak_bytes(&[], &huge, &full(Format::Webp), &LIMITS) > 1 << 63);
}

#[test]
fn the_peak_counts_what_each_option_adds() {
    let header = header(Format::Png, SMALL, PixelKind::Rgb);
    let peak = |spec: &str, format| peak_bytes(&[], &header, &recipe(spec, format), &LIMITS);
    for (spec, bytes) in [
        // The padded canvas in four channels; with a blurred copy; the result of trimming, whose size is unknown
        // before.
        ("4000w4000h,pad", 4 * 16_000_000),
        ("4000w4000h,pad,sharpen1", 8 * 16_000_000),
        ("4000w,up", 3 * 4000 * 2486),
        ("4000w,up,trim", 3 * 4000 * 8192),
        ("4000w4000h,pad,grey,bg-ff0000", 7 * 16_000_000),
    ] {
        assert!(peak(spec, Format::Png) >= bytes, "{spec}: {}", peak(spec, Format::Png));
    }
    assert!(peak("9w,trim", Format::Png) >= peak("9w", Format::Png));
}

#[test]
fn a_jpeg_is_charged_for_the_planes_that_its_variant_needs() {
    let size = Size { width: 1200, height: 900 };
    let (source, header) =
        (file(&photo(size, PixelKind::Rgb), Format::Jpeg), header(Format::Jpeg, size, PixelKind::Rgb));
    let peak = |source: &[u8], spec| peak_bytes(source, &header, &recipe(spec, Format::Jpeg), &LIMITS);
    let whole = peak(&[], "100w");
    assert!(whole > 9 * size.area());
    assert!(peak(&source, "100w") < whole / 5);
    // Every pixel is read, or kept.
    assert!(peak(&source, "100w,trim") >= whole && peak(&source, "full") >= whole);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_give_an_image_or_an_error_and_never_panic(
        from in 0..FORMATS.len(),
        kind in 0..KINDS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        kept in any::<prop::sample::Index>(),
        truncated in any::<bool>(),
    ) {
        let size = Size { width: 21, height: 19 };
        let (format, kind) = (FORMATS[from], KINDS[kind]);
        let mut source = file(&photo(size, kind), format);
        for (place, value) in edits {
            let at = place.index(source.len());
            source[at] = value;
        }
        if truncated {
            source.truncate(kept.index(source.len()));
        }
        let to = Size { width: 8, height: 8 };
        if let Ok(result) = made(&source, &header(format, size, kind), &scaled(to, Format::Png)) {
            prop_assert_eq!(decoded(&result, Format::Png, to).size(), to);
        }
    }
}
