//! Decodes a file of every layout that the encoder at hand can write.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;
use crate::image::draw;

const SAMPLINGS: [SamplingFactor; 8] = [
    SamplingFactor::R_4_4_4,
    SamplingFactor::R_4_2_2,
    SamplingFactor::R_4_2_0,
    SamplingFactor::R_4_4_0,
    SamplingFactor::R_4_1_1,
    SamplingFactor::R_4_1_0,
    SamplingFactor::F_2_2,
    SamplingFactor::F_1_4,
];

/// Sides that are multiples of a block, others, and some smaller than a block.
const SIZES: [(u32, u32); 5] = [(64, 48), (67, 45), (33, 17), (16, 1), (3, 40)];

const LIMITS: Limits = Limits { pixels_max: 10_000, frames_max: 1 };

type EncoderSetup = fn(&mut Encoder<&mut Vec<u8>>);

fn picture(size: Size) -> Pixels {
    draw::sample(0, size).unwrap()
}

fn written(pixels: &Pixels, color: ColorType, set: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    set(&mut encoder);
    encoder.encode(pixels.data(), pixels.size().width as u16, pixels.size().height as u16, color).unwrap();
    bytes
}

/// Mean distance of the channels. It stays below 11, where the smallest pictures have four pixels to a colour sample.
/// It exceeds 40 as soon as a plane is missing or misplaced.
fn distance(left: &Pixels, right: &Pixels) -> f64 {
    assert_eq!((left.size(), left.kind()), (right.size(), right.kind()));
    let pairs = left.data().iter().zip(right.data());
    pairs.map(|(left, right)| f64::from(left.abs_diff(*right))).sum::<f64>() / left.data().len() as f64
}

#[test]
fn every_sampling_size_and_order_of_scans_gives_the_picture_back() {
    let orders: [(&str, EncoderSetup); 4] = [
        ("one scan", |_| ()),
        ("scans apart", |encoder| encoder.set_optimized_huffman_tables(true)),
        ("progressive", |encoder| encoder.set_progressive(true)),
        ("restarts", |encoder| encoder.set_restart_interval(3)),
    ];
    let mut failures = Vec::new();
    for (width, height) in SIZES {
        let pixels = picture(Size { width, height });
        for sampling in SAMPLINGS {
            for (order, set) in orders {
                let bytes = written(&pixels, ColorType::Rgb, |encoder| {
                    encoder.set_sampling_factor(sampling);
                    set(encoder);
                });
                match decode(&bytes, pixels.size(), &LIMITS, &|| true) {
                    Ok(back) if distance(&back, &pixels) < 12.0 => {}
                    Ok(back) => failures.push(format!(
                        "{width}x{height} {sampling:?} {order}: {:.1}",
                        distance(&back, &pixels)
                    )),
                    Err(error) => failures.push(format!("{width}x{height} {sampling:?} {order}: {error:?}")),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
