//! The name of a file's colour space, for people; it decides no pixel.

use super::code_points::CodePoints;
use super::primaries::{Colorants, Primaries, SRGB};
use super::tag::Tag;
use super::{ColorKind, Gamut, Meaning, cache, icc};

/// A colour space by its name, as CSS has it where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorSpaceName {
    /// sRGB, said or assumed.
    Srgb,
    /// Display P3: its primaries with sRGB's curve.
    DisplayP3,
    /// Adobe RGB (1998).
    A98Rgb,
    /// ROMM RGB.
    ProphotoRgb,
    /// ITU-R BT.2020.
    Rec2020,
    /// The primaries of BT.2020 with the curve PQ.
    Rec2100Pq,
    /// The primaries of BT.2020 with the hybrid curve.
    Rec2100Hlg,
    /// Inks.
    Cmyk,
    /// Any other one.
    Other,
}

impl ColorSpaceName {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Srgb => "srgb",
            Self::DisplayP3 => "display-p3",
            Self::A98Rgb => "a98-rgb",
            Self::ProphotoRgb => "prophoto-rgb",
            Self::Rec2020 => "rec2020",
            Self::Rec2100Pq => "rec2100-pq",
            Self::Rec2100Hlg => "rec2100-hlg",
            Self::Cmyk => "cmyk",
            Self::Other => "other",
        }
    }
}

/// A named colour space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) struct NamedSpace {
    /// Its name.
    pub(in crate::image) name: ColorSpaceName,
    /// Whether its curve is one of high dynamic range.
    pub(in crate::image) is_hdr: bool,
}

/// The primaries of the named spaces.
const KNOWN: [(ColorSpaceName, Colorants); 5] = [
    (
        ColorSpaceName::Srgb,
        [[0.436_07, 0.222_49, 0.013_92], [0.385_15, 0.716_87, 0.097_08], [0.143_07, 0.060_61, 0.714_10]],
    ),
    (
        ColorSpaceName::DisplayP3,
        [[0.515_12, 0.241_20, -0.001_05], [0.291_98, 0.692_25, 0.041_89], [0.157_10, 0.066_57, 0.784_07]],
    ),
    (
        ColorSpaceName::A98Rgb,
        [[0.609_74, 0.311_11, 0.019_47], [0.205_28, 0.625_67, 0.060_87], [0.149_19, 0.063_22, 0.744_57]],
    ),
    (
        ColorSpaceName::ProphotoRgb,
        [[0.797_67, 0.288_04, 0.0], [0.135_19, 0.711_88, 0.0], [0.031_34, 0.000_09, 0.824_91]],
    ),
    (
        ColorSpaceName::Rec2020,
        [[0.673_46, 0.279_04, -0.001_94], [0.165_66, 0.675_34, 0.029_98], [0.125_05, 0.045_61, 0.796_86]],
    ),
];

/// Colorants that differ by less count as equal: programs round them and their adaptation in many ways.
const ALIKE: f64 = 0.004;

/// The name of the colours that these tags mean, for pixels of this kind. `is_cut`: a profile was too long to be read
/// for its name.
pub(in crate::image) fn named(tags: &[Tag], is_cut: bool, kind: ColorKind) -> NamedSpace {
    if kind == ColorKind::Cmyk {
        return NamedSpace { name: ColorSpaceName::Cmyk, is_hdr: false };
    }
    let found = tags.iter().filter(|tag| tag.fits(kind)).find_map(name_of);
    found.unwrap_or(NamedSpace {
        name: if is_cut { ColorSpaceName::Other } else { ColorSpaceName::Srgb },
        is_hdr: false,
    })
}

/// `None` for a tag that says nothing.
fn name_of(tag: &Tag) -> Option<NamedSpace> {
    let colorants = match tag {
        Tag::Icc(profile) => {
            if let Some(points) = icc::code_points_of(profile).filter(|points| points.is_high_dynamic_range())
            {
                return points.primaries().map(|primaries| of_bright(points, primaries));
            }
            icc::colorants(profile)?
        }
        Tag::CodePoints(points) => {
            let primaries = points.primaries()?;
            if points.is_high_dynamic_range() {
                return Some(of_bright(*points, primaries));
            }
            Some(primaries.colorants())
        }
        Tag::Srgb => return Some(NamedSpace { name: ColorSpaceName::Srgb, is_hdr: false }),
        Tag::Gamma { primaries, .. } => Some(primaries.unwrap_or(SRGB).colorants()),
    };
    let known = match colorants {
        Some(colorants) => nearest(colorants),
        // Gray has a curve alone.
        None if tag.fits(ColorKind::Gray) => ColorSpaceName::Srgb,
        None => ColorSpaceName::Other,
    };
    let has_its_curve = match known {
        ColorSpaceName::Srgb => is_same(tag, Gamut::Srgb)?,
        ColorSpaceName::DisplayP3 => is_same(tag, Gamut::DisplayP3)?,
        _ => true,
    };
    Some(NamedSpace { name: if has_its_curve { known } else { ColorSpaceName::Other }, is_hdr: false })
}

