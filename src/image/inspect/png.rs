//! PNG and APNG: signature, IHDR, chunks in an order that can be decoded, picture data, IEND.
//!
//! Only the IHDR's checksum is verified, because every later decision depends on it. A wrong checksum elsewhere is
//! common in files that all viewers show.

use super::notes::Notes;
use super::walk::{Field, Walk, check_size, skip};
use super::{BrokenFile, InspectError, Inspected};
use crate::image::header::{ColorKind, Header, Limits, PixelFormat};
use crate::object::Format;

pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Upper bound of lengths and sizes in PNG: they fit in a signed 32-bit integer.
const PNG_NUMBER_MAX: u32 = i32::MAX as u32;
const CHECKSUM_BYTES: u64 = 4;

#[derive(Debug)]
pub(super) struct Png {
    limits: Limits,
    state: PngState,
    field: Field,
    /// Remaining bytes that the state skips or gathers.
    left: u64,
    width: u32,
    height: u32,
    color: PixelFormat,
    data: PictureData,
    palette: bool,
    transparent: bool,
    frames: u32,
    notes: Notes,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum PngState {
    Signature,
    HeaderChunk,
    Header,
    Chunk,
    AnimationControl,
    /// A chunk of this name that is noted.
    Part([u8; 4]),
    Skip,
    End,
    Done,
}

/// The progress of the picture data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PictureData {
    /// No IDAT yet.
    Before,
    /// The last chunk was an IDAT.
    Inside {
        /// Whether any IDAT so far had content.
        some: bool,
    },
    /// Another chunk came after the last IDAT.
    After {
        /// Whether any IDAT had content.
        some: bool,
    },
}

impl Png {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: PngState::Signature,
            field: Field::default(),
            left: 0,
            width: 0,
            height: 0,
            color: PixelFormat { kind: ColorKind::Rgb, bits: 8 },
            data: PictureData::Before,
            palette: false,
            transparent: false,
            frames: 1,
            notes: Notes::default(),
        }
    }

    pub(super) fn finish(self) -> Result<Inspected, InspectError> {
        if !matches!(self.state, PngState::Done) {
            return Err(InspectError::Truncated(Format::Png));
        }
        let alpha_channel = matches!(self.color.kind, ColorKind::GrayAlpha | ColorKind::Rgba);
        let header = Header {
            format: Format::Png,
            width: self.width,
            height: self.height,
            orientation: self.notes.orientation(),
            frames: self.frames,
            has_alpha: alpha_channel || self.transparent,
            color: self.color,
        };
        Ok(Inspected::new(header, self.notes))
    }
}

impl Walk for Png {
    type State = PngState;

    fn enter(&mut self, state: PngState) {
        self.state = state;
    }

    fn field(&mut self) -> &mut Field {
        &mut self.field
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<PngState>, InspectError> {
        match self.state {
            PngState::Signature => Ok(self.field.take::<8>(input).map(|_| PngState::HeaderChunk)),
            PngState::HeaderChunk => self.take_then(input, |_, head| check_header_chunk(head)),
            PngState::Header => self.take_then(input, Self::read_header),
            PngState::Chunk => self.take_then(input, Self::begin_chunk),
            PngState::AnimationControl => self.take_then(input, Self::read_animation),
            PngState::Part(name) => Ok(self.notes.gather(input, &mut self.left).map(|()| {
                self.notes.end_png_chunk(name);
                self.pass_over(CHECKSUM_BYTES)
            })),
            PngState::Skip => Ok(skip(input, &mut self.left).map(|()| PngState::Chunk)),
            PngState::End => Ok(skip(input, &mut self.left).map(|()| PngState::Done)),
            PngState::Done => Ok(None),
        }
    }
}

impl Png {
    fn read_header(&mut self, bytes: [u8; 17]) -> Result<PngState, InspectError> {
        let [w0, w1, w2, w3, h0, h1, h2, h3, depth, kind, compression, filter, interlace, checksum @ ..] =
            bytes;
        if checksum32(b"IHDR", &bytes[..13]) != u32::from_be_bytes(checksum) {
            return Err(InspectError::Broken(BrokenFile::PngHeaderChecksum));
        }
        self.width = u32::from_be_bytes([w0, w1, w2, w3]);
        self.height = u32::from_be_bytes([h0, h1, h2, h3]);
        check_size(self.width, self.height, self.limits)?;
        if self.width.max(self.height) > PNG_NUMBER_MAX {
            return Err(InspectError::Broken(BrokenFile::PngDimension));
        }
        self.color = color(kind, depth).ok_or(InspectError::Broken(BrokenFile::PngColor))?;
        if compression != 0 || filter != 0 || interlace > 1 {
            return Err(InspectError::Broken(BrokenFile::PngMethod));
        }
        Ok(PngState::Chunk)
    }

