use super::super::{BrokenFile, InspectError, Inspector, JpegKind};
use super::support::*;
use super::{LIMITS, broken, check};
use crate::image::header::ColorKind;
use crate::image::shape::Size;
use crate::image::tests::support::header;
use crate::object::Format;

fn rgb_frame() -> Vec<u8> {
    frame(0xC0, 8, (40, 30), &[1, 2, 3])
}

fn rgb_scan() -> Vec<u8> {
    scan(&[1, 2, 3], b"data")
}

#[test]
fn a_plain_jpeg_is_described() {
    let expected = header(Format::Jpeg, Size { width: 40, height: 30 }, ColorKind::Rgb);
    assert_eq!(check(&plain_jpeg()), Ok(expected));
}

#[test]
fn components_decide_the_color() {
    for (ids, text) in [(&[1][..], "gray8"), (&[1, 2, 3], "rgb8"), (&[1, 2, 3, 4], "cmyk8")] {
        let bytes = jpeg(&[frame(0xC1, 8, (40, 30), ids), scan(ids, b"data")]);
        assert_eq!(check(&bytes).unwrap().color.to_string(), text);
    }
}

#[test]
fn several_scans_with_tables_and_a_line_count_between_them_pass() {
    let bytes = jpeg(&[
        frame(0xC2, 8, (40, 30), &[1, 2, 3]),
        segment(0xC4, &[0; 20]),
        rgb_scan(),
        segment(0xDC, &[0, 30]),
        segment(0xC4, &[0; 20]),
        scan(&[1], b"one"),
        scan(&[3], b"three"),
    ]);
    assert_eq!(check(&bytes).map(|header| header.height), Ok(30));
}

#[test]
fn stuffed_bytes_restarts_fill_and_reserved_codes_belong_to_the_data() {
    for data in [
        &b"\xFF\0"[..],
        b"a\xFF\xD7b",
        b"\xFF\xFF\xFF\0",
        b"\xFF\x01\xFF\x02\xFF\xBF\xFF\xF0",
        b"",
        b"\xFF\xFF",
    ] {
        let bytes = jpeg(&[rgb_frame(), scan(&[1, 2, 3], data)]);
        assert!(check(&bytes).is_ok(), "{data:?}");
        assert_eq!(check(&bytes[..bytes.len() - 2]), Err(InspectError::Truncated(Format::Jpeg)), "{data:?}");
    }
}

#[test]
fn fill_and_parameterless_markers_between_segments_pass() {
    let bytes = jpeg(&[vec![0xFF; 9], rgb_frame(), vec![0xFF, 0x01, 0xFF, 0xD3], rgb_scan()]);
    assert!(check(&bytes).is_ok());
}

#[test]
fn an_end_inside_a_segment_is_not_the_end() {
    let inner = segment(0xE1, &plain_jpeg());
    assert!(check(&jpeg(&[inner.clone(), rgb_frame(), rgb_scan()])).is_ok());
    let cut = [&SOI[..], &inner].concat();
    assert_eq!(check(&cut), Err(InspectError::Truncated(Format::Jpeg)));
}

#[test]
fn stray_bytes_between_segments_pass_up_to_a_bound() {
    let with = |stray: usize| check(&jpeg(&[vec![0; stray], rgb_frame(), rgb_scan()]));
    assert!(with(5).is_ok());
    assert!(with(65_535).is_ok());
    assert_eq!(with(65_536), broken(BrokenFile::JpegStrayBytes));
    let stuffed = jpeg(&[[0xFF, 0].repeat(40_000), rgb_frame(), rgb_scan()]);
    assert_eq!(check(&stuffed), broken(BrokenFile::JpegStrayBytes));
}

#[test]
fn the_first_exif_before_the_picture_orients_it() {
    let orientation = |parts: &[Vec<u8>]| check(&jpeg(parts)).unwrap().orientation.value();
    let xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0");
    assert_eq!(orientation(&[xmp, exif_segment(6), exif_segment(3), rgb_frame(), rgb_scan()]), 6);
    assert_eq!(orientation(&[rgb_frame(), exif_segment(8), rgb_scan()]), 8);
    assert_eq!(orientation(&[rgb_frame(), rgb_scan(), exif_segment(6)]), 1);
    assert_eq!(orientation(&[segment(0xE2, &[]), segment(0xE1, b"Exif"), rgb_frame(), rgb_scan()]), 1);
}

#[test]
fn displayed_sides_change_places_with_orientation() {
    let header = check(&jpeg(&[exif_segment(6), rgb_frame(), rgb_scan()])).unwrap();
    assert_eq!((header.width, header.height, header.displayed()), (40, 30, Size { width: 30, height: 40 }));
}

