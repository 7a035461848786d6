//! The first to arrive among competitors: probabilities of competitors, and the speeds that give wanted ones.
//!
//! Several competitors arrive at random times, each by a distribution of its own. Inclusion is the probability to be
//! among the first so many. It is the integral over the competitor's time of the probability that fewer others have come
//! by then. A competitor that runs twice as fast has the same distribution on a logarithmic axis, moved by one octave: so
//! a distribution is a table over that axis, and a speed is a shift.
//!
//! All of it is made of integers in a fixed order, so that every machine gets the same speeds.

use super::score::{FRACTION_BITS, log2};

/// Probability one. Products fit 128 bits.
pub(super) const WHOLE: u64 = 1 << 60;

/// Steps in an octave. Between two the distributions are straight: off by 0.001 of themselves at most.
const STEPS: usize = 8;

/// The first octave, as a power of two: what arrives before is less than 2^-32 of everything.
const OCTAVES_BEFORE: usize = 32;

/// By 2^6 times the mean time only e^-64 is missing.
const OCTAVES: usize = OCTAVES_BEFORE + 6;

const POINTS: usize = OCTAVES * STEPS + 1;

/// Bits of a shift behind the point; the point stands behind a step.
const SHIFT_BITS: u32 = 16;

/// Rounds of approximation at most. In nearly all cases that were tried ten are enough.
const ROUNDS_MAX: usize = 24;

/// Rounds however many compete: then a competitor's chance depends on the others' sum alone, and few are enough.
const ROUNDS_MIN: usize = 4;

/// Competitors times places times rounds. Measured: 1 ms for a hundred uneven zones and three copies, 60 ms for 1,024,
/// once for each layout.
const WORK_MAX: usize = 1 << 15;

/// The distribution of a time: the probability to have arrived, at each point of the logarithmic axis.
#[derive(Clone, Debug)]
pub(super) struct Distribution(Vec<u64>);

/// A competitor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Competitor<'a> {
    pub(super) times: &'a Distribution,
    /// The factor by which it runs faster than the distribution says.
    pub(super) shift: Shift,
}

/// A logarithmic speed, in steps with 16 bits behind the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift(pub(super) i64);

impl Shift {
    /// Of this many times the speed, both with the same unit.
    pub(super) fn of(speed: u64, unit: u64) -> Self {
        let log =
            |number: u64| i64::try_from(log2(number)).expect("invariant: placement: a logarithm is small");
        let octaves = log(speed.max(1)) - log(unit.max(1));
        Self((octaves * STEPS as i64) >> (FRACTION_BITS - SHIFT_BITS))
    }

    /// Octaves with 32 bits behind the point.
    pub(super) fn octaves(self) -> i64 {
        (self.0 << (FRACTION_BITS - SHIFT_BITS)) / STEPS as i64
    }
}

impl Distribution {
    /// 1 − e^−t.
    pub(super) fn exponential() -> Self {
        const BITS: u32 = 62;
        // The eighth root of two, with as many bits behind the point.
        let root = (0..3).fold(2_u128 << BITS, |root, _| (root << BITS).isqrt());
        let mut small = 1_u128 << (BITS as usize - OCTAVES_BEFORE);
        let mut rest = Vec::with_capacity(POINTS);
        for at in 0..POINTS {
            // e^−t by its first terms, and then by e^−2t = (e^−t)²; the time doubles every eight points.
            let value = match at.checked_sub(STEPS) {
                None => {
                    let value = (1 << BITS) - small + ((small * small) >> (BITS + 1));
                    small = (small * root) >> BITS;
                    value
                }
                Some(before) => {
                    let before: u128 = rest[before];
                    (before * before) >> BITS
                }
            };
            rest.push(value);
        }
        let arrived = |rest: u128| {
            u64::try_from(((1 << BITS) - rest) >> 2)
                .expect("invariant: placement: a probability is at most one")
        };
        Self(rest.into_iter().map(arrived).collect())
    }

