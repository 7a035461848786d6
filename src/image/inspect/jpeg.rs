//! JPEG: SOI, segments walked by their lengths, SOF, SOS, scans searched for their end, EOI.
//!
//! Some phones write trailers of their own in place of EOI. So once a scan has begun, what contradicts the format is no
//! error yet: the file may have ended before. [`Inspected::doubt`] then holds the error, and only a walk over the
//! entropy-coded data tells whether the picture is whole.
//!
//! Bytes outside of segments are skipped as in every decoder, up to [`STRAY_BYTES_MAX`]; some cameras and editors leave
//! them. A height that a DNL segment gives after the scan is refused as zero, because no decoder supports it.

use memchr::memchr;

use super::notes::Notes;
use super::walk::{Field, Walk, check_size, skip};
use super::{BrokenFile, InspectError, Inspected, JpegKind};
use crate::image::container::jpeg::{APP1, APP2, APP11, SCANS_MAX, ends_data};
use crate::image::header::{ColorKind, Header, Limits, PixelFormat};
use crate::object::Format;

/// Most bytes between segments, in the whole file: the size of one segment. Padding is shorter, and more means that the
/// walk is out of step.
const STRAY_BYTES_MAX: u64 = 65_535;

const COMPONENTS_MAX: usize = 4;

mod marker {
    pub(super) const TEM: u8 = 0x01;
    pub(super) const SOF0: u8 = 0xC0;
    pub(super) const SOF2: u8 = 0xC2;
    pub(super) const DHT: u8 = 0xC4;
    pub(super) const JPG: u8 = 0xC8;
    pub(super) const DAC: u8 = 0xCC;
    pub(super) const SOF15: u8 = 0xCF;
    pub(super) const RST0: u8 = 0xD0;
    pub(super) const RST7: u8 = 0xD7;
    pub(super) const SOI: u8 = 0xD8;
    pub(super) const EOI: u8 = 0xD9;
    pub(super) const SOS: u8 = 0xDA;
}

#[derive(Debug)]
pub(super) struct Jpeg {
    limits: Limits,
    state: JpegState,
    field: Field,
    /// Remaining bytes of the current segment.
    left: u64,
    stray_bytes: u64,
    frame: Option<FrameHeader>,
    scans: u32,
    /// Whether the data of a scan has begun.
    has_data: bool,
    doubt: Option<InspectError>,
    notes: Notes,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum JpegState {
    Start,
    /// Between segments: the next byte should be FF.
    Marker,
    /// Between segments, after FF.
    MarkerCode,
    /// The length of the segment with this marker.
    Length(u8),
    Frame,
    /// The component with this index.
    FrameComponent(usize),
    Scan,
    /// This many components of the scan remain.
    ScanComponent(u8),
    /// Up to the end of the scan header; the scan's data follows.
    ScanParameters,
    Data,
    /// In a scan's data, after FF.
    DataMarker,
    /// A segment with this marker that is noted.
    Part(u8),
    Skip,
    Done,
}

#[derive(Clone, Copy, Debug)]
struct FrameHeader {
    width: u16,
    height: u16,
    components: usize,
    ids: [u8; COMPONENTS_MAX],
}

impl Jpeg {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: JpegState::Start,
            field: Field::default(),
            left: 0,
            stray_bytes: 0,
            frame: None,
            scans: 0,
            has_data: false,
            doubt: None,
            notes: Notes::default(),
        }
    }

    pub(super) fn finish(self) -> Result<Inspected, InspectError> {
        let truncated = InspectError::Truncated(Format::Jpeg);
        let frame = self.frame.filter(|_| self.has_data).ok_or(truncated)?;
        let is_done = matches!(self.state, JpegState::Done);
        let doubt = self.doubt.or(if is_done { None } else { Some(truncated) });
        let kind = match frame.components {
            1 => ColorKind::Gray,
            COMPONENTS_MAX => ColorKind::Cmyk,
            _ => ColorKind::Rgb,
        };
        let header = Header {
            format: Format::Jpeg,
            width: u32::from(frame.width),
            height: u32::from(frame.height),
            orientation: self.notes.orientation(),
            frames: 1,
            has_alpha: false,
            color: PixelFormat { kind, bits: 8 },
        };
        Ok(Inspected { header, doubt, notes: self.notes })
    }
}

impl Walk for Jpeg {
    type State = JpegState;

    fn enter(&mut self, state: JpegState) {
        self.state = state;
    }

