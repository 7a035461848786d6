//! The structure that all parsers here share: a file arrives in pieces and is read field by field.

use super::InspectError;
use crate::image::header::Limits;

/// The longest field of any format: PNG's IHDR with its checksum.
const FIELD_BYTES_MAX: usize = 17;

/// A parser as a state machine over pieces of input.
pub(super) trait Walk {
    /// The item that the parser reads next.
    type State;

    /// Makes `state` the current one.
    fn enter(&mut self, state: Self::State);

    /// The field that is being gathered.
    fn field(&mut self) -> &mut Field;

    /// Takes the bytes that the current state needs from `input`. Returns the next state, or `None` when the input ran
    /// out first. A state that needs no bytes is left on empty input too, so the parser's knowledge after some bytes
    /// does not depend on how they were cut.
    ///
    /// # Errors
    /// The file is refused; the parser is unusable afterwards.
    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Self::State>, InspectError>;

    /// Takes the next piece of input.
    ///
    /// # Errors
    /// As [`Walk::step`].
    fn push(&mut self, mut input: &[u8]) -> Result<(), InspectError> {
        while let Some(next) = self.step(&mut input)? {
            self.enter(next);
        }
        Ok(())
    }

    /// Gathers a field of `N` bytes; once it is complete, `read` returns the next state.
    ///
    /// # Errors
    /// Those of `read`.
    fn take_then<const N: usize>(
        &mut self,
        input: &mut &[u8],
        read: impl FnOnce(&mut Self, [u8; N]) -> Result<Self::State, InspectError>,
    ) -> Result<Option<Self::State>, InspectError> {
        match self.field().take(input) {
            Some(field) => read(self, field).map(Some),
            None => Ok(None),
        }
    }
}

/// A field of known size, gathered across pieces of input.
#[derive(Debug, Default)]
pub(super) struct Field {
    bytes: [u8; FIELD_BYTES_MAX],
    have: usize,
}

impl Field {
    /// Takes bytes from `input` until `N` are gathered, then returns them and starts again. `None`: the input is used
    /// up and more is needed; call it again with the same `N`.
    pub(super) fn take<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        const { assert!(N <= FIELD_BYTES_MAX) }
        let count = N.saturating_sub(self.have).min(input.len());
        let (now, later) = input.split_at(count);
        self.bytes[self.have..self.have + count].copy_from_slice(now);
        self.have += count;
        *input = later;
        if self.have < N {
            return None;
        }
        self.have = 0;
        self.bytes.first_chunk().copied()
    }
}

/// Skips up to `left` bytes of `input`; `None` when the input ran out before `left` reached zero.
pub(super) fn skip(input: &mut &[u8], left: &mut u64) -> Option<()> {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *input = &input[count..];
    *left -= count as u64;
    (*left == 0).then_some(())
}

/// Whether a picture of this size may be stored.
///
/// # Errors
/// [`InspectError::ZeroDimension`], [`InspectError::TooManyPixels`].
pub(super) fn check_size(width: u32, height: u32, limits: Limits) -> Result<(), InspectError> {
    if width == 0 || height == 0 {
        return Err(InspectError::ZeroDimension);
    }
    check_pixels(width, height, limits)
}

/// Whether a picture of this size, which may be zero, is within the limit.
///
/// # Errors
/// [`InspectError::TooManyPixels`].
pub(super) fn check_pixels(width: u32, height: u32, limits: Limits) -> Result<(), InspectError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.pixels_max {
        return Err(InspectError::TooManyPixels { pixels, pixels_max: limits.pixels_max });
    }
    Ok(())
}
