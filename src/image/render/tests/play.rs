//! Variants that stay animations: each frame looks like the same variant of that frame alone, and has the same delay.

use std::cell::Cell;

use super::support::*;
use crate::image::decode::AnimationDecoder;
use crate::image::pixels::PixelKind;
use crate::image::recipe::AnimationMax;
use crate::image::render::*;
use crate::image::{decode, inspect};
use crate::object::Format;

const SIZE: Size = Size { width: 48, height: 36 };

/// A picture over which a red square moves; in the last frame it is alone, and the rest is transparent.
fn moving(count: u32) -> Vec<Pixels> {
    let ground = photo(SIZE, PixelKind::Rgb);
    let frame = |number: u32| {
        let pixel = |x: u32, y: u32| {
            let at = (y * SIZE.width + x) as usize * 3;
            let inside = (number * 4..number * 4 + 12).contains(&x) && (10..22).contains(&y);
            match inside {
                true => [230, 20, 20, 255],
                false if number + 1 == count => [0; 4],
                false => [ground.data()[at], ground.data()[at + 1], ground.data()[at + 2], 255],
            }
        };
        let data = (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y)));
        Pixels::new(SIZE, PixelKind::Rgba, data.flat_map(|(x, y)| pixel(x, y)).collect()).unwrap()
    };
    (0..count).map(frame).collect()
}

pub(super) fn animated(format: Format, count: u32) -> Vec<u8> {
    let mut animation = encode::animation(format, SIZE, 3, Some(95)).unwrap();
    for (number, frame) in (0..).zip(moving(count)) {
        animation.push(frame, 20 + 10 * number, &always).unwrap();
    }
    animation.finish(&always).unwrap()
}

/// Frames with their delays, and the number of plays.
fn played(file: &[u8]) -> (Vec<(Pixels, u32)>, u32) {
    let header = inspect::inspect(file, LIMITS).unwrap();
    let mut decoder = AnimationDecoder::new(file, &header, &LIMITS).unwrap();
    let mut frames = Vec::new();
    while let Some(delay_ms) = decoder.next(&always).unwrap() {
        frames.push((decoder.current_frame().unwrap(), delay_ms));
    }
    (frames, decoder.loop_count())
}

fn made(source: &[u8], recipe: &Recipe) -> Result<Vec<u8>, RenderError> {
    render(
        source,
        &inspect::inspect(source, LIMITS).unwrap(),
        recipe,
        &LIMITS,
        &mut DecodedPlanes::Ignore,
        &always,
    )
}

/// The loss, in decibels, of the worst of `compared` frames: how much less than a still in the same format it resembles
/// the exact variant of that frame alone.
fn measure_loss(source: &[u8], variant: &[u8], spec: &str, format: Format, compared: usize) -> f64 {
    let shown = played(variant).0;
    let alone = |number, format| {
        let file = made(source, &recipe(&format!("{spec},frame{number}"), format)).unwrap();
        let header = inspect::inspect(&file, LIMITS).unwrap();
        decode::decode(&file, &header, None, &LIMITS, &always).unwrap()
    };
    // Beyond this value a difference is invisible.
    let similarity = |one: &Pixels, other: &Pixels| psnr(one, other).min(45.0);
    let lost = |(number, (pixels, _)): (usize, &(Pixels, u32))| {
        let exact = alone(number, Format::Png);
        similarity(&alone(number, format), &exact) - similarity(pixels, &exact)
    };
    shown.iter().enumerate().step_by(shown.len().div_ceil(compared)).map(lost).fold(f64::MIN, f64::max)
}

#[test]
fn every_frame_goes_through_every_step_with_its_delay_and_the_plays() {
    for from in [Format::Gif, Format::Webp] {
        let source = animated(from, 5);
        for to in [Format::Gif, Format::Webp] {
            for (spec, size) in [
                ("full", (48, 36)),
                ("24w", (24, 18)),
                ("20s,g-e", (20, 20)),
                ("30w40h,pad,rot90", (30, 40)),
                ("full,crop-5-6-31-22,flip", (31, 22)),
                ("24w,grey,blur0.8", (24, 18)),
                ("24w,bg-00ff00", (24, 18)),
            ] {
                let variant = made(&source, &recipe(spec, to)).unwrap();
                let (frames, plays) = played(&variant);
                assert_eq!(plays, 3);
                let delays: Vec<_> = frames.iter().map(|frame| frame.1).collect();
                assert_eq!(delays, [20, 30, 40, 50, 60], "{from:?} {to:?} {spec}");
                assert_eq!((frames[0].0.size().width, frames[0].0.size().height), size);
                let lost = measure_loss(&source, &variant, spec, to, 5);
                assert!(lost < 3.0, "{from:?} {to:?} {spec}: {lost:.1} dB lost");
            }
        }
    }
}

