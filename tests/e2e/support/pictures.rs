//! Images that the tests draw, encode and decode by themselves.
//!
//! Drawn pictures have four corners of four colours, so that every turn and mirror of them shows; a little
//! noise from a seed makes every picture's bytes, and so its id, its own.

use std::io::Cursor;

use reticulum::image::encode;
use reticulum::image::pixels::{PixelKind, Pixels};
use reticulum::image::shape::Size;
use reticulum::object::Format;

use crate::support::jpeg;

pub(crate) const RED: [u8; 3] = [220, 40, 40];
pub(crate) const GREEN: [u8; 3] = [40, 200, 40];
pub(crate) const BLUE: [u8; 3] = [40, 40, 220];
pub(crate) const YELLOW: [u8; 3] = [230, 220, 40];

/// Pixels, four bytes each, row by row, alpha not premultiplied.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    rgba: Vec<u8>,
}

impl Picture {
    /// Red and green above, blue and yellow below.
    pub(crate) fn corners(width: u32, height: u32, seed: u32) -> Self {
        let mut noise = Noise::new(seed);
        Self::draw(width, height, |x, y| {
            let colour = match (x * 2 < width, y * 2 < height) {
                (true, true) => RED,
                (false, true) => GREEN,
                (true, false) => BLUE,
                (false, false) => YELLOW,
            };
            let lift = noise.byte() % 16;
            let [red, green, blue] = colour.map(|value| value + lift);
            [red, green, blue, 255]
        })
    }

    /// Three bands from left to right: red, green, blue.
    pub(crate) fn bands(width: u32, height: u32) -> Self {
        Self::draw(width, height, |x, _| {
            let [red, green, blue] = [RED, GREEN, BLUE][(x * 3 / width) as usize];
            [red, green, blue, 255]
        })
    }

    /// One colour, of which the left half is transparent.
    pub(crate) fn half_transparent(width: u32, height: u32) -> Self {
        let [red, green, blue] = RED;
        Self::draw(width, height, |x, _| [red, green, blue, if x * 2 < width { 0 } else { 255 }])
    }

    /// Noise: as PNG nearly as long as its pixels.
    pub(crate) fn noise(width: u32, height: u32, seed: u32) -> Self {
        let mut noise = Noise::new(seed);
        Self::draw(width, height, |_, _| [noise.byte(), noise.byte(), noise.byte(), 255])
    }

