use super::super::png::checksum32;
use super::super::{BrokenFile, InspectError, Inspector};
use super::support::*;
use super::{LIMITS, broken, check};
use crate::image::header::ColorKind;
use crate::image::shape::Size;
use crate::image::tests::support::header;
use crate::object::Format;

fn data() -> Vec<u8> {
    chunk(b"IDAT", b"deflated")
}

fn rgb() -> Vec<u8> {
    png_header((40, 30), 2, 8)
}

#[test]
fn the_checksum_is_the_one_of_the_standard() {
    assert_eq!(checksum32(b"IEND", b""), 0xAE42_6082);
}

#[test]
fn a_plain_png_is_described() {
    let expected = header(Format::Png, Size { width: 40, height: 30 }, ColorKind::Rgb);
    assert_eq!(check(&plain_png()), Ok(expected));
}

#[test]
fn colour_type_and_depth_decide_the_color() {
    for (color, depth, text) in [
        (0, 1, "gray8"),
        (0, 4, "gray8"),
        (0, 16, "gray16"),
        (2, 16, "rgb16"),
        (3, 2, "palette8"),
        (4, 8, "graya8"),
        (6, 16, "rgba16"),
    ] {
        let bytes = png(&[png_header((40, 30), color, depth), chunk(b"PLTE", &[0; 6]), data()]);
        assert_eq!(check(&bytes).unwrap().color.to_string(), text);
    }
    for (color, depth) in [(0, 3), (0, 0), (1, 8), (2, 4), (3, 16), (4, 4), (5, 8), (6, 2), (7, 8)] {
        assert_eq!(check(&png(&[png_header((40, 30), color, depth), data()])), broken(BrokenFile::PngColor));
    }
}

#[test]
fn an_alpha_channel_or_a_right_trns_is_alpha() {
    let alpha = |color, chunks: &[Vec<u8>]| {
        check(&png(&[png_header((40, 30), color, 8), chunks.concat(), data()])).unwrap().has_alpha
    };
    let palette = chunk(b"PLTE", &[0; 6]);
    let trns = |length| chunk(b"tRNS", &vec![0; length]);
    assert!(alpha(4, &[]) && alpha(6, &[]));
    assert!(!alpha(0, &[]) && !alpha(2, &[]) && !alpha(3, std::slice::from_ref(&palette)));
    assert!(alpha(0, &[trns(2)]) && !alpha(0, &[trns(1)]));
    assert!(alpha(2, &[trns(6)]) && !alpha(2, &[trns(2)]));
    assert!(alpha(3, &[palette.clone(), trns(1)]) && !alpha(3, &[trns(1), palette]));
    assert!(!check(&png(&[rgb(), data(), trns(6)])).unwrap().has_alpha);
}

#[test]
fn frames_are_those_that_the_animation_control_claims() {
    let frames = |chunks: &[Vec<u8>]| check(&png(&[rgb(), chunks.concat()])).unwrap().frames;
    let control = |count: u32| chunk(b"acTL", &[count.to_be_bytes(), [0; 4]].concat());
    assert_eq!(frames(&[control(20), data()]), 20);
    assert_eq!(frames(&[control(u32::MAX), data()]), u32::MAX);
    assert_eq!(frames(&[control(0), data()]), 1);
    assert_eq!(frames(&[data(), control(20)]), 1);
    assert_eq!(frames(&[chunk(b"acTL", &[9; 4]), data()]), 1);
}

#[test]
fn the_first_exif_chunk_orients_before_and_after_the_data() {
    let orientation =
        |chunks: &[Vec<u8>]| check(&png(&[rgb(), chunks.concat()])).unwrap().orientation.value();
    assert_eq!(orientation(&[chunk(b"eXIf", &exif(6)), chunk(b"eXIf", &exif(3)), data()]), 6);
    assert_eq!(orientation(&[data(), chunk(b"eXIf", &exif(8))]), 8);
    assert_eq!(orientation(&[chunk(b"eXIf", b""), data()]), 1);
}

#[test]
fn an_exif_chunk_over_the_bound_is_ignored() {
    let orientation = |bytes: usize| {
        let mut block = exif(6);
        block.resize(bytes, 0);
        check(&png(&[rgb(), chunk(b"eXIf", &block), data()])).unwrap().orientation.value()
    };
    assert_eq!(orientation(65_535), 6);
    assert_eq!(orientation(65_536), 1);
}

