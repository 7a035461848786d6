//! Planes of luma and colour differences → pixels of 8 bits on a canvas.
//!
//! By the matrix and range that the container names, else the bitstream. Colour at fewer samples than luma is
//! interpolated, three parts of the nearer sample to one of the farther, which is right for samples that lie between
//! those of luma and hardly visible for others.

use re_rav1d::dav1d::pixel::{MatrixCoefficients, YUVRange};
use re_rav1d::dav1d::{Picture, PixelLayout, PlanarImageComponent};

use super::super::UNSUPPORTED;
use crate::image::container::avif::Nclx;
use crate::image::error::RenderError;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

pub(super) struct Canvas {
    size: Size,
    kind: PixelKind,
    data: Vec<u8>,
}

impl Canvas {
    /// The caller has checked the size.
    pub(super) fn new(size: Size, kind: PixelKind) -> Self {
        Self { size, kind, data: vec![0; size.area() as usize * kind.channels()] }
    }

    pub(super) fn into_pixels(self) -> Option<Pixels> {
        Pixels::new(self.size, self.kind, self.data)
    }

    /// Draws a picture's colours, cut at the right and lower edge.
    pub(super) fn draw_color(
        &mut self,
        picture: &Picture,
        nclx: Option<Nclx>,
        left: u32,
        top: u32,
    ) -> Result<(), RenderError> {
        let is_gray = matches!(self.kind, PixelKind::Gray | PixelKind::GrayAlpha);
        if is_gray != (picture.pixel_layout() == PixelLayout::I400) {
            return Err(UNSUPPORTED);
        }
        let range = Range::of(picture, nclx.map(|nclx| nclx.is_full_range))?;
        let luma = Av1Plane::of(picture, PlanarImageComponent::Y);
        if is_gray {
            return self.draw_channel(0, &luma, &range, left, top);
        }
        let matrix = Matrix::of(picture, nclx)?;
        let planes =
            [PlanarImageComponent::U, PlanarImageComponent::V].map(|which| Av1Plane::of(picture, which));
        let size = Size { width: picture.width(), height: picture.height() };
        let mut rows = [(); 3].map(|()| vec![0.0; size.width as usize]);
        let channels = self.kind.channels();
        for y in 0..size.height {
            luma.read_row(y, &mut rows[0]);
            for (plane, row) in planes.iter().zip(&mut rows[1..]) {
                plane.read_row_enlarged(y, size, row);
            }
            let [luma, blue, red] = &rows;
            let samples = luma.iter().zip(blue).zip(red);
            let pixels = self.row(left, top + y).chunks_exact_mut(channels);
            for (pixel, ((luma, blue), red)) in pixels.zip(samples) {
                pixel[..3].copy_from_slice(&matrix.rgb(&range, *luma, *blue, *red).map(byte));
            }
        }
        Ok(())
    }

    /// Draws a picture's luma as alpha.
    pub(super) fn draw_alpha(&mut self, picture: &Picture, left: u32, top: u32) -> Result<(), RenderError> {
        let luma = Av1Plane::of(picture, PlanarImageComponent::Y);
        self.draw_channel(self.kind.channels() - 1, &luma, &Range::of(picture, None)?, left, top)
    }

    fn draw_channel(
        &mut self,
        channel: usize,
        plane: &Av1Plane,
        range: &Range,
        left: u32,
        top: u32,
    ) -> Result<(), RenderError> {
        let mut row = vec![0.0; plane.width as usize];
        let channels = self.kind.channels();
        for y in 0..plane.height {
            plane.read_row(y, &mut row);
            for (pixel, sample) in self.row(left, top + y).chunks_exact_mut(channels).zip(&row) {
                pixel[channel] = byte(range.luma(*sample));
            }
        }
        Ok(())
    }

    /// Colours that were multiplied by alpha become straight.
    pub(super) fn unmultiply(&mut self) {
        let channels = self.kind.channels();
        for pixel in self.data.chunks_exact_mut(channels) {
            let alpha = u32::from(pixel[channels - 1]);
            if (1..255).contains(&alpha) {
                let straight = |value: u8| ((u32::from(value) * 255 + alpha / 2) / alpha).min(255) as u8;
                pixel[..channels - 1].iter_mut().for_each(|value| *value = straight(*value));
            }
        }
    }

    /// A row from `left` on; empty where it lies outside.
    fn row(&mut self, left: u32, y: u32) -> &mut [u8] {
        if left >= self.size.width || y >= self.size.height {
            return &mut [];
        }
        let stride = self.size.width as usize * self.kind.channels();
        let row = &mut self.data[y as usize * stride..][..stride];
        &mut row[left as usize * self.kind.channels()..]
    }
}

/// To the nearest of 0–255; what lies outside becomes the end.
fn byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// Samples of one component, 8 bits each or 16.
struct Av1Plane {
    samples: re_rav1d::dav1d::Plane,
    stride: usize,
    is_wide: bool,
    width: u32,
    height: u32,
}

impl Av1Plane {
    /// The picture must have this component.
    fn of(picture: &Picture, which: PlanarImageComponent) -> Self {
        let layout = picture.pixel_layout();
        let is_luma = which == PlanarImageComponent::Y;
        let is_narrow = !is_luma && matches!(layout, PixelLayout::I420 | PixelLayout::I422);
        let is_low = !is_luma && layout == PixelLayout::I420;
        Self {
            stride: picture.stride(which) as usize,
            samples: picture.plane(which),
            is_wide: picture.bit_depth() > 8,
            width: if is_narrow { picture.width().div_ceil(2) } else { picture.width() },
            height: if is_low { picture.height().div_ceil(2) } else { picture.height() },
        }
    }

