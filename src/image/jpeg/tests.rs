//! The decoder as a whole: on generated files, on damaged ones, and on the corpus.

mod corpus;
mod damage;
mod files;
mod identity;
mod light;
mod limits;
mod matrix;
mod similarity;
mod support;

use jpeg_encoder::{Encoder, SamplingFactor};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::*;
use crate::image::draw;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::tests::support::{JPEG_SAMPLINGS, JPEG_SIZES, jpeg_file, mean_apart};

const SCALES: [Scale; 4] = [Scale::Whole, Scale::Half, Scale::Quarter, Scale::Eighth];

type ScanOrder = (&'static str, fn(&mut Encoder<&mut Vec<u8>>));

/// The possible scan layouts of the same coefficients.
const ORDERS: [ScanOrder; 6] = [
    ("one scan", |_| ()),
    ("scans apart", |encoder| encoder.set_optimized_huffman_tables(true)),
    ("restarts", |encoder| encoder.set_restart_interval(3)),
    ("progressive", |encoder| encoder.set_progressive(true)),
    ("many progressive scans", |encoder| encoder.set_progressive_scans(11)),
    ("progressive with restarts", |encoder| {
        encoder.set_progressive(true);
        encoder.set_restart_interval(5);
    }),
];

const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 1 };

fn picture(width: u32, height: u32) -> Pixels {
    draw::sample(0, Size { width, height }).unwrap()
}

fn written(
    pixels: &Pixels,
    sampling: SamplingFactor,
    set: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    jpeg_file(pixels, 92, |encoder| {
        encoder.set_sampling_factor(sampling);
        set(encoder);
    })
}

fn decoded(bytes: &[u8], scale: Scale) -> Vec<ComponentPlane> {
    Jpeg::read(bytes).expect("a file for this decoder").decode([scale; 4], &LIMITS, &|| true).unwrap()
}

/// The samples of another decoder, component after component, all at the picture's size.
fn reference(bytes: &[u8]) -> Vec<Vec<u8>> {
    let open = |colors| {
        let options = DecoderOptions::default().jpeg_set_out_colorspace(colors).set_strict_mode(false);
        JpegDecoder::new_with_options(ZCursor::new(bytes), options)
    };
    let mut headers = open(ColorSpace::YCbCr);
    headers.decode_headers().unwrap();
    let components = usize::from(headers.info().unwrap().components);
    let colors = if components == 1 { ColorSpace::Luma } else { ColorSpace::YCbCr };
    let samples = open(colors).decode().unwrap();
    (0..components).map(|index| samples.iter().skip(index).step_by(components).copied().collect()).collect()
}

fn most_apart(left: &[u8], right: &[u8]) -> u8 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| left.abs_diff(*right)).max().unwrap()
}

/// Means of squares of `side` samples, without those that reach beyond the plane; and what a decoded plane has there.
fn averaged(whole: &ComponentPlane, small: &ComponentPlane, side: u32) -> (Vec<u8>, Vec<u8>) {
    let (mut means, mut samples) = (Vec::new(), Vec::new());
    for y in 0..whole.size().height / side {
        for x in 0..whole.size().width / side {
            let rows =
                (y * side..(y + 1) * side).map(|y| &whole.row(y)[(x * side) as usize..][..side as usize]);
            let sum: u32 = rows.flatten().map(|&sample| u32::from(sample)).sum();
            means.push(((sum + side * side / 2) / (side * side)) as u8);
            samples.push(small.row(y)[x as usize]);
        }
    }
    (means, samples)
}
