//! Pictures, grids and alpha; bands that give what the whole picture gives; damaged data.

use heifer_hevc_dec::decoder::{DecodeOptions, decode_picture};

use super::*;
use crate::image::container::avif::boxed;
use crate::image::container::avif::tests::{AvifFile, AvifItem, ispe};
use crate::image::header::{ColorKind, Header, Limits};
use crate::image::inspect::inspect;
use crate::image::shape::Rect;
use crate::image::tests::fixtures::{ALPHA, DEEP, EXACT, PLAIN, TALL};
use crate::object::Format;

const WHOLE: (u32, Light) = (1, Light::Encoded);

const LIMITS: Limits = Limits { pixels_max: 1 << 20, frames_max: 10 };

/// An item in H.265; the configuration is the property `config`, the size the property before it.
fn item(id: u16, config: u8, data: &[u8]) -> AvifItem {
    let properties = vec![(config - 1, false), (config, true)];
    AvifItem { id, kind: *b"hvc1", properties, data: data.to_vec() }
}

/// The configuration and the data of a picture.
fn source_parts(file: &[u8], source: &AvifSource) -> [Vec<u8>; 2] {
    let data = match source {
        AvifSource::One(data) => data,
        // The encoder wraps a picture whose sides are no multiples of its blocks into a grid of one tile.
        AvifSource::Grid { tiles, .. } => &tiles[0],
    };
    [&data[..1], &data[1..]].map(|ranges| gather(file, ranges).unwrap().into_owned())
}

/// Those of the picture that a file shows.
fn parts(file: &[u8]) -> [Vec<u8>; 2] {
    source_parts(file, &AvifStill::of_file(file).unwrap().color)
}

/// A file with this picture alone.
fn one(size: (u32, u32), [config, data]: &[Vec<u8>; 2]) -> AvifFile {
    AvifFile {
        is_heic: true,
        items: vec![item(1, 2, data)],
        properties: vec![ispe(size), boxed(b"hvcC", config)],
        ..AvifFile::default()
    }
}

fn header(file: &[u8]) -> Header {
    inspect(file, LIMITS).unwrap()
}

fn pixels(file: &AvifFile) -> Pixels {
    let bytes = file.bytes();
    decode(&bytes, header(&bytes).stored(), WHOLE, &|| true).unwrap()
}

/// A gradient with a red rectangle above the middle and a blue one below.
fn draw(width: u32, height: u32) -> Vec<u8> {
    let ramp = |at: u32, side: u32| (255.0 * f64::from(at) / f64::from(side - 1)) as u8;
    let is_in =
        |at: u32, side: u32, quarter: u32| (quarter * side / 4..(quarter + 1) * side / 4).contains(&at);
    let pixel = |x: u32, y: u32| {
        if is_in(y, height, 1) && is_in(x, width, 1) {
            [255, 0, 0]
        } else if is_in(y, height, 2) && is_in(x, width, 2) {
            [0, 0, 255]
        } else {
            let across = 255.0 * f64::from(x) / f64::from(width - 1);
            [ramp(x, width), ramp(y, height), (255.0 - across) as u8]
        }
    };
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()
}

/// Peak signal-to-noise ratio in decibels.
fn psnr(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let square = |(one, other): (&u8, &u8)| f64::from(one.abs_diff(*other)).powi(2);
    let error = one.iter().zip(other).map(square).sum::<f64>() / one.len() as f64;
    10.0 * (255.0 * 255.0 / error.max(1e-9)).log10()
}

#[test]
fn a_picture_of_eight_bits_has_its_colors() {
    let file = one((64, 48), &parts(PLAIN));
    let header = header(&file.bytes());
    assert_eq!((header.format, header.color.kind, header.color.bits), (Format::Heic, ColorKind::Rgb, 8));
    let shown = pixels(&file);
    let similarity = psnr(shown.data(), &draw(64, 48));
    assert!(similarity > 38.0, "{similarity:.1} dB");
    let at = |x: usize, y: usize| &shown.data()[(y * 64 + x) * 3..][..3];
    assert!(matches!(at(24, 18), [240..=255, ..=15, ..=15]), "{:?}", at(24, 18));
    assert!(matches!(at(40, 30), [..=15, ..=15, 240..=255]), "{:?}", at(40, 30));
}

#[test]
fn a_picture_without_loss_is_exact() {
    let shown = pixels(&one((16, 16), &parts(EXACT)));
    // The encoder's conversion from RGB rounds now and then.
    let similarity = psnr(shown.data(), &draw(16, 16));
    assert!(similarity > 50.0, "{similarity:.1} dB");
}

#[test]
fn ten_bits_become_eight() {
    let file = one((64, 48), &parts(DEEP));
    assert_eq!(header(&file.bytes()).color.bits, 10);
    let similarity = psnr(pixels(&file).data(), &draw(64, 48));
    assert!(similarity > 38.0, "{similarity:.1} dB");
}

