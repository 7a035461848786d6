//! PNG: lossless, 8 bits, with no more channels than the picture needs.
//!
//! Colour that is gray everywhere, and alpha that is opaque everywhere, are dropped. Pictures of at most 256 colours
//! get a palette, if that is shorter. The fast compression is 20 times cheaper than the balanced one for 6 % more bytes
//! (measured on a 300 × 225 photo), with the row filter that it is tuned for. Palette pictures use the balanced one
//! without a filter. So do flat ones, such as logos with smooth edges, where that is shorter: the fast one may double
//! their bytes.

use std::io::Write;

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use super::palette::Indexed;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;

/// Bytes of a data chunk: so long that its twelve extra bytes are negligible.
const CHUNK_BYTES: usize = 64 << 10;

/// The size up to which every way is tried for a picture of few colours.
const SMALL_PIXELS: u64 = 16 << 10;

/// `None` once `keep_going` returns false, or if the encoder refuses; it never does for pixels of a valid length.
pub(super) fn encode(pixels: Pixels, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let pixels = pixels.without_idle_alpha().without_idle_color();
    let indexed = keep_going().then(|| Indexed::of(&pixels))?;
    let size = pixels.size();
    // Up to a kilobyte of palette decides only between files that are not much longer.
    let is_tried = indexed.is_none() || size.area() <= SMALL_PIXELS;
    let plain = without_palette(&pixels, is_tried, keep_going)?;
    drop(pixels);
    let Some(indexed) = indexed else { return Some(plain) };
    with_palette(&indexed, size, keep_going).map(|numbered| shorter(numbered, plain))
}

/// With all channels, by the fast compression or, where that is to be tried and the picture is flat, by the one that is
/// shorter.
fn without_palette(pixels: &Pixels, is_tried: bool, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let mut fast = with_channels(pixels)?;
    if !is_tried || !is_flat(pixels) {
        return Some(fast);
    }
    fast.shrink_to_fit();
    by_rows(pixels, keep_going).map(|balanced| shorter(balanced, fast))
}

/// The shorter file; the first of two that are equally long.
fn shorter(first: Vec<u8>, second: Vec<u8>) -> Vec<u8> {
    if second.len() < first.len() { second } else { first }
}

/// Whether a fifth of all pixels equal their neighbour to the left or above. In logos, charts and pages of text up to
/// nine of ten do, in most photos one in twenty.
fn is_flat(pixels: &Pixels) -> bool {
    let (channels, stride) = (pixels.kind().channels(), pixels.stride());
    let mut alike = 0;
    let mut above: &[u8] = &[];
    for row in pixels.data().chunks_exact(stride) {
        for at in (0..stride).step_by(channels) {
            let pixel = &row[at..at + channels];
            let is_like_left = at > 0 && pixel == &row[at - channels..at];
            alike += u64::from(is_like_left || above.get(at..at + channels) == Some(pixel));
        }
        above = row;
    }
    alike * 5 > pixels.size().area()
}

fn color_type(kind: PixelKind) -> ColorType {
    match kind {
        PixelKind::Gray => ColorType::Grayscale,
        PixelKind::GrayAlpha => ColorType::GrayscaleAlpha,
        PixelKind::Rgb => ColorType::Rgb,
        PixelKind::Rgba => ColorType::Rgba,
    }
}

/// In one call, which is fast: about 10 ns a pixel.
fn with_channels(pixels: &Pixels) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, pixels.size().width, pixels.size().height);
    encoder.set_color(color_type(pixels.kind()));
    encoder.set_compression(Compression::Fast);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels.data()).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

/// With all channels and the balanced compression.
fn by_rows(pixels: &Pixels, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, pixels.size().width, pixels.size().height);
    encoder.set_color(color_type(pixels.kind()));
    write_rows(encoder, pixels.data().chunks_exact(pixels.stride()), keep_going)?;
    Some(bytes)
}

