//! Decoders, players and what is read beside pixels: an answer of the announced size and kind, or an error.

use reticulum::image::color::{ColorSpace, Gamut};
use reticulum::image::decode::{self, AnimationDecoder, SourcePart};
use reticulum::image::encode;
use reticulum::image::header::Header;
use reticulum::image::light::Light;
use reticulum::image::metadata;
use reticulum::image::pixels::{PixelKind, Pixels};
use reticulum::image::resize;
use reticulum::image::shape::{Rect, Size};
use reticulum::image::small_picture::Aside;
use reticulum::object::Format;

use super::{LIMITS, choice, inspect_whole};

/// PNG and APNG.
pub fn png(data: &[u8]) {
    decoder(data, Format::Png);
}

/// GIF, stills and single frames.
pub fn gif(data: &[u8]) {
    decoder(data, Format::Gif);
}

/// WebP, stills, single frames and parts.
pub fn webp(data: &[u8]) {
    decoder(data, Format::Webp);
}

/// AVIF.
pub fn avif(data: &[u8]) {
    decoder(data, Format::Avif);
}

/// JPEG XL.
pub fn jxl(data: &[u8]) {
    decoder(data, Format::Jxl);
}

/// HEIC, whole and reduced.
pub fn heic(data: &[u8]) {
    decoder(data, Format::Heic);
    let Some(header) = inspect_whole(data).filter(|header| header.format == Format::Heic) else { return };
    let Size { width, height } = header.stored();
    let cut = Rect { x: 0, y: 0, width, height };
    let to = Size { width: (width >> choice(data, 6)).max(1), height: (height >> choice(data, 5)).max(1) };
    let part = SourcePart { cut, window: Rect::whole(header.stored()), to, light: light(data) };
    let Some(reduction) = decode::reduction(data, &header, &part) else { return };
    if let Ok(pixels) = decode::decode_reduced(data, &header, &reduction, &LIMITS, &|| true) {
        assert_eq!((pixels.size(), pixels.kind()), (reduction.size, reduction.kind));
    }
}

fn light(data: &[u8]) -> Light {
    if choice(data, 2) == 0 { Light::Encoded } else { Light::Linear }
}

fn decoder(data: &[u8], format: Format) {
    let Some(header) = inspect_whole(data).filter(|header| header.format == format) else { return };
    let first = decode::decode(data, &header, None, &LIMITS, &|| true);
    if let Ok(pixels) = &first {
        assert_fits(pixels, &header);
    }
    assert_eq!(
        first,
        decode::decode(data, &header, Some(0), &LIMITS, &|| true),
        "the first frame is another"
    );
    if header.frames > 1
        && let Ok(pixels) = decode::decode(data, &header, Some(header.frames - 1), &LIMITS, &|| true)
    {
        assert_fits(&pixels, &header);
    }
    part(data, &header);
}

/// A window somewhere, made a few times smaller.
fn part(data: &[u8], header: &Header) {
    let (size, shift) = (header.stored(), choice(data, 4) as u32);
    let (width, height) = ((size.width >> (shift / 2)).max(1), (size.height >> (shift % 2)).max(1));
    let cut = Rect { x: size.width - width, y: size.height - height, width, height };
    let window = Rect {
        x: 0.0,
        y: f64::from(height) * 0.25,
        width: f64::from(width),
        height: f64::from(height) * 0.7,
    };
    let to = Size { width: width.div_ceil(2 + shift), height: height.div_ceil(3) };
    if let Ok(Some(pixels)) = decode::decode_part(
        data,
        header,
        None,
        &SourcePart { cut, window, to, light: light(data) },
        &LIMITS,
        &mut Aside::default(),
        &|| true,
    ) {
        assert_eq!(pixels.size(), to);
        assert!(pixels.kind().channels() <= decode::kind(header).channels());
        // Colours below an alpha of next to nothing may be anything, and WebP is made smaller in another way. Rows
        // below the part need not be sound.
        if header.format == Format::Png
            && !pixels.kind().has_alpha()
            && let Ok(whole) = decode::decode(data, header, None, &LIMITS, &|| true)
        {
            let expected = resize::resize_in(light(data), whole.cropped(cut).expect("a part"), window, to)
                .expect("a window");
            assert_alike(&pixels, &expected);
        }
    }
}

/// The start of a strip of rows is rounded differently than for the whole picture: values may differ by one in each
/// direction.
fn assert_alike(made: &Pixels, expected: &Pixels) {
    assert_eq!(made.kind(), expected.kind());
    let apart = made.data().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(apart <= Some(2), "rows give a picture that is {apart:?} apart");
}

fn assert_fits(pixels: &Pixels, header: &Header) {
    assert_eq!(pixels.size(), header.stored());
    assert!(pixels.kind().channels() <= decode::kind(header).channels(), "{:?} of {header:?}", pixels.kind());
}

/// Animations played to their end.
pub fn animation(data: &[u8]) {
    let Some(header) = inspect_whole(data) else { return };
    let Ok(mut decoder) = AnimationDecoder::new(data, &header, &LIMITS) else { return };
    let mut frames = 0;
    while let Ok(Some(_)) = decoder.next(&|| true) {
        let shown = decoder.current_frame().expect("a frame was drawn");
        assert_fits(&shown, &header);
        if frames == 0 {
            let first = decode::decode(data, &header, None, &LIMITS, &|| true);
            assert_eq!(first.as_ref(), Ok(&shown), "the still is not the first frame");
        }
        frames += 1;
        // The steps that play animations stop by the header's number.
        if frames > 2 * LIMITS.frames_max {
            break;
        }
    }
    decoder.loop_count();
}

/// EXIF, XMP and colours, read from a file of any format, whole or not.
pub fn metadata(data: &[u8]) {
    let size = Size { width: 3, height: 2 };
    let pixels = |kind: PixelKind| {
        let length = 6 * kind.channels();
        Pixels::new(size, kind, (0..length).map(|value| (value * 37) as u8).collect()).expect("a picture")
    };
    let to = [Format::Jpeg, Format::Png, Format::Webp][choice(data, 3)];
    for from in Format::ALL {
        let variant = encode::encode(pixels(PixelKind::Rgb), to, Some(80)).expect("a file");
        let carried = metadata::carry(data, from, variant.clone(), to, size);
        let header = inspect_whole(&carried).expect("a file with metadata is still one");
        assert_eq!((header.format, header.displayed()), (to, size), "metadata that turns the picture");
        let before = decode::decode(&variant, &header, None, &LIMITS, &|| true);
        assert_eq!(decode::decode(&carried, &header, None, &LIMITS, &|| true), before, "other pixels");
    }
    if let Some(header) = inspect_whole(data) {
        for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
            let (mut converted, original) = (pixels(kind), pixels(kind));
            for to in [Gamut::Srgb, Gamut::DisplayP3] {
                ColorSpace::of(data, &header, to).convert(&mut converted);
            }
            assert_eq!((converted.size(), converted.kind()), (original.size(), original.kind()));
            if kind.has_alpha() {
                let alpha = |pixels: &Pixels| -> Vec<u8> {
                    pixels
                        .data()
                        .chunks_exact(kind.channels())
                        .map(|pixel| pixel[kind.channels() - 1])
                        .collect()
                };
                assert_eq!(alpha(&converted), alpha(&original), "colours changed alpha");
            }
        }
    }
}
