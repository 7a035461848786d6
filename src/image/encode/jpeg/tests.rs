//! Files of the encoder, as another decoder shows them, and compared with files of another encoder.

use jpeg_encoder::SamplingFactor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::*;
use crate::image::pixels::PixelKind;
use crate::image::tests::support::{jpeg_file, photo, psnr};

const KINDS: [PixelKind; 2] = [PixelKind::Gray, PixelKind::Rgb];

fn encode(pixels: Pixels, quality: u8) -> Option<Vec<u8>> {
    super::encode(pixels, quality, &|| true)
}

fn encode_planes(planes: &[Pixels; 3], quality: u8) -> Option<Vec<u8>> {
    super::encode_planes(planes, quality, &|| true)
}

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

fn pixels(size: Size, kind: PixelKind, value: impl Fn(u32, u32, usize) -> u8) -> Pixels {
    let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
    let data = places.flat_map(|(x, y)| (0..kind.channels()).map(move |channel| (x, y, channel)));
    Pixels::new(size, kind, data.map(|(x, y, channel)| value(x, y, channel)).collect()).unwrap()
}

fn noise(size: Size, kind: PixelKind) -> Pixels {
    pixels(size, kind, |x, y, channel| {
        let seed = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ (channel as u32 + 1);
        (seed.wrapping_mul(0x2C1B_3C6D) >> 23) as u8
    })
}

/// A ramp that every transform holds well and in which no two places look alike.
fn ramp(size: Size, kind: PixelKind) -> Pixels {
    pixels(size, kind, |x, y, channel| [30 + 5 * x.min(40), 30 + 5 * y.min(40), 100][channel] as u8)
}

fn file(pixels: &Pixels, quality: u8) -> Vec<u8> {
    encode(pixels.clone(), quality).unwrap()
}

/// The samples of a file, which must have this size and kind.
fn decoded(file: &[u8], size: Size, color: ColorSpace) -> Vec<u8> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(65535)
        .set_max_height(65535)
        .jpeg_set_out_colorspace(color);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    let samples = decoder.decode().unwrap();
    assert_eq!(decoder.dimensions(), Some((size.width as usize, size.height as usize)));
    samples
}

/// Similarity of a picture and its file in decibels.
fn similarity(pixels: &Pixels, file: &[u8]) -> f64 {
    let color = if pixels.kind() == PixelKind::Gray { ColorSpace::Luma } else { ColorSpace::RGB };
    psnr(&decoded(file, pixels.size(), color), pixels.data())
}

/// What another encoder makes of the same picture with the standard's Huffman tables.
fn with_fixed_tables(pixels: &Pixels, quality: u8) -> Vec<u8> {
    jpeg_file(pixels, quality, |encoder| encoder.set_sampling_factor(SamplingFactor::R_4_2_0))
}

#[test]
fn every_small_size_looks_like_its_picture() {
    for kind in KINDS {
        for width in 1..=33 {
            for height in 1..=33 {
                let picture = ramp(size(width, height), kind);
                let similarity = similarity(&picture, &file(&picture, 95));
                // At an odd edge fewer pixels share a chroma sample, which on a colour ramp is visible in the smallest
                // pictures.
                let least = if kind == PixelKind::Gray { 44.0 } else { 33.0 };
                assert!(similarity > least, "{kind:?} {width}x{height}: {similarity:.1} dB");
            }
        }
    }
}

#[test]
fn plain_colours_come_back_as_they_were() {
    for (color, slack) in
        [([0; 3], 0), ([255; 3], 0), ([128; 3], 0), ([255, 0, 0], 2), ([0, 0, 255], 2), ([7, 200, 90], 2)]
    {
        let picture = pixels(size(21, 19), PixelKind::Rgb, |_, _, channel| color[channel]);
        let samples = decoded(&file(&picture, 100), picture.size(), ColorSpace::RGB);
        for (sample, value) in samples.iter().zip(picture.data()) {
            assert!(sample.abs_diff(*value) <= slack, "{color:?} became {:?}", &samples[..3]);
        }
    }
}

