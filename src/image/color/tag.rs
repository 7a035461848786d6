//! Finds the colour tags of a file, inflates them within a bound, and puts them in order of precedence. Does not
//! interpret them.

use std::borrow::Cow;

use super::code_points::CodePoints;
use super::icc::PROFILE_BYTES_MAX;
use super::primaries::Primaries;
use crate::image::container::{avif, jpeg, jxl, png, webp};
use crate::image::header::ColorKind;
use crate::object::Format;

/// One statement of a file about its colours.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::image) enum Tag<'a> {
    /// An ICC profile, as stored in the file.
    Icc(Cow<'a, [u8]>),
    /// Code points of ITU-T H.273.
    CodePoints(CodePoints),
    /// Plain sRGB.
    Srgb,
    /// A curve and primaries; either may be sRGB's.
    Gamma {
        /// The exponent of the encoded values, in 100000ths; `None` is sRGB's curve.
        gamma: Option<u32>,
        /// `None` is sRGB's primaries.
        primaries: Option<Primaries>,
    },
}

impl Tag<'_> {
    /// Whether it can say anything about such pixels. A profile is for gray, for colours or for inks.
    pub(super) fn fits(&self, kind: ColorKind) -> bool {
        let Self::Icc(profile) = self else { return true };
        let channels = match kind {
            ColorKind::Gray | ColorKind::GrayAlpha => b"GRAY",
            ColorKind::Rgb | ColorKind::Rgba | ColorKind::Palette => b"RGB ",
            ColorKind::Cmyk => b"CMYK",
        };
        profile.get(16..20).is_some_and(|named| named == channels)
    }
}

/// All colour tags of a file, in order of precedence. None is longer than [`PROFILE_BYTES_MAX`].
pub(in crate::image) fn find(source: &[u8], format: Format) -> Vec<Tag<'_>> {
    match format {
        Format::Jpeg => of_jpeg(source).map(Tag::Icc).into_iter().collect(),
        Format::Png => of_png(source),
        Format::Webp => of_webp(source),
        // A GIF rarely has a profile, and no decoder reads it, so its author does not rely on it.
        Format::Gif => Vec::new(),
        Format::Avif | Format::Heic => of_avif(source),
        // The library has applied what else the file says.
        Format::Jxl => {
            jxl::profile(source).map(|profile| Tag::Icc(Cow::Owned(profile))).into_iter().collect()
        }
    }
}

/// After the name come the segment's number, from 1, and the number of segments.
const JPEG_ICC_NAME: &[u8] = b"ICC_PROFILE\0";

/// Joins the profile from up to 255 segments before the first scan; `None` unless all of them exist.
pub(super) fn of_jpeg(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut parts: [Option<&[u8]>; 256] = [None; 256];
    let mut count = None;
    let segments = jpeg::Segments::of(source).take_while(|segment| segment.marker != jpeg::SOS);
    for segment in segments.filter(|segment| segment.marker == jpeg::APP2) {
        let Some([number, of, part @ ..]) = segment.payload.strip_prefix(JPEG_ICC_NAME) else { continue };
        if *count.get_or_insert(*of) == *of {
            parts[usize::from(*number)].get_or_insert(part);
        }
    }
    let parts: Vec<&[u8]> = parts[1..=usize::from(count?)].iter().copied().collect::<Option<_>>()?;
    match parts[..] {
        [part] => Some(Cow::Borrowed(part)),
        _ if parts.iter().map(|part| part.len()).sum::<usize>() > PROFILE_BYTES_MAX => None,
        _ => Some(Cow::Owned(parts.concat())),
    }
}

/// The colour chunks before the picture data, the first of each kind. A profile comes before code points, because it is
/// the more exact of the two.
fn of_png(source: &[u8]) -> Vec<Tag<'_>> {
    let chunks = || png::PngChunks::of_file(source).take_while(|chunk| &chunk.name != b"IDAT");
    let first = |name: &[u8; 4]| chunks().find(|chunk| &chunk.name == name).map(|chunk| chunk.payload);
    let mut tags = Vec::new();
    tags.extend(first(b"iCCP").and_then(inflated).map(|profile| Tag::Icc(Cow::Owned(profile))));
    if let Some(&[primaries, transfer, 0, 1]) = first(b"cICP") {
        tags.push(Tag::CodePoints(CodePoints { primaries, transfer }));
    }
    tags.extend(first(b"sRGB").map(|_| Tag::Srgb));
    let gamma = first(b"gAMA").and_then(|payload| Some(u32::from_be_bytes(*payload.first_chunk()?)));
    let primaries = first(b"cHRM").and_then(Primaries::of_png);
    if gamma.is_some() || primaries.is_some() {
        tags.push(Tag::Gamma { gamma, primaries });
    }
    tags
}

/// Inflates the profile of an iCCP chunk: a name of up to 79 bytes, a zero, the method zero, a zlib stream.
fn inflated(payload: &[u8]) -> Option<Vec<u8>> {
    let name = payload.iter().take(80).position(|&byte| byte == 0)?;
    let [0, stream @ ..] = payload.get(name + 1..)? else { return None };
    fdeflate::decompress_to_vec_bounded(stream, PROFILE_BYTES_MAX).ok()
}

fn of_webp(source: &[u8]) -> Vec<Tag<'_>> {
    let profile = webp::RiffChunks::of_file(source).find(|chunk| &chunk.name == b"ICCP");
    profile.map(|chunk| Tag::Icc(Cow::Borrowed(chunk.payload))).into_iter().collect()
}

fn of_avif(source: &[u8]) -> Vec<Tag<'_>> {
    let Ok(still) = avif::AvifStill::of_file(source) else { return Vec::new() };
    let profile = still.profile.and_then(|place| avif::gather(source, &[place]));
    let code_points = still.nclx.and_then(CodePoints::of);
    profile.map(Tag::Icc).into_iter().chain(code_points.map(Tag::CodePoints)).collect()
}
