use super::super::{Metadata, read, stripped, write};
use super::*;
use crate::image::header::{Header, Limits, Orientation};
use crate::image::inspect;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;
use crate::image::{decode, encode};

const SIZE: Size = Size { width: 21, height: 10 };
const LIMITS: Limits = Limits { pixels_max: 1_000_000, frames_max: 10 };
const FORMATS: [Format; 4] = [Format::Jpeg, Format::Png, Format::Gif, Format::Webp];
const SECRET: &[u8] = b"52.5200N 13.4050E";

fn plain(format: Format) -> Vec<u8> {
    let data = (0..SIZE.area() * 3).map(|at| (at * 7) as u8).collect();
    let quality = matches!(format, Format::Jpeg | Format::Webp).then_some(80);
    encode::encode(Pixels::new(SIZE, PixelKind::Rgb, data).unwrap(), format, quality).unwrap()
}

fn header(file: &[u8]) -> Header {
    inspect::inspect(file, LIMITS).unwrap()
}

fn decoded(file: &[u8]) -> Pixels {
    decode::decode(file, &header(file), None, &LIMITS, &|| true).unwrap()
}

fn exif(orientation: u8) -> Vec<u8> {
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    [&b"II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4], SECRET].concat()
}

fn holds(file: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(file, part).is_some()
}

fn jpeg_segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_segment(&mut bytes, marker, payload);
    bytes
}

/// The file with the secret in every place that its format has beside EXIF and XMP.
fn with_secrets(format: Format, file: &[u8]) -> Vec<u8> {
    let (at, parts) = match format {
        Format::Jpeg => {
            let iptc = [b"Photoshop 3.0\0", SECRET].concat();
            let thumbnail = [&b"JFXX\0\x10"[..], SECRET].concat();
            let multi = [&b"MPF\0"[..], SECRET].concat();
            let parts = [(0xED, &iptc), (0xE0, &thumbnail), (0xE2, &multi), (0xEB, &SECRET.to_vec())];
            let comment = jpeg_segment(0xFE, SECRET);
            (2, [parts.map(|(marker, part)| jpeg_segment(marker, part)).concat(), comment].concat())
        }
        Format::Png => {
            let text = png::chunk(*b"tEXt", &[b"Comment\0", SECRET].concat());
            (png::HEAD_BYTES, [text, png::chunk(*b"caBX", SECRET), png::chunk(*b"prVt", SECRET)].concat())
        }
        Format::Gif => {
            let block = |label, name: &[u8]| {
                let secret = [&[SECRET.len() as u8][..], SECRET, &[0]].concat();
                [&[0x21, label][..], name, &secret].concat()
            };
            let text = [&b"\x0C"[..], &[0; 12]].concat();
            let parts =
                [block(0xFE, b""), block(0xFF, b"\x0BXMP DataXMP"), block(0x01, &text), block(0x42, b"")];
            (GifFile::of(file).unwrap().head.len(), parts.concat())
        }
        _ => (file.len(), webp::chunk(*b"C2PA", SECRET)),
    };
    let mut marked = [&file[..at], &parts, &file[at..]].concat();
    if format == Format::Webp {
        let length = ((marked.len() - 8) as u32).to_le_bytes();
        marked[4..8].copy_from_slice(&length);
    }
    [&marked[..], SECRET].concat()
}

#[test]
fn nothing_is_left_but_the_picture_and_the_way_up() {
    for format in FORMATS {
        let plain = plain(format);
        for orientation in [1, 6] {
            let metadata = Metadata { exif: exif(orientation), xmp: SECRET.to_vec() };
            let marked = with_secrets(format, &write::write(plain.clone(), format, SIZE, &metadata));
            assert!(holds(&marked, SECRET), "{format:?}");
            let header = header(&marked);
            let bare = stripped(&marked, &header).unwrap();
            assert!(!holds(&bare, SECRET), "{format:?}");
            assert_eq!(decoded(&bare), decoded(&marked), "{format:?}");
            assert_eq!(self::header(&bare).orientation, header.orientation, "{format:?}");
            let left = read::read(&bare, format);
            let is_turned = header.orientation != Orientation::NORMAL;
            assert_eq!((left.exif.len(), left.xmp.len()), (if is_turned { 26 } else { 0 }, 0), "{format:?}");
            // A second time there is nothing to do.
            assert_eq!(stripped(&bare, &header), Some(bare));
        }
    }
}

#[test]
fn the_data_of_the_picture_is_untouched() {
    for format in FORMATS {
        let plain = plain(format);
        assert_eq!(stripped(&plain, &header(&plain)), Some(plain), "{format:?}");
    }
}

#[test]
fn colours_stay() {
    let profile = [&b"ICC_PROFILE\0\x01\x01"[..], &[7; 200]].concat();
    let jpeg = plain(Format::Jpeg);
    let adobe = b"Adobe\0\x64\0\0\0\0\x01";
    let colors = [jpeg_segment(0xE2, &profile), jpeg_segment(0xEE, adobe)].concat();
    let colored = [&jpeg[..2], &colors, &jpeg[2..]].concat();
    assert!(holds(&stripped(&colored, &header(&colored)).unwrap(), &colors));
    let png = plain(Format::Png);
    let chunk = png::chunk(*b"gAMA", &45_455_u32.to_be_bytes());
    let colored = [&png[..png::HEAD_BYTES], &chunk, &png[png::HEAD_BYTES..]].concat();
    assert_eq!(stripped(&colored, &header(&colored)), Some(colored));
}

#[test]
fn the_thumbnail_of_jfif_goes() {
    let jpeg = plain(Format::Jpeg);
    let first = Segments::of(&jpeg).next().unwrap();
    assert!(first.payload.starts_with(b"JFIF\0"));
    let with_thumbnail = [&first.payload[..12], &[2, 3], SECRET].concat();
    let file = [&jpeg[..2], &jpeg_segment(0xE0, &with_thumbnail), &jpeg[first.end()..]].concat();
    assert_eq!(stripped(&file, &header(&file)), Some(jpeg));
}

#[test]
fn what_is_not_understood_is_not_stripped() {
    let jpeg = plain(Format::Jpeg);
    let open = [&jpeg[..jpeg.len() - 2], b"SEFT", &jpeg].concat();
    assert_eq!(bare(&open, Format::Jpeg), None, "a picture in the trailer");
    assert_eq!(bare(&jpeg[..jpeg.len() - 2], Format::Jpeg), None, "no end marker");
    let png = plain(Format::Png);
    let odd = [&png[..png::HEAD_BYTES], &png::chunk(*b"CgBI", b""), &png[png::HEAD_BYTES..]].concat();
    assert_eq!(bare(&odd, Format::Png), None);
    assert_eq!(bare(&png[..png.len() - 12], Format::Png), None);
    assert_eq!(bare(&plain(Format::Webp)[..20], Format::Webp), None);
    assert_eq!(bare(b"anything", Format::Avif), None);
}
