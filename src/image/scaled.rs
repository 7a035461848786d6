//! A window of a JPEG at its target size, without the whole picture ever being there.
//!
//! Each component is decoded at the smallest scale that the target can spare, resized once as a plane of its own, and
//! only then do the planes become pixels. Sizes of source and target alone choose the scales, so that equal
//! recipes give equal bytes. Which files are taken is [`super::jpeg`]'s to say; no colours are managed here.
//!
//! A window may lie anywhere between samples. JFIF puts a colour sample at the middle of the pixels that it stands for,
//! and the decoder keeps middles where they are, so a window in a plane is the picture's times the plane's samples to
//! a pixel. What a crop cuts away is gone before the resize but for the samples that the cut goes through.

use super::error::{Fault, RenderError, proceed};
use super::geometry::{Rect, Size};
use super::header::{Header, Limits};
use super::jpeg::{Colors, Jpeg, Plane, Scale};
use super::pixels::{Kind, Pixels};
use super::resize;
use crate::object::Format;

/// A job whose sizes are settled.
#[derive(Clone, Debug)]
pub(super) struct Scaled<'a> {
    jpeg: Jpeg<'a>,
    /// What is kept of the stored picture.
    cut: Rect<u32>,
    /// From the cut's corner.
    window: Rect<f64>,
    to: Size,
    scales: [Scale; 3],
}

/// Samples of luma, and of all components of pictures stored in red, green and blue, that a pixel of the target is made
/// of at least, along each side. Less would show: a plane decoded at a scale is a little softer than the resize.
const SAMPLES_PER_PIXEL: f64 = 2.0;

impl<'a> Scaled<'a> {
    /// `None` if the source is not for this way or has another size than the header says, or nothing is resized.
    pub(super) fn of(
        source: &'a [u8],
        header: &Header,
        cut: Rect<u32>,
        window: Rect<f64>,
        to: Size,
        format: Format,
    ) -> Option<Self> {
        // Pixels at their own size need colour samples enlarged and nothing made small: a 12-megapixel picture takes a
        // quarter less time when the whole of it is decoded to pixels at once.
        if header.format != Format::Jpeg || resize::is_exact(window, to) {
            return None;
        }
        let jpeg = Jpeg::read(source).filter(|jpeg| jpeg.size() == header.stored())?;
        let scale = |component: usize| {
            let (across, down) = jpeg.sampling(component).unwrap_or((1.0, 1.0));
            let is_chroma = component > 0 && jpeg.colors() == Colors::YCbCr;
            let (per_pixel, need) =
                if is_chroma { (1.0, chroma_need(to, format)) } else { (SAMPLES_PER_PIXEL, to) };
            let spares = |scale: &Scale| {
                let part = f64::from(scale.block_side()) / 8.0;
                window.width * across * part >= per_pixel * f64::from(need.width)
                    && window.height * down * part >= per_pixel * f64::from(need.height)
            };
            [Scale::Eighth, Scale::Quarter, Scale::Half].into_iter().find(spares).unwrap_or(Scale::Whole)
        };
        let scales = [scale(0), scale(1), scale(2)];
        Some(Self { jpeg, cut, window, to, scales })
    }

    /// All of a picture at its own size.
    pub(super) fn whole(jpeg: Jpeg<'a>) -> Self {
        let size = jpeg.size();
        let cut = Rect { x: 0, y: 0, width: size.width, height: size.height };
        Self { jpeg, cut, window: Rect::whole(size), to: size, scales: [Scale::Whole; 3] }
    }