fn of_bright(points: CodePoints, primaries: Primaries) -> NamedSpace {
    let name = match nearest(primaries.colorants()) {
        ColorSpaceName::Rec2020 if points.is_hybrid() => ColorSpaceName::Rec2100Hlg,
        ColorSpaceName::Rec2020 => ColorSpaceName::Rec2100Pq,
        _ => ColorSpaceName::Other,
    };
    NamedSpace { name, is_hdr: true }
}

/// Whether pixels so tagged are shown in these colours without a conversion.
fn is_same(tag: &Tag, gamut: Gamut) -> Option<bool> {
    cache::meaning(tag, gamut).map(|meaning| matches!(meaning, Meaning::Same))
}

fn nearest(colorants: Colorants) -> ColorSpaceName {
    let is_alike = |known: &Colorants| {
        known
            .iter()
            .flatten()
            .zip(colorants.iter().flatten())
            .all(|(left, right)| (left - right).abs() < ALIKE)
    };
    KNOWN.iter().find(|(_, known)| is_alike(known)).map_or(ColorSpaceName::Other, |(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use moxcms::ColorProfile;

    use super::*;

    fn name(tag: Tag) -> &'static str {
        named(&[tag], false, ColorKind::Rgb).name.as_str()
    }

    fn profile(profile: &ColorProfile) -> Tag<'static> {
        Tag::Icc(profile.encode().unwrap().into())
    }

    #[test]
    fn the_profiles_in_use_have_their_names() {
        for (made, expected) in [
            (ColorProfile::new_srgb(), "srgb"),
            (ColorProfile::new_display_p3(), "display-p3"),
            (ColorProfile::new_adobe_rgb(), "a98-rgb"),
            (ColorProfile::new_pro_photo_rgb(), "prophoto-rgb"),
            (ColorProfile::new_bt2020(), "rec2020"),
            (ColorProfile::new_dci_p3(), "other"),
        ] {
            assert_eq!(name(profile(&made)), expected);
        }
        // sRGB's primaries with another curve.
        let mut steep = ColorProfile::new_srgb();
        for curve in [&mut steep.red_trc, &mut steep.green_trc, &mut steep.blue_trc] {
            *curve = Some(moxcms::curve_from_gamma(1.8));
        }
        assert_eq!(name(profile(&steep)), "other");
    }

    #[test]
    fn code_points_have_the_names_of_their_primaries_and_bright_ones_of_their_curves() {
        let points = |primaries, transfer| Tag::CodePoints(CodePoints { primaries, transfer });
        let gamma = |gamma| Tag::Gamma { gamma: Some(gamma), primaries: None };
        for (tag, expected, is_hdr) in [
            (points(1, 13), "srgb", false),
            (points(12, 13), "display-p3", false),
            (points(9, 1), "rec2020", false),
            (points(9, 16), "rec2100-pq", true),
            (points(9, 18), "rec2100-hlg", true),
            (points(12, 16), "other", true),
            (points(5, 1), "other", false),
            (Tag::Srgb, "srgb", false),
            (gamma(45_455), "srgb", false),
            (gamma(100_000), "other", false),
        ] {
            let found = named(&[tag], false, ColorKind::Rgb);
            assert_eq!((found.name.as_str(), found.is_hdr), (expected, is_hdr));
        }
    }

    #[test]
    fn a_tag_that_says_nothing_leaves_the_next_one_or_srgb() {
        let p3 = || Tag::CodePoints(CodePoints { primaries: 12, transfer: 13 });
        let junk = || Tag::Icc(b"junk".as_slice().into());
        let says = |tags: &[Tag], is_cut, kind| named(tags, is_cut, kind).name.as_str();
        assert_eq!(says(&[junk(), p3()], false, ColorKind::Rgb), "display-p3");
        assert_eq!(says(&[junk()], false, ColorKind::Rgb), "srgb");
        assert_eq!(says(&[], false, ColorKind::Gray), "srgb");
        assert_eq!(says(&[], true, ColorKind::Rgb), "other");
        assert_eq!(says(&[], true, ColorKind::Cmyk), "cmyk");
    }
}
