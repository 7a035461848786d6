use proptest::prelude::*;

use super::*;
use crate::image::header::Orientation;
use crate::image::tests::support::SETTINGS;
use crate::image::transform::Transform;
use crate::object::Format;
use crate::object::Spec;
use crate::object::spec::Hundredths;

const PIXELS_MAX: u64 = 100_000_000;

fn recipe_as(spec: &str, format: Format) -> Recipe {
    Recipe::resolve(&Spec::parse(spec).unwrap(), format, &SETTINGS).unwrap()
}

fn recipe(spec: &str) -> Recipe {
    recipe_as(spec, Format::Jpeg)
}

fn size((width, height): (u32, u32)) -> Size {
    Size { width, height }
}

/// Both steps, without trimming between them.
fn settle(displayed: Size, recipe: &Recipe, pixels_max: u64) -> Result<Plan, GeometryError> {
    plan(cut(displayed, recipe)?.size(), recipe, pixels_max)
}

fn planned(displayed: (u32, u32), spec: &str) -> Plan {
    settle(size(displayed), &recipe(spec), PIXELS_MAX)
        .unwrap_or_else(|error| panic!("{displayed:?} {spec}: {error}"))
}

fn refusal(displayed: (u32, u32), spec: &str, format: Format) -> GeometryError {
    settle(size(displayed), &recipe_as(spec, format), PIXELS_MAX).expect_err(spec)
}

#[test]
fn sizes_are_exact() {
    for (displayed, spec, sides) in [
        ((4000, 3000), "full", (4000, 3000)),
        ((4000, 3000), "300w", (300, 225)),
        ((4000, 3000), "300h", (400, 300)),
        ((4000, 3000), "300w300h", (300, 225)),
        ((3000, 4000), "300w300h", (225, 300)),
        ((4000, 3000), "300w225h", (300, 225)),
        ((4000, 3000), "300s", (300, 300)),
        ((4000, 3000), "300w200h,fill", (300, 200)),
        ((4000, 3000), "150w,dpr2", (300, 225)),
        ((4000, 3000), "333w,dpr0.5", (167, 125)),
        // Halves round up: 3 × 5 ÷ 10 = 1.5, 1 × 3 ÷ 10 = 0.3, 7 × 3 ÷ 6 = 3.5.
        ((10, 3), "5w", (5, 2)),
        ((10, 1), "3w", (3, 1)),
        ((7, 6), "3h", (4, 3)),
        ((7, 6), "9w3h", (4, 3)),
        // Never larger than the source.
        ((40, 30), "300w", (40, 30)),
        ((40, 30), "300h", (40, 30)),
        ((40, 30), "300w200h", (40, 30)),
        ((40, 30), "300w20h", (27, 20)),
        ((333, 77), "100s", (77, 77)),
        ((40, 30), "300w200h,fill", (40, 27)),
        ((40, 10), "30w20h,fill", (15, 10)),
        ((10, 10), "3w2h,fill", (3, 2)),
        ((2, 2), "300w1h,fill", (2, 1)),
        ((40, 30), "300w20h,stretch", (40, 20)),
        ((40, 30), "300w300h,stretch", (40, 30)),
        // Unless asked for.
        ((40, 30), "300w,up", (300, 225)),
        ((40, 30), "300h,up", (400, 300)),
        ((40, 30), "300w200h,up", (267, 200)),
        ((40, 30), "300w200h,fill,up", (300, 200)),
        ((333, 77), "100s,up", (100, 100)),
        ((40, 30), "300w20h,stretch,up", (300, 20)),
        // After turn and crop.
        ((4000, 3000), "300w,rot90", (300, 400)),
        ((4000, 3000), "300w,rot180,flip", (300, 225)),
        ((4000, 3000), "300w,crop-0-0-1000-1000", (300, 300)),
        ((4000, 3000), "full,crop-3900-0-1000-1000", (100, 1000)),
        ((4000, 3000), "full,rot270,crop-2900-0-1000-1000", (100, 1000)),
        // Extremes.
        ((1, 1), "1w", (1, 1)),
        ((1, 100_000), "1s", (1, 1)),
        ((60_000, 1), "100w", (100, 1)),
        ((60_000, 1), "100h", (60_000, 1)),
    ] {
        let plan = planned(displayed, spec);
        assert_eq!(plan.size, size(sides), "{displayed:?} {spec}");
        assert_eq!(plan.canvas, plan.size, "{displayed:?} {spec}");
    }
}

