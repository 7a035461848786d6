//! Random numbers from a seed: equal on every build and machine, and not fit for secrets.

use std::convert::Infallible;

use rand::TryRng;

/// xoshiro256++ by Blackman and Vigna, written out here: the small generator of `rand` may change with any
/// release, and then no seed would replay.
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// The generator of this seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        }))
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "an endless source, no iterator")]
    pub fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below `bound`; 0 for 0. The bias of at most `bound` in 2^64 does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        let below = u64::try_from(wide >> 64).expect("invariant: random: the high half fits");
        assert!(below < bound || bound == 0, "invariant: random: a number stays below its bound");
        below
    }

    /// True this many times in a million.
    pub fn chance(&mut self, per_million: u64) -> bool {
        self.below(1_000_000) < per_million
    }

    /// One of these, or none of none.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(usize::try_from(self.below(from.len() as u64)).ok()?)
    }
}

/// Moremur by Evensen, a stronger finaliser than that of splitmix64: every input bit moves every output bit.
pub(in crate::cluster) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 27)).wrapping_mul(0x3c79_ac49_2ba7_b653);
    let value = (value ^ (value >> 33)).wrapping_mul(0x1c69_b3f7_4ac4_ae35);
    value ^ (value >> 27)
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::try_from(self.next() >> 32).expect("invariant: random: the high half fits"))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_everywhere() {
        let mut random = Random::from_seed(7);
        let numbers: Vec<_> = (0..3).map(|_| random.next()).collect();
        assert_eq!(numbers, GOLDEN);
        assert_ne!(Random::from_seed(8).next(), numbers[0]);
    }

    const GOLDEN: [u64; 3] = [6941484759189706474, 13036116986804823693, 12697617103408094855];

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::from_seed(1);
        let mut seen = [0; 7];
        for _ in 0..7_000 {
            seen[usize::try_from(random.below(7)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.choose::<u8>(&[]), None);
    }
}