    /// Each pixel by its place.
    pub(crate) fn draw(width: u32, height: u32, mut pixel: impl FnMut(u32, u32) -> [u8; 4]) -> Self {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let rgba = places.flat_map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, rgba }
    }

    pub(crate) fn jpeg(&self) -> Vec<u8> {
        self.jpeg_with(|_| {})
    }

    /// A JPEG with this EXIF orientation.
    pub(crate) fn jpeg_oriented(&self, orientation: u8) -> Vec<u8> {
        self.jpeg_with(|encoder| {
            encoder.add_app_segment(1, exif(orientation)).expect("a short segment");
        })
    }

    /// A JPEG of three scans, one per component, with colour at half the sides.
    pub(crate) fn jpeg_in_scans(&self) -> Vec<u8> {
        self.jpeg_with(|encoder| {
            encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::R_4_2_0);
            encoder.set_optimized_huffman_tables(true);
        })
    }

    fn jpeg_with(&self, prepare: impl FnOnce(&mut jpeg_encoder::Encoder<&mut Vec<u8>>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        prepare(&mut encoder);
        let (width, height) = (self.width as u16, self.height as u16);
        encoder.encode(&self.rgb(), width, height, jpeg_encoder::ColorType::Rgb).expect("a JPEG");
        bytes
    }

    pub(crate) fn jpeg_progressive(&self) -> Vec<u8> {
        self.jpeg_with(|encoder| encoder.set_progressive(true))
    }

    pub(crate) fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&self.rgba).expect("a PNG");
        writer.finish().expect("an end");
        bytes
    }

    pub(crate) fn gif(&self) -> Vec<u8> {
        animation(std::slice::from_ref(self))
    }

    pub(crate) fn webp(&self) -> Vec<u8> {
        let size = Size { width: self.width, height: self.height };
        let pixels = Pixels::new(size, PixelKind::Rgba, self.rgba.clone()).expect("four bytes a pixel");
        encode::encode(pixels, Format::Webp, Some(90)).expect("a WebP")
    }

    /// The image in the format with this extension.
    pub(crate) fn encode(&self, extension: &str) -> Vec<u8> {
        match extension {
            "jpg" => self.jpeg(),
            "png" => self.png(),
            "gif" => self.gif(),
            "webp" => self.webp(),
            other => panic!("no encoder for {other}"),
        }
    }

    /// What the first frame of an image shows; the format is read from the bytes.
    #[track_caller]
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        match extension(bytes) {
            "jpg" => {
                let (width, height, rgba) = jpeg::decode(bytes);
                Self { width, height, rgba }
            }
            "png" => decode_png(bytes),
            "gif" => decode_gif(bytes),
            "webp" => decode_webp(bytes),
            other => panic!("an image of unknown format: {other}"),
        }
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub(crate) fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let at = 4 * (y * self.width + x) as usize;
        self.rgba[at..at + 4].try_into().expect("four bytes")
    }

    /// Panics unless the pixel at these fractions of the sides is about this colour, opaque.
    #[track_caller]
    pub(crate) fn expect_colour(&self, x: f64, y: f64, colour: [u8; 3], what: &str) {
        let place = |fraction: f64, side: u32| (fraction * f64::from(side)) as u32;
        let [rgb @ .., alpha] = self.pixel(place(x, self.width), place(y, self.height));
        let near = rgb.iter().zip(colour).all(|(is, wanted)| is.abs_diff(wanted) < 50);
        assert!(near && alpha == 255, "{what}: {rgb:?} alpha {alpha} at {x},{y} instead of {colour:?}");
    }

    /// Colours near the corners: top left, top right, bottom left, bottom right.
    #[track_caller]
    pub(crate) fn expect_corners(&self, colours: [[u8; 3]; 4], what: &str) {
        let places = [(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)];
        for ((x, y), colour) in places.into_iter().zip(colours) {
            self.expect_colour(x, y, colour, what);
        }
    }

    /// Peak signal to noise over RGB, in dB; both must have the same size.
    #[track_caller]
    pub(crate) fn psnr(&self, other: &Self) -> f64 {
        assert_eq!(self.size(), other.size());
        let (mine, theirs) = (self.rgb(), other.rgb());
        let differences = mine.iter().zip(&theirs).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        let mean = differences.sum::<f64>() / mine.len() as f64;
        10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
    }

    fn rgb(&self) -> Vec<u8> {
        self.rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    }
}

/// A small JPEG of its own.
pub(crate) fn jpeg(width: u32, height: u32, seed: u32) -> Vec<u8> {
    Picture::corners(width, height, seed).jpeg()
}

/// A PNG of more than 1 MiB.
pub(crate) fn large_png(seed: u32) -> Vec<u8> {
    let bytes = Picture::noise(800, 600, seed).png();
    assert!(bytes.len() > 1 << 20, "{} bytes are not large", bytes.len());
    bytes
}

/// A PNG that is complete in every chunk and checksum, but whose pixels are garbage.
pub(crate) fn undecodable_png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 60, 40);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_chunk(png::chunk::IDAT, &[0xFF; 200]).expect("a chunk");
    writer.write_chunk(png::chunk::IEND, &[]).expect("an end");
    drop(writer);
    bytes
}

/// A GIF of these frames, which all have the same size.
pub(crate) fn animation(frames: &[Picture]) -> Vec<u8> {
    let (width, height) = (frames[0].width as u16, frames[0].height as u16);
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &[]).expect("a GIF");
    for frame in frames {
        let mut frame = gif::Frame::from_rgba_speed(width, height, &mut frame.rgba.clone(), 10);
        frame.delay = 10;
        encoder.write_frame(&frame).expect("a frame");
    }
    drop(encoder);
    bytes
}

