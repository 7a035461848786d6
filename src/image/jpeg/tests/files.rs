//! Which files are supported, and the result of unusual ones.

use jpeg_encoder::ColorType;

use super::*;

/// A small file of three components, one scan.
fn small() -> Vec<u8> {
    written(&picture(40, 24), SamplingFactor::R_4_2_0, |_| ())
}

/// The offset of a marker.
fn place(bytes: &[u8], marker: u8) -> usize {
    Segments::of(bytes).find(|segment| segment.marker == marker).unwrap().start
}

#[test]
fn other_kinds_are_left_to_another_decoder() {
    let good = small();
    assert!(Jpeg::read(&good).is_some());
    let frame = place(&good, 0xC0);
    let with = |at: usize, value: u8| {
        let mut changed = good.clone();
        changed[at] = value;
        changed
    };
    let cut = |at: usize| good[..at].to_vec();
    let without = |marker: u8| {
        let segment = Segments::of(&good).find(|segment| segment.marker == marker).unwrap();
        [&good[..segment.start], &good[segment.end()..]].concat()
    };
    let twice = [&good[..frame], &good[frame..frame + 19], &good[frame..]].concat();
    let others = [
        ("lossless", with(frame + 1, 0xC3)),
        ("arithmetic", with(frame + 1, 0xC9)),
        ("twelve bits", with(frame + 4, 12)),
        ("height by another segment", {
            let mut bytes = with(frame + 5, 0);
            bytes[frame + 6] = 0;
            bytes
        }),
        ("two frames", twice),
        ("a scan of unknown components", with(place(&good, jpeg::SOS) + 5, 77)),
        ("no Huffman tables", without(jpeg::DHT)),
        ("no quantisation tables", without(jpeg::DQT)),
        ("no frame", without(0xC0)),
        ("no scan", cut(place(&good, jpeg::SOS))),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in others {
        assert!(Jpeg::read(&bytes).is_none(), "{what}");
    }
}

#[test]
fn four_components_are_inks_whatever_the_file_says_of_them() {
    let written = |color| {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, 90).encode(&[9; 8 * 8 * 4], 8, 8, color).unwrap();
        bytes
    };
    let colors = |bytes: &[u8]| Jpeg::read(bytes).unwrap().colors();
    let (cmyk, ycck) = (written(ColorType::Cmyk), written(ColorType::CmykAsYcck));
    assert_eq!((colors(&cmyk), colors(&ycck)), (JpegColors::Cmyk, JpegColors::Ycck));
    let adobe = Segments::of(&ycck).find(|segment| segment.marker == 0xEE).unwrap();
    let without = [&ycck[..adobe.start], &ycck[adobe.end()..]].concat();
    assert_eq!(colors(&without), JpegColors::Cmyk);
    assert_eq!(decoded(&cmyk, Scale::Eighth).len(), 4);
}

#[test]
fn repeated_ids_name_the_components_in_their_order() {
    let good = small();
    let mut bytes = good.clone();
    let (frame, scan) = (place(&good, 0xC0), place(&good, jpeg::SOS));
    for index in 0..3 {
        bytes[frame + 10 + 3 * index] = 1;
        bytes[scan + 5 + 2 * index] = 1;
    }
    assert_eq!(decoded(&bytes, Scale::Half), decoded(&good, Scale::Half));
    assert!(Jpeg::read(&good).unwrap().is_common() && !Jpeg::read(&bytes).unwrap().is_common());
}

