//! Facts about every encoder: it calls `keep_going` often, and stops when that returns false.

use std::cell::Cell;

use super::*;
use crate::image::draw;

const SIZE: Size = Size { width: 300, height: 200 };

fn picture(scene: usize) -> Pixels {
    draw::sample(scene, SIZE).unwrap()
}

/// A picture of few colours, for which formats with palettes have a separate path.
fn drawing() -> Pixels {
    let color = |at: u64| [(at % 300 / 50) as u8 * 40, (at / 300 / 40) as u8 * 50, 9];
    Pixels::new(SIZE, PixelKind::Rgb, (0..SIZE.area()).flat_map(color).collect()).unwrap()
}

#[test]
fn every_encoder_asks_often_and_stops_at_the_first_no() {
    for (format, pixels, least) in [
        // Rows of 16 pixels.
        (Format::Jpeg, picture(0), 12),
        // Palette rows; pictures in full colour are written in one fast call.
        (Format::Png, drawing(), 200),
        // Rows, and the quantisation before them.
        (Format::Gif, picture(0), 200),
        // Hundredths of the picture.
        (Format::Webp, picture(0), 10),
        (Format::Webp, picture(3), 10),
    ] {
        let asked = Cell::new(0);
        let ask = |until: u32| {
            asked.set(0);
            encode_while(pixels.clone(), format, Some(80), &|| {
                asked.set(asked.get() + 1);
                asked.get() < until
            })
        };
        assert_eq!(ask(u32::MAX), encode(pixels.clone(), format, Some(80)));
        let all = asked.get();
        assert!(all >= least, "{format:?} asked {all} times");
        for until in [1, 2, all / 2, all] {
            assert_eq!(ask(until), Err(RenderError::Cancelled), "{format:?} {until} of {all}");
            assert_eq!(asked.get(), until, "{format:?} went on after a no");
        }
    }
}

#[test]
fn planes_and_frames_ask_and_stop_too() {
    let plane = |size: Size| Pixels::new(size, PixelKind::Gray, vec![7; size.area() as usize]).unwrap();
    let planes = [SIZE, SIZE.halved(), SIZE.halved()].map(plane);
    assert_eq!(encode_planes(&planes, None, &|| false), Err(RenderError::Cancelled));
    for format in [Format::Gif, Format::Webp] {
        let mut animation = animation(format, SIZE, 0, None).unwrap();
        animation.push(picture(0), 10, &|| true).unwrap();
        let asked = Cell::new(0);
        let few = || {
            asked.set(asked.get() + 1);
            asked.get() < 5
        };
        assert_eq!(animation.push(picture(1), 10, &few), Err(RenderError::Cancelled), "{format:?}");
        assert_eq!(asked.get(), 5, "{format:?}");
    }
}