#[test]
fn noise_survives_at_the_best_quality_and_no_quality_breaks_it() {
    for kind in KINDS {
        let picture = noise(size(70, 50), kind);
        let gray = pixels(size(70, 50), PixelKind::Rgb, |x, y, _| {
            noise(size(70, 50), PixelKind::Gray).data()[(y * 70 + x) as usize]
        });
        for quality in 1..=100 {
            decoded(
                &file(&picture, quality),
                picture.size(),
                if kind == PixelKind::Gray { ColorSpace::Luma } else { ColorSpace::RGB },
            );
        }
        let picture = if kind == PixelKind::Gray { picture } else { gray };
        let similarity = similarity(&picture, &file(&picture, 100));
        assert!(similarity > 48.0, "{kind:?}: {similarity:.1} dB");
    }
}

#[test]
fn a_checkerboard_reaches_the_largest_coefficients() {
    let picture = pixels(size(64, 64), PixelKind::Gray, |x, y, _| if (x + y) % 2 == 0 { 0 } else { 255 });
    assert!(similarity(&picture, &file(&picture, 100)) > 48.0);
    let blocks =
        pixels(size(64, 64), PixelKind::Gray, |x, y, _| if (x / 8 + y / 8) % 2 == 0 { 0 } else { 255 });
    assert!(decoded(&file(&blocks, 100), blocks.size(), ColorSpace::Luma) == blocks.data());
}

#[test]
fn better_quality_is_more_bytes_and_more_similarity() {
    for kind in KINDS {
        let picture = photo(size(200, 150), kind);
        let steps = [5, 20, 40, 60, 75, 85, 92, 97, 100].map(|quality| file(&picture, quality));
        for pair in steps.windows(2) {
            assert!(pair[0].len() < pair[1].len(), "{kind:?}");
            assert!(similarity(&picture, &pair[0]) < similarity(&picture, &pair[1]), "{kind:?}");
        }
    }
}

#[test]
fn files_are_smaller_than_with_fixed_tables_and_no_worse() {
    for kind in KINDS {
        for (index, quality) in [30, 75, 82, 90, 98].into_iter().enumerate() {
            let picture = photo(size(301 + index as u32, 199), kind);
            let (made, plain) = (file(&picture, quality), with_fixed_tables(&picture, quality));
            assert!(
                made.len() * 100 < plain.len() * 99,
                "{kind:?} q{quality}: {} of {}",
                made.len(),
                plain.len()
            );
            let (own, other) = (similarity(&picture, &made), similarity(&picture, &plain));
            assert!(own > other - 0.1, "{kind:?} q{quality}: {own:.2} of {other:.2} dB");
        }
    }
}

#[test]
fn the_longest_sides_are_written_and_longer_ones_refused() {
    for kind in KINDS {
        for longest in [size(65535, 1), size(1, 65535), size(65535, 17)] {
            let picture = ramp(longest, kind);
            assert!(similarity(&picture, &file(&picture, 90)) > 30.0, "{kind:?} {longest:?}");
        }
        assert_eq!(encode(ramp(size(65536, 1), kind), 90), None);
        assert_eq!(encode(ramp(size(1, 65536), kind), 90), None);
    }
}

#[test]
fn large_pictures_are_written_in_rows_with_hardly_more_bytes() {
    for kind in KINDS {
        let picture = photo(size(650, 470), kind);
        let source = JpegPicture::of(&picture).unwrap();
        let at_once = Scan::new(source, 82).written_at_once(&|| true).unwrap();
        let in_rows = Scan::new(source, 82).written_in_rows(&|| true).unwrap();
        let color = if kind == PixelKind::Gray { ColorSpace::Luma } else { ColorSpace::RGB };
        assert!(decoded(&at_once, picture.size(), color) == decoded(&in_rows, picture.size(), color));
        // Codes for all symbols take at most 300 bytes in the head.
        let most = at_once.len() + at_once.len() / 200 + 300;
        assert!(in_rows.len() <= most, "{kind:?}: {} for {}", in_rows.len(), at_once.len());
    }
    // The counted rows of this picture are plain; its other rows contain symbols that no counted row has.
    let picture = pixels(size(64, 640), PixelKind::Rgb, |x, y, channel| {
        if y % 64 < 16 { 128 } else { noise(size(64, 1), PixelKind::Rgb).data()[(x * 3) as usize + channel] }
    });
    for quality in [50, 100] {
        let in_rows =
            Scan::new(JpegPicture::of(&picture).unwrap(), quality).written_in_rows(&|| true).unwrap();
        let at_once =
            Scan::new(JpegPicture::of(&picture).unwrap(), quality).written_at_once(&|| true).unwrap();
        let shown = |file: &[u8]| decoded(file, picture.size(), ColorSpace::RGB);
        assert!(shown(&in_rows) == shown(&at_once));
    }
}

