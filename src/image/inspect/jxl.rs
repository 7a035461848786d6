//! JPEG XL: headers and tables of contents of all frames, and as much data as they announce.
//!
//! The library parses them from pieces of any size, and skips the data. It may keep a header of some kilobytes, and the
//! colour profile, which it bounds.

use ::jxl::api::{Event, JxlDecoder};

use super::jxl_boxes::JxlBoxes;
use super::notes::Notes;
use super::walk::check_size;
use super::{BrokenFile, InspectError, Inspected};
use crate::image::color::{CodePoints, ColorTag};
use crate::image::container::jxl::{self, JxlColors};
use crate::image::header::{Header, Limits};
use crate::object::Format;

pub(super) struct Jxl {
    limits: Limits,
    decoder: Box<JxlDecoder>,
    header: Option<Header>,
    /// The last frame is complete; bytes after it may be anything.
    is_complete: bool,
    boxes: JxlBoxes,
    notes: Notes,
}

impl Jxl {
    pub(super) fn new(limits: Limits) -> Self {
        let decoder = jxl::decoder(limits.pixels_max, true);
        Self {
            limits,
            decoder,
            header: None,
            is_complete: false,
            boxes: JxlBoxes::new(),
            notes: Notes::default(),
        }
    }

    /// # Errors
    /// [`BrokenFile::Jxl`] for everything that the library refuses.
    pub(super) fn push(&mut self, mut input: &[u8]) -> Result<(), InspectError> {
        self.boxes.push(input, &mut self.notes);
        while !self.is_complete {
            let before = input.len();
            match jxl::guarded(|| self.decoder.process(&mut input, None, None)) {
                // The library keeps what it took, so it may have more to say when the piece is used up.
                Some(Ok(Event::NeedMoreInput { .. })) if input.is_empty() => return Ok(()),
                Some(Ok(Event::NeedMoreInput { .. })) if input.len() < before => {}
                Some(Ok(Event::BasicInfo)) => {
                    let header = jxl::header(&self.decoder).ok_or(BROKEN)?;
                    check_size(header.width, header.height, self.limits)?;
                    self.header = Some(header);
                    self.note_colors();
                }
                Some(Ok(Event::FrameHeader)) => {}
                Some(Ok(Event::FrameComplete { has_more_frames })) => self.is_complete = !has_more_frames,
                Some(Ok(Event::Complete)) => self.is_complete = true,
                // A decoder that takes no more input cannot go on.
                Some(Ok(Event::NeedMoreInput { .. }) | Err(_)) | None => return Err(BROKEN),
            }
        }
        Ok(())
    }

    fn note_colors(&mut self) {
        match jxl::colors(&self.decoder) {
            Some(JxlColors::Icc(profile)) => self.notes.note_profile(&profile),
            Some(JxlColors::CodePoints { primaries, transfer }) => {
                self.notes.note_color(ColorTag::CodePoints(CodePoints { primaries, transfer }));
            }
            None => {}
        }
    }

    pub(super) fn finish(mut self) -> Result<Inspected, InspectError> {
        self.boxes.finish(&mut self.notes);
        let frames = u32::try_from(self.decoder.scanned_frames().len()).unwrap_or(u32::MAX).max(1);
        match self.header {
            Some(header) if self.is_complete => Ok(Inspected::new(Header { frames, ..header }, self.notes)),
            _ => Err(InspectError::Truncated(Format::Jxl)),
        }
    }
}

const BROKEN: InspectError = InspectError::Broken(BrokenFile::Jxl);

impl std::fmt::Debug for Jxl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { header, is_complete, .. } = self;
        f.debug_struct("Jxl")
            .field("header", header)
            .field("is_complete", is_complete)
            .finish_non_exhaustive()
    }
}
