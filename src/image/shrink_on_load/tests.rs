//! Windows that are scaled down during the decode, compared with the same windows of the whole picture.

use jpeg_encoder::SamplingFactor;

use super::*;
use crate::image::draw;
use crate::image::header::ColorKind;
use crate::image::tests::support::{self, jpeg_file};

const LIMITS: Limits = Limits { pixels_max: 10_000_000, frames_max: 1 };

const SAMPLINGS: [SamplingFactor; 6] = [
    SamplingFactor::R_4_4_4,
    SamplingFactor::R_4_2_2,
    SamplingFactor::R_4_2_0,
    SamplingFactor::R_4_4_0,
    SamplingFactor::R_4_1_1,
    SamplingFactor::R_4_1_0,
];

fn picture(width: u32, height: u32) -> Pixels {
    draw::sample(0, Size { width, height }).unwrap()
}

fn written(pixels: &Pixels, sampling: SamplingFactor, progressive: bool) -> Vec<u8> {
    jpeg_file(pixels, 97, |encoder| {
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(progressive);
    })
}

fn header(size: Size) -> Header {
    support::header(Format::Jpeg, size, ColorKind::Rgb)
}

/// A cut, a window in it, and the size to which the window is resized.
type CutWindow = (Rect<u32>, Rect<f64>, Size);

fn part(cut: [u32; 4], window: [f64; 4], to: [u32; 2]) -> CutWindow {
    let [x, y, width, height] = cut;
    let cut = Rect { x, y, width, height };
    let [x, y, width, height] = window;
    (cut, Rect { x, y, width, height }, Size { width: to[0], height: to[1] })
}

/// Parts of a picture of 400 × 300, at every ratio.
fn parts() -> Vec<CutWindow> {
    vec![
        part([0, 0, 400, 300], [0.0, 0.0, 400.0, 300.0], [20, 15]),
        part([0, 0, 400, 300], [0.0, 0.0, 400.0, 300.0], [40, 30]),
        part([0, 0, 400, 300], [0.0, 0.0, 400.0, 300.0], [90, 68]),
        part([0, 0, 400, 300], [0.0, 0.0, 400.0, 300.0], [300, 225]),
        part([0, 0, 400, 300], [0.0, 0.0, 400.0, 300.0], [400, 299]),
        part([0, 0, 400, 300], [50.5, 0.25, 299.25, 299.5], [30, 30]),
        part([101, 53, 199, 222], [0.0, 11.5, 199.0, 199.0], [25, 25]),
        part([101, 53, 199, 222], [0.0, 0.0, 199.0, 222.0], [150, 167]),
        part([333, 280, 67, 20], [0.0, 0.0, 67.0, 20.0], [60, 2]),
        part([399, 299, 1, 1], [0.0, 0.0, 1.0, 1.0], [2, 1]),
        part([10, 10, 30, 20], [0.0, 0.0, 30.0, 20.0], [90, 60]),
    ]
}

fn scaled(bytes: &[u8], size: Size, (cut, window, to): CutWindow, format: Format) -> Pixels {
    let scaled = ShrinkOnLoad::of(bytes, &header(size), cut, Aim { window, to }, format, Light::Encoded)
        .expect("a file for this way");
    scaled.pixels(scaled.decode(&LIMITS, &|| true).unwrap(), &|| true).unwrap()
}

/// The window of a completely decoded picture.
fn resized(pixels: &Pixels, (cut, window, to): CutWindow) -> Pixels {
    resize::resize(pixels.clone().cropped(cut).unwrap(), window, to).unwrap()
}

/// Root mean square of the difference over all channels.
fn apart(left: &Pixels, right: &Pixels) -> f64 {
    assert_eq!((left.size(), left.kind()), (right.size(), right.kind()));
    let square = |(left, right): (&u8, &u8)| (f64::from(*left) - f64::from(*right)).powi(2);
    (left.data().iter().zip(right.data()).map(square).sum::<f64>() / left.data().len() as f64).sqrt()
}

/// Soft shapes, whose place is measurable to a fraction of a pixel. Cells of 4 × 4 pixels have one colour, because the
/// encoder at hand stores the colour of one pixel instead of the mean.
fn waves(width: u32, height: u32) -> Pixels {
    let pixel = |x: u32, y: u32| {
        let (x, y) = (f64::from(x / 4) / 6.0, f64::from(y / 4) / 4.5);
        [(x + y).sin(), (x - 0.5 * y).cos(), (0.7 * x).sin() * y.cos()]
            .map(|wave| (128.0 + 100.0 * wave) as u8)
    };
    let data = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Pixels::new(Size { width, height }, PixelKind::Rgb, data).unwrap()
}

#[test]
fn every_window_is_that_of_the_whole_picture() {
    let pixels = waves(400, 300);
    for sampling in SAMPLINGS {
        // A small target may have fewer colour samples than pixels.
        let few = matches!(sampling, SamplingFactor::R_4_1_1 | SamplingFactor::R_4_1_0);
        let bound = if few { 5.5 } else { 2.8 };
        for progressive in [false, true] {
            let bytes = written(&pixels, sampling, progressive);
            for part in parts() {
                for format in [Format::Jpeg, Format::Png] {
                    let distance =
                        apart(&scaled(&bytes, pixels.size(), part, format), &resized(&pixels, part));
                    assert!(distance < bound, "{sampling:?} {part:?} {format:?}: {distance:.1}");
                }
            }
        }
    }
}

