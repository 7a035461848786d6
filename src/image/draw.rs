//! Sample pictures that the program draws itself: uploads for `demo` and for tests, without files to ship.
//!
//! They are photo-like (soft gradients, sharp edges, fine grain), each with its own palette, so that a person can judge
//! scaling and quality. The same size gives the same pixels everywhere: the grain comes from a hash of the coordinates,
//! not from a random source.

use super::encode;
use super::error::RenderError;
use super::pixels::{PixelKind, Pixels};
use super::shape::Size;
use crate::object::Format;

/// The number of different pictures.
pub const SCENES: usize = 4;

/// Draws picture number `index` (any number; they repeat after [`SCENES`]). The last one has alpha.
///
/// # Errors
///
/// [`RenderError::SideOutOfRange`] if a side is zero.
pub fn sample(index: usize, size: Size) -> Result<Pixels, RenderError> {
    match index % SCENES {
        0 => paint(size, PixelKind::Rgb, hills),
        1 => paint(size, PixelKind::Rgb, moonlit_sea),
        2 => paint(size, PixelKind::Rgb, dunes),
        _ => paint(size, PixelKind::Rgba, balloons),
    }
}

/// Name (without an extension) and file of each picture, about 1280 × 960, in JPEG, WebP and PNG. Takes a fraction of a
/// second.
///
/// # Errors
///
/// Errors of the encoders; none is known to happen.
pub fn samples() -> Result<Vec<(&'static str, Vec<u8>)>, RenderError> {
    samples_by(1)
}

