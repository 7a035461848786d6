//! Colours by the code points of ITU-T H.273 (cICP in PNG, nclx in AVIF), and by a gamma.
//!
//! * The curves of television cameras (BT.709 and similar) count as sRGB's. Pictures are encoded for a display, and the
//!   displays on which such pictures are made have nearly sRGB's curve.
//! * The hybrid curve (HLG) is designed to be shown by displays that do not know it, so it counts as sRGB's too.
//! * [`super::pq`] maps PQ.
//! * A code point that is unknown, or that says nothing about a picture, is not understood.

use moxcms::{ToneReprCurve, curve_from_gamma};

use super::pq::Pq;
use super::primaries::{D65, Primaries, SRGB};
use super::{Conversion, Gamut, Meaning, RgbConversion};
use crate::image::container::avif::Nclx;

/// Primaries and transfer characteristics. The matrix from RGB to components is the decoder's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) struct CodePoints {
    pub(in crate::image) primaries: u8,
    pub(in crate::image) transfer: u8,
}

/// Transfer characteristics: SMPTE ST 2084.
const PQ: u8 = 16;
/// Transfer characteristics: ARIB STD-B67.
pub(super) const HLG: u8 = 18;

impl CodePoints {
    /// Those of an AVIF or HEIC; `None` for numbers that no standard has.
    pub(in crate::image) fn of(nclx: Nclx) -> Option<Self> {
        Some(Self { primaries: nclx.primaries.try_into().ok()?, transfer: nclx.transfer.try_into().ok()? })
    }

    pub(super) fn meaning(self, to: Gamut) -> Option<Meaning> {
        let primaries = self.primaries()?;
        if self.transfer == PQ {
            return Conversion::of_colors(RgbConversion::Pq(Box::new(Pq::new(primaries, to))));
        }
        primaries.with_curve(curve(self.transfer)?, to)
    }

    /// `None` for a code that is unknown or that says nothing about a picture.
    pub(super) fn primaries(self) -> Option<Primaries> {
        primaries(self.primaries)
    }

    /// Whether the curve is the hybrid one.
    pub(super) const fn is_hybrid(self) -> bool {
        self.transfer == HLG
    }

    /// Whether the picture is brighter than a display's white, or curved for such displays. An ICC profile that names
    /// these code points says less than they do.
    pub(super) const fn is_high_dynamic_range(self) -> bool {
        matches!(self.transfer, PQ | HLG)
    }
}

fn primaries(number: u8) -> Option<Primaries> {
    let of = |red, green, blue| Primaries { red, green, blue, white: D65 };
    Some(match number {
        // Most files that mean sRGB say "unspecified".
        1 | 2 => SRGB,
        4 => Primaries { red: (0.67, 0.33), green: (0.21, 0.71), blue: (0.14, 0.08), white: (0.31, 0.316) },
        5 => of((0.64, 0.33), (0.29, 0.6), (0.15, 0.06)),
        6 | 7 => of((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
        9 => of((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
        11 => {
            Primaries { red: (0.68, 0.32), green: (0.265, 0.69), blue: (0.15, 0.06), white: (0.314, 0.351) }
        }
        12 => of((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
        22 => of((0.63, 0.34), (0.295, 0.605), (0.155, 0.077)),
        _ => return None,
    })
}

fn curve(number: u8) -> Option<ToneReprCurve> {
    Some(match number {
        1 | 2 | 6 | 7 | 11 | 12 | 13 | 14 | 15 | HLG => srgb_curve(),
        4 => curve_from_gamma(2.2),
        5 => curve_from_gamma(2.8),
        8 => curve_from_gamma(1.0),
        17 => curve_from_gamma(2.6),
        _ => return None,
    })
}

/// Display exponents that are believed; a file with any other one is broken.
const EXPONENTS: std::ops::RangeInclusive<f32> = 0.1..=10.0;

/// The exponent that a file gives for sRGB, in 100000ths, and the largest distance from it that still means sRGB: 5 %,
/// at which a correction begins to be visible.
const GAMMA_SRGB: u32 = 45_455;
const GAMMA_ALIKE: u32 = GAMMA_SRGB / 20;

/// The meaning of a PNG's gamma (the exponent of its values, in 100000ths) and primaries.
pub(super) fn of_gamma(gamma: Option<u32>, primaries: Option<Primaries>, to: Gamut) -> Option<Meaning> {
    let curve = match gamma {
        Some(gamma) if gamma.abs_diff(GAMMA_SRGB) > GAMMA_ALIKE => {
            let exponent = 100_000.0 / gamma as f32;
            if !EXPONENTS.contains(&exponent) {
                return None;
            }
            curve_from_gamma(exponent)
        }
        _ => srgb_curve(),
    };
    primaries.unwrap_or(SRGB).with_curve(curve, to)
}

fn srgb_curve() -> ToneReprCurve {
    ToneReprCurve::Parametric(vec![2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045])
}
