//! The decoded picture equals the encoded one.

use super::*;

#[test]
fn every_order_of_scans_gives_the_same_planes_at_every_scale() {
    for (width, height) in JPEG_SIZES {
        let pixels = picture(width, height);
        for sampling in JPEG_SAMPLINGS {
            let [(_, first), others @ ..] = ORDERS;
            let plain = written(&pixels, sampling, first);
            for scale in SCALES {
                let expected = decoded(&plain, scale);
                for (order, set) in others {
                    let planes = decoded(&written(&pixels, sampling, set), scale);
                    for (index, (plane, expected)) in planes.into_iter().zip(&expected).enumerate() {
                        let what = format!("{width}x{height} {sampling:?} {order} {scale:?} {index}");
                        assert_eq!(plane.into_samples(), expected.clone().into_samples(), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn whole_planes_are_those_of_the_other_decoder() {
    for (width, height) in JPEG_SIZES {
        let pixels = picture(width, height);
        // The other decoder shows wrong pixels in pictures of few colour samples.
        let sound =
            |sampling: &SamplingFactor| !matches!(sampling, SamplingFactor::R_4_1_0 | SamplingFactor::F_1_4);
        for sampling in JPEG_SAMPLINGS.into_iter().filter(sound) {
            let bytes = written(&pixels, sampling, |_| ());
            let (planes, expected) = (decoded(&bytes, Scale::Whole), reference(&bytes));
            for (index, (plane, expected)) in planes.into_iter().zip(expected).enumerate() {
                // The other decoder enlarges subsampled planes.
                if plane.across() == 1.0 && plane.down() == 1.0 {
                    let apart = most_apart(&plane.into_samples(), &expected);
                    assert!(apart <= 2, "{width}x{height} {sampling:?}, component {index}: {apart}");
                }
            }
        }
    }
}

#[test]
fn a_gray_picture_is_one_plane() {
    let colors = picture(67, 45);
    let luma = colors.data().chunks_exact(3).map(|pixel| pixel[1]).collect();
    let gray = Pixels::new(colors.size(), PixelKind::Gray, luma).unwrap();
    for (order, set) in ORDERS {
        let bytes = written(&gray, SamplingFactor::R_4_4_4, set);
        let jpeg = Jpeg::read(&bytes).unwrap();
        assert_eq!((jpeg.colors(), jpeg.components(), jpeg.size()), (JpegColors::Gray, 1, gray.size()));
        let [plane] = decoded(&bytes, Scale::Whole).try_into().unwrap();
        assert!(most_apart(&plane.into_samples(), &reference(&bytes)[0]) <= 1, "{order}");
    }
}

#[test]
fn smaller_planes_are_the_whole_ones_averaged() {
    let pixels = picture(264, 200);
    for sampling in JPEG_SAMPLINGS {
        let bytes = written(&pixels, sampling, |_| ());
        let whole = decoded(&bytes, Scale::Whole);
        for (scale, side, bound) in [(Scale::Half, 2, 1.0), (Scale::Quarter, 4, 1.0), (Scale::Eighth, 8, 0.6)]
        {
            let small = decoded(&bytes, scale);
            for (index, (whole, small)) in whole.iter().zip(&small).enumerate() {
                let (means, samples) = averaged(whole, small, side);
                let apart = mean_apart(&means, &samples);
                assert!(apart < bound, "{sampling:?} {scale:?}, component {index}: {apart:.2}");
            }
        }
    }
}

#[test]
fn each_component_has_a_scale_of_its_own() {
    let bytes = written(&picture(67, 45), SamplingFactor::R_4_2_0, |_| ());
    for set in [ORDERS[0].1, ORDERS[3].1] {
        let bytes = written(&picture(67, 45), SamplingFactor::R_4_2_0, set);
        let mixed = [Scale::Quarter, Scale::Half, Scale::Eighth, Scale::Whole];
        let planes = Jpeg::read(&bytes).unwrap().decode(mixed, &LIMITS, &|| true).unwrap();
        for (index, (plane, scale)) in planes.into_iter().zip(mixed).enumerate() {
            assert_eq!(plane, decoded(&bytes, scale)[index]);
        }
    }
    let jpeg = Jpeg::read(&bytes).unwrap();
    assert_eq!(
        [0, 1, 2, 3].map(|index| jpeg.sampling(index)),
        [Some((1.0, 1.0)), Some((0.5, 0.5)), Some((0.5, 0.5)), None]
    );
    let planes =
        jpeg.decode([Scale::Half, Scale::Whole, Scale::Quarter, Scale::Whole], &LIMITS, &|| true).unwrap();
    let shapes: Vec<_> = planes.iter().map(|plane| (plane.size(), plane.across(), plane.down())).collect();
    let size = |width, height| Size { width, height };
    assert_eq!(shapes, [(size(34, 23), 0.5, 0.5), (size(34, 23), 0.5, 0.5), (size(9, 6), 0.125, 0.125)]);
    assert_eq!((planes[0].row(22).len(), planes[0].row(23).len()), (34, 0));
}
