//! Colour tags in files of every format, and the conversions that they give.

mod corpus;
mod support;

use moxcms::{ColorProfile, DataColorSpace, LutDataType, LutStore, LutType, LutWarehouse, ToneReprCurve};
use proptest::prelude::*;

use super::*;
use crate::image::shape::Size;
use support::*;

/// Display P3's light → sRGB's, as published (CSS Color 4).
const P3_TO_SRGB: [[f64; 3]; 3] =
    [[1.224_940, -0.224_940, 0.0], [-0.042_057, 1.042_057, 0.0], [-0.019_638, -0.078_636, 1.098_274]];
/// Adobe RGB's light (1998) → sRGB's.
const ADOBE_TO_SRGB: [[f64; 3]; 3] =
    [[1.398_356, -0.398_356, 0.0], [0.0, 1.0, 0.0], [0.0, -0.042_929, 1.042_929]];
/// ITU-R BT.2020's light → sRGB's.
const BT2020_TO_SRGB: [[f64; 3]; 3] = [
    [1.660_491, -0.587_641, -0.072_850],
    [-0.124_550, 1.132_900, -0.008_349],
    [-0.018_151, -0.100_579, 1.118_730],
];

/// Colours of all hues, tones of gray, and the corners of the cube.
fn patches() -> Vec<[u8; 3]> {
    let steps = || [0_u8, 38, 96, 128, 180, 231, 255].into_iter();
    steps().flat_map(|r| steps().flat_map(move |g| steps().map(move |b| [r, g, b]))).collect()
}

fn assert_alike(name: &str, shown: &[[u8; 3]], expected: impl Fn([f64; 3]) -> [f64; 3]) {
    let mut moved = 0;
    for (patch, shown) in patches().into_iter().zip(shown) {
        let expected = srgb_of_light(expected(patch.map(|value| f64::from(value) / 255.0)));
        let distance = delta_e(*shown, expected);
        assert!(distance < 2.0, "{name} {patch:?}: {shown:?}, expected {expected:?}, {distance:.1} apart");
        moved += usize::from(delta_e(patch, expected) > 2.0);
    }
    assert!(moved > patches().len() / 2, "{name} moves nothing");
}

fn files_with(profile: &[u8]) -> [(Vec<u8>, Format); 3] {
    [
        (jpeg_with(&[(1, 1, profile)]), Format::Jpeg),
        (png_with_profile(profile), Format::Png),
        (webp_with_profile(profile), Format::Webp),
    ]
}

#[test]
fn wide_profiles_in_every_format_give_the_colours_of_an_independent_conversion() {
    let p3 = encoded(&ColorProfile::new_display_p3());
    let adobe = encoded(&ColorProfile::new_adobe_rgb());
    for (file, format) in files_with(&p3) {
        assert_alike("P3", &shown(&file, format, &patches()), |color| product(P3_TO_SRGB, color.map(light)));
    }
    for (file, format) in files_with(&adobe) {
        let light = |value: f64| value.powf(563.0 / 256.0);
        assert_alike("Adobe", &shown(&file, format, &patches()), |color| {
            product(ADOBE_TO_SRGB, color.map(light))
        });
    }
}

#[test]
fn code_points_name_primaries_and_curve() {
    let shown = |payload: &[u8]| shown(&png_with(&[(*b"cICP", payload)]), Format::Png, &patches());
    for transfer in [13, 1, 14] {
        let p3 = shown(&[12, transfer, 0, 1]);
        assert_alike("P3", &p3, |color| product(P3_TO_SRGB, color.map(light)));
        let bt2020 = shown(&[9, transfer, 0, 1]);
        assert_alike("BT.2020", &bt2020, |color| product(BT2020_TO_SRGB, color.map(light)));
    }
    assert_alike("linear", &shown(&[1, 8, 0, 1]), |color| color);
    // Unknown numbers, a matrix other than RGB's, a narrow range and a wrong length say nothing.
    for payload in [&[99, 13, 0, 1][..], &[12, 99, 0, 1], &[12, 13, 1, 1], &[12, 13, 0, 0], &[12, 13, 0], &[]]
    {
        assert_eq!(shown(payload), patches(), "{payload:?}");
    }
}

