//! Variants of HEIC photos, which are decoded reduced.

use super::support::*;
use crate::image::decode;
use crate::image::decoded_planes;
use crate::image::inspect::inspect;
use crate::image::light::{Light, LightSetting};
use crate::image::render::*;
use crate::image::resize;
use crate::image::shape::Rect;
use crate::image::tests::fixtures::{ALPHA, TALL};
use crate::image::variant;

fn made(source: &[u8], recipe: &Recipe, planes: &mut DecodedPlanes) -> Vec<u8> {
    variant::prepare(source, recipe, &LIMITS).unwrap().make(planes, &always).unwrap()
}

fn planes_of(source: &[u8], recipe: &Recipe) -> Option<(String, u64)> {
    variant::prepare(source, recipe, &LIMITS).unwrap().planes()
}

#[test]
fn a_kept_reduced_picture_gives_the_bytes_of_a_first_request() {
    for (spec, format) in [
        ("12w", Format::Jpeg),
        ("10w12h,fill,g-n,rot90", Format::Webp),
        ("5s,g-smart", Format::Png),
        ("4w,crop-3-5-40-590,grey", Format::Png),
    ] {
        let recipe = recipe(spec, format);
        let first = made(TALL, &recipe, &mut DecodedPlanes::Ignore);
        let mut left = DecodedPlanes::Collect;
        assert!(made(TALL, &recipe, &mut left) == first, "{spec}");
        let DecodedPlanes::Collected(samples) = left else { panic!("{spec}: nothing was left") };
        assert_eq!(planes_of(TALL, &recipe).unwrap().1, samples.len() as u64, "{spec}");
        assert!(made(TALL, &recipe, &mut DecodedPlanes::Reuse(samples)) == first, "{spec}");
    }
    assert_eq!(decoded_planes::head(TALL), None, "the headers of a HEIC are no file");
}

#[test]
fn a_reduced_decode_looks_like_a_whole_one_made_smaller() {
    let header = inspect(TALL, LIMITS).unwrap();
    let whole = decode::decode(TALL, &header, None, &LIMITS, &|| true).unwrap();
    for (spec, to) in [("24w", 24), ("12w", 12), ("6w", 6), ("2w", 2)] {
        let bytes = made(TALL, &recipe(spec, Format::Png), &mut DecodedPlanes::Ignore);
        let size = Size { width: to, height: (2 * 600 * to + 48) / 96 };
        let shown = decoded(&bytes, Format::Png, size);
        let all = Rect::whole(whole.size());
        let expected = resize::resize_in(Light::Linear, whole.clone(), all, size).unwrap();
        let similarity = psnr(&shown, &expected);
        assert!(similarity > 34.0, "{spec}: {similarity:.1} dB");
    }
}

#[test]
fn sizes_share_a_reduced_picture_and_whole_pictures_leave_none() {
    let named = |spec| planes_of(TALL, &recipe(spec, Format::Jpeg)).map(|(name, _)| name);
    assert_eq!(named("24w"), None, "half a picture of this size is not reduced by two with room to spare");
    assert_eq!(named("12w").as_deref(), Some("1/2 Linear"));
    assert_eq!(
        (named("6w"), named("5w,blur2")),
        (Some("1/4 Linear".to_owned()), Some("1/4 Linear".to_owned()))
    );
    assert_eq!(named("2w").as_deref(), Some("1/8 Linear"));
    let encoded = Recipe { light: LightSetting::Always(Light::Encoded), ..recipe("2w", Format::Jpeg) };
    assert_eq!(planes_of(TALL, &encoded).map(|(name, _)| name).as_deref(), Some("1/8 Encoded"));
    assert_eq!((named("full"), named("6w,trim")), (None, None));
    assert_eq!(planes_of(ALPHA, &recipe("6w", Format::Png)), None, "alpha weighs colours");
}

#[test]
fn a_photo_of_any_size_goes_to_a_process_and_is_charged_for() {
    for (source, spec) in [(TALL, "6w"), (TALL, "full"), (ALPHA, "6w")] {
        let recipe = recipe(spec, Format::Jpeg);
        let prepared = variant::prepare(source, &recipe, &LIMITS).unwrap();
        assert!(prepared.wants_process(), "{spec}");
        let header = inspect(source, LIMITS).unwrap();
        assert!(prepared.peak_bytes() > header.stored().area() * 3, "{spec}");
    }
}
