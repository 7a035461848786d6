//! What does the entropy-coded data of a JPEG cost? `cargo bench --bench entropy -- [--quick] [NAME]`.
//!
//! At an eighth of the size only one coefficient of a block becomes a sample. Nearly all the time goes into the Huffman
//! codes, which must be read to the end whatever the size. `stages` measures the decoder at the other sizes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use reticulum::image::draw;
use reticulum::image::header::Limits;
use reticulum::image::jpeg::{Jpeg, Scale};
use reticulum::image::shape::Size;

const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 1000 };

/// 3 megapixels.
const SIZE: Size = Size { width: 2000, height: 1500 };

fn entropy_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entropy decode, 3 MP");
    for (coding, is_progressive) in [("baseline", false), ("progressive", true)] {
        for quality in [60, 80, 95] {
            let source = jpeg(quality, is_progressive);
            let jpeg = Jpeg::read(&source).expect("a JPEG of ours");
            group.throughput(Throughput::Bytes(source.len() as u64));
            group.bench_function(format!("{coding} of quality {quality}"), |bencher| {
                bencher.iter(|| jpeg.decode([Scale::Eighth; 4], &LIMITS, &|| true).expect("sound planes"));
            });
        }
    }
    group.finish();
}

/// A drawn picture as a camera writes it, with half of the colour samples along each side.
fn jpeg(quality: u8, is_progressive: bool) -> Vec<u8> {
    let pixels = draw::sample(0, SIZE).expect("sides above zero");
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_progressive(is_progressive);
    encoder.encode(pixels.data(), SIZE.width as u16, SIZE.height as u16, ColorType::Rgb).expect("a JPEG");
    bytes
}

criterion_group!(entropy, entropy_decode);
criterion_main!(entropy);
