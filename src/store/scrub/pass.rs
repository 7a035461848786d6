//! The progress of a pass of the scrub, and how that is written to disk. Pure.

use std::time::{Duration, SystemTime};

use super::ScrubCounts;
use crate::object::ObjectId;

/// The first byte of what is written.
const VERSION: u8 = 1;

/// Version, whether there is a position, full pace, position, ten numbers.
const BYTES: usize = 3 + 20 + 8 * 10;

/// A pass over all copies, in order of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ScrubPass {
    /// The last copy that was looked at; `None` at the beginning.
    pub(super) after: Option<ObjectId>,
    /// The time that the pass has taken in this process and the ones before.
    pub(super) elapsed: Duration,
    pub(super) is_full_pace: bool,
    pub(super) counts: ScrubCounts,
    /// When the last whole pass ended, in seconds since 1970; 0: none has.
    last_ended_s: u64,
    last: ScrubCounts,
}

impl ScrubPass {
    /// The beginning of the next pass.
    pub(super) fn restart(&mut self, is_full_pace: bool) {
        *self = Self { is_full_pace, last_ended_s: self.last_ended_s, last: self.last, ..Self::default() };
    }

    /// The pass has ended now.
    pub(super) fn end(&mut self, now: SystemTime) {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        (self.last_ended_s, self.last) = (seconds.max(1), self.counts);
        self.restart(false);
    }

    /// The end of the last whole pass, and what it looked at.
    pub(super) fn last(&self) -> Option<(SystemTime, ScrubCounts)> {
        let ended = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.last_ended_s))?;
        (self.last_ended_s > 0).then_some((ended, self.last))
    }

    /// The end of the last whole pass, in seconds since 1970; 0: none has ended.
    pub(super) fn last_ended_s(&self) -> u64 {
        self.last_ended_s
    }

    /// The directory in which the pass goes on.
    pub(super) fn directory(&self) -> u16 {
        self.after.map_or(0, |id| u16::from_be_bytes([id.digest()[0], id.digest()[1]]))
    }

    /// The part of all ids that lies behind it: ids are evenly spread.
    pub(super) fn position(&self) -> f64 {
        let [a, b, c, d, ..] = *self.after.unwrap_or(ObjectId::from_digest([0; 20])).digest();
        f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let ScrubCounts { copies, bytes, corrupt, unreadable } = self.counts;
        let elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        let last = self.last;
        let numbers = [
            elapsed_ms,
            copies,
            bytes,
            corrupt,
            unreadable,
            self.last_ended_s,
            last.copies,
            last.bytes,
            last.corrupt,
            last.unreadable,
        ];
        let mut encoded = vec![VERSION, u8::from(self.after.is_some()), u8::from(self.is_full_pace)];
        encoded.extend(self.after.unwrap_or(ObjectId::from_digest([0; 20])).digest());
        encoded.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        encoded
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub(super) fn decode(encoded: &[u8]) -> Option<Self> {
        let encoded: &[u8; BYTES] = encoded.try_into().ok()?;
        let (head, numbers) = encoded.split_at(23);
        let [VERSION, has_position @ 0..=1, is_full_pace @ 0..=1, id @ ..] = head else { return None };
        let id = ObjectId::from_digest(id.try_into().ok()?);
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
        let mut next = || numbers.next();
        let elapsed = Duration::from_millis(next()?);
        let counts = counts(&mut next)?;
        let last_ended_s = next()?;
        let last = self::counts(&mut next)?;
        let after = (*has_position == 1).then_some(id);
        Some(Self { after, elapsed, is_full_pace: *is_full_pace == 1, counts, last_ended_s, last })
    }
}

fn counts(next: &mut impl FnMut() -> Option<u64>) -> Option<ScrubCounts> {
    Some(ScrubCounts { copies: next()?, bytes: next()?, corrupt: next()?, unreadable: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass() -> ScrubPass {
        let counts = |first| ScrubCounts {
            copies: first,
            bytes: first + 1,
            corrupt: first + 2,
            unreadable: first + 3,
        };
        ScrubPass {
            after: Some(ObjectId::from_digest([0x80; 20])),
            elapsed: Duration::from_millis(77),
            is_full_pace: true,
            counts: counts(1),
            last_ended_s: 9,
            last: counts(10),
        }
    }

    #[test]
    fn a_pass_reads_back_as_it_was_written() {
        for pass in [pass(), ScrubPass::default()] {
            let encoded = pass.encode();
            assert_eq!(ScrubPass::decode(&encoded), Some(pass));
            assert_eq!(ScrubPass::decode(&encoded[1..]), None);
            assert_eq!(ScrubPass::decode(&[&[2], &encoded[1..]].concat()), None);
        }
    }

    #[test]
    fn a_pass_that_ends_is_the_last_one_and_the_next_begins_at_the_first_id() {
        let mut ended = pass();
        ended.end(SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        assert_eq!(ended.last(), Some((SystemTime::UNIX_EPOCH + Duration::from_secs(100), pass().counts)));
        assert_eq!((ended.after, ended.counts, ended.is_full_pace), (None, ScrubCounts::default(), false));
        assert_eq!(ScrubPass::default().last(), None);
    }

    #[test]
    fn the_position_is_the_part_of_the_ids_that_lie_behind() {
        assert!((pass().position() - 0.5).abs() < 0.01);
        assert_eq!(ScrubPass::default().position(), 0.0);
        assert_eq!(pass().directory(), 0x8080);
    }
}