    /// The window, as stored: gray or RGB.
    ///
    /// # Errors
    ///
    /// Those of [`Jpeg::decode`]; [`RenderError::BadWindow`] if the window is not in the cut or the cut not in the
    /// picture.
    pub(super) fn pixels(
        &self,
        limits: &Limits,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Pixels, RenderError> {
        let mut planes = Vec::with_capacity(3);
        for plane in self.jpeg.decode(self.scales, limits, keep_going)? {
            proceed(keep_going)?;
            planes.push(self.resized(plane).ok_or(RenderError::BadWindow)??);
        }
        proceed(keep_going)?;
        match (<[Pixels; 3]>::try_from(planes), self.jpeg.colors()) {
            (Ok(planes), Colors::YCbCr) => joined(planes, rgb),
            (Ok(planes), _) => joined(planes, |first, second, third| [first, second, third]),
            (Err(mut planes), _) => planes.pop(),
        }
        .ok_or(RenderError::Undecodable(Fault::Corrupt))
    }

    /// Bytes alive at the peak of [`Scaled::pixels`], its result included: an upper bound.
    pub(super) fn peak_bytes(&self) -> u64 {
        let components = self.jpeg.components();
        let planes = self.jpeg.planes_bytes(self.scales);
        let results = self.to.area().saturating_mul(components as u64);
        // A plane is cut into a smaller buffer, and the resize has one between its passes.
        let largest =
            (0..components).map(|component| self.jpeg.plane_size(component, self.scales[component]));
        let works = largest.map(|size| resize::filter_peak_bytes(size, Kind::Gray, self.to));
        let work = works.fold(0, u64::max);
        let decode = self.jpeg.peak_bytes(self.scales);
        decode.max(planes.saturating_add(work).saturating_add(results)).max(results.saturating_mul(2))
    }

    /// `None` if the cut is not in the picture.
    fn resized(&self, plane: Plane) -> Option<Result<Pixels, RenderError>> {
        let (size, across, down) = (plane.size(), plane.across(), plane.down());
        let (left, right) = samples(self.cut.x, self.cut.width, across, size.width);
        let (top, bottom) = samples(self.cut.y, self.cut.height, down, size.height);
        let part =
            Rect { x: left, y: top, width: right.checked_sub(left)?, height: bottom.checked_sub(top)? };
        let window = Rect {
            x: (f64::from(self.cut.x) + self.window.x) * across - f64::from(left),
            y: (f64::from(self.cut.y) + self.window.y) * down - f64::from(top),
            width: self.window.width * across,
            height: self.window.height * down,
        };
        let pixels = Pixels::new(size, Kind::Gray, plane.into_samples())?.cropped(part)?;
        Some(resize::resize(pixels, window, self.to))
    }
}

/// The colour samples that the target shows: files of these formats have one for two pixels along each side.
const fn chroma_need(to: Size, format: Format) -> Size {
    match format {
        Format::Jpeg | Format::Webp => Size { width: to.width.div_ceil(2), height: to.height.div_ceil(2) },
        _ => to,
    }
}

/// The samples of a plane that a stretch of pixels touches: the first, and the one after the last.
fn samples(start: u32, length: u32, samples_per_pixel: f64, side: u32) -> (u32, u32) {
    let first = (f64::from(start) * samples_per_pixel).floor();
    let end = ((f64::from(start) + f64::from(length)) * samples_per_pixel).ceil();
    (first as u32, (end as u32).min(side))
}

/// One RGB picture of three planes of equal size.
fn joined([first, second, third]: [Pixels; 3], color: impl Fn(u8, u8, u8) -> [u8; 3]) -> Option<Pixels> {
    let size = first.size();
    let mut data = vec![0; first.data().len() * 3];
    let samples = first.data().iter().zip(second.data()).zip(third.data());
    for (pixel, ((&first, &second), &third)) in data.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
        *pixel = color(first, second, third);
    }
    Pixels::new(size, Kind::Rgb, data)
}

/// JFIF's YCbCr (BT.601, full range) → RGB, in 65536ths.
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let (luma, blue, red) = (i32::from(luma) << 16, i32::from(blue) - 128, i32::from(red) - 128);
    let channel = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [
        channel(luma + 91_881 * red),
        channel(luma - 22_554 * blue - 46_802 * red),
        channel(luma + 116_130 * blue),
    ]
}

#[cfg(test)]
mod tests;
