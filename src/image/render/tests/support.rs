//! Helpers of the pipeline tests: headers, pictures, generated files, and the similarity of two pictures.

use crate::image::decode;
use crate::image::header::ColorKind;
use crate::image::light::LightSetting;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::recipe::{AnimationMax, Originals, OutputMax, Quality, RecipeSettings, TargetSize};
use crate::image::render::*;
use crate::image::tests::support;
pub(in crate::image::render) use crate::image::tests::support::{always, photo};
use crate::object::Format;
use crate::object::Spec;

pub(in crate::image::render) const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 1000 };

/// The formats that are read and written.
pub(in crate::image::render) const FORMATS: [Format; 5] =
    [Format::Jpeg, Format::Png, Format::Gif, Format::Webp, Format::Avif];

pub(in crate::image::render) const KINDS: [PixelKind; 4] =
    [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba];

pub(in crate::image::render) fn header(format: Format, size: Size, kind: PixelKind) -> Header {
    let color = match kind {
        PixelKind::Gray => ColorKind::Gray,
        PixelKind::GrayAlpha => ColorKind::GrayAlpha,
        PixelKind::Rgb => ColorKind::Rgb,
        PixelKind::Rgba => ColorKind::Rgba,
    };
    support::header(format, size, color)
}

/// The recipe of this spec, at quality 90.
pub(in crate::image::render) fn recipe(spec: &str, format: Format) -> Recipe {
    let quality = Quality { jpeg: 90, webp: 90, avif: 90 };
    let animation = AnimationMax { frames: LIMITS.frames_max, pixels: 5 * LIMITS.pixels_max };
    let settings = RecipeSettings {
        quality,
        upscale: false,
        dimension_max: 8192,
        animation,
        output_max: OutputMax::NONE,
        originals: Originals::AsIs,
        light: LightSetting::Auto,
    };
    Recipe::resolve(&Spec::parse(spec).unwrap(), format, &settings).unwrap()
}

/// A variant that leaves no small picture.
pub(in crate::image::render) fn render(
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
    planes: &mut DecodedPlanes,
    progress: &dyn ProgressSink,
) -> Result<Vec<u8>, RenderError> {
    variant(source, header, recipe, limits, planes, &mut SmallPicture::Unwanted, progress)
}

/// The whole picture, at its own size.
pub(in crate::image::render) fn full(format: Format) -> Recipe {
    recipe("full", format)
}

/// The whole picture, at this size.
pub(in crate::image::render) fn scaled(to: Size, format: Format) -> Recipe {
    let target = TargetSize::Stretch { width: to.width, height: to.height };
    Recipe { target, upscale: true, ..full(format) }
}

/// A file of this format that holds `pixels`, as well as it can.
pub(in crate::image::render) fn file(pixels: &Pixels, format: Format) -> Vec<u8> {
    encode::encode(pixels.clone(), format, Some(95)).unwrap()
}

/// The first frame of a file from our own encoder.
pub(in crate::image::render) fn decoded(bytes: &[u8], format: Format, size: Size) -> Pixels {
    decode::decode(bytes, &header(format, size, PixelKind::Rgba), None, &LIMITS, &always).unwrap()
}

/// Similarity in decibels over red, green and blue, on white; infinite for equal pictures.
pub(in crate::image::render) fn psnr(left: &Pixels, right: &Pixels) -> f64 {
    assert_eq!(left.size(), right.size());
    support::psnr(&colors(left), &colors(right))
}

fn colors(pixels: &Pixels) -> Vec<u8> {
    let flat = effect::flattened(pixels.clone(), [255; 3]);
    match flat.kind() {
        PixelKind::Gray => flat.data().iter().flat_map(|&luma| [luma; 3]).collect(),
        _ => flat.into_data(),
    }
}
