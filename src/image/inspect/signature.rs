//! Which format the first bytes announce.

use super::walk::{Field, Walk};
use super::{Format, InspectError, png};

/// As many bytes tell every format apart.
pub(super) const HEAD_BYTES: usize = 12;

/// A file type box lists a handful of brands; a longer one is not read.
const BRANDS_BYTES_MAX: u64 = 1024;

/// What the first bytes announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Jpeg,
    Png,
    Gif,
    Webp,
    /// AVIF, HEIC, MP4 and others: the brands decide.
    IsoMedia,
}

/// What the first [`HEAD_BYTES`] of a file announce, or all bytes of a shorter file.
pub(super) fn kind_of(head: &[u8]) -> Option<Kind> {
    match head {
        [0xFF, 0xD8, 0xFF, ..] => Some(Kind::Jpeg),
        _ if head.starts_with(&png::SIGNATURE) => Some(Kind::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Kind::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Kind::Webp),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Kind::IsoMedia),
        _ => None,
    }
}

/// Reads the file type box that begins an ISO media file, until a brand or its end decides. It never succeeds: the
/// answer is which error.
#[derive(Debug, Default)]
pub(super) struct Brands {
    state: State,
    field: Field,
    /// Bytes of the box after what was read.
    left: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum State {
    #[default]
    Head,
    Major,
    MinorVersion,
    Compatible,
}

impl Walk for Brands {
    type State = State;

    fn enter(&mut self, state: State) {
        self.state = state;
    }

    fn field(&mut self) -> &mut Field {
        &mut self.field
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<State>, InspectError> {
        match self.state {
            State::Head => Ok(self.field.take(input).map(|[a, b, c, d, _, _, _, _]| {
                self.left =
                    u64::from(u32::from_be_bytes([a, b, c, d])).saturating_sub(8).min(BRANDS_BYTES_MAX);
                State::Major
            })),
            State::Major => self.read_brand(input, State::MinorVersion),
            State::MinorVersion => Ok(self.field.take::<4>(input).map(|_| {
                self.left = self.left.saturating_sub(4);
                State::Compatible
            })),
            State::Compatible => self.read_brand(input, State::Compatible),
        }
    }
}

impl Brands {
    fn read_brand(&mut self, input: &mut &[u8], next: State) -> Result<Option<State>, InspectError> {
        if self.left < 4 {
            return Err(InspectError::NotAnImage);
        }
        let Some(brand) = self.field.take::<4>(input) else { return Ok(None) };
        self.left -= 4;
        match &brand {
            b"avif" | b"avis" => Err(InspectError::Unsupported(Format::Avif)),
            _ => Ok(Some(next)),
        }
    }
}
