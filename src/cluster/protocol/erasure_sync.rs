//! Erasure records that a member has missed: it was away, cut off, or new.
//!
//! Every node compares the digest of its records with one other live member after the other, every two seconds, and pulls
//! the records of the buckets that differ. A node that comes back hears everything from the first member that it asks. A
//! record that is on one side of a mended cut reaches all of *n* members in about log2(*n*) rounds.

use std::collections::VecDeque;

use super::{ANSWER_MAX_MS, Input, Machine};
use crate::cluster::erasure::table::{BUCKETS, BucketDigests};
use crate::cluster::node::NodeId;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// Between two comparisons of a node, in milliseconds. Seven rounds reach 128 members in 14 seconds, so that a deletion
/// is known everywhere within 30 seconds of a node's return.
pub const COMPARE_EVERY_MS: u64 = 2_000;

/// Members in turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompareTurn {
    last: Option<NodeId>,
}

impl CompareTurn {
    /// The live member behind the last one, in order of ids; the first comparison is with the next one behind this node,
    /// so that not all begin with the same. `None`: there is no other.
    pub fn take(&mut self, view: &View) -> Option<NodeId> {
        let last = *self.last.get_or_insert(view.this());
        let others = || view.members().filter(|(node, member)| member.alive && *node != view.this());
        let next = others().find(|(node, _)| *node > last).or_else(|| others().next());
        let node = next.map(|(node, _)| node)?;
        self.last = Some(node);
        Some(node)
    }
}

/// An effect that the driver carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncEffect {
    /// Ask a node for the digests of its buckets: [`SyncOutcome::Digests`].
    AskDigests {
        /// Which node.
        node: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Ask a node for a page of records, and take them durably: [`SyncOutcome::Page`].
    AskPage {
        /// Which node.
        node: NodeId,
        /// Which bucket.
        bucket: u8,
        /// The id before the first one.
        after: Option<ObjectId>,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
}

/// The outcome of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// The other node's digests; `None` if it has the same records, or did not answer.
    Digests(Option<Box<BucketDigests>>),
    /// The page is taken, and whether there are more behind the last id of it; `None` if it did not come or could not be
    /// taken.
    Page(Option<PageEnd>),
}

/// The end of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd {
    /// It was the last one of its bucket.
    Last,
    /// Others follow behind this id.
    More(ObjectId),
}

/// One comparison with one node.
#[derive(Clone, Debug)]
pub struct ErasureSync {
    node: NodeId,
    own: Box<BucketDigests>,
    effects: VecDeque<SyncEffect>,
    /// Buckets that differ and are still to be pulled.
    buckets: VecDeque<u8>,
    stage: SyncStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncStage {
    Idle,
    Comparing,
    Pulling(u8),
    Finished,
}

impl ErasureSync {
    /// With this node; `own` are the digests of this one's records.
    pub fn new(node: NodeId, own: Box<BucketDigests>) -> Self {
        let (effects, buckets) = (VecDeque::new(), VecDeque::new());
        Self { node, own, effects, buckets, stage: SyncStage::Idle }
    }

    fn compare(&mut self, theirs: Option<Box<BucketDigests>>) {
        let Some(theirs) = theirs else { return self.stage = SyncStage::Finished };
        let differ = |bucket: &u8| self.own[usize::from(*bucket)] != theirs[usize::from(*bucket)];
        self.buckets = (0..=u8::MAX).filter(differ).collect();
        assert!(self.buckets.len() <= BUCKETS, "invariant: erasure sync: a bucket is pulled once");
        self.pull_next();
    }

    fn pull_next(&mut self) {
        match self.buckets.pop_front() {
            Some(bucket) => self.ask_page(bucket, None),
            None => self.stage = SyncStage::Finished,
        }
    }

