//! Shrinks a lossy WebP: scales its planes and converts only the result to RGB.
//!
//! The decoder's own way to full-sized RGB enlarges chroma and converts every pixel, most of which vanish in the
//! resize. Planes take a third of the work and a seventh of the memory. The library can scale, too, but by averaging:
//! at twice the result's size that is as slow as this, and at the result's size it blurs.

use super::libwebp::{self, Features};
use crate::image::decode::{CORRUPT, SourcePart};
use crate::image::error::RenderError;
use crate::image::light::Light;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::progress::{ProgressSink, RenderStage};
use crate::image::resize;
use crate::image::shape::{Rect, Size};

/// Least ratio of the sides. Below it chroma would have to be enlarged, so the decoder does the whole work.
const SHRINKING_MIN: f64 = 2.0;

/// From this ratio on, the edges of blocks are not smoothed before: the resize blurs them away. The result has 49.8
/// instead of 50.9 dB compared with full decoding (4 megapixels to 300 pixels), in 8 % less time.
const SHRINKING_ROUGH: f64 = 4.0;

/// Whether [`decode`] can return this part.
pub(super) fn gives(features: &Features, part: &SourcePart) -> bool {
    // Colours under alpha must be weighted by it, which only RGB allows.
    features.is_lossy && !features.has_alpha && !features.is_animated && shrinking(part) >= SHRINKING_MIN
}

fn shrinking(part: &SourcePart) -> f64 {
    let SourcePart { window, to, .. } = part;
    (window.width / f64::from(to.width)).min(window.height / f64::from(to.height))
}

/// Decodes a part of a still at its final size; `None` if this gains nothing.
pub(super) fn decode(
    source: &[u8],
    features: &Features,
    part: &SourcePart,
    progress: &dyn ProgressSink,
) -> Result<Option<Pixels>, RenderError> {
    let SourcePart { window, to, .. } = *part;
    if !gives(features, part) {
        return Ok(None);
    }
    progress.enter_stage(RenderStage::Decode);
    let needed = part.needed_window();
    let even = evened(needed);
    let planes =
        libwebp::planes(source, features.size, even, shrinking(part) < SHRINKING_ROUGH).ok_or(CORRUPT)?;
    progress.enter_stage(RenderStage::Resize);
    let plane = |size: Size, data: Vec<u8>| Pixels::new(size, PixelKind::Gray, data).ok_or(CORRUPT);

    // The window relative to the planes. Luma is cut to the needed pixels, so that nothing that was cut away shows.
    let offset = |side: u32, from: u32| f64::from(side) - f64::from(from);
    let window = |from_x: u32, from_y: u32| Rect {
        x: window.x + offset(part.cut.x, from_x),
        y: window.y + offset(part.cut.y, from_y),
        ..window
    };
    let inner = Rect { x: needed.x - even.x, y: needed.y - even.y, ..needed };
    let mut luma = plane(even.size(), planes.luma)?.cropped(inner).ok_or(CORRUPT)?;
    let full = part.light == Light::Linear;
    if full {
        luma.data_mut().iter_mut().for_each(|value| *value = in_full_range(*value));
    }
    let luma = resize::resize_in(part.light, luma, window(needed.x, needed.y), to)?;
    let Rect { x, y, width, height } = window(even.x, even.y);
    let halved = Rect { x: x / 2.0, y: y / 2.0, width: width / 2.0, height: height / 2.0 };
    let half = Size { width: even.width.div_ceil(2), height: even.height.div_ceil(2) };
    let blue = resize::resize(plane(half, planes.blue)?, halved, to)?;
    let red = resize::resize(plane(half, planes.red)?, halved, to)?;
    Ok(Some(joined((&luma, full), &blue, &red)))
}

/// The part, and one more column or row where its left or top edge is odd.
fn evened(part: Rect<u32>) -> Rect<u32> {
    let (x, y) = (part.x & !1, part.y & !1);
    Rect { x, y, width: part.width + part.x - x, height: part.height + part.y - y }
}

/// Luma of 16–235 → 0–255, the values whose light is sRGB's.
fn in_full_range(luma: u8) -> u8 {
    ((LUMA_SCALE * (i32::from(luma) - 16) + (1 << 15)) >> 16).clamp(0, 255) as u8
}

/// 255 / 219 in 65536ths.
const LUMA_SCALE: i32 = 76_309;

