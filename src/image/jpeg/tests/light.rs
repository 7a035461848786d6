//! Samples of linear light: the light of a block's samples is the light of its pixels.

use super::damage::Numbers;
use super::support::{Arrangement, MadeComponent, make};
use super::*;
use crate::image::light::of_encoded;

const SMALL: [Scale; 3] = [Scale::Eighth, Scale::Quarter, Scale::Half];

fn lit(bytes: &[u8], scale: Scale) -> Vec<ComponentPlane> {
    lit_from(bytes, scale, SKIMMED_BYTES_MIN)
}

/// With skim tables for scans of at least this many bytes.
fn lit_from(bytes: &[u8], scale: Scale, skimmed_bytes_min: usize) -> Vec<ComponentPlane> {
    let jpeg = Jpeg::read(bytes).expect("a file for this decoder").with_light(Light::Linear);
    let scans = scan::list(jpeg.source, &jpeg.frame).expect("scans");
    let work = Work {
        source: jpeg.source,
        frame: &jpeg.frame,
        scans: &scans,
        scales: [scale; 4],
        lit: [0, 1, 2, 3].map(|component| jpeg.is_lit(component)),
        skimmed_bytes_min,
        keep_going: &|| true,
    };
    let decoded =
        if jpeg.frame.is_progressive { progressive::decode(&work) } else { sequential::decode(&work) };
    let planes = decoded.expect("planes").0;
    if skimmed_bytes_min == SKIMMED_BYTES_MIN {
        assert!(planes == jpeg.decode([scale; 4], &LIMITS, &|| true).unwrap());
    }
    planes
}

/// For each block that lies within the picture, the mean of its samples' light as a stored value in 255ths.
fn light_of_blocks(plane: &ComponentPlane, side: u32) -> Vec<f64> {
    let mut lights = Vec::new();
    for y in 0..plane.size().height / side {
        for x in 0..plane.size().width / side {
            let rows =
                (y * side..(y + 1) * side).map(|y| &plane.row(y)[(x * side) as usize..][..side as usize]);
            let sum: f64 = rows.flatten().map(|sample| of_encoded(f64::from(*sample) / 255.0)).sum();
            lights.push(stored(sum / f64::from(side * side)));
        }
    }
    lights
}

/// The stored value of a linear one, by bisection.
fn stored(light: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if of_encoded(middle) < light { low = middle } else { high = middle }
    }
    low * 255.0
}

/// The root of the mean square by which the light of small blocks is off that of whole ones, in 255ths.
fn light_apart(whole: &ComponentPlane, small: &ComponentPlane, side: u32) -> f64 {
    let (whole, small) = (light_of_blocks(whole, 8), light_of_blocks(small, side));
    let squares: f64 = whole.iter().zip(&small).map(|(whole, small)| (whole - small).powi(2)).sum();
    (squares / whole.len() as f64).sqrt()
}

/// A drawn picture under noise, so that all frequencies have energy.
fn rough() -> Pixels {
    let pixels = picture(264, 200);
    let (size, kind, mut data) = (pixels.size(), pixels.kind(), pixels.into_data());
    let mut numbers = Numbers(5);
    for value in &mut data {
        *value = value.saturating_add(numbers.next(90) as u8).saturating_sub(45);
    }
    Pixels::new(size, kind, data).unwrap()
}

#[test]
fn the_light_of_a_block_is_that_of_its_pixels_whatever_the_scans() {
    let pixels = rough();
    for (order, set) in ORDERS {
        for sampling in [SamplingFactor::R_4_4_4, SamplingFactor::R_4_2_0] {
            let bytes = written(&pixels, sampling, set);
            let whole = &decoded(&bytes, Scale::Whole)[0];
            for scale in SMALL {
                let side = scale.block_side();
                let off = light_apart(whole, &lit(&bytes, scale)[0], side);
                let before = light_apart(whole, &decoded(&bytes, scale)[0], side);
                assert!(
                    off < 1.5 && off * 3.0 < before,
                    "{order} {sampling:?} {scale:?}: {off:.2} of {before:.2}"
                );
            }
        }
    }
}

