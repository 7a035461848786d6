//! The requests, and which one is next.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::pictures::Image;
use crate::tally::RequestKind;

/// All that can be asked, shared by all threads.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) nodes: Vec<NodeTarget>,
    pub(crate) targets: Vec<Target>,
    /// The share of requests that fall to a target or to one before it; the last is 1. Empty: each is asked once.
    pub(crate) popularity: Vec<f64>,
    /// The next target of which each is asked once.
    pub(crate) next: AtomicUsize,
    pub(crate) images: Vec<Image>,
    pub(crate) upload_percent: u8,
    pub(crate) verify: bool,
}

/// A node, and the constant parts of requests to it.
#[derive(Debug)]
pub(crate) struct NodeTarget {
    pub(crate) address: std::net::SocketAddr,
    /// From behind the path to the end of the head.
    pub(crate) fetch_tail: Vec<u8>,
    /// An upload's head up to the number of its bytes.
    pub(crate) upload_head: Vec<u8>,
}

/// Something to fetch.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) expected: Expected,
}

/// The known facts about a right answer.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) media_type: Option<&'static str>,
    /// Width and height as displayed.
    pub(crate) size: Option<(u32, u32)>,
    /// The SHA-1 of the body: that of the stored bytes, or of the first answer.
    pub(crate) digest: OnceLock<[u8; 20]>,
    /// Whether any body will do: not an image of a node.
    pub(crate) is_plain: bool,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// The target with this number.
    Fetch(usize),
    /// An image, and what makes it a new one: bytes behind its end change nothing but its id.
    Upload { image: usize, tail: [u8; TAIL_BYTES] },
}

pub(crate) const TAIL_BYTES: usize = 16;

impl Job {
    pub(crate) const fn kind(&self) -> RequestKind {
        match self {
            Self::Fetch(_) => RequestKind::Fetch,
            Self::Upload { .. } => RequestKind::Upload,
        }
    }
}

impl Workload {
    /// The next request; `None` if there is nothing left to ask.
    pub(crate) fn next(&self, random: &mut Random) -> Option<Job> {
        if self.upload_percent > 0 && random.below(100) < u64::from(self.upload_percent) {
            let image = random.below(self.images.len() as u64) as usize;
            let mut tail = [0; TAIL_BYTES];
            for part in tail.chunks_exact_mut(8) {
                part.copy_from_slice(&random.next().to_le_bytes());
            }
            return Some(Job::Upload { image, tail });
        }
        if self.popularity.is_empty() {
            let number = self.next.fetch_add(1, Relaxed);
            return (number < self.targets.len()).then_some(Job::Fetch(number));
        }
        let place = random.fraction();
        let target = self.popularity.partition_point(|share| *share <= place);
        Some(Job::Fetch(target.min(self.targets.len() - 1)))
    }

    /// Appends the request's head to `head` and returns the parts of its body.
    pub(crate) fn write(&self, job: &Job, node: usize, head: &mut Vec<u8>) -> Option<Arc<[u8]>> {
        use std::io::Write;
        let node = &self.nodes[node];
        match job {
            Job::Fetch(target) => {
                head.extend_from_slice(b"GET ");
                head.extend_from_slice(self.targets[*target].path.as_bytes());
                head.extend_from_slice(&node.fetch_tail);
                None
            }
            Job::Upload { image, .. } => {
                let bytes = &self.images[*image].bytes;
                head.extend_from_slice(&node.upload_head);
                // A vector takes whatever is written to it.
                let _ = write!(head, "{}\r\n\r\n", bytes.len() + TAIL_BYTES);
                Some(Arc::clone(bytes))
            }
        }
    }
}

/// The shares of `count` targets, of which number n has the weight 1 / n^exponent, added up.
pub(crate) fn popularity(count: usize, exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=count)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

/// Numbers that look random (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0 and far below 2^64.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// From 0 to below 1.
    pub(crate) const fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(targets: usize, popularity: Vec<f64>, upload_percent: u8) -> Workload {
        let target = |at| Target { path: format!("/{at}"), expected: Expected::default() };
        let image = crate::pictures::made_up(16).unwrap().remove(0);
        Workload {
            nodes: Vec::new(),
            targets: (0..targets).map(target).collect(),
            popularity,
            next: AtomicUsize::new(0),
            images: vec![image],
            upload_percent,
            verify: false,
        }
    }

    #[test]
    fn the_second_most_popular_is_asked_half_as_often_at_exponent_one_and_as_often_at_zero() {
        for (exponent, expected) in [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0)] {
            let work = work(50, popularity(50, exponent), 0);
            let mut random = Random(7);
            let mut counts = [0_u32; 50];
            for _ in 0..200_000 {
                let Some(Job::Fetch(target)) = work.next(&mut random) else { panic!("a fetch") };
                counts[target] += 1;
            }
            let ratio = f64::from(counts[0]) / f64::from(counts[1]);
            assert!((ratio / expected - 1.0).abs() < 0.1, "{exponent}: {ratio}");
        }
    }

    #[test]
    fn each_target_of_a_cold_load_is_asked_once() {
        let (work, mut random) = (work(5, Vec::new(), 0), Random(1));
        for number in 0..5 {
            assert!(matches!(work.next(&mut random), Some(Job::Fetch(target)) if target == number));
        }
        assert!(work.next(&mut random).is_none());
    }

    #[test]
    fn uploads_are_the_share_that_was_asked_for_and_no_two_are_equal() {
        let (work, mut random) = (work(3, popularity(3, 0.0), 30), Random(1));
        let mut tails = std::collections::HashSet::new();
        for _ in 0..100_000 {
            if let Some(Job::Upload { tail, .. }) = work.next(&mut random) {
                assert!(tails.insert(tail));
            }
        }
        assert!((29_000..31_000).contains(&tails.len()), "{}", tails.len());
    }
}
