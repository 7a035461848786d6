//! From luma and colour differences, or other components of video, to red, green and blue of 8 bits.
//!
//! Knows no codec: a decoder passes the code points of ITU-T H.273 that its container or bitstream names.

use super::UNSUPPORTED;
use crate::image::error::RenderError;

/// The range of the samples, in 255ths.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleRange {
    luma_zero: f32,
    luma_scale: f32,
    chroma_zero: f32,
    chroma_scale: f32,
}

impl SampleRange {
    /// For samples of 8 to 16 bits.
    pub(super) fn new(bits: u8, is_full: bool) -> Self {
        let unit = f32::from(1_u16 << bits.clamp(8, 16).abs_diff(8));
        let chroma_zero = 128.0 * unit;
        if is_full {
            let scale = 255.0 / 256.0_f32.mul_add(unit, -1.0);
            Self { luma_zero: 0.0, luma_scale: scale, chroma_zero, chroma_scale: scale }
        } else {
            Self {
                luma_zero: 16.0 * unit,
                luma_scale: 255.0 / (219.0 * unit),
                chroma_zero,
                chroma_scale: 255.0 / (224.0 * unit),
            }
        }
    }

    pub(super) fn luma(&self, sample: f32) -> f32 {
        (sample - self.luma_zero) * self.luma_scale
    }

    /// The sample of a luma in 255ths.
    pub(super) fn sample(&self, luma: f32) -> f32 {
        luma / self.luma_scale + self.luma_zero
    }

    fn chroma(&self, sample: f32) -> f32 {
        (sample - self.chroma_zero) * self.chroma_scale
    }
}

/// The matrix from red, green and blue to components.
#[derive(Clone, Copy, Debug)]
pub(super) enum Matrix {
    /// Green, blue and red, unchanged.
    Identity,
    YCgCo,
    /// The weights of red and blue in luma.
    Weights {
        red: f32,
        blue: f32,
    },
}

impl Matrix {
    /// The matrix with this number. `primaries` are those that the container names; `is_whole` says that no component
    /// is subsampled.
    ///
    /// # Errors
    ///
    /// `Undecodable` for a matrix that is unknown, or that does not go with the sampling.
    pub(super) fn new(number: u16, primaries: Option<u16>, is_whole: bool) -> Result<Self, RenderError> {
        Ok(match number {
            0 if is_whole => Self::Identity,
            1 => Self::Weights { red: 0.2126, blue: 0.0722 },
            4 => Self::Weights { red: 0.3, blue: 0.11 },
            // Unspecified means the matrix of JPEG.
            2 | 5 | 6 => Self::Weights { red: 0.299, blue: 0.114 },
            7 => Self::Weights { red: 0.212, blue: 0.087 },
            8 => Self::YCgCo,
            9 => Self::Weights { red: 0.2627, blue: 0.0593 },
            // Derived from the primaries: the ones of BT.709, BT.2020 and P3.
            12 => match primaries {
                Some(1) => Self::Weights { red: 0.2126, blue: 0.0722 },
                Some(9) => Self::Weights { red: 0.2627, blue: 0.0593 },
                Some(12) => Self::Weights { red: 0.229, blue: 0.0793 },
                _ => return Err(UNSUPPORTED),
            },
            _ => return Err(UNSUPPORTED),
        })
    }

    /// Red, green and blue, in 255ths.
    pub(super) fn rgb(self, range: &SampleRange, first: f32, second: f32, third: f32) -> [f32; 3] {
        match self {
            Self::Identity => [range.luma(third), range.luma(first), range.luma(second)],
            Self::YCgCo => {
                let (luma, green, orange) = (range.luma(first), range.chroma(second), range.chroma(third));
                [luma - green + orange, luma + green, luma - green - orange]
            }
            Self::Weights { red: of_red, blue: of_blue } => {
                let luma = range.luma(first);
                let blue = luma + 2.0 * (1.0 - of_blue) * range.chroma(second);
                let red = luma + 2.0 * (1.0 - of_red) * range.chroma(third);
                let green = (luma - of_red * red - of_blue * blue) / (1.0 - of_red - of_blue);
                [red, green, blue]
            }
        }
    }
}

/// Rounds to the nearest of 0–255 and clips.
pub(super) fn byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// Divides the colours of pixels with this many channels by their alpha, the last of these (premultiplied → straight).
pub(super) fn unmultiply(data: &mut [u8], channels: usize) {
    for pixel in data.chunks_exact_mut(channels) {
        let alpha = u32::from(pixel[channels - 1]);
        if (1..255).contains(&alpha) {
            let straight = |value: u8| ((u32::from(value) * 255 + alpha / 2) / alpha).min(255) as u8;
            pixel[..channels - 1].iter_mut().for_each(|value| *value = straight(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(matrix: Matrix, range: &SampleRange, samples: [f32; 3]) -> [u8; 3] {
        matrix.rgb(range, samples[0], samples[1], samples[2]).map(byte)
    }

    #[test]
    fn black_and_white_reach_the_ends_of_every_range_and_depth() {
        let matrix = Matrix::new(6, None, false).unwrap();
        for bits in [8, 10, 12, 16] {
            let (unit, most) = (f32::from(1_u16 << (bits - 8)), (1_u32 << bits) as f32 - 1.0);
            let (full, video) = (SampleRange::new(bits, true), SampleRange::new(bits, false));
            let gray = 128.0 * unit;
            assert_eq!(bytes(matrix, &full, [0.0, gray, gray]), [0; 3], "{bits}");
            assert_eq!(bytes(matrix, &full, [most, gray, gray]), [255; 3], "{bits}");
            assert_eq!(bytes(matrix, &video, [16.0 * unit, gray, gray]), [0; 3], "{bits}");
            assert_eq!(bytes(matrix, &video, [235.0 * unit, gray, gray]), [255; 3], "{bits}");
        }
    }

    #[test]
    fn red_has_its_components_in_every_matrix() {
        let range = SampleRange::new(8, true);
        for (number, samples) in [
            (0, [0.0, 0.0, 255.0]),
            (1, [54.0, 99.0, 255.0]),
            (6, [76.0, 85.0, 255.0]),
            (8, [64.0, 64.0, 255.0]),
            (9, [67.0, 92.0, 255.0]),
        ] {
            let matrix = Matrix::new(number, None, true).unwrap();
            let [red, green, blue] = bytes(matrix, &range, samples);
            assert!(red >= 253 && green <= 2 && blue <= 2, "{number}: {red} {green} {blue}");
        }
    }

    #[test]
    fn a_matrix_that_does_not_fit_is_refused() {
        assert!(Matrix::new(0, None, false).is_err());
        assert!(Matrix::new(12, None, true).is_err());
        assert!(Matrix::new(12, Some(12), true).is_ok());
        assert!(Matrix::new(3, None, true).is_err());
    }
}
