//! WebP: RIFF header, chunks inside the RIFF size, the picture headers inside them.
//!
//! A file is either simple (one VP8 or VP8L chunk) or extended (VP8X with a canvas, then one picture or, if VP8X says
//! so, animation frames that each contain a picture). Only an extended file can carry an orientation.

use super::notes::Notes;
use super::walk::{Field, Walk, check_size, skip};
use super::{BrokenFile, InspectError, Inspected};
use crate::image::header::{ColorKind, Header, Limits, PixelFormat};
use crate::object::Format;

/// A chunk's name and size.
const CHUNK_HEAD_BYTES: u64 = 8;
/// The fields at the start of an ANMF chunk.
const FRAME_HEAD_BYTES: u64 = 16;
/// A flag of VP8X.
const FLAG_ANIMATION: u8 = 0x02;
const FLAG_ALPHA: u8 = 0x10;

#[derive(Debug)]
pub(super) struct Webp {
    limits: Limits,
    state: WebpState,
    field: Field,
    /// Remaining bytes of the current chunk, its padding included.
    left: u64,
    /// Remaining bytes of the RIFF after the current top-level chunk.
    riff_left: u64,
    /// Inside an ANMF chunk.
    frame: Option<AnimationFrame>,
    layout: Option<WebpVariety>,
    /// The canvas, once it is known.
    width: u32,
    height: u32,
    /// Whether the picture of the file was found.
    picture: bool,
    frames: u32,
    alpha: bool,
    notes: Notes,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum WebpState {
    Riff,
    Chunk,
    /// The frame has too few bytes left for another chunk.
    FrameRest,
    /// The RIFF has too few bytes left for another chunk.
    RiffRest,
    Extended,
    Frame,
    Lossy,
    Lossless,
    /// A chunk that is noted: `left` counts its content.
    Part {
        name: [u8; 4],
        /// 0 or 1 byte that follows.
        padding: u64,
    },
    Skip,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WebpVariety {
    Simple,
    Still,
    Animated,
}

#[derive(Clone, Copy, Debug)]
struct AnimationFrame {
    width: u32,
    height: u32,
    /// Remaining bytes of the frame after the current chunk.
    left: u64,
    picture: bool,
}

impl Webp {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: WebpState::Riff,
            field: Field::default(),
            left: 0,
            riff_left: 0,
            frame: None,
            layout: None,
            width: 0,
            height: 0,
            picture: false,
            frames: 0,
            alpha: false,
            notes: Notes::default(),
        }
    }

    pub(super) fn finish(self) -> Result<Inspected, InspectError> {
        if !matches!(self.state, WebpState::Done) {
            return Err(InspectError::Truncated(Format::Webp));
        }
        let kind = if self.alpha { ColorKind::Rgba } else { ColorKind::Rgb };
        let header = Header {
            format: Format::Webp,
            width: self.width,
            height: self.height,
            orientation: self.notes.orientation(),
            frames: self.frames.max(1),
            has_alpha: self.alpha,
            color: PixelFormat { kind, bits: 8 },
        };
        Ok(Inspected::new(header, self.notes))
    }
}

impl Walk for Webp {
    type State = WebpState;

    fn enter(&mut self, state: WebpState) {
        self.state = state;
    }

    fn field(&mut self) -> &mut Field {
        &mut self.field
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<WebpState>, InspectError> {
        match self.state {
            WebpState::Riff => self.take_then(input, Self::read_riff),
            WebpState::Chunk => self.next_chunk(input),
            WebpState::FrameRest => Ok(skip(input, &mut self.left).map(|()| WebpState::Chunk)),
            WebpState::RiffRest => match skip(input, &mut self.left) {
                Some(()) => self.end().map(Some),
                None => Ok(None),
            },
            WebpState::Extended => self.take_then(input, Self::read_extended),
            WebpState::Frame => self.take_then(input, Self::read_frame),
            WebpState::Lossy => self.take_then(input, Self::read_lossy),
            WebpState::Lossless => self.take_then(input, Self::read_lossless),
            WebpState::Part { name, padding } => Ok(self.notes.gather(input, &mut self.left).map(|()| {
                self.notes.end_webp_chunk(name);
                self.left = padding;
                WebpState::Skip
            })),
            WebpState::Skip => Ok(skip(input, &mut self.left).map(|()| WebpState::Chunk)),
            WebpState::Done => Ok(None),
        }
    }
}

impl Webp {
    fn read_riff(&mut self, [_, _, _, _, a, b, c, d, ..]: [u8; 12]) -> Result<WebpState, InspectError> {
        // The size includes the word "WEBP".
        let size = u64::from(u32::from_le_bytes([a, b, c, d]));
        self.riff_left = size.checked_sub(4).ok_or(InspectError::Broken(BrokenFile::WebpRiffSize))?;
        if self.riff_left < CHUNK_HEAD_BYTES {
            return Err(InspectError::Broken(BrokenFile::WebpRiffSize));
        }
        Ok(WebpState::Chunk)
    }

