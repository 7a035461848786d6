//! Bands of luma and colour differences → pixels of 8 bits, in the picture's size or at a fraction of its sides.
//!
//! Uses the matrix and range of the container, else of the bitstream. Subsampled colours are repeated and not
//! interpolated: so do libheif and what is built on it, and the edges that its encoder averaged get their colours back.
//! At a fraction of the sides, samples are averaged
//! before they become colours: that is a tenth of the work, and differs only where colours are clipped.

use heifer_hevc_dec::recon::Frame;

use super::super::UNSUPPORTED;
use super::super::ycbcr::{Matrix, SampleRange, byte, unmultiply};
use super::bands::FinalRows;
use crate::image::container::avif::Nclx;
use crate::image::error::RenderError;
use crate::image::light::{self, Light};
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

/// The place of a picture's corner on the canvas, in pixels before reduction: the corner of a tile, or of a picture of
/// which a part is shown.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) left: i64,
    pub(super) top: i64,
}

pub(super) struct HeicCanvas {
    size: Size,
    kind: PixelKind,
    /// Pixels of the picture along each side of a pixel here.
    factor: u32,
    /// The values of luma whose means its pixels are.
    light: Light,
    data: Vec<u8>,
}

impl HeicCanvas {
    /// Allocates the canvas of a picture of this size; the caller has checked it.
    pub(super) fn new(picture: Size, kind: PixelKind, factor: u32, light: Light) -> Self {
        let size = Size { width: picture.width.div_ceil(factor), height: picture.height.div_ceil(factor) };
        Self { size, kind, factor, light, data: vec![0; size.area() as usize * kind.channels()] }
    }

    pub(super) fn into_pixels(self) -> Option<Pixels> {
        Pixels::new(self.size, self.kind, self.data)
    }

    /// Draws the colours of a band, clipped to the canvas.
    pub(super) fn draw_color(
        &mut self,
        band: &FinalRows<'_>,
        nclx: Option<Nclx>,
        place: Place,
    ) -> Result<(), RenderError> {
        let frame = band.frame;
        let is_gray = matches!(self.kind, PixelKind::Gray | PixelKind::GrayAlpha);
        if is_gray != (frame.heights[1] == 0) || frame.bit_depth[0] != frame.bit_depth[1] && !is_gray {
            return Err(UNSUPPORTED);
        }
        let is_full = nclx.map_or(frame.full_range, |nclx| nclx.is_full_range);
        let range = SampleRange::new(frame.bit_depth[0], is_full);
        if is_gray {
            let light = self.luma_light(&range, frame.bit_depth[0]);
            self.draw_channel(band, 0, (&range, light.as_ref()), place);
            return Ok(());
        }
        let number = nclx.map_or_else(|| u16::from(frame.matrix_coeffs), |nclx| nclx.matrix);
        let is_whole = (frame.widths[1], frame.heights[1]) == (frame.widths[0], frame.heights[0]);
        let matrix = Matrix::new(number, nclx.map(|nclx| nclx.primaries), is_whole)?;
        let planes = [0, 1, 2].map(|plane| BandPlane::of(band, plane));
        let light = match matrix {
            Matrix::Identity => None,
            Matrix::YCgCo | Matrix::Weights { .. } => self.luma_light(&range, frame.bit_depth[0]),
        };
        let lights = [light.as_ref(), None, None];
        let mut rows = [(); 3].map(|()| vec![0.0; band.rows.width.div_ceil(self.factor) as usize]);
        let channels = self.kind.channels();
        for row in 0..band.rows.height.div_ceil(self.factor) {
            for ((plane, light), out) in planes.iter().zip(lights).zip(&mut rows) {
                plane.read(row, self.factor, light, out);
            }
            let [first, second, third] = &rows;
            let (skipped, pixels) = self.row(band, place, row);
            let samples = first.iter().zip(second).zip(third).skip(skipped);
            for (pixel, ((first, second), third)) in pixels.chunks_exact_mut(channels).zip(samples) {
                pixel[..3].copy_from_slice(&matrix.rgb(&range, *first, *second, *third).map(byte));
            }
        }
        Ok(())
    }

    /// Draws the luma of a band as alpha. Its range is full, whatever the bitstream says: so decoders take it.
    pub(super) fn draw_alpha(&mut self, band: &FinalRows<'_>, place: Place) {
        let range = SampleRange::new(band.frame.bit_depth[0], true);
        self.draw_channel(band, self.kind.channels() - 1, (&range, None), place);
    }

    /// `None` where no means are taken, or those of stored values.
    fn luma_light(&self, range: &SampleRange, bits: u8) -> Option<LumaLight> {
        (self.factor > 1 && self.light == Light::Linear).then(|| LumaLight::new(range, bits))
    }

    fn draw_channel(
        &mut self,
        band: &FinalRows<'_>,
        channel: usize,
        (range, light): (&SampleRange, Option<&LumaLight>),
        place: Place,
    ) {
        let plane = BandPlane::of(band, 0);
        let mut samples = vec![0.0; band.rows.width.div_ceil(self.factor) as usize];
        let channels = self.kind.channels();
        for row in 0..band.rows.height.div_ceil(self.factor) {
            plane.read(row, self.factor, light, &mut samples);
            let (skipped, pixels) = self.row(band, place, row);
            for (pixel, sample) in pixels.chunks_exact_mut(channels).zip(samples.iter().skip(skipped)) {
                pixel[channel] = byte(range.luma(*sample));
            }
        }
    }

