//! Frames of the written files, decoded by our decoder and by another one.

use super::*;
use crate::image::decode::AnimationDecoder;
use crate::image::draw;
use crate::image::header::{Header, Limits};
use crate::image::inspect;

const LIMITS: Limits = Limits { pixels_max: 1_000_000, frames_max: 100 };
const SIZE: Size = Size { width: 31, height: 19 };

const RED: [u8; 4] = [255, 0, 0, 255];
const BLUE: [u8; 4] = [0, 0, 255, 255];
const CLEAR: [u8; 4] = [0; 4];

fn drawn(pixel: impl Fn(u32, u32) -> [u8; 4]) -> Pixels {
    let data =
        (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y));
    Pixels::new(SIZE, PixelKind::Rgba, data.collect()).unwrap()
}

/// A background with a square on it; either may be clear.
fn square(ground: [u8; 4], left: u32, top: u32, color: [u8; 4]) -> Pixels {
    let inside = move |x, y| (left..left + 6).contains(&x) && (top..top + 6).contains(&y);
    drawn(|x, y| if inside(x, y) { color } else { ground })
}

/// Every kind of change between two frames: something moves, appears, vanishes, stays, is uncovered.
fn frames() -> Vec<Pixels> {
    vec![
        square(RED, 3, 5, BLUE),
        square(RED, 7, 5, BLUE),
        square(RED, 7, 5, CLEAR),
        square(RED, 7, 5, CLEAR),
        square(CLEAR, 1, 2, BLUE),
        square(CLEAR, 20, 11, RED),
        square(CLEAR, 0, 0, CLEAR),
        square(CLEAR, 0, 0, CLEAR),
        square(BLUE, 25, 13, RED),
        square(BLUE, 25, 13, CLEAR),
        square(CLEAR, 25, 13, BLUE),
    ]
}

fn written(format: Format, frames: &[Pixels], delays: &[u32], plays: u32) -> Vec<u8> {
    let mut animation = Animation::new(format, frames[0].size(), plays, 90).unwrap();
    for (frame, &delay_ms) in frames.iter().zip(delays.iter().cycle()) {
        animation.push(frame.clone(), delay_ms, &|| true).unwrap();
    }
    animation.finish(&|| true).unwrap()
}

/// Header, frames as RGBA with their delays, and the number of plays.
fn read(file: &[u8]) -> (Header, Vec<(Vec<u8>, u32)>, u32) {
    let header = inspect::inspect(file, LIMITS).unwrap();
    let mut decoder = AnimationDecoder::new(file, &header, &LIMITS).unwrap();
    let mut frames = Vec::new();
    while let Some(delay_ms) = decoder.next(&|| true).unwrap() {
        frames.push((rgba(&decoder.current_frame().unwrap()), delay_ms));
    }
    (header, frames, decoder.loop_count())
}

#[test]
fn gif_frames_of_few_colours_come_out_as_they_were_put_in() {
    let frames = frames();
    // Starts at every frame, so that each is the first one once.
    for start in 0..frames.len() {
        let (header, shown, _) = read(&written(Format::Gif, &frames[start..], &[50], 0));
        assert_eq!(header.frames as usize, frames.len() - start);
        for (number, (shown, frame)) in shown.iter().zip(&frames[start..]).enumerate() {
            assert!(shown.0 == rgba(frame), "frame {number} from {start}");
        }
    }
}

#[test]
fn clear_pixels_stay_clear_to_readers_that_fill_the_canvas_where_a_frame_names_none() {
    let many = drawn(|x, y| [(x * 8) as u8, (y * 13) as u8, (x * y) as u8, 255]);
    let bars = drawn(|x, y| if y < 3 { CLEAR } else { [(x * 8) as u8, (y * 13) as u8, 0, 255] });
    let others =
        [frames(), vec![bars.clone(), bars, many.clone()], vec![many.clone(), square(CLEAR, 3, 5, RED)]];
    for frames in others {
        let file = written(Format::Gif, &frames, &[50], 0);
        let mut decoder = ::gif::DecodeOptions::new().read_info(&file[..]).unwrap();
        let mut is_clear = false;
        for (number, frame) in frames.iter().enumerate() {
            is_clear |= rgba(frame).chunks(4).any(|pixel| pixel[3] == 0);
            let written = decoder.read_next_frame().unwrap().unwrap();
            if number == 0 {
                let (width, height) = (u32::from(written.width), u32::from(written.height));
                assert_eq!((Size { width, height }, written.left, written.top), (SIZE, 0, 0));
            }
            let is_disposed = written.dispose == ::gif::DisposalMethod::Background;
            assert_eq!(written.transparent.is_some(), is_clear || is_disposed, "frame {number}");
            let colors = written.palette.as_ref().unwrap().len() / 3;
            assert!(written.transparent.is_none_or(|index| usize::from(index) < colors));
        }
    }
    let file = written(Format::Gif, &[many.clone(), many], &[50], 0);
    let mut decoder = ::gif::DecodeOptions::new().read_info(&file[..]).unwrap();
    assert_eq!(decoder.read_next_frame().unwrap().unwrap().transparent, None);
}