    /// The next chunk of the frame or of the RIFF, or the end of either.
    fn next_chunk(&mut self, input: &mut &[u8]) -> Result<Option<WebpState>, InspectError> {
        if let Some(frame) = self.frame.filter(|frame| frame.left < CHUNK_HEAD_BYTES) {
            self.frame = None;
            self.left = frame.left;
            return if frame.picture {
                Ok(Some(WebpState::FrameRest))
            } else {
                Err(InspectError::Broken(BrokenFile::WebpNoPicture))
            };
        }
        if self.frame.is_none() && self.riff_left < CHUNK_HEAD_BYTES {
            self.left = self.riff_left;
            return Ok(Some(WebpState::RiffRest));
        }
        self.take_then(input, Self::begin_chunk)
    }

    fn begin_chunk(&mut self, [name @ .., a, b, c, d]: [u8; 8]) -> Result<WebpState, InspectError> {
        let size = u64::from(u32::from_le_bytes([a, b, c, d]));
        let container = self.frame.as_mut().map_or(&mut self.riff_left, |frame| &mut frame.left);
        let room = container.saturating_sub(CHUNK_HEAD_BYTES);
        if size > room {
            return Err(InspectError::Broken(BrokenFile::WebpChunkSize));
        }
        // Chunks are padded to even sizes; some writers omit the padding of the last one.
        self.left = (size + size % 2).min(room);
        *container = room - self.left;
        if self.layout.is_none() {
            return self.begin_first_chunk(name, size);
        }
        match (self.layout, &name) {
            (Some(WebpVariety::Simple), _) => Ok(WebpState::Skip),
            (_, b"VP8 " | b"VP8L") if self.wants_picture() => begin_picture(name, size),
            (_, b"ALPH") => {
                self.alpha = true;
                Ok(WebpState::Skip)
            }
            (Some(WebpVariety::Animated), b"ANMF") if self.frame.is_none() => begin_frame(size),
            (_, b"EXIF" | b"XMP " | b"ICCP" | b"C2PA") if self.frame.is_none() => {
                let padding = self.left - size;
                self.left = size;
                Ok(WebpState::Part { name, padding })
            }
            _ => Ok(WebpState::Skip),
        }
    }

    fn begin_first_chunk(&mut self, name: [u8; 4], size: u64) -> Result<WebpState, InspectError> {
        match &name {
            b"VP8X" if size == 10 => Ok(WebpState::Extended),
            b"VP8 " | b"VP8L" => {
                self.layout = Some(WebpVariety::Simple);
                begin_picture(name, size)
            }
            _ => Err(InspectError::Broken(BrokenFile::WebpChunk)),
        }
    }

    /// Whether a picture chunk here is the one that decoders show: the first of the file or frame.
    fn wants_picture(&self) -> bool {
        match self.frame {
            Some(frame) => !frame.picture,
            None => self.layout == Some(WebpVariety::Still) && !self.picture,
        }
    }

    fn read_extended(
        &mut self,
        [flags, _, _, _, w0, w1, w2, h0, h1, h2]: [u8; 10],
    ) -> Result<WebpState, InspectError> {
        self.width = size_24([w0, w1, w2]);
        self.height = size_24([h0, h1, h2]);
        check_size(self.width, self.height, self.limits)?;
        self.alpha = flags & FLAG_ALPHA != 0;
        self.layout =
            Some(if flags & FLAG_ANIMATION == 0 { WebpVariety::Still } else { WebpVariety::Animated });
        self.pass_over(10)
    }

