//! The samples of one row of units, prepared for the transform: colours in Y, Cb and Cr, with repeated edges.
//!
//! A unit (the standard's MCU) of a gray picture is one block. In a coloured one it is four blocks of luma and one
//! block of each chroma, which has half its sides. Rows come one after another, so samples need the memory of one
//! strip, however large the picture is.

use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

/// Pixels in a form that can be encoded.
#[derive(Clone, Copy)]
pub(super) enum JpegPicture<'a> {
    /// One component.
    Gray(&'a Pixels),
    /// Three components in JFIF's YCbCr (BT.601, full range) as in the file: chroma at half luma's sides.
    Color(&'a [Pixels; 3]),
    /// Red, green and blue, which the strip converts.
    Rgb(&'a Pixels),
}

impl<'a> JpegPicture<'a> {
    /// `None` for pixels with alpha.
    pub(super) fn of(pixels: &'a Pixels) -> Option<Self> {
        match pixels.kind() {
            PixelKind::Gray => Some(Self::Gray(pixels)),
            PixelKind::Rgb => Some(Self::Rgb(pixels)),
            PixelKind::GrayAlpha | PixelKind::Rgba => None,
        }
    }

    /// `None` unless all three are gray and both chroma planes have half the luma's sides, rounded up.
    pub(super) fn of_planes(planes: &'a [Pixels; 3]) -> Option<Self> {
        let [luma, blue, red] = planes;
        let half = luma.size().halved();
        let fits = planes.iter().all(|plane| plane.kind() == PixelKind::Gray)
            && blue.size() == half
            && red.size() == half;
        fits.then_some(Self::Color(planes))
    }

    pub(super) const fn size(&self) -> Size {
        match self {
            Self::Gray(pixels) | Self::Rgb(pixels) => pixels.size(),
            Self::Color(planes) => planes[0].size(),
        }
    }

    pub(super) const fn is_gray(&self) -> bool {
        matches!(self, Self::Gray(_))
    }

    /// Units across and down.
    pub(super) const fn units(&self) -> Size {
        let side = if self.is_gray() { 8 } else { 16 };
        let size = self.size();
        Size { width: size.width.div_ceil(side), height: size.height.div_ceil(side) }
    }
}

/// Row `y` of a picture; the last row for a `y` below it.
fn row(pixels: &Pixels, y: usize) -> &[u8] {
    let start = y.min(pixels.size().height as usize - 1) * pixels.stride();
    &pixels.data()[start..start + pixels.stride()]
}

/// The samples of one component in a strip.
pub(super) struct Band {
    /// Rows of whole blocks, one after another.
    pub(super) samples: Vec<u8>,
    /// Samples of a row: the component's width, rounded up to whole blocks.
    pub(super) stride: usize,
    width: usize,
}

impl Band {
    fn new(width: u32, rows: usize) -> Self {
        let stride = width.next_multiple_of(8) as usize;
        Self { samples: vec![0; stride * rows], stride, width: width as usize }
    }

    /// Row `y`, up to the picture's edge.
    fn row(&mut self, y: usize) -> &mut [u8] {
        &mut self.samples[y * self.stride..][..self.width]
    }

    fn copy(&mut self, plane: &Pixels, top: usize) {
        for y in 0..self.samples.len() / self.stride {
            self.row(y).copy_from_slice(row(plane, top + y));
        }
    }

    /// Fills the rest of each row with its last sample, which costs the fewest bits.
    fn repeat_edge(&mut self) {
        if self.width < self.stride {
            for row in self.samples.chunks_exact_mut(self.stride) {
                let last = row[self.width - 1];
                row[self.width..].fill(last);
            }
        }
    }
}

/// One row of units: gray, or Y, Cb and Cr.
pub(super) struct Strip {
    pub(super) bands: Vec<Band>,
}

impl Strip {
    pub(super) fn new(picture: &JpegPicture<'_>) -> Self {
        let width = picture.size().width;
        let half = width.div_ceil(2);
        let bands = if picture.is_gray() {
            vec![Band::new(width, 8)]
        } else {
            vec![Band::new(width, 16), Band::new(half, 8), Band::new(half, 8)]
        };
        Self { bands }
    }

    /// Loads row `number` of the picture's units. Rows below the picture repeat its last one.
    pub(super) fn fill(&mut self, picture: &JpegPicture<'_>, number: usize) {
        match picture {
            JpegPicture::Gray(plane) => self.bands[0].copy(plane, number * 8),
            JpegPicture::Color(planes) => {
                for ((band, plane), rows) in self.bands.iter_mut().zip(*planes).zip([16, 8, 8]) {
                    band.copy(plane, number * rows);
                }
            }
            JpegPicture::Rgb(pixels) => self.convert(pixels, number * 16),
        }
        self.bands.iter_mut().for_each(Band::repeat_edge);
    }

    fn convert(&mut self, pixels: &Pixels, top: usize) {
        let [luma, blue, red] = &mut self.bands[..] else { return };
        for y in 0..8 {
            let (upper, lower) = (row(pixels, top + 2 * y), row(pixels, top + 2 * y + 1));
            write_luma(upper, luma.row(2 * y));
            write_luma(lower, luma.row(2 * y + 1));
            write_chroma(upper, lower, blue.row(y), red.row(y));
        }
    }
}

/// BT.601 in 32768ths; the weights add up to 1, so that gray stays exactly gray.
fn write_luma(colors: &[u8], luma: &mut [u8]) {
    for (luma, color) in luma.iter_mut().zip(colors.as_chunks::<3>().0) {
        let [red, green, blue] = color.map(i32::from);
        *luma = ((9798 * red + 19235 * green + 3735 * blue + (1 << 14)) >> 15) as u8;
    }
}

/// One sample of each chroma for the mean of two by two pixels. A last column without a neighbour counts twice.
fn write_chroma(upper: &[u8], lower: &[u8], blues: &mut [u8], reds: &mut [u8]) {
    let pairs = upper.as_chunks::<6>().0.iter().zip(lower.as_chunks::<6>().0);
    for ((upper, lower), (blue, red)) in pairs.zip(blues.iter_mut().zip(reds.iter_mut())) {
        (*blue, *red) = chroma(std::array::from_fn(|channel| {
            [upper[channel], upper[channel + 3], lower[channel], lower[channel + 3]]
                .map(i32::from)
                .iter()
                .sum()
        }));
    }
    let even = upper.len().is_multiple_of(6);
    if let (false, Some(blue), Some(red)) = (even, blues.last_mut(), reds.last_mut()) {
        let last = upper.len() - 3;
        (*blue, *red) = chroma(std::array::from_fn(|channel| {
            2 * (i32::from(upper[last + channel]) + i32::from(lower[last + channel]))
        }));
    }
}

/// Cb and Cr of the sums of four pixels. Halves round down: rounded up, the purest blue and red would be 256.
fn chroma([red, green, blue]: [i32; 3]) -> (u8, u8) {
    let sample = |sum: i32| ((sum + (128 << 17) + (1 << 16) - 1) >> 17) as u8;
    (sample(16384 * blue - 5529 * red - 10855 * green), sample(16384 * red - 13720 * green - 2664 * blue))
}
