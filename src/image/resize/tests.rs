//! Windows, edges and alpha, on pictures with known results.

mod level;

use super::*;

fn gray(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> Pixels {
    let data = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| value(x, y)).collect();
    Pixels::new(Size { width, height }, PixelKind::Gray, data).unwrap()
}

fn window(x: f64, y: f64, width: f64, height: f64) -> Rect<f64> {
    Rect { x, y, width, height }
}

#[test]
fn whole_pixels_at_their_own_size_are_copied_exactly() {
    let noise = gray(16, 16, |x, y| (x * 37 + y * 101) as u8);
    let part = resize(noise.clone(), window(3.0, 5.0, 8.0, 4.0), Size { width: 8, height: 4 }).unwrap();
    assert_eq!(part, noise.clone().cropped(Rect { x: 3, y: 5, width: 8, height: 4 }).unwrap());
    let all = resize(noise.clone(), Rect::whole(noise.size()), noise.size()).unwrap();
    assert_eq!(all, noise);
}

#[test]
fn a_fractional_window_is_not_rounded_to_whole_pixels() {
    // On a ramp, the middle of the result gives the window's place to a fraction of a pixel.
    let ramp = gray(100, 8, |x, _| (2 * x) as u8);
    let to = Size { width: 9, height: 8 };
    let middle = |left| resize(ramp.clone(), window(left, 0.0, 45.0, 8.0), to).unwrap().data()[4];
    assert_eq!(middle(20.0), 84);
    assert_eq!(middle(20.5), 85);
    assert_eq!(middle(21.0), 86);
}

#[test]
fn a_window_outside_the_picture_is_refused_and_rounding_is_not() {
    let small = gray(10, 10, |x, y| (x + y) as u8);
    let to = Size { width: 3, height: 3 };
    let bad = [
        window(-1.0, 0.0, 5.0, 5.0),
        window(0.0, 6.0, 5.0, 5.0),
        window(0.0, 0.0, 0.0, 5.0),
        window(0.0, 0.0, -2.0, 5.0),
        window(f64::NAN, 0.0, 5.0, 5.0),
        window(0.0, 0.0, f64::INFINITY, 5.0),
    ];
    for window in bad {
        assert_eq!(resize(small.clone(), window, to), Err(RenderError::BadWindow), "{window:?}");
    }
    let rounded = window(10.0 / 3.0, -1e-12, 20.0 / 3.0 + 1e-9, 10.0);
    assert_eq!(resize(small, rounded, to).unwrap().size(), to);
}

#[test]
fn a_transparent_neighbour_does_not_darken_an_edge() {
    // Left half opaque white, right half transparent black: every visible pixel must stay white.
    let row = |x: u32| if x < 32 { [255, 255, 255, 255] } else { [0, 0, 0, 0] };
    let data = (0..64).flat_map(|_| (0..64).flat_map(row)).collect();
    let pixels = Pixels::new(Size { width: 64, height: 64 }, PixelKind::Rgba, data).unwrap();
    let to = Size { width: 13, height: 13 };
    let small = resize(pixels, window(0.0, 0.0, 64.0, 64.0), to).unwrap();
    assert!(small.data().chunks_exact(4).any(|pixel| (1..255).contains(&pixel[3])), "no edge was sampled");
    for pixel in small.data().chunks_exact(4).filter(|pixel| pixel[3] > 8) {
        assert!(pixel[..3].iter().all(|&channel| channel >= 250), "darkened: {pixel:?}");
    }
}

#[test]
fn one_pixel_can_be_enlarged_and_a_line_reduced() {
    let one = gray(1, 1, |_, _| 77);
    let large = resize(one, window(0.0, 0.0, 1.0, 1.0), Size { width: 50, height: 50 }).unwrap();
    assert!(large.data().iter().all(|&value| value == 77));
    let line = gray(1, 1000, |_, _| 9);
    let short = resize(line, window(0.0, 0.0, 1.0, 1000.0), Size { width: 1, height: 3 }).unwrap();
    assert_eq!(short.data(), [9, 9, 9]);
}

#[test]
fn means_of_linear_light_are_those_of_a_display() {
    let size = Size { width: 60, height: 40 };
    let checks = |kind: PixelKind, light: &[u8], dark: &[u8]| {
        let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x + y) % 2 == 0));
        let data =
            places.flat_map(|is_light| if is_light { light.to_vec() } else { dark.to_vec() }).collect();
        Pixels::new(size, kind, data).unwrap()
    };
    let to = Size { width: 15, height: 10 };
    for (kind, light, dark, expected) in [
        (PixelKind::Gray, &[255][..], &[0][..], &[188][..]),
        (PixelKind::Rgb, &[255, 0, 9], &[0, 255, 9], &[188, 188, 9]),
        (PixelKind::GrayAlpha, &[255, 255], &[0, 0], &[255, 128]),
        (PixelKind::Rgba, &[255, 10, 0, 255], &[0, 10, 255, 255], &[188, 10, 188, 255]),
    ] {
        let pixels = checks(kind, light, dark);
        let made = resize_in(Light::Linear, pixels, Rect::whole(size), to).unwrap();
        assert_eq!((made.size(), made.kind()), (to, kind));
        for pixel in made.data().chunks_exact(kind.channels()) {
            let is_near = pixel.iter().zip(expected).all(|(value, expected)| value.abs_diff(*expected) <= 1);
            assert!(is_near, "{kind:?}: {pixel:?} for {expected:?}");
        }
    }
}

#[test]
fn a_plain_colour_stays_exactly_as_it_is_in_linear_light() {
    let size = Size { width: 50, height: 30 };
    for value in 0..=255 {
        let pixels = Pixels::new(size, PixelKind::Rgb, [value, 255 - value, 77].repeat(1500)).unwrap();
        let made =
            resize_in(Light::Linear, pixels, Rect::whole(size), Size { width: 17, height: 11 }).unwrap();
        assert!(made.data().chunks_exact(3).all(|pixel| pixel == [value, 255 - value, 77]), "{value}");
    }
}

#[test]
fn enlargements_are_of_stored_values() {
    let size = Size { width: 20, height: 10 };
    let data: Vec<u8> = (0..200).map(|at| (at * 37) as u8).collect();
    let pixels = Pixels::new(size, PixelKind::Gray, data).unwrap();
    for to in [Size { width: 40, height: 20 }, Size { width: 10, height: 20 }, Size { width: 30, height: 5 }]
    {
        let made = resize_in(Light::Linear, pixels.clone(), Rect::whole(size), to).unwrap();
        assert_eq!(made, resize(pixels.clone(), Rect::whole(size), to).unwrap());
    }
    let to = Size { width: 10, height: 5 };
    let made = resize_in(Light::Linear, pixels.clone(), Rect::whole(size), to).unwrap();
    assert_ne!(made, resize(pixels, Rect::whole(size), to).unwrap());
}
