//! AVIF by rav1e: 8 bits, full range, subsampled colour (4:2:0); gray pictures and alpha are luma only.
//!
//! rav1e is built without assembler, so that the build needs none, and without threads. It stays on the worker's core,
//! and the same pixels give the same bytes on every processor. That makes it slow, so it uses the fastest preset: a 300
//! × 225 photo at quality 60 takes about 90 ms for 7.5 kB. The next preset takes nearly twice the time for an eighth
//! fewer bytes.

use rav1e::prelude::*;

use crate::image::pixels::{PixelKind, Pixels};

/// rav1e's preset, 0–10; 10 is the fastest.
const SPEED: u8 = 10;

/// `None` if the encoder refuses; sides are at most 65535.
pub(super) fn encode(pixels: &Pixels, quality: u8) -> Option<Vec<u8>> {
    let (width, height) = (pixels.size().width, pixels.size().height);
    let kind = pixels.kind();
    let planes = Av1Planes::of(pixels);
    let color = encoded(pixels, &planes.color, quantizer(quality))?;
    let alpha = match planes.alpha {
        Some(alpha) => Some(encoded(pixels, &[alpha], quantizer(quality_of_alpha(quality)))?),
        None => None,
    };
    let is_gray = matches!(kind, PixelKind::Gray | PixelKind::GrayAlpha);
    let mut container = avif_serialize::Aviffy::new();
    container
        .set_full_color_range(true)
        .set_monochrome(is_gray)
        .set_chroma_subsampling((true, true))
        .set_seq_profile(0)
        .set_matrix_coefficients(avif_serialize::constants::MatrixCoefficients::Bt601);
    Some(container.to_vec(&color, alpha.as_deref(), width, height, 8))
}

/// Alpha has a higher quality, because its edges are more visible than those of colours.
const fn quality_of_alpha(quality: u8) -> u8 {
    quality + (100 - quality) / 3
}

/// The quantizer of AV1, 0–255; lower is better. Steeper at high qualities, where differences are visible.
fn quantizer(quality: u8) -> u8 {
    let quality = f32::from(quality) / 100.0;
    let share = if quality >= 0.82 {
        (1.0 - quality) * 2.6
    } else if quality > 0.25 {
        0.875 - quality * 0.5
    } else {
        1.0 - quality
    };
    (share * 255.0).round() as u8
}

/// Encodes one picture, with one component for each plane.
fn encoded(pixels: &Pixels, planes: &[Av1Plane], quantizer: u8) -> Option<Vec<u8>> {
    let config =
        Config::new().with_encoder_config(config(pixels, planes.len() > 1, quantizer)).with_threads(1);
    let mut context: Context<u8> = config.new_context().ok()?;
    let mut frame = context.new_frame();
    for (target, plane) in frame.planes.iter_mut().zip(planes) {
        target.copy_from_raw_u8(&plane.data, plane.width, 1);
    }
    context.send_frame(frame).ok()?;
    context.flush();
    let mut bytes = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) => bytes.extend(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => break,
            Err(_) => return None,
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

fn config(pixels: &Pixels, has_colors: bool, quantizer: u8) -> EncoderConfig {
    let mut speed = SpeedSettings::from_preset(SPEED);
    // A still has no other frames to search.
    speed.multiref = false;
    speed.rdo_lookahead_frames = 1;
    speed.scene_detection_mode = SceneDetectionSpeed::None;
    speed.motion.include_near_mvs = false;
    let description = ColorDescription {
        color_primaries: ColorPrimaries::BT709,
        transfer_characteristics: TransferCharacteristics::SRGB,
        matrix_coefficients: MatrixCoefficients::BT601,
    };
    EncoderConfig {
        width: pixels.size().width as usize,
        height: pixels.size().height as usize,
        bit_depth: 8,
        chroma_sampling: if has_colors { ChromaSampling::Cs420 } else { ChromaSampling::Cs400 },
        pixel_range: PixelRange::Full,
        color_description: has_colors.then_some(description),
        still_picture: true,
        quantizer: usize::from(quantizer),
        min_quantizer: quantizer,
        speed_settings: speed,
        ..EncoderConfig::with_speed_preset(SPEED)
    }
}

struct Av1Plane {
    data: Vec<u8>,
    width: usize,
}

struct Av1Planes {
    color: Vec<Av1Plane>,
    alpha: Option<Av1Plane>,
}

impl Av1Planes {
    fn of(pixels: &Pixels) -> Self {
        let kind = pixels.kind();
        let channels = kind.channels();
        let (width, height) = (pixels.size().width as usize, pixels.size().height as usize);
        let channel = |at: usize| {
            let data = pixels.data().chunks_exact(channels).map(|pixel| pixel[at]).collect();
            Av1Plane { data, width }
        };
        let alpha = kind.has_alpha().then(|| channel(channels - 1));
        let color = match kind {
            PixelKind::Gray | PixelKind::GrayAlpha => vec![channel(0)],
            PixelKind::Rgb | PixelKind::Rgba => {
                let luma =
                    pixels.data().chunks_exact(channels).map(|pixel| to_byte(luma(rgb(pixel)))).collect();
                let (blue, red) = differences(pixels.data(), channels, width, height);
                vec![Av1Plane { data: luma, width }, blue, red]
            }
        };
        Self { color, alpha }
    }
}

fn rgb(pixel: &[u8]) -> [f32; 3] {
    [f32::from(pixel[0]), f32::from(pixel[1]), f32::from(pixel[2])]
}

/// ITU-R BT.601.
fn luma([red, green, blue]: [f32; 3]) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// The colour differences (blue − luma, red − luma), each the mean of up to four pixels.
fn differences(data: &[u8], channels: usize, width: usize, height: usize) -> (Av1Plane, Av1Plane) {
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    let mut blues = Vec::with_capacity(columns * rows);
    let mut reds = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let (left, top) = (column * 2, row * 2);
            // At an odd edge the last pixel counts twice.
            let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
            let pixel = |x: usize, y: usize| rgb(&data[(y * width + x) * channels..]);
            let four = [pixel(left, top), pixel(right, top), pixel(left, bottom), pixel(right, bottom)];
            let mean = [0, 1, 2].map(|at| four.iter().map(|color| color[at]).sum::<f32>() / 4.0);
            let luma = luma(mean);
            blues.push(to_byte((mean[2] - luma) * 0.5 / (1.0 - 0.114) + 128.0));
            reds.push(to_byte((mean[0] - luma) * 0.5 / (1.0 - 0.299) + 128.0));
        }
    }
    (Av1Plane { data: blues, width: columns }, Av1Plane { data: reds, width: columns })
}
