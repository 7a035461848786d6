//! ICC profiles, from hostile bytes to a conversion.
//!
//! The library that reads profiles gets only the parts that it needs. A profile may name a table a thousand times, or
//! point all its tags at one large table, and each costs time and memory to read. So this module checks the header, and
//! composes a new profile from the first tag of each kind that a conversion uses, within [`TAGS_BYTES_MAX`]. It leaves
//! out texts and the tables from sRGB back to the device. A panic of the library means that it does not understand the
//! profile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moxcms::{ColorProfile, ParsingOptions};

use super::code_points::CodePoints;
use super::primaries::{self, Colorants};
use super::profile::{HEADER_BYTES, TAG_BYTES, TAGS_BYTES_MAX, written};
use super::to_gamut::{gray_curve, transform};
use super::{Conversion, Gamut, Meaning, RgbConversion};

/// Longest inflated profile that is read, in bytes. Profiles of printing presses have up to about three megabytes.
pub(super) const PROFILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most tags of a profile; real ones have about 20.
const TAGS_MAX: usize = 128;
/// Most points of a curve: the bound of the format.
const CURVE_POINTS_MAX: usize = 65_536;

/// `None` if the profile is broken, too large, or not for gray, RGB or CMYK.
pub(super) fn meaning(profile: &[u8], to: Gamut) -> Option<Meaning> {
    let profile = Profile::read(profile)?;
    // Bytes that pass the checks may still be nonsense, which must not end the whole job.
    catch_unwind(AssertUnwindSafe(|| profile.meaning(to))).ok().flatten()
}

/// The code points that a profile names.
pub(super) fn code_points_of(profile: &[u8]) -> Option<CodePoints> {
    Profile::read(profile)?.code_points
}

/// The colorants of a profile of colours; `Some(None)` for one that has tables in their place, or is gray; `None` for a
/// profile that cannot be read.
pub(super) fn colorants(profile: &[u8]) -> Option<Option<Colorants>> {
    let profile = Profile::read(profile)?;
    let read = catch_unwind(AssertUnwindSafe(|| profile.parsed())).ok().flatten()?;
    let has_none = read.red_colorant == Default::default() || profile.channels != Channels::Rgb;
    Some(if has_none { None } else { Some(primaries::colorants(&read)) })
}

/// The channels of a profile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Channels {
    Gray,
    Rgb,
    Cmyk,
}

impl Channels {
    /// The tags that a conversion from these channels uses; then the tags of tables, of which the first existing one is
    /// used.
    const fn tags(self) -> (&'static [&'static [u8; 4]], &'static [&'static [u8; 4]]) {
        match self {
            Self::Gray => (&[b"kTRC"], &[]),
            Self::Rgb => (&[b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"chad"], TABLES),
            Self::Cmyk => (&[], TABLES),
        }
    }
}

/// Tables from channels to colours: the colorimetric one, then the perceptual one.
const TABLES: &[&[u8; 4]] = &[b"A2B1", b"A2B0"];

/// The used part of a profile, as a new profile.
struct Profile {
    channels: Channels,
    code_points: Option<CodePoints>,
    bytes: Vec<u8>,
}

impl Profile {
    fn read(profile: &[u8]) -> Option<Self> {
        if profile.len() > PROFILE_BYTES_MAX {
            return None;
        }
        let (header, rest) = profile.split_first_chunk::<HEADER_BYTES>()?;
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        // Device links, abstract profiles and named colours say nothing about the channels of a picture.
        let is_of_a_device = matches!(&word(12), b"scnr" | b"mntr" | b"prtr" | b"spac");
        let channels = match &word(16) {
            b"GRAY" => Channels::Gray,
            b"RGB " => Channels::Rgb,
            b"CMYK" => Channels::Cmyk,
            _ => return None,
        };
        let (count, table) = rest.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        if !is_of_a_device || &word(36) != b"acsp" || count > TAGS_MAX {
            return None;
        }
        let table = table.get(..count * TAG_BYTES)?;
        let find = |name: &[u8; 4]| -> Option<&[u8]> {
            let tag = table.chunks_exact(TAG_BYTES).find(|tag| tag.starts_with(name))?;
            let number =
                |at: usize| u32::from_be_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]) as usize;
            profile.get(number(4)..number(4).checked_add(number(8))?)
        };
        let (plain, tables) = channels.tags();
        let table = tables.iter().find_map(|name| Some((*name, find(name)?)));
        let used: Vec<_> = plain.iter().filter_map(|name| Some((*name, find(name)?))).chain(table).collect();
        let code_points = find(b"cicp").and_then(code_points);
        Some(Self { channels, code_points, bytes: written(header, &used)? })
    }

    fn parsed(&self) -> Option<ColorProfile> {
        let options = ParsingOptions {
            max_profile_size: PROFILE_BYTES_MAX,
            max_allowed_clut_size: TAGS_BYTES_MAX,
            max_allowed_trc_size: CURVE_POINTS_MAX,
        };
        ColorProfile::new_from_slice_with_options(&self.bytes, options).ok()
    }

    fn meaning(&self, to: Gamut) -> Option<Meaning> {
        if let Some(points) = self.code_points.filter(|points| points.is_high_dynamic_range()) {
            return points.meaning(to);
        }
        let profile = self.parsed()?;
        match self.channels {
            Channels::Gray => gray_curve(&profile).map(Conversion::of_curve),
            Channels::Rgb => Conversion::of_colors(RgbConversion::Profile(transform(&profile, to)?)),
            Channels::Cmyk => Some(Meaning::Converted(Arc::new(Conversion::Cmyk(transform(&profile, to)?)))),
        }
    }
}

/// Parses a cicp tag: its type, four zeros, primaries, transfer, matrix, range.
fn code_points(tag: &[u8]) -> Option<CodePoints> {
    match tag {
        [b'c', b'i', b'c', b'p', _, _, _, _, primaries, transfer, ..] => {
            Some(CodePoints { primaries: *primaries, transfer: *transfer })
        }
        _ => None,
    }
}
