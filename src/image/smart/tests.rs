//! Places of windows in generated pictures.

use proptest::prelude::*;

use super::*;
use crate::image::tests::support::always;

fn drawn(size: Size, kind: PixelKind, pixel: impl Fn(u32, u32) -> Vec<u8>) -> Pixels {
    let data =
        (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y));
    Pixels::new(size, kind, data.collect()).unwrap()
}

/// The window of this width, as high as the picture, that geometry would put into the middle.
fn middle(pixels: &Pixels, width: f64) -> Rect<f64> {
    let whole = Rect::whole(pixels.size());
    Rect { x: (whole.width - width) / 2.0, width, ..whole }
}

fn left_edge(pixels: &Pixels, width: f64) -> f64 {
    let placed = placed(pixels, pixels.size(), middle(pixels, width), &always).unwrap();
    assert_eq!(placed, Rect { x: placed.x, ..middle(pixels, width) });
    placed.x
}

const WIDE: Size = Size { width: 90, height: 30 };

#[test]
fn detail_draws_the_window_and_lies_in_its_middle() {
    let checked =
        |x: u32, y: u32| if (60..70).contains(&x) { vec![((x + y) % 2 * 90) as u8] } else { vec![40] };
    let left = left_edge(&drawn(WIDE, PixelKind::Gray, checked), 30.0);
    assert!((48.0..=52.0).contains(&left), "{left}");
}

#[test]
fn vivid_colour_without_detail_draws_the_window() {
    let ramp = |x: u32, _| vec![120 + (x * 80 / 90) as u8, 120, 120];
    assert!(left_edge(&drawn(WIDE, PixelKind::Rgb, ramp), 30.0) >= 30.0);
    let vivid = |x: u32, _| if x < 20 { vec![0, 130, 250] } else { vec![125, 125, 125] };
    assert!(left_edge(&drawn(WIDE, PixelKind::Rgb, vivid), 30.0) <= 3.0);
}

#[test]
fn skin_outweighs_other_detail() {
    // The same stripes twice: green on the left, the colour of skin on the right.
    let striped = |x: u32, _| match x {
        0..20 if x % 4 < 2 => vec![170, 200, 170],
        0..20 => vec![150, 180, 150],
        70..90 if x % 4 < 2 => vec![220, 170, 150],
        70..90 => vec![200, 150, 130],
        _ => vec![170, 170, 170],
    };
    assert!(left_edge(&drawn(WIDE, PixelKind::Rgb, striped), 30.0) >= 57.0);
}

#[test]
fn colours_of_skin_are_told_from_others() {
    for color in [[224, 172, 145], [198, 134, 110], [141, 85, 60], [255, 219, 195]] {
        assert!(skin(color) > 60, "{color:?}: {}", skin(color));
    }
    for color in [[255, 255, 255], [128, 128, 128], [0, 0, 0], [0, 128, 0], [60, 90, 220], [255, 0, 0]] {
        assert_eq!(skin(color), 0, "{color:?}");
    }
}

#[test]
fn what_hides_under_transparent_pixels_counts_as_nothing() {
    let noise = |x: u32, y: u32| (x * 77 + y * 131) as u8;
    let hidden = |alpha| {
        move |x: u32, y: u32| match x {
            60.. => vec![noise(x, y), noise(y, x), 255, alpha],
            20..40 => vec![90, 90, 90, 255],
            _ => vec![0, 0, 0, 0],
        }
    };
    let left = left_edge(&drawn(WIDE, PixelKind::Rgba, hidden(127)), 30.0);
    assert!((10.0..=20.0).contains(&left), "{left}");
    let left = left_edge(&drawn(WIDE, PixelKind::Rgba, hidden(128)), 30.0);
    assert!(left >= 55.0, "{left}");
    let gray = |x: u32, y: u32| vec![noise(x, y), if x < 30 { 255 } else { 0 }];
    assert!(left_edge(&drawn(WIDE, PixelKind::GrayAlpha, gray), 30.0) <= 2.0);
}

#[test]
fn a_window_stays_in_the_middle_where_nothing_stands_out() {
    for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
        for value in [0, 77, 255] {
            for (width, height, share) in [(91, 30, 30.5), (1000, 3, 7.25), (2, 1, 1.0), (257, 255, 255.0)] {
                let size = Size { width, height };
                let pixels = drawn(size, kind, |_, _| vec![value; kind.channels()]);
                let window = middle(&pixels, share);
                assert_eq!(placed(&pixels, pixels.size(), window, &always), Ok(window), "{kind:?} {size:?}");
            }
        }
    }
    let vivid = drawn(WIDE, PixelKind::Rgb, |_, _| vec![250, 20, 20]);
    assert_eq!(left_edge(&vivid, 30.0), 30.0);
    let centred = drawn(WIDE, PixelKind::Gray, |x, _| vec![if (40..50).contains(&x) { 200 } else { 100 }]);
    assert_eq!(left_edge(&centred, 30.0), 30.0);
}

#[test]
fn a_small_part_of_a_large_picture_is_found_to_the_sample() {
    let size = Size { width: 5000, height: 200 };
    for at in [0, 700, 2400, 4960] {
        let spot = |x: u32, _| if (at..at + 40).contains(&x) { vec![250, 0, 0] } else { vec![128, 128, 128] };
        let left = left_edge(&drawn(size, PixelKind::Rgb, spot), 200.0);
        let best = (f64::from(at) + 20.0 - 100.0).clamp(0.0, 4800.0);
        assert!((left - best).abs() <= 20.0, "{at}: {left}");
    }
}

#[test]
fn a_caller_that_wants_no_more_is_heard() {
    let pixels = drawn(WIDE, PixelKind::Gray, |x, _| vec![x as u8]);
    assert_eq!(placed(&pixels, pixels.size(), middle(&pixels, 30.0), &|| false), Err(RenderError::Cancelled));
}

#[test]
fn the_most_salient_picture_overflows_nothing() {
    let line = vec![256 * ((1 << 21) - 1); SIDE_MAX as usize];
    assert!(score(&[line[0]; 2 * SIDE_MAX as usize]) > 0);
    assert_eq!(best_place(&line, 0.5), None);
    for red in (0..=255).step_by(5) {
        for green in (0..=255).step_by(5) {
            for blue in (0..=255).step_by(5) {
                let color = [red, green, blue];
                let most = 2 * 255 * 255 + 3 * saturation(color) * 306 + 18 * skin(color) * 258;
                assert!(saturation(color) <= 255 && skin(color) <= 255 && most < 1 << 21, "{color:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_window_never_leaves_the_picture(
        width in 1..400_u32, height in 1..400_u32, share in 0.001..1.0_f64, wide in any::<bool>(),
        values in prop::collection::vec(any::<u8>(), 1..50),
    ) {
        let pixels = drawn(Size { width, height }, PixelKind::Gray, |x, y| {
            vec![values[(x + y * 7) as usize % values.len()]]
        });
        let whole = Rect::whole(pixels.size());
        let window = if wide {
            Rect { x: 0.0, width: whole.width * share, ..whole }
        } else {
            Rect { y: 0.0, height: whole.height * share, ..whole }
        };
        let placed = placed(&pixels, pixels.size(), window, &always).unwrap();
        prop_assert_eq!((placed.width, placed.height), (window.width, window.height));
        prop_assert!(placed.x >= 0.0 && placed.x + placed.width <= whole.width);
        prop_assert!(placed.y >= 0.0 && placed.y + placed.height <= whole.height);
    }
}