    fn field(&mut self) -> &mut Field {
        &mut self.field
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<JpegState>, InspectError> {
        match self.advance(input) {
            Err(error @ InspectError::Broken(_)) if self.has_data => {
                self.doubt = Some(error);
                Ok(Some(JpegState::Done))
            }
            step => step,
        }
    }
}

impl Jpeg {
    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<JpegState>, InspectError> {
        match self.state {
            JpegState::Start => Ok(self.field.take::<2>(input).map(|_| JpegState::Marker)),
            JpegState::Marker => self.find_marker(input),
            JpegState::MarkerCode if input.first() == Some(&0xFF) => Ok(Some(JpegState::Marker)),
            JpegState::MarkerCode => self.take_then(input, |jpeg, [code]| jpeg.begin_segment(code)),
            JpegState::Length(code) => {
                self.take_then(input, |jpeg, length| jpeg.begin_body(code, u16::from_be_bytes(length)))
            }
            JpegState::Frame => self.take_then(input, Self::read_frame),
            JpegState::FrameComponent(index) => {
                self.take_then(input, |jpeg, fields| jpeg.read_frame_component(index, fields))
            }
            JpegState::Scan => self.take_then(input, |jpeg, [count]| jpeg.read_scan(count)),
            JpegState::ScanComponent(left) => {
                self.take_then(input, |jpeg, [id, _]| jpeg.read_scan_component(left, id))
            }
            JpegState::ScanParameters => self.take_then(input, |jpeg, [_, _, _]| {
                jpeg.has_data = true;
                Ok(JpegState::Data)
            }),
            JpegState::Data => Ok(find_data_end(input)),
            JpegState::DataMarker if input.first() == Some(&0xFF) => Ok(Some(JpegState::Data)),
            JpegState::DataMarker => self.take_then(input, |jpeg, [code]| jpeg.leave_data(code)),
            JpegState::Part(code) => Ok(self.notes.gather(input, &mut self.left).map(|()| {
                self.notes.end_jpeg_segment(code);
                JpegState::Marker
            })),
            JpegState::Skip => Ok(skip(input, &mut self.left).map(|()| JpegState::Marker)),
            JpegState::Done => Ok(None),
        }
    }

    fn find_marker(&mut self, input: &mut &[u8]) -> Result<Option<JpegState>, InspectError> {
        let stray = memchr(0xFF, input);
        self.count_stray(stray.unwrap_or(input.len()))?;
        *input = stray.and_then(|at| input.get(at..)).unwrap_or_default();
        // Fill bytes: any number of FF may come before a marker.
        let fill = input.iter().take_while(|byte| **byte == 0xFF).count();
        *input = input.get(fill..).unwrap_or_default();
        Ok(stray.map(|_| JpegState::MarkerCode))
    }

    fn count_stray(&mut self, bytes: usize) -> Result<(), InspectError> {
        self.stray_bytes = self.stray_bytes.saturating_add(bytes as u64);
        if self.stray_bytes > STRAY_BYTES_MAX {
            return Err(InspectError::Broken(BrokenFile::JpegStrayBytes));
        }
        Ok(())
    }

    /// Handles the marker code after the last FF between segments.
    fn begin_segment(&mut self, code: u8) -> Result<JpegState, InspectError> {
        match code {
            0 => {
                self.count_stray(2)?;
                Ok(JpegState::Marker)
            }
            marker::TEM | marker::RST0..=marker::RST7 => Ok(JpegState::Marker),
            marker::SOI => Err(InspectError::Broken(BrokenFile::JpegSecondStart)),
            marker::EOI if self.scans == 0 => Err(InspectError::Broken(BrokenFile::JpegNoScan)),
            marker::EOI => Ok(JpegState::Done),
            _ if is_frame(code) => self.begin_frame(code),
            marker::SOS if self.frame.is_none() => Err(InspectError::Broken(BrokenFile::JpegScanBeforeFrame)),
            _ => Ok(JpegState::Length(code)),
        }
    }

    fn begin_frame(&mut self, code: u8) -> Result<JpegState, InspectError> {
        if self.frame.is_some() {
            return Err(InspectError::Broken(BrokenFile::JpegSecondFrame));
        }
        match undecodable(code) {
            Some(kind) => Err(InspectError::UnsupportedJpeg(kind)),
            None => Ok(JpegState::Length(code)),
        }
    }

    fn begin_body(&mut self, code: u8, length: u16) -> Result<JpegState, InspectError> {
        let body = length.checked_sub(2).ok_or(InspectError::Broken(BrokenFile::JpegSegmentLength))?;
        self.left = u64::from(body);
        Ok(match code {
            _ if is_frame(code) => JpegState::Frame,
            marker::SOS => JpegState::Scan,
            // Viewers use what comes before the picture.
            APP1 | APP2 | APP11 if self.scans == 0 => JpegState::Part(code),
            _ => JpegState::Skip,
        })
    }

