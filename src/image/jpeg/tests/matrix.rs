//! Files of every sampling, order of scans and number of components, whole and scaled: the picture comes back.

use super::support::{Arrangement, MadeComponent, make};
use super::*;
use crate::image::decode;
use crate::image::header::ColorKind;
use crate::image::resize;
use crate::image::shape::Rect;
use crate::image::shrink_on_load::{Aim, ShrinkOnLoad};
use crate::image::tests::support::header;
use crate::object::Format;

/// The meaning of a made file's components.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meant {
    Gray,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

use Meant::{Cmyk, Gray, Rgb, YCbCr, Ycck};

const SAMPLINGS: [(Meant, &[(u32, u32)]); 26] = [
    (Gray, &[(1, 1)]),
    (Gray, &[(2, 2)]),
    (Gray, &[(3, 1)]),
    (YCbCr, &[(1, 1), (1, 1), (1, 1)]),
    (YCbCr, &[(2, 2), (1, 1), (1, 1)]),
    (YCbCr, &[(1, 1), (2, 2), (2, 2)]),
    (YCbCr, &[(1, 1), (2, 1), (2, 1)]),
    (YCbCr, &[(1, 1), (1, 2), (2, 1)]),
    (YCbCr, &[(2, 1), (1, 2), (1, 1)]),
    (YCbCr, &[(2, 2), (2, 1), (1, 2)]),
    (YCbCr, &[(2, 2), (2, 2), (2, 2)]),
    (YCbCr, &[(3, 1), (1, 1), (1, 1)]),
    (YCbCr, &[(1, 3), (1, 1), (1, 1)]),
    (YCbCr, &[(3, 2), (1, 1), (1, 1)]),
    (YCbCr, &[(3, 1), (2, 1), (1, 1)]),
    (YCbCr, &[(4, 1), (1, 1), (1, 1)]),
    (YCbCr, &[(4, 2), (2, 1), (1, 2)]),
    (YCbCr, &[(2, 4), (1, 1), (1, 3)]),
    (Rgb, &[(1, 1), (1, 1), (1, 1)]),
    (Rgb, &[(2, 1), (2, 1), (1, 1)]),
    (Cmyk, &[(1, 1), (1, 1), (1, 1), (1, 1)]),
    (Cmyk, &[(2, 2), (1, 1), (1, 1), (2, 2)]),
    (Cmyk, &[(1, 1), (2, 2), (2, 2), (1, 1)]),
    (Cmyk, &[(1, 2), (2, 1), (1, 1), (3, 1)]),
    (Ycck, &[(1, 1), (1, 1), (1, 1), (1, 1)]),
    (Ycck, &[(2, 2), (1, 1), (1, 1), (2, 2)]),
];

/// Soft waves: coarse samples hold them nearly as well as fine ones.
fn waves(size: Size) -> Vec<[f64; 3]> {
    let pixel = |x: u32, y: u32| {
        let (x, y) = (f64::from(x) / 21.0, f64::from(y) / 17.0);
        [(x + y).sin(), (x - 0.5 * y).cos(), (0.7 * x).sin() * y.cos()].map(|wave| 128.0 + 90.0 * wave)
    };
    (0..size.height).flat_map(|y| (0..size.width).map(move |x| pixel(x, y))).collect()
}

fn ycc([red, green, blue]: [f64; 3]) -> [f64; 3] {
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    [luma, 128.0 + 0.564 * (blue - luma), 128.0 + 0.713 * (red - luma)]
}

/// The stored components of a pixel. Inks are inverted, so without black they are the colours themselves.
fn stored(meant: Meant, pixel: [f64; 3]) -> Vec<f64> {
    match meant {
        Gray => vec![ycc(pixel)[0]],
        YCbCr => ycc(pixel).to_vec(),
        Rgb => pixel.to_vec(),
        Cmyk => [&pixel[..], &[255.0]].concat(),
        // The colour differences are those of the ink.
        Ycck => [&ycc(pixel.map(|light| 255.0 - light))[..], &[255.0]].concat(),
    }
}

fn expected(meant: Meant, size: Size) -> Pixels {
    let byte = |value: f64| value.round() as u8;
    let pixels = waves(size);
    if meant == Gray {
        let data = pixels.into_iter().map(|pixel| byte(ycc(pixel)[0])).collect();
        return Pixels::new(size, PixelKind::Gray, data).unwrap();
    }
    Pixels::new(size, PixelKind::Rgb, pixels.into_iter().flat_map(|pixel| pixel.map(byte)).collect()).unwrap()
}