#[test]
fn jfif_has_one_meaning_of_three_components() {
    let good = small();
    let segments = |ids: [u8; 3], with_jfif: bool, with_adobe: bool| {
        let app = Segments::of(&good).find(|segment| segment.marker == jpeg::APP0).unwrap();
        let jfif = if with_jfif { &good[app.start..app.end()] } else { b"" };
        let adobe: &[u8] = if with_adobe { b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\0" } else { b"" };
        let mut rest = good[app.end()..].to_vec();
        let (frame, scan) = (place(&good, 0xC0) - app.end(), place(&good, jpeg::SOS) - app.end());
        for (index, id) in ids.into_iter().enumerate() {
            rest[frame + 10 + 3 * index] = id;
            rest[scan + 5 + 2 * index] = id;
        }
        Jpeg::read(&[&b"\xFF\xD8"[..], jfif, adobe, &rest].concat()).unwrap().colors()
    };
    assert_eq!(segments([1, 2, 3], true, true), JpegColors::YCbCr);
    assert_eq!(segments([1, 2, 3], false, true), JpegColors::Rgb);
    assert_eq!(segments(*b"RGB", true, false), JpegColors::YCbCr);
    assert_eq!(segments(*b"RGB", false, false), JpegColors::Rgb);
    assert_eq!(segments([0, 1, 2], false, false), JpegColors::YCbCr);
}

#[test]
fn a_walk_tells_whole_files_from_cut_ones_without_an_end_marker() {
    for (order, set) in ORDERS {
        let good = written(&picture(64, 80), SamplingFactor::R_4_2_0, set);
        let last = Segments::of(&good).filter(|segment| segment.marker == jpeg::SOS).last().unwrap();
        let end = jpeg::data_end(&good, last.end());
        let is_whole = |bytes: &[u8]| Jpeg::read(bytes).unwrap().is_whole(&LIMITS, &|| true).unwrap();
        assert!(is_whole(&good[..end]), "{order}");
        assert!(is_whole(&[&good[..end], b"\0\0\x01\x0Atrailer"].concat()), "{order}");
        for missing in [3, 20, (end - last.end()) / 2] {
            assert!(!is_whole(&good[..end - missing.min(end - last.end())]), "{order}: {missing}");
        }
        if last.start > place(&good, jpeg::SOS) {
            assert!(!is_whole(&good[..last.start]), "{order}: a scan is missing");
        }
    }
}

#[test]
fn components_are_colours_where_the_file_says_so() {
    // JFIF alone would say what they are.
    let mut good = small();
    good[6] = b'X';
    let adobe = |transform: u8| {
        let segment = [b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0", &[transform][..]].concat();
        [&good[..2], &segment, &good[2..]].concat()
    };
    let named_rgb = {
        let mut bytes = good.clone();
        let (frame, scan) = (place(&good, 0xC0), place(&good, jpeg::SOS));
        for (index, name) in b"RGB".iter().enumerate() {
            bytes[frame + 10 + 3 * index] = *name;
            bytes[scan + 5 + 2 * index] = *name;
        }
        bytes
    };
    let colors = |bytes: &[u8]| Jpeg::read(bytes).unwrap().colors();
    assert_eq!(colors(&good), JpegColors::YCbCr);
    assert_eq!(
        [0, 1, 2, 9].map(|transform| colors(&adobe(transform))),
        [JpegColors::Rgb, JpegColors::YCbCr, JpegColors::YCbCr, JpegColors::YCbCr]
    );
    assert_eq!(colors(&named_rgb), JpegColors::Rgb);
    assert_eq!(decoded(&named_rgb, Scale::Half), decoded(&good, Scale::Half));
}

#[test]
fn junk_between_segments_and_before_the_file_is_passed_over() {
    let good = small();
    let expected = decoded(&good, Scale::Quarter);
    let scan = place(&good, jpeg::SOS);
    for odd in [
        [b"junk", &good[..]].concat(),
        [&good[..scan], b"junk\0\0", &good[scan..]].concat(),
        [&good[..scan], b"\xFF\xFF\xFF", &good[scan..]].concat(),
        [&good[..], b"behind the end \xFF\xDA\0\x02"].concat(),
    ] {
        assert_eq!(decoded(&odd, Scale::Quarter), expected);
    }
}

#[test]
fn tables_hold_until_they_are_replaced() {
    let bytes = written(&picture(40, 24), SamplingFactor::R_4_2_0, ORDERS[1].1);
    let first = Segments::of(&bytes).find(|segment| segment.marker == jpeg::SOS).unwrap();
    let end = jpeg::data_end(&bytes, first.end());
    let with_steps = |table: u8| {
        let segment = [&b"\xFF\xDB\0\x43"[..], &[table], &[255; 64]].concat();
        decoded(&[&bytes[..end], &segment, &bytes[end..]].concat(), Scale::Whole)
    };
    let expected = decoded(&bytes, Scale::Whole);
    assert_eq!(with_steps(0), expected, "luma was decoded with the table as it was");
    let changed = with_steps(1);
    assert!(changed[0] == expected[0] && changed[1] != expected[1] && changed[2] != expected[2]);
}

#[test]
fn a_scan_that_ends_early_leaves_the_rest_gray() {
    for (order, set) in [ORDERS[0], ORDERS[1]] {
        let good = written(&picture(64, 160), SamplingFactor::R_4_2_0, set);
        let scan = Segments::of(&good).find(|segment| segment.marker == jpeg::SOS).unwrap();
        let end = jpeg::data_end(&good, scan.end());
        let half = &good[..scan.end() + (end - scan.end()) / 2];
        let (cut, whole) = (decoded(half, Scale::Whole), decoded(&good, Scale::Whole));
        assert_eq!(cut[0].row(0), whole[0].row(0), "{order}");
        assert!(cut[0].row(159).iter().all(|&sample| sample == 128), "{order}");
        let nothing = decoded(&good[..scan.end()], Scale::Whole);
        // The unit in which the data ends consists of the available data, which here is nothing.
        let last = |plane: &ComponentPlane| plane.row(plane.size().height - 1).to_vec();
        assert!(nothing.iter().all(|plane| last(plane).iter().all(|&sample| sample == 128)), "{order}");
    }
}

#[test]
fn damage_between_two_restart_markers_stays_there() {
    let set: fn(&mut Encoder<&mut Vec<u8>>) = |encoder| encoder.set_restart_interval(4);
    let good = written(&picture(64, 64), SamplingFactor::R_4_2_0, set);
    let markers: Vec<usize> = memchr::memmem::find_iter(&good, b"\xFF\xD1").collect();
    let at = *markers.last().unwrap();
    let mut bad = good.clone();
    bad[at + 2..at + 12].fill(0);
    let (whole, hurt) = (decoded(&good, Scale::Whole), decoded(&bad, Scale::Whole));
    // An interval here is a row of units, 16 lines.
    let rows = |planes: &[ComponentPlane], rows: std::ops::Range<u32>| {
        rows.flat_map(|y| planes[0].row(y).to_vec()).collect::<Vec<u8>>()
    };
    assert_eq!(rows(&whole, 0..32), rows(&hurt, 0..32));
    assert_ne!(rows(&whole, 32..48), rows(&hurt, 32..48));
    assert_eq!(rows(&whole, 48..64), rows(&hurt, 48..64));
}

#[test]
fn a_second_scan_of_a_component_changes_nothing() {
    let good = small();
    let scan = place(&good, jpeg::SOS);
    let end = jpeg::data_end(&good, scan + 2);
    let mut again = good[scan..end].to_vec();
    let middle = again.len() / 2;
    again[middle] ^= 0x55;
    let twice = [&good[..end], &again, &good[end..]].concat();
    assert_eq!(decoded(&twice, Scale::Half), decoded(&good, Scale::Half));
}
