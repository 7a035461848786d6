//! Animated WebP: each frame is a still, in a container that is written here. libwebp's own animation writer merges
//! equal frames and keeps several in memory.

use super::{differing, nothing, part, rgba};
use crate::image::container::webp::{HEAD_BYTES, RiffChunks, chunk};
use crate::image::encode::webp as still;
use crate::image::pixels::Pixels;
use crate::image::shape::{Rect, Size};

/// The file header, the extended header and the animation header, each with its chunk's name and length.
const HEADERS_BYTES: usize = HEAD_BYTES + (8 + 10) + (8 + 6);

/// A flag of the extended header.
const FLAG_ALPHA: u8 = 0x10;
const FLAG_ANIMATION: u8 = 0x02;
/// A flag of a frame: its pixels replace the ones below, alpha included.
const FLAG_REPLACE: u8 = 0x02;

/// The field has 24 bits.
const DELAY_MS_MAX: u32 = (1 << 24) - 1;

pub(super) struct WebpWriter {
    size: Size,
    plays: u16,
    quality: u8,
    /// Begins with space for the headers.
    file: Vec<u8>,
    /// The current canvas.
    before: Option<Vec<u8>>,
    has_alpha: bool,
}

impl WebpWriter {
    pub(super) fn new(size: Size, plays: u32, quality: u8) -> Self {
        let plays = u16::try_from(plays).unwrap_or(u16::MAX);
        Self { size, plays, quality, file: vec![0; HEADERS_BYTES], before: None, has_alpha: false }
    }

    pub(super) fn push(
        &mut self,
        pixels: Pixels,
        delay_ms: u32,
        keep_going: &dyn Fn() -> bool,
    ) -> Option<()> {
        let now = rgba(&pixels);
        drop(pixels);
        let whole = Rect { x: 0, y: 0, width: self.size.width, height: self.size.height };
        let changed = match &self.before {
            None => Some(whole),
            Some(before) => differing(before, &now, self.size, |before, now| before != now),
        };
        let (area, flags, still) = match changed.map(even) {
            Some(area) => (area, FLAG_REPLACE, part(&now, self.size, area)?),
            // Blended, hence without effect.
            None => (Rect { x: 0, y: 0, width: 1, height: 1 }, 0, nothing()?),
        };
        let bitstream = bitstream(&still::encode(still, self.quality, keep_going)?);
        self.has_alpha |= bitstream.starts_with(b"ALPH");
        let numbers = [area.x / 2, area.y / 2, area.width - 1, area.height - 1, delay_ms.min(DELAY_MS_MAX)];
        let mut payload: Vec<u8> = numbers.into_iter().flat_map(three_bytes).collect();
        payload.push(flags);
        payload.extend(bitstream);
        self.file.extend(chunk(*b"ANMF", &payload));
        self.before = Some(now);
        Some(())
    }

    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.before?;
        // The length counts the rest of the file after these 8 bytes.
        let length = u32::try_from(self.file.len() - 8).ok().filter(|length| *length < u32::MAX - 10)?;
        let flags = FLAG_ANIMATION | if self.has_alpha { FLAG_ALPHA } else { 0 };
        let sides = [self.size.width - 1, self.size.height - 1].into_iter().flat_map(three_bytes);
        let extended: Vec<u8> = [flags, 0, 0, 0].into_iter().chain(sides).collect();
        // The background, which viewers ignore, is transparent.
        let animation = [[0; 4].as_slice(), &self.plays.to_le_bytes()].concat();
        let headers = [
            b"RIFF".as_slice(),
            &length.to_le_bytes(),
            b"WEBP",
            &chunk(*b"VP8X", &extended),
            &chunk(*b"ANIM", &animation),
        ];
        self.file[..HEADERS_BYTES].copy_from_slice(&headers.concat());
        Some(self.file)
    }
}

/// The chunks of a still that hold its picture.
fn bitstream(file: &[u8]) -> Vec<u8> {
    RiffChunks::of_file(file)
        .filter(|part| matches!(&part.name, b"ALPH" | b"VP8 " | b"VP8L"))
        .flat_map(|part| chunk(part.name, part.payload))
        .collect()
}

/// Aligns an area to even coordinates, which the format requires.
fn even(area: Rect<u32>) -> Rect<u32> {
    let (left, top) = (area.x % 2, area.y % 2);
    Rect { x: area.x - left, y: area.y - top, width: area.width + left, height: area.height + top }
}

fn three_bytes(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.to_le_bytes();
    [a, b, c]
}
