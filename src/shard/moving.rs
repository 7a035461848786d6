//! The part of what moves with the layout that has arrived. For operators; nothing is decided by it.
//!
//! A member cannot know which images it lacks before it has compared itself with all others. But ids are evenly spread: the
//! part of its new slots that hold an image tells how much has come, beside the part of the slots that were owned before.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The slots that a member owns while the layout changes, and how many of them hold an image there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovingSlots {
    /// Slots that it owns in a version before the change.
    pub owned: u64,
    /// Those of them that hold an image.
    pub owned_held: u64,
    /// Slots that it is to own and did not own before.
    pub coming: u64,
    /// Those of them that hold an image already.
    pub coming_held: u64,
}

/// The words of one member about itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemberMove {
    /// `None` while it sees nothing move.
    pub slots: Option<MovingSlots>,
    /// Images that it holds.
    pub images: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of copies that it makes in a second.
    pub bytes_per_second: u64,
}

/// The latest count of this node; `None` while nothing moves.
#[derive(Debug, Default)]
pub struct LatestMovingSlots(Mutex<Option<MovingSlots>>);

/// The rest that is still to be moved, all members together. Estimates, but for the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MoveProgress {
    /// Slots that hold an image and whose new owner has none yet, each counted once for each new owner.
    pub slots_left: u64,
    /// Copies to be made.
    pub images_left: u64,
    /// Bytes of them.
    pub bytes_left: u64,
    /// Bytes of copies that were made in a second, of late.
    pub bytes_per_second: u64,
    /// Seconds until the rest is made at this rate; `None` while nothing is made.
    pub seconds_left: Option<u64>,
}

impl LatestMovingSlots {
    /// The newest.
    pub fn newest(&self) -> Option<MovingSlots> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is this one.
    pub fn replace(&self, moving: Option<MovingSlots>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = moving;
    }
}

impl MoveProgress {
    /// By the words of the members that answer. `None` while nothing moves, or where too little is known.
    pub fn of(members: impl Iterator<Item = MemberMove>) -> Option<Self> {
        let (mut moving, mut images, mut bytes, mut rate) = (Vec::new(), 0_u64, 0_u64, 0_u64);
        for member in members {
            moving.extend(member.slots);
            images = images.saturating_add(member.images);
            bytes = bytes.saturating_add(member.bytes);
            rate = rate.saturating_add(member.bytes_per_second);
        }
        let sum = |of: fn(&MovingSlots) -> u64| moving.iter().map(of).fold(0, u64::saturating_add);
        let (owned, owned_held) = (sum(|it| it.owned), sum(|it| it.owned_held));
        let held = owned_held.saturating_add(sum(|it| it.coming_held));
        if owned == 0 || held == 0 {
            return None;
        }
        let left = |it: &MovingSlots| scale(it.coming, owned_held, owned).saturating_sub(it.coming_held);
        let slots_left = moving.iter().map(left).fold(0, u64::saturating_add);
        let images_left = scale(images, slots_left, held);
        let bytes_left = scale(bytes, slots_left, held);
        let seconds_left = bytes_left.checked_div(rate).filter(|_| rate > 0);
        Some(Self { slots_left, images_left, bytes_left, bytes_per_second: rate, seconds_left })
    }
}

fn scale(whole: u64, part: u64, of: u64) -> u64 {
    let scaled = u128::from(whole) * u128::from(part) / u128::from(of.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(images: u64, bytes_per_second: u64, slots: Option<MovingSlots>) -> MemberMove {
        MemberMove { slots, images, bytes: images * 100, bytes_per_second }
    }

    fn old(held: u64) -> MovingSlots {
        MovingSlots { owned: 1_000, owned_held: held, ..MovingSlots::default() }
    }

    #[test]
    fn what_a_new_member_lacks_is_told_by_the_density_of_the_others() {
        let new = |coming_held| MovingSlots { coming: 600, coming_held, ..MovingSlots::default() };
        let progress = |held, rate| {
            let all = [
                member(200, 0, Some(old(200))),
                member(200, 0, Some(old(200))),
                member(held, rate, Some(new(held))),
            ];
            MoveProgress::of(all.into_iter()).unwrap()
        };
        // A fifth of the slots hold an image, so 120 of 600 will.
        assert_eq!(
            progress(20, 500),
            MoveProgress {
                slots_left: 100,
                images_left: 100,
                bytes_left: 10_000,
                bytes_per_second: 500,
                seconds_left: Some(20)
            }
        );
        assert_eq!(progress(20, 0).seconds_left, None);
        assert_eq!(progress(130, 500).bytes_left, 0);
    }

    #[test]
    fn several_images_in_a_slot_are_counted_and_nothing_is_said_where_nothing_moves() {
        let new = MovingSlots { coming: 1_000, ..MovingSlots::default() };
        let all = [member(4_000, 0, Some(old(1_000))), member(0, 0, Some(new))];
        assert_eq!(MoveProgress::of(all.into_iter()).unwrap().images_left, 4_000);
        assert_eq!(MoveProgress::of([member(4_000, 9, None)].into_iter()), None);
        assert_eq!(MoveProgress::of([member(0, 9, Some(old(0)))].into_iter()), None);
    }
}
