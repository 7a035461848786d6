//! Reads numbers and boxes from the front of a slice; each is checked against the remaining length.

use super::MetaFault;

/// The bytes that remain.
#[derive(Clone, Copy)]
pub(super) struct BoxReader<'a> {
    rest: &'a [u8],
}

/// A box: its name and its content.
pub(super) struct IsoBox<'a> {
    pub(super) name: [u8; 4],
    pub(super) payload: &'a [u8],
}

impl<'a> BoxReader<'a> {
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], MetaFault> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(MetaFault::Boxes)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, MetaFault> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, MetaFault> {
        self.take().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, MetaFault> {
        self.take().map(u32::from_be_bytes)
    }

    /// A number of this many bytes; it is zero for none.
    pub(super) fn sized(&mut self, bytes: u8) -> Result<u64, MetaFault> {
        match bytes {
            0 => Ok(0),
            4 => self.u32().map(u64::from),
            8 => self.take().map(u64::from_be_bytes),
            _ => Err(MetaFault::Boxes),
        }
    }

    /// A 16-bit number; 32-bit in a box whose version says so.
    pub(super) fn id(&mut self, is_long: bool) -> Result<u32, MetaFault> {
        if is_long { self.u32() } else { self.u16().map(u32::from) }
    }

    /// The version and flags that many boxes begin with.
    pub(super) fn version(&mut self) -> Result<(u8, u32), MetaFault> {
        let [version, a, b, c] = self.take()?;
        Ok((version, u32::from_be_bytes([0, a, b, c])))
    }

    /// The next box, which lies completely in the remaining bytes.
    pub(super) fn next_box(&mut self) -> Result<IsoBox<'a>, MetaFault> {
        let before = self.rest;
        let size = self.u32()?;
        let name = self.take()?;
        let size = match size {
            // The box reaches to the end of its container.
            0 => before.len() as u64,
            1 => self.take().map(u64::from_be_bytes)?,
            size => u64::from(size),
        };
        let head = before.len() - self.rest.len();
        let length =
            usize::try_from(size).ok().and_then(|size| size.checked_sub(head)).ok_or(MetaFault::Boxes)?;
        let (payload, rest) = self.rest.split_at_checked(length).ok_or(MetaFault::Boxes)?;
        self.rest = rest;
        Ok(IsoBox { name, payload })
    }
}
