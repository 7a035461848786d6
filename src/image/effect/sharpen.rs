//! Unsharp mask: adds the difference between the picture and its blur by one pixel, times a gain. Alpha stays.

use super::blur::blur;
use crate::image::error::RenderError;
use crate::image::pixels::Pixels;

/// Sigma of that blur, in pixels.
const SIGMA: f64 = 1.0;

/// in + `gain` × (in − blurred), rounded to the nearest value; `gain` is 0.1 to 10. Copies the picture.
///
/// # Errors
/// [`RenderError::Cancelled`] once `keep_going` returns false; the picture is then unchanged.
pub fn sharpen(pixels: &mut Pixels, gain: f64, keep_going: &dyn Fn() -> bool) -> Result<(), RenderError> {
    let mut soft = pixels.clone();
    blur(&mut soft, SIGMA, keep_going)?;
    let (channels, gain) = (pixels.kind().channels(), gain as f32);
    let colors = pixels.kind().without_alpha().channels();
    for (pixel, soft) in pixels.data_mut().chunks_exact_mut(channels).zip(soft.data().chunks_exact(channels))
    {
        if colors < channels && soft[colors] == 0 {
            // The pixel and its neighbours are so transparent that there is no colour to compare with.
            continue;
        }
        for (value, soft) in pixel[..colors].iter_mut().zip(soft) {
            let sharp = f32::from(*value) + gain * (f32::from(*value) - f32::from(*soft));
            // The conversion to `u8` saturates at 0 and 255.
            *value = (sharp + 0.5) as u8;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::pixels::PixelKind;
    use crate::image::shape::Size;
    use crate::image::tests::support::always;

    fn sharpened(mut pixels: Pixels, gain: f64) -> Pixels {
        sharpen(&mut pixels, gain, &always).unwrap();
        pixels
    }

    #[test]
    fn an_edge_overshoots_by_the_gain() {
        let row = [100, 100, 100, 100, 100, 100, 150, 150, 150, 150, 150, 150];
        let pixels = Pixels::new(Size { width: 12, height: 3 }, PixelKind::Gray, row.repeat(3)).unwrap();
        // Half of the Gaussian beyond the nearest pixel: 50 × (0.399 + 0.242 × 2 + …) from the middle on.
        for (gain, dark, light) in [(1.0, 85, 165), (2.0, 70, 180), (0.1, 98, 152)] {
            let result = sharpened(pixels.clone(), gain);
            let middle = &result.data()[12..24];
            assert!(middle[5].abs_diff(dark) <= 2 && middle[6].abs_diff(light) <= 2, "{gain}: {middle:?}");
            assert_eq!((middle[0], middle[11]), (100, 150), "{gain}: {middle:?}");
        }
        let hard = sharpened(pixels, 10.0);
        assert_eq!(hard.data()[17..19], [0, 255]);
    }

    #[test]
    fn alpha_is_not_touched() {
        let data: Vec<u8> = (0..64_u32).flat_map(|at| [(at * 4) as u8, 9, 200, (at * 37) as u8]).collect();
        let pixels = Pixels::new(Size { width: 8, height: 8 }, PixelKind::Rgba, data.clone()).unwrap();
        let result = sharpened(pixels, 3.0);
        for (is, was) in result.data().chunks_exact(4).zip(data.chunks_exact(4)) {
            assert_eq!(is[3], was[3]);
        }
        assert_ne!(result.data(), data);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_picture_of_one_colour_stays_as_it_is(
            color: [u8; 4], alpha in 1..=255_u8, width in 1..20_u32, height in 1..20_u32, gain in 10..=1000_u32,
        ) {
            let size = Size { width, height };
            for (kind, pixel) in [(PixelKind::Rgb, &color[..3]), (PixelKind::Rgba, &[color[0], color[1], color[2], alpha])] {
                let pixels = Pixels::new(size, kind, pixel.repeat(size.area() as usize)).unwrap();
                prop_assert_eq!(sharpened(pixels.clone(), f64::from(gain) / 100.0), pixels);
            }
        }
    }
}