#[test]
fn colours_lie_where_luma_lies() {
    // A colour edge that is also a luma edge: a colour plane half a sample off would leave a fringe.
    let pixels = picture(400, 300);
    for (sampling, bound) in [(SamplingFactor::R_4_4_4, 5.0), (SamplingFactor::R_4_2_0, 6.0)] {
        let bytes = written(&pixels, sampling, false);
        for to in [[50, 38], [100, 75], [133, 100]] {
            let part = part([0, 0, 400, 300], [0.0, 0.0, 400.0, 300.0], to);
            let distance = apart(&scaled(&bytes, pixels.size(), part, Format::Png), &resized(&pixels, part));
            assert!(distance < bound, "{sampling:?} {to:?}: {distance:.1}");
        }
    }
}

#[test]
fn scales_follow_from_sizes_and_format() {
    let bytes = written(&picture(400, 304), SamplingFactor::R_4_2_0, false);
    let scales = |width: u32, height: u32, format| {
        let (cut, window, to) = part([0, 0, 400, 304], [0.0, 0.0, 400.0, 304.0], [width, height]);
        ShrinkOnLoad::of(
            &bytes,
            &header(Size { width: 400, height: 304 }),
            cut,
            Aim { window, to },
            format,
            Light::Encoded,
        )
        .unwrap()
        .scales()
        .to_vec()
    };
    use Scale::{Eighth, Half, Quarter, Whole};
    assert_eq!(scales(35, 27, Format::Jpeg), [Eighth; 3]);
    assert_eq!(scales(36, 27, Format::Jpeg), [Quarter, Eighth, Eighth]);
    assert_eq!(scales(35, 27, Format::Png), [Eighth, Quarter, Quarter]);
    assert_eq!(scales(50, 38, Format::Jpeg), [Quarter, Eighth, Eighth]);
    assert_eq!(scales(51, 38, Format::Webp), [Quarter; 3]);
    assert_eq!(scales(153, 116, Format::Gif), [Half, Whole, Whole]);
    assert_eq!(scales(154, 116, Format::Jpeg), [Whole, Half, Half]);
    assert_eq!(scales(201, 152, Format::Jpeg), [Whole; 3]);
    assert_eq!(scales(400, 303, Format::Jpeg), [Whole; 3]);
}

#[test]
fn a_gray_source_stays_gray_and_stored_rgb_is_not_converted() {
    let colors = waves(96, 64);
    let whole = part([0, 0, 96, 64], [0.0, 0.0, 96.0, 64.0], [24, 16]);
    let gray: Vec<u8> = colors.data().chunks_exact(3).map(|pixel| pixel[0]).collect();
    let gray = Pixels::new(colors.size(), PixelKind::Gray, gray).unwrap();
    let bytes = written(&gray, SamplingFactor::R_4_4_4, false);
    assert!(apart(&scaled(&bytes, gray.size(), whole, Format::Jpeg), &resized(&gray, whole)) < 3.0);
    // The same components, declared as red, green and blue.
    let mut bytes = written(&colors, SamplingFactor::R_4_4_4, false);
    bytes[6] = b'X';
    let adobe = [&bytes[..2], b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\0", &bytes[2..]].concat();
    let (made, stored) = (
        scaled(&bytes, colors.size(), whole, Format::Png),
        scaled(&adobe, colors.size(), whole, Format::Png),
    );
    let luma = |pixel: &[u8]| {
        (0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2])) as u8
    };
    for (made, stored) in made.data().chunks_exact(3).zip(stored.data().chunks_exact(3)) {
        assert!(luma(made).abs_diff(stored[0]) <= 3, "{made:?} {stored:?}");
    }
}

#[test]
fn other_sources_are_left_to_the_whole_way() {
    let size = Size { width: 40, height: 30 };
    let bytes = written(&picture(40, 30), SamplingFactor::R_4_2_0, false);
    let (cut, window, to) = part([0, 0, 40, 30], [0.0, 0.0, 40.0, 30.0], [4, 3]);
    let of = |bytes, header: Header| {
        ShrinkOnLoad::of(bytes, &header, cut, Aim { window, to }, Format::Jpeg, Light::Encoded).is_some()
    };
    assert!(of(&bytes, header(size)));
    assert!(!of(&bytes, header(Size { width: 41, ..size })));
    assert!(!of(&bytes, Header { format: Format::Png, ..header(size) }));
    assert!(!of(b"no JPEG", header(size)));
    // Pixels that are only cut out, wherever the cut lies.
    let exact = |cut, window, to| {
        ShrinkOnLoad::of(&bytes, &header(size), cut, Aim { window, to }, Format::Jpeg, Light::Encoded)
            .is_none()
    };
    let (cut, window, to) = part([5, 5, 20, 20], [1.0, 2.0, 8.0, 8.0], [8, 8]);
    assert!(exact(cut, window, to) && !exact(cut, window, Size { width: 7, ..to }));
}

#[test]
fn the_peak_is_that_of_the_planes_and_not_of_the_picture() {
    let bytes = written(&picture(1600, 1200), SamplingFactor::R_4_2_0, false);
    let peak = |to: [u32; 2]| {
        let (cut, window, to) = part([0, 0, 1600, 1200], [0.0, 0.0, 1600.0, 1200.0], to);
        ShrinkOnLoad::of(
            &bytes,
            &header(Size { width: 1600, height: 1200 }),
            cut,
            Aim { window, to },
            Format::Jpeg,
            Light::Encoded,
        )
        .unwrap()
        .peak_bytes()
    };
    // A tenth of the memory of the whole decode; at its own size, hardly more than planes and results.
    assert!(peak([200, 150]) < 1600 * 1200 * 9 / 10, "{}", peak([200, 150]));
    assert!((1600 * 1199 * 6..1600 * 1200 * 9).contains(&peak([1600, 1199])), "{}", peak([1600, 1199]));
}
