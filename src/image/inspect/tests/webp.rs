use super::super::{BrokenFile, InspectError, Inspector};
use super::support::*;
use super::{LIMITS, broken, check};
use crate::image::header::ColorKind;
use crate::image::shape::Size;
use crate::image::tests::support::header;
use crate::object::Format;

const SIZE: (u32, u32) = (40, 30);
const ANIMATION: u8 = 0x02;
const ALPHA: u8 = 0x10;

#[test]
fn a_plain_webp_is_described() {
    let expected = header(Format::Webp, Size { width: 40, height: 30 }, ColorKind::Rgb);
    assert_eq!(check(&plain_webp()), Ok(expected));
    assert_eq!(check(&webp(&[vp8l(SIZE, false)])), Ok(expected));
    assert_eq!(check(&webp(&[vp8x(0, SIZE), riff_chunk(b"ICCP", b"odd"), vp8((40, 30))])), Ok(expected));
}

#[test]
fn the_scaling_hint_is_no_part_of_the_size() {
    let header = check(&webp(&[vp8((40 | 0x4000, 30 | 0xC000))])).unwrap();
    assert_eq!((header.width, header.height), (40, 30));
}

#[test]
fn alpha_is_where_any_header_says_so() {
    for chunks in [
        vec![vp8l(SIZE, true)],
        vec![vp8x(ALPHA, SIZE), vp8((40, 30))],
        vec![vp8x(0, SIZE), riff_chunk(b"ALPH", b"x"), vp8((40, 30))],
        vec![vp8x(0, SIZE), vp8l(SIZE, true)],
        vec![vp8x(ANIMATION, SIZE), anmf((0, 0), SIZE, &[vp8l(SIZE, true)])],
    ] {
        let header = check(&webp(&chunks)).unwrap();
        assert!(header.has_alpha);
        assert_eq!(header.color.to_string(), "rgba8");
    }
}

#[test]
fn animation_frames_are_counted() {
    let still = vp8l((8, 6), false);
    let frames = [
        anmf((0, 0), (40, 30), &[vp8((40, 30))]),
        anmf((16, 12), (8, 6), &[riff_chunk(b"ALPH", b"x"), still.clone(), riff_chunk(b"abcd", b"")]),
        anmf((1, 1), (8, 6), &[still, b"short".to_vec()]),
    ];
    let header =
        check(&webp(&[vp8x(ANIMATION, SIZE), riff_chunk(b"ANIM", &[0; 6]), frames.concat()])).unwrap();
    assert_eq!((header.frames, header.width, header.height), (3, 40, 30));
}

#[test]
fn the_first_exif_of_an_extended_file_orients_it() {
    let orientation = |chunks: &[Vec<u8>]| check(&webp(chunks)).unwrap().orientation.value();
    let exif_chunk = |value| riff_chunk(b"EXIF", &exif(value));
    let named = riff_chunk(b"EXIF", &[b"Exif\0\0".to_vec(), exif(8), vec![0]].concat());
    assert_eq!(orientation(&[vp8x(8, SIZE), vp8((40, 30)), exif_chunk(6), exif_chunk(3)]), 6);
    assert_eq!(orientation(&[vp8x(8, SIZE), named, vp8((40, 30))]), 8);
    assert_eq!(orientation(&[vp8((40, 30)), exif_chunk(6)]), 1);
    let mut long = exif(6);
    long.resize(65_536, 0);
    assert_eq!(orientation(&[vp8x(8, SIZE), vp8((40, 30)), riff_chunk(b"EXIF", &long)]), 1);
}

#[test]
fn a_last_chunk_without_its_padding_passes() {
    let mut bytes = plain_webp();
    assert_eq!(bytes.pop(), Some(0));
    bytes[4] -= 1;
    assert!(check(&bytes).is_ok());
}

#[test]
fn a_file_shorter_than_its_riff_size_is_truncated_and_a_longer_one_passes() {
    let mut bytes = plain_webp();
    bytes[4] += 2;
    assert_eq!(check(&bytes), Err(InspectError::Truncated(Format::Webp)));
    bytes.extend(b"\0\0more");
    assert!(check(&bytes).is_ok());
}

