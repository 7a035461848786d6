//! Shrink-on-load: a window of a JPEG at its target size, without decoding the whole picture to pixels.
//!
//! Each component is decoded at the smallest scale that has enough samples for the target, [sharpened](sharpness), and
//! resized once as a separate plane. Brightness may be scaled in linear light, by a decoder that knows what the
//! coefficients which it skips do to the light of a block; colour differences never are. Only then do the planes become
//! pixels; for a JPEG output they never do. Only the sizes of
//! source and target choose the scales. So equal recipes give equal bytes, whether the planes were decoded for them or
//! kept from an earlier job. [`super::jpeg`] decides which files are supported; colours are not managed here.
//!
//! A window may lie anywhere between samples. JFIF places a colour sample at the middle of its pixels, and the decoder
//! preserves middles. So a window in a plane is the picture's window times the plane's samples per pixel. Pixels
//! outside the cut are removed before the resize, except for the samples that the cut divides.

mod edge;
mod join;
mod overview;
mod sharpness;

use super::color::cmyk::{self, CmykEncoding};
use super::color::ycc;
use super::decoded_planes;
use super::error::{DecodeFault, RenderError, proceed};
use super::header::{Header, Limits};
use super::jpeg::{ComponentPlane, Jpeg, JpegColors, Scale, Scales};
use super::light::Light;
use super::pixels::{PixelKind, Pixels};
use super::resize;
use super::shape::{Rect, Size};
use crate::object::Format;

/// A job with fixed sizes.
#[derive(Clone, Debug)]
pub(super) struct ShrinkOnLoad<'a> {
    jpeg: Jpeg<'a>,
    /// The part of the stored picture that is kept.
    cut: Rect<u32>,
    aim: Aim,
    scales: Scales,
}

/// The window that is shown, and its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    /// From the cut's corner, in stored coordinates. For colours at half the sides it may reach beyond the cut.
    pub(super) window: Rect<f64>,
    /// The size to which the window is resized.
    pub(super) to: Size,
}

impl<'a> ShrinkOnLoad<'a> {
    /// `None` if the source is not supported or has another size than the header says, or if nothing is resized.
    pub(super) fn of(
        source: &'a [u8],
        header: &Header,
        cut: Rect<u32>,
        aim: Aim,
        format: Format,
        light: Light,
    ) -> Option<Self> {
        let Aim { window, to } = aim;
        // At their own size, pixels need enlarged colour samples and no reduction: for 12 megapixels it is a quarter
        // faster to decode the whole picture to pixels at once.
        if header.format != Format::Jpeg || resize::is_exact(window, to) {
            return None;
        }
        let light = resize::of_size(light, window, to);
        let jpeg = Jpeg::read(source).filter(|jpeg| jpeg.size() == header.stored())?.with_light(light);
        let scale = |component: usize| {
            let (across, down) = jpeg.sampling(component).unwrap_or((1.0, 1.0));
            let is_chroma = component > 0 && jpeg.colors() == JpegColors::YCbCr;
            let need = if is_chroma { chroma_need(to, format) } else { to };
            let spares = |scale: &Scale| {
                let part = f64::from(scale.block_side()) / 8.0;
                let surplus = if is_chroma { 1.0 } else { surplus(*scale, jpeg.is_progressive()) };
                window.width * across * part >= f64::from(need.width) * surplus
                    && window.height * down * part >= f64::from(need.height) * surplus
            };
            [Scale::Eighth, Scale::Quarter, Scale::Half].into_iter().find(spares).unwrap_or(Scale::Whole)
        };
        let scales = [0, 1, 2, 3].map(scale);
        Some(Self { jpeg, cut, aim, scales })
    }

    /// The whole picture at its own size.
    pub(super) fn whole(jpeg: Jpeg<'a>) -> Self {
        let size = jpeg.size();
        let cut = Rect { x: 0, y: 0, width: size.width, height: size.height };
        let aim = Aim { window: Rect::whole(size), to: size };
        Self { jpeg, cut, aim, scales: [Scale::Whole; 4] }
    }

