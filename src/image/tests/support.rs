//! Shared by the tests of pictures: recipes' settings, headers, pictures, files made on the spot, and how alike two
//! pictures are.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::image::draw;
use crate::image::header::{ColorKind, Header, Orientation, PixelFormat};
use crate::image::light::LightSetting;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::recipe::{AnimationMax, Originals, OutputMax, Quality, RecipeSettings};
use crate::image::shape::Size;
use crate::object::Format;

/// The defaults of the configuration.
pub(in crate::image) const SETTINGS: RecipeSettings = RecipeSettings {
    quality: Quality { jpeg: 82, webp: 80, avif: 60 },
    upscale: false,
    dimension_max: 8192,
    animation: AnimationMax { frames: 1000, pixels: 500_000_000 },
    output_max: OutputMax::NONE,
    originals: Originals::AsIs,
    light: LightSetting::Auto,
};

/// Every sampling that the JPEG encoder at hand can write.
pub(in crate::image) const JPEG_SAMPLINGS: [SamplingFactor; 8] = [
    SamplingFactor::R_4_4_4,
    SamplingFactor::R_4_2_2,
    SamplingFactor::R_4_2_0,
    SamplingFactor::R_4_4_0,
    SamplingFactor::R_4_1_1,
    SamplingFactor::R_4_1_0,
    SamplingFactor::F_2_2,
    SamplingFactor::F_1_4,
];

/// Sides on and off the grid of a JPEG's blocks, and smaller than one.
pub(in crate::image) const JPEG_SIZES: [(u32, u32); 5] = [(64, 48), (67, 45), (33, 17), (16, 1), (3, 40)];

/// Goes on, however often it is asked.
pub(in crate::image) fn always() -> bool {
    true
}

/// Of a still that is stored upright, with 8 bits to a channel.
pub(in crate::image) fn header(format: Format, size: Size, kind: ColorKind) -> Header {
    Header {
        format,
        width: size.width,
        height: size.height,
        orientation: Orientation::NORMAL,
        frames: 1,
        has_alpha: matches!(kind, ColorKind::GrayAlpha | ColorKind::Rgba),
        color: PixelFormat { kind, bits: 8 },
    }
}

/// A photo-like picture of any kind.
pub(in crate::image) fn photo(size: Size, kind: PixelKind) -> Pixels {
    let scene = draw::sample(if kind.has_alpha() { 3 } else { 0 }, size).unwrap();
    let channels = scene.kind().channels();
    let pixel = |pixel: &[u8]| match kind {
        PixelKind::Gray => vec![pixel[1]],
        PixelKind::GrayAlpha => vec![pixel[1], pixel[3]],
        PixelKind::Rgb | PixelKind::Rgba => pixel.to_vec(),
    };
    Pixels::new(size, kind, scene.data().chunks_exact(channels).flat_map(pixel).collect()).unwrap()
}

/// The picture as another encoder writes it, with what `set` sets.
pub(in crate::image) fn jpeg_file(
    pixels: &Pixels,
    quality: u8,
    set: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let Size { width, height } = pixels.size();
    let color = if pixels.kind() == PixelKind::Gray { ColorType::Luma } else { ColorType::Rgb };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    set(&mut encoder);
    encoder.encode(pixels.data(), width as u16, height as u16, color).unwrap();
    bytes
}

/// Mean distance of samples.
pub(in crate::image) fn mean_apart(left: &[u8], right: &[u8]) -> f64 {
    assert_eq!(left.len(), right.len());
    let pairs = left.iter().zip(right);
    pairs.map(|(left, right)| f64::from(left.abs_diff(*right))).sum::<f64>() / left.len() as f64
}

/// Mean distance of the channels of two pictures of one size and kind.
pub(in crate::image) fn distance(left: &Pixels, right: &Pixels) -> f64 {
    assert_eq!((left.size(), left.kind()), (right.size(), right.kind()));
    mean_apart(left.data(), right.data())
}

/// Similarity of samples in decibels; infinite for equal ones.
pub(in crate::image) fn psnr(left: &[u8], right: &[u8]) -> f64 {
    assert_eq!(left.len(), right.len());
    let square = |(left, right): (&u8, &u8)| (f64::from(*left) - f64::from(*right)).powi(2);
    let error = left.iter().zip(right).map(square).sum::<f64>() / left.len() as f64;
    10.0 * (255.0 * 255.0 / error).log10()
}
