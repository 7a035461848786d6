use proptest::prelude::*;

use super::*;
use crate::image::tests::support::SETTINGS;

fn resolve(spec: &str, format: Format) -> Result<Recipe, RecipeError> {
    Recipe::resolve(&Spec::parse(spec).unwrap(), format, &SETTINGS)
}

fn key(spec: &str, format: Format) -> String {
    resolve(spec, format).unwrap().key()
}

#[test]
fn the_key_spells_out_every_default() {
    use Format::{Avif, Gif, Jpeg, Png, Webp};
    for (spec, format, expected) in [
        ("300w", Jpeg, "v7,jpg,300w,q82,bg-ffffff"),
        ("300w", Webp, "v7,webp,300w,q80,play1000-500000000"),
        ("300h", Avif, "v7,avif,300h,q60"),
        ("300w200h", Png, "v7,png,300w200h"),
        ("300w200h,fill,q70", Gif, "v7,gif,300w200h,fill,g-c,play1000-500000000"),
        ("100s,g-x0.5y0.3", Webp, "v7,webp,100w100h,fill,g-x0.5y0.3,q80,play1000-500000000"),
        ("9w8h,pad", Png, "v7,png,9w8h,pad"),
        ("9w8h,stretch,up", Png, "v7,png,9w8h,stretch,up"),
        ("full", Jpeg, "v7,jpg,full,q82,bg-ffffff"),
        (
            "full,q1,crop-1-2-3-4,rot90,blur3,sharpen0.5,grey,trim,bg-0a0b0c,frame0,meta",
            Jpeg,
            "v7,jpg,full,q1,crop-1-2-3-4,swap,flop,blur3,sharpen0.5,grey,trim,bg-0a0b0c,frame0,meta",
        ),
    ] {
        assert_eq!(key(spec, format), expected);
    }
}

#[test]
fn two_ways_to_say_the_same_have_one_key() {
    for (one, other) in [
        ("300w", "300w,q82"),
        ("300w", "300w,bg-ffffff"),
        ("200w,dpr2", "400w"),
        ("101w,dpr0.5", "51w"),
        ("1w,dpr0.5", "1w"),
        ("3w5h,dpr1.5", "5w8h"),
        ("100s", "100w100h,fill"),
        ("100s,g-n", "100w100h,g-n,fill"),
        ("100s", "100s,g-x0.5y0.5"),
        ("100s,g-se", "100s,g-x1y1"),
        ("100s,g-w", "100s,g-x0y0.5"),
        ("full,rot180", "full,flip,flop"),
        ("full,rot180,flip", "full,flop"),
        ("full,rot90,flip,flop", "full,rot270"),
        ("full,rot90,flip", "full,rot270,flop"),
    ] {
        assert_eq!(key(one, Format::Jpeg), key(other, Format::Jpeg), "{one} {other}");
    }
    assert_eq!(key("300w,q7", Format::Png), key("300w", Format::Png));
    assert_eq!(key("300w,meta", Format::Gif), key("300w", Format::Gif));
    assert_ne!(key("300w,bg-ffffff", Format::Png), key("300w", Format::Png));
}

#[test]
fn the_settings_are_in_the_key_only_as_far_as_they_change_bytes() {
    let resolve = |spec: &str, settings: &RecipeSettings| {
        Recipe::resolve(&Spec::parse(spec).unwrap(), Format::Jpeg, settings).unwrap().key()
    };
    let up = RecipeSettings { upscale: true, ..SETTINGS };
    assert_eq!(resolve("300w", &up), resolve("300w,up", &SETTINGS));
    assert_eq!(resolve("full", &up), resolve("full", &SETTINGS));
    let narrow = RecipeSettings { dimension_max: 300, ..SETTINGS };
    assert_eq!(resolve("300w", &narrow), resolve("300w", &SETTINGS));
    let coarse = RecipeSettings { quality: Quality { jpeg: 10, webp: 80, avif: 60 }, ..SETTINGS };
    assert_ne!(resolve("300w", &coarse), resolve("300w", &SETTINGS));
    assert_eq!(resolve("300w,q82", &coarse), resolve("300w", &SETTINGS));
}

#[test]
fn the_light_is_in_the_key_and_comes_back_from_it() {
    let key = |light| {
        let settings = RecipeSettings { light, ..SETTINGS };
        let spec = Spec::parse("30w,grey").unwrap();
        let recipe = Recipe::resolve(&spec, Format::Png, &settings).unwrap();
        let key = recipe.key();
        assert_eq!(Recipe::parse(&key, 8192, OutputMax::NONE), Some(recipe), "{key}");
        assert_ne!(settings.checksum(), RecipeSettings { upscale: true, ..settings }.checksum());
        (key, settings.checksum())
    };
    let keys =
        [LightSetting::Auto, LightSetting::Always(Light::Linear), LightSetting::Always(Light::Encoded)];
    let [auto, linear, encoded] = keys.map(key);
    assert_eq!(auto.0, "v7,png,30w,grey");
    assert_eq!(linear.0, "v7,png,30w,grey,light-linear");
    assert_eq!(encoded.0, "v7,png,30w,grey,light-encoded");
    assert!(auto.1 != linear.1 && linear.1 != encoded.1 && auto.1 != encoded.1);
}

