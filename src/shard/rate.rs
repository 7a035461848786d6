//! The rate limit of costly requests for each client, over all shards of the node.
//!
//! Asked only where work begins, never by a hit. No lock and no growth: a table of fixed size, each entry one word
//! that is replaced by compare-and-swap.
//!
//! The bucket of tokens is kept as one time (GCRA): that at which it will be full again. A bucket that is full has
//! nothing to remember, so an entry whose time has passed is free for another client, and nothing is lost with it.
//! In a set in which all have something to remember, the one that is nearest to full gives way. A client with many
//! addresses gains nothing by that: each of its addresses begins with a full bucket anyway.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::peer::requester::ClientAddress;

/// A bucket holds what comes together in this time.
const BURST: Duration = Duration::from_secs(10);

/// Of an entry's 64 bits, 20 tell the clients of a set apart and 44 hold a time.
const TIME_BITS: u32 = 44;

/// Times are counted in these units since the start: 44 bits last five and a half years. At the highest rate of the
/// configuration, 10,000 a second, a token is ten units.
const UNIT_US: u64 = 10;

const BURST_UNITS: u64 = units(BURST);

/// Clients that share a set.
const WAYS: usize = 8;

/// 4,096 sets of 8 entries of 8 bytes are 256 KiB for each rate that is limited, and room for 32,768 clients that are
/// busy within the same ten seconds. Set (12 bits) and tag (20 bits) come from a hash that nobody can foresee: that two
/// clients share a bucket is one chance in four thousand million.
const SETS: usize = 4096;

/// Times that another core may get in between; then the token is given, for it will not happen.
const TRIES: usize = 16;

/// The buckets of all clients.
#[derive(Debug)]
pub struct RateLimit(Option<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// The time in which a bucket gets one token.
    token_units: u64,
    sets: Box<[[AtomicU64; WAYS]]>,
    hasher: RandomState,
    start: Instant,
}

/// Too fast: to be tried again after so many whole seconds, one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFast {
    /// Seconds.
    pub retry_after_s: u64,
}

const fn units(time: Duration) -> u64 {
    time.as_micros() as u64 / UNIT_US
}

impl RateLimit {
    /// So many a second for each client, at most 10,000; 0: as many as it likes.
    pub fn new(per_second: u32) -> Self {
        Self((per_second > 0).then(|| Buckets {
            token_units: (units(Duration::from_secs(1)) / u64::from(per_second)).max(1),
            sets: std::iter::repeat_with(Default::default).take(SETS).collect(),
            hasher: RandomState::new(),
            start: Instant::now(),
        }))
    }

    /// Takes a token of this client's.
    ///
    /// # Errors
    /// [`TooFast`]; nothing was taken.
    pub fn take(&self, client: ClientAddress) -> Result<(), TooFast> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        buckets.take(buckets.hasher.hash_one(client), units(buckets.start.elapsed()))
    }
}

