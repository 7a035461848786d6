//! Deleted and banned images: one record for each id that was ever deleted or banned, the same on every member.
//!
//! * [`ErasureRecord`]: two registers, merged by the larger one. [`table`]: the records of a node, and their digests.
//!
//! An id without a record is live with counter 0, so that most ids never get one. A deletion or an upload reads the
//! owners' records and writes the highest counter plus one. The ban has a register of its own: no upload, whatever its
//! counter, lifts a ban.
//!
//! Invariants: merging is commutative, associative and idempotent, so that all members end with equal records in
//! whatever order they hear of them; a record never goes back.

pub mod table;

use std::fmt;

/// Bytes of a record on disk and between nodes: two counters and the flags.
pub const RECORD_BYTES: usize = 17;

/// The highest counter that is accepted from outside. A deletion or upload every microsecond reaches it in nine years.
pub const COUNTER_MAX: u64 = 1 << 48;

const DELETED: u8 = 1;
const BANNED: u8 = 2;

/// A counter and a flag. The higher counter wins, and of equal counters the flag that is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Register {
    counter: u64,
    is_set: bool,
}

/// The state of an id's deletions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ErasureRecord {
    /// Set: deleted. Else live.
    life: Register,
    /// Set: banned.
    ban: Register,
}

/// The change that a client wants for an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Delete the image. An upload brings it back.
    Delete,
    /// Delete the image, and refuse uploads of it.
    Ban,
    /// Lift the ban. The image stays deleted until it is uploaded.
    Lift,
}

impl ErasureRecord {
    /// The record of an image that was uploaded with this counter.
    pub const fn live(counter: u64) -> Self {
        Self { life: Register { counter, is_set: false }, ban: Register { counter: 0, is_set: false } }
    }

    /// Whether the image is deleted or banned: then nobody gets it, and no copy of it is taken.
    pub const fn is_gone(&self) -> bool {
        self.life.is_set || self.ban.is_set
    }

    /// Whether the image is deleted, banned or not.
    pub const fn is_deleted(&self) -> bool {
        self.life.is_set
    }

    /// Whether the id is banned: then no upload brings the image back.
    pub const fn is_banned(&self) -> bool {
        self.ban.is_set
    }

    /// The counter that a copy of a live image carries; 0 of an image that was never deleted, or is deleted now.
    pub const fn live_counter(&self) -> u64 {
        if self.life.is_set { 0 } else { self.life.counter }
    }

    /// The lowest counter with which a copy of the image is live by this record: its own, or the next one if it is
    /// deleted.
    pub const fn next_live(&self) -> u64 {
        if self.life.is_set { self.life.counter + 1 } else { self.life.counter }
    }

    /// The knowledge of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { life: self.life.max(other.life), ban: self.ban.max(other.ban) }
    }

    /// Whether this one knows everything that the other one does.
    pub fn covers(&self, other: &Self) -> bool {
        self.merge(*other) == *self
    }

    /// The record that fulfils an intent. Equal to this one where it is fulfilled already.
    #[must_use]
    pub fn fulfil(self, intent: Intent) -> Self {
        let raised = |register: Register, is_set| {
            if register.is_set == is_set {
                register
            } else {
                Register { counter: register.counter + 1, is_set }
            }
        };
        match intent {
            Intent::Delete => Self { life: raised(self.life, true), ..self },
            Intent::Ban => Self { life: raised(self.life, true), ban: raised(self.ban, true) },
            Intent::Lift => Self { ban: raised(self.ban, false), ..self },
        }
    }

    /// Whether the intent is fulfilled.
    pub fn fulfils(&self, intent: Intent) -> bool {
        self.fulfil(intent) == *self
    }

    /// For the disk and other nodes.
    pub fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.life.counter.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.ban.counter.to_be_bytes());
        bytes[16] = DELETED * u8::from(self.life.is_set) + BANNED * u8::from(self.ban.is_set);
        bytes
    }

    /// Reads [`Self::to_bytes`]. `None`: these bytes are no record that a node wrote.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (counters, flags) = bytes.split_at(16);
        let (life, ban) = counters.split_at(8);
        let counter = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).ok();
        let flags = flags[0];
        let life = Register { counter: counter(life)?, is_set: flags & DELETED != 0 };
        let ban = Register { counter: counter(ban)?, is_set: flags & BANNED != 0 };
        (flags & !(DELETED | BANNED) == 0).then_some(Self { life, ban })?.checked()
    }

    /// Reads what [`fmt::Display`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        let (life, ban) = text.split_once('-')?;
        let life = Register::parse(life, 'd', 'l')?;
        let ban = Register::parse(ban, 'b', 'f')?;
        Self { life, ban }.checked()
    }

    /// A register is set by an intent, which raises its counter: none is set at 0.
    fn checked(self) -> Option<Self> {
        let is_right = |register: Register| {
            register.counter <= COUNTER_MAX && (register.counter > 0 || !register.is_set)
        };
        (is_right(self.life) && is_right(self.ban)).then_some(self)
    }
}

impl Register {
    fn parse(text: &str, set: char, unset: char) -> Option<Self> {
        let flag = text.chars().next_back().filter(|flag| [set, unset].contains(flag))?;
        let digits = text.strip_suffix(flag).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(Self { counter: digits.parse().ok()?, is_set: flag == set })
    }
}

impl fmt::Display for ErasureRecord {
    /// Such as `3d-1b`: deleted with counter 3, banned with counter 1. The other flags are `l` for live and `f` for
    /// free.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (life, ban) = (if self.life.is_set { 'd' } else { 'l' }, if self.ban.is_set { 'b' } else { 'f' });
        write!(f, "{}{life}-{}{ban}", self.life.counter, self.ban.counter)
    }
}

#[cfg(test)]
mod tests;