#[test]
fn padding_gives_the_box_and_never_enlarges_what_is_inside() {
    for (spec, sides) in [
        ("300w200h,pad", (40, 30)),
        ("20w20h,pad", (20, 15)),
        ("300w200h,pad,up", (267, 200)),
        ("4w90h,pad", (4, 3)),
    ] {
        let plan = planned((40, 30), spec);
        let TargetSize::Pad { width, height } = recipe(spec).target else { panic!("{spec}") };
        assert_eq!((plan.size, plan.canvas), (size(sides), Size { width, height }), "{spec}");
    }
}

#[test]
fn the_crop_is_cut_to_the_turned_image() {
    for (spec, expected) in [
        ("full", (0, 0, 40, 30)),
        ("full,crop-1-2-3-4", (1, 2, 3, 4)),
        ("full,crop-39-29-1-1", (39, 29, 1, 1)),
        ("full,crop-30-20-99999-99999", (30, 20, 10, 10)),
        ("full,rot90", (0, 0, 30, 40)),
        ("full,rot90,crop-20-35-99-99", (20, 35, 10, 5)),
    ] {
        let (x, y, width, height) = expected;
        let expected = Rect { x, y, width, height };
        assert_eq!(cut(size((40, 30)), &recipe(spec)), Ok(expected), "{spec}");
    }
}

#[test]
fn refuses_a_crop_that_leaves_nothing() {
    for (spec, turned) in [
        ("full,crop-40-0-1-1", (40, 30)),
        ("full,crop-0-30-1-1", (40, 30)),
        ("full,crop-99999-99999-99999-99999", (40, 30)),
        ("full,crop-0-0-0-5", (40, 30)),
        ("full,crop-0-0-5-0", (40, 30)),
        ("full,rot90,crop-35-0-1-1", (30, 40)),
    ] {
        let expected = GeometryError::NothingLeft { turned: size(turned) };
        assert_eq!(refusal((40, 30), spec, Format::Png), expected, "{spec}");
    }
    assert_eq!(refusal((0, 9), "full", Format::Png), GeometryError::NothingLeft { turned: size((0, 9)) });
}

#[test]
fn gravity_places_the_window() {
    // 100×100 squares of 400×100 and 100×400 slide along one axis with 300 pixels free.
    for (gravity, x, y) in [
        ("g-c", 150.0, 150.0),
        ("g-n", 150.0, 0.0),
        ("g-ne", 300.0, 0.0),
        ("g-e", 300.0, 150.0),
        ("g-se", 300.0, 300.0),
        ("g-s", 150.0, 300.0),
        ("g-sw", 0.0, 300.0),
        ("g-w", 0.0, 150.0),
        ("g-nw", 0.0, 0.0),
        ("g-smart", 150.0, 150.0),
        ("g-x0y0", 0.0, 0.0),
        ("g-x0.1y0.1", 0.0, 0.0),
        ("g-x0.25y0.75", 50.0, 250.0),
        ("g-x0.5y0.3", 150.0, 70.0),
        ("g-x0.95y1", 300.0, 300.0),
    ] {
        let spec = format!("50s,{gravity}");
        let wide = Rect { x, y: 0.0, width: 100.0, height: 100.0 };
        assert_eq!(planned((400, 100), &spec).window, wide, "{gravity}");
        let tall = Rect { x: 0.0, y, width: 100.0, height: 100.0 };
        assert_eq!(planned((100, 400), &spec).window, tall, "{gravity}");
    }
}

#[test]
fn a_window_may_begin_and_end_between_pixels() {
    assert_eq!(planned((4, 3), "2s").window, Rect { x: 0.5, y: 0.0, width: 3.0, height: 3.0 });
    let window = planned((1000, 1000), "300w200h,fill").window;
    assert!(
        (window.height - 2000.0 / 3.0).abs() < 1e-6 && (window.y - 500.0 / 3.0).abs() < 1e-6,
        "{window:?}"
    );
}