fn with_palette(indexed: &Indexed, size: Size, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_palette(
        indexed.colors.iter().flat_map(|color| [color[0], color[1], color[2]]).collect::<Vec<_>>(),
    );
    // Opaque colours come last; their entries are omitted.
    let alphas: Vec<u8> =
        indexed.colors.iter().map(|color| color[3]).take_while(|&alpha| alpha < 255).collect();
    if !alphas.is_empty() {
        encoder.set_trns(alphas);
    }
    // Adjacent palette entries are not similar colours, so the differences of row filters gain nothing.
    write_rows(encoder, indexed.indices.chunks(size.width as usize), keep_going)?;
    Some(bytes)
}

/// Row by row, because the balanced compression takes twenty times as long. Repeated pixels are found best without a
/// filter.
fn write_rows<'a>(
    mut encoder: Encoder<'_, &mut Vec<u8>>,
    rows: impl Iterator<Item = &'a [u8]>,
    keep_going: &dyn Fn() -> bool,
) -> Option<()> {
    encoder.set_compression(Compression::Balanced);
    encoder.set_filter(Filter::NoFilter);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    let mut stream = writer.stream_writer_with_size(CHUNK_BYTES).ok()?;
    for row in rows {
        keep_going().then(|| stream.write_all(row))?.ok()?;
    }
    stream.finish().ok()?;
    writer.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::draw;

    const SIZE: Size = Size { width: 90, height: 60 };

    /// A drawing of a few plain areas.
    fn drawing(kind: PixelKind, color: fn(u8) -> [u8; 4]) -> Pixels {
        let area = |at: u32| color((at % 90 / 23 + at / 90 / 17 * 5) as u8);
        let data = (0..90 * 60).flat_map(|at| area(at)[..kind.channels()].to_vec()).collect();
        Pixels::new(SIZE, kind, data).unwrap()
    }

    /// The colour type, and the pixels as another decoder shows them.
    fn read(file: &[u8]) -> (ColorType, Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut data).unwrap();
        (reader.info().color_type, data)
    }

    #[test]
    fn a_picture_of_few_colours_gets_a_palette_and_stays_the_same() {
        let opaque = drawing(PixelKind::Rgb, |n| [n * 7, 200 - n, n, 255]);
        let file = encode(opaque.clone(), &|| true).unwrap();
        assert!(read(&file) == (ColorType::Indexed, opaque.data().to_vec()));
        assert!(file.len() < with_channels(&opaque).unwrap().len());
        let glassy = drawing(PixelKind::Rgba, |n| [n * 7, 200 - n, n, if n < 3 { n * 80 } else { 255 }]);
        assert!(read(&encode(glassy.clone(), &|| true).unwrap()) == (ColorType::Indexed, glassy.into_data()));
    }

    #[test]
    fn channels_that_say_nothing_are_left_out() {
        let photo = draw::sample(0, SIZE).unwrap();
        let opaque = photo.data().chunks(3).flat_map(|color| [color[0], color[1], color[2], 255]).collect();
        let file = encode(Pixels::new(SIZE, PixelKind::Rgba, opaque).unwrap(), &|| true).unwrap();
        assert!(read(&file) == (ColorType::Rgb, photo.data().to_vec()));
        let gray: Vec<u8> = photo.data().chunks(3).map(|color| color[1]).collect();
        let colored = gray.iter().flat_map(|&luma| [luma; 3]).collect();
        let file = encode(Pixels::new(SIZE, PixelKind::Rgb, colored).unwrap(), &|| true).unwrap();
        assert!(read(&file) == (ColorType::Grayscale, gray.clone()));
        let veiled = gray.iter().flat_map(|&luma| [luma, luma, luma, luma / 2]).collect();
        let file = encode(Pixels::new(SIZE, PixelKind::Rgba, veiled).unwrap(), &|| true).unwrap();
        assert!(
            read(&file)
                == (ColorType::GrayscaleAlpha, gray.iter().flat_map(|&luma| [luma, luma / 2]).collect())
        );
    }

    #[test]
    fn a_flat_picture_of_many_colours_costs_half_and_a_photo_stays_fast() {
        for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
            // Some 400 areas with slanted edges, as a logo has.
            let area = |at: u32| {
                let (x, y) = (at % 360, at / 360);
                ((x + y / 3) / 24 + (y + x / 5) / 15 * 19) as u16
            };
            let color = |n: u16| [(n * 3) as u8, (n / 2) as u8, (n * 7) as u8, 255 - (n % 9) as u8];
            let pixel = |n: u16| match kind {
                PixelKind::Gray => vec![color(n)[0]],
                PixelKind::GrayAlpha => vec![color(n)[0], color(n)[3]],
                _ => color(n)[..kind.channels()].to_vec(),
            };
            let data: Vec<u8> = (0..360 * 240).flat_map(|at| pixel(area(at))).collect();
            let flat = Pixels::new(Size { width: 360, height: 240 }, kind, data).unwrap();
            let (file, fast) = (encode(flat.clone(), &|| true).unwrap(), with_channels(&flat).unwrap());
            assert!(file.len() * 10 < fast.len() * 7, "{kind:?}: {} of {}", file.len(), fast.len());
            assert!(read(&file) == (color_type(kind), flat.into_data()), "{kind:?}");
        }
        let photo = draw::sample(0, SIZE).unwrap();
        assert!(encode(photo.clone(), &|| true) == with_channels(&photo));
    }

    #[test]
    fn a_page_of_text_is_tried_both_ways_and_the_shorter_file_is_taken() {
        // Letters of four grays on white, each pixel with a tint of its own place: a third of all pixels are alike.
        let ink = |x: u32, y: u32| (x * 7 + y * 13) % 11 < 3 && (x / 5 + y / 9).is_multiple_of(2);
        let pixel = |x: u32, y: u32| match ink(x, y) {
            true => [(x % 97) as u8, (y % 89) as u8, (x * y % 31) as u8],
            false => [255, 255, (250 + (x / 30 + y / 30) % 5) as u8],
        };
        let data = (0..200).flat_map(|y| (0..300).flat_map(move |x| pixel(x, y))).collect();
        let page = Pixels::new(Size { width: 300, height: 200 }, PixelKind::Rgb, data).unwrap();
        assert!(is_flat(&page) && Indexed::of(&page).is_none());
        let file = encode(page.clone(), &|| true).unwrap();
        let (fast, balanced) = (with_channels(&page).unwrap(), by_rows(&page, &|| true).unwrap());
        assert_eq!(file.len(), fast.len().min(balanced.len()));
        assert!(file.len() < fast.len(), "{} of {}", file.len(), fast.len());
        assert!(read(&file).1 == page.into_data());
    }

    #[test]
    fn a_small_icon_has_no_palette_that_is_longer_than_its_pixels() {
        // 200 colours in bands: the palette alone is longer than the differences.
        let data =
            (0..64 * 21).flat_map(|at| [(at / 7) as u8, 0, (at / 7) as u8, 255 - (at / 700) as u8]).collect();
        let icon = Pixels::new(Size { width: 64, height: 21 }, PixelKind::Rgba, data).unwrap();
        let file = encode(icon.clone(), &|| true).unwrap();
        let indexed = Indexed::of(&icon).unwrap();
        let numbered = with_palette(&indexed, icon.size(), &|| true).unwrap();
        assert!(file.len() < numbered.len(), "{} of {}", file.len(), numbered.len());
        assert!(read(&file) == (ColorType::Rgba, icon.into_data()));
    }

    #[test]
    fn a_ramp_is_shorter_by_its_differences_than_by_a_palette() {
        let ramp = (0..90 * 60).flat_map(|at| [at as u8 % 90, 2 * (at as u8 % 90), 7]).collect();
        let ramp = Pixels::new(SIZE, PixelKind::Rgb, ramp).unwrap();
        let indexed = Indexed::of(&ramp).unwrap();
        let file = encode(ramp.clone(), &|| true).unwrap();
        let numbered = with_palette(&indexed, SIZE, &|| true).unwrap();
        let plain = [with_channels(&ramp).unwrap().len(), by_rows(&ramp, &|| true).unwrap().len()];
        assert!(file.len() < numbered.len() && plain.contains(&file.len()));
        assert!(read(&file).1 == ramp.into_data());
    }
}