#[test]
fn each_fault_is_refused_by_name() {
    let flipped = |at: usize, bit: u8| {
        let mut picture = vp8((40, 30));
        picture[8 + at] ^= bit;
        picture
    };
    let animated = |frame: Vec<u8>| vec![vp8x(ANIMATION, SIZE), frame];
    for (name, chunks, fault) in [
        ("nothing", vec![], BrokenFile::WebpRiffSize),
        ("unknown first chunk", vec![riff_chunk(b"ICCP", b"")], BrokenFile::WebpChunk),
        ("short VP8X", vec![riff_chunk(b"VP8X", &[0; 8])], BrokenFile::WebpChunk),
        ("short VP8", vec![riff_chunk(b"VP8 ", &[0; 9])], BrokenFile::WebpChunk),
        ("short VP8L", vec![riff_chunk(b"VP8L", &[0x2F; 4])], BrokenFile::WebpChunk),
        ("short ANMF", animated(riff_chunk(b"ANMF", &[0; 15])), BrokenFile::WebpChunk),
        ("long chunk", vec![b"VP8 \xFF\xFF\xFF\xFF".to_vec()], BrokenFile::WebpChunkSize),
        (
            "long chunk in a frame",
            animated(anmf((0, 0), SIZE, &[b"VP8 \x20\0\0\0".to_vec()])),
            BrokenFile::WebpChunkSize,
        ),
        ("inter frame", vec![flipped(0, 1)], BrokenFile::WebpBitstream),
        ("VP8 version", vec![flipped(0, 8)], BrokenFile::WebpBitstream),
        ("hidden frame", vec![flipped(0, 0x10)], BrokenFile::WebpBitstream),
        ("first partition", vec![flipped(1, 2)], BrokenFile::WebpBitstream),
        ("start code", vec![flipped(3, 1)], BrokenFile::WebpBitstream),
        ("VP8L signature", vec![riff_chunk(b"VP8L", &[0; 8])], BrokenFile::WebpBitstream),
        ("VP8L version", vec![riff_chunk(b"VP8L", &[0x2F, 0, 0, 0, 0x20])], BrokenFile::WebpBitstream),
        ("other canvas", vec![vp8x(0, (41, 30)), vp8((40, 30))], BrokenFile::WebpPictureSize),
        ("other frame", animated(anmf((0, 0), (8, 6), &[vp8((8, 7))])), BrokenFile::WebpPictureSize),
        (
            "frame right of canvas",
            animated(anmf((17, 0), (8, 6), &[vp8((8, 6))])),
            BrokenFile::WebpFrameOutside,
        ),
        ("frame below canvas", animated(anmf((0, 13), (8, 6), &[vp8((8, 6))])), BrokenFile::WebpFrameOutside),
        ("still without picture", vec![vp8x(0, SIZE)], BrokenFile::WebpNoPicture),
        (
            "still with frames only",
            vec![vp8x(0, SIZE), anmf((0, 0), SIZE, &[vp8((40, 30))])],
            BrokenFile::WebpNoPicture,
        ),
        ("animation without frames", animated(vp8((40, 30))), BrokenFile::WebpNoPicture),
        ("frame without picture", animated(anmf((0, 0), SIZE, &[])), BrokenFile::WebpNoPicture),
    ] {
        assert_eq!(check(&webp(&chunks)), broken(fault), "{name}");
    }
}

#[test]
fn sizes_out_of_range_are_refused_at_the_header() {
    for size in [(0, 30), (40, 0)] {
        assert_eq!(check(&webp(&[vp8(size)])), Err(InspectError::ZeroDimension));
    }
    for (chunk, side) in [(vp8((16_383, 16_383)), 16_383), (vp8l((16_384, 16_384), false), 16_384)] {
        let error = InspectError::TooManyPixels { pixels: side * side, pixels_max: LIMITS.pixels_max };
        assert_eq!(Inspector::new(LIMITS).push(&webp(&[chunk])[..30]), Err(error));
    }
    let pixels = 1 << 48;
    let error = InspectError::TooManyPixels { pixels, pixels_max: LIMITS.pixels_max };
    assert_eq!(Inspector::new(LIMITS).push(&webp(&[vp8x(0, (1 << 24, 1 << 24))])), Err(error));
}