    /// The time of number `number` of these, counted from 1.
    pub(super) fn of_number(competitors: &[Competitor<'_>], number: usize) -> Self {
        let mut latest = 0;
        let at = |point| {
            // Of exactly 0, 1, … arrivals; those of `number` and more are left out.
            let mut exactly = vec![0; number];
            exactly[0] = WHOLE;
            competitors.iter().for_each(|one| add(&mut exactly, one.arrived(point)));
            // It never falls, whatever was rounded.
            latest = WHOLE.saturating_sub(exactly.iter().sum()).max(latest);
            latest
        };
        Self((0..POINTS).map(at).collect())
    }
}

impl Competitor<'_> {
    fn arrived(&self, point: usize) -> u64 {
        let position = ((point as i64) << SHIFT_BITS) + self.shift.0;
        let (index, rest) = (position >> SHIFT_BITS, position & ((1 << SHIFT_BITS) - 1));
        let Ok(index) = usize::try_from(index) else { return 0 };
        let table = &self.times.0;
        let (Some(low), Some(high)) = (table.get(index), table.get(index + 1)) else {
            return table[POINTS - 1];
        };
        low + (((u128::from(high - low)) * rest as u128) >> SHIFT_BITS) as u64
    }
}

/// The places that are to be had: `count`, and one more in a part of all cases, of which [`WHOLE`] is all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) count: usize,
    pub(super) one_more: u64,
}

