//! Stages are reported in order, whichever way makes the variant.

use std::cell::RefCell;

use super::support::*;
use crate::image::pixels::PixelKind;
use crate::image::render::*;
use crate::image::variant;
use crate::object::Format;
use RenderStage::{Decode, Encode, Resize};

/// Records the stages, and always continues.
#[derive(Default)]
struct RecordedStages(RefCell<Vec<RenderStage>>);

impl ProgressSink for RecordedStages {
    fn keep_going(&self) -> bool {
        true
    }

    fn enter_stage(&self, step: RenderStage) {
        self.0.borrow_mut().push(step);
    }
}

const SIZE: Size = Size { width: 240, height: 180 };

fn record_stages(source: &[u8], recipe: &Recipe, planes: &mut DecodedPlanes) -> Vec<RenderStage> {
    let told = RecordedStages::default();
    variant::prepare(source, recipe, &LIMITS).unwrap().make(planes, &told).unwrap();
    told.0.into_inner()
}

/// The stages of a still without decoded planes to reuse.
fn record_still(source: &[u8], spec: &str, to: Format) -> Vec<RenderStage> {
    record_stages(source, &recipe(spec, to), &mut DecodedPlanes::Ignore)
}

#[test]
fn a_jpeg_is_decoded_resized_and_encoded_as_planes_or_as_pixels() {
    let source = file(&photo(SIZE, PixelKind::Rgb), Format::Jpeg);
    for (spec, to) in [
        ("60w", Format::Jpeg),
        ("60w", Format::Png),
        ("60w,grey", Format::Jpeg),
        ("60s,g-smart", Format::Webp),
    ] {
        assert_eq!(record_still(&source, spec, to), [Decode, Resize, Encode], "{spec} {to:?}");
    }
    // The other decoder makes a variant at the source's size, and one that needs pixels first.
    for spec in ["full,flip", "60w,trim"] {
        assert_eq!(record_still(&source, spec, Format::Jpeg), [Decode, Resize, Encode], "{spec}");
    }
}

#[test]
fn kept_samples_are_not_decoded() {
    let source = file(&photo(SIZE, PixelKind::Rgb), Format::Jpeg);
    let recipe = recipe("60w", Format::Jpeg);
    let mut planes = DecodedPlanes::Collect;
    assert_eq!(record_stages(&source, &recipe, &mut planes), [Decode, Resize, Encode]);
    let DecodedPlanes::Collected(samples) = planes else { panic!("no samples were left") };
    assert_eq!(record_stages(&source, &recipe, &mut DecodedPlanes::Reuse(samples)), [Resize, Encode]);
}

#[test]
fn rows_of_a_png_go_back_and_forth_once_for_each_strip() {
    let source = file(&photo(SIZE, PixelKind::Rgba), Format::Png);
    // 45 rows are three strips. The lower edge completes the last strips at once, so they are made in one step.
    let steps = record_still(&source, "60w", Format::Webp);
    assert_eq!(steps[..3], [Decode, Resize, Decode]);
    assert_eq!(steps[steps.len() - 2..], [Resize, Encode]);
    let strips = steps.iter().filter(|step| **step == Resize).count() - 1;
    assert_eq!(strips, 3, "{steps:?}");
    assert_eq!(steps.len(), 1 + 2 * strips + 2, "{steps:?}");
    // Trimming needs the whole picture, so it is decoded completely.
    assert_eq!(record_still(&source, "60w,trim", Format::Png), [Decode, Resize, Encode]);
}

#[test]
fn a_webp_is_decoded_and_then_scaled_in_planes_or_as_a_whole() {
    for (kind, spec) in [(PixelKind::Rgb, "60w"), (PixelKind::Rgb, "200w"), (PixelKind::Rgba, "60w")] {
        let source = file(&photo(SIZE, kind), Format::Webp);
        assert_eq!(record_still(&source, spec, Format::Jpeg), [Decode, Resize, Encode], "{kind:?} {spec}");
    }
}

#[test]
fn every_frame_of_an_animation_goes_through_all_steps() {
    let mut animation = encode::animation(Format::Gif, SIZE, 0, None).unwrap();
    for kind in [PixelKind::Rgb, PixelKind::Rgba, PixelKind::Rgb] {
        animation.push(photo(SIZE, kind), 50, &always).unwrap();
    }
    let source = animation.finish(&always).unwrap();
    for to in [Format::Gif, Format::Webp] {
        let mut expected = [Decode, Resize, Encode].repeat(3);
        // A decode finds that there is no fourth frame, and an encode writes the end.
        expected.extend([Decode, Encode]);
        assert_eq!(record_still(&source, "60w", to), expected, "{to:?}");
    }
    assert_eq!(record_still(&source, "60w", Format::Jpeg), [Decode, Resize, Encode], "its first frame");
}

#[test]
fn a_picture_that_is_only_looked_at_is_not_encoded() {
    let source = file(&photo(SIZE, PixelKind::Rgb), Format::Jpeg);
    let told = RecordedStages::default();
    let recipe = crate::image::placeholder::recipe();
    let prepared = variant::prepare(&source, &recipe, &LIMITS).unwrap();
    prepared.placeholder(&mut DecodedPlanes::Ignore, &told).unwrap();
    assert_eq!(told.0.into_inner(), [Decode, Resize]);
}
