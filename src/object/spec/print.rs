//! The canonical text of a spec and of each of its values.

use std::fmt::{Display, Formatter, Result};

use super::{Crop, Fit, Gravity, Hundredths, QuarterTurns, Spec, SpecSize};

/// By row, then column.
pub(super) const COMPASS: [[&str; 3]; 3] = [["nw", "n", "ne"], ["w", "c", "e"], ["sw", "s", "se"]];

/// The canonical form: size first, options in the grammar's order, without those that say nothing.
impl Display for Spec {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let spec = self.clone().canonical();
        write!(f, "{}", spec.size)?;
        write_some(f, "", spec.fit)?;
        write_some(f, "", spec.gravity)?;
        write_some(f, "dpr", spec.dpr)?;
        write_flag(f, "up", spec.up)?;
        write_some(f, "q", spec.quality)?;
        write_some(f, "", spec.crop)?;
        write_some(f, "", spec.turn)?;
        write_flag(f, "flip", spec.flip)?;
        write_flag(f, "flop", spec.flop)?;
        write_some(f, "blur", spec.blur)?;
        write_some(f, "sharpen", spec.sharpen)?;
        write_flag(f, "grey", spec.grey)?;
        write_flag(f, "trim", spec.trim)?;
        if let Some([red, green, blue]) = spec.background {
            write!(f, ",bg-{red:02x}{green:02x}{blue:02x}")?;
        }
        write_flag(f, "p3", spec.p3)?;
        write_some(f, "frame", spec.frame)?;
        write_flag(f, "meta", spec.meta)
    }
}

fn write_some(f: &mut Formatter<'_>, name: &str, value: Option<impl Display>) -> Result {
    value.map_or(Ok(()), |value| write!(f, ",{name}{value}"))
}

fn write_flag(f: &mut Formatter<'_>, name: &str, present: bool) -> Result {
    if present { write!(f, ",{name}") } else { Ok(()) }
}

impl Display for SpecSize {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Width(width) => write!(f, "{width}w"),
            Self::Height(height) => write!(f, "{height}h"),
            Self::Box { width, height } => write!(f, "{width}w{height}h"),
            Self::Square(side) => write!(f, "{side}s"),
            Self::Preset(name) => write!(f, "p-{}", name.as_str()),
        }
    }
}

impl Display for Fit {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Fill => "fill",
            Self::Pad => "pad",
            Self::Stretch => "stretch",
        })
    }
}

impl Display for Gravity {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Compass { column, row } => {
                write!(f, "g-{}", COMPASS[usize::from(*row).min(2)][usize::from(*column).min(2)])
            }
            Self::Smart => f.write_str("g-smart"),
            Self::Focus { x, y } => write!(f, "g-x{x}y{y}"),
        }
    }
}

impl Display for Crop {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "crop-{}-{}-{}-{}", self.x, self.y, self.width, self.height)
    }
}

impl Display for QuarterTurns {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Quarter => "rot90",
            Self::Half => "rot180",
            Self::ThreeQuarters => "rot270",
        })
    }
}

/// Without superfluous zeros: `2`, `1.5`, `0.25`.
impl Display for Hundredths {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (whole, places) = (self.0 / 100, self.0 % 100);
        match (places, places % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", places / 10),
            _ => write!(f, "{whole}.{places:02}"),
        }
    }
}
