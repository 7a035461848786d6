//! Planes of luma and colour differences → pixels of 8 bits on a canvas.
//!
//! Uses the matrix and range of the container, else of the bitstream. Subsampled colour is interpolated: three parts of
//! the nearer sample and one of the farther. That is exact for samples that lie between the luma samples, and hardly
//! visible for others.

use re_rav1d::dav1d::pixel::{MatrixCoefficients, YUVRange};
use re_rav1d::dav1d::{Picture, PixelLayout, PlanarImageComponent};

use super::super::UNSUPPORTED;
use super::super::ycbcr::{Matrix, SampleRange, byte, unmultiply};
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
    /// Allocates the canvas; the caller has checked the size.
    pub(super) fn new(size: Size, kind: PixelKind) -> Self {
        Self { size, kind, data: vec![0; size.area() as usize * kind.channels()] }
    }

    pub(super) fn into_pixels(self) -> Option<Pixels> {
        Pixels::new(self.size, self.kind, self.data)
    }

    /// Draws the colours of a picture, clipped at the right and lower edge.
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
        let range = range(picture, nclx.map(|nclx| nclx.is_full_range))?;
        let luma = Av1Plane::of(picture, PlanarImageComponent::Y);
        if is_gray {
            return self.draw_channel(0, &luma, &range, left, top);
        }
        let matrix = matrix(picture, nclx)?;
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

    /// Draws the luma of a picture as alpha.
    pub(super) fn draw_alpha(&mut self, picture: &Picture, left: u32, top: u32) -> Result<(), RenderError> {
        let luma = Av1Plane::of(picture, PlanarImageComponent::Y);
        self.draw_channel(self.kind.channels() - 1, &luma, &range(picture, None)?, left, top)
    }

    fn draw_channel(
        &mut self,
        channel: usize,
        plane: &Av1Plane,
        range: &SampleRange,
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

    /// Divides colours by alpha (premultiplied → straight).
    pub(super) fn unmultiply(&mut self) {
        unmultiply(&mut self.data, self.kind.channels());
    }

    /// A row of the canvas from `left` on; empty outside the canvas.
    fn row(&mut self, left: u32, y: u32) -> &mut [u8] {
        if left >= self.size.width || y >= self.size.height {
            return &mut [];
        }
        let stride = self.size.width as usize * self.kind.channels();
        let row = &mut self.data[y as usize * stride..][..stride];
        &mut row[left as usize * self.kind.channels()..]
    }
}

/// Samples of one component, of 8 or 16 bits each.
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

    /// Reads a row of this plane, as many samples as `row` has.
    fn read_row(&self, y: u32, row: &mut [f32]) {
        let bytes = &self.samples[y as usize * self.stride..];
        if self.is_wide {
            let samples = bytes.chunks_exact(2).map(|pair| f32::from(u16::from_ne_bytes([pair[0], pair[1]])));
            row.iter_mut().zip(samples).for_each(|(place, sample)| *place = sample);
        } else {
            row.iter_mut().zip(bytes).for_each(|(place, sample)| *place = f32::from(*sample));
        }
    }

    /// Reads a row of this plane, enlarged to the size of luma.
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

/// For half as many samples: the sample nearest to the place `at` of the full number, and the next one beyond it.
fn neighbours(at: u32, count: u32) -> (u32, u32) {
    let near = (at / 2).min(count - 1);
    let far = if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(count - 1) };
    (near, far)
}

/// The range that the container names, else the bitstream's.
fn range(picture: &Picture, is_full: Option<bool>) -> Result<SampleRange, RenderError> {
    let bits = picture.bits_per_component().ok_or(UNSUPPORTED)?.0;
    let is_full = is_full.unwrap_or_else(|| matches!(picture.color_range(), YUVRange::Full));
    Ok(SampleRange::new(bits as u8, is_full))
}

/// The matrix that the container names, else the bitstream's.
fn matrix(picture: &Picture, nclx: Option<Nclx>) -> Result<Matrix, RenderError> {
    let number = nclx.map_or_else(|| coefficients(picture), |nclx| nclx.matrix);
    Matrix::new(number, nclx.map(|nclx| nclx.primaries), picture.pixel_layout() == PixelLayout::I444)
}

/// The bitstream's matrix coefficients, by ITU-T H.273.
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
        // A number that this module does not know.
        _ => u16::MAX,
    }
}
