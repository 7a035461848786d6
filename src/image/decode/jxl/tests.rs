//! Files of every kind, and damaged ones.

use super::*;
use crate::image::header::{Header, Limits};
use crate::image::inspect::{BrokenFile, InspectError, Inspector, inspect};
use crate::image::tests::fixtures::*;
use crate::object::Format;

const LIMITS: Limits = Limits { pixels_max: 1 << 20, frames_max: 10 };

fn header(file: &[u8]) -> Header {
    inspect(file, LIMITS).unwrap()
}

fn pixels(file: &[u8]) -> Pixels {
    decode(file, header(file).stored(), &|| true).unwrap()
}

/// A gradient with a red rectangle above the middle and a blue one below, 64 × 48.
fn draw() -> Vec<u8> {
    let pixel = |x: u32, y: u32| {
        let across = 255.0 * f64::from(x) / 63.0;
        match (x, y) {
            (16..32, 12..24) => [255, 0, 0],
            (32..48, 24..36) => [0, 0, 255],
            _ => [across as u8, (255.0 * f64::from(y) / 47.0) as u8, (255.0 - across) as u8],
        }
    };
    (0..48).flat_map(|y| (0..64).flat_map(move |x| pixel(x, y))).collect()
}

/// The largest difference of two samples.
fn apart(one: &[u8], other: &[u8]) -> u8 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| one.abs_diff(*other)).max().unwrap()
}

#[test]
fn a_codestream_without_loss_is_exact() {
    let header = header(JXL_EXACT);
    assert_eq!((header.format, header.width, header.height, header.frames), (Format::Jxl, 64, 48, 1));
    assert_eq!((header.color.to_string(), header.has_alpha), ("rgb8".to_owned(), false));
    let shown = pixels(JXL_EXACT);
    assert_eq!(shown.kind(), PixelKind::Rgb);
    assert!(apart(shown.data(), &draw()) <= 1);
}

#[test]
fn a_picture_with_loss_looks_like_its_source() {
    let shown = pixels(JXL_LOSSY);
    let expected = draw();
    let sum: u32 = shown.data().iter().zip(&expected).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    assert!(sum < 6 * shown.data().len() as u32, "{sum}");
}

#[test]
fn alpha_is_straight_and_lies_in_its_channel() {
    assert!(header(JXL_ALPHA).has_alpha);
    let shown = pixels(JXL_ALPHA);
    assert_eq!(shown.kind(), PixelKind::Rgba);
    let expected: Vec<u8> = draw()
        .chunks_exact(3)
        .zip(0..)
        .flat_map(|(color, at)| [color[0], color[1], color[2], (255 * (at % 64) / 63) as u8])
        .collect();
    assert!(apart(shown.data(), &expected) <= 1);
}

#[test]
fn sixteen_bits_become_eight_and_gray_stays_gray() {
    assert_eq!(header(JXL_DEEP).color.to_string(), "rgb16");
    assert!(apart(pixels(JXL_DEEP).data(), &draw()) <= 1);
    assert_eq!(header(JXL_GRAY).color.to_string(), "gray8");
    let shown = pixels(JXL_GRAY);
    assert_eq!(shown.kind(), PixelKind::Gray);
    let luma: Vec<u8> = draw()
        .chunks_exact(3)
        .map(|color| {
            ((299 * u32::from(color[0]) + 587 * u32::from(color[1]) + 114 * u32::from(color[2])) / 1000) as u8
        })
        .collect();
    assert!(apart(shown.data(), &luma) <= 2);
}

#[test]
fn of_an_animation_the_first_frame_is_shown() {
    assert_eq!(header(JXL_ANIM).frames, 2);
    let shown = pixels(JXL_ANIM);
    let colors: Vec<u8> =
        shown.data().chunks_exact(shown.kind().channels()).flat_map(|it| [it[0], it[1], it[2]]).collect();
    assert!(apart(&colors, &draw()) <= 1);
}

#[test]
fn the_orientation_is_told_and_not_applied() {
    let header = header(JXL_TURNED);
    assert_eq!((header.width, header.height, header.orientation.value()), (64, 48, 6));
    assert_eq!(header.displayed().width, 48);
    let shown = pixels(JXL_TURNED);
    assert!(matches!(&shown.data()[(18 * 64 + 24) * 3..][..3], [230..=255, ..=25, ..=25]));
}

#[test]
fn the_check_of_an_upload_does_not_depend_on_how_it_arrives() {
    for file in [JXL_EXACT, JXL_ALPHA, JXL_ANIM, JXL_TURNED] {
        let whole = inspect(file, LIMITS);
        for piece in [1, 2, 7, 100] {
            let mut inspector = Inspector::new(LIMITS);
            file.chunks(piece).for_each(|bytes| inspector.push(bytes).unwrap());
            assert_eq!(inspector.finish().map(|inspected| inspected.header), whole, "{piece}");
        }
        for cut in [13, 20, file.len() / 2, file.len() - 20] {
            let torn = inspect(&file[..cut], LIMITS);
            assert_eq!(torn, Err(InspectError::Truncated(Format::Jxl)), "{cut}");
        }
        assert_eq!(inspect(&[file, b"what follows the last frame"].concat(), LIMITS), whole);
    }
}

#[test]
fn limits_hold_before_a_pixel_is_decoded() {
    let small = Limits { pixels_max: 64 * 48 - 1, ..LIMITS };
    let refused = inspect(JXL_EXACT, small);
    assert!(
        matches!(refused, Err(InspectError::TooManyPixels { .. } | InspectError::Broken(BrokenFile::Jxl))),
        "{refused:?}"
    );
    let other = Size { width: 48, height: 64 };
    assert_eq!(decode(JXL_EXACT, other, &|| true), Err(SIZE_DIFFERS));
}

#[test]
fn a_photo_of_48_megapixels_fits_into_the_default_memory() {
    let photo = Header { width: 8064, height: 6048, ..header(JXL_LOSSY) };
    let charge = |header: &Header| crate::image::decode::peak_bytes(header) >> 20;
    assert!(charge(&photo) < 900, "{} MiB leave nothing for the source", charge(&photo));
    let more = [
        Header { has_alpha: true, ..photo },
        Header { frames: 2, ..photo },
        Header { color: header(JXL_DEEP).color, ..photo },
    ];
    assert!(more.iter().all(|header| charge(header) > charge(&photo)));
}

#[test]
fn damaged_data_gives_an_error_or_a_picture_and_never_a_panic() {
    for file in [JXL_EXACT, JXL_LOSSY, JXL_ALPHA, JXL_TURNED] {
        for at in 0..file.len() {
            let mut damaged = file.to_vec();
            damaged[at] ^= 0x41;
            let size = Size { width: 64, height: 48 };
            let _ = (inspect(&damaged, LIMITS), decode(&damaged, size, &|| true));
        }
    }
}

#[test]
fn a_decode_stops_when_it_is_told_to() {
    let size = header(JXL_EXACT).stored();
    assert_eq!(decode(JXL_EXACT, size, &|| false), Err(RenderError::Cancelled));
}
