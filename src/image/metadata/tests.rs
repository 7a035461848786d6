use super::*;
use crate::image::header::Limits;
use crate::image::inspect;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::{decode, encode};

const SIZE: Size = Size { width: 21, height: 10 };
const FORMATS: [Format; 4] = [Format::Jpeg, Format::Png, Format::Webp, Format::Avif];
const LIMITS: Limits = Limits { pixels_max: 1_000_000, frames_max: 10 };

fn file(format: Format, kind: PixelKind) -> Vec<u8> {
    let data = (0..SIZE.area() * kind.channels() as u64).map(|at| (at * 7) as u8).collect();
    encode::encode(Pixels::new(SIZE, kind, data).unwrap(), format, Some(80)).unwrap()
}

fn exif(orientation: u8) -> Vec<u8> {
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    [&b"II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4], b"GPS and camera"].concat()
}

fn xmp(orientation: u8) -> Vec<u8> {
    format!("<x:xmpmeta tiff:Orientation=\"{orientation}\" dc:creator=\"me\"/>").into_bytes()
}

fn sideways() -> Metadata {
    Metadata { exif: exif(6), xmp: xmp(6) }
}

fn upright() -> Metadata {
    Metadata { exif: exif(1), xmp: xmp(1) }
}

fn decoded(bytes: &[u8]) -> Pixels {
    let header = inspect::inspect(bytes, LIMITS).unwrap();
    decode::decode(bytes, &header, None, &LIMITS, &|| true).unwrap()
}

#[test]
fn metadata_goes_from_every_format_to_every_format_upright() {
    for from in FORMATS {
        for kind in [PixelKind::Gray, PixelKind::Rgb, PixelKind::Rgba] {
            let source = write::write(file(from, kind), from, SIZE, &sideways());
            assert_eq!(read::read(&source, from), sideways());
            for to in FORMATS {
                let plain = file(to, kind);
                let variant = carry(&source, from, plain.clone(), to, SIZE);
                assert_eq!(read::read(&variant, to), upright(), "{from:?} to {to:?}");
                assert_eq!(decoded(&variant), decoded(&plain), "{from:?} to {to:?}");
                assert_eq!(inspect::inspect(&variant, LIMITS).unwrap().orientation.value(), 1);
            }
        }
    }
}

#[test]
fn a_file_with_metadata_is_still_an_image_of_the_orientation_that_it_names() {
    for format in FORMATS {
        let source = write::write(file(format, PixelKind::Rgba), format, SIZE, &sideways());
        let header = inspect::inspect(&source, LIMITS).unwrap();
        // In an AVIF its own property turns the picture, and EXIF does not.
        let orientation = if format == Format::Avif { 1 } else { 6 };
        assert_eq!((header.orientation.value(), header.stored()), (orientation, SIZE), "{format:?}");
    }
}

#[test]
fn either_part_alone_is_carried_too() {
    for from in FORMATS {
        for parts in [Metadata { xmp: Vec::new(), ..upright() }, Metadata { exif: Vec::new(), ..upright() }] {
            let source = write::write(file(from, PixelKind::Rgb), from, SIZE, &parts);
            for to in FORMATS {
                let variant = carry(&source, from, file(to, PixelKind::Rgb), to, SIZE);
                assert_eq!(read::read(&variant, to), parts, "{from:?} to {to:?}");
            }
        }
    }
}

#[test]
fn where_there_is_nothing_to_carry_the_variant_stays_as_it_is() {
    for from in [Format::Jpeg, Format::Png, Format::Webp, Format::Gif] {
        for to in FORMATS {
            assert_eq!(
                carry(&file(from, PixelKind::Rgb), from, file(to, PixelKind::Rgb), to, SIZE),
                file(to, PixelKind::Rgb)
            );
        }
    }
    let source = write::write(file(Format::Png, PixelKind::Rgb), Format::Png, SIZE, &sideways());
    let gif = file(Format::Gif, PixelKind::Rgb);
    assert_eq!(carry(&source, Format::Png, gif.clone(), Format::Gif, SIZE), gif);
}

#[test]
fn what_is_too_long_for_a_jpeg_segment_is_left_behind_and_the_longest_is_not() {
    let long = |length: usize, mut part: Vec<u8>| {
        part.resize(length, b' ');
        part
    };
    let longest = Metadata { exif: long(EXIF_KEPT_MAX, exif(1)), xmp: long(XMP_KEPT_MAX, xmp(1)) };
    let longer = Metadata { exif: long(EXIF_KEPT_MAX + 1, exif(1)), xmp: long(XMP_KEPT_MAX + 1, xmp(1)) };
    for from in [Format::Png, Format::Webp] {
        for to in FORMATS {
            for (parts, kept) in [(&longest, longest.clone()), (&longer, Metadata::default())] {
                let source = write::write(file(from, PixelKind::Rgb), from, SIZE, parts);
                let variant = carry(&source, from, file(to, PixelKind::Rgb), to, SIZE);
                assert_eq!(read::read(&variant, to), kept, "{from:?} to {to:?}");
                assert_eq!(decoded(&variant).size(), SIZE);
            }
        }
    }
}

#[test]
fn broken_exif_is_left_behind() {
    let broken = Metadata { exif: b"not a TIFF block".to_vec(), xmp: Vec::new() };
    for format in FORMATS {
        let source = write::write(file(format, PixelKind::Rgb), format, SIZE, &broken);
        assert_eq!(
            carry(&source, format, file(format, PixelKind::Rgb), format, SIZE),
            file(format, PixelKind::Rgb)
        );
    }
}

#[test]
fn a_source_cut_anywhere_does_no_harm() {
    for format in FORMATS {
        let source = write::write(file(format, PixelKind::Rgba), format, SIZE, &sideways());
        for length in 0..source.len() {
            let variant =
                carry(&source[..length], format, file(Format::Webp, PixelKind::Rgb), Format::Webp, SIZE);
            assert!(variant.len() >= file(Format::Webp, PixelKind::Rgb).len());
        }
    }
}
