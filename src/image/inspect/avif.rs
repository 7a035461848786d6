//! AVIF and HEIC: boxes that lie inside the file, and a primary item whose data does.
//!
//! One of the file's brands must be of AVIF or HEIF; MP4 and others have the same structure up to there. A file with a
//! brand of AVIF is one, whatever else it names. With brands of HEIF alone its picture must be H.265. The `meta` box
//! is gathered completely (at most [`META_BYTES_MAX`]) and read by the container's reader. Of a sequence's `moov` box
//! only the number of samples is read. Everything else is skipped. The bytes after the picture's last one may be
//! anything.

use super::items::{ItemCollector, note_colors};
use super::notes::Notes;
use super::walk::{Field, Walk, check_pixels, check_size, skip};
use super::{BrokenFile, InspectError, Inspected};
use crate::image::container::avif::{AvifSource, AvifStill, BOXES_MAX, Codec, META_BYTES_MAX, MetaFault};
use crate::image::header::{ColorKind, Header, Limits, PixelFormat};
use crate::image::shape::Size;
use crate::object::Format;

/// Bytes of a file type box that are read. It lists a handful of brands, so a longer one is read only in part.
const BRANDS_BYTES_MAX: u64 = 1024;
/// The brands of HEIF with H.265, and those that do not name a codec.
const HEIF_BRANDS: [&[u8; 4]; 8] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"];
/// A box's size and name.
const BOX_HEAD_BYTES: u64 = 8;
/// The additional size field of a box whose size does not fit there.
const LONG_SIZE_BYTES: u64 = 8;
/// The nested boxes that contain the number of samples, outermost first.
const CONTAINERS: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];
/// The type of a `uuid` box, and that of content credentials (C2PA 2.1, A.4).
const UUID_BYTES: u64 = 16;
const C2PA_UUID: [u8; UUID_BYTES as usize] =
    [0xD8, 0xFE, 0xC3, 0xD6, 0x1B, 0x0E, 0x48, 0x3C, 0x92, 0x97, 0x58, 0x28, 0x87, 0x7E, 0xC4, 0x81];
/// Version, size of all samples, number of samples.
const SAMPLES_HEAD_BYTES: u64 = 12;

#[derive(Debug)]
pub(super) struct Avif {
    limits: Limits,
    state: AvifState,
    field: Field,
    /// The brands that were read are of HEIF, and none is of AVIF.
    is_heif: bool,
    /// The offset of the current box in the file; inside a box that is parsed, the offset of the next field.
    at: u64,
    /// The offset at which the current box ends.
    end: u64,
    /// Remaining bytes of the current box.
    left: u64,
    /// The ends of the boxes that contain the current one, the innermost last.
    ends: Vec<u64>,
    meta: Vec<u8>,
    still: Option<Box<AvifStill>>,
    /// The items that are noted as they pass.
    items: ItemCollector,
    notes: Notes,
    frames: u32,
    /// Boxes so far, of [`BOXES_MAX`].
    boxes: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AvifState {
    FileType,
    Major,
    MinorVersion,
    Compatible,
    Box,
    LongSize([u8; 4]),
    Meta,
    Samples,
    /// The type of a `uuid` box.
    Uuid,
    Skip,
    /// The current box reaches to the end of the file.
    Rest,
    /// The picture is complete, and the rest need not be boxes.
    Done,
}

impl Avif {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: AvifState::FileType,
            field: Field::default(),
            is_heif: false,
            at: 0,
            end: 0,
            left: 0,
            ends: Vec::new(),
            meta: Vec::new(),
            still: None,
            items: ItemCollector::default(),
            notes: Notes::default(),
            frames: 1,
            boxes: 0,
        }
    }

    pub(super) fn finish(mut self) -> Result<Inspected, InspectError> {
        if matches!(
            self.state,
            AvifState::FileType | AvifState::Major | AvifState::MinorVersion | AvifState::Compatible
        ) {
            return Err(InspectError::NotAnImage);
        }
        let seen = match self.state {
            AvifState::Rest => self.at + (u64::MAX - self.left),
            _ => self.at,
        };
        match &self.still {
            Some(still) if still.end() <= seen => {
                let header = self.header(still);
                self.items.note(&mut self.notes);
                Ok(Inspected::new(header, self.notes))
            }
            None if matches!(self.state, AvifState::Box | AvifState::Rest) && self.ends.is_empty() => {
                Err(InspectError::Broken(BrokenFile::AvifNoPicture))
            }
            _ => Err(InspectError::Truncated(self.format())),
        }
    }

    const fn format(&self) -> Format {
        if self.is_heif { Format::Heic } else { Format::Avif }
    }

    fn header(&self, still: &AvifStill) -> Header {
        let has_alpha = still.alpha.is_some();
        let kind = match (still.coding.is_monochrome, has_alpha) {
            (true, false) => ColorKind::Gray,
            (true, true) => ColorKind::GrayAlpha,
            (false, false) => ColorKind::Rgb,
            (false, true) => ColorKind::Rgba,
        };
        let Size { width, height } = still.shown();
        Header {
            format: self.format(),
            width,
            height,
            orientation: still.orientation,
            frames: self.frames,
            has_alpha,
            color: PixelFormat { kind, bits: still.coding.bits },
        }
    }
}

