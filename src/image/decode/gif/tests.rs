//! Files made block by block, with faults that an encoder would not make.

use super::*;
use crate::image::pixels::PixelKind;

const SIZE: Size = Size { width: 3, height: 2 };

/// 3 × 2 with a common table of black, red, green and blue.
const HEAD: &[u8] = b"GIF89a\x03\0\x02\0\x81\0\0\0\0\0\xFF\0\0\0\xFF\0\0\0\xFF";

const COLORS: [[u8; 4]; 4] = [[0, 0, 0, 255], [255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]];

fn control(disposal: u8) -> Vec<u8> {
    vec![0x21, 0xF9, 4, disposal << 2, 7, 0, 0, 0]
}

/// An image in this column, one column wide if two indices are given, else three.
fn image(left: u8, indices: &[u8]) -> Vec<u8> {
    let data = weezl::encode::Encoder::new(BitOrder::Lsb, 2).encode(indices).unwrap();
    image_of(left, if indices.len() == 2 { 1 } else { 3 }, &data)
}

fn image_of(left: u8, width: u8, data: &[u8]) -> Vec<u8> {
    let head = [0x2C, left, 0, 0, 0, width, 0, 2, 0, 0, 2, data.len() as u8];
    [&head, data, &[0]].concat()
}

fn file(blocks: &[Vec<u8>]) -> Vec<u8> {
    [HEAD, &blocks.concat()].concat()
}

/// The canvas after each frame as indices of [`COLORS`]; `None` is clear.
fn shown(source: &[u8]) -> Result<Vec<Vec<Option<usize>>>, RenderError> {
    let mut decoder = GifDecoder::new(source, SIZE)?;
    let mut frames = Vec::new();
    while decoder.next()?.is_some() {
        let pixels = decoder.current_frame()?;
        let rgba = |pixel: &[u8]| {
            if pixels.kind() == PixelKind::Rgb { [pixel, &[255]].concat() } else { pixel.to_vec() }
        };
        let index = |pixel: &[u8]| COLORS.iter().position(|color| color[..] == rgba(pixel));
        frames.push(pixels.data().chunks_exact(pixels.kind().channels()).map(index).collect());
    }
    Ok(frames)
}

fn all(index: usize) -> Vec<Option<usize>> {
    vec![Some(index); 6]
}

fn column(ground: Option<usize>, left: usize, index: usize) -> Vec<Option<usize>> {
    (0..6).map(|at| if at % 3 == left { Some(index) } else { ground }).collect()
}

#[test]
fn interlaced_rows_come_in_four_passes_and_each_once() {
    assert_eq!(rows(9, true).collect::<Vec<_>>(), [0, 8, 4, 2, 6, 1, 3, 5, 7]);
    assert_eq!(rows(3, false).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(rows(1, true).collect::<Vec<_>>(), [0]);
}

#[test]
fn junk_between_and_behind_the_images_changes_nothing() {
    let (first, second) = (image(0, &[1; 6]), image(1, &[2, 2]));
    let expected = vec![all(1), column(Some(1), 1, 2)];
    for (name, blocks) in [
        ("trailer", vec![first.clone(), second.clone(), vec![0x3B]]),
        ("no trailer", vec![first.clone(), second.clone()]),
        ("zeros", vec![vec![0], first.clone(), vec![0, 0], second.clone(), vec![0]]),
        (
            "unknown block",
            vec![b"\x21\x42\x02hi\x01x\0".to_vec(), first.clone(), b"\x21\0\0".to_vec(), second.clone()],
        ),
        ("junk behind", vec![first.clone(), second.clone(), b"junk".to_vec()]),
        ("long control", vec![b"\x21\xF9\x05\0\0\0\0\0\0".to_vec(), first.clone(), second.clone()]),
        ("short control", vec![b"\x21\xF9\x01\x01\0".to_vec(), first.clone(), second.clone()]),
        ("a third that is cut", vec![first.clone(), second.clone(), image(0, &[3; 6])[..12].to_vec()]),
    ] {
        assert_eq!(shown(&file(&blocks)), Ok(expected.clone()), "{name}");
    }
}

#[test]
fn a_frame_with_too_few_pixels_draws_them_but_is_left_out_at_the_end() {
    let (first, short) = (image(0, &[1; 6]), image(0, &[2, 2, 2, 3]));
    let drawn = [2, 2, 2, 3, 1, 1].map(Some).to_vec();
    let blocks = [first.clone(), short.clone(), image(0, &[1; 6])];
    assert_eq!(shown(&file(&blocks)), Ok(vec![all(1), drawn, all(1)]));
    assert_eq!(shown(&file(&[first.clone(), short.clone()])), Ok(vec![all(1)]));
    assert_eq!(shown(&file(&[first.clone(), image_of(0, 3, b"\xFF\xFF\xFF\xFF")])), Ok(vec![all(1)]));
    assert_eq!(shown(&file(std::slice::from_ref(&short))), Ok(vec![]));
    assert_eq!(decode(&file(&[short]), SIZE, 0, &|| true), Err(CORRUPT));
    // Pixels beyond the last row, and bytes behind the end code.
    let data = weezl::encode::Encoder::new(BitOrder::Lsb, 2).encode(&[1; 9]).unwrap();
    assert_eq!(shown(&file(&[image_of(0, 3, &[data, vec![9; 4]].concat())])), Ok(vec![all(1)]));
}

#[test]
fn undefined_disposals_are_those_of_browsers() {
    for (method, ground) in [
        (0, Some(2)),
        (1, Some(2)),
        (2, None),
        (3, Some(1)),
        (4, Some(1)),
        (5, Some(2)),
        (6, Some(2)),
        (7, Some(2)),
    ] {
        let blocks = [image(0, &[1; 6]), control(method), image(0, &[2; 6]), control(0), image(1, &[3, 3])];
        let last = shown(&file(&blocks)).unwrap().pop().unwrap();
        assert_eq!(last, column(ground, 1, 3), "{method}");
    }
}

#[test]
fn a_bad_code_size_and_a_missing_palette_are_corrupt() {
    for bits in [0, 12, 255] {
        let mut bad = image(0, &[1; 6]);
        bad[10] = bits;
        assert_eq!(shown(&file(&[bad])), Err(CORRUPT), "{bits}");
    }
    let source = [b"GIF89a\x03\0\x02\0\0\0\0".as_slice(), &image(0, &[1; 6])].concat();
    assert_eq!(shown(&source), Err(CORRUPT));
    assert_eq!(shown(&file(&[])), Ok(vec![]));
}
