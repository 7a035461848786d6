//! The details of files: places, colour spaces, gain maps and content credentials, in each format that can have them.

use super::LIMITS;
use super::support::*;
use crate::image::color::Gamut;
use crate::image::details::Details;
use crate::image::inspect::{Inspected, Inspector};
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;
use crate::image::{encode, metadata};
use crate::object::Format;

const SIZE: Size = Size { width: 40, height: 30 };

/// An XMP packet that tells a latitude, and one that does not.
const XMP_PLACE: &[u8] = b"<rdf:Description exif:GPSLatitude=\"52,31.2N\"/>";
const XMP_PLAIN: &[u8] = b"<rdf:Description exif:ExposureTime=\"1/60\"/>";

fn inspected(bytes: &[u8], piece: usize) -> Inspected {
    let mut inspector = Inspector::new(LIMITS);
    bytes.chunks(piece).for_each(|piece| inspector.push(piece).unwrap());
    inspector.finish().unwrap()
}

/// The details of a file, however it is cut.
#[track_caller]
fn details(bytes: &[u8]) -> Details {
    let Inspected { header, notes, .. } = inspected(bytes, bytes.len());
    let details = notes.details(&header);
    assert_eq!(notes.has_location(), details.has_location);
    for piece in [1, 7, 4096] {
        let cut = inspected(bytes, piece);
        assert_eq!((cut.notes.details(&cut.header), cut.header), (details, header), "in pieces of {piece}");
    }
    details
}

/// A TIFF block with a GPS directory that has a latitude, or only its version.
fn gps(has_latitude: bool) -> Vec<u8> {
    let entry =
        |tag: u16, value: u32| [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat();
    let tag = if has_latitude { 2 } else { 0 };
    [&b"II*\0\x08\0\0\0\x01\0"[..], &entry(0x8825, 26), &[0; 4], &[1, 0], &entry(tag, 0), &[0; 4]].concat()
}

fn exif_jpeg(tiff: &[u8]) -> Vec<u8> {
    jpeg(&[
        segment(0xE1, &[&b"Exif\0\0"[..], tiff].concat()),
        frame(0xC0, 8, (40, 30), &[1, 2, 3]),
        scan(&[1, 2, 3], b"data"),
    ])
}

/// A JPEG with this segment before its frame.
fn jpeg_with(code: u8, body: &[u8]) -> Vec<u8> {
    jpeg(&[segment(code, body), frame(0xC0, 8, (40, 30), &[1, 2, 3]), scan(&[1, 2, 3], b"data")])
}

fn png_with(name: &[u8; 4], body: &[u8], is_before: bool) -> Vec<u8> {
    let (part, data) = (chunk(name, body), chunk(b"IDAT", b"deflated"));
    let parts = if is_before { [part, data] } else { [data, part] };
    png(&[png_header((40, 30), 2, 8), parts.concat()])
}

fn webp_with(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    webp(&[vp8x(0, (40, 30)), vp8((40, 30)), riff_chunk(name, body)])
}

/// A GIF with this application block, whose data are no sub-blocks, as XMP has it.
fn gif_with(name: &[u8; 11], text: &[u8]) -> Vec<u8> {
    let trailer: Vec<u8> = [1].into_iter().chain((0..=255).rev()).chain([0]).collect();
    gif((40, 30), &[[&[0x21, 0xFF, 11][..], name, text, &trailer].concat(), gif_image((40, 30))])
}

fn encoded(format: Format) -> Vec<u8> {
    let data = (0..SIZE.area() * 3).map(|at| (at * 7) as u8).collect();
    encode::encode(Pixels::new(SIZE, PixelKind::Rgb, data).unwrap(), format, Some(80)).unwrap()
}

/// Each file with a place, and one that is like it and has none.
fn pairs() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let xmp = |name: &[u8], text: &[u8]| [name, text].concat();
    let jpeg_xmp = |text| jpeg_with(0xE1, &xmp(b"http://ns.adobe.com/xap/1.0/\0", text));
    let png_xmp = |text| png_with(b"iTXt", &xmp(b"XML:com.adobe.xmp\0\0\0\0\0", text), false);
    let avif =
        |source: &[u8]| metadata::carry(source, Format::Jpeg, encoded(Format::Avif), Format::Avif, SIZE);
    vec![
        ("JPEG, EXIF", exif_jpeg(&gps(true)), exif_jpeg(&gps(false))),
        ("JPEG, XMP", jpeg_xmp(XMP_PLACE), jpeg_xmp(XMP_PLAIN)),
        ("PNG, EXIF", png_with(b"eXIf", &gps(true), true), png_with(b"eXIf", &gps(false), true)),
        ("PNG, EXIF behind", png_with(b"eXIf", &gps(true), false), png_with(b"eXIf", &gps(false), false)),
        ("PNG, XMP", png_xmp(XMP_PLACE), png_xmp(XMP_PLAIN)),
        ("WebP, EXIF", webp_with(b"EXIF", &gps(true)), webp_with(b"EXIF", &gps(false))),
        ("WebP, XMP", webp_with(b"XMP ", XMP_PLACE), webp_with(b"XMP ", XMP_PLAIN)),
        ("GIF, XMP", gif_with(b"XMP DataXMP", XMP_PLACE), gif_with(b"XMP DataXMP", XMP_PLAIN)),
        ("AVIF, EXIF", avif(&exif_jpeg(&gps(true))), avif(&exif_jpeg(&gps(false)))),
        ("AVIF, XMP", avif(&jpeg_xmp(XMP_PLACE)), avif(&jpeg_xmp(XMP_PLAIN))),
    ]
}