#[test]
fn high_dynamic_range_is_shown_from_black_to_white_with_its_hues() {
    let pq = png_with(&[(*b"cICP", &[9, 16, 0, 1])]);
    let shown = shown(&pq, Format::Png, &[[0, 0, 0], [150, 150, 150], [255, 255, 255], [150, 60, 60]]);
    assert_eq!((shown[0], shown[2]), ([0; 3], [255; 3]));
    assert!(shown[1].iter().all(|channel| (200..250).contains(channel)), "{shown:?}");
    assert!(shown[3][0] > 200 && shown[3][1] < 60, "{shown:?}");
    // A profile for PQ says so in a tag; its own curve would show the picture nearly black.
    let profile = png_with_profile(&encoded(&ColorProfile::new_bt2020_pq()));
    assert_eq!(support::shown(&profile, Format::Png, &[[150; 3]]), [shown[1]]);
}

#[test]
fn what_is_srgb_already_costs_nothing() {
    let srgb = ColorProfile::new_srgb();
    let mut by_table = srgb.clone();
    let ToneReprCurve::Parametric(_) = srgb.red_trc.clone().unwrap() else { panic!("no formula") };
    let curve = (0..1024).map(|at| (light(f64::from(at) / 1023.0) * 65535.0).round() as u16).collect();
    let curve = ToneReprCurve::Lut(curve);
    (by_table.red_trc, by_table.green_trc, by_table.blue_trc) =
        (Some(curve.clone()), Some(curve.clone()), Some(curve));
    for profile in [srgb, by_table] {
        for (file, format) in files_with(&encoded(&profile)) {
            assert!(space(&file, format, ColorKind::Rgb).is_same(), "{format:?}");
        }
    }
    for gamma in [45_455, 45_000, 47_619] {
        assert!(
            space(&png_with(&[(*b"gAMA", &gama(gamma))]), Format::Png, ColorKind::Rgb).is_same(),
            "{gamma}"
        );
    }
    assert!(space(&png_with(&[(*b"cICP", &[1, 13, 0, 1])]), Format::Png, ColorKind::Rgb).is_same());
    assert!(space(b"GIF89a", Format::Gif, ColorKind::Palette).is_same());
    let p3 = png_with_profile(&encoded(&ColorProfile::new_display_p3()));
    assert!(!space(&p3, Format::Png, ColorKind::Rgb).is_same());
}

/// A cHRM chunk as PNG defines it: white, red, green, blue.
fn chrm(numbers: [u32; 8]) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_be_bytes).collect()
}

const P3: [u32; 8] = [31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6000];

#[test]
fn gamma_and_primaries_of_a_png_count_together_and_alone() {
    let shown = |chunks: &[([u8; 4], &[u8])]| shown(&png_with(chunks), Format::Png, &patches());
    let (gamma, primaries) = ((*b"gAMA", &gama(62_500)[..]), (*b"cHRM", &chrm(P3)[..]));
    let curve = |value: f64| value.powf(1.6);
    assert_alike("gamma", &shown(&[gamma]), |color| color.map(curve));
    assert_alike("primaries", &shown(&[primaries]), |color| product(P3_TO_SRGB, color.map(light)));
    assert_alike("both", &shown(&[gamma, primaries]), |color| product(P3_TO_SRGB, color.map(curve)));
}

#[test]
fn numbers_that_no_picture_has_say_nothing() {
    let line = [31_270, 32_900, 60_000, 20_000, 40_000, 20_000, 20_000, 20_000];
    let no_white = [31_270, 0, 68_000, 32_000, 26_500, 69_000, 15_000, 6000];
    let outside = [31_270, 32_900, 680_000, 32_000, 26_500, 69_000, 15_000, 6000];
    for numbers in [line, no_white, outside, [0; 8], [u32::MAX; 8]] {
        let file = png_with(&[(*b"cHRM", &chrm(numbers))]);
        assert!(space(&file, Format::Png, ColorKind::Rgb).is_same(), "{numbers:?}");
    }
    for gamma in [0, 1, 9999, 1_000_001, u32::MAX] {
        let file = png_with(&[(*b"gAMA", &gama(gamma))]);
        assert!(space(&file, Format::Png, ColorKind::Rgb).is_same(), "{gamma}");
    }
}

