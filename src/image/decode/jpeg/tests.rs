//! Decodes a file of every layout that the encoder at hand can write.

use jpeg_encoder::{ColorType, Encoder};

use super::*;
use crate::image::draw;
use crate::image::tests::support::{JPEG_SAMPLINGS, JPEG_SIZES, distance};

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

#[test]
fn every_sampling_size_and_order_of_scans_gives_the_picture_back() {
    let orders: [(&str, EncoderSetup); 4] = [
        ("one scan", |_| ()),
        ("scans apart", |encoder| encoder.set_optimized_huffman_tables(true)),
        ("progressive", |encoder| encoder.set_progressive(true)),
        ("restarts", |encoder| encoder.set_restart_interval(3)),
    ];
    let mut failures = Vec::new();
    for (width, height) in JPEG_SIZES {
        let pixels = picture(Size { width, height });
        for sampling in JPEG_SAMPLINGS {
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

#[test]
fn a_trailer_in_place_of_the_end_marker_changes_no_pixel() {
    let size = Size { width: 61, height: 43 };
    for is_progressive in [false, true] {
        let good = written(&picture(size), ColorType::Rgb, |encoder| encoder.set_progressive(is_progressive));
        let whole = decode(&good, size, &LIMITS, &|| true).unwrap();
        for trailer in [&b""[..], b"\0\0\x01\x0ASEFT", &good] {
            let file = [&good[..good.len() - 2], trailer].concat();
            let decoded = decode(&file, size, &LIMITS, &|| true).unwrap();
            assert!(decoded == whole, "{is_progressive}, {} bytes", trailer.len());
        }
    }
}

#[test]
fn damage_ends_at_the_next_restart() {
    let size = Size { width: 96, height: 96 };
    let good = written(&picture(size), ColorType::Rgb, |encoder| encoder.set_restart_interval(3));
    let marker = memchr::memmem::find(&good, b"\xFF\xD2").unwrap();
    let mut bad = good.clone();
    // No code consists of ones alone.
    bad[marker + 2..marker + 12].copy_from_slice(&b"\xFF\0".repeat(5));
    let decoded = |file: &[u8]| decode(file, size, &LIMITS, &|| true).unwrap();
    let (whole, hurt) = (decoded(&good), decoded(&bad));
    assert_ne!(whole, hurt);
    // Both ways round in their own manner.
    let lower = |pixels: &Pixels| pixels.data()[pixels.data().len() / 2..].to_vec();
    let apart = lower(&whole).into_iter().zip(lower(&hurt)).map(|(one, other)| one.abs_diff(other)).max();
    assert!(apart.unwrap() <= 8, "{apart:?}");
}