#[test]
fn the_matrix_and_range_of_the_container_win() {
    let mut file = one((64, 48), &parts(PLAIN));
    let plain = pixels(&file);
    file.properties.push(boxed(b"colr", b"nclx\0\x01\0\x0D\0\x09\x80"));
    file.items[0].properties.push((3, false));
    assert!(psnr(pixels(&file).data(), plain.data()) < 38.0);
    *file.properties[2].last_mut().unwrap() = 0;
    assert!(psnr(pixels(&file).data(), plain.data()) < 30.0, "video range");
}

#[test]
fn alpha_is_that_of_its_own_item() {
    assert!(header(ALPHA).has_alpha);
    let shown = decode(ALPHA, header(ALPHA).stored(), WHOLE, &|| true).unwrap();
    assert_eq!(shown.kind(), PixelKind::Rgba);
    let (alpha, colors): (Vec<u8>, Vec<u8>) = (
        shown.data().chunks_exact(4).map(|pixel| pixel[3]).collect(),
        shown.data().chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()).collect(),
    );
    assert!(psnr(&colors, &draw(64, 48)) > 38.0);
    let expected: Vec<u8> = (0..64 * 48).map(|at| (255 * (at % 64) / 63) as u8).collect();
    let similarity = psnr(&alpha, &expected);
    assert!(similarity > 35.0, "{similarity:.1} dB");
}