#[test]
fn without_a_crop_to_cover_the_window_is_the_whole_cut() {
    for spec in ["full", "20w", "20h", "20w20h", "50w50h,pad", "20w5h,stretch"] {
        assert_eq!(planned((45, 36), spec).window, Rect { x: 0.0, y: 0.0, width: 45.0, height: 36.0 });
    }
    let plan = planned((45, 36), "20w,crop-5-6-20-10");
    assert_eq!(plan.window, Rect { x: 0.0, y: 0.0, width: 20.0, height: 10.0 });
}

#[test]
fn a_result_as_large_as_its_source_is_bounded_by_pixels_alone() {
    assert_eq!(planned((50_000, 2_000), "full").size, size((50_000, 2_000)));
    assert_eq!(planned((50_000, 1_000), "2000h").size, size((50_000, 1_000)));
    assert_eq!(
        refusal((50_000, 2_001), "full", Format::Jpeg),
        GeometryError::BeyondPixels { pixels: 100_050_000, pixels_max: PIXELS_MAX }
    );
}

#[test]
fn an_enlarged_side_is_bounded_by_the_dimension() {
    assert_eq!(planned((100, 1), "8192w,up").size, size((8192, 82)));
    assert_eq!(planned((1, 4096), "2w,up").size, size((2, 8192)));
    let beyond = |side| GeometryError::BeyondDimension { side, dimension_max: 8192 };
    assert_eq!(refusal((1, 4097), "2w,up", Format::Png), beyond(8194));
    assert_eq!(refusal((1, u32::MAX), "8192w,up", Format::Png), beyond(8192 * u128::from(u32::MAX)));
}

#[test]
fn refuses_a_side_that_the_format_cannot_hold() {
    for (format, max) in [
        (Format::Jpeg, 65_535),
        (Format::Gif, 65_535),
        (Format::Webp, 16_383),
        (Format::Png, 0x7fff_ffff),
        (Format::Avif, 65_535),
    ] {
        let sized = |sides| settle(size(sides), &recipe_as("full", format), u64::MAX).map(|plan| plan.size);
        let beyond = GeometryError::BeyondFormat { side: u128::from(max) + 1, format };
        assert_eq!(sized((max, 1)), Ok(size((max, 1))));
        assert_eq!(sized((1, max)), Ok(size((1, max))));
        assert_eq!(sized((max + 1, 1)), Err(beyond));
        assert_eq!(sized((1, max + 1)), Err(beyond));
    }
}

#[test]
fn each_refusal_says_what_to_do() {
    for (error, words) in [
        (refusal((4, 3), "full,crop-9-9-9-9", Format::Png), "leaves nothing of this image of 4×3 pixels"),
        (refusal((1, 9000), "2w,up", Format::Png), "18000 pixels is longer than the 8192"),
        (refusal((17_000, 1), "full", Format::Webp), "longer than the 16383 that webp holds"),
        (refusal((20_000, 20_000), "full", Format::Png), "400000000 pixels is over the limit of 100000000"),
    ] {
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(": "), "{text}");
    }
}

#[test]
fn a_result_over_the_bound_of_its_format_is_refused_whatever_its_source() {
    let bounded = |spec: &str, pixels_max: u64| Recipe { pixels_max, ..recipe_as(spec, Format::Avif) };
    let planned = |spec: &str, pixels_max: u64, size: (u32, u32)| {
        let (recipe, displayed) = (bounded(spec, pixels_max), Size { width: size.0, height: size.1 });
        let planned = plan(displayed, &recipe, PIXELS_MAX);
        assert_eq!(is_within_output(displayed, &recipe), planned.is_ok(), "{spec}");
        planned.map(|plan| plan.canvas.area())
    };
    let beyond =
        |pixels, pixels_max| Err(GeometryError::BeyondOutput { pixels, format: Format::Avif, pixels_max });
    assert_eq!(planned("full", 12, (4, 3)), Ok(12));
    assert_eq!(planned("full", 11, (4, 3)), beyond(12, 11));
    assert_eq!(planned("8192s,up", 8_000_000, (3, 3)), beyond(1 << 26, 8_000_000));
    assert_eq!(planned("2w", 11, (4, 3)), Ok(4));
    // The bound applies to the box and not to the image in it.
    assert_eq!(planned("9w9h,pad", 80, (4, 3)), beyond(81, 80));
    // Which specs are within the bound for every image.
    for (spec, pixels_max, expected) in [
        ("9w9h", 81, true),
        ("9w9h", 80, false),
        ("9w", 9 * 65_535, true),
        ("9w", 9 * 65_534, false),
        ("full", 1 << 31, false),
    ] {
        assert_eq!(bounded(spec, pixels_max).is_surely_within_pixels_max(), expected, "{spec} {pixels_max}");
    }
}

