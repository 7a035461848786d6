//! AVIF: boxes inside the file, a picture with complete data, and the frames of sequences.

use super::super::{BrokenFile, InspectError};
use super::check;
use crate::image::container::avif::boxed;
use crate::image::container::avif::tests::{AvifFile, AvifItem, full, ispe, one, with_alpha};
use crate::image::header::{ColorKind, PixelFormat};
use crate::object::Format;

/// The index of a sequence; only its number of samples matters.
pub(super) fn moov(samples: u32) -> Vec<u8> {
    let sizes = full(b"stsz", 0, &[&[0; 4], &samples.to_be_bytes()[..], &[0; 12]].concat());
    let table = boxed(b"stbl", &[full(b"stts", 0, &[0; 4]), sizes].concat());
    let media = boxed(b"mdia", &[full(b"mdhd", 0, &[0; 20]), boxed(b"minf", &table)].concat());
    boxed(b"moov", &[full(b"mvhd", 0, &[0; 96]), boxed(b"trak", &media)].concat())
}

#[test]
fn a_picture_is_described_by_its_properties() {
    let header = check(&one((40, 30), b"coded").bytes()).unwrap();
    assert_eq!((header.format, header.width, header.height, header.frames), (Format::Avif, 40, 30, 1));
    assert_eq!((header.has_alpha, header.color), (false, PixelFormat { kind: ColorKind::Rgb, bits: 8 }));
    let header = check(&with_alpha((40, 30), b"colors", b"alpha").bytes()).unwrap();
    assert_eq!((header.has_alpha, header.color.kind), (true, ColorKind::Rgba));
    let mut turned = one((40, 30), b"coded");
    turned.properties.push(boxed(b"irot", &[1]));
    turned.items[0].properties.push((3, true));
    let header = check(&turned.bytes()).unwrap();
    assert_eq!((header.width, header.orientation.value(), header.displayed().width), (40, 8, 30));
}

#[test]
fn frames_of_a_sequence_are_counted() {
    for samples in [0, 1, 5, u32::MAX] {
        let file = AvifFile { between: moov(samples), ..one((40, 30), b"coded") };
        assert_eq!(check(&file.bytes()).unwrap().frames, samples.max(1));
    }
}

#[test]
fn a_picture_beyond_the_limits_is_refused_with_its_description() {
    for (size, expected) in [
        ((0, 30), InspectError::ZeroDimension),
        ((40, 0), InspectError::ZeroDimension),
        ((20_000, 20_000), InspectError::TooManyPixels { pixels: 400_000_000, pixels_max: 100_000_000 }),
    ] {
        assert_eq!(check(&one(size, b"coded").bytes()), Err(expected));
    }
    let mut grid = one((100, 30), b"\0\0\0\0\0\x64\0\x1E");
    grid.items[0].kind = *b"grid";
    grid.properties.push(ispe((60_000, 60_000)));
    let tile =
        AvifItem { id: 2, kind: *b"av01", properties: vec![(3, false), (2, true)], data: b"x".to_vec() };
    grid.items.push(tile);
    grid.references.push((*b"dimg", 1, vec![2]));
    assert!(matches!(check(&grid.bytes()), Err(InspectError::TooManyPixels { .. })));
}

#[test]
fn a_file_of_nothing_but_boxes_is_refused_and_one_with_many_behind_its_picture_is_not() {
    let many = boxed(b"free", b"").repeat(20_000);
    let picture = one((40, 30), b"coded").bytes();
    // After the file type box, which identifies the format.
    let (head, rest) = picture.split_at(picture[3].into());
    assert_eq!(check(&[head, &many, rest].concat()), Err(InspectError::Broken(BrokenFile::AvifBox)));
    assert!(check(&[&picture[..], &many].concat()).is_ok());
}

#[test]
fn boxes_that_reach_past_what_contains_them_are_refused() {
    let broken = |fault| Err(InspectError::Broken(fault));
    let cut = |length: usize| moov(5)[..length].to_vec();
    let inner = AvifFile {
        between: boxed(b"moov", &boxed(b"trak", &[0, 0, 1, 0, b'm', b'd', b'i', b'a'])),
        ..one((4, 4), b"x")
    };
    assert_eq!(check(&inner.bytes()), broken(BrokenFile::AvifBox));
    let outer = AvifFile { between: cut(40), ..one((4, 4), b"x") };
    assert!(check(&outer.bytes()).is_err());
    let tiny = AvifFile { between: vec![0, 0, 0, 7, b'f', b'r', b'e', b'e'], ..one((4, 4), b"x") };
    assert_eq!(check(&tiny.bytes()), broken(BrokenFile::AvifBox));
    let mut long = boxed(b"ftyp", b"avif\0\0\0\0");
    long.extend([0x00, 0x20, 0, 0]);
    long.extend(b"meta");
    assert_eq!(check(&long), broken(BrokenFile::AvifMetaLength));
    let none = [boxed(b"ftyp", b"avif\0\0\0\0"), boxed(b"mdat", b"data")].concat();
    assert_eq!(check(&none), broken(BrokenFile::AvifNoPicture));
    let mut foreign = one((4, 4), b"x");
    foreign.items[0].kind = *b"hvc1";
    assert_eq!(check(&foreign.bytes()), broken(BrokenFile::AvifKind));
}

#[test]
fn long_sizes_and_boxes_to_the_end_of_the_file_are_boxes_too() {
    let file = one((40, 30), b"coded").bytes();
    let data = file.len() - 13;
    assert_eq!(&file[data + 4..], b"mdatcoded");
    let to_the_end = [&file[..data], &[0; 4], &file[data + 4..]].concat();
    assert!(check(&to_the_end).is_ok());
    assert_eq!(check(&to_the_end[..to_the_end.len() - 1]), Err(InspectError::Truncated(Format::Avif)));
    // The large box is eight bytes longer, so the data has moved: the item names the size and the first part of the
    // data.
    let long = [&file[..data], &[0, 0, 0, 1], b"mdat", &21_u64.to_be_bytes(), b"coded"].concat();
    assert!(check(&long).is_ok());
    let beyond = [&file[..data], &[0, 0, 0, 1], b"mdat", &u64::MAX.to_be_bytes(), b"coded"].concat();
    assert!(check(&beyond).is_err());
}
