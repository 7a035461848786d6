//! Decides which jobs run in the helper process, because a call in them may run long without asking whether to
//! continue.
//!
//! All code of this crate asks every few rows. Some library calls cannot, and neither do steps that pass over a picture
//! once. Sizes alone tell whether one of them takes long. AVIF always runs there: its decoder ends the process when it
//! panics, and its encoder takes a second for a megapixel. So do HEIC and JPEG XL: the decode of a photo takes a second.

use super::layout::WindowPlacement;
use super::peak::Sizes;
use super::still;
use crate::image::decode;
use crate::image::header::{Header, Limits};
use crate::image::recipe::{Recipe, TargetSize};
use crate::image::shape::Size;
use crate::object::Format;

/// The longest call without a question, in nanoseconds. A worker checks the deadline every 50 ms; on a busy core the
/// rest takes twice as long.
const UNASKED_NS_MAX: u64 = 40_000_000;

/// Nanoseconds that calls take per pixel, measured on a core of a small server, and rounded up.
mod cost {
    /// libwebp's decoder: 14–20 for lossy files, up to 30 for lossless ones.
    pub(super) const WEBP_DECODE: u64 = 30;
    /// libwebp's decoder down to the planes of a lossy file, and their resize.
    pub(super) const WEBP_PLANES: u64 = 10;
    /// zune-jpeg: 5 for baseline files, 13 for progressive ones.
    pub(super) const JPEG_DECODE: u64 = 15;
    /// The decode of a frame of a GIF.
    pub(super) const GIF_DECODE: u64 = 10;
    /// The most expensive step of a resize, a colour conversion and a turn, for all channels.
    pub(super) const STEP: u64 = 20;
    /// The same for a plane, whose samples are a byte.
    pub(super) const PLANE_STEP: u64 = 8;
    /// The LZW of a GIF.
    pub(super) const GIF_ENCODE: u64 = 30;
    /// The lossless compression of WebP's alpha.
    pub(super) const WEBP_ALPHA: u64 = 100;
    /// libwebp's encoder asks a hundred times, so this is a hundredth of its time.
    pub(super) const WEBP_ENCODE: u64 = 3;
}

/// Whether a job that passes [`super::check`] has a call that may run longer than a worker may go without asking, or
/// that may end the process.
pub(super) fn wants_process(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits) -> bool {
    if matches!(header.format, Format::Avif | Format::Heic | Format::Jxl) || recipe.format == Format::Avif {
        return true;
    }
    // A job that is refused before anything is decoded.
    let Some(sizes) = Sizes::new(source, header, recipe, limits) else { return false };
    let longest =
        decode_ns(source, header, recipe, limits, &sizes).max(encode_ns(header, recipe, sizes.canvas));
    longest > UNASKED_NS_MAX
}

/// The longer one of decode and resize.
fn decode_ns(source: &[u8], header: &Header, recipe: &Recipe, limits: &Limits, sizes: &Sizes) -> u64 {
    let whole = times(header.stored(), cost::STEP);
    if recipe.keeps_animation(header) {
        return whole.max(frame_ns(header));
    }
    let layout = WindowPlacement::new(source, header, recipe);
    let shrunk =
        layout.as_ref().ok().and_then(|layout| still::shrunk(layout, source, header, recipe, limits).ok()?);
    if let Some((shrunk, _)) = shrunk {
        return shrunk.largest_plane().saturating_mul(cost::PLANE_STEP).max(times(sizes.resized, cost::STEP));
    }
    let part = layout.ok().and_then(|layout| still::part(&layout, recipe, limits).ok()?);
    let Some((part, _)) = part else { return whole.max(frame_ns(header)) };
    let resized = times(sizes.resized, cost::STEP);
    if decode::part_peak_bytes(source, header, recipe.frame, &part).is_some() {
        // In strips, row by row.
        resized
    } else if decode::is_of_planes(source, header, recipe.frame, &part) {
        resized.max(times(header.stored(), cost::WEBP_PLANES))
    } else {
        whole.max(frame_ns(header))
    }
}

/// One frame, for a library that decodes it in one call.
fn frame_ns(header: &Header) -> u64 {
    let per_pixel = match header.format {
        Format::Webp => cost::WEBP_DECODE,
        Format::Jpeg => cost::JPEG_DECODE,
        Format::Gif => cost::GIF_DECODE,
        // Rows are decoded one by one.
        Format::Png => 0,
        Format::Avif | Format::Heic | Format::Jxl => u64::MAX,
    };
    times(header.stored(), per_pixel)
}

