//! Everything that a file says about its picture beside the pixels, noted while the file arrives.
//!
//! A *part* is a segment, chunk, box or item that says such things. Its text is searched as it passes; its first
//! [`PART_BYTES_MAX`] bytes are kept until it ends. Of the parts that tell colours a copy is kept, as much in all.

use super::text::{Finding, TextSearch};
use crate::image::color::{self, ColorTag};
use crate::image::container::{jpeg, png, webp};
use crate::image::details::Details;
use crate::image::header::{Header, Orientation};
use crate::image::metadata::exif::{self, EXIF_BYTES_MAX, EXIF_NAME};
use crate::object::Format;

/// Most bytes that are kept of one part, and of all colour tags together.
pub(super) const PART_BYTES_MAX: usize = EXIF_BYTES_MAX as usize;

/// The name of an ISO 21496-1 gain map in a JPEG segment.
const GAIN_MAP_NAME: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
const ICC_NAME: &[u8] = b"ICC_PROFILE\0";
/// Most bytes of a JUMBF box before its label.
const JUMBF_HEAD_BYTES: usize = 64;

/// The statements of a file about its picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    part: Vec<u8>,
    /// Whether the current part is longer than what is kept of it.
    is_cut: bool,
    text: TextSearch,
    /// Of the first EXIF block.
    orientation: Option<Orientation>,
    has_location: bool,
    has_gain_map: bool,
    has_c2pa: bool,
    colors: Colors,
}

/// The colour tags of a file.
#[derive(Clone, Debug, Default, PartialEq)]
struct Colors {
    /// A file of the same format with the colour tags alone.
    file: Vec<u8>,
    /// Those of a format that is not read so.
    tags: Vec<ColorTag<'static>>,
    /// Whether a tag was too long to be kept.
    is_cut: bool,
}

impl Notes {
    /// Whether the file tells the place where the picture was taken.
    pub const fn has_location(&self) -> bool {
        self.has_location || self.text.has(Finding::Location)
    }

    /// All that is worth telling; `header` is the file's.
    pub fn details(&self, header: &Header) -> Details {
        let tags = match header.format {
            Format::Jpeg | Format::Png | Format::Webp => color::tags(&self.colors.file, header.format),
            Format::Gif | Format::Avif | Format::Heic | Format::Jxl => self.colors.tags.clone(),
        };
        let space = color::named(&tags, self.colors.is_cut, header.color.kind);
        let has_gain_map = self.has_gain_map || self.text.has(Finding::GainMap);
        Details {
            color_space: space.name,
            is_hdr: has_gain_map || space.is_hdr,
            has_c2pa: self.has_c2pa || self.text.has(Finding::C2pa),
            has_location: self.has_location(),
        }
    }

    /// Of the first EXIF block; [`Orientation::NORMAL`] when there was none.
    pub(super) fn orientation(&self) -> Orientation {
        self.orientation.unwrap_or(Orientation::NORMAL)
    }

    /// Takes up to `left` bytes of a part from `input`; `None` when the input ran out before `left` reached zero.
    pub(super) fn gather(&mut self, input: &mut &[u8], left: &mut u64) -> Option<()> {
        let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        let (now, later) = input.split_at(count);
        self.take(now);
        *input = later;
        *left -= count as u64;
        (*left == 0).then_some(())
    }