fn sides() -> impl Strategy<Value = u32> {
    prop_oneof![1..20_u32, 1..5_000_u32, 1..=u32::MAX]
}

fn targets() -> impl Strategy<Value = TargetSize> {
    let side = || prop_oneof![1..20_u32, 1..=8192_u32];
    let gravity = prop_oneof![
        (0..3_u8, 0..3_u8).prop_map(|(column, row)| Gravity::Compass { column, row }),
        (0..=100_u32, 0..=100_u32).prop_map(|(x, y)| Gravity::Focus { x: Hundredths(x), y: Hundredths(y) }),
    ];
    prop_oneof![
        Just(TargetSize::Full),
        side().prop_map(TargetSize::Width),
        side().prop_map(TargetSize::Height),
        (side(), side()).prop_map(|(width, height)| TargetSize::Contain { width, height }),
        (side(), side(), gravity).prop_map(|(width, height, gravity)| TargetSize::Cover {
            width,
            height,
            gravity
        }),
        (side(), side()).prop_map(|(width, height)| TargetSize::Pad { width, height }),
        (side(), side()).prop_map(|(width, height)| TargetSize::Stretch { width, height }),
    ]
}

/// A plan without limits on format and pixels, for an upright and uncropped image.
fn free_plan(displayed: (u32, u32), target: TargetSize, upscale: bool) -> Option<Plan> {
    let recipe = Recipe { target, upscale, ..recipe_as("full", Format::Png) };
    settle(size(displayed), &recipe, u64::MAX).ok()
}

/// The sides that a target bounds.
fn asked(target: TargetSize) -> (u32, u32) {
    match target {
        TargetSize::Full => (u32::MAX, u32::MAX),
        TargetSize::Width(width) => (width, u32::MAX),
        TargetSize::Height(height) => (u32::MAX, height),
        TargetSize::Contain { width, height }
        | TargetSize::Cover { width, height, .. }
        | TargetSize::Pad { width, height }
        | TargetSize::Stretch { width, height } => (width, height),
    }
}

