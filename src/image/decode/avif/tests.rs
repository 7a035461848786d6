//! Pictures from our own encoder, composed in all the ways of the container, and damaged ones.

use super::*;
use crate::image::container::avif::boxed;
use crate::image::container::avif::tests::{AvifFile, AvifItem, alpha_name, av1c, full, ispe, one};
use crate::image::encode;
use crate::image::tests::support::{always, distance, photo};
use crate::object::Format;

fn encoded(pixels: &Pixels) -> Vec<u8> {
    encode::encode(pixels.clone(), Format::Avif, Some(95)).unwrap()
}

/// The bitstream of the picture's colours.
fn bitstream(pixels: &Pixels) -> Vec<u8> {
    let file = encoded(pixels);
    let AvifSource::One(data) = AvifStill::of_file(&file).unwrap().color else { panic!("a grid") };
    gather(&file, &data).unwrap().into_owned()
}

#[test]
fn what_was_encoded_comes_back_in_every_kind_and_size() {
    for (width, height) in [(64, 48), (67, 45), (33, 17), (16, 1), (3, 40), (2, 2), (1, 1)] {
        for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
            let size = Size { width, height };
            let pixels = photo(size, kind);
            let back = decode(&encoded(&pixels), size, &always).unwrap();
            let distance = distance(&back, &pixels);
            // In the smallest pictures all pixels share one colour sample.
            let bound = if size.area() < 16 { 30.0 } else { 8.0 };
            assert!(distance < bound, "{width}x{height} {kind:?}: {distance:.1}");
        }
    }
}

#[test]
fn plain_colours_come_back_exactly_enough() {
    let size = Size { width: 32, height: 32 };
    for color in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [120, 60, 200]] {
        let pixels = Pixels::new(size, PixelKind::Rgb, color.repeat(1024)).unwrap();
        let back = decode(&encoded(&pixels), size, &always).unwrap();
        let off =
            back.data().iter().zip(pixels.data()).map(|(left, right)| left.abs_diff(*right)).max().unwrap();
        assert!(off <= 4, "{color:?} is off by {off}: {:?}", &back.data()[..3]);
    }
}

/// Two tiles of 64 side by side, cut to 100 × 40, with the alpha of `alpha`, a grid of the same shape.
fn grid(tiles: [Vec<u8>; 2], alpha: Option<[Vec<u8>; 2]>) -> AvifFile {
    let mut file = one((100, 40), b"\0\0\x00\x01\0\x64\0\x28");
    file.items[0].kind = *b"grid";
    file.items[0].properties = vec![(1, false)];
    file.properties.extend([ispe((64, 64)), alpha_name(), av1c(0x1C)]);
    let [left, right] = tiles;
    for (id, data) in [(2, left), (3, right)] {
        file.items.push(AvifItem { id, kind: *b"av01", properties: vec![(3, false), (2, true)], data });
    }
    file.references.push((*b"dimg", 1, vec![2, 3]));
    if let Some([left, right]) = alpha {
        let layout = file.items[0].data.clone();
        file.items.push(AvifItem {
            id: 4,
            kind: *b"grid",
            properties: vec![(1, false), (4, true)],
            data: layout,
        });
        for (id, data) in [(5, left), (6, right)] {
            file.items.push(AvifItem { id, kind: *b"av01", properties: vec![(3, false), (5, true)], data });
        }
        file.references.extend([(*b"dimg", 4, vec![5, 6]), (*b"auxl", 4, vec![1])]);
    }
    file
}

fn plain(kind: PixelKind, color: &[u8]) -> Vec<u8> {
    let size = Size { width: 64, height: 64 };
    bitstream(&Pixels::new(size, kind, color.repeat(64 * 64)).unwrap())
}

const GRID: Size = Size { width: 100, height: 40 };

#[test]
fn tiles_lie_side_by_side_and_are_cut_at_the_edge() {
    let tiles = [plain(PixelKind::Rgb, &[250, 10, 10]), plain(PixelKind::Rgb, &[10, 10, 250])];
    let alpha = [plain(PixelKind::Gray, &[255]), plain(PixelKind::Gray, &[40])];
    let opaque = decode(&grid(tiles.clone(), None).bytes(), GRID, &always).unwrap();
    assert_eq!((opaque.size(), opaque.kind()), (GRID, PixelKind::Rgb));
    let shown = decode(&grid(tiles, Some(alpha)).bytes(), GRID, &always).unwrap();
    for (at, pixel) in shown.data().chunks_exact(4).enumerate() {
        let expected = if at % 100 < 64 { [250, 10, 10, 255] } else { [10, 10, 250, 40] };
        assert!((0..4).all(|channel| pixel[channel].abs_diff(expected[channel]) <= 4), "{at}: {pixel:?}");
        assert!((0..3).all(|channel| pixel[channel] == opaque.data()[at * 3 + channel]));
    }
}