    /// The same planes with another window. If they have fewer samples than it needs, the picture is soft.
    pub(super) fn with_aim(mut self, aim: Aim) -> Self {
        self.aim = aim;
        self
    }

    /// Whether the planes are luma and colour differences.
    pub(super) fn is_ycbcr(&self) -> bool {
        self.jpeg.colors() == JpegColors::YCbCr
    }

    /// The scale of each component.
    pub(super) fn scales(&self) -> &[Scale] {
        &self.scales[..self.jpeg.components()]
    }

    /// The name of the planes among those that are kept of an image.
    pub(super) fn planes_name(&self) -> String {
        format!("{:?} {:?}", self.scales(), self.jpeg.light())
    }

    /// Whether the planes are worth keeping for other sizes. At its own size a picture is decoded rarely, and is large.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.scales().iter().all(|scale| *scale < Scale::Whole)
            && self.planes_bytes() <= decoded_planes::BYTES_MAX
    }

    /// Decodes the components of the whole picture.
    ///
    /// # Errors
    ///
    /// Those of [`Jpeg::decode`].
    pub(super) fn decode(
        &self,
        limits: &Limits,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Vec<ComponentPlane>, RenderError> {
        self.jpeg.decode(self.scales, limits, keep_going)
    }

    /// Bytes of [`ShrinkOnLoad::decode`]'s planes in the cache.
    pub(super) fn planes_bytes(&self) -> u64 {
        self.jpeg.samples(self.scales)
    }

    /// Samples of the largest plane.
    pub(super) fn largest_plane(&self) -> u64 {
        let sizes = (0..self.jpeg.components()).map(|at| self.jpeg.plane_size(at, self.scales[at]).area());
        sizes.fold(0, u64::max)
    }

    /// The planes from these kept samples; `None` if their number is wrong for this file and these scales.
    pub(super) fn reuse_planes(&self, samples: Vec<u8>) -> Option<Vec<ComponentPlane>> {
        self.jpeg.split_planes(self.scales, samples)
    }

    /// The window in stored orientation, as gray or RGB.
    ///
    /// # Errors
    ///
    /// [`RenderError::BadWindow`] if the window is not in the cut, or the cut not in the picture.
    pub(super) fn pixels(
        &self,
        planes: Vec<ComponentPlane>,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Pixels, RenderError> {
        let planes = self.resized(planes, [self.aim; 4], keep_going)?;
        proceed(keep_going)?;
        self.joined(planes).ok_or(RenderError::Undecodable(DecodeFault::Corrupt))
    }

    /// The pixels of planes of one size, as gray or RGB; `None` if there are not as many as the file has.
    fn joined(&self, mut planes: Vec<Pixels>) -> Option<Pixels> {
        match self.jpeg.colors() {
            JpegColors::Gray => planes.pop(),
            JpegColors::YCbCr => planes.try_into().ok().and_then(|planes| join::join(planes, ycc::rgb)),
            JpegColors::Rgb => planes
                .try_into()
                .ok()
                .and_then(|planes| join::join(planes, |first, second, third| [first, second, third])),
            JpegColors::Cmyk => self.inks(planes, CmykEncoding::Inverted),
            JpegColors::Ycck => self.inks(planes, CmykEncoding::InvertedYcc),
        }
    }

    /// An sRGB picture of four planes of inks.
    fn inks(&self, planes: Vec<Pixels>, stored: CmykEncoding) -> Option<Pixels> {
        let size = planes.first()?.size();
        let mut data = join::interleaved(planes.try_into().ok()?)?;
        cmyk::to_srgb(self.jpeg.source(), stored, &mut data);
        Pixels::new(size, PixelKind::Rgb, data)
    }

    /// The window in stored orientation, as luma and two planes of colour differences, whose window is `chroma`.
    ///
    /// # Errors
    ///
    /// [`RenderError::BadWindow`] as [`ShrinkOnLoad::pixels`], and unless [`ShrinkOnLoad::is_ycbcr`].
    pub(super) fn planes(
        &self,
        planes: Vec<ComponentPlane>,
        chroma: Aim,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<[Pixels; 3], RenderError> {
        let planes = self.resized(planes, [self.aim, chroma, chroma, chroma], keep_going)?;
        planes.try_into().map_err(|_| RenderError::BadWindow)
    }

    /// Peak memory of a job in bytes, its result included: an upper bound.
    pub(super) fn peak_bytes(&self) -> u64 {
        let components = self.jpeg.components();
        let kept = if self.is_worth_keeping() { self.planes_bytes() } else { 0 };
        let planes = self.jpeg.planes_bytes(self.scales).saturating_add(kept);
        let results = self.aim.to.area().saturating_mul(components as u64);
        // A plane is cut into a smaller buffer, and the resize has one between its passes.
        let largest =
            (0..components).map(|component| self.jpeg.plane_size(component, self.scales[component]));
        let light = self.jpeg.light();
        let works = largest.map(|size| {
            let window = Rect::whole(size);
            resize::peak_bytes(light, size, PixelKind::Gray, window, self.aim.to)
                .max(resize::filter_peak_bytes(size, PixelKind::Gray, self.aim.to))
        });
        let work = works.fold(0, u64::max);
        let decode = self.jpeg.peak_bytes(self.scales);
        decode.max(planes.saturating_add(work).saturating_add(results)).max(results.saturating_mul(2))
    }

    fn resized(
        &self,
        planes: Vec<ComponentPlane>,
        aims: [Aim; 4],
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Vec<Pixels>, RenderError> {
        let each = planes.into_iter().zip(self.scales).zip(aims).enumerate();
        let resized = |(component, ((plane, scale), aim))| {
            proceed(keep_going)?;
            let light = if self.jpeg.is_lit(component) { Light::Linear } else { Light::Encoded };
            self.plane_resized(plane, scale, aim, light).ok_or(RenderError::BadWindow)?
        };
        each.map(resized).collect()
    }

    /// `None` if the cut is not in the picture.
    fn plane_resized(
        &self,
        plane: ComponentPlane,
        scale: Scale,
        aim: Aim,
        light: Light,
    ) -> Option<Result<Pixels, RenderError>> {
        let (size, across, down) = (plane.size(), plane.across(), plane.down());
        let (left, right) = touched(self.cut.x, self.cut.width, across, size.width);
        let (top, bottom) = touched(self.cut.y, self.cut.height, down, size.height);
        let part =
            Rect { x: left, y: top, width: right.checked_sub(left)?, height: bottom.checked_sub(top)? };
        let window = Rect {
            x: (f64::from(self.cut.x) + aim.window.x) * across - f64::from(left),
            y: (f64::from(self.cut.y) + aim.window.y) * down - f64::from(top),
            width: aim.window.width * across,
            height: aim.window.height * down,
        };
        let mut pixels = Pixels::new(size, PixelKind::Gray, plane.into_samples())?.cropped(part)?;
        sharpness::compensate(&mut pixels, scale);
        let (pixels, window) = edge::extend(pixels, window)?;
        Some(resize::resize_in(light, pixels, window, aim.to))
    }
}

/// Least samples for each pixel of the target, along a side. With just as many, the filter has none to choose from, and
/// what the decoder left out shows: up to 4 points of SSIMULACRA2. A progressive file costs eight times as much at a
/// quarter as at an eighth, so there it is less.
const fn surplus(scale: Scale, is_progressive: bool) -> f64 {
    match scale {
        Scale::Eighth if is_progressive => 1.2,
        Scale::Eighth | Scale::Quarter => 1.4,
        Scale::Half => 1.3,
        Scale::Whole => 1.0,
    }
}

/// The colour samples that the target shows: files of these formats have one for two pixels along each side.
const fn chroma_need(to: Size, format: Format) -> Size {
    match format {
        Format::Jpeg | Format::Webp => to.halved(),
        _ => to,
    }
}

/// The samples of a plane that a range of pixels touches: the first, and the one after the last.
fn touched(start: u32, length: u32, samples_per_pixel: f64, side: u32) -> (u32, u32) {
    let first = (f64::from(start) * samples_per_pixel).floor();
    let end = ((f64::from(start) + f64::from(length)) * samples_per_pixel).ceil();
    (first as u32, (end as u32).min(side))
}

#[cfg(test)]
mod tests;
