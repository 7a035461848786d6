//! Facts about all formats and about arbitrary bytes.

use proptest::prelude::*;

use super::super::{InspectError, Inspector};
use super::avif::moov;
use super::support::*;
use super::{LIMITS, check, judged};
use crate::image::container::avif::tests::{AvifFile, one, with_alpha};
use crate::image::header::Header;
use crate::object::Format;

/// Images that use every state of every parser.
fn whole_images() -> Vec<(&'static str, Vec<u8>)> {
    let orient = chunk(b"eXIf", &exif(6));
    let control = chunk(b"acTL", &[0, 0, 0, 3, 0, 0, 0, 0]);
    let palette = chunk(b"PLTE", &[7; 12]);
    let transparent = chunk(b"tRNS", b"\0");
    let data = chunk(b"IDAT", b"deflated");
    vec![
        ("plain.jpg", plain_jpeg()),
        (
            "rich.jpg",
            jpeg(&[
                vec![0xFF, 0xFF],
                exif_segment(6),
                b"stray".to_vec(),
                frame(0xC2, 8, (40, 30), &[1, 2, 3]),
                scan(&[1, 2, 3], b"\xFF\0\xFF\xD0\xFF\xFF\xFF\0\xFF\x10"),
                segment(0xC4, &[0xFF; 20]),
                scan(&[2], b"data\xFF"),
            ]),
        ),
        ("plain.png", plain_png()),
        ("rich.png", png(&[png_header((40, 30), 3, 4), control, palette, transparent, data, orient])),
        ("plain.gif", plain_gif()),
        (
            "rich.gif",
            gif(
                (40, 30),
                &[
                    gif_control(1),
                    gif_image((4, 4)),
                    [gif_descriptor((9, 9), 0x80), vec![0; 6], b"\x02\x01x\0".to_vec()].concat(),
                ],
            ),
        ),
        ("plain.avif", one((40, 30), b"coded").bytes()),
        ("inside.avif", AvifFile { is_inside: true, ..one((40, 30), b"coded") }.bytes()),
        ("rich.avif", AvifFile { between: moov(5), ..with_alpha((40, 30), b"colors", b"alpha") }.bytes()),
        ("plain.webp", plain_webp()),
        ("lossless.webp", webp(&[vp8l((40, 30), true)])),
        (
            "rich.webp",
            webp(&[
                vp8x(2, (40, 30)),
                anmf((0, 0), (8, 6), &[riff_chunk(b"ALPH", b"x"), vp8((8, 6)), b"cut".to_vec()]),
                riff_chunk(b"EXIF", &[exif(8), vec![0]].concat()),
            ]),
        ),
    ]
}

/// Files that are refused, each at another stage.
fn refused_files() -> Vec<(&'static str, Vec<u8>)> {
    let mut checksum = plain_png();
    checksum[30] ^= 1;
    vec![
        ("text", b"not an image at all".to_vec()),
        ("avif", b"\0\0\0\x20ftypmif1\0\0\0\0mif1miafavif....".to_vec()),
        ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic....".to_vec()),
        ("checksum.png", checksum),
        ("stray.jpg", jpeg(&[vec![7; 70_000]])),
        ("cut.jpg", plain_jpeg()[..60].to_vec()),
        ("screen.gif", gif_screen((0, 4))),
        ("outside.webp", webp(&[vp8x(2, (40, 30)), anmf((30, 0), (8, 6), &[vp8((8, 6))])])),
    ]
}

/// The result when the bytes arrive in pieces of these lengths, in turn.
fn check_in_pieces(bytes: &[u8], lengths: &[usize]) -> Result<Header, InspectError> {
    let mut inspector = Inspector::new(LIMITS);
    let mut rest = bytes;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*length).min(rest.len()));
        inspector.push(piece)?;
        rest = later;
    }
    judged(inspector.finish()?)
}

#[test]
fn an_empty_upload_is_empty() {
    assert_eq!(check(b""), Err(InspectError::Empty));
    let mut inspector = Inspector::new(LIMITS);
    inspector.push(b"").unwrap();
    assert_eq!(inspector.finish(), Err(InspectError::Empty));
}

