//! A spec with every default filled in: it alone, with the image, decides a variant's bytes.
//!
//! Equivalent specs (`200w,dpr2` and `400w`, `rot180` and `flip,flop`, `100s` and `100w100h,fill`, a quality that is
//! the default) give one recipe, hence one key, one ETag and one cached variant. No image is known here: geometry
//! applies a recipe to an image's size.

mod parse;

use std::fmt;

use sha1::{Digest, Sha1};

use super::color::Gamut;
use super::header::{Header, Orientation};
use super::light::{Light, LightSetting};
use super::shape::side_max;
use super::transform::{Transform, compose};
use super::{encode, metadata};
use crate::object::spec::{Crop, Fit, Gravity, Hundredths, SpecSize};
use crate::object::{Format, ObjectId, Spec};

/// Part of every key. Raise it with every change of the steps or of an encoder that changes bytes; `tests/bytes.rs`
/// fails on such a change.
pub const ENCODER_VERSION: u32 = 7;

/// The settings of variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipeSettings {
    /// Used where the spec has no `q`.
    pub quality: Quality,
    /// Whether every variant may be enlarged, as with `up`.
    pub upscale: bool,
    /// Longest side that a URL may request, in pixels.
    pub dimension_max: u32,
    /// Bounds of animations that stay animations.
    pub animation: AnimationMax,
    /// Most pixels of a result, or of one frame of it.
    pub output_max: OutputMax,
    /// The meaning of `full` in an image's own format.
    pub originals: Originals,
    /// The values whose means pixels are.
    pub light: LightSetting,
}

/// The answer to a URL that asks for an image as it was uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Originals {
    /// The stored bytes.
    AsIs,
    /// Them without metadata.
    Stripped,
    /// Nothing.
    Off,
}

/// Most pixels that a result of each format may have, or one frame of it. It decides whether there is a result, not its
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputMax([u64; Format::ALL.len()]);

impl OutputMax {
    /// No bound in any format.
    pub const NONE: Self = Self::all(u64::MAX);

    /// The same bound in every format.
    pub const fn all(pixels: u64) -> Self {
        Self([pixels; Format::ALL.len()])
    }

    /// The same bounds, with another one for this format.
    pub const fn with(mut self, format: Format, pixels: u64) -> Self {
        self.0[format as usize] = pixels;
        self
    }

    /// The bound for results in this format.
    pub const fn of(self, format: Format) -> u64 {
        self.0[format as usize]
    }
}

impl RecipeSettings {
    /// Covers all settings that change the answer of a URL: the nodes of a cluster should have the same checksum.
    pub fn checksum(&self) -> u32 {
        let Self {
            quality: Quality { jpeg, webp, avif },
            upscale,
            dimension_max,
            animation,
            output_max,
            originals,
            light,
        } = self;
        let AnimationMax { frames, pixels } = animation;
        let OutputMax(output) = output_max;
        let text = format!(
            "{ENCODER_VERSION} {jpeg} {webp} {avif} {upscale} {dimension_max} {frames} {pixels} {output:?} {originals:?} {light:?}"
        );
        crc32fast::hash(text.as_bytes())
    }
}

/// The largest animation that stays one; of larger ones the first frame is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AnimationMax {
    /// Frames.
    pub frames: u32,
    /// Width × height × frames, as stored.
    pub pixels: u64,
}

/// Default qualities, 1–100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// Of JPEG.
    pub jpeg: u8,
    /// Of WebP.
    pub webp: u8,
    /// Of AVIF.
    pub avif: u8,
}

