//! The decoder that makes JPEGs small: no panic at any scales, and the samples of another decoder.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use reticulum::image::jpeg::{ComponentPlane, Jpeg, Scale};
use reticulum::image::light::Light;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{LIMITS, choice};

const SCALES: [Scale; 4] = [Scale::Whole, Scale::Half, Scale::Quarter, Scale::Eighth];

/// Any bytes as a JPEG, at all scales and a mix of them.
pub fn jpeg(data: &[u8]) {
    let Some(jpeg) = Jpeg::read(data).filter(|jpeg| jpeg.size().area() <= LIMITS.pixels_max) else { return };
    let lit = jpeg.clone().with_light(Light::Linear);
    for scale in SCALES {
        decoded(&jpeg, [scale; 4]);
        decoded(&lit, [scale; 4]);
    }
    let mix = choice(data, 64);
    decoded(&jpeg, [SCALES[mix % 4], SCALES[mix / 4 % 4], SCALES[mix / 16], SCALES[mix % 3]]);
}

fn decoded(jpeg: &Jpeg<'_>, scales: [Scale; 4]) -> Option<Vec<ComponentPlane>> {
    let planes = jpeg.decode(scales, &LIMITS, &|| true).ok()?;
    assert_eq!(planes.len(), jpeg.components());
    for (index, plane) in planes.iter().enumerate() {
        assert_eq!(plane.size(), jpeg.plane_size(index, scales[index]));
        assert_eq!(plane.row(0).len(), plane.size().width as usize);
    }
    Some(planes)
}

/// A picture and a way of writing it made of the bytes: planes are those of the other decoder, mixed scales give what
/// equal ones do, and every order of scans gives the same samples.
pub fn similarity(data: &[u8]) {
    let Some((head, noise)) = data.split_first_chunk::<8>().filter(|(_, noise)| !noise.is_empty()) else {
        return;
    };
    let [width, height, sampling, order, quality, restart, mix, kind] = head.map(usize::from);
    let (width, height) = (1 + width % 80, 1 + height % 60);
    let (sampling, is_sound) = SAMPLINGS[sampling % SAMPLINGS.len()];
    let (color, channels) = if kind % 4 == 0 { (ColorType::Luma, 1) } else { (ColorType::Rgb, 3) };
    let pixels: Vec<u8> = (0..width * height * channels).map(|at| noise[at % noise.len()]).collect();
    let write = |order: usize| {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 1 + (quality % 100) as u8);
        encoder.set_sampling_factor(sampling);
        match order {
            0 => {}
            1 => encoder.set_optimized_huffman_tables(true),
            2 => encoder.set_progressive(true),
            // Of three components that is up to 64 scans; more than a hundred are refused.
            _ => encoder.set_progressive_scans(2 + (restart % 20) as u8),
        }
        // The encoder counts differences across restarts when it chooses its codes, and then has none for some that it writes.
        if restart % 3 == 0 && order != 1 {
            encoder.set_restart_interval(1 + restart as u16 / 3);
        }
        encoder.encode(&pixels, width as u16, height as u16, color).expect("a JPEG");
        bytes
    };
    let file = write(order % 4);
    let jpeg = Jpeg::read(&file).expect("a file for this decoder");
    let all = SCALES.map(|scale| decoded(&jpeg, [scale; 4]).expect("planes"));
    let mix = [mix % 4, mix / 4 % 4, mix / 16 % 4, 0];
    let mixed = decoded(&jpeg, mix.map(|scale| SCALES[scale])).expect("planes");
    for (index, plane) in mixed.iter().enumerate() {
        assert!(plane == &all[mix[index]][index], "component {index} differs among other scales");
    }
    let plain = write(0);
    let plain = Jpeg::read(&plain).expect("a file for this decoder");
    for (scale, planes) in SCALES.into_iter().zip(&all) {
        let others = decoded(&plain, [scale; 4]).expect("planes");
        for (index, (plane, other)) in planes.iter().zip(others).enumerate() {
            // Samples of blocks beyond the edges need not be in every file.
            let is_same = plane.clone().into_samples() == other.into_samples();
            assert!(is_same, "component {index} at {scale:?} differs in another order of scans");
        }
    }
    // The other decoder shows pictures of few colour samples, and colours in scans of their own, with wrong pixels: of
    // such a scan it leaves out the rows of blocks during which it reads ahead to the next scan's marker.
    if is_sound && order % 4 == 0 {
        compare(&file, &all[0]);
    }
}

/// And whether the encoder interleaves them, and the other decoder knows them. Of those with a four it writes each
/// component in a scan of its own.
const SAMPLINGS: [(SamplingFactor, bool); 8] = [
    (SamplingFactor::R_4_4_4, true),
    (SamplingFactor::R_4_2_2, true),
    (SamplingFactor::R_4_2_0, true),
    (SamplingFactor::R_4_4_0, true),
    (SamplingFactor::R_4_1_1, false),
    (SamplingFactor::R_4_1_0, false),
    (SamplingFactor::F_2_2, true),
    (SamplingFactor::F_1_4, false),
];

/// Samples may be rounded otherwise, by two of 255: the unit tests' bound.
fn compare(file: &[u8], planes: &[ComponentPlane]) {
    let colors = if planes.len() == 1 { ColorSpace::Luma } else { ColorSpace::YCbCr };
    let options = DecoderOptions::default().jpeg_set_out_colorspace(colors);
    let Ok(samples) = JpegDecoder::new_with_options(ZCursor::new(file), options).decode() else { return };
    for (index, plane) in
        planes.iter().enumerate().filter(|(_, plane)| plane.across() == 1.0 && plane.down() == 1.0)
    {
        let expected: Vec<u8> = samples.iter().skip(index).step_by(planes.len()).copied().collect();
        let found = plane.clone().into_samples();
        assert_eq!(found.len(), expected.len());
        let apart = found.iter().zip(&expected).map(|(found, expected)| found.abs_diff(*expected)).max();
        assert!(apart <= Some(2), "component {index}: {apart:?} apart");
    }
}
