//! JPEG XL, a codestream alone or in boxes, read by the crate `jxl` of the format's authors.
//!
//! Nothing is decoded here but headers and the colour profile among them. A panic of the library counts as an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jxl::api::{
    AlphaMode, Event, ExtraChannel, JxlBasicInfo, JxlColorEncoding, JxlColorProfile, JxlDecoder,
    JxlDecoderOptions, JxlPrimaries, JxlTransferFunction, ProfileLevel,
};

use crate::image::header::{ColorKind, Header, Orientation, PixelFormat};
use crate::object::Format;

/// Channels beside colours that a file of the largest allowed size may have: alpha, depth and a few spot colours.
const CHANNELS_MAX: u64 = 8;

/// A decoder that gives pixels as they are stored, with straight alpha.
pub(in crate::image) fn decoder(pixels_max: u64, scan_frames_only: bool) -> Box<JxlDecoder> {
    let mut options = JxlDecoderOptions::default();
    options.adjust_orientation = false;
    options.sample_limit =
        Some(usize::try_from(pixels_max.saturating_mul(CHANNELS_MAX)).unwrap_or(usize::MAX));
    options.alpha_mode = AlphaMode::Unpremultiplied;
    options.scan_frames_only = scan_frames_only;
    options.max_profile_level = ProfileLevel::Main10;
    Box::new(JxlDecoder::new(options))
}

/// Runs `work` and maps a panic of the library to `None`: the decoder must not be used afterwards.
pub(in crate::image) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// The header, once the decoder has passed it. Without frames: their number is 1.
pub(in crate::image) fn header(decoder: &JxlDecoder) -> Option<Header> {
    let info = decoder.basic_info()?;
    let is_gray = decoder.embedded_color_profile()?.channels() == 1;
    let has_alpha = has_alpha(info);
    let kind = match (is_gray, has_alpha) {
        (true, false) => ColorKind::Gray,
        (true, true) => ColorKind::GrayAlpha,
        (false, false) => ColorKind::Rgb,
        (false, true) => ColorKind::Rgba,
    };
    Some(Header {
        format: Format::Jxl,
        width: u32::try_from(info.size.0).ok()?,
        height: u32::try_from(info.size.1).ok()?,
        orientation: Orientation::from_exif(info.orientation as u32),
        frames: 1,
        has_alpha,
        color: PixelFormat { kind, bits: u8::try_from(info.bit_depth.bits_per_sample()).ok()? },
    })
}

fn has_alpha(info: &JxlBasicInfo) -> bool {
    info.extra_channels.iter().any(|channel| channel.ec_type == ExtraChannel::Alpha)
}

/// The statement of a file about the colours that it was made of.
pub(in crate::image) enum JxlColors {
    Icc(Vec<u8>),
    /// Primaries and curve of high dynamic range, as in ITU-T H.273.
    CodePoints {
        primaries: u8,
        transfer: u8,
    },
}

/// The colours that the header names, once the decoder has passed it.
pub(in crate::image) fn colors(decoder: &JxlDecoder) -> Option<JxlColors> {
    let profile = decoder.embedded_color_profile()?;
    if let JxlColorProfile::Simple(JxlColorEncoding::RgbColorSpace { primaries, transfer_function, .. }) =
        profile
    {
        let primaries = match primaries {
            JxlPrimaries::BT2100 => 9,
            JxlPrimaries::P3 => 12,
            _ => 1,
        };
        match transfer_function {
            JxlTransferFunction::PQ => return Some(JxlColors::CodePoints { primaries, transfer: 16 }),
            JxlTransferFunction::HLG => return Some(JxlColors::CodePoints { primaries, transfer: 18 }),
            _ => {}
        }
    }
    guarded(|| profile.try_as_icc().map(|profile| JxlColors::Icc(profile.into_owned())))?
}

/// The colour profile of the pixels that a decoder gives; `None` if the file has no readable header.
pub(in crate::image) fn profile(source: &[u8]) -> Option<Vec<u8>> {
    of_header(source, |decoder| {
        decoder.output_color_profile()?.try_as_icc().map(std::borrow::Cow::into_owned)
    })
}

/// Whether the colours were changed for a coding with loss. Those of a JPEG that was packed again were not.
pub(in crate::image) fn is_lossy(source: &[u8]) -> bool {
    of_header(source, |decoder| Some(!decoder.basic_info()?.uses_original_profile)).unwrap_or(false)
}

/// Asks a decoder that has passed the header; `None` if there is no readable one.
fn of_header<T>(source: &[u8], ask: impl FnOnce(&JxlDecoder) -> Option<T>) -> Option<T> {
    guarded(|| {
        let mut decoder = decoder(u64::MAX, true);
        let mut input = source;
        let event = decoder.process(&mut input, None, None).ok()?;
        if event == Event::BasicInfo { ask(&decoder) } else { None }
    })
    .flatten()
}
