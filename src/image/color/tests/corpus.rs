//! Colours of the real files of the corpus.

use std::fs;

use crate::image::color::*;
use crate::image::header::Limits;
use crate::image::tests::corpus;
use crate::image::{decode, inspect};

const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 10 };

fn read(path: &str) -> Option<Vec<u8>> {
    Some(fs::read(corpus::folder()?.join(path)).unwrap())
}

fn opened(path: &str) -> Option<(ColorSpace, Pixels)> {
    let bytes = read(path)?;
    let header = inspect::inspect(&bytes, LIMITS).unwrap();
    let pixels = decode::decode(&bytes, &header, None, &LIMITS, &|| true).unwrap();
    Some((ColorSpace::of(&bytes, &header, Gamut::Srgb), pixels))
}

fn shown(path: &str) -> Option<Pixels> {
    let (mut space, mut pixels) = opened(path)?;
    space.convert(&mut pixels);
    Some(pixels)
}

fn color(pixels: &Pixels, x: u32, y: u32) -> [u8; 3] {
    let at = (y * pixels.size().width + x) as usize * pixels.kind().channels();
    pixels.data()[at..at + 3].try_into().unwrap()
}

#[test]
fn srgb_profiles_of_cameras_and_pictures_without_any_cost_nothing() {
    for path in
        ["photos/cranes-12mp-420.jpg", "photos/kodim23.png", "photos/bowl-4mp-lossy.webp", "odd/1x1.gif"]
    {
        let Some(bytes) = read(path) else { return };
        let header = inspect::inspect(&bytes, LIMITS).unwrap();
        assert!(ColorSpace::of(&bytes, &header, Gamut::Srgb).is_same(), "{path}");
    }
}

#[test]
fn a_profile_that_swaps_channels_is_followed() {
    // Red lies at twelve o'clock.
    let Some(wheel) = shown("color/colorspin-icc.jpg") else { return };
    let [red, green, blue] = color(&wheel, 400, 60);
    assert!(red > 180 && green < 80 && blue < 80, "{:?}", [red, green, blue]);
    let (Some((_, before)), Some(after)) =
        (opened("color/gbr-swapped-icc.png"), shown("color/gbr-swapped-icc.png"))
    else {
        return;
    };
    let pairs = before.data().chunks_exact(4).zip(after.data().chunks_exact(4));
    for (before, after) in pairs.step_by(97).filter(|(before, _)| before[3] == 255) {
        // Stored as green, blue, red.
        let expected = [before[2], before[0], before[1]];
        assert!((0..3).all(|at| after[at].abs_diff(expected[at]) <= 10), "{before:?} became {after:?}");
    }
}

#[test]
fn a_picture_stored_in_a_space_of_its_own_looks_like_the_picture() {
    // The same photo, once as XYB with its profile and once as plain RGB.
    let (Some(xyb), Some(plain)) = (shown("color/xyb-icc.jpg"), shown("color/palette8.png")) else { return };
    let (Some((_, raw)), true) = (opened("color/xyb-icc.jpg"), xyb.size() == plain.size()) else {
        panic!("sizes")
    };
    let distance = |left: &Pixels| {
        let pairs = left.data().iter().zip(plain.data());
        pairs.map(|(left, right)| f64::from(left.abs_diff(*right))).sum::<f64>() / plain.data().len() as f64
    };
    let (converted, ignored) = (distance(&xyb), distance(&raw));
    assert!(converted < 12.0 && ignored > 20.0, "{converted:.1} with the profile, {ignored:.1} without");
}

#[test]
fn a_profile_that_inflates_without_end_is_left_alone() {
    let Some(bytes) = read("bombs/png-64x64-iccp-128MiB.png") else { return };
    let tags = tag::find(&bytes, Format::Png);
    assert!(tags.is_empty(), "{} tags", tags.len());
}

#[test]
fn a_real_profile_damaged_anywhere_does_no_harm() {
    let Some(bytes) = read("color/cmyk-adobe2-swop-icc.jpg") else { return };
    let profile = tag::of_jpeg(&bytes).unwrap();
    assert!(icc::meaning(&profile, Gamut::Srgb).is_some());
    for seed in 0..60_usize {
        let mut damaged = profile.to_vec();
        for step in 0..6 {
            // The header, the table of tags, and the heads of the tables that it points at.
            let at = (seed * 7919 + step * 104_729) % 8192;
            damaged[at] = damaged[at].wrapping_add((seed * 31 + step) as u8 | 1);
        }
        if let Some(Meaning::Converted(conversion)) = icc::meaning(&damaged, Gamut::Srgb)
            && let Conversion::Cmyk(executor) = &*conversion
        {
            executor.transform(&[70; 8], &mut [0; 6]).unwrap();
        }
    }
}
