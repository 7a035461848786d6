//! From weights to rates: how fast each node must run so that it wins the share it should have.
//!
//! Copies of one image lie on different nodes, so with rates equal to weights the first R arrivals give heavy
//! nodes too little: 15 % for ten nodes of weights 4 and 1. A rate of −log(1 − p) lets a node arrive before time
//! 1 with probability p; if that were when the R-th arrives, it would be exact, but that time varies, and light
//! nodes lose 6 %. Three quarters of that rate and one of p are within 3.5 % for weights up to 4× (measured:
//! 2 and 3 copies, 5 to 20 nodes), and a join moves at most 1.11 times the least that is possible — except where
//! a node that had everything no longer does: up to 1.4. For equal weights all rates are equal, and a join
//! moves the ideal share.
//!
//! Where zones are as many as copies or more, a zone has at most one. Rates that make each zone's share right
//! would move up to 1.37 times the ideal at a join, because the whole zone speeds up; a quarter of that
//! correction (as a power) keeps moves below 1.25 for every mixture that was tried. Even zones need none. A node
//! in a zone that is too small for its share gets what no placement can avoid, and up to a quarter more.

use super::score::{FRACTION_BITS, negative_log2};

/// Probabilities have this many bits behind the point.
const ONE: u64 = 1 << 32;

/// 1/ln 2, to bring a probability to the units of the logarithm.
const LOG2_E: u128 = 6_196_328_019;

/// The rate of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// In units of the logarithm; at least 1. Those of all nodes add up to about the number of copies.
    pub(super) per_time: u64,
    /// It should have every image: it comes before all that are not forced.
    pub(super) is_forced: bool,
}

/// The rates of nodes with these zones and weights, for so many copies. In the order of the arguments; zones
/// are numbered without gaps.
pub(super) fn rates(nodes: &[(usize, u64)], copies: usize) -> Vec<Rate> {
    let rates = unchecked_rates(nodes, copies);
    assert!(rates.len() == nodes.len(), "invariant: placement: every node has a rate");
    assert!(
        rates.iter().all(|rate| rate.per_time > 0),
        "invariant: placement: every node arrives at some time"
    );
    rates
}

fn unchecked_rates(nodes: &[(usize, u64)], copies: usize) -> Vec<Rate> {
    let zones = nodes.iter().map(|(zone, _)| zone + 1).max().unwrap_or(0);
    if zones < 2 || zones < copies {
        // Fewer zones than copies: which zone has one more is decided by its nodes' arrivals.
        let weights: Vec<_> = nodes.iter().map(|(_, weight)| *weight).collect();
        return chances(&weights, copies).into_iter().map(rate_of).collect();
    }
    rates_in_zones(nodes, zones, copies)
}

fn rates_in_zones(nodes: &[(usize, u64)], zones: usize, copies: usize) -> Vec<Rate> {
    let mut weights = vec![0; zones];
    nodes.iter().for_each(|(zone, weight)| weights[*zone] += weight);
    let correction = |(chance, weight): (u64, &u64)| {
        // A zone that should have everything would need an endless rate.
        let chance = chance.min(ONE - ONE / 32);
        let per_weight = (u128::from(logarithm_of_rest(chance)) << 64) / u128::from(*weight);
        per_weight.isqrt().isqrt()
    };
    let corrections: Vec<_> = chances(&weights, copies).into_iter().zip(&weights).map(correction).collect();
    let raw: Vec<_> = nodes.iter().map(|(zone, weight)| u128::from(*weight) * corrections[*zone]).collect();
    let total = raw.iter().sum::<u128>().max(1);
    let scaled = raw.into_iter().map(|rate| (rate * copies as u128 * u128::from(ONE)) / total);
    let of_node = |rate| Rate {
        per_time: u64::try_from(rate).expect("invariant: placement: a rate is a part of the copies").max(1),
        is_forced: false,
    };
    scaled.map(of_node).collect()
}

/// The probability that each has one of the copies: in proportion to the weights, but at most 1, and what is
/// cut off there goes to the others.
fn chances(weights: &[u64], copies: usize) -> Vec<u64> {
    let mut chances = vec![0; weights.len()];
    let mut forced = vec![false; weights.len()];
    loop {
        let free = || (0..weights.len()).filter(|at| !forced[*at]);
        let left = (copies as u128).saturating_sub(forced.iter().filter(|it| **it).count() as u128);
        let total: u128 = free().map(|at| u128::from(weights[at])).sum();
        let full: Vec<_> = free().filter(|at| u128::from(weights[*at]) * left >= total).collect();
        if full.is_empty() || left == 0 {
            for at in free().collect::<Vec<_>>() {
                let share = u128::from(weights[at]) * left * u128::from(ONE) / total.max(1);
                chances[at] = u64::try_from(share).expect("invariant: placement: a chance is at most one");
            }
            assert!(
                chances.iter().all(|chance| *chance <= ONE),
                "invariant: placement: no node has more than a copy of everything"
            );
            return chances;
        }
        for at in full {
            (forced[at], chances[at]) = (true, ONE);
        }
    }
}

fn rate_of(chance: u64) -> Rate {
    let is_forced = chance >= ONE;
    // Forced ones need a rate too, to compete with each other.
    let chance = if is_forced { ONE / 2 } else { chance };
    let plain = u64::try_from((u128::from(chance) * LOG2_E) >> FRACTION_BITS)
        .expect("invariant: placement: a rate is below two");
    let per_time = (plain + 3 * logarithm_of_rest(chance)) / 4;
    Rate { per_time: per_time.max(1), is_forced }
}

/// −log2(1 − chance), for a chance below 1.
fn logarithm_of_rest(chance: u64) -> u64 {
    negative_log2(((ONE - chance) << 32).wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_weights_until_a_node_has_everything() {
        let share = |weights: &[u64], copies| {
            let chances = chances(weights, copies);
            chances.into_iter().map(|it| it * 100 / ONE).collect::<Vec<_>>()
        };
        assert_eq!(share(&[1, 1, 1, 1], 2), [50; 4]);
        assert_eq!(share(&[4, 1, 1, 1, 1], 3), [100, 50, 50, 50, 50]);
        assert_eq!(share(&[4, 4, 1, 1, 1], 3), [100, 100, 33, 33, 33]);
        assert_eq!(share(&[1, 1], 3), [100, 100]);
        assert_eq!(share(&[], 3), [0; 0]);
        assert_eq!(share(&[9, 1, 1], 1), [81, 9, 9]);
    }

    #[test]
    fn the_largest_cluster_has_rates_within_their_bounds() {
        for zones in [1, 3, 1024] {
            let nodes: Vec<_> =
                (0..1024).map(|at| (at % zones, if at < 512 { 1 } else { 1_000_000 })).collect();
            let rates = rates(&nodes, 16);
            assert!(rates.iter().all(|rate| (1..ONE * 16).contains(&rate.per_time)), "{zones}");
            assert!(rates[0].per_time < rates[1023].per_time);
        }
    }

    #[test]
    fn equal_weights_have_equal_rates() {
        let rates = rates(&[(0, 7); 9], 3);
        assert!(rates.iter().all(|rate| *rate == rates[0] && !rate.is_forced));
    }
}