    /// Divides colours by alpha (premultiplied → straight).
    pub(super) fn unmultiply(&mut self) {
        unmultiply(&mut self.data, self.kind.channels());
    }

    /// The pixels of the canvas for this row of a band, empty outside the canvas, and the number of the row's first pixels
    /// that lie to the left of the canvas. A reduced picture lies at a multiple of the factor.
    fn row(&mut self, band: &FinalRows<'_>, place: Place, row: u32) -> (usize, &mut [u8]) {
        let factor = i64::from(self.factor);
        let (left, y) = (place.left / factor, (place.top + i64::from(band.top)) / factor + i64::from(row));
        let (skipped, left) = (usize::try_from(-left).unwrap_or(0), usize::try_from(left).unwrap_or(0));
        let stride = self.size.width as usize * self.kind.channels();
        let start = usize::try_from(y).ok().filter(|y| *y < self.size.height as usize).map(|y| y * stride);
        let row = start.and_then(|start| self.data.get_mut(start..start + stride)).unwrap_or_default();
        (skipped, row.get_mut(left * self.kind.channels()..).unwrap_or_default())
    }
}

/// Between samples of luma and linear light, in 65,535ths of white.
struct LumaLight {
    linear: Vec<u16>,
    /// The sample of each stored value.
    samples: [f32; 256],
}

impl LumaLight {
    fn new(range: &SampleRange, bits: u8) -> Self {
        let linear = |sample: u32| {
            let stored = f64::from(range.luma(sample as f32)) / 255.0;
            (light::of_encoded(stored.clamp(0.0, 1.0)) * 65_535.0).round() as u16
        };
        Self {
            linear: (0..1 << bits.clamp(8, 16)).map(linear).collect(),
            samples: std::array::from_fn(|stored| range.sample(stored as f32)),
        }
    }

    fn linear(&self, sample: u16) -> u32 {
        u32::from(self.linear.get(usize::from(sample)).copied().unwrap_or(u16::MAX))
    }

    fn sample(&self, linear: f32) -> f32 {
        self.samples[usize::from(light::curve().encoded((linear + 0.5) as u16))]
    }
}

/// The samples of one component in a band.
struct BandPlane<'a> {
    samples: &'a [u16],
    stride: usize,
    /// Samples of luma along each side of a sample here: 1 or 2.
    across: u32,
    down: u32,
    /// The columns of the picture.
    columns: std::ops::Range<u32>,
    /// The first row, and the one after the last.
    first: u32,
    end: u32,
}

impl<'a> BandPlane<'a> {
    fn of(band: &FinalRows<'a>, plane: usize) -> Self {
        let Frame { widths, heights, planes, .. } = band.frame;
        let (across, down) =
            if plane == 0 { (1, 1) } else { (widths[0] / widths[plane], heights[0] / heights[plane]) };
        let (left, right) = (band.rows.x / across, (band.rows.x + band.rows.width).div_ceil(across));
        Self {
            samples: &planes[plane],
            stride: widths[plane] as usize,
            across,
            down,
            columns: left..right.min(widths[plane]),
            first: band.rows.y / down,
            end: (band.rows.y + band.rows.height).div_ceil(down).min(heights[plane]),
        }
    }

    fn samples(&self, row: u32) -> &'a [u16] {
        let start = row as usize * self.stride;
        &self.samples[start + self.columns.start as usize..start + self.columns.end as usize]
    }

    /// Reads a row of the reduced band, as many samples as `out` has.
    fn read(&self, row: u32, factor: u32, light: Option<&LumaLight>, out: &mut [f32]) {
        match light {
            _ if factor == 1 => self.read_whole(row, out),
            None => self.read_means(row, factor, u32::from, out),
            Some(light) => {
                self.read_means(row, factor, |sample| light.linear(sample), out);
                out.iter_mut().for_each(|mean| *mean = light.sample(*mean));
            }
        }
    }

    /// The means of blocks, of these values of samples.
    fn read_means(&self, row: u32, factor: u32, value: impl Fn(u16) -> u32, out: &mut [f32]) {
        let (columns, rows) = ((factor / self.across) as usize, factor / self.down);
        let first = self.first + row * rows;
        let end = self.end.min(first + rows);
        out.fill(0.0);
        for row in first..end {
            let blocks = self.samples(row).chunks(columns);
            for (sum, block) in out.iter_mut().zip(blocks) {
                *sum += block.iter().map(|sample| value(*sample)).sum::<u32>() as f32;
            }
        }
        let samples = self.columns.len();
        for (at, sum) in out.iter_mut().enumerate() {
            let wide = columns.min(samples.saturating_sub(at * columns)).max(1);
            *sum /= (wide as u32 * end.saturating_sub(first).max(1)) as f32;
        }
    }

    /// The samples, repeated where the component is subsampled.
    fn read_whole(&self, row: u32, out: &mut [f32]) {
        let samples = self.samples(self.first + row / self.down);
        for (out, sample) in out.chunks_mut(self.across as usize).zip(samples) {
            out.fill(f32::from(*sample));
        }
    }
}
