//! `score SOURCE PICTURE…`: the SSIMULACRA2 of each picture against the source, decoded whole and scaled by
//! Lanczos in encoded values to the picture's size (the middle is cut to its shape first). One number a line.

use std::error::Error;

use image::imageops::FilterType;
use image::{DynamicImage, Rgb, RgbImage};
use ssimulacra2::{ColorPrimaries, Rgb as Frame, TransferCharacteristic, compute_frame_ssimulacra2};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = image::open(arguments.next().ok_or("score SOURCE PICTURE…")?)?;
    for picture in arguments {
        let picture = image::open(picture)?.to_rgb8();
        let reference = reduced(&source, picture.width(), picture.height());
        println!("{:.3}", compute_frame_ssimulacra2(frame(&reference)?, frame(&picture)?)?);
    }
    Ok(())
}

fn reduced(source: &DynamicImage, width: u32, height: u32) -> RgbImage {
    let whole = (f64::from(width) / f64::from(height) - f64::from(source.width()) / f64::from(source.height())).abs();
    // A picture that keeps the shape is off by the rounding of one side.
    let kept = whole < 2.0 / f64::from(height);
    let reduced = if kept {
        source.resize_exact(width, height, FilterType::Lanczos3)
    } else {
        source.resize_to_fill(width, height, FilterType::Lanczos3)
    };
    reduced.to_rgb8()
}

fn frame(picture: &RgbImage) -> Result<Frame, Box<dyn Error>> {
    let pixels = picture.pixels().map(|Rgb(channels)| channels.map(|channel| f32::from(channel) / 255.0)).collect();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Ok(Frame::new(pixels, width, height, TransferCharacteristic::SRGB, ColorPrimaries::BT709)?)
}