#[test]
fn of_several_statements_in_a_png_the_first_that_is_understood_counts() {
    let adobe = encoded(&ColorProfile::new_adobe_rgb());
    let all: [([u8; 4], Vec<u8>); 4] = [
        (*b"iCCP", iccp(&adobe)),
        (*b"cICP", vec![12, 13, 0, 1]),
        (*b"sRGB", vec![0]),
        (*b"gAMA", gama(100_000).to_vec()),
    ];
    let shown = |chunks: &[([u8; 4], Vec<u8>)]| {
        let chunks: Vec<_> = chunks.iter().map(|(name, payload)| (*name, &payload[..])).collect();
        shown(&png_with(&chunks), Format::Png, &patches())
    };
    let alone = all.each_ref().map(|one| shown(std::slice::from_ref(one)));
    for first in 0..all.len() {
        assert_eq!(shown(&all[first..]), alone[first], "{first}");
        let mut backwards = all[first..].to_vec();
        backwards.reverse();
        assert_eq!(shown(&backwards), alone[first], "{first} backwards");
    }
    let broken = (*b"iCCP", iccp(&adobe[..200]));
    assert_eq!(shown(&[broken, all[1].clone()]), alone[1]);
    let after_the_data = [png_with(&[]), crate::image::container::png::chunk(*b"iCCP", &all[0].1)].concat();
    assert_eq!(support::shown(&after_the_data, Format::Png, &patches()), patches());
}

#[test]
fn a_profile_in_segments_is_put_together_by_number_or_not_at_all() {
    let profile = encoded(&ColorProfile::new_display_p3());
    let (first, rest) = profile.split_at(100);
    let (second, third) = rest.split_at(100);
    let expected = shown(&png_with_profile(&profile), Format::Png, &patches());
    let of = |parts: &[(u8, u8, &[u8])]| shown(&jpeg_with(parts), Format::Jpeg, &patches());
    assert_eq!(of(&[(1, 3, first), (2, 3, second), (3, 3, third)]), expected);
    assert_eq!(of(&[(3, 3, third), (1, 3, first), (2, 3, second)]), expected);
    assert_eq!(of(&[(1, 3, first), (1, 3, third), (2, 3, second), (3, 3, third)]), expected, "doubled");
    for parts in [
        &[(1, 3, first), (3, 3, third)][..],
        &[(0, 3, first), (1, 3, second), (2, 3, third)],
        &[(1, 3, first), (2, 4, second), (3, 3, third)],
        &[(1, 0, &profile)],
        &[(0, 0, &profile)],
    ] {
        assert_eq!(of(parts), patches());
    }
    let mut after_the_scan = jpeg_with(&[]);
    after_the_scan.extend(&jpeg_with(&[(1, 1, &profile)])[2..]);
    assert_eq!(shown(&after_the_scan, Format::Jpeg, &patches()), patches());
}

#[test]
fn gray_stays_gray_and_takes_its_own_curve() {
    let profile = png_with_profile(&encoded(&ColorProfile::new_gray_with_gamma(1.0)));
    let values = [0, 1, 64, 128, 255];
    let data: Vec<u8> = values.iter().flat_map(|value| [*value, 7]).collect();
    let mut pixels = Pixels::new(Size { width: 5, height: 1 }, PixelKind::GrayAlpha, data).unwrap();
    space(&profile, Format::Png, ColorKind::GrayAlpha).convert(&mut pixels);
    assert_eq!(pixels.kind(), PixelKind::GrayAlpha);
    for (value, pixel) in values.iter().zip(pixels.data().chunks_exact(2)) {
        let [expected, ..] = srgb_of_light([f64::from(*value) / 255.0; 3]);
        assert!(pixel[0].abs_diff(expected) <= 1 && pixel[1] == 7, "{value}: {pixel:?}, expected {expected}");
    }
    let mut srgb_gray = ColorProfile::new_gray_with_gamma(1.0);
    srgb_gray.gray_trc = ColorProfile::new_srgb().red_trc;
    assert!(space(&png_with_profile(&encoded(&srgb_gray)), Format::Png, ColorKind::Gray).is_same());
}

#[test]
fn alpha_is_left_alone() {
    let profile = png_with_profile(&encoded(&ColorProfile::new_display_p3()));
    let colors = patches();
    let size = Size { width: colors.len() as u32, height: 9 };
    let row: Vec<u8> = colors.iter().zip(0..).flat_map(|([r, g, b], at)| [*r, *g, *b, at as u8]).collect();
    let mut pixels = Pixels::new(size, PixelKind::Rgba, row.repeat(9)).unwrap();
    space(&profile, Format::Png, ColorKind::Rgba).convert(&mut pixels);
    let expected = shown(&profile, Format::Png, &colors);
    let expected: Vec<u8> =
        expected.iter().zip(0..).flat_map(|([r, g, b], at)| [*r, *g, *b, at as u8]).collect();
    assert_eq!(pixels.data(), expected.repeat(9));
}

