//! JPEG: gray stays gray, everything else becomes RGB, and CMYK becomes sRGB at once.
//!
//! From the Adobe segment the library guesses the colours of fewer files than exist. So this module reads the segments
//! before the first scan once ([`ColorSegments`]) and configures the decoder. It is lenient where browsers are: it
//! skips bytes before the first marker and between segments, and a scan that ends early leaves the rest gray.

use std::borrow::Cow;

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{CORRUPT, SIZE_DIFFERS, UNSUPPORTED};
use crate::image::color::cmyk::{self, CmykEncoding};
use crate::image::container::jpeg::{SOS, Segments, from_start_of_image};
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
    let colors = ColorSegments::read(source).ok_or(CORRUPT)?;
    if colors.scans_apart
        && let Some(jpeg) = Jpeg::read(source).filter(|jpeg| jpeg.size() == size)
    {
        let whole = ShrinkOnLoad::whole(jpeg);
        return whole.pixels(whole.decode(limits, keep_going)?, keep_going);
    }
    let source = colors.made_plain(source);
    let options = DecoderOptions::default()
        .set_max_width(size.width as usize)
        .set_max_height(size.height as usize)
        .jpeg_set_max_scans(SCANS_MAX)
        .set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*source), options);
    decoder.decode_headers().map_err(|error| cause(&error))?;
    if decoder.dimensions() != Some((size.width as usize, size.height as usize)) {
        return Err(SIZE_DIFFERS);
    }
    let components = decoder.info().map_or(0, |info| info.components);
    let output = match (components, decoder.input_colorspace()) {
        (1, Some(ColorSpace::Luma)) => ColorSpace::Luma,
        // The library copies samples if both colour spaces are equal: so RGB components stay as they are.
        (3, Some(ColorSpace::YCbCr)) if colors.holds_rgb() => ColorSpace::YCbCr,
        (3, Some(ColorSpace::YCbCr | ColorSpace::RGB)) => ColorSpace::RGB,
        // CMYK is copied as stored, too.
        (4, Some(stored @ (ColorSpace::CMYK | ColorSpace::YCCK))) => stored,
        _ => return Err(UNSUPPORTED),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(output));
    let mut data = vec![0; size.area() as usize * output.num_components()];
    decoder.decode_into(&mut data).map_err(|error| cause(&error))?;
    match output {
        ColorSpace::YCCK => cmyk::to_srgb(&source, CmykEncoding::InvertedYcc, &mut data),
        ColorSpace::CMYK if colors.adobe.is_some() => {
            cmyk::to_srgb(&source, CmykEncoding::Inverted, &mut data)
        }
        ColorSpace::CMYK => cmyk::to_srgb(&source, CmykEncoding::Plain, &mut data),
        _ => {}
    }
    let kind = if output == ColorSpace::Luma { PixelKind::Gray } else { PixelKind::Rgb };
    Pixels::new(size, kind, data).ok_or(CORRUPT)
}

fn cause(error: &DecodeErrors) -> RenderError {
    match error {
        DecodeErrors::Unsupported(_) => UNSUPPORTED,
        _ => CORRUPT,
    }
}

/// Components and colours, from the segments before the first scan.
struct ColorSegments {
    components: u8,
    /// A baseline file whose first scan lacks components; the others have their own scans. With subsampled colour the
    /// library gets the size of such scans wrong, and the picture turns green.
    scans_apart: bool,
    adobe: Option<Adobe>,
}

/// The Adobe segment: the transform of the components, and the fact that CMYK is stored inverted.
struct Adobe {
    /// 0: none; 1: YCbCr; 2: YCCK.
    transform: u8,
    /// The offset of that byte in the file.
    at: usize,
}

impl ColorSegments {
    /// `None` without a frame header and a scan.
    fn read(source: &[u8]) -> Option<Self> {
        let mut frame = None;
        let mut adobe = None;
        for segment in Segments::of(source) {
            match segment.marker {
                0xC4 | 0xC8 | 0xCC => {}
                0xC0..=0xCF => frame = Some((segment.marker, *segment.payload.get(5)?)),
                0xEE if segment.payload.len() >= 12 && segment.payload.starts_with(b"Adobe") => {
                    adobe = Some(Adobe { transform: segment.payload[11], at: segment.payload_start() + 11 });
                }
                SOS => {
                    let (marker, components) = frame?;
                    let scans_apart = marker <= 0xC1 && *segment.payload.first()? < components;
                    return Some(Self { components, scans_apart, adobe });
                }
                _ => {}
            }
        }
        None
    }

    fn holds_rgb(&self) -> bool {
        self.components == 3 && matches!(self.adobe, Some(Adobe { transform: 0, .. }))
    }

    /// The file with a transform that the library understands. Only rare files are copied. The library would take plain
    /// RGB for CMYK, and refuse values outside 0–2; other decoders take those for the usual transform.
    fn made_plain<'a>(&self, source: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(Adobe { transform, at }) = self.adobe else {
            return Cow::Borrowed(source);
        };
        let understood = match (self.components, transform) {
            (1, 0..=2) | (3, 1) | (4, 0 | 2) => return Cow::Borrowed(source),
            (4, _) => 2,
            _ => 1,
        };
        let mut patched = source.to_vec();
        patched[at] = understood;
        Cow::Owned(patched)
    }
}

#[cfg(test)]
mod tests;