#[test]
fn whole_images_pass_with_anything_behind_them() {
    for (name, bytes) in whole_images() {
        let alone = check(&bytes);
        assert!(alone.is_ok(), "{name}: {alone:?}");
        for tail in [&b"\0"[..], b"\xFF\xD8\xFF", b"PK\x03\x04", &bytes] {
            assert_eq!(check(&[&bytes, tail].concat()), alone, "{name}");
        }
    }
}

#[test]
fn every_cut_of_a_whole_image_is_refused() {
    for (name, bytes) in whole_images() {
        // One whole image makes a GIF, without a trailer.
        let first_whole = match name {
            "plain.gif" => bytes.len() - 1,
            "rich.gif" => 0,
            _ => bytes.len(),
        };
        for length in 0..first_whole {
            assert!(
                check(&bytes[..length]).is_err(),
                "{name}: passes when cut to {length} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn byte_by_byte_gives_the_same_answer() {
    for (name, bytes) in whole_images().into_iter().chain(refused_files()) {
        assert_eq!(check_in_pieces(&bytes, &[1]), check(&bytes), "{name}");
    }
}

#[test]
fn other_types_are_not_images() {
    for bytes in [
        &b"BM\x36\x03\0\0\0\0\0\0\x36\0\0\0"[..],
        b"II*\0\x08\0\0\0\0\0\0\0",
        b"\xFF\x0B\x30\x54\x10\x09\x08\x06",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        b"<!DOCTYPE html><html></html>",
        b"%PDF-1.7 and more",
        b"PK\x03\x04 and more than twelve bytes",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"GIF88a and more",
        b"\0\0\0\x18ftypmp41\0\0\0\0mp42isom",
        b"\0\0\0\x10ftypavi1\0\0\0\0avif",
        b"\0\0\0\x10ftypmp42avif",
        b"\0\0\0\x08ftypavif",
        b"\xFF\xD8",
        b"G",
    ] {
        let error = check(bytes).unwrap_err();
        assert_eq!(error, InspectError::NotAnImage, "{bytes:?}");
        assert!(error.is_unsupported_type());
    }
}

#[test]
fn only_what_is_no_image_at_all_is_of_an_unsupported_type() {
    assert!(InspectError::Empty.is_unsupported_type());
    assert!(!InspectError::ZeroDimension.is_unsupported_type());
    assert!(!InspectError::Truncated(Format::Avif).is_unsupported_type());
}

#[test]
fn an_inspector_is_small() {
    assert!(size_of::<Inspector>() <= 384, "{} bytes", size_of::<Inspector>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_answer_does_not_depend_on_the_pieces(lengths in prop::collection::vec(1_usize..40, 1..12)) {
        for (name, bytes) in whole_images().into_iter().chain(refused_files()) {
            prop_assert_eq!(check_in_pieces(&bytes, &lengths), check(&bytes), "{}", name);
        }
    }

    #[test]
    fn damaged_images_get_one_answer_and_no_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        lengths in prop::collection::vec(1_usize..40, 1..6),
    ) {
        for (name, mut bytes) in whole_images() {
            for (place, value) in &damage {
                let at = place.index(bytes.len());
                bytes[at] = *value;
            }
            prop_assert_eq!(check_in_pieces(&bytes, &lengths), check(&bytes), "{}", name);
        }
    }

    #[test]
    fn arbitrary_bytes_after_any_signature_get_one_answer_and_no_panic(
        noise in prop::collection::vec(any::<u8>(), 0..600),
        lengths in prop::collection::vec(1_usize..40, 1..6),
        keep in 0_usize..60,
    ) {
        for (name, image) in whole_images().into_iter().chain([("nothing", Vec::new())]) {
            let bytes = [&image[..keep.min(image.len())], &noise].concat();
            prop_assert_eq!(check_in_pieces(&bytes, &lengths), check(&bytes), "{}", name);
        }
    }

    #[test]
    fn arbitrary_exif_never_fails_the_image(block in prop::collection::vec(any::<u8>(), 0..300), little: bool) {
        let order: &[u8] = if little { b"II*\0" } else { b"MM\0*" };
        let header = png_header((40, 30), 2, 8);
        let exif = chunk(b"eXIf", &[order, &block].concat());
        prop_assert!(check(&png(&[header, exif, chunk(b"IDAT", b"data")])).is_ok());
    }
}