#[test]
fn a_profile_for_other_channels_counts_for_nothing() {
    let cmyk = png_with(&[(*b"iCCP", &iccp(&encoded(&ink_profile()))), (*b"gAMA", &gama(100_000))]);
    assert_alike("gamma", &shown(&cmyk, Format::Png, &patches()), |color| color);
    let gray = encoded(&ColorProfile::new_gray_with_gamma(1.0));
    let p3 = encoded(&ColorProfile::new_display_p3());
    for kind in [ColorKind::Rgb, ColorKind::Rgba, ColorKind::Palette] {
        assert!(space(&png_with_profile(&gray), Format::Png, kind).is_same(), "{kind:?}");
        assert!(!space(&png_with_profile(&p3), Format::Png, kind).is_same(), "{kind:?}");
    }
    for kind in [ColorKind::Gray, ColorKind::GrayAlpha] {
        assert!(space(&png_with_profile(&p3), Format::Png, kind).is_same(), "{kind:?}");
        assert!(!space(&png_with_profile(&gray), Format::Png, kind).is_same(), "{kind:?}");
    }
    let [jpeg, webp] = [jpeg_with(&[(1, 1, &gray)]), webp_with_profile(&gray)];
    assert!(space(&jpeg, Format::Jpeg, ColorKind::Rgb).is_same());
    assert!(space(&webp, Format::Webp, ColorKind::Rgb).is_same());
    // The next statement counts in its place.
    let both = png_with(&[(*b"iCCP", &iccp(&gray)), (*b"gAMA", &gama(100_000))]);
    assert_alike("gamma", &shown(&both, Format::Png, &patches()), |color| color);
    // An RGB profile does not change CMYK either, because the decoder has converted it already.
    let p3 = jpeg_with(&[(1, 1, &encoded(&ColorProfile::new_display_p3()))]);
    assert!(space(&p3, Format::Jpeg, ColorKind::Cmyk).is_same());
}

/// A CMYK profile in which only black ink matters: with black all is black, without it all is white.
fn ink_profile() -> ColorProfile {
    // 16-bit Lab in the encoding of version 2 of the format.
    let node =
        |at: usize| -> [u16; 3] { if at % 2 == 1 { [0, 0x8000, 0x8000] } else { [0xFF00, 0x8000, 0x8000] } };
    let mut profile = ColorProfile::new_srgb();
    (profile.color_space, profile.pcs) = (DataColorSpace::Cmyk, DataColorSpace::Lab);
    profile.lut_a_to_b_perceptual = Some(table(4, 2, (0..16).flat_map(node).collect()));
    profile
}

/// An RGB profile with a table of three nodes a side.
fn table_profile() -> ColorProfile {
    let nodes = (0..27_u16).flat_map(|at| [at % 3, at / 3 % 3, at / 9]).map(|step| step * 0x7F80).collect();
    let mut profile = ColorProfile::new_srgb();
    profile.pcs = DataColorSpace::Lab;
    profile.lut_a_to_b_perceptual = Some(table(3, 3, nodes));
    profile
}

/// A table between straight curves.
fn table(channels: u8, side: u8, nodes: Vec<u16>) -> LutWarehouse {
    let straight = |count: u8| LutStore::Store16([0, u16::MAX].repeat(usize::from(count)));
    LutWarehouse::Lut(LutDataType {
        num_input_channels: channels,
        num_output_channels: 3,
        num_clut_grid_points: side,
        matrix: moxcms::Matrix3d::IDENTITY,
        num_input_table_entries: 2,
        num_output_table_entries: 2,
        input_table: straight(channels),
        clut_table: LutStore::Store16(nodes),
        output_table: straight(3),
        lut_type: LutType::Lut16,
    })
}

#[test]
fn ink_goes_through_its_profile() {
    let file = jpeg_with(&[(1, 1, &encoded(&ink_profile()))]);
    // This profile shows cyan as white.
    for (stored, pixel, expected) in [
        (cmyk::CmykEncoding::Inverted, [0, 255, 255, 255], 255),
        (cmyk::CmykEncoding::Inverted, [0, 255, 255, 0], 0),
    ] {
        let mut data = pixel.repeat(3000);
        cmyk::to_srgb(&file, stored, &mut data);
        assert_eq!(data.len(), 9000);
        assert!(data.iter().all(|value| value.abs_diff(expected) <= 2), "{pixel:?}: {:?}", &data[..3]);
    }
}