/// BT.601, with luma of 16–235 or in full range → RGB, in 65536ths.
fn joined((luma, is_full): (&Pixels, bool), blue: &Pixels, red: &Pixels) -> Pixels {
    let mut data = Vec::with_capacity(luma.data().len() * 3);
    for ((&luma, &blue), &red) in luma.data().iter().zip(blue.data()).zip(red.data()) {
        let luma = if is_full { i32::from(luma) << 16 } else { LUMA_SCALE * (i32::from(luma) - 16) };
        let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
        let channel = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
        data.extend_from_slice(&[
            channel(luma + 104_597 * red),
            channel(luma - 25_675 * blue - 53_279 * red),
            channel(luma + 132_201 * blue),
        ]);
    }
    Pixels::new(luma.size(), PixelKind::Rgb, data).expect("each sample of luma has become one pixel")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::draw;
    use crate::image::encode::encode;
    use crate::image::tests::support::psnr;
    use crate::object::Format;

    const SIZE: Size = Size { width: 403, height: 301 };

    fn file(scene: usize) -> Vec<u8> {
        encode(draw::sample(scene, SIZE).unwrap(), Format::Webp, Some(92)).unwrap()
    }

    fn shrunk(source: &[u8], part: &SourcePart) -> Option<Pixels> {
        decode(source, &libwebp::features(source).unwrap(), part, &|| true).unwrap()
    }

    /// The reference: decodes the whole picture and scales it.
    fn scaled(source: &[u8], part: &SourcePart) -> Pixels {
        let whole = Pixels::new(SIZE, PixelKind::Rgb, libwebp::colors(source, SIZE, false).unwrap()).unwrap();
        resize::resize(whole.cropped(part.cut).unwrap(), part.window, part.to).unwrap()
    }

    fn similarity(left: &Pixels, right: &Pixels) -> f64 {
        assert_eq!((left.size(), left.kind()), (right.size(), right.kind()));
        psnr(left.data(), right.data())
    }

    fn part(cut: [u32; 4], window: [f64; 4], to: [u32; 2]) -> SourcePart {
        SourcePart {
            cut: Rect { x: cut[0], y: cut[1], width: cut[2], height: cut[3] },
            window: Rect { x: window[0], y: window[1], width: window[2], height: window[3] },
            to: Size { width: to[0], height: to[1] },
            light: Light::Encoded,
        }
    }

    #[test]
    fn every_cut_and_window_looks_like_that_of_the_whole_picture() {
        let parts = [
            part([0, 0, 403, 301], [0.0, 0.0, 403.0, 301.0], [100, 75]),
            part([0, 0, 403, 301], [0.0, 0.0, 403.0, 301.0], [201, 150]),
            part([0, 0, 403, 301], [51.0, 0.0, 301.0, 301.0], [40, 40]),
            part([3, 5, 400, 296], [0.0, 0.0, 400.0, 296.0], [80, 59]),
            part([101, 51, 201, 149], [20.25, 3.5, 150.5, 140.0], [60, 56]),
            part([101, 51, 202, 150], [190.0, 140.0, 12.0, 10.0], [6, 5]),
            part([402, 300, 1, 1], [0.0, 0.0, 1.0, 1.0], [1, 1]),
            part([7, 0, 9, 301], [0.0, 0.0, 9.0, 301.0], [1, 33]),
        ];
        for scene in 0..3 {
            let source = file(scene);
            for part in &parts {
                let Some(made) = shrunk(&source, part) else {
                    assert_eq!(part.to.area(), 1, "{part:?} was refused");
                    continue;
                };
                let similarity = similarity(&made, &scaled(&source, part));
                assert!(similarity > 38.0, "scene {scene} {part:?}: {similarity:.1} dB");
            }
        }
    }

    #[test]
    fn what_lies_far_outside_the_window_is_not_decoded() {
        let all = part([0, 0, 403, 301], [200.0, 150.0, 40.0, 40.0], [10, 10]);
        assert_eq!(all.needed_window(), Rect { x: 187, y: 137, width: 66, height: 66 });
        let cut = part([199, 149, 50, 152], [1.0, 1.0, 40.0, 40.0], [10, 10]);
        assert_eq!(cut.needed_window(), Rect { x: 199, y: 149, width: 50, height: 54 });
        assert_eq!(evened(cut.needed_window()), Rect { x: 198, y: 148, width: 51, height: 55 });
    }

    #[test]
    fn what_would_lose_by_it_goes_the_long_way() {
        let half = part([0, 0, 403, 301], [0.0, 0.0, 403.0, 301.0], [200, 150]);
        let more = SourcePart { to: Size { width: 202, height: 150 }, ..half };
        assert!(shrunk(&file(0), &half).is_some());
        assert!(shrunk(&file(0), &more).is_none(), "enlarges chroma");
        assert!(shrunk(&file(3), &half).is_none(), "has alpha");
    }

    #[test]
    fn a_torn_file_is_corrupt() {
        let source = file(0);
        let features = libwebp::features(&source).unwrap();
        let part = part([0, 0, 403, 301], [0.0, 0.0, 403.0, 301.0], [100, 75]);
        for length in [30, 100, source.len() / 2, source.len() - 1] {
            assert_eq!(decode(&source[..length], &features, &part, &|| true), Err(CORRUPT), "{length}");
        }
    }
}
