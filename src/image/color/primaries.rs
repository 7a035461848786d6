//! Primaries and white points by their chromaticities, and their meaning together with a curve.

use moxcms::{Chromaticity, ColorPrimaries, ColorProfile, Matrix3d, ToneReprCurve, XyY};

use super::{Conversion, Gamut, Meaning, RgbConversion, to_gamut};

/// Red, green, blue and white as x and y of CIE 1931.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::image) struct Primaries {
    pub(super) red: (f32, f32),
    pub(super) green: (f32, f32),
    pub(super) blue: (f32, f32),
    pub(super) white: (f32, f32),
}

pub(super) const D65: (f32, f32) = (0.3127, 0.329);

pub(super) const SRGB: Primaries =
    Primaries { red: (0.64, 0.33), green: (0.3, 0.6), blue: (0.15, 0.06), white: D65 };

const DISPLAY_P3: Primaries =
    Primaries { red: (0.68, 0.32), green: (0.265, 0.69), blue: (0.15, 0.06), white: D65 };

/// Light of full red, green and blue as X, Y and Z, adapted to D50, as profiles have it.
pub(super) type Colorants = [[f64; 3]; 3];

pub(super) fn colorants(profile: &ColorProfile) -> Colorants {
    [profile.red_colorant, profile.green_colorant, profile.blue_colorant].map(|xyz| [xyz.x, xyz.y, xyz.z])
}

/// Chromaticities that differ by less count as equal, because files round them in many ways.
const ALIKE: f32 = 0.002;

impl Primaries {
    /// Parses a cHRM chunk, in 100000ths: white, red, green, blue. `None` for a chunk of another length, and for
    /// primaries that no light has or that lie on one line.
    pub(super) fn of_png(payload: &[u8]) -> Option<Self> {
        let numbers: &[u8; 32] = payload.try_into().ok()?;
        let number = |at: usize| {
            let bytes = [numbers[at * 4], numbers[at * 4 + 1], numbers[at * 4 + 2], numbers[at * 4 + 3]];
            u32::from_be_bytes(bytes) as f32 / 100_000.0
        };
        let pair = |at: usize| (number(at), number(at + 1));
        let primaries = Self { white: pair(0), red: pair(2), green: pair(4), blue: pair(6) };
        primaries.is_possible().then_some(primaries)
    }

    const fn of_gamut(gamut: Gamut) -> Self {
        match gamut {
            Gamut::Srgb => SRGB,
            Gamut::DisplayP3 => DISPLAY_P3,
        }
    }

    /// Full red, green and blue.
    pub(super) fn colorants(&self) -> Colorants {
        colorants(&self.profile(moxcms::curve_from_gamma(1.0)))
    }

    fn is_possible(&self) -> bool {
        let is_light =
            |(x, y): (f32, f32)| (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) && x + y <= 1.001;
        let from_blue = |(x, y): (f32, f32)| (x - self.blue.0, y - self.blue.1);
        let (red, green) = (from_blue(self.red), from_blue(self.green));
        let area = (red.0 * green.1 - red.1 * green.0).abs() / 2.0;
        [self.red, self.green, self.blue, self.white].into_iter().all(is_light)
            && self.white.1 > 0.01
            && area > 0.001
    }

    fn is_alike(&self, other: &Self) -> bool {
        let near = |(left, right): ((f32, f32), (f32, f32))| {
            (left.0 - right.0).abs() < ALIKE && (left.1 - right.1).abs() < ALIKE
        };
        [(self.red, other.red), (self.green, other.green), (self.blue, other.blue), (self.white, other.white)]
            .into_iter()
            .all(near)
    }

    /// The meaning of these primaries with this curve. With the result's primaries each channel is mapped by itself.
    pub(super) fn with_curve(&self, curve: ToneReprCurve, to: Gamut) -> Option<Meaning> {
        if self.is_alike(&Self::of_gamut(to)) {
            return to_gamut::gray(curve).map(Conversion::of_curve);
        }
        let profile = self.profile(curve);
        to_gamut::transform(&profile, to)
            .and_then(|executor| Conversion::of_colors(RgbConversion::Profile(executor)))
    }

    /// The matrix from light of these primaries to light of the result's; both linear.
    pub(super) fn matrix_to(self, to: Gamut) -> Matrix3d {
        self.profile(moxcms::curve_from_gamma(1.0)).transform_matrix(&to.profile())
    }

    fn profile(&self, curve: ToneReprCurve) -> ColorProfile {
        let point = |(x, y): (f32, f32)| Chromaticity { x, y };
        let primaries =
            ColorPrimaries { red: point(self.red), green: point(self.green), blue: point(self.blue) };
        let white = XyY::new(f64::from(self.white.0), f64::from(self.white.1), 1.0);
        let mut profile = ColorProfile::new_srgb();
        profile.update_rgb_colorimetry(white, primaries);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
        profile
    }
}
