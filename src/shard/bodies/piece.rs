//! Pieces of a body, counted until they have been sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use bytes::{Buf, Bytes};
use glommio::io::ReadResult;

use super::memory::Charge;

/// A piece of a body. Reads are sent from the buffer that the kernel filled.
#[derive(Debug)]
pub enum BodyChunk {
    /// In memory that is shared.
    Bytes(Bytes),
    /// Read from a file.
    Read(FileRead),
}

/// Bytes read from a file.
#[derive(Debug)]
pub struct FileRead {
    buffer: ReadResult,
    /// Bytes that have been sent.
    position: usize,
    _held: HeldRead,
}

/// A read that is counted until it has been sent.
#[derive(Debug)]
struct HeldRead {
    _charge: Charge,
    unsent: Option<Rc<UnsentReads>>,
}

/// The number of a file's reads that are not sent yet, and the task that waits until none is left.
#[derive(Debug, Default)]
pub(super) struct UnsentReads {
    reads: Cell<u32>,
    waiting: RefCell<Option<Waker>>,
}

impl BodyChunk {
    /// A read that was charged for.
    pub fn read(buffer: ReadResult, charge: Charge) -> Self {
        Self::Read(FileRead { buffer, position: 0, _held: HeldRead { _charge: charge, unsent: None } })
    }

    /// The same, counted among those of its file that are not sent yet.
    pub(super) fn read_of(buffer: ReadResult, charge: Charge, unsent: &Rc<UnsentReads>) -> Self {
        unsent.reads.set(unsent.reads.get() + 1);
        let held = HeldRead { _charge: charge, unsent: Some(Rc::clone(unsent)) };
        Self::Read(FileRead { buffer, position: 0, _held: held })
    }
}

impl UnsentReads {
    /// Whether a read is not sent yet; the task is woken when none is left.
    pub(super) fn is_waiting_for_sends(&self, context: &Context<'_>) -> bool {
        let is_waiting = self.reads.get() > 0;
        if is_waiting {
            *self.waiting.borrow_mut() = Some(context.waker().clone());
        }
        is_waiting
    }
}

impl Drop for HeldRead {
    fn drop(&mut self) {
        if let Some(unsent) = &self.unsent {
            unsent.reads.set(unsent.reads.get() - 1);
            let waiting = unsent.waiting.take();
            if let Some(waiting) = waiting {
                waiting.wake();
            }
        }
    }
}

impl Buf for BodyChunk {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Read(FileRead { buffer, position, .. }) => buffer.len() - position,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Read(FileRead { buffer, position, .. }) => &buffer[*position..],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Read(FileRead { buffer, position, .. }) => {
                assert!(count <= buffer.len() - *position, "advanced past the end");
                *position += count;
            }
        }
    }
}