#[test]
fn the_window_is_found_on_the_first_frame_for_all() {
    let source = animated(Format::Gif, 5);
    // In the last frame the square is alone and further right: a separate look at that frame would cut it elsewhere.
    for spec in ["full,trim", "18s,g-smart"] {
        let variant = made(&source, &recipe(spec, Format::Gif)).unwrap();
        let frames = played(&variant).0;
        assert_eq!(frames.len(), 5);
        assert!(frames.windows(2).all(|pair| pair[0].0.size() == pair[1].0.size()), "{spec}");
        let first = made(&source, &recipe(&format!("{spec},frame0"), Format::Gif)).unwrap();
        assert!(psnr(&frames[0].0, &played(&first).0[0].0) > 30.0, "{spec}");
    }
}

#[test]
fn what_is_asked_for_as_a_still_or_too_large_to_play_is_one() {
    let source = animated(Format::Webp, 4);
    let area = SIZE.area();
    let within = |frames, pixels| Recipe {
        animation: Some(AnimationMax { frames, pixels }),
        ..recipe("24w", Format::Gif)
    };
    for (recipe, frames) in [
        (within(4, 4 * area), 4),
        (within(3, 4 * area), 1),
        (within(4, 4 * area - 1), 1),
        (recipe("24w,frame2", Format::Gif), 1),
        (recipe("24w,frame0", Format::Webp), 1),
        (recipe("24w", Format::Png), 1),
        (recipe("24w", Format::Jpeg), 1),
    ] {
        let variant = made(&source, &recipe).unwrap();
        assert_eq!(inspect::inspect(&variant, LIMITS).unwrap().frames, frames, "{recipe:?}");
        // A source of one frame gives a still.
        let still = animated(Format::Gif, 1);
        assert_eq!(
            inspect::inspect(&made(&still, &recipe_of_first(&recipe)).unwrap(), LIMITS).unwrap().frames,
            1
        );
    }
}

fn recipe_of_first(recipe: &Recipe) -> Recipe {
    Recipe { frame: None, ..recipe.clone() }
}

#[test]
fn a_caller_is_asked_before_every_frame() {
    for count in [3, 6] {
        let source = animated(Format::Gif, count);
        let header = inspect::inspect(&source, LIMITS).unwrap();
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            asked.get() < 3 * count
        };
        let result =
            render(&source, &header, &recipe("24w", Format::Webp), &LIMITS, &mut DecodedPlanes::Ignore, &ask);
        assert!(result == Err(RenderError::Cancelled) || asked.get() >= count, "{}", asked.get());
        assert!(asked.get() >= count);
        let never = render(
            &source,
            &header,
            &recipe("24w", Format::Webp),
            &LIMITS,
            &mut DecodedPlanes::Ignore,
            &|| false,
        );
        assert_eq!(never, Err(RenderError::Cancelled));
    }
}

#[test]
fn a_damaged_later_frame_is_told_and_never_shown() {
    let mut source = animated(Format::Webp, 4);
    let header = inspect::inspect(&source, LIMITS).unwrap();
    let last = memchr::memmem::rfind(&source, b"ANMF").unwrap();
    // The frame's width, which contradicts its bitstream.
    source[last + 14] ^= 1;
    let result =
        render(&source, &header, &recipe("24w", Format::Webp), &LIMITS, &mut DecodedPlanes::Ignore, &always);
    assert!(matches!(result, Err(RenderError::Undecodable(_))), "{:?}", result.map(|bytes| bytes.len()));
}

#[test]
fn the_canvas_and_the_file_of_an_animation_are_charged() {
    let header =
        Header { frames: 50, ..header(Format::Gif, Size { width: 500, height: 400 }, PixelKind::Rgba) };
    let (still, moving) = (recipe("full,frame0", Format::Gif), recipe("full", Format::Gif));
    let more = peak_bytes(&[], &header, &moving, &LIMITS) - peak_bytes(&[], &header, &still, &LIMITS);
    assert!(more >= 500 * 400 * (4 + 3 * 4 + 50), "{more}");
}

#[test]
fn animations_of_the_corpus_keep_frames_delays_and_plays() {
    let Some(folder) = crate::image::tests::corpus::folder() else { return };
    for name in [
        "gif-dispose-background.gif",
        "gif-dispose-none.gif",
        "gif-dispose-previous.gif",
        "gif-transparent-cogs.gif",
        "webp-lossy.webp",
        "webp-squares.webp",
    ] {
        let source = std::fs::read(folder.join("animated").join(name)).unwrap();
        let (before, plays) = played(&source);
        for format in [Format::Gif, Format::Webp] {
            let variant = made(&source, &recipe("40w", format)).unwrap();
            let (after, played_after) = played(&variant);
            assert_eq!((after.len(), played_after), (before.len(), plays), "{name} {format:?}");
            for (before, after) in before.iter().zip(&after) {
                assert!(before.1.abs_diff(after.1) < 10, "{name} {format:?}");
            }
            let lost = measure_loss(&source, &variant, "40w", format, 4);
            assert!(lost < 3.0, "{name} {format:?}: {lost:.1} dB lost");
        }
    }
}
