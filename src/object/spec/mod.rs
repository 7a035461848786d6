//! The spec grammar of a variant's URL: a size part, then options, separated by commas.
//!
//! The types here are the meaning; [`Spec::parse`] reads text and [`std::fmt::Display`] prints the canonical
//! form; [`Spec::expanded`] puts a preset's meaning in the place of its name. Nothing here knows an image or a
//! setting: presets are handed in, and what a spec makes of an image is the recipe's and geometry's.
//!
//! Invariants:
//! * Parsing the canonical form gives the same value, and printing that value the same text.
//! * Every text that means the same parses to the same value: what the canonical form leaves out
//!   (`dpr1`, `g-c`) is left out of the value too. A caller sees that a text was not canonical by
//!   comparing it with what the value prints.

mod error;
mod parse;
mod preset;
mod print;
#[cfg(test)]
mod tests;

use super::{Extension, Format};
pub use error::{Needs, SpecError, SpecPart};

/// A decimal with two places, in hundredths: `1.5` is 150.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hundredths(pub u32);

impl Hundredths {
    /// 1.
    pub const ONE: Self = Self(100);
}

/// The size part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SpecSize {
    /// `full`: no scaling.
    Full,
    /// `200w`
    Width(u32),
    /// `100h`
    Height(u32),
    /// `200w100h`
    Box {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// `100s`: a square, cropped.
    Square(u32),
    /// `p-NAME`
    Preset(PresetName),
}

/// `[a-z0-9_-]{1,32}`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PresetName(String);

impl PresetName {
    /// Longest name, in bytes.
    pub const LENGTH_MAX: usize = 32;

    /// The preset of this name; upper case becomes lower. `None` for an empty or too long name or
    /// one with another character.
    pub fn parse(name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let valid = (1..=Self::LENGTH_MAX).contains(&name.len()) && name.bytes().all(allowed);
        valid.then(|| Self(name.to_ascii_lowercase()))
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fit of an image in a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fit {
    /// Crop to cover.
    Fill,
    /// Letterbox.
    Pad,
    /// Ignore the aspect.
    Stretch,
}

/// The part that a crop keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gravity {
    /// Flush to a side or corner, or centred. Each 0 (left, top), 1 (middle) or 2 (right, bottom).
    Compass {
        /// 0 left, 1 middle, 2 right.
        column: u8,
        /// 0 top, 1 middle, 2 bottom.
        row: u8,
    },
    /// The most salient part.
    Smart,
    /// A window centred there, fractions 0–1.
    Focus {
        /// Of the width.
        x: Hundredths,
        /// Of the height.
        y: Hundredths,
    },
}

impl Gravity {
    /// `g-c`, what a crop keeps when the spec says nothing.
    pub const CENTER: Self = Self::Compass { column: 1, row: 1 };
}

/// A rectangle cut before sizing, in pixels of the displayed image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crop {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// A clockwise turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuarterTurns {
    /// 90° clockwise.
    Quarter,
    /// 180°.
    Half,
    /// 270° clockwise.
    ThreeQuarters,
}

/// Everything a URL's spec says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The size part.
    pub size: SpecSize,
    /// `fill`, `pad`, `stretch`.
    pub fit: Option<Fit>,
    /// `g-…`
    pub gravity: Option<Gravity>,
    /// `dpr2`: 50–400.
    pub dpr: Option<Hundredths>,
    /// `up`
    pub up: bool,
    /// `q75`: 1–100.
    pub quality: Option<u8>,
    /// `crop-X-Y-W-H`
    pub crop: Option<Crop>,
    /// `rot90`, `rot180`, `rot270`
    pub turn: Option<QuarterTurns>,
    /// Mirror top-bottom.
    pub flip: bool,
    /// Mirror left-right.
    pub flop: bool,
    /// Gaussian sigma: 30–10000.
    pub blur: Option<Hundredths>,
    /// Unsharp gain: 10–1000.
    pub sharpen: Option<Hundredths>,
    /// `grey`
    pub grey: bool,
    /// `trim`
    pub trim: bool,
    /// `bg-ffffff`
    pub background: Option<[u8; 3]>,
    /// `p3`
    pub p3: bool,
    /// `frame0`
    pub frame: Option<u32>,
    /// `meta`
    pub meta: bool,
}

impl Spec {
    /// `full`, with no option.
    pub const fn full() -> Self {
        Self {
            size: SpecSize::Full,
            fit: None,
            gravity: None,
            dpr: None,
            up: false,
            quality: None,
            crop: None,
            turn: None,
            flip: false,
            flop: false,
            blur: None,
            sharpen: None,
            grey: false,
            trim: false,
            background: None,
            p3: false,
            frame: None,
            meta: false,
        }
    }

    /// Reads a spec in any form: parts in any order, letters of either case, superfluous zeros.
    ///
    /// After `p-NAME` it is not asked whether options can act: that depends on what the preset says.
    ///
    /// # Errors
    /// [`SpecError`], the first fault from the left, naming the part; then a missing size; then an
    /// option that cannot act.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        parse::parse(text)
    }

    /// The canonical spec of a URL with this extension: without `q` where the format takes none.
    pub fn canonical_for(&self, extension: Extension) -> Self {
        let mut spec = self.clone().canonical();
        if matches!(extension, Extension::Format(format) if !Format::has_quality(format)) {
            spec.quality = None;
        }
        spec
    }

    /// Whether this is `full` with no option: with the image's own extension, the stored bytes.
    pub fn is_full_plain(&self) -> bool {
        *self == Self::full()
    }

    /// Its options in canonical form, as in `q75`, in the grammar's order.
    pub fn options(&self) -> Vec<String> {
        self.to_string().split(',').skip(1).map(str::to_owned).collect()
    }

    /// Without the options that say what holds anyway. After a preset they stay: there they override.
    fn canonical(mut self) -> Self {
        if !matches!(self.size, SpecSize::Preset(_)) {
            self.dpr = self.dpr.filter(|dpr| *dpr != Hundredths::ONE);
            self.gravity = self.gravity.filter(|gravity| *gravity != Gravity::CENTER);
        }
        self
    }
}
