//! Small inputs that reach deep, all drawn and written by the program itself or byte by byte here.

use std::iter;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use reticulum::image::draw;
use reticulum::image::encode::{self, Animation};
use reticulum::image::pixels::{PixelKind, Pixels};
use reticulum::image::shape::Size;
use reticulum::object::Format;

const SIZE: Size = Size { width: 52, height: 39 };

/// Names and bytes: images for every check, with `spec-` before those that are none.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let specs =
        SPECS.iter().enumerate().map(|(number, text)| (format!("spec-{number}"), text.as_bytes().to_vec()));
    stills()
        .into_iter()
        .chain(jpegs())
        .chain(pngs())
        .chain(animations())
        .chain(heics())
        .chain(jxls())
        .chain(specs)
        .chain([restarts(), last_row()])
        .collect()
}

const SPECS: [&str; 14] = [
    "full",
    "0300w",
    "200w100h,fill,g-smart,q75",
    "100H200W,stretch,up",
    "100s,dpr1.50,g-x0.1y.9",
    "100s,dpr2,g-x0.1y0.95",
    "p-thumb,q50,dpr1,g-c",
    "300w200h,pad,bg-fFeE00",
    "full,crop-1-2-30-40,rot270,flip,flop",
    "10h,blur3.25,sharpen0.1,grey,trim",
    "full,frame3,meta",
    "64s,g-nw,q100",
    "99999w,q1",
    "50w,50h,g-c,fill",
];

/// For `similarity`: a way of writing in which a picture's encoder once chose codes that were too few.
fn restarts() -> (String, Vec<u8>) {
    let way = b"100\xE5s\0\0!";
    let noise = b"\xF9\x04\x01\0\0\0\0\0,\0\0\0\0,dpr2,g-x0.1y0.95";
    ("spec-restarts".to_owned(), [&way[..], noise, &[0; 68], &[31], &[0; 13]].concat())
}

/// For `similarity`: a picture of one colour in a scan for each component, the last row of whose luma is four bytes.
fn last_row() -> (String, Vec<u8>) {
    ("spec-last-row".to_owned(), b"p-thpot27pc".to_vec())
}

/// A drawn picture in these channels.
fn drawn(scene: usize, kind: PixelKind) -> Pixels {
    let pixels = draw::sample(scene, SIZE).expect("a picture");
    let from = pixels.kind().channels();
    let to = |pixel: &[u8]| {
        let alpha = pixel.get(3).copied().unwrap_or(pixel[0]);
        match kind {
            PixelKind::Gray => vec![pixel[1]],
            PixelKind::GrayAlpha => vec![pixel[1], alpha],
            PixelKind::Rgb => pixel[..3].to_vec(),
            PixelKind::Rgba => vec![pixel[0], pixel[1], pixel[2], alpha],
        }
    };
    let data = pixels.data().chunks_exact(from).flat_map(to).collect();
    Pixels::new(SIZE, kind, data).expect("as many bytes")
}

fn jxls() -> Vec<(String, Vec<u8>)> {
    use super::fixtures::{JXL_ALPHA, JXL_ANIM, JXL_DEEP, JXL_EXACT, JXL_GRAY, JXL_LOSSY, JXL_TURNED};
    let files = [
        ("exact", JXL_EXACT),
        ("lossy", JXL_LOSSY),
        ("alpha", JXL_ALPHA),
        ("deep", JXL_DEEP),
        ("gray", JXL_GRAY),
        ("frames", JXL_ANIM),
        ("turned", JXL_TURNED),
    ];
    files.map(|(name, bytes)| (format!("{name}.jxl"), bytes.to_vec())).to_vec()
}

fn heics() -> Vec<(String, Vec<u8>)> {
    use super::fixtures::{ALPHA, DEEP, EXACT, PLAIN, TALL};
    let files = [("plain", PLAIN), ("exact", EXACT), ("deep", DEEP), ("alpha", ALPHA), ("tall", TALL)];
    files.map(|(name, bytes)| (format!("{name}.heic"), bytes.to_vec())).to_vec()
}

/// Every format in every kind of pixels.
fn stills() -> Vec<(String, Vec<u8>)> {
    let kinds = [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba];
    let still = |format: Format, kind: PixelKind| {
        let file = encode::encode(drawn(3, kind), format, Some(70)).expect("a file");
        (format!("still-{kind:?}.{}", format.extension()).to_lowercase(), file)
    };
    Format::WRITTEN.into_iter().flat_map(|format| kinds.map(|kind| still(format, kind))).collect()
}

