//! Helpers of the colour tests: profiles, files that carry them, and the difference of two colours.

use moxcms::ColorProfile;

use crate::image::color::*;
use crate::image::container::{png, webp};
use crate::image::encode;
use crate::image::shape::Size;
use crate::image::tests::support::header;

/// One row of colours.
pub(super) fn row(colors: &[[u8; 3]]) -> Pixels {
    Pixels::new(Size { width: colors.len() as u32, height: 1 }, PixelKind::Rgb, colors.concat()).unwrap()
}

pub(super) fn encoded(profile: &ColorProfile) -> Vec<u8> {
    profile.encode().unwrap()
}

/// A small picture with these chunks before its data.
pub(super) fn png_with(chunks: &[([u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = encode::encode(row(&[[1, 2, 3]]), Format::Png, None).unwrap();
    let chunks: Vec<u8> = chunks.iter().flat_map(|(name, payload)| png::chunk(*name, payload)).collect();
    file.splice(png::HEAD_BYTES..png::HEAD_BYTES, chunks);
    file
}

pub(super) fn iccp(profile: &[u8]) -> Vec<u8> {
    [b"name\0\0", &fdeflate::compress_to_vec(profile)[..]].concat()
}

pub(super) fn gama(gamma: u32) -> [u8; 4] {
    gamma.to_be_bytes()
}

pub(super) fn png_with_profile(profile: &[u8]) -> Vec<u8> {
    png_with(&[(*b"iCCP", &iccp(profile))])
}

pub(super) fn webp_with_profile(profile: &[u8]) -> Vec<u8> {
    [b"RIFF\0\0\0\0WEBP", &webp::chunk(*b"VP8X", &[0; 10])[..], &webp::chunk(*b"ICCP", profile)].concat()
}

/// A JPEG with these profile segments in this order, each with its number and a count.
pub(super) fn jpeg_with(parts: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let segment = |(number, count, part): &(u8, u8, &[u8])| {
        let length = (2 + 12 + 2 + part.len()) as u16;
        [&[0xFF, 0xE2][..], &length.to_be_bytes(), b"ICC_PROFILE\0", &[*number, *count], part].concat()
    };
    let segments: Vec<u8> = parts.iter().flat_map(segment).collect();
    [&[0xFF, 0xD8], &segments[..], &[0xFF, 0xDA, 0, 2]].concat()
}

pub(super) fn space(file: &[u8], format: Format, kind: ColorKind) -> ColorSpace {
    space_to(file, format, kind, Gamut::Srgb)
}

pub(super) fn space_to(file: &[u8], format: Format, kind: ColorKind, to: Gamut) -> ColorSpace {
    ColorSpace::of(file, &header(format, Size { width: 1, height: 1 }, kind), to)
}

/// Converts these colours by the file's meaning.
pub(super) fn shown(file: &[u8], format: Format, colors: &[[u8; 3]]) -> Vec<[u8; 3]> {
    let mut pixels = row(colors);
    space(file, format, ColorKind::Rgb).convert(&mut pixels);
    pixels.data().chunks_exact(3).map(|color| [color[0], color[1], color[2]]).collect()
}

/// Light, 0–1, of an sRGB value.
pub(super) fn light(value: f64) -> f64 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// The sRGB colour of linear light; clips colours out of gamut.
pub(super) fn srgb_of_light(linear: [f64; 3]) -> [u8; 3] {
    let value = |light: f64| {
        let light = light.clamp(0.0, 1.0);
        if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
    };
    linear.map(|light| (value(light) * 255.0).round() as u8)
}

pub(super) fn product(matrix: [[f64; 3]; 3], [red, green, blue]: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * red + row[1] * green + row[2] * blue)
}

/// CIE 1976 distance of two sRGB colours.
pub(super) fn delta_e(left: [u8; 3], right: [u8; 3]) -> f64 {
    let (left, right) = (lab(left), lab(right));
    (0..3).map(|at| (left[at] - right[at]).powi(2)).sum::<f64>().sqrt()
}

fn lab(color: [u8; 3]) -> [f64; 3] {
    const TO_XYZ: [[f64; 3]; 3] = [
        [0.412_456, 0.357_576, 0.180_437],
        [0.212_673, 0.715_152, 0.072_175],
        [0.019_334, 0.119_192, 0.950_304],
    ];
    const WHITE: [f64; 3] = [0.950_47, 1.0, 1.088_83];
    let xyz = product(TO_XYZ, color.map(|value| light(f64::from(value) / 255.0)));
    let f = |at: usize| {
        let t: f64 = xyz[at] / WHITE[at];
        if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 }
    };
    [116.0 * f(1) - 16.0, 500.0 * (f(0) - f(1)), 200.0 * (f(1) - f(2))]
}