#[test]
fn a_grid_whose_tiles_do_not_fit_is_refused() {
    let tiles = || [plain(PixelKind::Rgb, &[9; 3]), plain(PixelKind::Rgb, &[9; 3])];
    let tried = |file: &AvifFile| decode(&file.bytes(), GRID, &always);
    assert!(tried(&grid(tiles(), None)).is_ok());
    for layout in [
        &b"\0\0\x01\x01\0\x64\0\x28"[..],
        b"\0\0\0\0\0\x64\0\x28",
        b"\0\0\0\x01\0\x64",
        b"\x01\0\0\x01\0\x64\0\x28",
    ] {
        let mut file = grid(tiles(), None);
        file.items[0].data = layout.to_vec();
        assert_eq!(tried(&file), Err(CORRUPT), "{layout:?}");
    }
    let mut other_size = grid(tiles(), None);
    other_size.items[0].data = b"\0\0\0\x01\0\x65\0\x28".to_vec();
    assert_eq!(tried(&other_size), Err(SIZE_DIFFERS));
    let mut small_tiles = grid(tiles(), None);
    small_tiles.properties[2] = ispe((60, 64));
    assert!(matches!(tried(&small_tiles), Err(RenderError::Undecodable(_))));
    let stops = decode(&grid(tiles(), None).bytes(), GRID, &|| false);
    assert_eq!(stops, Err(RenderError::Cancelled));
}

#[test]
fn colours_that_were_multiplied_by_alpha_become_straight() {
    let mut file = one((64, 64), &plain(PixelKind::Rgb, &[100, 50, 0]));
    file.properties.extend([alpha_name(), av1c(0x1C)]);
    let alpha = plain(PixelKind::Gray, &[128]);
    file.items.push(AvifItem {
        id: 2,
        kind: *b"av01",
        properties: vec![(1, false), (4, true), (3, true)],
        data: alpha,
    });
    file.references.push((*b"auxl", 2, vec![1]));
    let size = Size { width: 64, height: 64 };
    let first = |file: &AvifFile| decode(&file.bytes(), size, &always).unwrap().data()[..4].to_vec();
    let alike =
        |left: &[u8], right: [u8; 4]| left.iter().zip(right).all(|(left, right)| left.abs_diff(right) <= 5);
    assert!(alike(&first(&file), [100, 50, 0, 128]), "{:?}", first(&file));
    file.references.push((*b"prem", 1, vec![2]));
    assert!(alike(&first(&file), [199, 100, 0, 128]), "{:?}", first(&file));
}

#[test]
fn the_matrix_that_the_container_names_is_followed() {
    let size = Size { width: 64, height: 64 };
    let coded = plain(PixelKind::Rgb, &[200, 100, 50]);
    let shown = |matrix: u8, range: u8| {
        let mut file = one((64, 64), &coded);
        file.properties
            .push(boxed(b"colr", &[b"nclx".as_slice(), &[0, 1, 0, 13, 0, matrix, range]].concat()));
        file.items[0].properties.push((3, false));
        decode(&file.bytes(), size, &always).map(|pixels| pixels.data()[..3].to_vec())
    };
    let alike =
        |left: &[u8], right: [u8; 3]| left.iter().zip(right).all(|(left, right)| left.abs_diff(right) <= 4);
    let plain = decode(&one((64, 64), &coded).bytes(), size, &always).unwrap();
    assert!(alike(&plain.data()[..3], [200, 100, 50]), "the bitstream's own: {:?}", &plain.data()[..3]);
    assert_eq!(shown(6, 0x80).unwrap(), &plain.data()[..3]);
    // Luma 124.2, blue −41.9, red 54.1, from other weights and another range.
    assert!(alike(&shown(1, 0x80).unwrap(), [209, 107, 46]), "{:?}", shown(1, 0x80));
    assert!(alike(&shown(9, 0x80).unwrap(), [204, 100, 45]), "{:?}", shown(9, 0x80));
    assert!(alike(&shown(6, 0).unwrap(), [212, 98, 41]), "{:?}", shown(6, 0));
    for unknown in [0, 3, 10, 14, 200] {
        assert_eq!(shown(unknown, 0x80), Err(UNSUPPORTED), "{unknown}");
    }
}

#[test]
fn a_picture_of_another_size_or_kind_than_announced_is_refused() {
    let coded = plain(PixelKind::Rgb, &[9; 3]);
    for announced in [(63, 64), (64, 65), (640, 640), (1, 1)] {
        let size = Size { width: announced.0, height: announced.1 };
        let result = decode(&one(announced, &coded).bytes(), size, &always);
        assert!(matches!(result, Err(RenderError::Undecodable(_))), "{announced:?}: {result:?}");
    }
    let size = Size { width: 64, height: 64 };
    assert_eq!(
        decode(&one((64, 64), &plain(PixelKind::Gray, &[9])).bytes(), size, &always),
        Err(UNSUPPORTED)
    );
    assert_eq!(
        decode(&one((64, 64), &coded).bytes(), Size { width: 9, height: 9 }, &always),
        Err(SIZE_DIFFERS)
    );
    assert_eq!(decode(&full(b"meta", 0, b""), size, &always), Err(CORRUPT));
}

#[test]
fn damaged_bitstreams_give_a_picture_or_an_error() {
    let size = Size { width: 35, height: 21 };
    let whole = encoded(&photo(size, PixelKind::Rgb));
    let first = whole.len() - bitstream(&photo(size, PixelKind::Rgb)).len();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..200_usize {
        let mut file = whole.clone();
        for step in 0..1 + seed % 5 {
            let noise = (seed * 7919 + step * 104_729).wrapping_mul(2_654_435_761) >> 7;
            // Half of the damage hits the headers of the bitstream.
            let at = if step % 2 == 0 { noise % file.len() } else { first + noise % 40 };
            file[at] ^= 1 << (noise % 8);
        }
        match decode(&file, size, &always) {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
    }
    assert!(good > 10 && bad > 10, "{good} pictures, {bad} errors: the damage is not what it should be");
}
