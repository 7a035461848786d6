//! Rows of units of a picture → tokens → the bytes of its file.

use super::bits::{BitWriter, Codes};
use super::head;
use super::huffman::HuffmanTable;
use super::strip::{Band, JpegPicture, Strip};
use super::tables::{chroma_steps, luma_steps};
use super::token::{self, TABLES, TablePair, Token};
use super::transform::{self, Quantizer};

/// Of a picture whose tokens are not kept, one row of units in this many is counted.
const COUNTED_STEP: usize = 4;

type Counts = [[u32; 256]; TABLES];

/// A picture that is being encoded.
pub(super) struct Scan<'a> {
    picture: JpegPicture<'a>,
    strip: Strip,
    /// Quantisation steps of luma and, in colour, of chroma.
    steps: Vec<[u8; 64]>,
    quantizers: Vec<Quantizer>,
    /// The previous DC coefficient of each component.
    last: [i16; 3],
}

impl<'a> Scan<'a> {
    pub(super) fn new(picture: JpegPicture<'a>, quality: u8) -> Self {
        let mut steps = vec![luma_steps(quality)];
        if !picture.is_gray() {
            steps.push(chroma_steps(quality));
        }
        let quantizers = steps.iter().map(Quantizer::new).collect();
        Self { strip: Strip::new(&picture), picture, steps, quantizers, last: [0; 3] }
    }

    /// Encodes the picture with all its tokens in memory; `None` once `keep_going` returns false.
    pub(super) fn written_at_once(mut self, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let mut tokens = Vec::new();
        for row in 0..self.rows() {
            keep_going().then(|| self.push_row(row, &mut tokens))?;
        }
        let mut counts = [[0; 256]; TABLES];
        count(&tokens, &mut counts);
        let (mut bytes, codes) = self.begun(&counts);
        let mut writer = BitWriter::default();
        writer.write(&tokens, &codes, &mut bytes);
        Some(finished(writer, bytes))
    }

    /// Encodes the picture row by row, with tables from a part of the rows; `None` once `keep_going` returns false.
    pub(super) fn written_in_rows(mut self, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let mut tokens = Vec::new();
        let mut counts = every_symbol_once();
        for row in (0..self.rows()).step_by(COUNTED_STEP) {
            tokens.clear();
            keep_going().then(|| self.push_row(row, &mut tokens))?;
            count(&tokens, &mut counts);
        }
        self.last = [0; 3];
        let (mut bytes, codes) = self.begun(&counts);
        let mut writer = BitWriter::default();
        for row in 0..self.rows() {
            tokens.clear();
            keep_going().then(|| self.push_row(row, &mut tokens))?;
            writer.write(&tokens, &codes, &mut bytes);
        }
        Some(finished(writer, bytes))
    }

    fn rows(&self) -> usize {
        self.picture.units().height as usize
    }

    /// The segments before the scan's data, and the codes for it.
    fn begun(&self, counts: &Counts) -> (Vec<u8>, Codes) {
        let tables = counts.each_ref().map(HuffmanTable::of);
        let bytes = head::head(self.picture.size(), &self.steps, &tables);
        let mut codes = [0; 256 * TABLES];
        for (codes, table) in codes.chunks_exact_mut(256).zip(&tables) {
            codes.copy_from_slice(&table.codes());
        }
        (bytes, codes)
    }

    /// Appends the tokens of a row of units.
    fn push_row(&mut self, row: usize, tokens: &mut Vec<Token>) {
        self.strip.fill(&self.picture, row);
        let [luma, chroma @ ..] = &self.strip.bands[..] else { return };
        let size = self.picture.size();
        // Blocks of luma in a unit, across and down.
        let side = if chroma.is_empty() { 1 } else { 2 };
        let blocks_down = size.height.div_ceil(8) as usize;
        for unit in 0..self.picture.units().width as usize {
            for (down, across) in (0..side * side).map(|block| (block / side, block % side)) {
                let column = unit * side + across;
                if column * 8 < luma.stride && row * side + down < blocks_down {
                    let block = block(luma, column, down, &self.quantizers[0]);
                    token::push_block(&block, TablePair::LUMA, &mut self.last[0], tokens);
                } else {
                    token::push_unseen(TablePair::LUMA, tokens);
                }
            }
            for (band, last) in chroma.iter().zip(&mut self.last[1..]) {
                let block = block(band, unit, 0, &self.quantizers[1]);
                token::push_block(&block, TablePair::CHROMA, last, tokens);
            }
        }
    }
}

fn block(band: &Band, column: usize, row: usize, quantizer: &Quantizer) -> transform::Block {
    transform::coefficients(&band.samples[row * 8 * band.stride + column * 8..], band.stride, quantizer)
}

fn count(tokens: &[Token], counts: &mut Counts) {
    let counts = counts.as_flattened_mut();
    tokens.iter().for_each(|&token| counts[token::symbol_index(token)] += 1);
}

/// One of each symbol that a picture may contain, so that symbols of uncounted rows have a code.
fn every_symbol_once() -> Counts {
    let mut counts = [[0; 256]; TABLES];
    for pair in counts.chunks_exact_mut(2) {
        pair[0][..=11].fill(1);
        // The end of a block, sixteen zeros, and values of 1 to 10 bits after up to 15 zeros.
        pair[1][0] = 1;
        pair[1][0xF0] = 1;
        (0..16).for_each(|zeros| pair[1][zeros * 16 + 1..=zeros * 16 + 10].fill(1));
    }
    counts
}

fn finished(writer: BitWriter, mut bytes: Vec<u8>) -> Vec<u8> {
    writer.finish(&mut bytes);
    bytes.extend_from_slice(&head::END);
    bytes
}
