//! Decoding JPEG for the tests.
//!
//! zune-jpeg misreads files whose components come in scans of their own, which is what optimised Huffman tables
//! give: there every component is decoded as a gray picture, and the three are put together here.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const SOF0: u8 = 0xC0;
const DHT: u8 = 0xC4;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;

/// Width, height and RGBA.
#[track_caller]
pub(crate) fn decode(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let segments = segments(bytes);
    let scans = segments.iter().filter(|(marker, _)| *marker == SOS).count();
    let baseline = segments.iter().any(|(marker, _)| *marker == SOF0);
    if scans == 3 && baseline { decode_scans(&segments) } else { decode_with(bytes, ColorSpace::RGBA) }
}

fn decode_with(bytes: &[u8], space: ColorSpace) -> (u32, u32, Vec<u8>) {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    let pixels = decoder.decode().expect("a JPEG");
    let (width, height) = decoder.dimensions().expect("decoded above");
    (width as u32, height as u32, pixels)
}

/// Marker and content (for a scan with its entropy-coded data) of every segment but SOI and EOI.
fn segments(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    let mut at = 2;
    while bytes[at + 1] != EOI {
        let marker = bytes[at + 1];
        let mut end = at + 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        while marker == SOS && (bytes[end] != 0xFF || matches!(bytes[end + 1], 0 | 0xD0..=0xD7)) {
            end += 1;
        }
        found.push((marker, &bytes[at + 4..end]));
        at = end;
    }
    found
}

/// One component's samples, fewer than pixels where colour is subsampled.
struct Plane {
    width: u32,
    /// Of the picture to the plane, across and down.
    ratio: (u32, u32),
    samples: Vec<u8>,
}

fn decode_scans(segments: &[(u8, &[u8])]) -> (u32, u32, Vec<u8>) {
    let (_, frame) = segments.iter().find(|(marker, _)| *marker == SOF0).expect("a frame");
    let side = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let (height, width) = (side(1), side(3));
    let planes: Vec<_> = frame[6..].chunks_exact(3).map(|part| plane(segments, frame, part)).collect();
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels = places.flat_map(|(x, y)| {
        let sample = |plane: &Plane| {
            let (across, down) = plane.ratio;
            f32::from(plane.samples[(y / down * plane.width + x / across) as usize])
        };
        rgba([&planes[0], &planes[1], &planes[2]].map(sample))
    });
    (width, height, pixels.collect())
}

/// Decodes the component of the frame that `part` describes, as a picture of its own.
fn plane(segments: &[(u8, &[u8])], frame: &[u8], part: &[u8]) -> Plane {
    let factors = |part: &[u8]| (u32::from(part[1] >> 4), u32::from(part[1] & 15));
    let largest = factors(&frame[6..]);
    let (across, down) = factors(part);
    let ratio = (largest.0 / across, largest.1 / down);
    let side = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let (height, width) = (side(1).div_ceil(ratio.1), side(3).div_ceil(ratio.0));
    let mut file = vec![0xFF, 0xD8];
    for (marker, content) in segments {
        match *marker {
            DQT | DHT => push(&mut file, *marker, content, content.len()),
            SOF0 => {
                let [h, w] = [height, width].map(|side| (side as u16).to_be_bytes());
                let alone = [8, h[0], h[1], w[0], w[1], 1, part[0], 0x11, part[2]];
                push(&mut file, SOF0, &alone, alone.len());
            }
            SOS if content[1] == part[0] => {
                push(&mut file, SOS, content, 6);
                break;
            }
            _ => {}
        }
    }
    file.extend_from_slice(&[0xFF, EOI]);
    let (width, _, samples) = decode_with(&file, ColorSpace::Luma);
    Plane { width, ratio, samples }
}

/// A segment whose length covers `counted` bytes of its content.
fn push(file: &mut Vec<u8>, marker: u8, content: &[u8], counted: usize) {
    file.extend_from_slice(&[0xFF, marker]);
    file.extend_from_slice(&(counted as u16 + 2).to_be_bytes());
    file.extend_from_slice(content);
}

fn rgba([y, blue, red]: [f32; 3]) -> [u8; 4] {
    let (blue, red) = (blue - 128.0, red - 128.0);
    // Casts of floats to bytes saturate.
    [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue, 255.0]
        .map(|value| value.round() as u8)
}
