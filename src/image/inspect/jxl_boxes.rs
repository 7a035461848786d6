//! The boxes of a JPEG XL file around its codestream: those with metadata are noted, as they arrive.
//!
//! The library finds the codestream by itself, and would keep boxes of any length. So this walk is apart from it; a
//! file that is no sequence of boxes has none. Compressed boxes are passed over.

use super::notes::Notes;
use super::walk::{Field, skip};

/// The first box of every file with boxes.
const SIGNATURE: [u8; 8] = *b"\0\0\0\x0CJXL ";

/// A box's size and name; the size of a long one follows them.
const HEAD_BYTES: u64 = 8;
const LONG_SIZE_BYTES: u64 = 8;

#[derive(Debug)]
pub(super) struct JxlBoxes {
    state: BoxState,
    field: Field,
    /// Remaining bytes of the current box.
    left: u64,
    is_first: bool,
}

#[derive(Clone, Copy, Debug)]
enum BoxState {
    Head,
    LongSize([u8; 4]),
    /// A box that is noted.
    Part([u8; 4]),
    Skip,
    Done,
}

impl JxlBoxes {
    pub(super) fn new() -> Self {
        Self { state: BoxState::Head, field: Field::default(), left: 0, is_first: true }
    }

    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, mut input: &[u8], notes: &mut Notes) {
        while let Some(next) = self.step(&mut input, notes) {
            self.state = next;
        }
    }

    /// The file has ended: a box may reach to its end.
    pub(super) fn finish(&mut self, notes: &mut Notes) {
        if let BoxState::Part(name) = self.state {
            end_box(name, notes);
        }
    }

    fn step(&mut self, input: &mut &[u8], notes: &mut Notes) -> Option<BoxState> {
        match self.state {
            BoxState::Head => self.field.take(input).map(|head| self.begin(head)),
            BoxState::LongSize(name) => self.field.take(input).map(|size| {
                self.enter(name, u64::from_be_bytes(size).checked_sub(HEAD_BYTES + LONG_SIZE_BYTES))
            }),
            BoxState::Part(name) => notes.gather(input, &mut self.left).map(|()| {
                end_box(name, notes);
                BoxState::Head
            }),
            BoxState::Skip => skip(input, &mut self.left).map(|()| BoxState::Head),
            BoxState::Done => None,
        }
    }

    fn begin(&mut self, head: [u8; 8]) -> BoxState {
        if std::mem::take(&mut self.is_first) && head != SIGNATURE {
            return BoxState::Done;
        }
        let [a, b, c, d, name @ ..] = head;
        match u32::from_be_bytes([a, b, c, d]) {
            0 => self.enter(name, Some(u64::MAX)),
            1 => BoxState::LongSize(name),
            size => self.enter(name, u64::from(size).checked_sub(HEAD_BYTES)),
        }
    }

    fn enter(&mut self, name: [u8; 4], content: Option<u64>) -> BoxState {
        let Some(content) = content else { return BoxState::Done };
        self.left = content;
        match &name {
            b"Exif" | b"xml " | b"jumb" | b"jhgm" => BoxState::Part(name),
            _ => BoxState::Skip,
        }
    }
}

fn end_box(name: [u8; 4], notes: &mut Notes) {
    match &name {
        b"Exif" => notes.end_exif_item(),
        b"jumb" => notes.end_jumbf(),
        b"jhgm" => {
            notes.note_gain_map();
            notes.end_text();
        }
        _ => notes.end_text(),
    }
}