/// The probability of each to get one of the places.
pub(super) fn inclusion(competitors: &[Competitor<'_>], places: Places) -> Vec<u64> {
    let certain = among_first(competitors, places.count);
    if places.one_more == 0 {
        return certain;
    }
    let more = among_first(competitors, places.count + 1);
    let mixed =
        |(certain, more): (u64, u64)| certain + product(more.saturating_sub(certain), places.one_more);
    certain.into_iter().zip(more).map(mixed).collect()
}

/// The probability of each to be among the first `count`.
fn among_first(competitors: &[Competitor<'_>], count: usize) -> Vec<u64> {
    if competitors.len() <= count || count == 0 {
        return vec![if count == 0 { 0 } else { WHOLE }; competitors.len()];
    }
    let arrived = |point| competitors.iter().map(|one| one.arrived(point)).collect::<Vec<_>>();
    let mut others = Others::new(competitors.len(), count);
    let mut before = vec![0; competitors.len()];
    let mut open_before = vec![WHOLE; competitors.len()];
    let mut included = vec![0_u64; competitors.len()];
    let mut point = 0;
    while point < POINTS {
        let now = arrived(point);
        let open = others.are_fewer(&now);
        for at in 0..competitors.len() {
            let mass = now[at].saturating_sub(before[at]);
            included[at] += product(mass, (open_before[at] >> 1) + (open[at] >> 1));
        }
        let first = now.iter().max().copied().unwrap_or(0);
        (before, open_before) = (now, open);
        if open_before.iter().all(|open| *open < WHOLE >> 24) {
            break;
        }
        // While hardly anybody has come, all curves are straight lines.
        point += if first < WHOLE >> 7 { STEPS } else { 2 };
    }
    included.into_iter().map(|probability| probability.min(WHOLE)).collect()
}

/// Counts who else has come.
struct Others {
    count: usize,
    /// For each competitor: of those before it, exactly 0, 1, … have arrived.
    ahead: Vec<u64>,
}

impl Others {
    fn new(competitors: usize, count: usize) -> Self {
        Self { count, ahead: vec![0; (competitors + 1) * count] }
    }

    /// For each the probability that fewer than `count` of the others have arrived.
    fn are_fewer(&mut self, arrived: &[u64]) -> Vec<u64> {
        let count = self.count;
        let row = |at: usize| at * count..(at + 1) * count;
        self.ahead[..count].fill(0);
        self.ahead[0] = WHOLE;
        for (at, probability) in arrived.iter().enumerate() {
            self.ahead.copy_within(row(at), row(at + 1).start);
            add(&mut self.ahead[row(at + 1)], *probability);
        }
        let mut behind = vec![0; count];
        behind[0] = WHOLE;
        let mut fewer = vec![0; arrived.len()];
        for at in (0..arrived.len()).rev() {
            let mut at_most = 0;
            for (first, second) in self.ahead[row(at)].iter().rev().zip(&behind) {
                at_most += second;
                fewer[at] += product(*first, at_most.min(WHOLE));
            }
            add(&mut behind, arrived[at]);
        }
        fewer
    }
}

/// One more that has arrived with this probability.
fn add(exactly: &mut [u64], probability: u64) {
    let rest = WHOLE.saturating_sub(probability);
    for at in (0..exactly.len()).rev() {
        let one_less = if at == 0 { 0 } else { product(exactly[at - 1], probability) };
        exactly[at] = product(exactly[at], rest) + one_less;
    }
}

/// The shifts with which each of these gets a place with a probability within its bounds, as little different from
/// those that they have as that allows. `None`: they are within.
pub(super) fn corrections(
    competitors: &[Competitor<'_>],
    places: Places,
    bounds: &[(u64, u64)],
) -> Option<Vec<Shift>> {
    let natural = inclusion(competitors, places);
    let wanted = within_bounds(&natural, bounds)?;
    let mut fitted = competitors.to_vec();
    // A half at first: two of them move apart by twice that. Too far is half as far the next time.
    let mut steps = vec![(1 << 15, 0_i64); competitors.len()];
    let rounds = (WORK_MAX / (competitors.len() * (places.count + 1))).clamp(ROUNDS_MIN, ROUNDS_MAX);
    let mut included = natural;
    for _ in 0..rounds {
        for (((one, is), should), (part, last)) in
            fitted.iter_mut().zip(&included).zip(&wanted).zip(&mut steps)
        {
            let off = log_odds(*should) - log_odds(*is);
            if off.signum() * last.signum() < 0 {
                *part /= 2;
            }
            *last = off;
            one.shift.0 += (off * *part) >> 16;
        }
        included = inclusion(&fitted, places);
        let is_near = |(is, should): (&u64, &u64)| is.abs_diff(*should) < WHOLE >> 11;
        if included.iter().zip(&wanted).all(is_near) {
            break;
        }
    }
    Some(fitted.iter().map(|one| one.shift).collect())
}

/// The probabilities nearest to `natural` within their bounds that add up to the same; `None` where those are within.
fn within_bounds(natural: &[u64], bounds: &[(u64, u64)]) -> Option<Vec<u64>> {
    let is_within = |(natural, (least, most)): (&u64, &(u64, u64))| (*least..=*most).contains(natural);
    if natural.iter().zip(bounds).all(is_within) {
        return None;
    }
    let sum = |all: &[u64]| all.iter().map(|probability| u128::from(*probability)).sum::<u128>();
    let moved = |by: i64| -> Vec<u64> {
        let one = |(natural, (least, most)): (&u64, &(u64, u64))| {
            natural.saturating_add_signed(by).min(WHOLE).clamp(*least, *most)
        };
        natural.iter().zip(bounds).map(one).collect()
    };
    let whole = i64::try_from(WHOLE).expect("invariant: placement: one is a small number");
    let (mut low, mut high) = (-whole, whole);
    while high - low > 1 {
        let by = low + (high - low) / 2;
        if sum(&moved(by)) < sum(natural) { low = by } else { high = by }
    }
    Some(moved(high))
}

/// The logarithm of p / (1 − p) in the unit of shifts. Never endless: below 2^-20 and above 1 − 2^-7 nothing is counted.
fn log_odds(probability: u64) -> i64 {
    let probability = probability.clamp(WHOLE >> 20, WHOLE - (WHOLE >> 7));
    Shift::of(probability, WHOLE - probability).0
}

fn product(a: u64, b: u64) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)) >> 60)
        .expect("invariant: placement: a probability is at most one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(probability: u64) -> f64 {
        probability as f64 / WHOLE as f64
    }

    fn whole(part: f64) -> u64 {
        (part * WHOLE as f64) as u64
    }

    fn of_speeds<'a>(times: &'a Distribution, speeds: &[u64]) -> Vec<Competitor<'a>> {
        speeds.iter().map(|speed| Competitor { times, shift: Shift::of(*speed, 1) }).collect()
    }

    #[test]
    fn the_exponential_distribution_is_right_to_seven_digits() {
        let Distribution(table) = Distribution::exponential();
        assert_eq!(table.len(), POINTS);
        for (at, arrived) in table.into_iter().enumerate() {
            let time = ((at as f64) / STEPS as f64 - OCTAVES_BEFORE as f64).exp2();
            let exact = -(-time).exp_m1();
            assert!((part(arrived) / exact - 1.0).abs() < 1e-7, "{time}: {} {exact}", part(arrived));
        }
    }

    #[test]
    fn inclusion_is_what_can_be_calculated_by_hand() {
        let times = Distribution::exponential();
        // The first of two, in proportion to the speeds; the first two of three; places that are enough for all.
        let cases: [(&[u64], usize, f64); 4] =
            [(&[1, 3], 1, 0.25), (&[1, 1, 1, 1, 1], 2, 0.4), (&[1, 2, 3], 1, 1.0 / 6.0), (&[5, 7], 2, 1.0)];
        for (speeds, count, first) in cases {
            let included = inclusion(&of_speeds(&times, speeds), Places { count, one_more: 0 });
            assert!((part(included[0]) - first).abs() < 0.002, "{speeds:?}: {}", part(included[0]));
            let sum: f64 = included.iter().map(|one| part(*one)).sum();
            assert!((sum - count as f64).abs() < 0.005, "{speeds:?}: {sum}");
        }
        let places = Places { count: 1, one_more: WHOLE / 2 };
        let included = inclusion(&of_speeds(&times, &[1, 1, 1, 1]), places);
        assert!((part(included[3]) - 0.375).abs() < 0.002, "{}", part(included[3]));
    }

    #[test]
    fn the_second_of_several_arrives_later_than_the_first() {
        let times = Distribution::exponential();
        let four = of_speeds(&times, &[1; 4]);
        let (first, second) = (Distribution::of_number(&four, 1), Distribution::of_number(&four, 2));
        for point in 0..POINTS {
            let missing = 1.0 - part(times.0[point]);
            assert!((part(first.0[point]) - (1.0 - missing.powi(4))).abs() < 1e-9);
            let one = 4.0 * (1.0 - missing) * missing.powi(3);
            assert!((part(second.0[point]) - (1.0 - missing.powi(4) - one)).abs() < 1e-9);
        }
    }

    #[test]
    fn corrections_bring_every_probability_within_its_bounds_and_are_none_where_all_are() {
        let times = Distribution::exponential();
        let competitors = of_speeds(&times, &[10, 20, 30, 40]);
        let places = Places { count: 2, one_more: 0 };
        for wanted in [[0.2, 0.4, 0.6, 0.8], [0.5, 0.5, 0.5, 0.5], [0.02, 0.08, 0.95, 0.95]] {
            let bounds = wanted.map(|part| (whole(part * 0.98), whole((part * 1.02).min(1.0))));
            let shifts = corrections(&competitors, places, &bounds).unwrap();
            let corrected: Vec<_> =
                shifts.into_iter().map(|shift| Competitor { times: &times, shift }).collect();
            for (is, should) in inclusion(&corrected, places).into_iter().zip(wanted) {
                assert!((part(is) / should - 1.0).abs() < 0.035, "{wanted:?}: {}", part(is));
            }
        }
        assert!(corrections(&competitors, places, &[(0, WHOLE); 4]).is_none());
    }
}
