//! Images made byte by byte, so that each fault can be placed exactly.

use super::super::png::checksum32;

pub(super) const SOI: [u8; 2] = [0xFF, 0xD8];
pub(super) const EOI: [u8; 2] = [0xFF, 0xD9];

/// One JPEG segment.
pub(super) fn segment(code: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, code], &length[..], body].concat()
}

/// A frame header with these component ids.
pub(super) fn frame(code: u8, precision: u8, (width, height): (u16, u16), ids: &[u8]) -> Vec<u8> {
    let mut body = vec![precision];
    body.extend(height.to_be_bytes());
    body.extend(width.to_be_bytes());
    body.push(u8::try_from(ids.len()).unwrap());
    for id in ids {
        body.extend([*id, 0x11, 0]);
    }
    segment(code, &body)
}

/// A scan of these components with this data.
pub(super) fn scan(ids: &[u8], data: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::try_from(ids.len()).unwrap()];
    for id in ids {
        body.extend([*id, 0]);
    }
    body.extend([0, 63, 0]);
    [segment(0xDA, &body), data.to_vec()].concat()
}

/// A JPEG with these parts between SOI and EOI.
pub(super) fn jpeg(parts: &[Vec<u8>]) -> Vec<u8> {
    [SOI.to_vec(), segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"), parts.concat(), EOI.to_vec()].concat()
}

/// 40 × 30, three components, one scan.
pub(super) fn plain_jpeg() -> Vec<u8> {
    jpeg(&[frame(0xC0, 8, (40, 30), &[1, 2, 3]), scan(&[1, 2, 3], b"data\xFF\0more\xFF\xD0\xFF\0")])
}

/// One PNG chunk with a right checksum.
pub(super) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], name, data, &checksum32(name, data).to_be_bytes()].concat()
}

/// An IHDR without interlacing.
pub(super) fn png_header((width, height): (u32, u32), color: u8, depth: u8) -> Vec<u8> {
    let tail = [depth, color, 0, 0, 0];
    chunk(b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &tail].concat())
}

/// A PNG of these chunks, followed by IEND.
pub(super) fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat(), chunk(b"IEND", b"")].concat()
}

/// 40 × 30 RGB.
pub(super) fn plain_png() -> Vec<u8> {
    png(&[png_header((40, 30), 2, 8), chunk(b"IDAT", b"deflated"), chunk(b"IDAT", b"")])
}

/// GIF header and screen of this size with a common table of two colours.
pub(super) fn gif_screen((width, height): (u16, u16)) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    bytes
}

/// A GIF image descriptor with these flags.
pub(super) fn gif_descriptor((width, height): (u16, u16), flags: u8) -> Vec<u8> {
    [&[0x2C, 0, 0, 0, 0][..], &width.to_le_bytes(), &height.to_le_bytes(), &[flags]].concat()
}

/// A GIF image with two sub-blocks.
pub(super) fn gif_image(size: (u16, u16)) -> Vec<u8> {
    [gif_descriptor(size, 0), b"\x02\x03abc\x01d\0".to_vec()].concat()
}

/// A graphic control extension with these flags.
pub(super) fn gif_control(flags: u8) -> Vec<u8> {
    vec![0x21, 0xF9, 4, flags, 10, 0, 0, 0]
}

/// A GIF of this size with these blocks and a trailer.
pub(super) fn gif(size: (u16, u16), blocks: &[Vec<u8>]) -> Vec<u8> {
    [gif_screen(size), blocks.concat(), vec![0x3B]].concat()
}

/// 40 × 30, a comment, one image.
pub(super) fn plain_gif() -> Vec<u8> {
    gif((40, 30), &[b"\x21\xFE\x02hi\0".to_vec(), gif_image((40, 30))])
}

/// One RIFF chunk, padded to an even size.
pub(super) fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    [&name[..], &size, data, if data.len() % 2 == 1 { &[0] } else { &[] }].concat()
}

/// A WebP of these chunks.
pub(super) fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".to_vec(), chunks.concat()].concat();
    [&b"RIFF"[..], &u32::try_from(body.len()).unwrap().to_le_bytes(), &body].concat()
}

/// A lossy picture.
pub(super) fn vp8((width, height): (u16, u16)) -> Vec<u8> {
    let mut data = vec![0x10, 0, 0, 0x9D, 0x01, 0x2A];
    data.extend(width.to_le_bytes());
    data.extend(height.to_le_bytes());
    data.extend(b"odd");
    riff_chunk(b"VP8 ", &data)
}

/// A lossless picture.
pub(super) fn vp8l((width, height): (u32, u32), alpha: bool) -> Vec<u8> {
    let bits = (width - 1) | (height - 1) << 14 | u32::from(alpha) << 28;
    riff_chunk(b"VP8L", &[&[0x2F][..], &bits.to_le_bytes(), b"data"].concat())
}

fn size_24((width, height): (u32, u32)) -> Vec<u8> {
    [&(width - 1).to_le_bytes()[..3], &(height - 1).to_le_bytes()[..3]].concat()
}

/// The extended header: this canvas and these flags.
pub(super) fn vp8x(flags: u8, canvas: (u32, u32)) -> Vec<u8> {
    riff_chunk(b"VP8X", &[vec![flags, 0, 0, 0], size_24(canvas)].concat())
}

/// An animation frame at twice this position.
pub(super) fn anmf((x, y): (u32, u32), size: (u32, u32), chunks: &[Vec<u8>]) -> Vec<u8> {
    let place = [&x.to_le_bytes()[..3], &y.to_le_bytes()[..3]].concat();
    riff_chunk(b"ANMF", &[place, size_24(size), vec![100, 0, 0, 0], chunks.concat()].concat())
}

/// 40 × 30, simple and lossy.
pub(super) fn plain_webp() -> Vec<u8> {
    webp(&[vp8((40, 30))])
}

/// A TIFF block whose first directory has this orientation as a big-endian SHORT, between two other entries.
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x03".to_vec();
    for (tag, value) in [(0x0100_u16, 7), (0x0112, orientation), (0x0128, 2)] {
        block.extend(tag.to_be_bytes());
        block.extend([0, 3, 0, 0, 0, 1, 0, value, 0, 0]);
    }
    block.extend([0; 4]);
    block
}

/// An EXIF block as a JPEG segment holds it.
pub(super) fn exif_segment(orientation: u8) -> Vec<u8> {
    segment(0xE1, &[b"Exif\0\0".to_vec(), exif(orientation)].concat())
}