impl Walk for Avif {
    type State = AvifState;

    fn enter(&mut self, state: AvifState) {
        self.state = state;
    }

    fn field(&mut self) -> &mut Field {
        &mut self.field
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<AvifState>, InspectError> {
        match self.state {
            AvifState::FileType => self.take_then(input, Self::begin_file),
            AvifState::Major => self.read_brand(input, AvifState::MinorVersion),
            AvifState::MinorVersion => self.take_then(input, |avif, _: [u8; 4]| {
                avif.left = avif.left.saturating_sub(4);
                Ok(AvifState::Compatible)
            }),
            AvifState::Compatible => self.read_brand(input, AvifState::Compatible),
            AvifState::Box => {
                self.leave_ended();
                self.take_then(input, Self::begin_box)
            }
            AvifState::LongSize(name) => self.take_then(input, |avif, size| {
                let head = BOX_HEAD_BYTES + LONG_SIZE_BYTES;
                avif.enter_box(name, u64::from_be_bytes(size), head)
            }),
            AvifState::Meta => self.gather_meta(input),
            AvifState::Samples => self.take_then(input, Self::read_samples),
            AvifState::Uuid => self.take_then(input, Self::read_uuid),
            AvifState::Skip => {
                self.items.pass(self.end - self.left, self.left, input);
                Ok(skip(input, &mut self.left).map(|()| {
                    self.at = self.end;
                    AvifState::Box
                }))
            }
            AvifState::Rest => {
                self.items.pass(self.at + (u64::MAX - self.left), self.left, input);
                Ok(skip(input, &mut self.left).map(|()| AvifState::Done))
            }
            AvifState::Done => Ok(skip(input, &mut self.left).map(|()| AvifState::Done)),
        }
    }
}

impl Avif {
    fn begin_file(&mut self, [a, b, c, d, ..]: [u8; 8]) -> Result<AvifState, InspectError> {
        let size = u64::from(u32::from_be_bytes([a, b, c, d]));
        self.left = size.checked_sub(BOX_HEAD_BYTES).ok_or(InspectError::NotAnImage)?;
        self.end = size;
        Ok(AvifState::Major)
    }

    fn read_brand(&mut self, input: &mut &[u8], next: AvifState) -> Result<Option<AvifState>, InspectError> {
        if self.left < 4 || self.end - self.left > BRANDS_BYTES_MAX {
            return if self.is_heif { Ok(Some(AvifState::Skip)) } else { Err(InspectError::NotAnImage) };
        }
        self.take_then(input, |avif, brand: [u8; 4]| {
            avif.left -= 4;
            if matches!(&brand, b"avif" | b"avis") {
                avif.is_heif = false;
                return Ok(AvifState::Skip);
            }
            avif.is_heif |= cfg!(feature = "heic") && HEIF_BRANDS.contains(&&brand);
            Ok(next)
        })
    }

    fn leave_ended(&mut self) {
        while self.ends.last().is_some_and(|end| *end == self.at) {
            self.ends.pop();
        }
    }

