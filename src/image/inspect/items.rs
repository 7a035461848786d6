//! The EXIF and XMP of an AVIF or HEIC, collected as the bytes of the file pass.
//!
//! Their places are known once the `meta` box was read. Bytes before it have passed by then; no known program writes
//! metadata there.

use std::ops::Range;

use super::notes::{Notes, PART_BYTES_MAX};
use crate::image::color::{CodePoints, ColorTag};
use crate::image::container::avif::AvifStill;

/// Items whose bytes are collected.
#[derive(Debug, Default)]
pub(super) struct ItemCollector {
    exif: Vec<Piece>,
    xmp: Vec<Piece>,
}

/// A range of the file, and as much of it as has passed.
#[derive(Debug)]
struct Piece {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl ItemCollector {
    /// Collects the items that describe this picture. An item that is longer than what is kept of a part is left out,
    /// as it is wherever metadata are read.
    pub(super) fn new(still: &AvifStill) -> Self {
        let pieces = |ranges: &Option<Vec<Range<u64>>>| {
            let ranges = ranges.as_deref().unwrap_or_default();
            let length = ranges.iter().map(|range| range.end - range.start).fold(0, u64::saturating_add);
            let is_kept = length <= PART_BYTES_MAX as u64;
            let piece = |range: &Range<u64>| Piece { range: range.clone(), bytes: Vec::new() };
            if is_kept { ranges.iter().map(piece).collect() } else { Vec::new() }
        };
        Self { exif: pieces(&still.exif), xmp: pieces(&still.xmp) }
    }

    /// The next bytes of the file, which begin at the offset `at`: those of `input`, but no more than `left`.
    pub(super) fn pass(&mut self, at: u64, left: u64, input: &[u8]) {
        let input = &input[..usize::try_from(left).unwrap_or(usize::MAX).min(input.len())];
        let passing = at..at + input.len() as u64;
        for Piece { range, bytes } in self.exif.iter_mut().chain(&mut self.xmp) {
            // The bytes of the file pass in order, so a piece of an item grows from its start.
            let from = range.start + bytes.len() as u64;
            if from < range.end && passing.contains(&from) {
                let until = range.end.min(passing.end);
                bytes.extend_from_slice(&input[(from - at) as usize..(until - at) as usize]);
            }
        }
    }

    /// Notes what was collected.
    pub(super) fn note(&mut self, notes: &mut Notes) {
        self.exif.drain(..).for_each(|piece| notes.take(&piece.bytes));
        notes.end_exif_item();
        self.xmp.drain(..).for_each(|piece| notes.take(&piece.bytes));
        notes.end_text();
    }
}

/// Notes the colours of a picture whose `meta` box begins at the offset `start`.
pub(super) fn note_colors(notes: &mut Notes, still: &AvifStill, meta: &[u8], start: u64) {
    let profile = still.profile.as_ref().and_then(|place| {
        let from = usize::try_from(place.start.checked_sub(start)?).ok()?;
        meta.get(from..usize::try_from(place.end.checked_sub(start)?).ok()?)
    });
    if let Some(profile) = profile {
        notes.note_profile(profile);
    }
    if let Some(points) = still.nclx.and_then(CodePoints::of) {
        notes.note_color(ColorTag::CodePoints(points));
    }
}