fn jpegs() -> Vec<(String, Vec<u8>)> {
    let write = |name: &str, sampling, quality, color, data: &[u8], set: fn(&mut Encoder<&mut Vec<u8>>)| {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, quality);
        encoder.set_sampling_factor(sampling);
        set(&mut encoder);
        encoder.encode(data, SIZE.width as u16, SIZE.height as u16, color).expect("a JPEG");
        (format!("{name}.jpg"), bytes)
    };
    let (gray, colors) = (drawn(0, PixelKind::Gray), drawn(0, PixelKind::Rgb));
    let ink = drawn(0, PixelKind::Rgba);
    let (gray, colors, ink) = (gray.data(), colors.data(), ink.data());
    vec![
        write("gray-progressive", SamplingFactor::R_4_4_4, 60, ColorType::Luma, gray, |encoder| {
            encoder.set_progressive(true)
        }),
        write("scans", SamplingFactor::R_4_2_0, 80, ColorType::Rgb, colors, |encoder| {
            encoder.set_optimized_huffman_tables(true)
        }),
        write("progressive", SamplingFactor::R_4_2_0, 90, ColorType::Rgb, colors, |encoder| {
            encoder.set_progressive(true)
        }),
        write("progressive-restarts", SamplingFactor::R_4_2_2, 40, ColorType::Rgb, colors, |encoder| {
            encoder.set_progressive_scans(11);
            encoder.set_restart_interval(3);
        }),
        write("restarts", SamplingFactor::R_4_1_1, 70, ColorType::Rgb, colors, |encoder| {
            encoder.set_restart_interval(2)
        }),
        write("oriented", SamplingFactor::R_4_4_0, 70, ColorType::Rgb, colors, |encoder| {
            encoder.add_app_segment(1, exif(6)).expect("a segment");
            encoder.add_app_segment(1, xmp(6)).expect("a segment");
        }),
        write("ink", SamplingFactor::R_4_4_4, 70, ColorType::Cmyk, ink, |_| ()),
        write("ycck", SamplingFactor::R_4_2_0, 70, ColorType::CmykAsYcck, ink, |_| ()),
    ]
}

/// An EXIF block as a JPEG has it, with this orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = [1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    [b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01", &entry[..], &[0; 4]].concat()
}

fn xmp(orientation: u8) -> Vec<u8> {
    let text = format!("<x:xmpmeta><rdf:Description tiff:Orientation=\"{orientation}\"/></x:xmpmeta>");
    [b"http://ns.adobe.com/xap/1.0/\0", text.as_bytes()].concat()
}

/// PNGs that the program's own encoder does not write: 16 and fewer bits, interlacing, colour keys, colours, frames.
fn pngs() -> Vec<(String, Vec<u8>)> {
    let wide: Vec<u8> = (0..8 * 5 * 8).map(|at| (at * 53 % 251) as u8).collect();
    let key = (*b"tRNS", vec![0, 3]);
    let palette = (*b"PLTE", (0..12).map(|at| at * 20).collect());
    let clear = (*b"tRNS", vec![0, 128]);
    let primaries =
        [31270_u32, 32900, 68000, 32000, 26500, 69000, 15000, 6000].map(u32::to_be_bytes).concat();
    let colors =
        |chunk| vec![(*b"gAMA", 45_455_u32.to_be_bytes().to_vec()), (*b"cHRM", primaries.clone()), chunk];
    let control = |number: u8, left: u8, dispose: u8, blend: u8| {
        let sides = [0, 0, 0, number, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, left, 0, 0, 0, 1];
        (*b"fcTL", [&sides[..], &[0, 1, 0, 10, dispose, blend]].concat())
    };
    let rows = |depth: u8, channels: usize, adam7| rows(&wide, usize::from(depth) * channels, adam7);
    let frame = |number: u8| {
        let part = stored(&scanlines(&wide, 8, 3, 32));
        (*b"fdAT", [&[0, 0, 0, number], &part[..]].concat())
    };
    let frames = vec![(*b"acTL", vec![0, 0, 0, 3, 0, 0, 0, 0])];
    let tail =
        vec![control(0, 0, 2, 0), frame(1), control(2, 1, 1, 1), frame(3), control(4, 0, 0, 1), frame(5)];
    vec![
        png("wide", [16, 6, 0], vec![], rows(16, 4, false), vec![]),
        png("wide-interlaced", [16, 2, 1], colors((*b"sRGB", vec![0])), rows(16, 3, true), vec![]),
        png("palette-interlaced", [2, 3, 1], vec![palette.clone(), clear.clone()], rows(2, 1, true), vec![]),
        png("palette", [8, 3, 0], vec![palette, clear], vec![0; 45], vec![]),
        png("key", [4, 0, 0], vec![key], rows(4, 1, false), vec![]),
        png("one-bit", [1, 0, 1], vec![], rows(1, 1, true), vec![]),
        png("coded", [8, 2, 0], vec![(*b"cICP", vec![9, 16, 0, 1])], rows(8, 3, false), vec![]),
        png("described", [8, 0, 0], vec![(*b"eXIf", exif(3)[6..].to_vec())], rows(8, 1, false), vec![]),
        png("frames", [8, 6, 0], frames, rows(8, 4, false), tail),
    ]
}

