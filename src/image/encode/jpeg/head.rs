//! The segments before the scan (T.81 annex B) and JFIF's own.

use super::huffman::HuffmanTable;
use super::tables::ZIGZAG;
use super::token::TABLES;
use crate::image::shape::Size;

/// End of the file.
pub(super) const END: [u8; 2] = [0xFF, 0xD9];

/// JFIF 1.01, square pixels, no thumbnail.
const JFIF: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";

/// The segments before the scan's data. `steps` has the quantisation steps of each table, luma first; `tables`
/// likewise, DC before AC. A gray picture has one table of steps and two of codes; a coloured one has two and four.
/// Sides are below 65536.
pub(super) fn head(size: Size, steps: &[[u8; 64]], tables: &[HuffmanTable; TABLES]) -> Vec<u8> {
    let tables = &tables[..steps.len() * 2];
    let mut bytes = JFIF.to_vec();
    segment(&mut bytes, 0xDB, &quantization(steps));
    segment(&mut bytes, 0xC0, &frame(size, steps.len() == 1));
    segment(&mut bytes, 0xC4, &huffman(tables));
    segment(&mut bytes, 0xDA, &scan(steps.len() == 1));
    bytes
}

fn segment(bytes: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    // The longest segment, with four Huffman tables, has about 400 bytes.
    let length = payload.len() as u16 + 2;
    bytes.extend_from_slice(&[0xFF, marker]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
}

fn quantization(steps: &[[u8; 64]]) -> Vec<u8> {
    let table = |(number, steps): (u8, &[u8; 64])| {
        let ordered = ZIGZAG.map(|at| steps[usize::from(at)]);
        [&[number], &ordered[..]].concat()
    };
    (0..).zip(steps).flat_map(table).collect()
}

fn frame(size: Size, gray: bool) -> Vec<u8> {
    let ([_, _, high, low], [_, _, left, right]) = (size.height.to_be_bytes(), size.width.to_be_bytes());
    let components: &[[u8; 3]] = if gray {
        &[[1, 0x11, 0]]
    } else {
        // Two luma blocks across and down for each chroma block.
        &[[1, 0x22, 0], [2, 0x11, 1], [3, 0x11, 1]]
    };
    [&[8, high, low, left, right, components.len() as u8], components.as_flattened()].concat()
}

fn huffman(tables: &[HuffmanTable]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (table, number) in tables.iter().zip([0x00, 0x10, 0x01, 0x11]) {
        bytes.push(number);
        bytes.extend_from_slice(&table.lengths);
        bytes.extend_from_slice(&table.symbols);
    }
    bytes
}

fn scan(gray: bool) -> Vec<u8> {
    let components: &[[u8; 2]] = if gray { &[[1, 0x00]] } else { &[[1, 0x00], [2, 0x11], [3, 0x11]] };
    // One scan of all coefficients, without successive approximation.
    [&[components.len() as u8], components.as_flattened(), &[0, 63, 0]].concat()
}
