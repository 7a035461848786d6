//! From weights to rates: how fast each node must run so that it wins the share it should have.
//!
//! **Within a zone.** The zone has so many copies of each image. With rates equal to weights, the first of them is won
//! in proportion to the weights, exactly. Of several copies heavy nodes then get too little: 15 % for ten nodes of
//! weights 4 and 1. A rate of −log(1 − p) lets a node arrive before time 1 with probability p; if that were when the last
//! owner arrives, it would be exact, but that time varies, and light nodes lose 6 %. Three quarters of that rate and one
//! of p are within 3.5 % for weights up to 4× (measured: 2 and 3 copies, 5 to 20 nodes), and a join moves at most 1.11
//! times the least that is possible — except where a node that had everything no longer does: up to 1.4. Where a share is
//! further off, as for few nodes of very different weights, it is corrected as below. For equal weights all rates are
//! equal, and a join moves the ideal share.
//!
//! **Between zones.** Copies go to different zones first. So each zone has `rounds` copies for certain, and `extra` zones
//! have one more: those whose next node arrives first. Weights alone would decide that wrongly: a zone of half the weight
//! missed its share by 28 %. [`inclusion`](super::inclusion) computes how often each zone gets the extra copy, and how
//! much faster or slower its nodes must run to get it as often as they should. All nodes of a zone change by one factor,
//! which leaves the order within the zone alone.
//!
//! A correction costs moves: when a node joins, its zone speeds up, and other nodes of the zone win images from other
//! zones that the new one should have won. So there is none while each zone is within [`TOLERANCE`] of its share, and
//! beyond that only as much as brings it back there. Measured over random zones of one to six nodes and weights up to
//! 4×: all shares within 5 % (before: 30 %), and a join moves 1.11 times the least on average and 1.54 at most (before:
//! 1.14 at most). Uniform, logistic and reversed arrival times instead of exponential ones were tried and move more.

use super::inclusion::{Competitor, Distribution, Places, Shift, corrections};
use super::score::{FRACTION_BITS, negative_log2};

/// Probabilities have this many bits behind the point.
const ONE: u64 = 1 << 32;

/// 1/ln 2, to bring a probability to the units of the logarithm.
const LOG2_E: u128 = 6_196_328_019;

/// The distance that a zone may have from its share before its nodes are corrected, in thousandths. Every node then stays within 50:
/// with a thirtieth of all images, chance puts a node off by 5 in a thousand, and three times that is rare.
const TOLERANCE: u64 = 32;

/// The same where a zone has several copies: once for the zone, and once more for each node within it.
const TOLERANCE_WITHIN: u64 = 15;

/// The rate of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// In units of the logarithm; at least 1 and below 2^40.
    pub(super) per_time: u64,
    /// It should have every image: it comes before all that are not forced.
    pub(super) is_forced: bool,
}

/// A zone with its nodes.
struct Zone {
    /// Positions in the list of all nodes.
    nodes: Vec<usize>,
    weights: Vec<u64>,
    /// Copies of each image that it should have, on average; [`ONE`] is one.
    copies: u64,
}

/// The spread of an image's copies over zones: each has `rounds`, or all its nodes, and `extra` have one more.
#[derive(Clone, Copy)]
struct Spread {
    rounds: usize,
    extra: usize,
}

/// The rates of nodes with these zones and weights, for so many copies. In the order of the arguments; zones
/// are numbered without gaps.
pub(super) fn rates(nodes: &[(usize, u64)], copies: usize) -> Vec<Rate> {
    let mut zones: Vec<Zone> = Vec::new();
    for (at, (zone, weight)) in nodes.iter().enumerate() {
        while zones.len() <= *zone {
            zones.push(Zone { nodes: Vec::new(), weights: Vec::new(), copies: 0 });
        }
        zones[*zone].nodes.push(at);
        zones[*zone].weights.push(*weight);
    }
    let spread = Spread::of(&zones, copies);
    spread.share_out(&mut zones, copies);
    let total = nodes.iter().map(|(_, weight)| u128::from(*weight)).sum::<u128>().max(1);
    let natural = |weight: u64| u128::from(weight) * copies as u128 * LOG2_E / total;
    let mut rates: Vec<Vec<Rate>> = zones.iter().map(|zone| zone.rates(spread, natural)).collect();
    spread.correct(&zones, &mut rates);
    let mut all = vec![Rate { per_time: 1, is_forced: false }; nodes.len()];
    for (zone, rates) in zones.iter().zip(rates) {
        zone.nodes.iter().zip(rates).for_each(|(at, rate)| all[*at] = rate);
    }
    assert!(
        all.iter().all(|rate| rate.per_time > 0),
        "invariant: placement: every node arrives at some time"
    );
    all
}

impl Spread {
    fn of(zones: &[Zone], copies: usize) -> Self {
        let taken = |rounds: usize| zones.iter().map(|zone| zone.nodes.len().min(rounds)).sum::<usize>();
        let most = zones.iter().map(|zone| zone.nodes.len()).max().unwrap_or(0);
        let rounds = (0..most).find(|rounds| taken(rounds + 1) > copies).unwrap_or(most);
        Self { rounds, extra: copies.saturating_sub(taken(rounds)).min(taken(rounds + 1) - taken(rounds)) }
    }

