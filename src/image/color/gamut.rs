//! The colours of results: sRGB, which needs no profile, or Display P3 with its own.

use std::sync::OnceLock;

use moxcms::ColorProfile;

use super::profile::{HEADER_BYTES, written};

/// The colours of a result. All have sRGB's curve, so gray is the same in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gamut {
    /// Untagged.
    #[default]
    Srgb,
    /// Display P3, as phones and wide displays have it; tagged.
    DisplayP3,
}

impl Gamut {
    pub(super) fn profile(self) -> ColorProfile {
        match self {
            Self::Srgb => ColorProfile::new_srgb(),
            Self::DisplayP3 => ColorProfile::new_display_p3(),
        }
    }

    /// The ICC profile that a file in these colours carries; `None` where viewers assume them.
    pub fn icc(self) -> Option<&'static [u8]> {
        static DISPLAY_P3: OnceLock<Vec<u8>> = OnceLock::new();
        match self {
            Self::Srgb => None,
            Self::DisplayP3 => Some(DISPLAY_P3.get_or_init(display_p3)),
        }
    }
}

/// Version 4.3, a display, RGB to XYZ, without a date, for the illuminant D50 (ICC.1:2022, table 17).
const HEADER: &[u8; HEADER_BYTES] = &{
    let mut header = [0; HEADER_BYTES];
    let fields: [(usize, &[u8]); 5] = [
        (8, b"\x04\x30\0\0mntrRGB XYZ "),
        (24, &[7, 0xE4, 0, 1, 0, 1]),
        (36, b"acsp"),
        (68, &[0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D]),
        (80, b"reti"),
    ];
    let mut field = 0;
    while field < fields.len() {
        let (at, bytes) = fields[field];
        let mut byte = 0;
        while byte < bytes.len() {
            header[at + byte] = bytes[byte];
            byte += 1;
        }
        field += 1;
    }
    header
};

/// Composed from the numbers of SMPTE EG 432-1 and IEC 61966-2-1, adapted to D50 by Bradford's matrix.
fn display_p3() -> Vec<u8> {
    let xyz = |numbers: [f64; 3]| fixed(b"XYZ ", &numbers);
    // The curve a: (ax + b)^g from d on, cx below it.
    let curve =
        [&b"para\0\0\0\0\0\x03\0\0"[..], &fixed_numbers(&[2.4, 0.947_867, 0.052_133, 0.077_399, 0.040_45])]
            .concat();
    let adaptation =
        [1.047_88, 0.022_92, -0.050_19, 0.029_59, 0.990_48, -0.017_04, -0.009_23, 0.015_08, 0.751_68];
    let tags: [(&[u8; 4], Vec<u8>); 10] = [
        (b"desc", text("Display P3")),
        (b"cprt", text("CC0")),
        (b"wtpt", xyz([0.964_2, 1.0, 0.824_91])),
        (b"chad", fixed(b"sf32", &adaptation)),
        (b"rXYZ", xyz([0.515_12, 0.241_2, -0.001_05])),
        (b"gXYZ", xyz([0.291_98, 0.692_25, 0.041_89])),
        (b"bXYZ", xyz([0.157_1, 0.066_57, 0.784_07])),
        (b"rTRC", curve.clone()),
        (b"gTRC", curve.clone()),
        (b"bTRC", curve),
    ];
    let tags: Vec<_> = tags.iter().map(|(name, tag)| (*name, &tag[..])).collect();
    written(HEADER, &tags).expect("invariant: these few tags are short")
}

fn fixed(kind: &[u8; 4], numbers: &[f64]) -> Vec<u8> {
    [&kind[..], &[0; 4], &fixed_numbers(numbers)].concat()
}

/// Numbers in steps of 1/65536.
fn fixed_numbers(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| ((number * 65_536.0).round() as i32).to_be_bytes()).collect()
}

/// One text, in American English.
fn text(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let length = (units.len() as u32).to_be_bytes();
    [&b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS"[..], &length, &[0, 0, 0, 28], &units].concat()
}
