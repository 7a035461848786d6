//! The pace at which the keeper compares manifests with the store: requests come first. Pure.

use std::time::{Duration, Instant};

/// A walk takes this long for so many images, and for fewer; for more it takes longer in proportion, up to a day. So a
/// file that vanished is found within ten minutes among 100,000 images, and within a day among 14 millions and more.
const WALK_MIN: Duration = Duration::from_mins(10);
const WALK_IMAGES: u64 = 100_000;
const WALK_MAX: Duration = Duration::from_hours(24);

/// Work at one go: shorter pieces are spent on waking up, longer ones hold up the reports of shards.
pub(super) const WORK: Duration = Duration::from_millis(1);

/// The keeper rests so many times as long as it worked.
const REST: u32 = 3;

/// The longest rest: after that much a directory is a slow disk's doing, and not the keeper's.
const REST_MAX: Duration = Duration::from_secs(1);

/// The walk through all 256 `<aa>`, again and again.
#[derive(Debug)]
pub(super) struct Walk {
    began: Instant,
    next: u8,
}

impl Walk {
    /// A walk that begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, next: 0 }
    }

    /// When the next `<aa>` is due, in a store of so many images.
    pub(super) fn due(&self, images: u64) -> Instant {
        self.began + length(images) * u32::from(self.next) / 256
    }

    /// The `<aa>` that is due.
    pub(super) fn take(&mut self, images: u64, now: Instant) -> u8 {
        let first = self.next;
        self.next = self.next.wrapping_add(1);
        if self.next == 0 {
            // One that fell behind does not hurry.
            self.began = now.max(self.began + length(images));
        }
        first
    }
}

/// The time of one walk.
fn length(images: u64) -> Duration {
    let seconds = WALK_MIN.as_secs().saturating_mul(images) / WALK_IMAGES;
    Duration::from_secs(seconds).clamp(WALK_MIN, WALK_MAX)
}

/// The rest after so much work.
pub(super) fn rest(work: Duration) -> Duration {
    (work * REST).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of the `<aa>` of one walk is due, in seconds after its begin, and when the next walk begins.
    fn walk(images: u64) -> (Vec<u64>, u64) {
        let now = Instant::now();
        let mut walk = Walk::new(now);
        let mut take = || {
            let due = walk.due(images);
            walk.take(images, due);
            due.duration_since(now).as_secs()
        };
        ((0..256).map(|_| take()).collect(), take())
    }

    #[test]
    fn a_hundred_thousand_images_are_walked_in_ten_minutes_and_everything_in_a_day() {
        for (images, seconds) in [(0, 600), (100_000, 600), (1_000_000, 6_000), (u64::MAX, 86_400)] {
            let (due, next) = walk(images);
            assert_eq!((due[0], due[128], next), (0, seconds / 2, seconds), "{images}");
            assert!(due.is_sorted());
        }
    }

    #[test]
    fn a_walk_that_fell_behind_begins_the_next_one_at_its_end() {
        let began = Instant::now();
        let mut walk = Walk::new(began);
        let late = began + Duration::from_hours(1);
        for first in 0..=u8::MAX {
            assert_eq!(walk.take(1, late), first);
        }
        assert_eq!(walk.due(1), late);
    }

    #[test]
    fn a_slow_disk_is_not_waited_for_forever() {
        assert_eq!(rest(Duration::from_millis(2)), Duration::from_millis(6));
        assert_eq!(rest(Duration::from_secs(60)), REST_MAX);
    }
}