/// How many frames a GIF has.
#[track_caller]
pub(crate) fn gif_frames(bytes: &[u8]) -> usize {
    let mut decoder = gif::DecodeOptions::new().read_info(bytes).expect("a GIF");
    let mut count = 0;
    while decoder.read_next_frame().expect("a whole GIF").is_some() {
        count += 1;
    }
    count
}

/// The extension that fits the bytes, or what they begin with.
pub(crate) fn extension(bytes: &[u8]) -> &str {
    match bytes {
        [0xFF, 0xD8, ..] => "jpg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f' | b's', ..] => "avif",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "heic",
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => "jxl",
        other => str::from_utf8(&other[..other.len().min(20)]).unwrap_or("no text"),
    }
}

/// Width and height: of an AVIF what its first size property says, of all others the decoded picture's.
pub(crate) fn size_of(bytes: &[u8]) -> (u32, u32) {
    if extension(bytes) != "avif" {
        return Picture::decode(bytes).size();
    }
    let at = bytes.windows(4).position(|name| name == b"ispe").expect("a size property") + 8;
    let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    (side(at), side(at + 4))
}

/// An EXIF segment with nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut segment = b"Exif\0\0MM\0*\0\0\0\x08\0\x01".to_vec();
    segment.extend_from_slice(&[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    segment.extend_from_slice(&[0; 4]);
    segment
}

fn decode_png(bytes: &[u8]) -> Picture {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
    let frame = reader.next_frame(&mut pixels).expect("a whole PNG");
    let rgba = match frame.color_type {
        png::ColorType::GrayscaleAlpha => {
            pixels.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect()
        }
        _ => pixels,
    };
    Picture { width: frame.width, height: frame.height, rgba }
}

/// The first frame alone, on a transparent canvas.
fn decode_gif(bytes: &[u8]) -> Picture {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).expect("a GIF");
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let frame = decoder.read_next_frame().expect("a whole frame").expect("a frame");
    let (left, top) = (u32::from(frame.left), u32::from(frame.top));
    let row = 4 * usize::from(frame.width);
    let mut canvas = vec![0; 4 * (width * height) as usize];
    for (y, pixels) in frame.buffer.chunks_exact(row).enumerate() {
        let at = 4 * ((top + y as u32) * width + left) as usize;
        canvas[at..at + row].copy_from_slice(pixels);
    }
    Picture { width, height, rgba: canvas }
}

fn decode_webp(bytes: &[u8]) -> Picture {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).expect("a WebP");
    let (width, height) = decoder.dimensions();
    let mut pixels = vec![0; decoder.output_buffer_size().expect("a small picture")];
    decoder.read_image(&mut pixels).expect("a whole WebP");
    if !decoder.has_alpha() {
        pixels = pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    }
    Picture { width, height, rgba: pixels }
}

#[test]
fn drawn_pictures_decode_as_drawn() {
    for format in ["jpg", "png", "gif", "webp"] {
        let bytes = Picture::corners(60, 40, 1).encode(format);
        assert_eq!(extension(&bytes), format);
        assert_ne!(bytes, Picture::corners(60, 40, 2).encode(format), "every seed has its own bytes");
        let picture = Picture::decode(&bytes);
        assert_eq!(picture.size(), (60, 40));
        picture.expect_corners([RED, GREEN, BLUE, YELLOW], format);
    }
    let in_scans = Picture::corners(60, 45, 1).jpeg_in_scans();
    Picture::decode(&in_scans).expect_corners([RED, GREEN, BLUE, YELLOW], "a JPEG in scans");
    assert_eq!(gif_frames(&animation(&[Picture::bands(9, 9), Picture::bands(9, 9)])), 2);
    assert_eq!(Picture::decode(&Picture::half_transparent(60, 40).webp()).pixel(5, 5)[3], 0);
}

/// Numbers that a seed repeats (xorshift).
struct Noise(u32);

impl Noise {
    fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) ^ 0xA5A5_5A5A | 1)
    }

    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 16) as u8
    }
}