type SeedChunk = ([u8; 4], Vec<u8>);

/// 8 × 5 pixels. `kind` is depth, colour type and interlacing.
fn png(
    name: &str,
    kind: [u8; 3],
    before: Vec<SeedChunk>,
    rows: Vec<u8>,
    after: Vec<SeedChunk>,
) -> (String, Vec<u8>) {
    let [depth, color, interlace] = kind;
    let header = (*b"IHDR", vec![0, 0, 0, 8, 0, 0, 0, 5, depth, color, 0, 0, interlace]);
    let data = (*b"IDAT", stored(&rows));
    let chunks = iter::once(header).chain(before).chain([data]).chain(after).chain([(*b"IEND", vec![])]);
    let chunk = |(name, data): SeedChunk| {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&name);
        checksum.update(&data);
        [&(data.len() as u32).to_be_bytes(), &name[..], &data, &checksum.finalize().to_be_bytes()].concat()
    };
    let file =
        iter::once(b"\x89PNG\r\n\x1a\n".to_vec()).chain(chunks.map(chunk)).collect::<Vec<_>>().concat();
    (format!("{name}.png"), file)
}

/// 8 × 5 pixels of so many bits, in one go or in the seven passes of Adam7.
fn rows(noise: &[u8], bits: usize, adam7: bool) -> Vec<u8> {
    let passes: &[(usize, usize)] =
        if adam7 { &[(1, 1), (1, 1), (2, 1), (2, 2), (4, 1), (4, 3), (8, 2)] } else { &[(8, 5)] };
    passes.iter().flat_map(|&(width, height)| scanlines(noise, width, height, bits)).collect()
}

/// Rows, each after the number of a filter.
fn scanlines(noise: &[u8], width: usize, height: usize, bits: usize) -> Vec<u8> {
    let row_bytes = (width * bits).div_ceil(8);
    let row = |number: usize| {
        iter::once((number % 5) as u8).chain(noise[number * 7..][..row_bytes].iter().copied())
    };
    (0..height).flat_map(row).collect()
}

/// A zlib stream that compresses nothing.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16;
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65521;
        (low, (high + low) % 65521)
    });
    let sum = (high << 16 | low).to_be_bytes();
    [&[0x78, 1, 1], &length.to_le_bytes()[..], &(!length).to_le_bytes(), data, &sum].concat()
}

fn animations() -> Vec<(String, Vec<u8>)> {
    let animated = |format: Format, kind: PixelKind| {
        let mut animation: Animation = encode::animation(format, SIZE, 3, Some(60)).expect("a writer");
        for scene in [0, 3, 3, 1] {
            animation.push(drawn(scene, kind), 40 + 10 * scene as u32, &|| true).expect("a frame");
        }
        let file = animation.finish(&|| true).expect("a file");
        (format!("animated-{kind:?}.{}", format.extension()).to_lowercase(), file)
    };
    [Format::Gif, Format::Webp]
        .into_iter()
        .flat_map(|format| [PixelKind::Rgb, PixelKind::Rgba].map(|kind| animated(format, kind)))
        .collect()
}