/// The longest of the steps after the resize and of the encoder.
fn encode_ns(header: &Header, recipe: &Recipe, canvas: Size) -> u64 {
    let is_padded = matches!(recipe.target, TargetSize::Pad { .. });
    let may_have_alpha = recipe.background.is_none() && (is_padded || decode::kind(header).has_alpha());
    let per_pixel = match recipe.format {
        Format::Gif => cost::GIF_ENCODE,
        Format::Webp if may_have_alpha => cost::WEBP_ALPHA,
        Format::Webp => cost::WEBP_ENCODE,
        Format::Jpeg | Format::Png | Format::Heic | Format::Jxl => 0,
        Format::Avif => u64::MAX,
    };
    times(canvas, per_pixel.max(cost::STEP))
}

fn times(size: Size, per_pixel: u64) -> u64 {
    size.area().saturating_mul(per_pixel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::header::{ColorKind, Orientation, PixelFormat};
    use crate::image::pixels::PixelKind;
    use crate::image::render::tests::support::{LIMITS, file, photo, recipe};

    fn header(format: Format, width: u32, height: u32, frames: u32) -> Header {
        let color = PixelFormat { kind: ColorKind::Rgb, bits: 8 };
        let orientation = Orientation::NORMAL;
        Header { format, width, height, orientation, frames, has_alpha: format == Format::Png, color }
    }

    fn wants(header: Header, spec: &str, to: Format) -> bool {
        wants_process(&[], &header, &recipe(spec, to), &LIMITS)
    }

    #[test]
    fn avif_of_any_size_goes_to_a_process_that_may_end() {
        assert!(wants(header(Format::Avif, 8, 8, 1), "4w", Format::Jpeg));
        assert!(wants(header(Format::Png, 8, 8, 1), "4w", Format::Avif));
    }

    #[test]
    fn so_does_what_takes_long_in_one_call_and_nothing_else() {
        for (from, size, spec, to, expected) in [
            (Format::Webp, (1000, 1000), "100w", Format::Jpeg, false),
            (Format::Webp, (1500, 1000), "100w", Format::Jpeg, true),
            (Format::Gif, (1500, 1000), "100w", Format::Jpeg, false),
            (Format::Gif, (2000, 1200), "100w", Format::Jpeg, true),
            // For these only a decode of the whole picture is one call.
            (Format::Jpeg, (1500, 1000), "full", Format::Webp, false),
            (Format::Jpeg, (2000, 1500), "full", Format::Webp, true),
            (Format::Png, (700, 500), "full", Format::Webp, false),
            (Format::Png, (700, 700), "full", Format::Webp, true),
            (Format::Png, (700, 700), "full", Format::Png, false),
            (Format::Png, (1600, 1200), "full", Format::Gif, true),
            (Format::Png, (8, 8), "3000w,up", Format::Jpeg, true),
        ] {
            let header = header(from, size.0, size.1, 1);
            assert_eq!(wants(header, spec, to), expected, "{from:?} {size:?} {spec} {to:?}");
        }
    }

    #[test]
    fn a_thumbnail_of_a_photo_is_made_by_the_worker_itself() {
        let webp = file(&photo(Size { width: 1900, height: 1900 }, PixelKind::Rgb), Format::Webp);
        assert!(!wants_process(
            &webp,
            &header(Format::Webp, 1900, 1900, 1),
            &recipe("300w", Format::Jpeg),
            &LIMITS
        ));
        // A real file, which the decoder scales down to a quarter of its sides.
        let size = Size { width: 1600, height: 1200 };
        let source = file(&photo(size, PixelKind::Rgb), Format::Jpeg);
        let header = header(Format::Jpeg, size.width, size.height, 1);
        for (spec, to) in [("300w", Format::Jpeg), ("300w", Format::Webp), ("400s", Format::Png)] {
            assert!(!wants_process(&source, &header, &recipe(spec, to), &LIMITS), "{spec} {to:?}");
        }
    }

    #[test]
    fn frames_of_an_animation_count_one_by_one() {
        assert!(!wants(header(Format::Gif, 500, 400, 600), "full", Format::Gif));
        assert!(wants(header(Format::Webp, 1300, 1100, 2), "full", Format::Gif));
    }
}
