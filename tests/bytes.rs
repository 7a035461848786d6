//! The very bytes of variants, pinned: equal on every machine, whatever its processor knows, until the encoder version
//! changes.
//!
//! An entity tag promises that equal tags mean equal bytes, and nodes of a cluster may have unlike processors. A dependency
//! that picks its instructions while it runs must not let that show; one that draws otherwise since its last release
//! must not slip in below the same version.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use reticulum::image::decoded_planes::DecodedPlanes;
use reticulum::image::encode;
use reticulum::image::header::Limits;
use reticulum::image::light::LightSetting;
use reticulum::image::pixels::{PixelKind, Pixels};
use reticulum::image::recipe::{
    AnimationMax, ENCODER_VERSION, Originals, OutputMax, Quality, Recipe, RecipeSettings,
};
use reticulum::image::shape::Size;
use reticulum::image::variant::{self, VariantFault};
use reticulum::object::{Format, ObjectId, Spec};
use sha1::{Digest, Sha1};

/// What [`every_variant`] digests to, by version.
const PINNED: (u32, &str) = (7, "79e29cbcf6450947f3b0eb87ad7e288a263e5eb1");

const LIMITS: Limits = Limits { pixels_max: 1 << 20, frames_max: 10 };

/// Odd sides, so that vectors have tails.
const SIZES: [Size; 3] =
    [Size { width: 211, height: 157 }, Size { width: 64, height: 48 }, Size { width: 7, height: 5 }];

const KINDS: [PixelKind; 4] = [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba];

const VARIANTS: [(&str, Format); 16] = [
    ("50w", Format::Jpeg),
    ("50w", Format::Png),
    ("50w", Format::Webp),
    ("50w", Format::Gif),
    ("full,flip", Format::Jpeg),
    ("full", Format::Webp),
    ("full", Format::Png),
    ("97w,crop-3-2-160-141,rot90", Format::Jpeg),
    ("33s,g-smart", Format::Png),
    ("40w40h,fill", Format::Webp),
    ("150w,blur1.5,sharpen1", Format::Png),
    ("31w,grey", Format::Jpeg),
    ("300w,up", Format::Png),
    ("90w80h,pad,bg-336699", Format::Jpeg),
    ("50w,p3", Format::Png),
    ("full,p3", Format::Jpeg),
];

/// Numbers that look random.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 24
    }
}

/// Slow slopes, edges and noise, in integers.
fn scene(size: Size, kind: PixelKind) -> Pixels {
    let mut noise = Noise(1);
    let mut data = Vec::new();
    for (y, x) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x))) {
        for channel in 0..kind.channels() as u32 {
            let edge = if (x / 9 + y / 13 + channel) % 3 == 0 { 70 } else { 0 };
            let value = x * (channel + 1) / 2 + y / (channel + 1) + edge + noise.next() / 8;
            data.push(value.min(255) as u8);
        }
    }
    Pixels::new(size, kind, data).expect("a picture")
}

/// Luma and colour differences in cells of 16 × 16, which a JPEG of any sampling holds as they are. Anything finer the
/// encoder below rounds in one way with some instructions and in another with others.
fn cells(size: Size) -> Vec<u8> {
    let mut noise = Noise(2);
    let colors: Vec<_> =
        (0..256).map(|_| [noise.next() as u8, noise.next() as u8, noise.next() as u8]).collect();
    let cell = |x: u32, y: u32| colors[(x / 16 + 16 * (y / 16)) as usize];
    (0..size.height).flat_map(|y| (0..size.width).flat_map(move |x| cell(x, y))).collect()
}

/// JPEGs as the program does not write them.
fn jpegs(size: Size) -> Vec<Vec<u8>> {
    let samplings = [
        (SamplingFactor::R_4_4_4, false),
        (SamplingFactor::R_4_2_2, false),
        (SamplingFactor::R_4_4_0, false),
        (SamplingFactor::R_4_2_0, true),
        (SamplingFactor::R_4_1_1, false),
    ];
    let written = |(sampling, progressive)| {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 90);
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(progressive);
        let (width, height) = (size.width as u16, size.height as u16);
        encoder.encode(&cells(size), width, height, ColorType::Ycbcr).expect("a JPEG");
        bytes
    };
    samplings.map(written).into()
}

fn sources() -> Vec<Vec<u8>> {
    let mut sources = Vec::new();
    for size in SIZES {
        for format in [Format::Jpeg, Format::Png, Format::Webp, Format::Gif] {
            let file = |kind| encode::encode(scene(size, kind), format, Some(90)).expect("a file");
            sources.extend(KINDS.map(file));
        }
        sources.extend(jpegs(size));
    }
    sources
}

/// `None` if there is no such part of the picture.
fn made(source: &[u8], spec: &str, format: Format) -> Option<Vec<u8>> {
    let quality = Quality { jpeg: 80, webp: 80, avif: 60 };
    let animation = AnimationMax { frames: 10, pixels: 1 << 20 };
    let settings = RecipeSettings {
        quality,
        upscale: false,
        dimension_max: 512,
        animation,
        output_max: OutputMax::NONE,
        originals: Originals::AsIs,
        light: LightSetting::Auto,
    };
    let spec = Spec::parse(spec).expect("a spec");
    let recipe = Recipe::resolve(&spec, format, &settings).expect("a recipe");
    match variant::prepare(source, &recipe, &LIMITS) {
        Ok(prepared) => Some(prepared.make(&mut DecodedPlanes::Ignore, &|| true).expect("a variant")),
        Err(VariantFault::Render(_)) => None,
        Err(fault) => panic!("{spec:?}: {fault}"),
    }
}

fn hex(digest: Sha1) -> String {
    ObjectId::from_digest(digest.finalize().into()).to_string()
}

/// A line for each source, and in it a number for each format: what the variants digest to.
fn every_variant() -> String {
    let shortened = |digest: Sha1| hex(digest)[..8].to_owned();
    let line = |source: Vec<u8>| {
        let mut line = shortened(Sha1::new_with_prefix(&source));
        for to in [Format::Jpeg, Format::Png, Format::Webp, Format::Gif] {
            let specs = VARIANTS.iter().filter(|(_, format)| *format == to);
            let files = specs.filter_map(|(spec, _)| made(&source, spec, to));
            let digest = files.fold(Sha1::new(), |digest, file| digest.chain_update(file));
            line = format!("{line} {}", shortened(digest));
        }
        line
    };
    let mut lines: Vec<_> = sources().into_iter().map(line).collect();
    let avif = encode::encode(scene(SIZES[1], PixelKind::Rgba), Format::Avif, Some(60)).expect("a file");
    let shown = made(&avif, "full", Format::Png).expect("a picture");
    lines.extend([avif, shown].map(|file| shortened(Sha1::new_with_prefix(file))));
    lines.join("\n")
}

#[test]
fn bytes_change_only_with_the_encoder_version() {
    let lines = every_variant();
    let digest = hex(Sha1::new_with_prefix(&lines));
    assert_eq!(
        (ENCODER_VERSION, &digest[..]),
        PINNED,
        "variants have other bytes: raise the version and pin them again, unless it is this processor alone\n{lines}"
    );
}