#[test]
fn kinds_that_no_decoder_here_knows_are_named() {
    for (code, kind) in [
        (0xC3, JpegKind::Lossless),
        (0xC5, JpegKind::Hierarchical),
        (0xC6, JpegKind::Hierarchical),
        (0xC7, JpegKind::Hierarchical),
        (0xC9, JpegKind::Arithmetic),
        (0xCA, JpegKind::Arithmetic),
        (0xCB, JpegKind::Arithmetic),
        (0xCD, JpegKind::Arithmetic),
        (0xCE, JpegKind::Arithmetic),
        (0xCF, JpegKind::Arithmetic),
    ] {
        let bytes = jpeg(&[frame(code, 8, (40, 30), &[1]), scan(&[1], b"data")]);
        assert_eq!(check(&bytes), Err(InspectError::UnsupportedJpeg(kind)), "{code:X}");
    }
    let deep = jpeg(&[frame(0xC1, 12, (40, 30), &[1]), scan(&[1], b"data")]);
    assert_eq!(check(&deep), Err(InspectError::UnsupportedJpeg(JpegKind::Precision(12))));
    let two = jpeg(&[frame(0xC0, 8, (40, 30), &[1, 2]), scan(&[1, 2], b"data")]);
    assert_eq!(check(&two), Err(InspectError::UnsupportedJpeg(JpegKind::Components(2))));
}

#[test]
fn each_fault_is_refused_by_name() {
    let mut sampling = rgb_frame();
    sampling[11] = 0x51;
    let mut table = rgb_frame();
    table[12] = 4;
    let mut long_frame = rgb_frame();
    long_frame[3] += 1;
    let mut long_scan = rgb_scan();
    long_scan[3] += 1;
    for (name, parts, fault) in [
        ("no scan", vec![rgb_frame()], BrokenFile::JpegNoScan),
        ("scan first", vec![rgb_scan(), rgb_frame()], BrokenFile::JpegScanBeforeFrame),
        ("two frames", vec![rgb_frame(), rgb_frame()], BrokenFile::JpegSecondFrame),
        ("frame after scan", vec![rgb_frame(), rgb_scan(), rgb_frame()], BrokenFile::JpegSecondFrame),
        ("second start", vec![SOI.to_vec()], BrokenFile::JpegSecondStart),
        ("second start in data", vec![rgb_frame(), rgb_scan(), SOI.to_vec()], BrokenFile::JpegSecondStart),
        ("length 1", vec![vec![0xFF, 0xE1, 0, 1]], BrokenFile::JpegSegmentLength),
        ("frame length", vec![long_frame], BrokenFile::JpegSegmentLength),
        ("scan length", vec![rgb_frame(), long_scan], BrokenFile::JpegSegmentLength),
        ("sampling", vec![sampling], BrokenFile::JpegComponent),
        ("table", vec![table], BrokenFile::JpegComponent),
        ("scan of a stranger", vec![rgb_frame(), scan(&[1, 9], b"")], BrokenFile::JpegScanHeader),
        (
            "scan of an unused place",
            vec![frame(0xC0, 8, (4, 4), &[1]), scan(&[0], b"")],
            BrokenFile::JpegScanHeader,
        ),
        ("scan of none", vec![rgb_frame(), scan(&[], b"")], BrokenFile::JpegScanHeader),
        ("scan of five", vec![rgb_frame(), scan(&[1, 2, 3, 1, 2], b"")], BrokenFile::JpegScanHeader),
    ] {
        assert_eq!(check(&jpeg(&parts)), broken(fault), "{name}");
    }
}

#[test]
fn what_is_wrong_behind_the_first_data_is_a_doubt_and_no_refusal() {
    let start = [rgb_frame(), rgb_scan()];
    let trailer = b"\0\0\x01\x0ASEFH\xFF\xE1\xFF\xFFSEFT".to_vec();
    for (end, fault) in [
        (Vec::new(), InspectError::Truncated(Format::Jpeg)),
        (trailer, InspectError::Truncated(Format::Jpeg)),
        (plain_jpeg(), InspectError::Broken(BrokenFile::JpegSecondStart)),
    ] {
        let bytes = [&SOI[..], &start.concat(), &end].concat();
        let mut inspector = Inspector::new(LIMITS);
        inspector.push(&bytes).unwrap();
        let inspected = inspector.finish().unwrap();
        assert_eq!((inspected.header.width, inspected.doubt), (40, Some(fault)));
    }
}

#[test]
fn zero_sides_are_refused() {
    for size in [(0, 30), (40, 0)] {
        let bytes = jpeg(&[frame(0xC0, 8, size, &[1]), scan(&[1], b"data")]);
        assert_eq!(check(&bytes), Err(InspectError::ZeroDimension));
    }
}

#[test]
fn pixels_over_the_limit_are_refused_at_the_header() {
    let mut inspector = Inspector::new(LIMITS);
    inspector.push(&SOI).unwrap();
    let pixels = 65_535 * 65_535;
    let error = InspectError::TooManyPixels { pixels, pixels_max: LIMITS.pixels_max };
    assert_eq!(inspector.push(&frame(0xC0, 8, (65_535, 65_535), &[1])[..10]), Err(error));
}

#[test]
fn a_hundred_scans_pass_and_one_more_does_not() {
    let with =
        |scans: usize| check(&jpeg(&[frame(0xC2, 8, (40, 30), &[1, 2, 3]), scan(&[1], b"x").repeat(scans)]));
    assert!(with(100).is_ok());
    assert_eq!(with(101), Err(InspectError::TooManyScans { scans_max: 100 }));
}