impl Buckets {
    /// Of the client with this hash, at this time.
    fn take(&self, hash: u64, now: u64) -> Result<(), TooFast> {
        let set = &self.sets[hash as usize % SETS];
        // Never 0, so that an empty entry is nobody's.
        let tag = (hash >> TIME_BITS).max(1);
        for _ in 0..TRIES {
            let entries = set.each_ref().map(|entry| entry.load(Relaxed));
            let own = entries.iter().position(|entry| entry >> TIME_BITS == tag);
            let index = own.unwrap_or_else(|| {
                let nearest_to_full = (0..WAYS).min_by_key(|index| time(entries[*index]));
                nearest_to_full.unwrap_or_default()
            });
            let full_at = if own.is_some() { time(entries[index]).max(now) } else { now };
            let next = full_at + self.token_units;
            if next > now + BURST_UNITS {
                let wait = (next - now - BURST_UNITS).div_ceil(units(Duration::from_secs(1)));
                return Err(TooFast { retry_after_s: wait.max(1) });
            }
            let entry = tag << TIME_BITS | next & time(u64::MAX);
            if set[index].compare_exchange(entries[index], entry, Relaxed, Relaxed).is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }
}

const fn time(entry: u64) -> u64 {
    entry & ((1 << TIME_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    const SECOND: u64 = units(Duration::from_secs(1));

    fn buckets(per_second: u32) -> Buckets {
        RateLimit::new(per_second).0.unwrap()
    }

    /// The hash of client number `tag` of set number `set`.
    fn hash(set: u64, tag: u64) -> u64 {
        tag << TIME_BITS | set
    }

    #[test]
    fn a_burst_of_ten_seconds_worth_and_then_one_as_each_comes() {
        for rate in [1, 3, 1_000, 10_000] {
            let buckets = buckets(rate);
            let taken = (0..2 * 10 * rate).filter(|_| buckets.take(hash(1, 1), 7).is_ok()).count();
            assert_eq!(taken as u32, 10 * rate);
            assert_eq!(buckets.take(hash(1, 1), 7), Err(TooFast { retry_after_s: 1 }));
            // A token comes back with its time, and the bucket never holds more than ten seconds' worth.
            assert_eq!(buckets.take(hash(1, 1), 7 + SECOND), Ok(()));
            let taken = (0..2 * 10 * rate).filter(|_| buckets.take(hash(1, 1), 99 * SECOND).is_ok()).count();
            assert_eq!(taken as u32, 10 * rate);
        }
    }

    #[test]
    fn clients_have_a_bucket_each_and_no_limit_is_none() {
        let buckets = buckets(1);
        (0..10).for_each(|_| buckets.take(hash(1, 1), 0).unwrap());
        assert!(buckets.take(hash(1, 1), 0).is_err());
        assert_eq!(buckets.take(hash(1, 2), 0), Ok(()));
        assert_eq!(buckets.take(hash(2, 1), 0), Ok(()));
        let (off, on) = (RateLimit::new(0), RateLimit::new(1));
        let client = |last| ClientAddress::from(IpAddr::from([10, 0, 0, last]));
        assert!((0..1000).all(|_| off.take(client(1)).is_ok()));
        // A slow machine may have got a token back by then, but not a hundred.
        assert!((0..100).any(|_| on.take(client(1)).is_err()) && on.take(client(2)).is_ok());
    }

    #[test]
    fn a_crowd_in_one_set_does_not_empty_the_bucket_of_one_that_is_limited() {
        let buckets = buckets(1);
        (0..10).for_each(|_| buckets.take(hash(1, 1), 0).unwrap());
        // Each of them is nearer to full than the one that used all.
        for tag in 2..1000 {
            assert_eq!(buckets.take(hash(1, tag), 0), Ok(()));
        }
        assert!(buckets.take(hash(1, 1), 0).is_err());
    }

    #[test]
    fn shards_that_take_at_once_do_not_give_more_than_there_is() {
        let buckets = buckets(100);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1000).filter(|_| buckets.take(hash(1, 1), 0).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // The last may be given after so many tries in vain.
        assert!((1000..=1010).contains(&taken), "{taken}");
    }

    proptest! {
        /// In no span of time does a client get more than a burst and what came in meanwhile.
        #[test]
        fn the_rate_holds_over_any_span(rate in 1..50_u32, gaps in prop::collection::vec(0..SECOND, 1..400)) {
            let buckets = buckets(rate);
            let mut now = 0;
            let mut given = Vec::new();
            for gap in gaps {
                now += gap;
                if buckets.take(hash(3, 3), now).is_ok() {
                    given.push(now);
                }
            }
            for (index, from) in given.iter().enumerate() {
                let span = now - from;
                let most = u64::from(rate) * 10 + span / buckets.token_units + 1;
                prop_assert!((given.len() - index) as u64 <= most);
            }
        }
    }
}
