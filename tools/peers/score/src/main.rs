//! `score SOURCE PICTURE…`: two numbers a line, the SSIMULACRA2 of each picture against the source scaled by Lanczos in
//! stored values, and against the source scaled in linear light. The source is decoded whole and scaled to the picture's
//! size (the middle is cut to its shape first). No picture can be near both.

use std::error::Error;

use image::imageops::FilterType;
use image::{DynamicImage, Rgb, Rgb32FImage};
use ssimulacra2::{ColorPrimaries, Rgb as Frame, TransferCharacteristic, compute_frame_ssimulacra2};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = image::open(arguments.next().ok_or("score SOURCE PICTURE…")?)?.to_rgb32f();
    let light = DynamicImage::from(mapped(&source, linear));
    let source = DynamicImage::from(source);
    for picture in arguments {
        let picture = image::open(picture)?.to_rgb32f();
        let (width, height) = picture.dimensions();
        let shown = frame(&picture)?;
        let encoded = compute_frame_ssimulacra2(frame(&reduced(&source, width, height))?, shown.clone())?;
        let reference = mapped(&reduced(&light, width, height), encoded_value);
        let linear = compute_frame_ssimulacra2(frame(&reference)?, shown)?;
        println!("{encoded:.3} {linear:.3}");
    }
    Ok(())
}

fn reduced(source: &DynamicImage, width: u32, height: u32) -> Rgb32FImage {
    let whole = (f64::from(width) / f64::from(height) - f64::from(source.width()) / f64::from(source.height())).abs();
    // A picture that keeps the shape is off by the rounding of one side.
    let kept = whole < 2.0 / f64::from(height);
    let reduced = if kept {
        source.resize_exact(width, height, FilterType::Lanczos3)
    } else {
        source.resize_to_fill(width, height, FilterType::Lanczos3)
    };
    mapped(&reduced.to_rgb32f(), |value| value.clamp(0.0, 1.0))
}

fn mapped(picture: &Rgb32FImage, curve: impl Fn(f32) -> f32) -> Rgb32FImage {
    let mut picture = picture.clone();
    picture.pixels_mut().for_each(|Rgb(channels)| channels.iter_mut().for_each(|value| *value = curve(*value)));
    picture
}

/// sRGB's curve.
fn linear(stored: f32) -> f32 {
    if stored <= 0.040_45 { stored / 12.92 } else { ((stored + 0.055) / 1.055).powf(2.4) }
}

fn encoded_value(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

fn frame(picture: &Rgb32FImage) -> Result<Frame, Box<dyn Error>> {
    let pixels = picture.pixels().map(|Rgb(channels)| *channels).collect();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Ok(Frame::new(pixels, width, height, TransferCharacteristic::SRGB, ColorPrimaries::BT709)?)
}