    /// Whether a zone has nodes for one copy more than is certain.
    fn is_open(self, zone: &Zone) -> bool {
        zone.nodes.len() > self.rounds
    }

    /// Gives each zone its copies: in proportion to the weights of its nodes, each of which has everything at most, and
    /// within what is certain and one more.
    fn share_out(self, zones: &mut [Zone], copies: usize) {
        let bounds = |zone: &Zone| {
            let certain = zone.nodes.len().min(self.rounds) as u64 * ONE;
            if self.is_open(zone) { (certain, certain + ONE) } else { (certain, certain) }
        };
        let at_level = |zone: &Zone, level: u128| {
            let node = |weight: &u64| ((u128::from(*weight) * level) >> 64).min(ONE.into());
            let sum = u64::try_from(zone.weights.iter().map(node).sum::<u128>()).unwrap_or(u64::MAX);
            let (least, most) = bounds(zone);
            sum.clamp(least, most)
        };
        if self.extra == 0 {
            zones.iter_mut().for_each(|zone| zone.copies = bounds(zone).0);
            return;
        }
        // The level rises until all copies are given away; at the end every weight has everything.
        let (mut low, mut high) = (0_u128, u128::from(ONE) << 64);
        let wanted = copies as u128 * u128::from(ONE);
        while high - low > 1 {
            let level = low + (high - low) / 2;
            let given: u128 = zones.iter().map(|zone| u128::from(at_level(zone, level))).sum();
            if given < wanted { low = level } else { high = level }
        }
        for zone in zones {
            zone.copies = at_level(zone, high);
        }
    }

    /// Makes the nodes of each zone faster or slower, so that it gets the extra copy about as often as it should.
    fn correct(self, zones: &[Zone], rates: &mut [Vec<Rate>]) {
        let exponential = Distribution::exponential();
        let has_forced = |at: usize| rates[at].iter().filter(|rate| rate.is_forced).count();
        let is_certain = |at: &usize| has_forced(*at) > self.rounds;
        let (certain, open): (Vec<_>, Vec<_>) =
            (0..zones.len()).filter(|at| self.is_open(&zones[*at])).partition(is_certain);
        let extra = self.extra.saturating_sub(certain.len());
        if extra == 0 || open.len() <= extra {
            return;
        }
        let times: Vec<_> = open
            .iter()
            .map(|at| {
                let free = rates[*at].iter().filter(|rate| !rate.is_forced);
                let nodes: Vec<_> = free
                    .map(|rate| Competitor { times: &exponential, shift: Shift::of(rate.per_time, ONE) })
                    .collect();
                Distribution::of_number(&nodes, self.rounds + 1 - has_forced(*at))
            })
            .collect();
        let competitors: Vec<_> =
            times.iter().map(|times| Competitor { times, shift: Shift::default() }).collect();
        let should: Vec<_> = open.iter().map(|at| self.wanted(&zones[*at])).collect();
        let places = Places { count: extra, one_more: 0 };
        let Some(shifts) = corrections(&competitors, places, &should) else { return };
        for (at, shift) in open.into_iter().zip(shifts) {
            rates[at].iter_mut().for_each(|rate| rate.per_time = faster(rate.per_time, shift));
        }
    }

    /// The bounds of how often a zone gets the extra copy.
    fn wanted(self, zone: &Zone) -> (u64, u64) {
        let thousandths = if self.rounds == 0 { TOLERANCE } else { TOLERANCE_WITHIN };
        let certain = self.rounds as u64 * ONE;
        let off = zone.copies / 1000 * thousandths;
        let least = zone.copies.saturating_sub(off).saturating_sub(certain);
        let most = zone.copies.saturating_add(off).saturating_sub(certain).min(ONE);
        (least << 28, most << 28)
    }
}

impl Zone {
    /// The rates of its nodes, of which the first to arrive has what it should. `natural` is the rate of a weight alone.
    fn rates(&self, spread: Spread, natural: impl Fn(u64) -> u128) -> Vec<Rate> {
        let natural = |weight: &u64, is_forced| Rate {
            per_time: u64::try_from(natural(*weight)).unwrap_or(u64::MAX).clamp(1, ONE << 6),
            is_forced,
        };
        if !spread.is_open(self) {
            // All of them have everything in any order.
            return self.weights.iter().map(|weight| natural(weight, false)).collect();
        }
        let chances = chances(&self.weights, self.copies);
        let forced = chances.iter().filter(|chance| **chance >= ONE).count() as u64;
        let left = self.copies.saturating_sub(forced * ONE);
        if left <= ONE {
            return self
                .weights
                .iter()
                .zip(&chances)
                .map(|(weight, chance)| natural(weight, *chance >= ONE))
                .collect();
        }
        let mut rates: Vec<_> = chances.iter().map(|chance| rate_of(*chance, left)).collect();
        correct_within(&mut rates, &chances, left);
        rates
    }
}