#[test]
fn wrong_checksums_outside_the_header_pass() {
    let mut bytes = png(&[rgb(), data()]);
    let length = bytes.len();
    bytes[length - 13] ^= 1;
    bytes[length - 1] ^= 1;
    assert!(check(&bytes).is_ok());
}

#[test]
fn every_damaged_byte_of_the_header_is_refused() {
    for at in 8..33 {
        let mut bytes = plain_png();
        bytes[at] ^= 0x10;
        let fault = if at < 16 { BrokenFile::PngNoHeader } else { BrokenFile::PngHeaderChecksum };
        assert_eq!(check(&bytes), broken(fault), "byte {at}");
    }
}

#[test]
fn each_fault_is_refused_by_name() {
    let palette = || png_header((40, 30), 3, 8);
    let method = |at: usize| {
        let mut fields = [0, 0, 0, 40, 0, 0, 0, 30, 8, 2, 0, 0, 0];
        fields[at] = 2;
        chunk(b"IHDR", &fields)
    };
    let long = [&0x8000_0000_u32.to_be_bytes()[..], b"tEXt"].concat();
    for (name, chunks, fault) in [
        ("no IHDR", vec![data()], BrokenFile::PngNoHeader),
        ("long IHDR", vec![chunk(b"IHDR", &[1; 14])], BrokenFile::PngNoHeader),
        ("compression", vec![method(10)], BrokenFile::PngMethod),
        ("filter", vec![method(11)], BrokenFile::PngMethod),
        ("interlace", vec![method(12)], BrokenFile::PngMethod),
        ("second IHDR", vec![rgb(), rgb()], BrokenFile::PngChunkOrder),
        ("second PLTE", vec![palette(), chunk(b"PLTE", &[0; 3]).repeat(2)], BrokenFile::PngChunkOrder),
        ("PLTE after data", vec![rgb(), data(), chunk(b"PLTE", &[0; 3])], BrokenFile::PngChunkOrder),
        ("empty PLTE", vec![palette(), chunk(b"PLTE", &[])], BrokenFile::PngPalette),
        ("cut PLTE", vec![palette(), chunk(b"PLTE", &[0; 4])], BrokenFile::PngPalette),
        ("long PLTE", vec![palette(), chunk(b"PLTE", &[0; 771])], BrokenFile::PngPalette),
        ("no PLTE", vec![palette(), data()], BrokenFile::PngNoPalette),
        ("split data", vec![rgb(), data(), chunk(b"tEXt", b"x"), data()], BrokenFile::PngDataSplit),
        ("no data", vec![rgb()], BrokenFile::PngNoData),
        ("empty data", vec![rgb(), chunk(b"IDAT", b""), chunk(b"tEXt", b"x")], BrokenFile::PngNoData),
        ("IEND with content", vec![rgb(), data(), chunk(b"IEND", b"x")], BrokenFile::PngEnd),
        ("unknown critical", vec![rgb(), chunk(b"CgBI", b"")], BrokenFile::PngCriticalChunk),
        ("name", vec![rgb(), chunk(b"a?cd", b"")], BrokenFile::PngChunkName),
        ("chunk length", vec![rgb(), long], BrokenFile::PngChunkLength),
    ] {
        assert_eq!(check(&png(&chunks)), broken(fault), "{name}");
    }
}

#[test]
fn sizes_out_of_range_are_refused_at_the_header() {
    let header = |size, limits| {
        let mut inspector = Inspector::new(limits);
        inspector.push(b"\x89PNG\r\n\x1a\n").unwrap();
        inspector.push(&png_header(size, 0, 8))
    };
    assert_eq!(header((0, 30), LIMITS), Err(InspectError::ZeroDimension));
    assert_eq!(header((40, 0), LIMITS), Err(InspectError::ZeroDimension));
    assert_eq!(header((10_000, 10_000), LIMITS), Ok(()));
    let (pixels, pixels_max) = (100_010_000, LIMITS.pixels_max);
    assert_eq!(header((10_000, 10_001), LIMITS), Err(InspectError::TooManyPixels { pixels, pixels_max }));
    let pixels = u64::from(u32::MAX) * u64::from(u32::MAX);
    assert_eq!(header((u32::MAX, u32::MAX), LIMITS), Err(InspectError::TooManyPixels { pixels, pixels_max }));
    let wide = crate::image::header::Limits { pixels_max: u64::MAX, ..LIMITS };
    assert_eq!(header((0x8000_0000, 1), wide), Err(InspectError::Broken(BrokenFile::PngDimension)));
    assert_eq!(header((0x7FFF_FFFF, 1), wide), Ok(()));
}
