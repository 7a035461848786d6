//! One resize of a window with fractional coordinates, as stored. The only file that names the resizing library.
//!
//! The filter is Lanczos's with three lobes, over stored values or linear light. Colours are weighted by their alpha, so
//! that the colours of transparent pixels never bleed into an edge. A window of whole pixels at its own size is cut out
//! exactly and never filtered. [`Rows`] does the same for a picture that is never in memory as a whole.

mod rows;
mod sample;

use std::marker::PhantomData;

use fast_image_resize::images::TypedImage;
use fast_image_resize::{FilterType, MulDiv, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use sample::Sample;

use super::error::RenderError;
use super::light::Light;
use super::pixels::{PixelKind, Pixels};
use super::shape::{Rect, Size};
pub use rows::Rows;

/// Scales the part of `pixels` in `window` to `to`, by means of these values. Enlargements always are of stored values:
/// in linear light the filter would draw dark rings around bright edges. Consumes `pixels`, because it multiplies
/// colours by alpha in place.
///
/// # Errors
///
/// [`RenderError::BadWindow`] if the window is empty or leaves the picture, or `to` has a zero side.
pub fn resize_in(light: Light, pixels: Pixels, window: Rect<f64>, to: Size) -> Result<Pixels, RenderError> {
    if of_size(light, window, to) == Light::Encoded {
        return resize(pixels, window, to);
    }
    let mut rows = Rows::new(light, pixels.size(), pixels.kind(), window, to)?;
    let stride = pixels.stride();
    for row in rows.needed_rows() {
        rows.push(&pixels.data()[row as usize * stride..][..stride])?;
    }
    drop(pixels);
    rows.finish()
}

/// The values for a result of this size: stored ones unless it has fewer rows than the window, and no more columns.
pub fn of_size(light: Light, window: Rect<f64>, to: Size) -> Light {
    let is_reduction = window.width >= f64::from(to.width) && window.height > f64::from(to.height);
    if is_reduction { light } else { Light::Encoded }
}

/// As [`resize_in`] with stored values.
///
/// # Errors
///
/// Those of [`resize_in`].
pub fn resize(pixels: Pixels, window: Rect<f64>, to: Size) -> Result<Pixels, RenderError> {
    let window = inside(window, pixels.size()).ok_or(RenderError::BadWindow)?;
    if to.area() == 0 {
        return Err(RenderError::BadWindow);
    }
    if is_exact(window, to) {
        let part = Rect { x: window.x as u32, y: window.y as u32, width: to.width, height: to.height };
        return pixels.cropped(part).ok_or(RenderError::BadWindow);
    }
    filter(pixels, window, to).ok_or(RenderError::BadWindow)
}

/// Peak memory of [`resize_in`] in bytes, its argument and result included.
pub fn peak_bytes(light: Light, from: Size, kind: PixelKind, window: Rect<f64>, to: Size) -> u64 {
    let source = from.area().saturating_mul(kind.channels() as u64);
    if is_exact(window, to) {
        return source;
    }
    if of_size(light, window, to) == Light::Linear {
        return source.saturating_add(Rows::peak_bytes(light, from, kind, window, to));
    }
    filter_peak_bytes(from, kind, to)
}

/// The same for a window of stored values that is filtered.
pub fn filter_peak_bytes(from: Size, kind: PixelKind, to: Size) -> u64 {
    let channels = kind.channels() as u64;
    let source = from.area().saturating_mul(channels);
    // The vertical pass comes first and leaves all columns of the source at the result's height.
    let between = Size { width: from.width, height: to.height }.area().saturating_mul(channels);
    // The weights of both axes, 2 bytes each: at least 6 per result pixel for an enlargement, and three times the
    // source's side for a reduction.
    let sides = |size: Size| u64::from(size.width) + u64::from(size.height);
    let weights = 16 * sides(to) + 16 * sides(from);
    source.saturating_add(between).saturating_add(to.area().saturating_mul(channels)).saturating_add(weights)
}

/// Pixels of the source that the filter reads on each side of a result pixel, per source pixel that this covers.
pub const FILTER_REACH: f64 = 3.0;

/// Distance past an edge that a window may reach by rounding, in pixels; the excess is cut off.
const SLACK: f64 = 1e-3;

/// The window, cut to the picture; `None` if it is empty, not a number, or outside by more than rounding.
fn inside(window: Rect<f64>, size: Size) -> Option<Rect<f64>> {
    let (x, width) = span_inside(window.x, window.width, f64::from(size.width))?;
    let (y, height) = span_inside(window.y, window.height, f64::from(size.height))?;
    Some(Rect { x, y, width, height })
}

fn span_inside(start: f64, length: f64, side: f64) -> Option<(f64, f64)> {
    let end = start + length;
    if !(start >= -SLACK && end <= side + SLACK && length > 0.0) {
        return None;
    }
    let start = start.max(0.0);
    let mut length = end.min(side) - start;
    // The library compares exactly this sum with the side.
    if start + length > side {
        length = length.next_down();
    }
    (length > 0.0 && start < side).then_some((start, length))
}

/// Whether a window is only cut out: whole pixels at their own size.
pub fn is_exact(window: Rect<f64>, to: Size) -> bool {
    window.x.fract() == 0.0
        && window.y.fract() == 0.0
        && window.width == f64::from(to.width)
        && window.height == f64::from(to.height)
}

/// `None` only if the library refuses a window that [`inside`] has accepted.
fn filter(pixels: Pixels, window: Rect<f64>, to: Size) -> Option<Pixels> {
    let (from, kind) = (pixels.size(), pixels.kind());
    let mut data = pixels.into_data();
    let mut filter = Filter::<u8>::new(kind);
    filter.weigh(from, &mut data)?;
    let mut made = filter.apply(from, &mut data, window, to)?;
    filter.unweigh(to, &mut made)?;
    Pixels::new(to, kind, made)
}

/// The library's resizer for one kind of pixels, with the buffer that it keeps between its passes.
struct Filter<S> {
    kind: PixelKind,
    resizer: Resizer,
    alpha: MulDiv,
    samples: PhantomData<S>,
}

impl<S: Sample> Filter<S> {
    fn new(kind: PixelKind) -> Self {
        Self { kind, resizer: Resizer::new(), alpha: MulDiv::new(), samples: PhantomData }
    }

    /// Multiplies colours by their alpha, in place.
    fn weigh(&self, size: Size, data: &mut [S]) -> Option<()> {
        match self.kind {
            PixelKind::Gray | PixelKind::Rgb => Some(()),
            PixelKind::GrayAlpha => weigh_as::<S, S::GrayAlpha>(&self.alpha, size, data),
            PixelKind::Rgba => weigh_as::<S, S::Rgba>(&self.alpha, size, data),
        }
    }

    /// Divides colours by their alpha, in place.
    fn unweigh(&self, size: Size, data: &mut [S]) -> Option<()> {
        match self.kind {
            PixelKind::Gray | PixelKind::Rgb => Some(()),
            PixelKind::GrayAlpha => unweigh_as::<S, S::GrayAlpha>(&self.alpha, size, data),
            PixelKind::Rgba => unweigh_as::<S, S::Rgba>(&self.alpha, size, data),
        }
    }

    /// Resizes the window.
    fn apply(&mut self, from: Size, data: &mut [S], window: Rect<f64>, to: Size) -> Option<Vec<S>> {
        // The library's untyped calls would compile all its pixel kinds into this crate.
        match self.kind {
            PixelKind::Gray => self.apply_as::<S::Gray>(from, data, window, to),
            PixelKind::GrayAlpha => self.apply_as::<S::GrayAlpha>(from, data, window, to),
            PixelKind::Rgb => self.apply_as::<S::Rgb>(from, data, window, to),
            PixelKind::Rgba => self.apply_as::<S::Rgba>(from, data, window, to),
        }
    }

    fn apply_as<P: PixelTrait>(
        &mut self,
        from: Size,
        data: &mut [S],
        window: Rect<f64>,
        to: Size,
    ) -> Option<Vec<S>> {
        let length = usize::try_from(to.area()).ok()?.checked_mul(self.kind.channels())?;
        let mut made = vec![S::default(); length];
        let source = image::<S, P>(from, data)?;
        let mut target = image::<S, P>(to, &mut made)?;
        // By default the resizer would premultiply into a second buffer as large as the source.
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(window.x, window.y, window.width, window.height)
            .use_alpha(false);
        self.resizer.resize_typed(&source, &mut target, &options).ok()?;
        Some(made)
    }
}

fn weigh_as<S: Sample, P: PixelTrait>(alpha: &MulDiv, size: Size, data: &mut [S]) -> Option<()> {
    alpha.multiply_alpha_inplace_typed(&mut image::<S, P>(size, data)?).ok()
}

fn unweigh_as<S: Sample, P: PixelTrait>(alpha: &MulDiv, size: Size, data: &mut [S]) -> Option<()> {
    alpha.divide_alpha_inplace_typed(&mut image::<S, P>(size, data)?).ok()
}

/// The library's view of these samples.
fn image<S: Sample, P: PixelTrait>(size: Size, data: &mut [S]) -> Option<TypedImage<'_, P>> {
    TypedImage::from_buffer(size.width, size.height, bytemuck::cast_slice_mut(data)).ok()
}

#[cfg(test)]
mod tests;