#[test]
fn a_profile_beyond_a_bound_counts_for_nothing() {
    let p3 = encoded(&ColorProfile::new_display_p3());
    let read = |profile: &[u8]| !space(&png_with_profile(profile), Format::Png, ColorKind::Rgb).is_same();
    let padded = |length: usize| [&p3[..], &vec![0; length - p3.len()]].concat();
    assert!(read(&padded(icc::PROFILE_BYTES_MAX)));
    assert!(!read(&padded(icc::PROFILE_BYTES_MAX + 1)));
    // A table of tags that is longer than the bound, or than the file.
    for count in [129_u32, 1 << 31, u32::MAX] {
        let mut profile = padded(20_000);
        profile[128..132].copy_from_slice(&count.to_be_bytes());
        assert!(!read(&profile), "{count}");
    }
    // Tags that all point at the same data, together too long.
    let mut profile = padded(1024 * 1024);
    let tags = u32::from_be_bytes(profile[128..132].try_into().unwrap()) as usize;
    for tag in profile[132..132 + tags * 12].chunks_exact_mut(12) {
        tag[8..].copy_from_slice(&1_000_000_u32.to_be_bytes());
    }
    assert!(!read(&profile));
    let links = [&p3[..12], b"link", &p3[16..]].concat();
    assert!(!read(&links));
}

/// Pseudo-random numbers, the same for the same seed.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn thousands_of_damaged_profiles_do_no_harm() {
    let profiles = [
        encoded(&ColorProfile::new_display_p3()),
        encoded(&ColorProfile::new_bt2020_pq()),
        encoded(&ColorProfile::new_gray_with_gamma(1.8)),
        encoded(&ink_profile()),
        encoded(&table_profile()),
    ];
    let mut understood = 0;
    for seed in 0..4000 {
        let mut noise = Noise(seed);
        let mut profile = profiles[noise.below(profiles.len())].clone();
        for _ in 0..=noise.below(8) {
            // Half of the damage hits the table of tags.
            let bound = if noise.below(2) == 0 { profile.len() } else { 400.min(profile.len()) };
            let at = noise.below(bound);
            profile[at] = noise.below(256) as u8;
        }
        if noise.below(4) == 0 {
            profile.truncate(noise.below(profile.len()));
        }
        let Some(Meaning::Converted(conversion)) = icc::meaning(&profile, Gamut::Srgb) else { continue };
        understood += 1;
        for kind in [PixelKind::Rgba, PixelKind::Gray] {
            let mut pixels =
                Pixels::new(Size { width: 3, height: 1 }, kind, vec![200; 3 * kind.channels()]).unwrap();
            conversion.apply(&mut pixels);
        }
        if let Conversion::Cmyk(executor) = &*conversion {
            executor.transform(&[9; 8], &mut [0; 6]).unwrap();
        }
    }
    assert!(
        (500..3900).contains(&understood),
        "{understood} of 4000 understood: the damage is not what it should be"
    );
}

proptest! {
    #[test]
    fn bytes_in_the_place_of_a_profile_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for (file, format) in files_with(&bytes) {
            prop_assert!(space(&file, format, ColorKind::Rgb).is_same());
        }
        prop_assert!(space(&png_with(&[(*b"iCCP", &bytes)]), Format::Png, ColorKind::Rgb).is_same());
        let _ = tag::find(&bytes, Format::Jpeg).len() + tag::find(&bytes, Format::Webp).len();
    }
}

#[test]
fn the_embedded_profile_is_read_as_display_p3_by_the_library() {
    let profile = Gamut::DisplayP3.icc().unwrap();
    let read = ColorProfile::new_from_slice(profile).unwrap();
    let expected = ColorProfile::new_display_p3();
    for (read, expected) in [
        (read.red_colorant, expected.red_colorant),
        (read.green_colorant, expected.green_colorant),
        (read.blue_colorant, expected.blue_colorant),
    ] {
        let near = |left: f64, right: f64| (left - right).abs() < 0.000_5;
        assert!(near(read.x, expected.x) && near(read.y, expected.y) && near(read.z, expected.z));
    }
    assert!(profile.len() < 700, "{}", profile.len());
    assert!(matches!(cache::meaning(&Tag::Icc(profile.into()), Gamut::DisplayP3), Some(Meaning::Same)));
}

#[test]
fn srgb_lies_inside_display_p3_and_gray_stays_gray() {
    assert_eq!(of_srgb([255, 0, 0], Gamut::Srgb), [255, 0, 0]);
    let red = of_srgb([255, 0, 0], Gamut::DisplayP3);
    assert!(red[0].abs_diff(234) <= 1 && red[1].abs_diff(51) <= 1 && red[2].abs_diff(35) <= 1, "{red:?}");
    for gray in 0..=255 {
        let shown = of_srgb([gray; 3], Gamut::DisplayP3);
        assert!(shown.iter().all(|channel| channel.abs_diff(gray) <= 1), "{gray}: {shown:?}");
    }
}