#[test]
fn a_place_is_found_in_every_format_and_none_where_there_is_none() {
    for (name, with, without) in pairs() {
        assert!(details(&with).has_location, "{name}");
        assert!(!details(&without).has_location, "{name}");
    }
}

#[test]
fn a_long_block_tells_its_place_and_text_of_any_length_is_searched() {
    let long = [gps(true), vec![0; 100_000]].concat();
    assert!(details(&webp_with(b"EXIF", &long)).has_location);
    let far = [&vec![b' '; 300_000][..], XMP_PLACE].concat();
    assert!(details(&png_with(b"iTXt", &far, true)).has_location);
    assert!(details(&webp_with(b"XMP ", &far)).has_location);
}

#[test]
fn the_colour_space_is_that_of_the_profile_or_of_the_code_points() {
    let p3 = Gamut::DisplayP3.icc().unwrap();
    for format in [Format::Jpeg, Format::Png, Format::Webp, Format::Avif] {
        let plain = encoded(format);
        assert_eq!(details(&plain).color_space.as_str(), "srgb", "{format:?}");
        let wide = metadata::with_profile(plain, format, SIZE, p3);
        assert_eq!(details(&wide).color_space.as_str(), "display-p3", "{format:?}");
    }
    assert_eq!(details(&encoded(Format::Gif)).color_space.as_str(), "srgb");
    let pq = details(&png_with(b"cICP", &[9, 16, 0, 1], true));
    assert_eq!((pq.color_space.as_str(), pq.is_hdr), ("rec2100-pq", true));
    // Colours are told before the picture.
    assert_eq!(details(&png_with(b"cICP", &[9, 16, 0, 1], false)).color_space.as_str(), "srgb");
    let inks = jpeg(&[frame(0xC0, 8, (40, 30), &[1, 2, 3, 4]), scan(&[1, 2, 3, 4], b"data")]);
    assert_eq!(details(&inks).color_space.as_str(), "cmyk");
    // A profile that is too long to be kept.
    let long = webp(&[vp8x(0x20, (40, 30)), riff_chunk(b"ICCP", &vec![1; 70_000]), vp8((40, 30))]);
    assert_eq!(details(&long).color_space.as_str(), "other");
}

#[test]
fn gain_maps_and_content_credentials_are_found() {
    for file in [
        jpeg_with(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"),
        jpeg_with(
            0xE1,
            b"http://ns.adobe.com/xap/1.0/\0 xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\"",
        ),
        jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0 xmlns:a=\"http://ns.apple.com/HDRGainMap/1.0/\""),
    ] {
        assert!(details(&file).is_hdr);
        assert!(!details(&file).has_c2pa);
    }
    let avif = encoded(Format::Avif);
    let uuid = b"\xD8\xFE\xC3\xD6\x1B\x0E\x48\x3C\x92\x97\x58\x28\x87\x7E\xC4\x81";
    let box_of = |uuid: &[u8]| [&[0, 0, 0, 28][..], b"uuid", uuid, b"data"].concat();
    for (file, expected) in [
        (jpeg_with(0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x40jumb\0\0\0\x1Ejumdc2pa\0\x11\0\x10"), true),
        (jpeg_with(0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x40jumb\0\0\0\x1Ejumdjson\0\x11\0\x10"), false),
        (png_with(b"caBX", b"jumb", true), true),
        (webp_with(b"C2PA", b"jumb"), true),
        (gif_with(b"C2PA_GIF\x01\0\0", b"jumb"), true),
        ([&avif[..], &box_of(uuid)].concat(), true),
        ([&avif[..], &box_of(&[7; 16])].concat(), false),
    ] {
        assert_eq!(details(&file).has_c2pa, expected);
        assert!(!details(&file).is_hdr);
    }
}

#[cfg(feature = "jxl")]
#[test]
fn the_boxes_of_a_jpeg_xl_are_read() {
    use crate::image::container::avif::boxed;
    use crate::image::tests::fixtures::JXL_EXACT;

    let with = |boxes: &[Vec<u8>]| {
        let head = [boxed(b"JXL ", b"\x0D\x0A\x87\x0A"), boxed(b"ftyp", b"jxl \0\0\0\0jxl ")].concat();
        [head, boxed(b"jxlc", JXL_EXACT), boxes.concat()].concat()
    };
    let exif = |has_latitude| [&[0; 4][..], &gps(has_latitude)].concat();
    assert!(!details(JXL_EXACT).has_location);
    assert!(!details(&with(&[])).has_location);
    for (file, expected) in [
        (with(&[boxed(b"Exif", &exif(true))]), true),
        (with(&[boxed(b"Exif", &exif(false))]), false),
        (with(&[boxed(b"xml ", XMP_PLACE)]), true),
    ] {
        assert_eq!(details(&file).has_location, expected);
        assert_eq!(details(&file).color_space.as_str(), "srgb");
    }
    assert!(details(&with(&[boxed(b"jumb", b"\0\0\0\x1Ejumdc2pa")])).has_c2pa);
    assert!(details(&with(&[boxed(b"jhgm", b"\0")])).is_hdr);
}
