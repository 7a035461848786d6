//! Converts colours of any meaning to sRGB, or to another [`Gamut`].
//!
//! A file says what its numbers mean by an ICC profile, else by code points (cICP), an sRGB chunk, or gamma and
//! primaries. A file that says nothing, or nothing that can be understood, is sRGB. [`ColorSpace`] is that meaning,
//! ready to be applied; for a file in the colours of the result it is empty and costs nothing. Alpha never changes, and gray stays gray. A
//! profile for other channels than the file's says nothing: one of gray beside colours, or one of colours beside gray.
//!
//! Conversions are relative colorimetric without black point compensation, and clip colours outside the result's. Only the PQ
//! curve has brightness above the display's white, see [`pq`]. This module decodes and scales nothing. CMYK is the
//! exception: no [`Pixels`] can hold it, so a decoder must convert it at once ([`cmyk`]).
//!
//! Profiles are hostile bytes: [`icc`] says which parts reach the library that reads them.

mod cache;
pub(super) mod cmyk;
mod code_points;
mod gamut;
mod icc;
mod name;
mod pq;
mod primaries;
mod profile;
mod tag;
mod to_gamut;
pub(super) mod ycc;

use std::sync::Arc;

pub(super) use code_points::CodePoints;
pub use gamut::Gamut;
use moxcms::Transform8BitExecutor;
pub use name::ColorSpaceName;
pub(super) use name::named;
pub(super) use tag::Tag as ColorTag;
use tag::Tag;
pub(super) use tag::find as tags;

use super::header::{ColorKind, Header};
use super::pixels::{PixelKind, Pixels};
use crate::object::Format;

/// Most bytes, beside the pixels, that it takes to find, read and apply a colour space: the inflated profile, its used
/// parts, those parts as read, and the tables made of them (at most 1.4 MiB).
pub const WORK_BYTES_MAX: u64 =
    (icc::PROFILE_BYTES_MAX + 3 * profile::TAGS_BYTES_MAX) as u64 + 4 * 1024 * 1024;

/// The colour space of a file's decoded pixels, against that of a result.
#[derive(Clone, Debug)]
pub struct ColorSpace {
    /// `None`: they are equal.
    conversion: Option<Arc<Conversion>>,
}

impl ColorSpace {
    /// Reads the colour space of a file. Never fails: it ignores a profile that is broken, too large or for other
    /// channels, and uses the next thing that the file says about its colours.
    pub fn of(source: &[u8], header: &Header, to: Gamut) -> Self {
        let kind = header.color.kind;
        // The decoder has converted CMYK to sRGB already, so its profile no longer applies.
        let tags = if kind == ColorKind::Cmyk { Vec::new() } else { tag::find(source, header.format) };
        let understood = tags.iter().filter(|tag| tag.fits(kind)).find_map(|tag| cache::meaning(tag, to));
        let is_gray = matches!(kind, ColorKind::Gray | ColorKind::GrayAlpha);
        // A file that says nothing is sRGB; its gray is every result's.
        let meaning = understood.or_else(|| if is_gray { None } else { cache::meaning(&Tag::Srgb, to) });
        match meaning {
            Some(Meaning::Converted(conversion)) => Self { conversion: Some(conversion) },
            Some(Meaning::Same) | None => Self { conversion: None },
        }
    }

    /// Whether there is nothing to convert.
    pub const fn is_same(&self) -> bool {
        self.conversion.is_none()
    }

    /// Whether its curve from values to light is near enough to sRGB's for means of light: those of gamma 1.8 to 2.4
    /// are, a straight one and those of bright displays are not.
    pub fn has_like_curve(&self) -> bool {
        match self.conversion.as_deref() {
            Some(Conversion::Curve(curve) | Conversion::Colors { gray: curve, .. }) => {
                curve.iter().zip(0..=255_u8).all(|(result, value)| result.abs_diff(value) <= STEPS_LIKE)
            }
            Some(Conversion::Cmyk(_)) | None => true,
        }
    }

    /// Converts the colours in place; alpha stays. Another call does nothing.
    pub fn convert(&mut self, pixels: &mut Pixels) {
        if let Some(conversion) = self.conversion.take() {
            conversion.apply(pixels);
        }
    }
}

/// A colour of sRGB in the colours of a result.
pub fn of_srgb(color: [u8; 3], to: Gamut) -> [u8; 3] {
    match cache::meaning(&Tag::Srgb, to) {
        Some(Meaning::Converted(conversion)) => conversion.of_color(color),
        _ => color,
    }
}

/// Upper bound of the bytes beside the pixels for this file; see [`WORK_BYTES_MAX`].
pub fn work_bytes(source: &[u8], format: Format) -> u64 {
    match format {
        Format::Gif => 0,
        // Most photos have no profile, and a photo that is decoded small needs less memory than a profile would.
        Format::Jpeg if tag::of_jpeg(source).is_none() => 0,
        Format::Jpeg | Format::Png | Format::Webp | Format::Avif | Format::Heic | Format::Jxl => {
            WORK_BYTES_MAX
        }
    }
}

/// The compiled meaning of one colour tag.
#[derive(Clone)]
enum Meaning {
    /// The result's own colours.
    Same,
    Converted(Arc<Conversion>),
}

/// The conversion of channels to those of a result.
enum Conversion {
    /// One curve for each channel by itself: gray, or RGB with the result's primaries.
    Curve(Box<[u8; 256]>),
    /// Three channels together, and the curve that they give for equal channels.
    Colors { colors: RgbConversion, gray: Box<[u8; 256]> },
    /// Four channels of CMYK (255 is full ink) become RGB.
    Cmyk(Arc<Transform8BitExecutor>),
}

