//! Bytes in and out: big-endian integers and short texts, with every length checked before it is used.
//!
//! One canonical encoding serves for sending, for keeping and for hashing, so that equal states have equal
//! bytes. The domain types stay free of it: each module has a `wire` file that converts.

/// Bytes that are no message: cut short, too long, or with a value out of its range. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed cluster message")
    }
}

impl std::error::Error for Malformed {}

/// A message being written.
#[derive(Debug, Default)]
pub(in crate::cluster) struct WireWriter(Vec<u8>);

impl WireWriter {
    pub(in crate::cluster) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(in crate::cluster) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(in crate::cluster) fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }

    pub(in crate::cluster) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_be_bytes());
    }

    pub(in crate::cluster) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_be_bytes());
    }

    pub(in crate::cluster) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// A count of things that follow.
    ///
    /// # Panics
    /// Above 65,535, which no bounded list of this module reaches.
    pub(in crate::cluster) fn count(&mut self, count: usize) {
        self.u16(u16::try_from(count).expect("invariant: wire: a list is bounded"));
    }

    /// Length and bytes of a text.
    pub(in crate::cluster) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }
}

/// A message being read, from its front.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct WireReader<'a>(&'a [u8]);

impl<'a> WireReader<'a> {
    pub(in crate::cluster) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(in crate::cluster) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(in crate::cluster) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    pub(in crate::cluster) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(in crate::cluster) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(in crate::cluster) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(in crate::cluster) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A flag: 0 or 1, nothing else.
    pub(in crate::cluster) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// A count of things that follow, at most `max`.
    pub(in crate::cluster) fn count(&mut self, max: usize) -> Result<usize, Malformed> {
        Ok(usize::from(self.u16()?)).and_then(|count| if count > max { Err(Malformed) } else { Ok(count) })
    }

    pub(in crate::cluster) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.u16()?;
        str::from_utf8(self.bytes(length.into())?).map_err(|_| Malformed)
    }

    /// Bytes that are left.
    pub(in crate::cluster) fn left(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub(in crate::cluster) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Whether everything was read.
    pub(in crate::cluster) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