/// Whether both have the same aspect, within half a pixel of `rounded` on one side, or within a side that is 1 because
/// it cannot be less.
fn same_aspect(exact: (f64, f64), rounded: Size) -> bool {
    let (width, height) = (f64::from(rounded.width), f64::from(rounded.height));
    let near =
        |ideal: f64, side: f64| (ideal - side).abs() <= 0.5 + 1e-5 * side || (side == 1.0 && ideal < 1.0);
    near(exact.0 * height / exact.1, width) || near(exact.1 * width / exact.0, height)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_result_is_never_larger_than_asked(width in sides(), height in sides(), target in targets(), up: bool) {
        if let Some(plan) = free_plan((width, height), target, up) {
            let max = if target == TargetSize::Full { (width, height) } else { asked(target) };
            prop_assert!((1..=max.0).contains(&plan.size.width) && (1..=max.1).contains(&plan.size.height), "{plan:?}");
            prop_assert!(plan.size.width <= plan.canvas.width && plan.size.height <= plan.canvas.height, "{plan:?}");
        }
    }

    #[test]
    fn nothing_is_enlarged_unless_asked(width in sides(), height in sides(), target in targets()) {
        if let Some(plan) = free_plan((width, height), target, false) {
            prop_assert!(f64::from(plan.size.width) <= plan.window.width, "{plan:?}");
            prop_assert!(f64::from(plan.size.height) <= plan.window.height, "{plan:?}");
        }
    }

    #[test]
    fn the_aspect_is_kept_within_rounding(width in sides(), height in sides(), target in targets(), up: bool) {
        if let Some(plan) = free_plan((width, height), target, up) {
            let exact = match target {
                TargetSize::Stretch { .. } => return Ok(()),
                TargetSize::Cover { width, height, .. } => (width, height),
                _ => (width, height),
            };
            prop_assert!(same_aspect((exact.0.into(), exact.1.into()), plan.size), "{plan:?}");
        }
    }

    #[test]
    fn the_window_is_the_largest_of_the_outputs_aspect(
        width in sides(), height in sides(), target in targets(), up: bool,
    ) {
        if let (Some(plan), TargetSize::Cover { .. }) = (free_plan((width, height), target, up), target) {
            let Rect { x, y, width: w, height: h } = plan.window;
            prop_assert!(x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0, "{plan:?}");
            prop_assert!(x + w <= f64::from(width) && y + h <= f64::from(height), "{plan:?}");
            prop_assert!(w == f64::from(width) || h == f64::from(height), "{plan:?}");
            // Within one grid unit on the side that is not the image's.
            let (a, b) = (f64::from(plan.size.width), f64::from(plan.size.height));
            let slack = 1e-6 + 1e-9 * w.max(h);
            prop_assert!((w * b / a - h).abs() <= slack || (h * a / b - w).abs() <= slack, "{plan:?}");
        }
    }

    #[test]
    fn a_trimmed_cut_gives_nothing_larger_than_foretold(
        width in sides(), height in sides(), target in targets(), up: bool, part in any::<(u32, u32)>(),
    ) {
        let recipe = Recipe { target, upscale: up && target != TargetSize::Full, ..recipe_as("full", Format::Png) };
        let most = sides_max(Size { width, height }, &recipe);
        let trimmed = Size { width: 1 + part.0 % width, height: 1 + part.1 % height };
        if let Ok(plan) = plan(trimmed, &recipe, u64::MAX) {
            prop_assert!(plan.canvas.width <= most.width && plan.canvas.height <= most.height, "{plan:?} {most:?}");
        }
    }

    #[test]
    fn a_window_maps_back_into_the_stored_image_and_forth(
        stored in (sides(), sides()), target in targets(), exif in 1..=8_u32, step in 0..4_usize,
    ) {
        let turn = [None, Some("rot90"), Some("rot180"), Some("rot270")][step];
        let turned = Recipe { target, ..recipe_as(&turn.map_or("full".into(), |turn| format!("full,{turn}")), Format::Png) };
        let upright = Transform::of_orientation(Orientation::from_exif(exif));
        if let Ok(plan) = settle(upright.size(size(stored)), &turned, u64::MAX) {
            let transform = upright.then(turned.transform);
            let back = transform.untransform(plan.window, transform.size(size(stored)));
            prop_assert!(back.x >= 0.0 && back.x + back.width <= f64::from(stored.0), "{back:?}");
            prop_assert!(back.y >= 0.0 && back.y + back.height <= f64::from(stored.1), "{back:?}");
            let (w, h) = if transform.swap { (back.height, back.width) } else { (back.width, back.height) };
            prop_assert_eq!((w, h), (plan.window.width, plan.window.height));
        }
    }

    #[test]
    fn no_recipe_and_no_image_panics(
        displayed in any::<(u32, u32)>(), a: u32, b: u32, up: bool, crop in any::<(u32, u32, u32, u32)>(), pixels_max: u64,
    ) {
        let crop = Crop { x: crop.0, y: crop.1, width: crop.2, height: crop.3 };
        let gravity = Gravity::Focus { x: Hundredths(a), y: Hundredths(b) };
        for target in [
            TargetSize::Width(a), TargetSize::Height(a), TargetSize::Contain { width: a, height: b },
            TargetSize::Cover { width: a, height: b, gravity }, TargetSize::Pad { width: a, height: b },
            TargetSize::Stretch { width: 0, height: b }, TargetSize::Cover { width: 0, height: 0, gravity },
        ] {
            for crop in [None, Some(crop)] {
                let recipe = Recipe {
                    target, upscale: up, crop, dimension_max: u32::MAX, ..recipe_as("full", Format::Png)
                };
                let _ = settle(size(displayed), &recipe, pixels_max);
            }
        }
    }
}