    fn read_frame(
        &mut self,
        [precision, h0, h1, w0, w1, components]: [u8; 6],
    ) -> Result<JpegState, InspectError> {
        let width = u16::from_be_bytes([w0, w1]);
        let height = u16::from_be_bytes([h0, h1]);
        if self.left != 6 + 3 * u64::from(components) {
            return Err(InspectError::Broken(BrokenFile::JpegSegmentLength));
        }
        if precision != 8 {
            return Err(InspectError::UnsupportedJpeg(JpegKind::Precision(precision)));
        }
        check_size(u32::from(width), u32::from(height), self.limits)?;
        if !matches!(components, 1 | 3 | 4) {
            return Err(InspectError::UnsupportedJpeg(JpegKind::Components(components)));
        }
        let components = usize::from(components);
        self.frame = Some(FrameHeader { width, height, components, ids: [0; COMPONENTS_MAX] });
        Ok(JpegState::FrameComponent(0))
    }

    fn read_frame_component(
        &mut self,
        index: usize,
        [id, sampling, table]: [u8; 3],
    ) -> Result<JpegState, InspectError> {
        let legal = (1..=4).contains(&(sampling >> 4)) && (1..=4).contains(&(sampling & 15)) && table <= 3;
        let Some(frame) = self.frame.as_mut().filter(|_| legal) else {
            return Err(InspectError::Broken(BrokenFile::JpegComponent));
        };
        if let Some(place) = frame.ids.get_mut(index) {
            *place = id;
        }
        Ok(if index + 1 < frame.components {
            JpegState::FrameComponent(index + 1)
        } else {
            JpegState::Marker
        })
    }

    fn read_scan(&mut self, count: u8) -> Result<JpegState, InspectError> {
        if !(1..=COMPONENTS_MAX).contains(&usize::from(count)) {
            return Err(InspectError::Broken(BrokenFile::JpegScanHeader));
        }
        if self.left != 4 + 2 * u64::from(count) {
            return Err(InspectError::Broken(BrokenFile::JpegSegmentLength));
        }
        self.scans += 1;
        if self.scans > SCANS_MAX {
            return Err(InspectError::TooManyScans { scans_max: SCANS_MAX });
        }
        Ok(JpegState::ScanComponent(count))
    }

    fn read_scan_component(&mut self, left: u8, id: u8) -> Result<JpegState, InspectError> {
        let named =
            self.frame.is_some_and(|frame| frame.ids.iter().take(frame.components).any(|own| *own == id));
        match (named, left) {
            (false, _) => Err(InspectError::Broken(BrokenFile::JpegScanHeader)),
            (true, 2..) => Ok(JpegState::ScanComponent(left - 1)),
            (true, _) => Ok(JpegState::ScanParameters),
        }
    }

    /// Handles the marker code after the last FF in a scan's data.
    fn leave_data(&mut self, code: u8) -> Result<JpegState, InspectError> {
        if ends_data(code) { self.begin_segment(code) } else { Ok(JpegState::Data) }
    }
}

/// Searches FF with a marker that ends the data; `input` then begins after that FF. The loop skips stuffed and repeated
/// FF in place and, if they follow each other, without a search: a scan of nothing else must not cost more time than
/// its arrival.
fn find_data_end(input: &mut &[u8]) -> Option<JpegState> {
    let mut data = *input;
    loop {
        match data {
            [0xFF, 0xFF, ..] => data = data.get(1..).unwrap_or_default(),
            [0xFF, code, rest @ ..] if !ends_data(*code) => data = rest,
            [0xFF, rest @ ..] => {
                *input = rest;
                return Some(JpegState::DataMarker);
            }
            _ => data = memchr(0xFF, data).and_then(|at| data.get(at..)).unwrap_or_default(),
        }
        if data.is_empty() {
            *input = data;
            return None;
        }
    }
}

const fn is_frame(code: u8) -> bool {
    matches!(code, marker::SOF0..=marker::SOF15) && !matches!(code, marker::DHT | marker::JPG | marker::DAC)
}

/// The kinds of frame that the decoder does not support: all but baseline, extended and progressive with Huffman
/// coding.
const fn undecodable(code: u8) -> Option<JpegKind> {
    match code {
        marker::SOF0..=marker::SOF2 => None,
        0xC3 => Some(JpegKind::Lossless),
        0xC5..=0xC7 => Some(JpegKind::Hierarchical),
        _ => Some(JpegKind::Arithmetic),
    }
}