/// Two rows of two tiles, cut to this size.
fn grid(width: u16, height: u16) -> AvifFile {
    let layout = [&[0, 0, 1, 1][..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
    let mut file = one((64, 48), &parts(PLAIN));
    file.properties.push(ispe((width.into(), height.into())));
    let grid = AvifItem { id: 9, kind: *b"grid", properties: vec![(3, false)], data: layout };
    file.items = std::iter::once(grid).chain((1..=4).map(|id| item(id, 2, &parts(PLAIN)[1]))).collect();
    file.references.push((*b"dimg", 9, vec![1, 2, 3, 4]));
    file
}

#[test]
fn tiles_lie_beside_each_other_and_are_cut_at_the_edges() {
    let tile = pixels(&one((64, 48), &parts(PLAIN)));
    for (width, height) in [(128, 96), (100, 90), (65, 49)] {
        let shown = pixels(&grid(width, height));
        let (width, height) = (usize::from(width), usize::from(height));
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let expected = &tile.data()[(y % 48 * 64 + x % 64) * 3..][..3];
            assert_eq!(&shown.data()[(y * width + x) * 3..][..3], expected, "{width} {height}: {x} {y}");
        }
    }
}

#[test]
fn a_grid_with_a_tile_too_few_or_of_another_size_is_refused() {
    for (width, height) in [(200, 96), (64, 96), (128, 48)] {
        let file = grid(width, height).bytes();
        assert_eq!(decode(&file, header(&file).stored(), WHOLE, &|| true), Err(CORRUPT), "{width} {height}");
    }
}

#[test]
fn a_clean_aperture_cuts() {
    let mut file = one((64, 48), &parts(PLAIN));
    let whole = pixels(&file);
    // 50 × 31 pixels, whose middle lies 2 pixels to the left of the picture's and 1.5 below.
    let numbers = [50, 1, 31, 1, -2_i32, 1, 3, 2].map(i32::to_be_bytes).concat();
    file.properties.push(boxed(b"clap", &numbers));
    file.items[0].properties.push((3, true));
    let shown = pixels(&file);
    let cut = Rect { x: 5, y: 10, width: 50, height: 31 };
    assert_eq!(shown.size(), cut.size());
    assert_eq!(Some(shown), whole.cropped(cut));
    assert!(!can_reduce(&file.bytes(), 2), "blocks would begin outside the cut");
}

fn tall() -> AvifFile {
    one((48, 600), &parts(TALL))
}

/// Start codes instead of lengths, as the library's own entry wants it.
fn annex_b([config, data]: &[Vec<u8>; 2]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut lists = &config[23..];
    while let [_, _, _, high, low, rest @ ..] = lists {
        let (unit, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        stream.extend([&[0, 0, 1], unit].concat());
        lists = rest;
    }
    let mut units = &data[..];
    while let [a, b, c, d, rest @ ..] = units {
        let (unit, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        stream.extend([&[0, 0, 1], unit].concat());
        units = rest;
    }
    stream
}

#[test]
fn bands_give_the_samples_of_the_whole_picture() {
    let whole = decode_picture(&annex_b(&parts(TALL)), DecodeOptions::default()).unwrap();
    let unfiltered = DecodeOptions { skip_loop_filters: true, ..DecodeOptions::default() };
    let unfiltered = decode_picture(&annex_b(&parts(TALL)), unfiltered).unwrap();
    assert_ne!(whole.planes[0], unfiltered.planes[0], "there is nothing to filter");
    let [config, data] = parts(TALL);
    let coded = CodedPicture::read(&config, &data).unwrap();
    assert!(coded.is_row_by_row());
    let (mut luma, mut tops) = (Vec::new(), Vec::new());
    let mut color = Vec::new();
    let mut draw = |band: &FinalRows<'_>| {
        let Rect { x, y, width, height } = band.rows;
        tops.push(band.top);
        let rows = (y..y + height).flat_map(|y| {
            let start = (y * band.frame.widths[0] + x) as usize;
            &band.frame.planes[0][start..start + width as usize]
        });
        luma.extend(rows.copied());
        let rows = y / 2 * (width / 2)..(y + height) / 2 * (width / 2);
        color.extend_from_slice(&band.frame.planes[1][rows.start as usize..rows.end as usize]);
        Ok(())
    };
    let size = Size { width: whole.widths[0], height: 600 };
    bands::decode(&coded, size, &|| true, &mut draw).unwrap();
    assert_eq!(tops, [0, 248, 504]);
    assert!(luma == whole.planes[0]);
    assert!(color == whole.planes[1]);
}

#[test]
fn bands_give_the_pixels_of_the_whole_picture() {
    let shown = pixels(&tall());
    let coded = decode_picture(&annex_b(&parts(TALL)), DecodeOptions::default()).unwrap();
    let mut canvas = HeicCanvas::new(Size { width: 48, height: 600 }, PixelKind::Rgb, 1, Light::Encoded);
    let rows = Rect { x: 0, y: 0, width: 48, height: 600 };
    let band = FinalRows { frame: &coded, rows, top: 0 };
    canvas.draw_color(&band, None, Place { left: 0, top: 0 }).unwrap();
    assert!(canvas.into_pixels().unwrap() == shown);
}

/// The means of blocks.
fn reduced(pixels: &Pixels, factor: u32) -> Vec<u8> {
    let Size { width, height } = pixels.size();
    let mut means = Vec::new();
    for (y, x) in (0..height)
        .step_by(factor as usize)
        .flat_map(|y| (0..width).step_by(factor as usize).map(move |x| (y, x)))
    {
        for channel in 0..3 {
            let (mut sum, mut count) = (0, 0);
            for (y, x) in
                (y..height.min(y + factor)).flat_map(|y| (x..width.min(x + factor)).map(move |x| (y, x)))
            {
                sum += u32::from(pixels.data()[((y * width + x) * 3 + channel) as usize]);
                count += 1;
            }
            means.push(((sum + count / 2) / count) as u8);
        }
    }
    means
}

#[test]
fn a_reduced_picture_has_the_means_of_the_whole_one() {
    for (name, file) in [("tall", tall()), ("grid", grid(100, 90)), ("small", one((64, 48), &parts(PLAIN)))] {
        let (bytes, whole) = (file.bytes(), pixels(&file));
        for factor in [2, 4, 8] {
            assert!(can_reduce(&bytes, factor));
            let made = decode(&bytes, whole.size(), (factor, Light::Encoded), &|| true).unwrap();
            let similarity = psnr(made.data(), &reduced(&whole, factor));
            // They differ where colours of a block are clipped.
            assert!(similarity > 38.0, "{name} by {factor}: {similarity:.1} dB");
        }
    }
}

#[test]
fn a_picture_larger_than_announced_is_refused_before_memory_is_taken() {
    for size in [(300, 48), (64, 300), (16, 16), (63, 300)] {
        let file = one(size, &parts(TALL)).bytes();
        assert_eq!(decode(&file, header(&file).stored(), WHOLE, &|| true), Err(SIZE_DIFFERS), "{size:?}");
    }
    // The rest of a block is padding.
    let file = one((40, 590), &parts(TALL)).bytes();
    assert!(decode(&file, header(&file).stored(), WHOLE, &|| true).is_ok());
}

#[test]
fn torn_and_damaged_data_gives_an_error_or_a_picture_and_never_a_panic() {
    for (file, size) in [(TALL, (48, 600)), (PLAIN, (64, 48))] {
        let [config, data] = parts(file);
        for length in [0, 3, 4, 5, 20, data.len() / 2, data.len() - 1] {
            assert_eq!(CodedPicture::read(&config, &data[..length]).err().or(Some(CORRUPT)), Some(CORRUPT));
        }
        for at in (0..data.len()).step_by(5) {
            let mut damaged = data.clone();
            damaged[at] ^= 0x55;
            let file = one(size, &[config.clone(), damaged]).bytes();
            let _ = decode(&file, header(&file).stored(), WHOLE, &|| true);
        }
        for at in 0..config.len() {
            let mut damaged = config.clone();
            damaged[at] ^= 0x11;
            let file = one(size, &[damaged, data.clone()]).bytes();
            let size = Size { width: size.0, height: size.1 };
            let _ = decode(&file, size, WHOLE, &|| true);
        }
    }
}

#[test]
fn a_decode_stops_where_it_is_told_to() {
    let file = tall().bytes();
    let size = header(&file).stored();
    let asked = std::cell::Cell::new(0);
    let keep_going = || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    };
    assert_eq!(decode(&file, size, WHOLE, &keep_going), Err(RenderError::Cancelled));
    assert_eq!(asked.get(), 3, "once before each band is drawn");
}