#[test]
fn blocks_that_are_skimmed_have_the_energy_of_those_that_are_stepped_through() {
    let bytes = written(&rough(), SamplingFactor::R_4_2_0, |_| ());
    let restarts = written(&rough(), SamplingFactor::R_4_4_4, |encoder| encoder.set_restart_interval(7));
    for bytes in [bytes, restarts] {
        for scale in SMALL {
            let stepped = lit_from(&bytes, scale, usize::MAX)[0].clone().into_samples();
            let skimmed = lit_from(&bytes, scale, 0)[0].clone().into_samples();
            let (mean, most) = (mean_apart(&stepped, &skimmed), most_apart(&stepped, &skimmed));
            assert!(mean < 0.6 && most <= 8, "{scale:?}: {mean:.2}, at most {most}");
        }
    }
}

#[test]
fn stripes_of_a_pixel_become_the_gray_that_is_half_as_light_as_white() {
    let size = Size { width: 160, height: 96 };
    for (way, is_light) in [
        ("columns", (|x: u32, _: u32| x.is_multiple_of(2)) as fn(u32, u32) -> bool),
        ("rows", |_, y| y.is_multiple_of(2)),
        ("checks", |x, y| (x + y).is_multiple_of(2)),
    ] {
        let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let data = places.map(|(x, y)| if is_light(x, y) { 255 } else { 0 }).collect();
        let pixels = Pixels::new(size, PixelKind::Gray, data).unwrap();
        for (order, set) in ORDERS {
            let bytes = jpeg_file(&pixels, 97, set);
            for scale in [Scale::Eighth, Scale::Quarter, Scale::Half] {
                let lights = light_of_blocks(&lit(&bytes, scale)[0], scale.block_side());
                let off = lights.iter().find(|light| !(184.0..=190.0).contains(*light));
                assert_eq!(off, None, "{way} {order} {scale:?}");
            }
        }
    }
}

#[test]
fn only_brightness_of_small_planes_changes_and_only_where_there_is_detail() {
    let flat =
        Pixels::new(Size { width: 64, height: 64 }, PixelKind::Rgb, [30, 90, 200].repeat(64 * 64)).unwrap();
    let bytes = written(&flat, SamplingFactor::R_4_2_0, |_| ());
    for scale in SCALES {
        assert!(lit(&bytes, scale) == decoded(&bytes, scale), "{scale:?}");
    }
    let bytes = written(&rough(), SamplingFactor::R_4_2_0, |_| ());
    assert!(lit(&bytes, Scale::Whole) == decoded(&bytes, Scale::Whole));
    for scale in SMALL {
        let (lit, stored) = (lit(&bytes, scale), decoded(&bytes, scale));
        assert!(lit[0] != stored[0] && lit[1..] == stored[1..], "{scale:?}");
    }
}

#[test]
fn red_green_and_blue_are_lit_each_and_inks_are_not() {
    let size = Size { width: 80, height: 64 };
    let mut numbers = Numbers(3);
    let component = |_| {
        let samples = (0..size.area()).map(|_| numbers.next(256) as f64).collect();
        MadeComponent { samples, across: 1, down: 1 }
    };
    let components = [0, 1, 2, 3].map(component);
    for (ids, is_lit) in [(b"RGB".to_vec(), true), (b"CMYK".to_vec(), false)] {
        let arrangement = Arrangement {
            head: Vec::new(),
            is_progressive: false,
            is_apart: false,
            restart_interval: 0,
            repeats_height: false,
            ids: ids.clone(),
        };
        let bytes = make(size, &components[..ids.len()], &arrangement);
        for scale in SMALL {
            let planes = lit(&bytes, scale);
            for (plane, stored) in planes.iter().zip(&decoded(&bytes, scale)) {
                assert_eq!(plane != stored, is_lit, "{ids:?} {scale:?}");
            }
        }
    }
}

#[test]
fn energies_of_a_progressive_file_are_charged() {
    let bytes = written(&rough(), SamplingFactor::R_4_2_0, ORDERS[3].1);
    let jpeg = Jpeg::read(&bytes).unwrap();
    let peak = |light| jpeg.clone().with_light(light).peak_bytes([Scale::Eighth; 4]);
    // Four bytes for each block of luma, of which there are whole units.
    assert_eq!(peak(Light::Linear) - peak(Light::Encoded), 4 * 34 * 26);
}
