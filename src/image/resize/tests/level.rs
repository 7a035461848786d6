//! The pixels are the same with every instruction set that the library supports and this processor has.

#![allow(unsafe_code)]

use fast_image_resize::CpuExtensions;

use crate::image::resize::*;

/// The library's portable code, and the instruction sets of this processor.
fn levels() -> Vec<CpuExtensions> {
    let mut levels = vec![CpuExtensions::None];
    #[cfg(target_arch = "x86_64")]
    levels.extend([CpuExtensions::Sse4_1, CpuExtensions::Avx2]);
    #[cfg(target_arch = "aarch64")]
    levels.push(CpuExtensions::Neon);
    levels.retain(CpuExtensions::is_supported);
    levels
}

/// The resize at one level, with its weights, as [`filter`] does it.
fn at(level: CpuExtensions, pixels: &Pixels, window: Rect<f64>, to: Size) -> Vec<u8> {
    let (size, kind) = (pixels.size(), pixels.kind());
    let mut data = pixels.data().to_vec();
    let mut filter = Filter::new(kind);
    // SAFETY: the processor has these instructions.
    unsafe {
        filter.resizer.set_cpu_extensions(level);
        filter.alpha.set_cpu_extensions(level);
    }
    filter.weigh(size, &mut data).unwrap();
    let mut made = filter.apply(size, &mut data, window, to).unwrap();
    filter.unweigh(to, &mut made).unwrap();
    made
}

/// Noise on slopes, all in integers.
fn noisy(size: Size, kind: PixelKind) -> Pixels {
    let mut state = 7_u32;
    let mut value = |index: u64| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // A third is black or white, where sums overflow.
        match state >> 28 {
            0..3 => 0,
            3..6 => 255,
            _ => (state >> 25) as u8 + (index / 40 % 128) as u8,
        }
    };
    let data = (0..size.area() * kind.channels() as u64).map(&mut value).collect();
    Pixels::new(size, kind, data).unwrap()
}

#[test]
fn every_level_gives_the_same_pixels() {
    let levels = levels();
    let sizes = [(301, 203), (64, 64), (33, 17), (5, 3), (1, 1), (1, 90), (90, 1)];
    let targets = [(100, 68), (16, 16), (17, 33), (31, 1), (1, 5), (130, 140)];
    for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
        for (width, height) in sizes {
            let pixels = noisy(Size { width, height }, kind);
            let part = Rect {
                x: f64::from(width) * 0.1,
                y: f64::from(height) * 0.2,
                width: f64::from(width) * 0.7,
                height: f64::from(height) * 0.6,
            };
            for window in [Rect::whole(pixels.size()), part] {
                for (width, height) in targets {
                    let to = Size { width, height };
                    let expected = at(levels[0], &pixels, window, to);
                    for level in &levels[1..] {
                        let made = at(*level, &pixels, window, to);
                        let differ = made.iter().zip(&expected).filter(|(a, b)| a != b).count();
                        let apart = made.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
                        assert!(
                            differ == 0,
                            "{level:?} {kind:?} {:?} {window:?} to {to:?}: {differ} of {} differ, by {apart:?}",
                            pixels.size(),
                            made.len()
                        );
                    }
                }
            }
        }
    }
}
