//! Jobs that failed by spending a lot of time, and are not tried again for a while.
//!
//! A request that is refused at once costs nothing; one that burns its deadline again and again holds a core. Only the
//! job's own processor time counts: one that waited for its turn, for memory or for its core may well succeed the next
//! time, and is not remembered.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::object::{Format, ObjectId};
use crate::shard::job::{JobKey, ResizeError};

/// After the first failure. With the default deadline of 10 s a variant that is asked for all the time then takes at most
/// a quarter of a core.
const BACK_OFF_FIRST: Duration = Duration::from_secs(30);

/// Each failure doubles it up to this: at most 10 s of an hour.
const BACK_OFF_MAX: Duration = Duration::from_secs(3600);

/// Failures that are remembered, for each shard: about 150 bytes each. Who wants to push one out has to spend half a
/// deadline of this core for each of the others.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The failures that are remembered; the one that was not met for longest is forgotten first.
#[derive(Debug)]
pub(super) struct Failures(LruCache<What, Failure>);

#[derive(Debug, PartialEq, Eq, Hash)]
enum What {
    /// All that is made of an image: its decoder ends the process.
    Image(ObjectId),
    Variant(JobKey),
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    is_too_slow: bool,
    back_off: Duration,
    until: Instant,
}

impl Default for Failures {
    fn default() -> Self {
        Self(LruCache::new(REMEMBERED_MAX))
    }
}

impl Failures {
    /// The answer to those who wait for this variant, if it is not to be tried now.
    pub(super) fn refusal(&mut self, key: &JobKey, now: Instant) -> Option<ResizeError> {
        [What::Image(key.0), What::Variant(*key)].iter().find_map(|what| {
            let failure = self.0.get(what)?;
            let left = failure.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
            Some(if failure.is_too_slow { ResizeError::TooSlow(left) } else { ResizeError::Panicked })
        })
    }

    /// A job for this variant of an image of format `source` failed, and had its processor for `used` of at most
    /// `deadline`.
    pub(super) fn note(
        &mut self,
        key: &JobKey,
        source: Format,
        fault: &ResizeError,
        [used, deadline]: [Duration; 2],
        now: Instant,
    ) {
        let what = match fault {
            // With less, waiting was the longer part, and the next try may find the node idle.
            ResizeError::Deadline if used * 2 >= deadline => What::Variant(*key),
            // Whatever is asked of it, it is decoded first.
            ResizeError::Panicked if matches!(source, Format::Avif | Format::Heic | Format::Jxl) => {
                What::Image(key.0)
            }
            ResizeError::Panicked => What::Variant(*key),
            _ => return,
        };
        let back_off =
            self.0.peek(&what).map_or(BACK_OFF_FIRST, |last| (last.back_off * 2).min(BACK_OFF_MAX));
        let is_too_slow = *fault == ResizeError::Deadline;
        self.0.put(what, Failure { is_too_slow, back_off, until: now + back_off });
    }

    /// The variant was made.
    pub(super) fn forget(&mut self, key: &JobKey) {
        // Nearly always there is nothing to forget.
        if !self.0.is_empty() {
            self.0.pop(&What::Image(key.0));
            self.0.pop(&What::Variant(*key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn key(number: u8) -> JobKey {
        (ObjectId::from_digest([number; 20]), [number; 16], Format::Webp)
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_job_that_used_its_deadline_is_refused_for_longer_each_time() {
        let (mut failures, mut now) = (Failures::default(), Instant::now());
        for expected in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
            assert_eq!(failures.refusal(&key(1), now), None);
            failures.note(&key(1), Format::Gif, &ResizeError::Deadline, [DEADLINE, DEADLINE], now);
            assert_eq!(failures.refusal(&key(1), now), Some(ResizeError::TooSlow(seconds(expected))));
            assert_eq!(failures.refusal(&key(2), now), None);
            let just_before = now + seconds(expected) - Duration::from_millis(1);
            assert!(failures.refusal(&key(1), just_before).is_some());
            now += seconds(expected);
        }
        failures.forget(&key(1));
        failures.note(&key(1), Format::Gif, &ResizeError::Deadline, [DEADLINE, DEADLINE], now);
        assert_eq!(failures.refusal(&key(1), now), Some(ResizeError::TooSlow(BACK_OFF_FIRST)));
    }

    #[test]
    fn a_job_that_waited_or_was_not_wanted_is_not_remembered() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let waited = [Duration::from_millis(4999), DEADLINE];
        failures.note(&key(1), Format::Gif, &ResizeError::Deadline, waited, now);
        for fault in [ResizeError::Cancelled, ResizeError::GaveWay, ResizeError::Gone, ResizeError::NoHelper]
        {
            failures.note(&key(1), Format::Gif, &fault, [DEADLINE, DEADLINE], now);
        }
        assert_eq!(failures.refusal(&key(1), now), None);
    }

    #[test]
    fn an_image_whose_decoder_ends_the_process_is_refused_whatever_is_asked_of_it() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let spent = [Duration::ZERO, DEADLINE];
        let other = (key(1).0, [9; 16], Format::Jpeg);
        failures.note(&key(1), Format::Png, &ResizeError::Panicked, spent, now);
        assert_eq!(failures.refusal(&key(1), now), Some(ResizeError::Panicked));
        assert_eq!(failures.refusal(&other, now), None);
        failures.note(&key(1), Format::Avif, &ResizeError::Panicked, spent, now);
        assert_eq!(failures.refusal(&other, now), Some(ResizeError::Panicked));
        assert_eq!(failures.refusal(&other, now + BACK_OFF_FIRST), None);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..2 * REMEMBERED_MAX.get() {
            let mut digest = [0; 20];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            let key = (ObjectId::from_digest(digest), [0; 16], Format::Webp);
            failures.note(&key, Format::Gif, &ResizeError::Deadline, [DEADLINE, DEADLINE], now);
        }
        assert_eq!(failures.0.len(), REMEMBERED_MAX.get());
    }
}