enum RgbConversion {
    Profile(Arc<Transform8BitExecutor>),
    Pq(Box<pq::Pq>),
}

/// Pixels that are converted at a time, so that the scratch buffer stays in the first-level cache.
const CHUNK_PIXELS: usize = 1024;

impl Conversion {
    /// The conversion for these colours; `None` if the library refuses them.
    fn of_colors(colors: RgbConversion) -> Option<Meaning> {
        let ramp: Vec<u8> = (0..=255).flat_map(|value| [value; 3]).collect();
        let gray = colors.converted(&ramp)?;
        if is_unchanged(&ramp, &gray) {
            let lattice = lattice();
            if is_unchanged(&lattice, &colors.converted(&lattice)?) {
                return Some(Meaning::Same);
            }
        }
        // Green is nearest to luma, in case equal channels do not stay equal.
        let gray = Box::new(std::array::from_fn(|value| gray[value * 3 + 1]));
        Some(Meaning::Converted(Arc::new(Self::Colors { colors, gray })))
    }

    /// The conversion for a curve that maps each channel by itself.
    fn of_curve(curve: Box<[u8; 256]>) -> Meaning {
        let same: Vec<u8> = (0..=255).collect();
        if is_unchanged(&same, &curve[..]) {
            return Meaning::Same;
        }
        Meaning::Converted(Arc::new(Self::Curve(curve)))
    }

    /// One colour, converted; unchanged by a conversion of inks.
    fn of_color(&self, color: [u8; 3]) -> [u8; 3] {
        match self {
            Self::Curve(curve) => color.map(|value| curve[usize::from(value)]),
            Self::Colors { colors, .. } => {
                colors.converted(&color).and_then(|color| color.first_chunk().copied()).unwrap_or(color)
            }
            Self::Cmyk(_) => color,
        }
    }

    fn apply(&self, pixels: &mut Pixels) {
        let kind = pixels.kind();
        match (self, kind) {
            (Self::Curve(curve), _) => mapped(pixels, curve),
            (Self::Colors { gray, .. }, PixelKind::Gray | PixelKind::GrayAlpha) => mapped(pixels, gray),
            (Self::Colors { colors, .. }, PixelKind::Rgb) => {
                for chunk in pixels.data_mut().chunks_mut(CHUNK_PIXELS * 3) {
                    colors.apply(chunk);
                }
            }
            (Self::Colors { colors, .. }, PixelKind::Rgba) => {
                let mut chunk = Vec::with_capacity(CHUNK_PIXELS * 3);
                for part in pixels.data_mut().chunks_mut(CHUNK_PIXELS * 4) {
                    chunk.clear();
                    chunk.extend(part.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]));
                    colors.apply(&mut chunk);
                    let pairs = part.chunks_exact_mut(4).zip(chunk.chunks_exact(3));
                    pairs.for_each(|(pixel, color)| pixel[..3].copy_from_slice(color));
                }
            }
            // A CMYK profile never applies to other pixels.
            (Self::Cmyk(_), _) => {}
        }
    }
}

impl RgbConversion {
    /// Converts whole pixels of three channels in place.
    fn apply(&self, chunk: &mut [u8]) {
        match self {
            Self::Profile(_) => {
                if let Some(converted) = self.converted(chunk) {
                    chunk.copy_from_slice(&converted);
                }
            }
            Self::Pq(pq) => pq.apply(chunk),
        }
    }

    /// `None` if the library refuses, which it does only for a length that is not a whole number of pixels.
    fn converted(&self, colors: &[u8]) -> Option<Vec<u8>> {
        let mut converted = colors.to_vec();
        match self {
            Self::Profile(executor) => executor.transform(colors, &mut converted).ok()?,
            Self::Pq(pq) => pq.apply(&mut converted),
        }
        Some(converted)
    }
}

/// Maps every channel but alpha through one curve.
fn mapped(pixels: &mut Pixels, curve: &[u8; 256]) {
    let kind = pixels.kind();
    let colors = kind.without_alpha().channels();
    for pixel in pixels.data_mut().chunks_exact_mut(kind.channels()) {
        pixel[..colors].iter_mut().for_each(|value| *value = curve[usize::from(*value)]);
    }
}

/// The most that a channel may differ, in steps of 255, in a colour space that counts as the result's. The profiles in use that
/// call themselves sRGB stay within it, and one step is invisible.
const STEPS_ALIKE: u8 = 1;

/// The most that gray may differ, in steps of 255, in a colour space whose curve is like sRGB's.
const STEPS_LIKE: u8 = 24;

fn is_unchanged(before: &[u8], after: &[u8]) -> bool {
    before.iter().zip(after).all(|(before, after)| before.abs_diff(*after) <= STEPS_ALIKE)
}

/// Colours spread evenly over the cube, to compare two colour spaces.
fn lattice() -> Vec<u8> {
    let steps = || (0..=255_u8).step_by(17);
    let colors =
        steps().flat_map(|red| steps().flat_map(move |green| steps().map(move |blue| [red, green, blue])));
    colors.flatten().collect()
}

impl std::fmt::Debug for Conversion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Curve(_) => "Curve",
            Self::Colors { .. } => "Colors",
            Self::Cmyk(_) => "Cmyk",
        })
    }
}

#[cfg(test)]
mod tests;
