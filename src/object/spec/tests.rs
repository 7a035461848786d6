use proptest::prelude::*;

use super::*;
use crate::object::Format;

fn parse(text: &str) -> Spec {
    Spec::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn fault(text: &str) -> SpecError {
    Spec::parse(text).expect_err(text)
}

#[test]
fn prints_the_canonical_form_of_every_valid_form() {
    for (text, canonical) in [
        ("full", "full"),
        ("200w", "200w"),
        ("100h", "100h"),
        ("100s", "100s"),
        ("200w100h", "200w100h"),
        ("100h200w", "200w100h"),
        ("0300w", "300w"),
        ("00001h00002w", "2w1h"),
        ("99999w", "99999w"),
        ("300W", "300w"),
        ("FULL,BG-FFaa00", "full,bg-ffaa00"),
        ("P-Thumb_2-x", "p-thumb_2-x"),
        ("300w,dpr1.50", "300w,dpr1.5"),
        ("300w,dpr2.00", "300w,dpr2"),
        ("300w,dpr02.05", "300w,dpr2.05"),
        ("300w,dpr0.50", "300w,dpr0.5"),
        ("300w,dpr1", "300w"),
        ("300w,dpr1.00", "300w"),
        ("100s,g-c", "100s"),
        ("9w9h,fill,g-c", "9w9h,fill"),
        ("p-a,g-c,dpr1.0", "p-a,g-c,dpr1"),
        ("100s,g-x0.50y01", "100s,g-x0.5y1"),
        ("100s,g-x0.0y0.25", "100s,g-x0y0.25"),
        ("100s,g-x0.5y0.5", "100s,g-x0.5y0.5"),
        ("300w,q075", "300w,q75"),
        ("full,frame0", "full,frame0"),
        ("full,frame00000", "full,frame0"),
        ("full,crop-00-01-0010-100", "full,crop-0-1-10-100"),
        ("full,crop-0-0-0-0", "full,crop-0-0-0-0"),
        ("full,rot090", "full,rot90"),
        ("full,blur3.0", "full,blur3"),
        (
            "full,meta,frame1,p3,bg-000000,trim,grey,sharpen1,blur0.3",
            "full,blur0.3,sharpen1,grey,trim,bg-000000,p3,frame1,meta",
        ),
        (
            "8w9h,meta,flop,flip,rot270,crop-1-2-3-4,q1,up,dpr4,g-se,fill",
            "8w9h,fill,g-se,dpr4,up,q1,crop-1-2-3-4,rot270,flip,flop,meta",
        ),
        ("q75,300w", "300w,q75"),
        ("fill,200w100h", "200w100h,fill"),
    ] {
        assert_eq!(parse(text).to_string(), canonical, "{text}");
        assert_eq!(parse(canonical), parse(text), "{text}");
    }
}

#[test]
fn reads_every_option_into_its_place() {
    let spec = parse("20w10h,fill,g-x0.5y0.3,dpr1.25,up,q75,crop-1-2-3-4,rot180,flip,flop");
    assert_eq!(
        spec,
        Spec {
            size: SpecSize::Box { width: 20, height: 10 },
            fit: Some(Fit::Fill),
            gravity: Some(Gravity::Focus { x: Hundredths(50), y: Hundredths(30) }),
            dpr: Some(Hundredths(125)),
            up: true,
            quality: Some(75),
            crop: Some(Crop { x: 1, y: 2, width: 3, height: 4 }),
            turn: Some(QuarterTurns::Half),
            flip: true,
            flop: true,
            ..Spec::full()
        }
    );
    let spec = parse("full,blur3,sharpen0.1,grey,trim,bg-0180ff,p3,frame7,meta");
    assert_eq!(
        spec,
        Spec {
            blur: Some(Hundredths(300)),
            sharpen: Some(Hundredths(10)),
            grey: true,
            trim: true,
            background: Some([1, 128, 255]),
            p3: true,
            frame: Some(7),
            meta: true,
            ..Spec::full()
        }
    );
}

#[test]
fn reads_each_compass_point() {
    for (name, column, row) in [
        ("nw", 0, 0),
        ("n", 1, 0),
        ("ne", 2, 0),
        ("w", 0, 1),
        ("e", 2, 1),
        ("sw", 0, 2),
        ("s", 1, 2),
        ("se", 2, 2),
    ] {
        let text = format!("100s,g-{name}");
        assert_eq!(parse(&text).gravity, Some(Gravity::Compass { column, row }));
        assert_eq!(parse(&text).to_string(), text);
    }
    assert_eq!(parse("p-a,g-c").gravity, Some(Gravity::CENTER));
    assert_eq!(parse("100s,g-smart").gravity, Some(Gravity::Smart));
}

#[test]
fn names_the_part_and_cause_of_each_fault() {
    type OfPart = fn(SpecPart) -> SpecError;
    let table: [(OfPart, &[&str]); 10] = [
        (SpecError::Unknown, &["full,FOO", "full, grey", "full,qx", "full,gray", "full,g", "full,é", "w"]),
        (
            SpecError::BadSize,
            &["300", "300x", "300x200", "200w100", "200wh", "1w2h3w", "1w2w", "1h2h", "1s2s", "200w100s"],
        ),
        (SpecError::SecondSize, &["300w,200h", "300w,300w", "full,p-a", "p-a,full"]),
        (SpecError::BadPreset, &["p-", "p-a.b", "p-é", "p-123456789012345678901234567890123"]),
        (
            SpecError::BadNumber,
            &[
                "123456w",
                "000300w",
                "1.5w",
                "1w.5h",
                "1.w",
                "5w,q",
                "5w,q7.5",
                "5w,q-1",
                "5w,q+1",
                "5w,q0x7",
                "5w,dpr.5",
                "5w,dpr5.",
                "5w,dpr1.500",
                "5w,dpr",
                "5w,dpr1.5.0",
                "5w,dpr000001",
                "5w,frame-1",
                "5w,rot",
                "full,crop-1-2-3-x",
                "full,crop---1-1",
                "full,crop-1-2-3-",
                "full,crop-1.5-2-3-4",
                "5s,g-x.5y0",
                "5s,g-xy",
                "5s,g-x0y1.",
            ],
        ),
        (SpecError::BadGravity, &["5s,g-", "5s,g-x", "5s,g-x0.5", "5s,g-y0x0", "5s,g-ns", "5s,g-center"]),
        (SpecError::BadCrop, &["full,crop-", "full,crop-1-2-3", "full,crop-1-2-3-4-5"]),
        (
            SpecError::BadColor,
            &[
                "full,bg-",
                "full,bg-fff",
                "full,bg-ffffff00",
                "full,bg-+fffff",
                "full,bg-gggggg",
                "full,bg-éff",
            ],
        ),
        (
            SpecError::Repeated,
            &[
                "full,grey,grey",
                "5w,q75,q075",
                "5w6h,fill,fill",
                "full,flip,flip",
                "5w,dpr1,dpr1",
                "5w,up,up",
            ],
        ),
        (
            SpecError::Contradicts,
            &[
                "5w,q75,q80",
                "5w6h,fill,pad",
                "5s,g-n,g-s",
                "full,rot90,rot180",
                "full,bg-000000,bg-ffffff",
                "5w,dpr1,dpr2",
            ],
        ),
    ];
    for (cause, texts) in table {
        for text in texts {
            let part = text.rsplit(',').next().unwrap().to_lowercase();
            assert_eq!(fault(text), cause(SpecPart::new(&part)), "{text}");
        }
    }
}

#[test]
fn names_the_allowed_range() {
    for (text, words) in [
        ("0w", "1 to 99999"),
        ("00000s", "1 to 99999"),
        ("5w0h", "1 to 99999"),
        ("5w,q0", "1 to 100"),
        ("5w,q101", "1 to 100"),
        ("5w,dpr0.49", "0.5 to 4"),
        ("5w,dpr4.01", "0.5 to 4"),
        ("full,rot0", "90, 180 or 270"),
        ("full,rot100", "90, 180 or 270"),
        ("full,rot360", "90, 180 or 270"),
        ("full,blur0.29", "0.3 to 100"),
        ("full,blur100.01", "0.3 to 100"),
        ("full,sharpen0.09", "0.1 to 10"),
        ("full,sharpen10.1", "0.1 to 10"),
        ("5s,g-x1.01y0", "fractions from 0 to 1"),
        ("5s,g-x0y2", "fractions from 0 to 1"),
    ] {
        let part = SpecPart::new(text.rsplit(',').next().unwrap());
        assert_eq!(fault(text), SpecError::OutOfRange { part, allowed: words }, "{text}");
    }
    for text in [
        "5w,q1",
        "5w,q100",
        "5w,dpr0.5",
        "5w,dpr4",
        "full,blur0.3",
        "full,blur100",
        "full,sharpen0.1",
        "full,sharpen10",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
}

#[test]
fn refuses_an_option_that_cannot_act() {
    for (text, part, needs) in [
        ("5w,fill", "fill", Needs::Box),
        ("5s,pad", "pad", Needs::Box),
        ("full,stretch", "stretch", Needs::Box),
        ("full,fill,g-n", "fill", Needs::Box),
        ("5w,g-n", "g-n", Needs::Cover),
        ("5w5h,g-c", "g-c", Needs::Cover),
        ("5w5h,pad,g-smart", "g-smart", Needs::Cover),
        ("full,g-x0y1.0", "g-x0y1", Needs::Cover),
        ("full,dpr2", "dpr2", Needs::Scaling),
        ("full,dpr1.0", "dpr1", Needs::Scaling),
        ("full,up", "up", Needs::Scaling),
    ] {
        assert_eq!(fault(text), SpecError::CannotAct { part: SpecPart::new(part), needs }, "{text}");
    }
}

#[test]
fn leaves_whether_a_presets_options_can_act_to_its_expansion() {
    for text in ["p-a,fill,g-n,dpr2,up", "p-a,pad,g-smart", "p-a,g-c,dpr1"] {
        assert_eq!(parse(text).to_string(), text);
    }
}

#[test]
fn refuses_empty_parts_and_a_missing_size() {
    assert_eq!(fault(""), SpecError::NoSize);
    assert_eq!(fault("q75,grey"), SpecError::NoSize);
    assert_eq!(fault("fill"), SpecError::NoSize);
    assert_eq!(fault(","), SpecError::EmptyPart { position: 1 });
    assert_eq!(fault(",300w"), SpecError::EmptyPart { position: 1 });
    assert_eq!(fault("300w,,q75"), SpecError::EmptyPart { position: 2 });
    assert_eq!(fault("300w,"), SpecError::EmptyPart { position: 2 });
}

#[test]
fn an_error_is_short_and_plain_whatever_the_text() {
    let error = fault(&"\u{7}é\"".repeat(100_000)).to_string();
    assert!(error.len() < 600 && error.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{error}");
    assert_eq!(fault("full,foo").to_string(), "\"foo\" is not a known option: remove or correct it.");
    assert_eq!(fault("5w,q0").to_string(), "\"q0\" is out of range: use 1 to 100.");
}

#[test]
fn quality_is_canonical_only_where_the_format_takes_one() {
    let spec = parse("300w,q75");
    for (extension, canonical) in [
        (Extension::Auto, "300w,q75"),
        (Extension::Format(Format::Jpeg), "300w,q75"),
        (Extension::Format(Format::Webp), "300w,q75"),
        (Extension::Format(Format::Avif), "300w,q75"),
        (Extension::Format(Format::Png), "300w"),
        (Extension::Format(Format::Gif), "300w"),
    ] {
        assert_eq!(spec.canonical_for(extension).to_string(), canonical);
    }
}

#[test]
fn only_full_without_options_is_full_plain() {
    assert!(parse("full").is_full_plain());
    assert!(parse("full,q75").canonical_for(Extension::Format(Format::Png)).is_full_plain());
    assert!(!parse("full,q75").is_full_plain());
    assert!(!parse("full,meta").is_full_plain());
    assert!(!parse("300w").is_full_plain());
}

#[test]
fn a_preset_name_has_1_to_32_of_its_characters() {
    assert_eq!(PresetName::parse("A-z_9").unwrap().as_str(), "a-z_9");
    assert!(PresetName::parse(&"a".repeat(32)).is_some());
    assert!(PresetName::parse(&"a".repeat(33)).is_none());
    for name in ["", "a b", "a,b", "a.b", "a/b", "é"] {
        assert!(PresetName::parse(name).is_none(), "{name}");
    }
}

fn some<T: std::fmt::Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.3, values)
}

fn hundredths(min: u32, max: u32) -> impl Strategy<Value = Hundredths> {
    (min..=max).prop_map(Hundredths)
}

fn sizes() -> impl Strategy<Value = SpecSize> {
    let side = || prop_oneof![1..2000_u32, 1..=99_999_u32];
    prop_oneof![
        Just(SpecSize::Full),
        side().prop_map(SpecSize::Width),
        side().prop_map(SpecSize::Height),
        (side(), side()).prop_map(|(width, height)| SpecSize::Box { width, height }),
        side().prop_map(SpecSize::Square),
        "[a-z0-9_-]{1,32}".prop_map(|name| SpecSize::Preset(PresetName(name))),
    ]
}

fn gravities() -> impl Strategy<Value = Gravity> {
    prop_oneof![
        (0..3_u8, 0..3_u8).prop_map(|(column, row)| Gravity::Compass { column, row }),
        Just(Gravity::Smart),
        (hundredths(0, 100), hundredths(0, 100)).prop_map(|(x, y)| Gravity::Focus { x, y }),
    ]
}

fn crops() -> impl Strategy<Value = Crop> {
    let side = || 0..=99_999_u32;
    (side(), side(), side(), side()).prop_map(|(x, y, width, height)| Crop { x, y, width, height })
}

prop_compose! {
    /// Any valid spec, without the options that cannot act.
    fn specs()(
        size in sizes(),
        fit in some(prop_oneof![Just(Fit::Fill), Just(Fit::Pad), Just(Fit::Stretch)]),
        gravity in some(gravities()),
        dpr in some(prop_oneof![Just(Hundredths::ONE), hundredths(50, 400)]),
        quality in some(1..=100_u8),
        crop in some(crops()),
        turn in some(prop_oneof![Just(QuarterTurns::Quarter), Just(QuarterTurns::Half), Just(QuarterTurns::ThreeQuarters)]),
        (blur, sharpen) in (some(hundredths(30, 10_000)), some(hundredths(10, 1_000))),
        background in some(any::<[u8; 3]>()),
        frame in some(0..=99_999_u32),
        [up, flip, flop, grey, trim, p3, meta] in any::<[bool; 7]>(),
    ) -> Spec {
        let is_preset = matches!(size, SpecSize::Preset(_));
        let scales = size != SpecSize::Full;
        let fit = fit.filter(|_| is_preset || matches!(size, SpecSize::Box { .. }));
        let covers = is_preset || fit == Some(Fit::Fill) || matches!(size, SpecSize::Square(_));
        Spec {
            gravity: gravity.filter(|_| covers),
            dpr: dpr.filter(|_| scales),
            up: up && scales,
            size, fit, quality, crop, turn, flip, flop, blur, sharpen, grey, trim, background, p3, frame, meta,
        }
    }
}

prop_compose! {
    /// A canonical text, with its parts in another order and some of its letters in upper case.
    fn disordered()(text in specs().prop_map(|spec| spec.to_string()))(
        parts in Just(text.split(',').map(str::to_owned).collect::<Vec<_>>()).prop_shuffle(),
        upper in proptest::collection::vec(any::<bool>(), text.len()),
        text in Just(text),
    ) -> (String, String) {
        let letters = parts.join(",").chars().zip(upper).map(|(letter, upper)| {
            if upper { letter.to_ascii_uppercase() } else { letter }
        }).collect();
        (text, letters)
    }
}

proptest! {
    #[test]
    fn parsing_undoes_printing(spec in specs()) {
        prop_assert_eq!(parse(&spec.to_string()), spec.canonical());
    }

    #[test]
    fn the_canonical_form_is_a_fixed_point(spec in specs()) {
        let text = spec.to_string();
        prop_assert_eq!(parse(&text).to_string(), text);
    }

    #[test]
    fn order_and_case_change_nothing((text, disordered) in disordered()) {
        prop_assert_eq!(parse(&disordered), parse(&text));
    }

    #[test]
    fn superfluous_zeros_change_nothing(side in 1..=999_u32, places in 50..=400_u32, zeros in 0..=2_usize) {
        let zeros = "0".repeat(zeros);
        let (whole, places) = (places / 100, places % 100);
        prop_assert_eq!(
            parse(&format!("{zeros}{side}w,dpr{zeros}{whole}.{places:02}")),
            parse(&format!("{side}w,dpr{}", Hundredths(whole * 100 + places)))
        );
    }

    #[test]
    fn any_text_is_refused_or_has_a_canonical_form(text in "\\PC*") {
        check_any(&text)?;
    }

    #[test]
    fn text_that_looks_like_a_spec_is_refused_or_has_a_canonical_form(
        text in "(([0-9]{0,6}[whs.]){1,2}|full|p-)(,(q|dpr|g-|crop-|bg-|rot|blur|frame|fill|up|flip)?[0-9a-fxy.,é-]{0,9}){0,4}",
    ) {
        check_any(&text)?;
    }
}

fn check_any(text: &str) -> Result<(), TestCaseError> {
    match Spec::parse(text) {
        Ok(spec) => {
            let canonical = spec.to_string();
            prop_assert!(canonical.len() <= text.len());
            prop_assert_eq!(Spec::parse(&canonical), Ok(spec));
        }
        Err(error) => prop_assert!(error.to_string().len() < 600),
    }
    Ok(())
}