/// Corrects the rates of nodes that have so many copies among them, beside those that are forced, where their shares would
/// be too far from these chances.
fn correct_within(rates: &mut [Rate], chances: &[u64], copies: u64) {
    let exponential = Distribution::exponential();
    let free: Vec<_> = (0..rates.len()).filter(|at| !rates[*at].is_forced).collect();
    if free.iter().all(|at| chances[*at] == chances[free[0]]) {
        return;
    }
    let competitor =
        |at: &usize| Competitor { times: &exponential, shift: Shift::of(rates[*at].per_time, ONE) };
    let competitors: Vec<_> = free.iter().map(competitor).collect();
    let bounds = |at: &usize| {
        let off = chances[*at] / 1000 * TOLERANCE_WITHIN;
        ((chances[*at] - off) << 28, (chances[*at] + off).min(ONE) << 28)
    };
    let bounds: Vec<_> = free.iter().map(bounds).collect();
    let count = usize::try_from(copies / ONE).expect("invariant: placement: copies are few");
    let places = Places { count, one_more: (copies % ONE) << 28 };
    let Some(shifts) = corrections(&competitors, places, &bounds) else { return };
    for ((at, shift), one) in free.into_iter().zip(shifts).zip(&competitors) {
        let change = Shift(shift.0 - one.shift.0);
        rates[at].per_time = faster(rates[at].per_time, change);
    }
}

/// The probability that each has one of so many copies ([`ONE`] is one): in proportion to the weights, but at most 1, and
/// what is cut off there goes to the others.
fn chances(weights: &[u64], copies: u64) -> Vec<u64> {
    let mut chances = vec![0; weights.len()];
    let mut forced = vec![false; weights.len()];
    loop {
        let free = || (0..weights.len()).filter(|at| !forced[*at]);
        let taken = forced.iter().filter(|it| **it).count() as u128 * u128::from(ONE);
        let left = u128::from(copies).saturating_sub(taken);
        let total: u128 = free().map(|at| u128::from(weights[at])).sum();
        let is_full = |at: &usize| u128::from(weights[*at]) * left >= total * u128::from(ONE);
        let full: Vec<_> = free().filter(is_full).collect();
        if full.is_empty() || left == 0 {
            for at in free().collect::<Vec<_>>() {
                let share = u128::from(weights[at]) * left / total.max(1);
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

/// The rate of a node that should have this share, where the nodes that are not forced have so many copies.
fn rate_of(chance: u64, copies: u64) -> Rate {
    let is_forced = chance >= ONE;
    // Forced ones need a rate too, to compete with each other.
    let chance = if is_forced { ONE / 2 } else { chance };
    let plain = u64::try_from((u128::from(chance) * LOG2_E) >> FRACTION_BITS)
        .expect("invariant: placement: a rate is below two");
    // Of one copy the plain rate is exact, and of two or more three quarters of the other one are best.
    let part = u128::from(copies.saturating_sub(ONE).min(ONE)) * 3 / 4;
    let bent = u128::from(logarithm_of_rest(chance)) * part + u128::from(plain) * (u128::from(ONE) - part);
    let per_time = u64::try_from(bent >> FRACTION_BITS).expect("invariant: placement: a rate has 38 bits");
    Rate { per_time: per_time.max(1), is_forced }
}

/// −log2(1 − chance), for a chance below 1.
fn logarithm_of_rest(chance: u64) -> u64 {
    negative_log2(((ONE - chance) << 32).wrapping_sub(1))
}

/// The rate times two to the power of the shift.
fn faster(rate: u64, shift: Shift) -> u64 {
    let octaves = shift.octaves();
    let (whole, rest) = (octaves >> FRACTION_BITS, octaves & (ONE as i64 - 1));
    // 2^rest is between one and two; its logarithm is looked for.
    let (mut low, mut high) = (ONE, 2 * ONE);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let log = super::score::log2(middle) - (u64::from(FRACTION_BITS) << FRACTION_BITS);
        if log <= rest as u64 { low = middle } else { high = middle }
    }
    let scaled = (u128::from(rate) * u128::from(low)) >> FRACTION_BITS;
    let shifted = if whole >= 0 { scaled << whole.min(32) } else { scaled >> (-whole).min(127) };
    u64::try_from(shifted).unwrap_or(u64::MAX).clamp(1, ONE << 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_weights_until_a_node_has_everything() {
        let share = |weights: &[u64], copies| {
            let chances = chances(weights, copies * ONE);
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
            assert!(rates.iter().all(|rate| (1..ONE << 8).contains(&rate.per_time)), "{zones}");
            assert!(rates[0].per_time < rates[1023].per_time);
        }
    }

    #[test]
    fn equal_weights_have_equal_rates() {
        let rates = rates(&[(0, 7); 9], 3);
        assert!(rates.iter().all(|rate| *rate == rates[0] && !rate.is_forced));
    }
}
