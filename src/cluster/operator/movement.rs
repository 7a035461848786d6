//! The number of copies that a change of the layout moves: placements before and after, over a sample of all slots.

use super::super::layout::LayoutVersion;
use super::super::placement::{Placement, Slot};

/// Everything, in the unit of shares.
pub const MILLION: u64 = 1_000_000;

/// A change that moves or gives up more of the copies than this needs a confirmation.
const LARGE: u64 = MILLION / 10;

/// Draws of all members together in one placement of the sample, about 10 ns each: 3 ms for both placements, on the
/// executor of control.
const DRAWS_MAX: usize = 1 << 17;

/// With so many slots a share of a tenth is off by half a percent of all copies.
const SLOTS_MAX: usize = 4096;

/// Fewer would not tell a tenth from a fifth. With 1,024 members it is 3 ms more.
const SLOTS_MIN: usize = 256;

/// The copies that a change moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    /// Copies that are made on nodes that lack them, in millionths of all copies.
    pub made: u64,
    /// Copies that are given up, in millionths of all copies. More than are made where fewer are wanted.
    pub dropped: u64,
    /// Bytes of those that are made, about; `None` where a member has not said how much it stores.
    pub bytes: Option<u64>,
}

impl Movement {
    /// Whether an operator has to confirm it.
    pub fn is_large(&self) -> bool {
        self.made.max(self.dropped) > LARGE
    }
}

/// The copies that lie elsewhere after the change. `bytes` are those of all copies before it.
pub(super) fn estimate(before: &LayoutVersion, after: &LayoutVersion, bytes: Option<u64>) -> Movement {
    if before == after {
        return Movement { bytes: bytes.map(|_| 0), ..Movement::default() };
    }
    let (old, new) = (Placement::new(before), Placement::new(after));
    let members = before.members.len().max(after.members.len()).max(1);
    let slots = (DRAWS_MAX / members).clamp(SLOTS_MIN, SLOTS_MAX);
    let (mut made, mut dropped, mut total_before, mut total_after) = (0, 0, 0, 0);
    for slot in Slot::sample(u32::try_from(slots).expect("invariant: movement: the sample is small")) {
        let (from, to) = (old.owners(slot), new.owners(slot));
        made += to.iter().filter(|node| !from.contains(node)).count() as u64;
        dropped += from.iter().filter(|node| !to.contains(node)).count() as u64;
        total_before += from.len() as u64;
        total_after += to.len() as u64;
    }
    let all = total_before.max(total_after).max(1);
    let bytes = bytes.map(|bytes| scale(bytes, made, total_before.max(1)));
    assert!(made <= total_after && dropped <= total_before, "invariant: movement: only copies are moved");
    Movement { made: made * MILLION / all, dropped: dropped * MILLION / all, bytes }
}

fn scale(bytes: u64, part: u64, whole: u64) -> u64 {
    let scaled = u128::from(bytes) * u128::from(part) / u128::from(whole);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
