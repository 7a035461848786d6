//! JPEG at its own size: gray stays gray, everything else becomes RGB, and CMYK becomes sRGB at once.
//!
//! For the usual kinds of files the library is the fastest. All others it gets wrong or refuses, so they go the way of
//! scaled pictures, at the scale of one: samplings of any other kind, a scan for each component, four components,
//! colours that are not what the library guesses, and what it calls damaged.

use memchr::memmem;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{CORRUPT, SIZE_DIFFERS, UNSUPPORTED};
use crate::image::container::jpeg::{EOI, SOI, SOS, Segments, from_start_of_image};
use crate::image::error::RenderError;
use crate::image::header::Limits;
use crate::image::jpeg::Jpeg;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;
use crate::image::shrink_on_load::ShrinkOnLoad;

/// Most scans of a progressive file; encoders write about 10. Each costs a pass over all pixels, and the library cannot
/// be interrupted between them.
const SCANS_MAX: usize = 64;

/// Decodes the whole picture, in its own size.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let source = from_start_of_image(source).ok_or(CORRUPT)?;
    let own = Jpeg::read(source).filter(|jpeg| jpeg.size() == size);
    match own {
        Some(jpeg) if jpeg.is_common() => match decode_common(source, size, true) {
            Ok(pixels) => Ok(pixels),
            // A strict reader also minds that the end marker is missing, which is no damage.
            Err(_) if lacks_end(source) && jpeg.is_whole(limits, keep_going)? => {
                decode_common(source, size, false).or_else(|_| decode_own(jpeg, limits, keep_going))
            }
            // Where data is damaged the library gives up, and the other way continues after the next restart.
            Err(_) => decode_own(jpeg, limits, keep_going),
        },
        Some(jpeg) => decode_own(jpeg, limits, keep_going),
        None => decode_common(source, size, false),
    }
}

/// Whether there is no end marker behind the data, or only that of another file, which begins there.
fn lacks_end(source: &[u8]) -> bool {
    let scan = Segments::of(source).find(|segment| segment.marker == SOS);
    let data = scan.and_then(|scan| source.get(scan.end()..)).unwrap_or_default();
    let Some(end) = memmem::find(data, &[0xFF, EOI]) else { return true };
    memmem::find(&data[..end], &[0xFF, SOI]).is_some()
}

fn decode_own(jpeg: Jpeg<'_>, limits: &Limits, keep_going: &dyn Fn() -> bool) -> Result<Pixels, RenderError> {
    let whole = ShrinkOnLoad::whole(jpeg);
    whole.pixels(whole.decode(limits, keep_going)?, keep_going)
}

fn decode_common(source: &[u8], size: Size, is_strict: bool) -> Result<Pixels, RenderError> {
    let options = DecoderOptions::default()
        .set_max_width(size.width as usize)
        .set_max_height(size.height as usize)
        .jpeg_set_max_scans(SCANS_MAX)
        .set_strict_mode(is_strict);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(source), options);
    decoder.decode_headers().map_err(|error| cause(&error))?;
    if decoder.dimensions() != Some((size.width as usize, size.height as usize)) {
        return Err(SIZE_DIFFERS);
    }
    let (output, kind) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, PixelKind::Gray),
        Some(ColorSpace::YCbCr) => (ColorSpace::RGB, PixelKind::Rgb),
        _ => return Err(UNSUPPORTED),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(output));
    let mut data = vec![0; size.area() as usize * kind.channels()];
    decoder.decode_into(&mut data).map_err(|error| cause(&error))?;
    Pixels::new(size, kind, data).ok_or(CORRUPT)
}

fn cause(error: &DecodeErrors) -> RenderError {
    match error {
        DecodeErrors::Unsupported(_) => UNSUPPORTED,
        _ => CORRUPT,
    }
}

#[cfg(test)]
mod tests;
