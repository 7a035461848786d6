//! The reasons why a text is not a spec. At fault is always the caller, and the same text fails again.

use std::fmt;

/// The offending part of a spec, cut to [`SpecPart::LENGTH_MAX`] characters so that an error is never as
/// long as a hostile URL. Prints quoted and escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecPart(String);

/// The reason why a text is not a spec. Every variant names the part; one variant for each cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// No part gives the size.
    NoSize,
    /// Nothing between two commas, or before the first, or after the last.
    EmptyPart {
        /// The number of the part, counted from 1.
        position: usize,
    },
    /// Neither a size nor a known option.
    Unknown(SpecPart),
    /// Begins like a size, but is not one.
    BadSize(SpecPart),
    /// A second size part.
    SecondSize(SpecPart),
    /// Not a preset's name.
    BadPreset(SpecPart),
    /// A valid name that no preset has.
    UnknownPreset(SpecPart),
    /// Not an integer of 1–5 digits, or not such a decimal with at most two places.
    BadNumber(SpecPart),
    /// A valid number that the option does not accept.
    OutOfRange {
        /// The whole part.
        part: SpecPart,
        /// The allowed values, as words.
        allowed: &'static str,
    },
    /// `g-` with an unknown place.
    BadGravity(SpecPart),
    /// `crop-` with other than four numbers.
    BadCrop(SpecPart),
    /// `bg-` with other than six hex digits.
    BadColor(SpecPart),
    /// The same option again, with the same value.
    Repeated(SpecPart),
    /// Another option of a row that takes one, or the same with another value.
    Contradicts(SpecPart),
    /// A valid option without effect on this size.
    CannotAct {
        /// The option.
        part: SpecPart,
        /// The missing part.
        needs: Needs,
    },
}

/// The part that an option needs in order to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A box with both sides.
    Box,
    /// A crop to cover.
    Cover,
    /// A size other than `full`.
    Scaling,
}

impl SpecPart {
    /// Longest text kept, in characters; the longest valid part is shorter.
    pub const LENGTH_MAX: usize = 40;

    pub(super) fn new(text: &str) -> Self {
        Self(text.chars().take(Self::LENGTH_MAX).collect())
    }

    /// The text, in lower case, perhaps cut.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SpecPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_default())
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Box => "a size with both sides such as 300w200h",
            Self::Cover => "fill, or a square size such as 100s",
            Self::Scaling => "a size other than full",
        })
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSize => f.write_str("Begin the spec with a size: full, 300w, 200h, 300w200h or 100s."),
            Self::EmptyPart { position } => {
                write!(f, "Part {position} of the spec is empty: remove the superfluous comma.")
            }
            Self::Unknown(part) => write!(f, "{part} is not a known option: remove or correct it."),
            Self::BadSize(part) => {
                write!(f, "{part} is not a size: write full, 300w, 200h, 300w200h or 100s.")
            }
            Self::SecondSize(part) => {
                write!(f, "{part} is a second size: keep one, with both sides in one part as in 300w200h.")
            }
            Self::BadPreset(part) => {
                write!(f, "{part} is not a preset: its name has 1 to 32 of a-z, 0-9, _ and -.")
            }
            Self::UnknownPreset(part) => {
                write!(f, "{part} is not a preset of this server: name one that its configuration has.")
            }
            Self::BadNumber(part) => {
                write!(
                    f,
                    "{part} has a wrong number: write 1 to 5 digits, in a decimal 1 or 2 more after a point."
                )
            }
            Self::OutOfRange { part, allowed } => write!(f, "{part} is out of range: use {allowed}."),
            Self::BadGravity(part) => write!(
                f,
                "{part} is not a place: write g- with n, ne, e, se, s, sw, w, nw, c or smart, or as in g-x0.5y0.3."
            ),
            Self::BadCrop(part) => {
                write!(f, "{part} is not a rectangle: write crop-X-Y-W-H with four integers.")
            }
            Self::BadColor(part) => write!(f, "{part} is not a colour: write bg- and six hex digits."),
            Self::Repeated(part) => write!(f, "{part} is given twice: remove one."),
            Self::Contradicts(part) => {
                write!(f, "{part} contradicts an option before it: keep one of the two.")
            }
            Self::CannotAct { part, needs } => write!(f, "{part} cannot act here: it needs {needs}."),
        }
    }
}

impl std::error::Error for SpecError {}