fn adobe(transform: u8) -> Vec<u8> {
    [b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0", &[transform][..]].concat()
}

fn made(meant: Meant, factors: &[(u32, u32)], size: Size, arrangement: &Arrangement) -> Vec<u8> {
    let pixels: Vec<_> = waves(size).into_iter().map(|pixel| stored(meant, pixel)).collect();
    let component = |(at, (across, down)): (usize, &(u32, u32))| MadeComponent {
        samples: pixels.iter().map(|pixel| pixel[at]).collect(),
        across: *across,
        down: *down,
    };
    let components: Vec<_> = factors.iter().enumerate().map(component).collect();
    make(size, &components, arrangement)
}

fn arrangement(meant: Meant) -> Arrangement {
    let head = match meant {
        Rgb => adobe(0),
        Ycck => adobe(2),
        _ => Vec::new(),
    };
    Arrangement {
        ids: vec![1, 2, 3, 4],
        head,
        is_progressive: false,
        is_apart: false,
        restart_interval: 0,
        repeats_height: false,
    }
}

/// The mean difference of the whole picture, and of two scaled ones.
fn differences(meant: Meant, bytes: &[u8], size: Size) -> Vec<f64> {
    let kind = match meant {
        Gray => ColorKind::Gray,
        YCbCr | Rgb => ColorKind::Rgb,
        Cmyk | Ycck => ColorKind::Cmyk,
    };
    let header = header(Format::Jpeg, size, kind);
    let expected = expected(meant, size);
    let whole = decode::decode(bytes, &header, None, &LIMITS, &|| true).unwrap();
    let cut = Rect { x: 0, y: 0, width: size.width, height: size.height };
    let window = Rect::whole(size);
    let mut differences = vec![mean_apart(whole.data(), expected.data())];
    for divisor in [2, 5] {
        let to = Size { width: size.width.div_ceil(divisor), height: size.height.div_ceil(divisor) };
        let aim = Aim { window, to };
        let shrunk = ShrinkOnLoad::of(bytes, &header, cut, aim, Format::Png, Light::Encoded).unwrap();
        let scaled = shrunk.pixels(shrunk.decode(&LIMITS, &|| true).unwrap(), &|| true).unwrap();
        let expected = resize::resize(expected.clone(), window, to).unwrap();
        differences.push(mean_apart(scaled.data(), expected.data()));
    }
    differences
}

#[test]
fn every_sampling_and_order_of_scans_gives_the_picture_back_whole_and_scaled() {
    let mut wrong = Vec::new();
    for (meant, factors) in SAMPLINGS {
        for (is_progressive, is_apart) in [(false, false), (false, true), (true, false), (true, true)] {
            for restart_interval in [0, 3] {
                for size in [Size { width: 67, height: 45 }, Size { width: 40, height: 33 }] {
                    let arrangement =
                        Arrangement { is_progressive, is_apart, restart_interval, ..arrangement(meant) };
                    let bytes = made(meant, factors, size, &arrangement);
                    let most = differences(meant, &bytes, size).into_iter().fold(0.0, f64::max);
                    if most > 4.0 {
                        wrong.push(format!("{meant:?} {factors:?} {arrangement:?} {size:?}: {most:.1}"));
                    }
                    let jpeg = Jpeg::read(&bytes).unwrap();
                    assert!(jpeg.is_whole(&LIMITS, &|| true).unwrap(), "{meant:?} {factors:?}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn odd_ids_and_a_repeated_height_change_nothing() {
    let size = Size { width: 67, height: 45 };
    for (meant, factors) in [(YCbCr, &[(2, 2), (1, 1), (1, 1)][..]), (Cmyk, &[(1, 1); 4])] {
        for (ids, repeats_height) in
            [(vec![1; 4], false), (vec![0, 0, 1, 1], false), (vec![1, 2, 3, 4], true)]
        {
            for is_progressive in [false, true] {
                // A scan of one component could not say which it is.
                let is_apart = false;
                if is_progressive && !repeats_height {
                    continue;
                }
                let ids = ids.clone();
                let arrangement =
                    Arrangement { ids, repeats_height, is_progressive, is_apart, ..arrangement(meant) };
                let bytes = made(meant, factors, size, &arrangement);
                for difference in differences(meant, &bytes, size) {
                    assert!(difference < 4.0, "{meant:?} {arrangement:?}: {difference:.1}");
                }
            }
        }
    }
}