/// As [`samples`], with both sides divided by `divisor`.
fn samples_by(divisor: u32) -> Result<Vec<(&'static str, Vec<u8>)>, RenderError> {
    const FILES: [(&str, Format, Size); SCENES] = [
        ("hills", Format::Jpeg, Size { width: 1280, height: 960 }),
        ("moonlit-sea", Format::Webp, Size { width: 1280, height: 853 }),
        ("dunes", Format::Jpeg, Size { width: 960, height: 1280 }),
        ("balloons", Format::Png, Size { width: 1120, height: 840 }),
    ];
    let file = |(index, (name, format, size)): (usize, (&'static str, Format, Size))| {
        let size = Size { width: size.width / divisor, height: size.height / divisor };
        Ok((name, encode::encode(sample(index, size)?, format, Some(90))?))
    };
    FILES.into_iter().enumerate().map(file).collect()
}

/// Red, green, blue, 0–1.
type RgbFloat = [f32; 3];

/// A place in a picture: x from 0 to the aspect ratio, y from 0 (top) to 1.
#[derive(Clone, Copy)]
struct DrawPoint {
    x: f32,
    y: f32,
    /// Width ÷ height.
    aspect: f32,
}

fn paint(size: Size, kind: PixelKind, scene: fn(DrawPoint) -> [f32; 4]) -> Result<Pixels, RenderError> {
    let aspect = size.width as f32 / size.height as f32;
    let mut data = Vec::with_capacity(size.area() as usize * kind.channels());
    for row in 0..size.height {
        for column in 0..size.width {
            let scale = 1.0 / size.height as f32;
            let place = DrawPoint { x: (column as f32 + 0.5) * scale, y: (row as f32 + 0.5) * scale, aspect };
            let grain = (hash(column as i32, row as i32, 7) - 0.5) * 0.02;
            let [red, green, blue, alpha] = scene(place);
            let pixel =
                [red + grain, green + grain, blue + grain, alpha].map(|value| (value * 255.0 + 0.5) as u8);
            data.extend_from_slice(&pixel[..kind.channels()]);
        }
    }
    Pixels::new(size, kind, data).ok_or(RenderError::SideOutOfRange { side_max: u32::MAX })
}

/// Blue ridges in the haze below a low sun.
fn hills(place: DrawPoint) -> [f32; 4] {
    let DrawPoint { x, y, aspect } = place;
    let sun = distance(x, y, aspect * 0.68, 0.30);
    let mut color = gradient(&[[0.28, 0.45, 0.72], [0.93, 0.72, 0.52], [0.98, 0.86, 0.66]], y / 0.6);
    color = mix(color, [1.0, 0.93, 0.75], 0.8 * (-sun * 5.0).exp());
    color = mix(color, [1.0, 0.98, 0.90], edge(0.065 - sun, 0.004));
    if y < 0.62 {
        let clouds = smooth((fractal(x * 2.0, y * 9.0, 4, 3) - 0.5) * 4.0) * (1.0 - y * 1.6);
        color = mix(color, [1.0, 0.90, 0.85], 0.5 * clouds);
    }
    for ridge in 0..5 {
        let depth = ridge as f32 / 4.0;
        let lowest = 0.56 + 0.11 * ridge as f32;
        // Skipped where the next ridge is sure to cover this one.
        if y > lowest + 0.12 && ridge < 4 {
            continue;
        }
        let height = lowest - 0.20 * fractal(x * (1.3 + depth * 1.5), 0.0, 4, 11 + ridge);
        if y < height - 0.002 {
            continue;
        }
        let haze = mix([0.62, 0.60, 0.68], [0.06, 0.17, 0.14], depth);
        let leaf = fractal(x * 40.0, y * 40.0, 2, 31 + ridge) - 0.5;
        let land = mix(haze, [0.85, 0.72, 0.55], 0.35 * (1.0 - depth) * (y - height).clamp(0.0, 1.0) * 4.0);
        color =
            mix(color, land.map(|value| (value + leaf * 0.12 * depth).max(0.02)), edge(y - height, 0.002));
    }
    opaque(color)
}

/// Stars, a moon and its broken reflection on the water.
fn moonlit_sea(place: DrawPoint) -> [f32; 4] {
    let DrawPoint { x, y, aspect } = place;
    let (moon_x, horizon) = (aspect * 0.37, 0.56);
    if y < horizon {
        return opaque(night_sky(x, y, moon_x, y / horizon));
    }
    let depth = (y - horizon) / (1.0 - horizon);
    // Waves grow towards the viewer.
    let far = 1.0 / (depth + 0.06);
    let wave = fractal(x * 6.0 * far.sqrt() + 3.0, far * 9.0, 4, 21);
    let track = (-((x - moon_x) / (0.05 + 0.28 * depth)).powi(2)).exp();
    let sea = mix([0.20, 0.25, 0.42], [0.02, 0.06, 0.15], depth.sqrt());
    let sea = mix(sea, [0.10, 0.22, 0.38], 0.8 * wave);
    opaque(mix(sea, [0.95, 0.93, 0.85], track * smooth((wave - 0.42) * 5.0)))
}

/// `height` goes from 0 at the top to 1 at the horizon.
fn night_sky(x: f32, y: f32, moon_x: f32, height: f32) -> RgbFloat {
    let moon = distance(x, y, moon_x, 0.24);
    let mut color = gradient(&[[0.03, 0.05, 0.16], [0.10, 0.18, 0.38], [0.42, 0.38, 0.52]], height);
    if hash((x * 180.0) as i32, (y * 180.0) as i32, 5) > 0.992 {
        let star = distance((x * 180.0).fract(), (y * 180.0).fract(), 0.5, 0.5);
        color = mix(color, [1.0, 1.0, 0.95], edge(0.35 - star, 0.2) * (1.0 - y));
    }
    color = mix(color, [0.65, 0.72, 0.95], 0.7 * (-moon * 7.0).exp());
    if moon < 0.09 {
        let craters = 0.85 + 0.15 * fractal(x * 25.0, y * 25.0, 3, 9);
        color = mix(color, [craters, craters * 0.98, craters * 0.90], edge(0.085 - moon, 0.003));
    }
    color
}

/// Sand ridges with wind ripples, lit from the left.
fn dunes(place: DrawPoint) -> [f32; 4] {
    let DrawPoint { x, y, .. } = place;
    let mut color = gradient(&[[0.16, 0.42, 0.70], [0.55, 0.76, 0.88], [0.93, 0.88, 0.78]], y / 0.45);
    for dune in 0..4 {
        let seed = 41 + dune;
        let near = dune as f32 / 3.0;
        let crest = 0.36 + 0.16 * dune as f32 + 0.09 * ((x * (2.2 - near) + dune as f32 * 1.7).sin());
        let below = y - crest;
        // Skipped above its crest, and where the next dune is sure to cover it.
        if below < -0.0015 || (below > 0.36 && dune < 3) {
            continue;
        }
        let bend = fractal(x * 1.5, y * 1.5, 3, seed);
        let ripple = ((y * 150.0 * (1.4 - near * 0.7) + bend * 22.0 + x * 9.0).sin() * 0.5 + 0.5) * near;
        let slope = smooth(0.5 + 2.2 * (bend - 0.45) - below * 0.9);
        let sand = mix([0.46, 0.24, 0.15], [0.97, 0.74, 0.43], slope);
        let sand = mix(sand, [1.0, 0.88, 0.63], 0.18 * ripple + 0.3 * (-below * 40.0).exp().min(1.0));
        color = mix(color, sand, edge(below, 0.0015));
    }
    opaque(color)
}

/// Glossy translucent balloons on a transparent background.
fn balloons(place: DrawPoint) -> [f32; 4] {
    const BALLOONS: [(f32, f32, f32, RgbFloat); 7] = [
        (0.20, 0.34, 0.21, [0.86, 0.16, 0.22]),
        (0.50, 0.26, 0.19, [0.98, 0.72, 0.12]),
        (0.79, 0.36, 0.22, [0.10, 0.47, 0.80]),
        (0.35, 0.60, 0.23, [0.16, 0.62, 0.36]),
        (0.64, 0.63, 0.22, [0.56, 0.25, 0.66]),
        (0.14, 0.76, 0.14, [0.95, 0.46, 0.14]),
        (0.88, 0.78, 0.15, [0.92, 0.38, 0.58]),
    ];
    let (mut color, mut alpha) = ([0.0; 3], 0.0);
    for (x, y, radius, paint) in BALLOONS {
        let (from_x, from_y) = ((place.x - x * place.aspect) / radius, (place.y - y) / (radius * 1.12));
        let out = (from_x * from_x + from_y * from_y).sqrt();
        let cover = edge(1.0 - out, 0.012) * (0.80 + 0.15 * smooth(out));
        let shade =
            mix(paint, [0.05, 0.03, 0.10], 0.55 * smooth(out) * smooth(0.5 + 0.5 * (from_x + from_y)));
        let shine = (-((from_x + 0.38).powi(2) + (from_y + 0.42).powi(2)) * 14.0).exp();
        let shade = mix(shade, [1.0; 3], 0.85 * shine);
        let total = cover + alpha * (1.0 - cover);
        if total > 0.0 {
            color = mix(color, shade, cover / total);
        }
        alpha = total;
    }
    [color[0], color[1], color[2], alpha]
}

fn opaque([red, green, blue]: RgbFloat) -> [f32; 4] {
    [red, green, blue, 1.0]
}

fn mix(from: RgbFloat, to: RgbFloat, share: f32) -> RgbFloat {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

/// The colour between the first and the last stop as `at` goes from 0 to 1.
fn gradient(stops: &[RgbFloat; 3], at: f32) -> RgbFloat {
    let at = at.clamp(0.0, 1.0) * 2.0;
    if at < 1.0 { mix(stops[0], stops[1], at) } else { mix(stops[1], stops[2], at - 1.0) }
}

fn distance(x: f32, y: f32, to_x: f32, to_y: f32) -> f32 {
    ((x - to_x).powi(2) + (y - to_y).powi(2)).sqrt()
}

/// 0 to 1 across a border at 0, which is soft for `softness` on either side.
fn edge(inside: f32, softness: f32) -> f32 {
    smooth(inside / softness * 0.5 + 0.5)
}

/// An S-curve from 0 at 0 to 1 at 1.
fn smooth(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    value * value * (3.0 - 2.0 * value)
}

/// Noise of several octaves, about 0–1.
fn fractal(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..octaves {
        sum += weight * noise(x * scale, y * scale, seed + octave * 101);
        weight *= 0.5;
        scale *= 2.0;
    }
    sum / (1.0 - weight * 2.0)
}

/// Smooth noise, 0–1, for coordinates from 0 to a million: random values at whole numbers, blended between them.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    // A cast truncates, which equals floor() here; floor() is a call without newer instructions.
    let (left, top) = (x as i32, y as i32);
    let (right_share, low_share) = (smooth(x - left as f32), smooth(y - top as f32));
    let blend = |from: f32, to: f32, share: f32| from + (to - from) * share;
    let row = |y| blend(hash(left, y, seed), hash(left + 1, y, seed), right_share);
    if low_share == 0.0 { row(top) } else { blend(row(top), row(top + 1), low_share) }
}

/// A pseudo-random number from 0 to 1: multiply and shift, so that neighbours differ in every bit.
fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut bits = (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
    bits ^= bits >> 15;
    (bits >> 8) as f32 / 16_777_215.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_files_of_several_formats_with_different_names() {
        let files = samples_by(20).unwrap();
        assert_eq!(files.len(), SCENES);
        for magic in [&[0xFF, 0xD8, 0xFF][..], b"\x89PNG", b"RIFF"] {
            assert!(files.iter().any(|(_, bytes)| bytes.starts_with(magic)), "{magic:?}");
        }
        for (name, _) in &files {
            assert_eq!(files.iter().filter(|(other, _)| other == name).count(), 1, "{name} comes twice");
        }
    }

    #[test]
    fn each_scene_is_a_varied_picture_and_the_same_every_time() {
        let size = Size { width: 64, height: 48 };
        for index in 0..SCENES {
            let pixels = sample(index, size).unwrap();
            assert_eq!(pixels, sample(index + SCENES, size).unwrap());
            let mut levels = [false; 256];
            pixels
                .data()
                .chunks_exact(pixels.kind().channels())
                .for_each(|pixel| levels[usize::from(pixel[1])] = true);
            let levels = levels.iter().filter(|level| **level).count();
            assert!(levels > 60, "scene {index} has only {levels} levels of green");
        }
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        assert!(sample(0, Size { width: 0, height: 5 }).is_err());
    }
}