#[test]
fn webp_frames_look_as_they_were_put_in_to_two_decoders() {
    let frames = frames();
    for start in 0..frames.len() {
        let file = written(Format::Webp, &frames[start..], &[50], 0);
        let (header, shown, _) = read(&file);
        assert_eq!(header.frames as usize, frames.len() - start);
        let mut other = image_webp::WebPDecoder::new(std::io::Cursor::new(&file)).unwrap();
        assert_eq!(other.num_frames(), header.frames);
        let channels = if other.has_alpha() { 4 } else { 3 };
        let mut theirs = vec![0; other.output_buffer_size().unwrap()];
        for (number, (shown, frame)) in shown.iter().zip(&frames[start..]).enumerate() {
            other.read_frame(&mut theirs).unwrap();
            let expected = rgba(frame);
            let mut error = 0;
            for (index, pixel) in expected.chunks_exact(4).enumerate() {
                let ours = &shown.0[index * 4..][..4];
                let theirs = &theirs[index * channels..][..channels];
                let alpha = theirs.get(3).copied().unwrap_or(255);
                assert_eq!((ours[3], alpha), (pixel[3], pixel[3]), "frame {number} from {start}");
                if pixel[3] > 0 {
                    let differ =
                        |other: &[u8]| (0..3).map(|at| u64::from(other[at].abs_diff(pixel[at]))).sum::<u64>();
                    error += differ(ours).max(differ(theirs));
                }
            }
            // Lossy with subsampled colour: pure red bleeds at its edge with pure blue.
            let mean = error / (expected.len() as u64 / 4 * 3);
            assert!(mean < 16, "frame {number} from {start}: {mean} of 255");
        }
    }
}

#[test]
fn delays_and_plays_are_kept() {
    let frames = frames();
    let delays = [0, 10, 70, 1000, 655_350];
    for format in [Format::Gif, Format::Webp] {
        for plays in [0, 1, 2, 7, 65_535] {
            let (_, shown, read) = read(&written(format, &frames, &delays, plays));
            assert_eq!(read, plays, "{format:?}");
            assert!(
                shown.iter().map(|frame| &frame.1).eq(delays.iter().cycle().take(frames.len())),
                "{format:?}"
            );
        }
    }
    let file = written(Format::Webp, &frames, &[33], 5);
    let mut other = image_webp::WebPDecoder::new(std::io::Cursor::new(&file)).unwrap();
    assert_eq!(other.loop_count(), image_webp::LoopCount::Times(5.try_into().unwrap()));
    let mut buffer = vec![0; other.output_buffer_size().unwrap()];
    assert_eq!(other.read_frame(&mut buffer).unwrap(), 33);
}

#[test]
fn what_a_format_cannot_say_is_rounded_and_bounded() {
    let delays = [1, 4, 15, 33, u32::MAX];
    let (_, shown, plays) = read(&written(Format::Gif, &frames()[..5], &delays, 100_000));
    assert_eq!(shown.iter().map(|frame| frame.1).collect::<Vec<_>>(), [10, 10, 20, 30, 655_350]);
    assert_eq!(plays, 65_536);
    let (_, shown, plays) = read(&written(Format::Webp, &frames()[..5], &delays, 100_000));
    assert_eq!(shown.iter().map(|frame| frame.1).collect::<Vec<_>>(), [1, 4, 15, 33, (1 << 24) - 1]);
    assert_eq!(plays, 65_535);
}

#[test]
fn only_what_changes_is_stored() {
    let size = Size { width: 200, height: 150 };
    let scene = draw::sample(0, size).unwrap();
    let mut moved = scene.clone();
    moved.data_mut()[..12].fill(255);
    for format in [Format::Gif, Format::Webp] {
        let length = |frames: &[Pixels]| written(format, frames, &[50], 0).len();
        let one = length(std::slice::from_ref(&scene));
        let grown = length(&[scene.clone(), scene.clone(), moved.clone(), moved.clone()]) - one;
        assert!(grown < 1000 && grown * 5 < one, "{format:?}: {one} bytes and {grown} more");
    }
}

#[test]
fn a_frame_of_another_size_and_a_format_of_stills_are_refused() {
    let mut animation = Animation::new(Format::Gif, SIZE, 0, 90).unwrap();
    let small = Pixels::new(Size { width: 1, height: 1 }, PixelKind::Gray, vec![1]).unwrap();
    assert_eq!(animation.push(small, 10, &|| true), Err(RenderError::EncodeFailed(Format::Gif)));
    assert_eq!(animation.finish(&|| true).err(), Some(RenderError::EncodeFailed(Format::Gif)));
    let refused = Animation::new(Format::Jpeg, SIZE, 0, 90).err();
    assert_eq!(refused, Some(RenderError::EncodeFailed(Format::Jpeg)));
    let empty = Animation::new(Format::Webp, SIZE, 0, 90).unwrap();
    assert_eq!(empty.finish(&|| true).err(), Some(RenderError::EncodeFailed(Format::Webp)));
}

#[test]
fn the_smallest_rectangle_of_what_differs_is_found() {
    let (before, now) = (square(RED, 3, 5, BLUE), square(RED, 7, 5, BLUE));
    let differing = |one: &Pixels, other: &Pixels| differing(one.data(), other.data(), SIZE, |a, b| a != b);
    assert_eq!(differing(&before, &now), Some(Rect { x: 3, y: 5, width: 10, height: 6 }));
    assert_eq!(differing(&now, &now), None);
    let corner = drawn(|x, y| if (x, y) == (30, 18) { BLUE } else { RED });
    let plain = drawn(|_, _| RED);
    assert_eq!(differing(&plain, &corner), Some(Rect { x: 30, y: 18, width: 1, height: 1 }));
}
