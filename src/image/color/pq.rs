//! Tone mapping of PQ pictures (SMPTE ST 2084) from bright displays to an ordinary one.
//!
//! A PQ value is an absolute luminance of up to 10,000 cd/m². White of a page is at 203 cd/m² (ITU-R BT.2408). The
//! curve of ITU-R BT.2390 rolls off brighter values up to 1,000 cd/m², for which nearly all such pictures are made;
//! above that a value is white. The brightest channel decides the gain of all three, so that hues stay.

use moxcms::Matrix3d;

use super::gamut::Gamut;
use super::primaries::Primaries;

/// Luminance of the result's white, in cd/m².
const WHITE: f64 = 203.0;
/// Luminance that becomes white, in cd/m².
const PEAK: f64 = 1000.0;
/// Steps of the table from light to sRGB values: so fine that the first step is below half a value.
const LIGHT_STEPS: usize = 1 << 14;

/// The tables of one set of primaries.
pub(super) struct Pq {
    /// Light of each value; 1 is white.
    light: [f32; 256],
    /// The gain of all channels, by the value of the brightest.
    gain: [f32; 256],
    matrix: [[f32; 3]; 3],
    /// sRGB values, by light in [`LIGHT_STEPS`].
    encoded: Vec<u8>,
}

impl Pq {
    pub(super) fn new(primaries: Primaries, to: Gamut) -> Self {
        let light = |value: usize| luminance(value as f64 / 255.0) / WHITE;
        let gain = |value: usize| {
            let before = light(value);
            if before == 0.0 { 1.0 } else { (rolled_off(value as f64 / 255.0) / WHITE / before) as f32 }
        };
        let encode = |step: usize| (srgb(step as f64 / LIGHT_STEPS as f64) * 255.0).round() as u8;
        let Matrix3d { v: matrix } = primaries.matrix_to(to);
        Self {
            light: std::array::from_fn(|value| light(value) as f32),
            gain: std::array::from_fn(gain),
            matrix: matrix.map(|row| row.map(|number| number as f32)),
            encoded: (0..=LIGHT_STEPS).map(encode).collect(),
        }
    }

    /// Converts whole pixels of three channels in place.
    pub(super) fn apply(&self, colors: &mut [u8]) {
        for color in colors.chunks_exact_mut(3) {
            let gain = self.gain[usize::from(color[0].max(color[1]).max(color[2]))];
            let [red, green, blue] = [0, 1, 2].map(|channel| self.light[usize::from(color[channel])] * gain);
            for (value, row) in color.iter_mut().zip(&self.matrix) {
                let light = (row[0] * red + row[1] * green + row[2] * blue).clamp(0.0, 1.0);
                *value = self.encoded[(light * LIGHT_STEPS as f32 + 0.5) as usize];
            }
        }
    }
}

const M1: f64 = 2610.0 / 16384.0;
const M2: f64 = 2523.0 / 4096.0 * 128.0;
const C1: f64 = 3424.0 / 4096.0;
const C2: f64 = 2413.0 / 4096.0 * 32.0;
const C3: f64 = 2392.0 / 4096.0 * 32.0;

/// Luminance of a PQ value 0–1, in cd/m².
fn luminance(value: f64) -> f64 {
    let power = value.powf(1.0 / M2);
    10_000.0 * ((power - C1).max(0.0) / (C2 - C3 * power)).powf(1.0 / M1)
}

/// The PQ value, 0–1, of a luminance in cd/m².
fn value(luminance: f64) -> f64 {
    let power = (luminance / 10_000.0).powf(M1);
    ((C1 + C2 * power) / (1.0 + C3 * power)).powf(M2)
}

/// Luminance of a PQ value 0–1, in cd/m², on a display that reaches [`WHITE`]: the curve of BT.2390, linear up to its
/// knee, then a Hermite spline.
fn rolled_off(encoded: f64) -> f64 {
    let scaled = (encoded / value(PEAK)).min(1.0);
    let most = value(WHITE) / value(PEAK);
    let knee = 1.5 * most - 0.5;
    if scaled < knee {
        return luminance(encoded);
    }
    let t = (scaled - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    let spline = (2.0 * t3 - 3.0 * t2 + 1.0) * knee
        + (t3 - 2.0 * t2 + t) * (1.0 - knee)
        + (-2.0 * t3 + 3.0 * t2) * most;
    luminance(spline * value(PEAK))
}

/// sRGB's transfer curve, 0–1 on both sides.
fn srgb(light: f64) -> f64 {
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::color::primaries::SRGB;

    fn shown(value: u8) -> u8 {
        let mut color = [value; 3];
        Pq::new(SRGB, Gamut::Srgb).apply(&mut color);
        assert!(color.iter().all(|channel| channel.abs_diff(color[0]) <= 1), "gray {value} became {color:?}");
        color[0]
    }

    #[test]
    fn the_curve_is_that_of_the_standard() {
        // Values of ITU-R BT.2408: 10-bit codes of luminances, full range.
        for (nits, code) in [(0.0, 0), (100.0, 520), (203.0, 594), (1000.0, 769), (10_000.0, 1023)] {
            assert_eq!((value(nits) * 1023.0).round() as i32, code, "{nits}");
            assert!((luminance(value(nits)) - nits).abs() < 1e-6 * (1.0 + nits));
        }
    }

    #[test]
    fn black_is_black_the_peak_is_white_and_between_them_more_is_brighter() {
        assert_eq!((shown(0), shown((value(PEAK) * 255.0).ceil() as u8), shown(255)), (0, 255, 255));
        let ramp: Vec<u8> = (0..=255).map(shown).collect();
        assert!(ramp.windows(2).all(|pair| pair[0] <= pair[1]), "{ramp:?}");
    }

    #[test]
    fn what_an_ordinary_display_can_show_keeps_its_brightness() {
        // Half of white, which is far below the knee, and the white of BT.2408, which the curve lowers a little.
        let half = shown((value(WHITE / 4.0) * 255.0).round() as u8);
        assert!(half.abs_diff((srgb(0.25) * 255.0).round() as u8) <= 3, "{half}");
        let white = shown((value(WHITE) * 255.0).round() as u8);
        assert!((210..=245).contains(&white), "{white}");
    }
}