    fn read_frame(&mut self, bytes: [u8; 16]) -> Result<WebpState, InspectError> {
        let [x0, x1, x2, y0, y1, y2, w0, w1, w2, h0, h1, h2, ..] = bytes;
        let (width, height) = (size_24([w0, w1, w2]), size_24([h0, h1, h2]));
        // Positions are stored halved; none of these sums is near the limit of a `u32`.
        let right = 2 * number_24([x0, x1, x2]) + width;
        let bottom = 2 * number_24([y0, y1, y2]) + height;
        if right > self.width || bottom > self.height {
            return Err(InspectError::Broken(BrokenFile::WebpFrameOutside));
        }
        self.frames = self.frames.saturating_add(1);
        self.frame = Some(AnimationFrame {
            width,
            height,
            left: self.left.saturating_sub(FRAME_HEAD_BYTES),
            picture: false,
        });
        Ok(WebpState::Chunk)
    }

    /// VP8's frame tag, start code and size (RFC 6386, 9.1).
    fn read_lossy(
        &mut self,
        [t0, t1, t2, code @ .., w0, w1, h0, h1]: [u8; 10],
    ) -> Result<WebpState, InspectError> {
        let tag = number_24([t0, t1, t2]);
        let key_frame = tag & 1 == 0;
        let known_version = (tag >> 1) & 7 <= 3;
        let shown = (tag >> 4) & 1 == 1;
        let first_partition_fits = u64::from(tag >> 5) < self.left;
        if !(key_frame && known_version && shown && first_partition_fits && code == [0x9D, 0x01, 0x2A]) {
            return Err(InspectError::Broken(BrokenFile::WebpBitstream));
        }
        // The upper two bits are a hint for scaling.
        let width = u16::from_le_bytes([w0, w1]) & 0x3FFF;
        let height = u16::from_le_bytes([h0, h1]) & 0x3FFF;
        self.note_picture(u32::from(width), u32::from(height))?;
        self.pass_over(10)
    }

    /// VP8L's signature, size, alpha hint and version.
    fn read_lossless(&mut self, [signature, bits @ ..]: [u8; 5]) -> Result<WebpState, InspectError> {
        let bits = u32::from_le_bytes(bits);
        if signature != 0x2F || bits >> 29 != 0 {
            return Err(InspectError::Broken(BrokenFile::WebpBitstream));
        }
        self.alpha |= bits & (1 << 28) != 0;
        self.note_picture((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)?;
        self.pass_over(5)
    }

    fn note_picture(&mut self, width: u32, height: u32) -> Result<(), InspectError> {
        check_size(width, height, self.limits)?;
        if self.layout == Some(WebpVariety::Simple) {
            (self.width, self.height) = (width, height);
        }
        let announced = self.frame.map_or((self.width, self.height), |frame| (frame.width, frame.height));
        if announced != (width, height) {
            return Err(InspectError::Broken(BrokenFile::WebpPictureSize));
        }
        match &mut self.frame {
            Some(frame) => frame.picture = true,
            None => self.picture = true,
        }
        Ok(())
    }

    fn end(&self) -> Result<WebpState, InspectError> {
        if self.picture || self.frames > 0 {
            Ok(WebpState::Done)
        } else {
            Err(InspectError::Broken(BrokenFile::WebpNoPicture))
        }
    }

    /// Skips the rest of a chunk of which `read` bytes were taken.
    fn pass_over(&mut self, read: u64) -> Result<WebpState, InspectError> {
        self.left = self.left.checked_sub(read).ok_or(InspectError::Broken(BrokenFile::WebpChunk))?;
        Ok(WebpState::Skip)
    }
}

fn begin_picture(name: [u8; 4], size: u64) -> Result<WebpState, InspectError> {
    match &name {
        b"VP8L" if size >= 5 => Ok(WebpState::Lossless),
        b"VP8 " if size >= 10 => Ok(WebpState::Lossy),
        _ => Err(InspectError::Broken(BrokenFile::WebpChunk)),
    }
}

fn begin_frame(size: u64) -> Result<WebpState, InspectError> {
    if size < FRAME_HEAD_BYTES {
        return Err(InspectError::Broken(BrokenFile::WebpChunk));
    }
    Ok(WebpState::Frame)
}

fn number_24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_le_bytes([a, b, c, 0])
}

/// Sizes are stored less one.
fn size_24(bytes: [u8; 3]) -> u32 {
    number_24(bytes) + 1
}
