//! The pipeline as a whole, on pictures made here.

use proptest::prelude::*;

use super::fixtures::*;
use super::*;
use crate::image::pixels::{Kind, Pixels};

fn made(source: &[u8], header: &Header, job: &Job) -> Result<Vec<u8>, RenderError> {
    render(source, header, job, &LIMITS, &always)
}

const SMALL: Size = Size { width: 37, height: 23 };
const PHOTO: Size = Size { width: 240, height: 180 };

#[test]
fn a_png_at_its_own_size_comes_out_with_the_same_pixels() {
    for kind in KINDS {
        let pixels = photo(SMALL, kind);
        let source = file(&pixels, Format::Png);
        let result = made(&source, &header(Format::Png, SMALL, kind), &full(SMALL, Format::Png)).unwrap();
        assert_eq!(decoded(&result, Format::Png, SMALL), pixels, "{kind:?}");
    }
}

#[test]
fn every_transform_is_applied_after_the_window_was_cut_from_the_displayed_picture() {
    let stored = photo(SMALL, Kind::Rgb);
    let source = file(&stored, Format::Png);
    for bits in 0..8 {
        let transform = Transform { swap: bits & 4 != 0, mirror_x: bits & 1 != 0, mirror_y: bits & 2 != 0 };
        let displayed = orient::apply(transform, stored.clone());
        let part = Size { width: 12, height: 7 };
        let mut job = full(part, Format::Png);
        job.transform = transform;
        job.window = Rect { x: 5.0, y: 9.0, width: 12.0, height: 7.0 };
        let result = made(&source, &header(Format::Png, SMALL, Kind::Rgb), &job).unwrap();
        assert_eq!(
            decoded(&result, Format::Png, part),
            displayed.cropped(5, 9, part).unwrap(),
            "{transform:?}"
        );
    }
}

#[test]
fn scaling_and_turning_gives_what_turning_and_scaling_would() {
    let stored = photo(PHOTO, Kind::Rgb);
    let source = file(&stored, Format::Png);
    for bits in 0..8 {
        let transform = Transform { swap: bits & 4 != 0, mirror_x: bits & 1 != 0, mirror_y: bits & 2 != 0 };
        let displayed = orient::apply(transform, stored.clone());
        let to = Size { width: 50, height: 31 };
        let window = Rect { x: 10.3, y: 20.6, width: 100.0, height: 62.0 };
        let mut job = full(to, Format::Png);
        (job.transform, job.window) = (transform, window);
        let result = made(&source, &header(Format::Png, PHOTO, Kind::Rgb), &job).unwrap();
        let expected = resize::resize(displayed, window, to).unwrap();
        let likeness = psnr(&decoded(&result, Format::Png, to), &expected);
        assert!(likeness > 48.0, "{transform:?}: {likeness:.1} dB");
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
                let result = made(&source, &header(from, PHOTO, kind), &scaled(PHOTO, to, format)).unwrap();
                let likeness = psnr(&decoded(&result, format, to), &expected);
                // 256 colours, and edges that are either clear or not, are what GIF can do.
                let least = if from == Format::Gif || format == Format::Gif { 19.0 } else { 27.0 };
                assert!(likeness > least, "{kind:?} {from:?} to {format:?}: {likeness:.1} dB");
            }
        }
    }
}

#[test]
fn gray_stays_gray() {
    let gray = photo(SMALL, Kind::Gray);
    for from in [Format::Png, Format::Jpeg] {
        let source = file(&gray, from);
        let header = header(from, SMALL, Kind::Gray);
        let png = made(&source, &header, &full(SMALL, Format::Png)).unwrap();
        // Byte 25 of a PNG is its colour type: 0 is gray.
        assert_eq!(png[25], 0, "from {from:?}");
        let jpeg = made(&source, &header, &full(SMALL, Format::Jpeg)).unwrap();
        assert_eq!(decoded(&jpeg, Format::Jpeg, SMALL).kind(), Kind::Gray, "from {from:?}");
    }
}

#[test]
fn what_is_transparent_becomes_white_where_there_is_no_alpha_and_stays_clear_elsewhere() {
    let clear = Pixels::new(SMALL, Kind::Rgba, [200, 0, 0, 0].repeat(SMALL.area() as usize)).unwrap();
    let source = file(&clear, Format::Png);
    let header = header(Format::Png, SMALL, Kind::Rgba);
    let jpeg = made(&source, &header, &full(SMALL, Format::Jpeg)).unwrap();
    let darkest = decoded(&jpeg, Format::Jpeg, SMALL).data().iter().copied().min();
    assert!(darkest >= Some(254), "{darkest:?}");
    for format in [Format::Png, Format::Gif, Format::Webp] {
        let result = made(&source, &header, &full(SMALL, format)).unwrap();
        let pixels = decoded(&result, format, SMALL);
        assert!(pixels.data().chunks_exact(4).all(|pixel| pixel[3] == 0), "{format:?}");
    }
}

