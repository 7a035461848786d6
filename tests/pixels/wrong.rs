//! Pictures that are wrong in the ways in which decoders go wrong. No bound may let one of them through.

use reticulum::image::draw;
use reticulum::image::light::Light;
use reticulum::image::shape::Size;

use crate::compare::Difference;
use crate::expected;
use crate::picture::Picture;

/// A picture as sharp and as colorful as a photo.
fn right() -> Picture {
    let drawn = draw::sample(0, Size { width: 300, height: 200 }).expect("a picture");
    let pixels = drawn.data().chunks_exact(3).map(|color| [color[0], color[1], color[2], 255]);
    Picture { width: 300, height: 200, pixels: pixels.collect() }
}

/// The pixel of each place, from the picture and the place.
fn changed(picture: &Picture, pixel: impl Fn(&Picture, usize, usize) -> [u8; 4]) -> Picture {
    let Picture { width, height, .. } = *picture;
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    Picture { width, height, pixels: places.map(|(x, y)| pixel(picture, x, y)).collect() }
}

fn at(picture: &Picture, x: usize, y: usize) -> [u8; 4] {
    picture.pixels[y.min(picture.height - 1) * picture.width + x.min(picture.width - 1)]
}

fn ycc([red, green, blue, _]: [u8; 4]) -> [f32; 3] {
    let [red, green, blue] = [red, green, blue].map(f32::from);
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    [luma, (blue - luma) / 1.772, (red - luma) / 1.402]
}

fn rgb([luma, cb, cr]: [f32; 3]) -> [u8; 4] {
    let (red, blue) = (luma + 1.402 * cr, luma + 1.772 * cb);
    let green = (luma - 0.299 * red - 0.114 * blue) / 0.587;
    let [red, green, blue] = [red, green, blue].map(|value| value.round().clamp(0.0, 255.0) as u8);
    [red, green, blue, 255]
}

fn wrong_pictures() -> Vec<(&'static str, Picture)> {
    let right = right();
    let made = |pixel: &dyn Fn(&Picture, usize, usize) -> [u8; 4]| changed(&right, pixel);
    vec![
        (
            "red and blue swapped",
            made(&|it, x, y| {
                let [red, green, blue, alpha] = at(it, x, y);
                [blue, green, red, alpha]
            }),
        ),
        (
            "color differences swapped",
            made(&|it, x, y| {
                let [luma, cb, cr] = ycc(at(it, x, y));
                rgb([luma, cr, cb])
            }),
        ),
        (
            "color differences stretched",
            made(&|it, x, y| {
                let [[luma, ..], [_, cb, cr]] = [ycc(at(it, x, y)), ycc(at(it, x / 2, y))];
                rgb([luma, cb, cr])
            }),
        ),
        ("no color", made(&|it, x, y| rgb([ycc(at(it, x, y))[0], 0.0, 0.0]))),
        ("moved by a pixel", made(&|it, x, y| at(it, x + 1, y))),
        ("mirrored", made(&|it, x, y| at(it, it.width - 1 - x, y))),
        ("upside down", made(&|it, x, y| at(it, x, it.height - 1 - y))),
        ("darker by a fiftieth", made(&|it, x, y| at(it, x, y).map(|value| value.saturating_sub(5)))),
        (
            "one tile from elsewhere",
            made(&|it, x, y| match (x, y) {
                (160..176, 144..160) => at(it, x + 16, y - 32),
                _ => at(it, x, y),
            }),
        ),
        (
            "nothing below the middle",
            made(&|it, x, y| if y < 100 { at(it, x, y) } else { [128, 128, 128, 255] }),
        ),
        ("an error's page", made(&|_, _, _| [255; 4])),
    ]
}

#[test]
fn no_bound_lets_a_wrong_picture_through() {
    let right = right();
    for bound in expected::ALL {
        assert!(bound.holds(&Difference::between(&right, &right, Light::Encoded)));
        for (name, wrong) in wrong_pictures() {
            let difference = Difference::between(&wrong, &right, Light::Encoded);
            assert!(!bound.holds(&difference), "{name} passes {bound:?}: {difference}");
        }
    }
}

#[test]
fn alpha_counts_where_it_shows() {
    let right = right();
    let faded = changed(&right, |it, x, y| {
        let [red, green, blue, _] = at(it, x, y);
        [red, green, blue, 240]
    });
    let difference = Difference::between(&faded, &right, Light::Encoded);
    assert!(expected::ALL.iter().all(|bound| !bound.holds(&difference)), "{difference}");
    let hidden = |color: u8| Picture { width: 9, height: 9, pixels: vec![[color, 0, color, 0]; 81] };
    let difference = Difference::between(&hidden(0), &hidden(200), Light::Encoded);
    assert!(expected::EXACT.holds(&difference), "{difference}");
}