    fn begin_chunk(&mut self, [a, b, c, d, name @ ..]: [u8; 8]) -> Result<PngState, InspectError> {
        let length = u32::from_be_bytes([a, b, c, d]);
        if !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(InspectError::Broken(BrokenFile::PngChunkName));
        }
        if length > PNG_NUMBER_MAX {
            return Err(InspectError::Broken(BrokenFile::PngChunkLength));
        }
        if &name == b"IDAT" {
            self.begin_data(length)?;
        } else if let PictureData::Inside { some } = self.data {
            self.data = PictureData::After { some };
        }
        match &name {
            b"IDAT" => {}
            b"IHDR" => return Err(InspectError::Broken(BrokenFile::PngChunkOrder)),
            b"PLTE" => self.begin_palette(length)?,
            b"IEND" => return self.begin_end(length),
            b"acTL" if length == 8 && self.data == PictureData::Before => {
                return Ok(PngState::AnimationControl);
            }
            b"tRNS" => self.note_transparency(length),
            _ if self.is_noted(&name) => {
                self.left = u64::from(length);
                return Ok(PngState::Part(name));
            }
            // An upper-case first letter marks a critical chunk: a reader that does not know it cannot show the
            // picture.
            [first, ..] if first.is_ascii_uppercase() => {
                return Err(InspectError::Broken(BrokenFile::PngCriticalChunk));
            }
            _ => {}
        }
        Ok(self.pass_over(u64::from(length) + CHECKSUM_BYTES))
    }

    fn is_noted(&self, name: &[u8; 4]) -> bool {
        match name {
            b"eXIf" | b"iTXt" | b"tEXt" | b"caBX" => true,
            b"iCCP" | b"cICP" | b"sRGB" | b"gAMA" | b"cHRM" => self.data == PictureData::Before,
            _ => false,
        }
    }

    fn begin_data(&mut self, length: u32) -> Result<(), InspectError> {
        let before = match self.data {
            PictureData::Before if self.color.kind == ColorKind::Palette && !self.palette => {
                return Err(InspectError::Broken(BrokenFile::PngNoPalette));
            }
            PictureData::Before => false,
            PictureData::Inside { some } => some,
            PictureData::After { .. } => return Err(InspectError::Broken(BrokenFile::PngDataSplit)),
        };
        self.data = PictureData::Inside { some: before || length > 0 };
        Ok(())
    }

    fn begin_palette(&mut self, length: u32) -> Result<(), InspectError> {
        if self.palette || self.data != PictureData::Before {
            return Err(InspectError::Broken(BrokenFile::PngChunkOrder));
        }
        if length == 0 || length > 3 * 256 || !length.is_multiple_of(3) {
            return Err(InspectError::Broken(BrokenFile::PngPalette));
        }
        self.palette = true;
        Ok(())
    }

    fn begin_end(&mut self, length: u32) -> Result<PngState, InspectError> {
        if length != 0 {
            return Err(InspectError::Broken(BrokenFile::PngEnd));
        }
        match self.data {
            PictureData::Inside { some: true } | PictureData::After { some: true } => {
                self.left = CHECKSUM_BYTES;
                Ok(PngState::End)
            }
            _ => Err(InspectError::Broken(BrokenFile::PngNoData)),
        }
    }

    /// A tRNS of a wrong length or in a wrong place has no effect in decoders, so it has none here.
    fn note_transparency(&mut self, length: u32) {
        let fits = match self.color.kind {
            ColorKind::Gray => length == 2,
            ColorKind::Rgb => length == 6,
            ColorKind::Palette => self.palette && (1..=256).contains(&length),
            _ => false,
        };
        self.transparent |= fits && self.data == PictureData::Before;
    }

    fn read_animation(&mut self, [a, b, c, d, ..]: [u8; 8]) -> Result<PngState, InspectError> {
        // A count of zero frames is illegal: the file is then a still.
        self.frames = u32::from_be_bytes([a, b, c, d]).max(1);
        Ok(self.pass_over(CHECKSUM_BYTES))
    }

    fn pass_over(&mut self, bytes: u64) -> PngState {
        self.left = bytes;
        PngState::Skip
    }
}

fn check_header_chunk(head: [u8; 8]) -> Result<PngState, InspectError> {
    if &head == b"\0\0\0\x0dIHDR" {
        Ok(PngState::Header)
    } else {
        Err(InspectError::Broken(BrokenFile::PngNoHeader))
    }
}

/// The pixel format of a legal pair of colour type and bit depth.
fn color(kind: u8, depth: u8) -> Option<PixelFormat> {
    let kind = match (kind, depth) {
        (0, 1 | 2 | 4 | 8 | 16) => ColorKind::Gray,
        (2, 8 | 16) => ColorKind::Rgb,
        (3, 1 | 2 | 4 | 8) => ColorKind::Palette,
        (4, 8 | 16) => ColorKind::GrayAlpha,
        (6, 8 | 16) => ColorKind::Rgba,
        _ => return None,
    };
    Some(PixelFormat { kind, bits: depth.max(8) })
}

/// CRC-32 as PNG defines it, bit by bit: it covers 17 bytes of an upload, so a table would be slower.
pub(super) fn checksum32(name: &[u8; 4], data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in name.iter().chain(data) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