/// The size part of a spec with its options, in device pixels: `dpr` is multiplied in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetSize {
    /// No scaling.
    Full,
    /// This width; the height follows from the aspect.
    Width(u32),
    /// This height; the width follows from the aspect.
    Height(u32),
    /// The whole image inside this box.
    Contain {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Covers this box; the rest is cropped.
    Cover {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// The part that the crop keeps.
        gravity: Gravity,
    },
    /// This box, with the whole image inside it.
    Pad {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// This box; the aspect may change.
    Stretch {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

/// A spec with every default filled in; made by [`Recipe::resolve`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// The size to make.
    pub target: TargetSize,
    /// Whether the result may be larger than its source; never with [`TargetSize::Full`].
    pub upscale: bool,
    /// Bound on both sides of the result where `upscale` is set. It decides whether there is a result, not its bytes,
    /// so it is not part of the key.
    pub dimension_max: u32,
    /// Bound on the pixels of the result, or of one frame of it. Not part of the key either.
    pub pixels_max: u64,
    /// `rot`, `flip` and `flop`, after the EXIF orientation.
    pub transform: Transform,
    /// The crop from the turned image.
    pub crop: Option<Crop>,
    /// Whether a plain border is cut off.
    pub trim: bool,
    /// Whether colour is dropped.
    pub grey: bool,
    /// Gaussian sigma in output pixels.
    pub blur: Option<Hundredths>,
    /// Gain of the unsharp mask.
    pub sharpen: Option<Hundredths>,
    /// Red, green and blue of the background to flatten on; always set where the format has no alpha.
    pub background: Option<[u8; 3]>,
    /// The colours of the result.
    pub gamut: Gamut,
    /// The one frame to show, as a still.
    pub frame: Option<u32>,
    /// Bounds of animations that stay animations; `None` where the result is always a still.
    pub animation: Option<AnimationMax>,
    /// Whether EXIF and XMP are kept; never where the format holds none.
    pub meta: bool,
    /// Whether an image of this format keeps the data of its picture, and loses its metadata alone.
    pub stripped: bool,
    /// The values whose means pixels are.
    pub light: LightSetting,
    /// The output format.
    pub format: Format,
    /// 1–100; set exactly where the format takes one.
    pub quality: Option<u8>,
}

/// The reason why a spec gives no recipe. At fault: the caller, whatever the image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipeError {
    /// A side that is too long, after `dpr`.
    SideTooLong {
        /// The size part of the spec.
        part: SpecSize,
        /// The longer requested side, in pixels.
        side: u32,
        /// The bound, in pixels.
        dimension_max: u32,
    },
    /// A preset, which must be expanded first.
    Preset(SpecSize),
}

impl Recipe {
    /// Fills in the defaults from the settings, for this output format.
    ///
    /// # Errors
    /// [`RecipeError`] for a side beyond `dimension_max` and for a preset.
    pub fn resolve(spec: &Spec, format: Format, settings: &RecipeSettings) -> Result<Self, RecipeError> {
        let target = target(spec, settings.dimension_max)?;
        let white = (!has_alpha(format)).then_some([255; 3]);
        Ok(Self {
            target,
            upscale: (spec.up || settings.upscale) && target != TargetSize::Full,
            dimension_max: settings.dimension_max,
            pixels_max: settings.output_max.of(format),
            transform: compose(Orientation::NORMAL, spec.turn, spec.flip, spec.flop),
            crop: spec.crop,
            trim: spec.trim,
            grey: spec.grey,
            blur: spec.blur,
            sharpen: spec.sharpen,
            background: spec.background.or(white),
            gamut: if spec.p3 && metadata::holds(format) { Gamut::DisplayP3 } else { Gamut::Srgb },
            frame: spec.frame,
            animation: (encode::holds_animation(format) && spec.frame.is_none())
                .then_some(settings.animation),
            meta: spec.meta && metadata::holds(format),
            stripped: spec.is_full_plain() && settings.originals == Originals::Stripped,
            light: settings.light,
            format,
            quality: settings.quality.of(format).map(|default| spec.quality.unwrap_or(default)),
        })
    }

    /// Whether the variant of this image is its file without metadata.
    pub fn strips(&self, header: &Header) -> bool {
        self.stripped && self.format == header.format
    }

    /// Whether the variant of this image is an animation.
    pub fn keeps_animation(&self, header: &Header) -> bool {
        let Some(most) = self.animation else { return false };
        let pixels = header.stored().area().checked_mul(header.frames.into());
        encode::holds_animation(header.format)
            && header.frames > 1
            && header.frames <= most.frames
            && pixels.is_some_and(|pixels| pixels <= most.pixels)
    }

    /// Whether the result is within the bound on its pixels for every image: the longest sides that the target and the
    /// format allow are.
    pub fn is_surely_within_pixels_max(&self) -> bool {
        let side_max = u64::from(side_max(self.format));
        let (width, height) = match self.target {
            TargetSize::Full => (side_max, side_max),
            TargetSize::Width(width) => (width.into(), side_max),
            TargetSize::Height(height) => (side_max, height.into()),
            TargetSize::Contain { width, height }
            | TargetSize::Cover { width, height, .. }
            | TargetSize::Pad { width, height }
            | TargetSize::Stretch { width, height } => (width.into(), height.into()),
        };
        width.saturating_mul(height) <= self.pixels_max
    }

    /// Whether the pixels decide which part of the image is shown.
    pub const fn looks_at_pixels(&self) -> bool {
        self.trim || self.is_smart()
    }

    /// Whether the pixels decide the place of the window.
    pub const fn is_smart(&self) -> bool {
        matches!(self.target, TargetSize::Cover { gravity: Gravity::Smart, .. })
    }

    /// The canonical text: equal for equal recipes, different for any two that differ in more than `dimension_max` and
    /// `pixels_max`. ASCII, without `/`.
    pub fn key(&self) -> String {
        self.to_string()
    }

    /// The first 16 bytes of the SHA-1 of id and key; identifies this variant of this image.
    pub fn etag_key(&self, id: &ObjectId) -> [u8; 16] {
        let digest: [u8; 20] =
            Sha1::new().chain_update(id.digest()).chain_update(self.key()).finalize().into();
        let [key @ .., _, _, _, _] = digest;
        key
    }
}

impl Quality {
    /// The default of this format; `None` for a format without quality.
    pub const fn of(self, format: Format) -> Option<u8> {
        match format {
            Format::Jpeg => Some(self.jpeg),
            Format::Webp => Some(self.webp),
            Format::Avif => Some(self.avif),
            Format::Png | Format::Gif | Format::Heic | Format::Jxl => None,
        }
    }
}

const fn has_alpha(format: Format) -> bool {
    !matches!(format, Format::Jpeg)
}

fn target(spec: &Spec, dimension_max: u32) -> Result<TargetSize, RecipeError> {
    let side = |asked: u32| {
        let side = device_pixels(asked, spec.dpr.unwrap_or(Hundredths::ONE));
        if side <= dimension_max {
            Ok(side)
        } else {
            Err(RecipeError::SideTooLong { part: spec.size.clone(), side, dimension_max })
        }
    };
    let gravity = normal_gravity(spec.gravity);
    Ok(match spec.size {
        SpecSize::Full => TargetSize::Full,
        SpecSize::Width(width) => TargetSize::Width(side(width)?),
        SpecSize::Height(height) => TargetSize::Height(side(height)?),
        SpecSize::Square(length) => {
            TargetSize::Cover { width: side(length)?, height: side(length)?, gravity }
        }
        SpecSize::Box { width, height } => {
            let (width, height) = (side(width)?, side(height)?);
            match spec.fit {
                None => TargetSize::Contain { width, height },
                Some(Fit::Fill) => TargetSize::Cover { width, height, gravity },
                Some(Fit::Pad) => TargetSize::Pad { width, height },
                Some(Fit::Stretch) => TargetSize::Stretch { width, height },
            }
        }
        SpecSize::Preset(_) => return Err(RecipeError::Preset(spec.size.clone())),
    })
}

/// floor(side × dpr + ½), at least 1; saturates, far beyond every bound.
fn device_pixels(side: u32, dpr: Hundredths) -> u32 {
    let pixels = (u64::from(side) * u64::from(dpr.0) + 50) / 100;
    u32::try_from(pixels).unwrap_or(u32::MAX).max(1)
}

/// A gravity at a corner or in the middle of a side as a named one: the window is centred there, then moved inside, so
/// it is flush.
fn normal_gravity(gravity: Option<Gravity>) -> Gravity {
    let place = |fraction: Hundredths| match fraction.0 {
        0 => Some(0),
        50 => Some(1),
        100 => Some(2),
        _ => None,
    };
    match gravity {
        None => Gravity::CENTER,
        Some(gravity @ Gravity::Focus { x, y }) => match (place(x), place(y)) {
            (Some(column), Some(row)) => Gravity::Compass { column, row },
            _ => gravity,
        },
        Some(gravity) => gravity,
    }
}

/// The key: encoder version, format, size, then all other values that are not the default, in a fixed order.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{ENCODER_VERSION},{},{}", self.format.extension(), self.target)?;
        write_flag(f, "up", self.upscale)?;
        write_some(f, "q", self.quality)?;
        write_some(f, "", self.crop)?;
        write_flag(f, "swap", self.transform.swap)?;
        write_flag(f, "flip", self.transform.mirror_y)?;
        write_flag(f, "flop", self.transform.mirror_x)?;
        write_some(f, "blur", self.blur)?;
        write_some(f, "sharpen", self.sharpen)?;
        write_flag(f, "grey", self.grey)?;
        write_flag(f, "trim", self.trim)?;
        if let Some([red, green, blue]) = self.background {
            write!(f, ",bg-{red:02x}{green:02x}{blue:02x}")?;
        }
        write_flag(f, "p3", self.gamut == Gamut::DisplayP3)?;
        write_some(f, "frame", self.frame)?;
        if let Some(AnimationMax { frames, pixels }) = self.animation {
            write!(f, ",play{frames}-{pixels}")?;
        }
        write_flag(f, "meta", self.meta)?;
        write_flag(f, "stripped", self.stripped)?;
        match self.light {
            LightSetting::Auto => Ok(()),
            LightSetting::Always(Light::Linear) => f.write_str(",light-linear"),
            LightSetting::Always(Light::Encoded) => f.write_str(",light-encoded"),
        }
    }
}

impl fmt::Display for TargetSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Width(width) => write!(f, "{width}w"),
            Self::Height(height) => write!(f, "{height}h"),
            Self::Contain { width, height } => write!(f, "{width}w{height}h"),
            Self::Cover { width, height, gravity } => write!(f, "{width}w{height}h,fill,{gravity}"),
            Self::Pad { width, height } => write!(f, "{width}w{height}h,pad"),
            Self::Stretch { width, height } => write!(f, "{width}w{height}h,stretch"),
        }
    }
}

fn write_some(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, ",{name}{value}"))
}

fn write_flag(f: &mut fmt::Formatter<'_>, name: &str, present: bool) -> fmt::Result {
    if present { write!(f, ",{name}") } else { Ok(()) }
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SideTooLong { part, side, dimension_max } => write!(
                f,
                "\"{part}\" asks for a side of {side} pixels, dpr included: ask for at most {dimension_max}."
            ),
            Self::Preset(part) => write!(f, "\"{part}\" is not expanded: write out what the preset says."),
        }
    }
}

impl std::error::Error for RecipeError {}

#[cfg(test)]
mod tests;
