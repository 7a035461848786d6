//! The spec grammar of a variant's URL: a size part, then options, separated by commas.
//!
//! The types here are the meaning; [`Spec::parse`] reads text and [`std::fmt::Display`] prints the canonical
//! form. Parsing the canonical form gives the same value, and printing it the same text.

/// A decimal with two places, in hundredths: `1.5` is 150.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hundredths(pub u32);

/// The size part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Size {
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PresetName(String);

/// How a box is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fit {
    /// Crop to cover.
    Fill,
    /// Letterbox.
    Pad,
    /// Ignore the aspect.
    Stretch,
}

/// What a crop keeps.
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
pub enum Turn {
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
    pub size: Size,
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
    pub turn: Option<Turn>,
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
    /// `frame0`
    pub frame: Option<u32>,
    /// `meta`
    pub meta: bool,
}