#[test]
fn the_way_of_writing_depends_on_the_size_alone() {
    let kept = photo(size(1000, 688), PixelKind::Rgb);
    let large = photo(size(1024, 688), PixelKind::Rgb);
    let of = |picture| Scan::new(JpegPicture::of(picture).unwrap(), 82);
    assert!(file(&kept, 82) == of(&kept).written_at_once(&|| true).unwrap());
    assert!(file(&large, 82) == of(&large).written_in_rows(&|| true).unwrap());
    assert!(file(&large, 82) != of(&large).written_at_once(&|| true).unwrap());
}

/// The planes of a picture as the encoder makes them, each row followed by `padding` bytes.
fn planes(picture: &Pixels) -> [Pixels; 3] {
    let source = JpegPicture::of(picture).unwrap();
    let (whole, half) = (picture.size(), picture.size().halved());
    let mut strip = strip::Strip::new(&source);
    let mut planes = [whole, half, half].map(|size| (size, Vec::new()));
    for row in 0..source.units().height as usize {
        strip.fill(&source, row);
        for (band, (size, data)) in strip.bands.iter().zip(&mut planes) {
            for samples in band.samples.chunks(band.stride) {
                data.extend_from_slice(&samples[..size.width as usize]);
            }
        }
    }
    planes.map(|(size, mut data)| {
        data.truncate(size.area() as usize);
        Pixels::new(size, PixelKind::Gray, data).unwrap()
    })
}

#[test]
fn planes_and_the_colours_they_were_made_of_give_the_same_file() {
    for (width, height) in [(1, 1), (2, 3), (16, 16), (17, 15), (33, 31), (100, 75)] {
        let picture = photo(size(width, height), PixelKind::Rgb);
        assert!(encode_planes(&planes(&picture), 82) == encode(picture, 82), "{width}x{height}");
    }
}

#[test]
fn planes_of_other_sizes_or_with_colours_are_refused() {
    let plane = |width, height| pixels(size(width, height), PixelKind::Gray, |_, _, _| 0);
    assert!(encode_planes(&[plane(7, 5), plane(4, 3), plane(4, 3)], 80).is_some());
    assert!(encode_planes(&[plane(7, 5), plane(3, 3), plane(4, 3)], 80).is_none());
    assert!(encode_planes(&[plane(7, 5), plane(4, 3), plane(4, 2)], 80).is_none());
    let colors = pixels(size(4, 3), PixelKind::Rgb, |_, _, _| 0);
    assert!(encode_planes(&[plane(7, 5), plane(4, 3), colors], 80).is_none());
}

#[test]
fn the_peak_holds_every_token_and_the_file() {
    for kind in KINDS {
        for picture in [noise(size(120, 90), kind), photo(size(640, 480), kind), noise(size(3000, 2), kind)] {
            let peak = peak_bytes(picture.size());
            let blocks = u64::from(picture.size().width.div_ceil(8) * picture.size().height.div_ceil(8));
            let tokens = blocks * (token::BLOCK_TOKENS_MAX * size_of::<token::Token>()) as u64;
            let file = file(&picture, 100).len() as u64;
            assert!(
                peak >= tokens + 2 * file,
                "{kind:?} {:?}: {peak} of {tokens} and {file}",
                picture.size()
            );
        }
    }
}