    /// Takes the next bytes of a part.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.text.push(bytes);
        let room = PART_BYTES_MAX - self.part.len();
        self.part.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
    }

    /// Ends a part and returns its beginning, and whether that is all of it.
    fn end_part(&mut self) -> (Vec<u8>, bool) {
        self.text.end();
        (std::mem::take(&mut self.part), !std::mem::take(&mut self.is_cut))
    }

    /// The part was the segment of a JPEG with this marker.
    pub(super) fn end_jpeg_segment(&mut self, marker: u8) {
        let (payload, is_whole) = self.end_part();
        match marker {
            jpeg::APP1 if payload.starts_with(&EXIF_NAME) => self.note_exif(&payload, is_whole),
            jpeg::APP2 if payload.starts_with(ICC_NAME) => {
                let length = (payload.len() as u16 + 2).to_be_bytes();
                let head = [0xFF, marker, length[0], length[1]];
                self.colors.keep(&[0xFF, jpeg::SOI], &[&head[..], &payload].concat(), is_whole);
            }
            jpeg::APP2 => self.has_gain_map |= payload.starts_with(GAIN_MAP_NAME),
            jpeg::APP11 => self.note_jumbf(&payload),
            _ => {}
        }
    }

    /// The part was a PNG's chunk of this name.
    pub(super) fn end_png_chunk(&mut self, name: [u8; 4]) {
        let (payload, is_whole) = self.end_part();
        match &name {
            b"eXIf" => self.note_exif(&payload, is_whole),
            b"caBX" => self.has_c2pa = true,
            b"iCCP" | b"cICP" | b"sRGB" | b"gAMA" | b"cHRM" => {
                self.colors.keep(&[0; png::SIGNATURE_BYTES], &png::chunk(name, &payload), is_whole);
            }
            _ => {}
        }
    }

    /// The part was a WebP's chunk of this name.
    pub(super) fn end_webp_chunk(&mut self, name: [u8; 4]) {
        let (payload, is_whole) = self.end_part();
        match &name {
            b"EXIF" => self.note_exif(&payload, is_whole),
            b"ICCP" => self.colors.keep(&[0; webp::HEAD_BYTES], &webp::chunk(name, &payload), is_whole),
            b"C2PA" => self.has_c2pa = true,
            _ => {}
        }
    }

    /// The part was text, or the application block of a GIF.
    pub(super) fn end_text(&mut self) {
        self.end_part();
    }

    /// The part was an EXIF block behind the offset of its TIFF header in four bytes, as HEIF and JPEG XL have it. Its
    /// orientation has no effect.
    pub(super) fn end_exif_item(&mut self) {
        let (part, _) = self.end_part();
        let tiff = part
            .split_first_chunk::<4>()
            .and_then(|(offset, rest)| rest.get(usize::try_from(u32::from_be_bytes(*offset)).ok()?..));
        self.has_location |= tiff.is_some_and(exif::has_location);
    }

    /// The part was a JUMBF box.
    pub(super) fn end_jumbf(&mut self) {
        let (part, _) = self.end_part();
        self.note_jumbf(&part);
    }

    /// The file has content credentials.
    pub(super) const fn note_c2pa(&mut self) {
        self.has_c2pa = true;
    }

    /// The file has a gain map.
    pub(super) const fn note_gain_map(&mut self) {
        self.has_gain_map = true;
    }

    /// The file says this about its colours, after what it said before.
    pub(super) fn note_color(&mut self, tag: ColorTag<'static>) {
        self.colors.tags.push(tag);
    }

    /// The file has this profile.
    pub(super) fn note_profile(&mut self, profile: &[u8]) {
        if profile.len() > PART_BYTES_MAX {
            self.colors.is_cut = true;
        } else {
            self.note_color(ColorTag::Icc(profile.to_vec().into()));
        }
    }

    fn note_exif(&mut self, block: &[u8], is_whole: bool) {
        self.has_location |= exif::has_location(block);
        if is_whole && self.orientation.is_none() {
            self.orientation = Some(exif::orientation(block));
        }
    }

    fn note_jumbf(&mut self, content: &[u8]) {
        let head = &content[..content.len().min(JUMBF_HEAD_BYTES)];
        self.has_c2pa |= memchr::memmem::find(head, b"c2pa").is_some();
    }
}

impl Colors {
    fn keep(&mut self, head: &[u8], part: &[u8], is_whole: bool) {
        if !is_whole || self.file.len() + head.len() + part.len() > PART_BYTES_MAX {
            self.is_cut = true;
            return;
        }
        if self.file.is_empty() {
            self.file.extend_from_slice(head);
        }
        self.file.extend_from_slice(part);
    }
}