#[test]
fn what_stays_an_animation_is_in_the_key_where_it_may_change_bytes() {
    let fewer = RecipeSettings { animation: AnimationMax { frames: 9, ..SETTINGS.animation }, ..SETTINGS };
    let smaller = RecipeSettings { animation: AnimationMax { pixels: 9, ..SETTINGS.animation }, ..SETTINGS };
    for other in [fewer, smaller] {
        let differs = |spec: &str, format| {
            let key =
                |settings| Recipe::resolve(&Spec::parse(spec).unwrap(), format, settings).unwrap().key();
            key(&SETTINGS) != key(&other)
        };
        assert!(differs("30w", Format::Gif) && differs("30w", Format::Webp));
        assert!(!differs("30w,frame0", Format::Gif) && !differs("30w,frame0", Format::Webp));
        assert!(
            !differs("30w", Format::Jpeg) && !differs("30w", Format::Png) && !differs("30w", Format::Avif)
        );
    }
}

#[test]
fn an_animation_is_kept_up_to_both_bounds() {
    use crate::image::header::{ColorKind, PixelFormat};
    let header = |format, width, frames| Header {
        format,
        width,
        height: 1000,
        orientation: Orientation::NORMAL,
        frames,
        has_alpha: false,
        color: PixelFormat { kind: ColorKind::Palette, bits: 8 },
    };
    let gif = resolve("30w", Format::Gif).unwrap();
    for (kept, header) in [
        (true, header(Format::Gif, 500, 1000)),
        (true, header(Format::Webp, 1000, 2)),
        (false, header(Format::Gif, 10, 1001)),
        (false, header(Format::Gif, 501, 1000)),
        (false, header(Format::Gif, u32::MAX, u32::MAX)),
        (false, header(Format::Gif, 10, 1)),
        (false, header(Format::Png, 10, 2)),
        (false, header(Format::Avif, 10, 2)),
    ] {
        assert_eq!(gif.keeps_animation(&header), kept, "{header:?}");
    }
    let short = header(Format::Gif, 10, 2);
    assert!(!resolve("30w,frame0", Format::Gif).unwrap().keeps_animation(&short));
    assert!(!resolve("30w", Format::Png).unwrap().keeps_animation(&short));
}

#[test]
fn refuses_a_side_beyond_the_bound_after_dpr() {
    for spec in ["8192w", "8192h", "8192s", "8192w8192h", "4096w,dpr2", "16384s,dpr0.5", "full"] {
        assert!(resolve(spec, Format::Png).is_ok(), "{spec}");
    }
    for (spec, side) in [
        ("8193w", 8193),
        ("8193h", 8193),
        ("9000s", 9000),
        ("1w8193h", 8193),
        ("4097w,dpr2", 8194),
        ("99999w,dpr4", 399_996),
    ] {
        let part = Spec::parse(spec).unwrap().size;
        let refusal = RecipeError::SideTooLong { part, side, dimension_max: 8192 };
        assert_eq!(resolve(spec, Format::Png), Err(refusal), "{spec}");
    }
    assert_eq!(
        resolve("4097w100h,dpr2", Format::Png).unwrap_err().to_string(),
        "\"4097w100h\" asks for a side of 8194 pixels, dpr included: ask for at most 8192."
    );
}

#[test]
fn refuses_a_preset_that_is_not_expanded() {
    assert!(matches!(resolve("p-thumb,q70", Format::Png), Err(RecipeError::Preset(_))));
}

#[test]
fn the_etag_key_begins_the_digest_of_id_and_key() {
    let recipe = resolve("300w", Format::Png).unwrap();
    let id = ObjectId::from_digest([0x61; 20]);
    let digest = Sha1::digest(b"aaaaaaaaaaaaaaaaaaaav7,png,300w");
    assert_eq!(recipe.etag_key(&id), digest[..16]);
    assert_ne!(recipe.etag_key(&ObjectId::from_digest([0; 20])), digest[..16]);
}

const SIZES: [&str; 12] = [
    "full",
    "9w",
    "9h",
    "9w8h",
    "8w9h",
    "9w8h,fill",
    "9w8h,fill,g-n",
    "9w8h,fill,g-smart",
    "9w8h,fill,g-x0.2y1",
    "9w8h,pad",
    "9w8h,stretch",
    "8s",
];
const OPTIONS: [&str; 14] = [
    "q7",
    "crop-1-2-3-4",
    "crop-12-3-4-4",
    "rot90",
    "rot180",
    "flip",
    "flop",
    "blur1",
    "sharpen1",
    "grey",
    "trim",
    "bg-000000",
    "frame0",
    "meta",
];

prop_compose! {
    fn recipes()(
        size in proptest::sample::select(&SIZES),
        options in proptest::sample::subsequence(&OPTIONS, 0..4),
        up in any::<bool>(),
        format in proptest::sample::select(&Format::WRITTEN),
    ) -> Option<Recipe> {
        let spec = Spec::parse(format!("{size},{}", options.join(",")).trim_end_matches(',')).ok()?;
        Recipe::resolve(&spec, format, &RecipeSettings { upscale: up, ..SETTINGS }).ok()
    }
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_for_equal_recipes(one in recipes(), other in recipes()) {
        if let (Some(one), Some(other)) = (one, other) {
            prop_assert_eq!(one.key() == other.key(), one == other);
        }
    }

    #[test]
    fn a_recipe_is_read_back_from_its_key(recipe in recipes(), other in ".{0,40}") {
        if let Some(recipe) = recipe {
            let key = recipe.key();
            prop_assert_eq!(Recipe::parse(&key, recipe.dimension_max, OutputMax::NONE), Some(recipe));
            prop_assert_eq!(Recipe::parse(&format!("{key},{other}"), 8192, OutputMax::NONE), None);
        }
        prop_assert_eq!(Recipe::parse(&other, 8192, OutputMax::NONE), None);
    }
}

#[test]
fn every_option_and_size_has_its_own_key() {
    let specs =
        SIZES.iter().map(ToString::to_string).chain(OPTIONS.iter().map(|option| format!("5w,{option}")));
    let mut keys: Vec<_> = specs.map(|spec| key(&spec, Format::Webp)).collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}
