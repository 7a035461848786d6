//! Which core runs what.

use glommio::Placement;

/// Which core runs what.
pub(super) struct Plan {
    /// The core of each shard.
    pub(super) shards: Vec<usize>,
    /// The cores of control.
    pub(super) control: Placement,
}

impl Plan {
    /// From four cores up the first one is the control core's; below that control runs where there is room.
    pub(super) fn new(cores: &[usize], shards: usize) -> Self {
        let (control, cores) = match cores {
            [first, rest @ ..] if rest.len() >= 3 => (Placement::Fixed(*first), rest),
            all => (Placement::Unbound, all),
        };
        let count = if shards == 0 { cores.len() } else { shards };
        Self { shards: cores.iter().copied().cycle().take(count).collect(), control }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_core_is_controls_from_four_up() {
        let plan = Plan::new(&[0, 1], 0);
        assert_eq!(plan.shards, [0, 1]);
        assert!(matches!(plan.control, Placement::Unbound));
        let plan = Plan::new(&[2, 3, 4, 5], 0);
        assert_eq!(plan.shards, [3, 4, 5]);
        assert!(matches!(plan.control, Placement::Fixed(2)));
    }

    #[test]
    fn more_shards_than_cores_share_them() {
        assert_eq!(Plan::new(&[4, 7], 5).shards, [4, 7, 4, 7, 4]);
    }
}