#[test]
fn a_gif_keeps_up_to_256_colours_exactly_and_alpha_above_127() {
    let data = (0..16 * 16_u32)
        .flat_map(|index| [index as u8, 0, 255 - index as u8, if index < 40 { 127 } else { 128 }]);
    let size = Size { width: 16, height: 16 };
    let pixels = Pixels::new(size, Kind::Rgba, data.collect()).unwrap();
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
    let pixels = photo(PHOTO, Kind::Rgba);
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
    let pixels = photo(SMALL, Kind::Rgb);
    let source = file(&pixels, Format::Png);
    let right = header(Format::Png, SMALL, Kind::Rgb);
    let job = full(SMALL, Format::Png);
    let tried = |header: &Header, job: &Job| made(&source, header, job).unwrap_err();

    assert_eq!(tried(&right, &Job { frame: Some(1), ..job }), RenderError::FrameMissing { frames: 1 });
    assert_eq!(
        tried(&right, &Job { width: 0, ..job }),
        RenderError::SideOutOfRange { side_max: 0x7FFF_FFFF }
    );
    let wide = Job { width: 16_384, format: Format::Webp, ..job };
    assert_eq!(tried(&right, &wide), RenderError::SideOutOfRange { side_max: 16_383 });
    let avif = RenderError::FormatNotSupported(Format::Avif);
    assert_eq!(tried(&right, &Job { format: Format::Avif, ..job }), avif);
    assert_eq!(tried(&Header { format: Format::Avif, ..right }, &job), avif);
    let limits = Limits { pixels_max: SMALL.area() - 1, ..LIMITS };
    let large = render(&source, &right, &job, &limits, &always).unwrap_err();
    assert_eq!(large, RenderError::TooLarge { pixels_max: SMALL.area() - 1 });
}

#[test]
fn a_file_of_another_size_than_its_header_is_refused_in_every_format() {
    for format in FORMATS {
        let source = file(&photo(SMALL, Kind::Rgb), format);
        for (width, height) in [(36, 23), (37, 24), (74, 46), (5, 5)] {
            let other = Size { width, height };
            let result = made(&source, &header(format, other, Kind::Rgb), &full(other, Format::Png));
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
            let result = made(source, &header(format, SMALL, Kind::Rgb), &full(SMALL, Format::Png));
            assert_eq!(result, Err(RenderError::Undecodable(Fault::Corrupt)), "{format:?}: {source:?}");
        }
    }
}

#[test]
fn work_ends_at_the_first_no_wherever_it_comes() {
    for format in FORMATS {
        let source = file(&photo(SMALL, Kind::Rgb), format);
        let asked = std::cell::Cell::new(0);
        let until = |last: u32| {
            asked.set(0);
            let keep_going = || {
                asked.set(asked.get() + 1);
                asked.get() <= last
            };
            let header = header(format, SMALL, Kind::Rgb);
            render(&source, &header, &full(SMALL, Format::Jpeg), &LIMITS, &keep_going)
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
                let (job, header) = (scaled(PHOTO, SMALL, format), header(from, PHOTO, kind));
                let least = PHOTO.area() * kind.channels().min(decode::kind(&header).channels()) as u64;
                assert!(peak_bytes(&header, &job) >= least + SMALL.area(), "{kind:?} {from:?} to {format:?}");
            }
        }
    }
    let huge = Size { width: u32::MAX, height: u32::MAX };
    let job = full(SMALL, Format::Png);
    assert!(
        peak_bytes(&header(Format::Png, Size { width: 100_000, height: 1000 }, Kind::Rgba), &job)
            >= 400_000_000
    );
    // Sizes that no limit lets through must saturate, not wrap to something small.
    assert!(peak_bytes(&header(Format::Jpeg, huge, Kind::Rgb), &full(huge, Format::Webp)) > 1 << 63);
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
        if let Ok(result) = made(&source, &header(format, size, kind), &scaled(size, to, Format::Png)) {
            prop_assert_eq!(decoded(&result, Format::Png, to).size(), to);
        }
    }
}