    /// A row of this plane, as far as `row` reaches.
    fn read_row(&self, y: u32, row: &mut [f32]) {
        let bytes = &self.samples[y as usize * self.stride..];
        if self.is_wide {
            let samples = bytes.chunks_exact(2).map(|pair| f32::from(u16::from_ne_bytes([pair[0], pair[1]])));
            row.iter_mut().zip(samples).for_each(|(place, sample)| *place = sample);
        } else {
            row.iter_mut().zip(bytes).for_each(|(place, sample)| *place = f32::from(*sample));
        }
    }

    /// The row of a plane as large as luma that this one is enlarged to.
    fn read_row_enlarged(&self, y: u32, luma: Size, row: &mut [f32]) {
        let mut own = vec![0.0; self.width as usize];
        if self.height == luma.height {
            self.read_row(y, &mut own);
        } else {
            let (near, far) = neighbours(y, self.height);
            let mut other = vec![0.0; self.width as usize];
            self.read_row(near, &mut own);
            self.read_row(far, &mut other);
            own.iter_mut().zip(&other).for_each(|(near, far)| *near = *near * 0.75 + far * 0.25);
        }
        if self.width == luma.width {
            row.copy_from_slice(&own);
            return;
        }
        for (x, place) in (0..).zip(row) {
            let (near, far) = neighbours(x, self.width);
            *place = own[near as usize] * 0.75 + own[far as usize] * 0.25;
        }
    }
}

/// Of half as many samples, the one that lies nearest to the place `at` of the full number, and the next one beyond it.
fn neighbours(at: u32, count: u32) -> (u32, u32) {
    let near = (at / 2).min(count - 1);
    let far = if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(count - 1) };
    (near, far)
}

/// The range of samples, in 255ths.
struct Range {
    luma_zero: f32,
    luma_scale: f32,
    chroma_zero: f32,
    chroma_scale: f32,
}

impl Range {
    fn of(picture: &Picture, is_full: Option<bool>) -> Result<Self, RenderError> {
        let bits = picture.bits_per_component().ok_or(UNSUPPORTED)?.0;
        let unit = f32::from(1_u16 << (bits - 8));
        let is_full = is_full.unwrap_or_else(|| matches!(picture.color_range(), YUVRange::Full));
        let most = f32::from((1_u32 << bits) as u16 - 1);
        let chroma_zero = 128.0 * unit;
        Ok(if is_full {
            Self { luma_zero: 0.0, luma_scale: 255.0 / most, chroma_zero, chroma_scale: 255.0 / most }
        } else {
            Self {
                luma_zero: 16.0 * unit,
                luma_scale: 255.0 / (219.0 * unit),
                chroma_zero,
                chroma_scale: 255.0 / (224.0 * unit),
            }
        })
    }

    fn luma(&self, sample: f32) -> f32 {
        (sample - self.luma_zero) * self.luma_scale
    }

    fn chroma(&self, sample: f32) -> f32 {
        (sample - self.chroma_zero) * self.chroma_scale
    }
}

/// The matrix from red, green and blue to components.
#[derive(Clone, Copy)]
enum Matrix {
    /// Green, blue, red as they are.
    Identity,
    YCgCo,
    /// The weights of red and blue in luma.
    Weights {
        red: f32,
        blue: f32,
    },
}

impl Matrix {
    fn of(picture: &Picture, nclx: Option<Nclx>) -> Result<Self, RenderError> {
        let number = nclx.map_or_else(|| coefficients(picture), |nclx| nclx.matrix);
        Ok(match number {
            0 if picture.pixel_layout() == PixelLayout::I444 => Self::Identity,
            1 => Self::Weights { red: 0.2126, blue: 0.0722 },
            4 => Self::Weights { red: 0.3, blue: 0.11 },
            // Unspecified is what JPEG would mean.
            2 | 5 | 6 => Self::Weights { red: 0.299, blue: 0.114 },
            7 => Self::Weights { red: 0.212, blue: 0.087 },
            8 => Self::YCgCo,
            9 => Self::Weights { red: 0.2627, blue: 0.0593 },
            // Derived from the primaries: those of BT.709, BT.2020 and P3.
            12 => match nclx.map(|nclx| nclx.primaries) {
                Some(1) => Self::Weights { red: 0.2126, blue: 0.0722 },
                Some(9) => Self::Weights { red: 0.2627, blue: 0.0593 },
                Some(12) => Self::Weights { red: 0.229, blue: 0.0793 },
                _ => return Err(UNSUPPORTED),
            },
            _ => return Err(UNSUPPORTED),
        })
    }

    /// In 255ths.
    fn rgb(self, range: &Range, first: f32, second: f32, third: f32) -> [f32; 3] {
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

/// The bitstream's number in ITU-T H.273.
fn coefficients(picture: &Picture) -> u16 {
    match picture.matrix_coefficients() {
        MatrixCoefficients::Identity => 0,
        MatrixCoefficients::BT709 => 1,
        MatrixCoefficients::Unspecified => 2,
        MatrixCoefficients::BT470M => 4,
        MatrixCoefficients::BT470BG | MatrixCoefficients::ST170M => 6,
        MatrixCoefficients::ST240M => 7,
        MatrixCoefficients::YCgCo => 8,
        MatrixCoefficients::BT2020NonConstantLuminance => 9,
        // No number that this reads.
        _ => u16::MAX,
    }
}
