//! Variants: a file of the asked format that decodes, or an error.

use reticulum::image::decode;
use reticulum::image::decoded_planes::DecodedPlanes;
use reticulum::image::header::Limits;
use reticulum::image::inspect;
use reticulum::image::light::LightSetting;
use reticulum::image::placeholder::Placeholder;
use reticulum::image::recipe::{AnimationMax, Originals, OutputMax, Quality, Recipe, RecipeSettings};
use reticulum::image::small_picture::SmallPicture;
use reticulum::image::variant;
use reticulum::object::{Format, Spec};

use super::{LIMITS, choice};

/// As in the configuration, but for bounds.
pub(crate) const SETTINGS: RecipeSettings = RecipeSettings {
    quality: Quality { jpeg: 82, webp: 80, avif: 60 },
    upscale: false,
    dimension_max: 512,
    animation: AnimationMax { frames: LIMITS.frames_max, pixels: 5 * LIMITS.pixels_max },
    output_max: OutputMax::NONE,
    originals: Originals::AsIs,
    light: LightSetting::Auto,
};

const RECIPES: [(&str, Format); 16] = [
    ("30w", Format::Jpeg),
    ("30w", Format::Png),
    ("20s,g-smart", Format::Webp),
    ("full", Format::Jpeg),
    ("full,rot90,meta", Format::Png),
    ("full,meta", Format::Webp),
    ("40w30h,fill,g-ne,trim", Format::Jpeg),
    ("40w30h,pad,bg-336699", Format::Png),
    ("100w100h,stretch,up,flip", Format::Jpeg),
    ("25h,crop-3-5-70-50,blur1.5,sharpen1", Format::Png),
    ("24s", Format::Gif),
    ("24w", Format::Webp),
    ("full", Format::Gif),
    ("17w,grey,rot270", Format::Jpeg),
    ("16w,frame1", Format::Png),
    ("64w64h,fill,up,g-x0.1y0.9", Format::Webp),
];

/// A file, and which recipe.
pub fn render(data: &[u8]) {
    let (spec, format) = RECIPES[choice(data, RECIPES.len())];
    let spec = Spec::parse(spec).expect("a spec");
    let recipe = Recipe::resolve(&spec, format, &SETTINGS).expect("a recipe");
    let Ok(prepared) = variant::prepare(data, &recipe, &LIMITS) else { return };
    assert!(prepared.peak_bytes() > 0);
    let mut samples = DecodedPlanes::Collect;
    let mut small = SmallPicture::Wanted;
    let Ok(file) = prepared.make_with_small(&mut samples, &mut small, &|| true) else { return };
    if let Some(pixels) = small.into_pixels() {
        assert!(Placeholder::of(pixels).is_some(), "{recipe}: the small picture is too large");
    }
    if let DecodedPlanes::Collected(samples) = samples {
        let again = prepared.make(&mut DecodedPlanes::Reuse(samples), &|| true);
        assert!(again.as_ref() == Ok(&file), "{recipe}: kept samples give another file");
    }
    // With its sides within the bounds of what may be asked for, or its source's.
    let limits = Limits { pixels_max: LIMITS.pixels_max.max(512 * 512), ..LIMITS };
    let header = inspect::inspect(&file, limits).unwrap_or_else(|error| panic!("{recipe}: {error}"));
    assert_eq!(header.format, format);
    let pixels = decode::decode(&file, &header, None, &limits, &|| true);
    assert_eq!(pixels.unwrap_or_else(|error| panic!("{recipe}: {error}")).size(), header.stored());
}
