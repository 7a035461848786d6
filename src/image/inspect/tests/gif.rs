use super::super::{BrokenFile, InspectError, Inspector};
use super::support::*;
use super::{LIMITS, broken, check};
use crate::image::header::ColorKind;
use crate::image::shape::Size;
use crate::image::tests::support::header;
use crate::object::Format;

#[test]
fn a_plain_gif_is_described() {
    let expected = header(Format::Gif, Size { width: 40, height: 30 }, ColorKind::Palette);
    assert_eq!(check(&plain_gif()), Ok(expected));
    let mut old = plain_gif();
    old[4] = b'7';
    assert_eq!(check(&old), Ok(expected));
}

#[test]
fn every_image_is_a_frame_also_beyond_the_frames_that_are_kept() {
    for count in [1, 2, LIMITS.frames_max + 1] {
        let images = vec![gif_image((4, 4)); count as usize];
        assert_eq!(check(&gif((40, 30), &images)).unwrap().frames, count);
    }
}

#[test]
fn one_transparent_frame_is_alpha() {
    let alpha = |blocks: &[Vec<u8>]| check(&gif((40, 30), blocks)).unwrap().has_alpha;
    let image = gif_image((40, 30));
    assert!(alpha(&[gif_control(0x08), image.clone(), gif_control(0x09), image.clone()]));
    assert!(!alpha(&[gif_control(0x08), image.clone()]));
    // The same flag bit in another extension, and in one that is too short.
    assert!(!alpha(&[vec![0x21, 0xFF, 4, 1, 0, 0, 0, 0], vec![0x21, 0xF9, 3, 1, 0, 0, 0], image.clone()]));
    assert!(alpha(&[vec![0x21, 0xF9, 5, 1, 0, 0, 0, 0, 1, 7, 0], image]));
}

#[test]
fn a_local_colour_table_is_enough() {
    let mut screen = gif_screen((40, 30));
    screen.truncate(13);
    screen[10] = 0;
    let local = [gif_descriptor((40, 30), 0x81), vec![0; 12], b"\x02\x01x\0".to_vec()].concat();
    assert!(check(&[screen.clone(), local, vec![0x3B]].concat()).is_ok());
    assert_eq!(check(&[screen, gif_image((40, 30)), vec![0x3B]].concat()), broken(BrokenFile::GifNoColors));
}

#[test]
fn an_image_may_reach_outside_the_screen() {
    let header = check(&gif((4, 4), &[gif_image((40, 30))])).unwrap();
    assert_eq!((header.width, header.height), (4, 4));
}

#[test]
fn each_fault_is_refused_by_name() {
    let empty = || [gif_descriptor((40, 30), 0), vec![2, 0]].concat();
    let code_size = |bits| [gif_descriptor((40, 30), 0), vec![bits, 1, 0, 0]].concat();
    let flat = gif_image((40, 0));
    for (name, blocks, fault) in [
        ("nothing", vec![], BrokenFile::GifNoImage),
        ("only a comment with data", vec![b"\x21\xFE\x02hi\0".to_vec()], BrokenFile::GifNoImage),
        ("image without data", vec![empty()], BrokenFile::GifNoImage),
        ("image without area", vec![flat], BrokenFile::GifNoImage),
        ("junk before the image", vec![vec![1], gif_image((40, 30))], BrokenFile::GifBlock),
        ("code size 0", vec![code_size(0)], BrokenFile::GifCodeSize),
        ("code size 12", vec![code_size(12)], BrokenFile::GifCodeSize),
    ] {
        assert_eq!(check(&gif((40, 30), &blocks)), broken(fault), "{name}");
    }
    assert!(check(&gif((40, 30), &[empty(), gif_image((40, 30)), code_size(11)])).is_ok());
}

#[test]
fn a_whole_image_is_enough_wherever_the_file_ends() {
    let image = gif_image((40, 30));
    let whole = [gif_screen((40, 30)), image.clone(), gif_control(0), image.clone()].concat();
    for length in gif_screen((40, 30)).len()..=whole.len() {
        let frames = check(&whole[..length]).map(|header| header.frames);
        let first = gif_screen((40, 30)).len() + image.len();
        let expected = if length < first {
            Err(InspectError::Truncated(Format::Gif))
        } else {
            Ok(1 + u32::from(length == whole.len()))
        };
        assert_eq!(frames, expected, "cut to {length}");
    }
    // An image without data makes no file whole.
    let empty = [gif_screen((40, 30)), gif_descriptor((40, 30), 0), vec![2, 0]].concat();
    assert_eq!(check(&empty), Err(InspectError::Truncated(Format::Gif)));
    let cut = [empty, gif_descriptor((40, 30), 0), b"\x02\x03ab".to_vec()].concat();
    assert_eq!(check(&cut), Err(InspectError::Truncated(Format::Gif)));
}

#[test]
fn zeros_between_blocks_are_skipped_and_junk_behind_an_image_is_no_part_of_the_file() {
    let image = gif_image((40, 30));
    let frames = |blocks: &[Vec<u8>]| check(&gif((40, 30), blocks)).map(|header| header.frames);
    assert_eq!(frames(&[vec![0], image.clone(), vec![0, 0], image.clone(), vec![0]]), Ok(2));
    assert_eq!(frames(&[image.clone(), b"junk".to_vec(), image.clone()]), Ok(1));
    assert_eq!(frames(&[b"\x21\x42\x02hi\0".to_vec(), image]), Ok(1));
}

#[test]
fn sizes_out_of_range_are_refused_at_the_header() {
    for size in [(0, 30), (40, 0)] {
        assert_eq!(check(&gif_screen(size)), Err(InspectError::ZeroDimension));
    }
    let error = InspectError::TooManyPixels { pixels: 65_535 * 65_535, pixels_max: LIMITS.pixels_max };
    assert_eq!(Inspector::new(LIMITS).push(&gif_screen((65_535, 65_535))), Err(error));
    assert_eq!(check(&gif((4, 4), &[gif_image((65_535, 65_535))])), Err(error));
}