    fn begin_box(&mut self, [a, b, c, d, name @ ..]: [u8; 8]) -> Result<AvifState, InspectError> {
        match u32::from_be_bytes([a, b, c, d]) {
            1 => Ok(AvifState::LongSize(name)),
            0 if self.ends.is_empty() && &name != b"meta" => {
                self.at += BOX_HEAD_BYTES;
                self.left = u64::MAX;
                Ok(AvifState::Rest)
            }
            size => self.enter_box(name, u64::from(size), BOX_HEAD_BYTES),
        }
    }

    fn enter_box(&mut self, name: [u8; 4], size: u64, head: u64) -> Result<AvifState, InspectError> {
        self.boxes += 1;
        if self.boxes > BOXES_MAX {
            return self.no_box();
        }
        let end = self.at.checked_add(size).filter(|end| self.ends.last().is_none_or(|outer| end <= outer));
        let (Some(end), Some(left)) = (end, size.checked_sub(head)) else { return self.no_box() };
        (self.end, self.left) = (end, left);
        match &name {
            b"meta" if self.still.is_none() && self.ends.is_empty() => {
                if left > META_BYTES_MAX as u64 {
                    return Err(InspectError::Broken(BrokenFile::AvifMetaLength));
                }
                self.at += head;
                Ok(AvifState::Meta)
            }
            name if CONTAINERS.get(self.ends.len()) == Some(&name) => {
                self.at += head;
                self.ends.push(end);
                Ok(AvifState::Box)
            }
            b"stsz" if self.ends.len() == CONTAINERS.len() && left >= SAMPLES_HEAD_BYTES => {
                Ok(AvifState::Samples)
            }
            b"uuid" if self.ends.is_empty() && left >= UUID_BYTES => Ok(AvifState::Uuid),
            _ => Ok(AvifState::Skip),
        }
    }

    fn read_uuid(&mut self, uuid: [u8; UUID_BYTES as usize]) -> Result<AvifState, InspectError> {
        if uuid == C2PA_UUID {
            self.notes.note_c2pa();
        }
        self.left -= UUID_BYTES;
        Ok(AvifState::Skip)
    }

    /// The bytes are not a box: allowed after the picture, an error before its end.
    fn no_box(&mut self) -> Result<AvifState, InspectError> {
        if self.still.as_ref().is_some_and(|still| still.end() <= self.at) {
            self.left = u64::MAX;
            return Ok(AvifState::Done);
        }
        Err(InspectError::Broken(BrokenFile::AvifBox))
    }

    fn gather_meta(&mut self, input: &mut &[u8]) -> Result<Option<AvifState>, InspectError> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let (now, later) = input.split_at(count);
        self.meta.extend_from_slice(now);
        *input = later;
        self.left -= count as u64;
        if self.left > 0 {
            return Ok(None);
        }
        let meta = std::mem::take(&mut self.meta);
        let still = AvifStill::read(&meta, self.at).map_err(fault)?;
        if (still.codec == Codec::Hevc) != self.is_heif {
            return Err(if self.is_heif { InspectError::NotAnImage } else { fault(MetaFault::Unsupported) });
        }
        check_size(still.size.width, still.size.height, self.limits)?;
        if let AvifSource::Grid { tile, .. } = &still.color {
            check_pixels(tile.width, tile.height, self.limits)?;
        }
        if [&b"tmap"[..], b":hdrgainmap"].iter().any(|name| memchr::memmem::find(&meta, name).is_some()) {
            self.notes.note_gain_map();
        }
        note_colors(&mut self.notes, &still, &meta, self.at);
        self.items = ItemCollector::new(&still);
        self.items.pass(self.at, meta.len() as u64, &meta);
        self.still = Some(Box::new(still));
        self.at = self.end;
        Ok(Some(AvifState::Box))
    }

    fn read_samples(&mut self, [.., a, b, c, d]: [u8; 12]) -> Result<AvifState, InspectError> {
        self.frames = self.frames.max(u32::from_be_bytes([a, b, c, d]));
        self.left -= SAMPLES_HEAD_BYTES;
        Ok(AvifState::Skip)
    }
}

const fn fault(fault: MetaFault) -> InspectError {
    InspectError::Broken(match fault {
        MetaFault::Boxes => BrokenFile::AvifBox,
        MetaFault::NoPicture => BrokenFile::AvifNoPicture,
        MetaFault::Unsupported => BrokenFile::AvifKind,
    })
}
