//! Counts and histograms of what was asked.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// The longest latency that a histogram tells apart, in microseconds: an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// Why an answer was not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// Another status than 200.
    Status(u16),
    /// The connection could not be made.
    Connect,
    /// The connection broke in the middle of a request or an answer.
    Broken,
    /// The answer is not HTTP, or of a kind that no node gives.
    Http,
    /// Another media type than the one that was asked for.
    Type,
    /// The body is no image of the size that was asked for, or the answer to an upload does not say what it must.
    Content,
    /// The SHA-1 is wrong.
    Hash,
    /// It had not come a while after the end.
    Unfinished,
}

impl Failure {
    /// Its name in reports.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Status(status) => return format!("status {status}"),
            Self::Connect => "no connection",
            Self::Broken => "broken off",
            Self::Http => "no valid HTTP",
            Self::Type => "wrong type",
            Self::Content => "wrong content",
            Self::Hash => "wrong SHA-1",
            Self::Unfinished => "unfinished",
        }
        .to_owned()
    }
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Upload,
    Fetch,
}

/// Counts and latencies of one kind of request.
#[derive(Clone, Debug)]
pub(crate) struct KindTally {
    /// Of right answers, in microseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) right: u64,
    /// Of bodies, there and back.
    pub(crate) bytes: u64,
    pub(crate) failures: BTreeMap<Failure, u64>,
}

/// Counts and latencies of a time.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) uploads: KindTally,
    pub(crate) fetches: KindTally,
}

impl KindTally {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_US, DIGITS);
        let latency = latency.expect("invariant: the bounds of the histogram are valid");
        Self { latency, right: 0, bytes: 0, failures: BTreeMap::new() }
    }

    /// Answers that were not right.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    fn clear(&mut self) {
        self.latency.reset();
        (self.right, self.bytes) = (0, 0);
        self.failures.clear();
    }

    fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("invariant: all histograms have the same bounds");
        self.right += other.right;
        self.bytes += other.bytes;
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { uploads: KindTally::new(), fetches: KindTally::new() }
    }

    const fn of_mut(&mut self, kind: RequestKind) -> &mut KindTally {
        match kind {
            RequestKind::Upload => &mut self.uploads,
            RequestKind::Fetch => &mut self.fetches,
        }
    }

    /// Counts a right answer.
    pub(crate) fn note(&mut self, kind: RequestKind, latency_ns: u64, bytes: u64) {
        let tally = self.of_mut(kind);
        tally.latency.saturating_record((latency_ns / 1000).max(1));
        tally.right += 1;
        tally.bytes += bytes;
    }

    /// Counts a failure.
    pub(crate) fn note_failure(&mut self, kind: RequestKind, failure: Failure) {
        *self.of_mut(kind).failures.entry(failure).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.uploads.add(&other.uploads);
        self.fetches.add(&other.fetches);
    }

    pub(crate) fn clear(&mut self) {
        self.uploads.clear();
        self.fetches.clear();
    }

    pub(crate) fn right(&self) -> u64 {
        self.uploads.right + self.fetches.right
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.uploads.bytes + self.fetches.bytes
    }

    pub(crate) fn failures(&self) -> u64 {
        self.uploads.failed() + self.fetches.failed()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.right() + self.failures() == 0
    }

    /// Latencies of all kinds together.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        let mut all = self.uploads.latency.clone();
        all.add(&self.fetches.latency).expect("invariant: all histograms have the same bounds");
        all
    }
}