    fn ask_page(&mut self, bucket: u8, after: Option<ObjectId>) {
        self.stage = SyncStage::Pulling(bucket);
        let within_ms = ANSWER_MAX_MS;
        self.effects.push_back(SyncEffect::AskPage { node: self.node, bucket, after, within_ms });
    }
}

impl Machine for ErasureSync {
    type Effect = SyncEffect;
    type Outcome = SyncOutcome;

    fn handle(&mut self, _: Time, _: &View, input: Input<SyncOutcome>) {
        match (self.stage, input) {
            (SyncStage::Idle, Input::Tick) => {
                self.stage = SyncStage::Comparing;
                let (node, within_ms) = (self.node, ANSWER_MAX_MS);
                self.effects.push_back(SyncEffect::AskDigests { node, within_ms });
            }
            (SyncStage::Comparing, Input::Outcome(SyncOutcome::Digests(theirs))) => self.compare(theirs),
            (SyncStage::Pulling(_), Input::Outcome(SyncOutcome::Page(Some(PageEnd::Last)))) => {
                self.pull_next()
            }
            (SyncStage::Pulling(bucket), Input::Outcome(SyncOutcome::Page(Some(PageEnd::More(id))))) => {
                self.ask_page(bucket, Some(id));
            }
            // The next comparison begins where this one has failed.
            (SyncStage::Pulling(_), Input::Outcome(SyncOutcome::Page(None))) => {
                self.stage = SyncStage::Finished
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<SyncEffect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn is_finished(&self) -> bool {
        self.stage == SyncStage::Finished && self.effects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        NodeId::from_bytes([2; 16])
    }

    fn step(sync: &mut ErasureSync, input: Input<SyncOutcome>) -> Option<SyncEffect> {
        let view = View::empty(NodeId::from_bytes([1; 16]), Time::default());
        sync.handle(Time::default(), &view, input);
        let effect = sync.poll();
        assert_eq!(sync.poll(), None);
        effect
    }

    fn page(bucket: u8, after: Option<ObjectId>) -> SyncEffect {
        SyncEffect::AskPage { node: node(), bucket, after, within_ms: ANSWER_MAX_MS }
    }

    #[test]
    fn equal_records_cost_one_question() {
        let mut sync = ErasureSync::new(node(), Box::new([0; BUCKETS]));
        assert!(matches!(step(&mut sync, Input::Tick), Some(SyncEffect::AskDigests { .. })));
        assert_eq!(step(&mut sync, Input::Outcome(SyncOutcome::Digests(None))), None);
        assert!(sync.is_finished());
    }

    #[test]
    fn only_the_buckets_that_differ_are_pulled_each_to_its_end() {
        let mut sync = ErasureSync::new(node(), Box::new([0; BUCKETS]));
        let (mut theirs, id) = (Box::new([0; BUCKETS]), ObjectId::from_digest([3; 20]));
        (theirs[3], theirs[255]) = (1, 1);
        step(&mut sync, Input::Tick);
        let outcome = |end| Input::Outcome(SyncOutcome::Page(Some(end)));
        let compared = Input::Outcome(SyncOutcome::Digests(Some(theirs)));
        assert_eq!(step(&mut sync, compared), Some(page(3, None)));
        assert_eq!(step(&mut sync, outcome(PageEnd::More(id))), Some(page(3, Some(id))));
        assert_eq!(step(&mut sync, outcome(PageEnd::Last)), Some(page(255, None)));
        assert_eq!(step(&mut sync, outcome(PageEnd::Last)), None);
        assert!(sync.is_finished());
    }

    #[test]
    fn a_page_that_does_not_come_ends_the_comparison() {
        let mut sync = ErasureSync::new(node(), Box::new([0; BUCKETS]));
        step(&mut sync, Input::Tick);
        step(&mut sync, Input::Outcome(SyncOutcome::Digests(Some(Box::new([1; BUCKETS])))));
        assert_eq!(step(&mut sync, Input::Outcome(SyncOutcome::Page(None))), None);
        assert!(sync.is_finished());
    }
}
