//! The effects of a comparison, and their outcomes.

use crate::cluster::digest::SlotRange;
use crate::cluster::layout::SyncHash;
use crate::cluster::placement::Slot;
use crate::object::ObjectId;

/// Which of the two nodes answers a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The node that compares.
    Here,
    /// The node that it compares itself with.
    There,
}

/// An effect that the driver carries out. Each is answered once, by the outcome of the same name, also where the node
/// does not answer within its time. What is asked of this node has the same limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareEffect {
    /// The digests of the children of these ranges, over the slots that both nodes own. At most
    /// [`RANGES_MAX`](super::RANGES_MAX) ranges.
    Digests(Side, Vec<SlotRange>),
    /// The slots in which the node holds images although it does not own them, and the other node does: the first
    /// [`SLOTS_MAX`](super::SLOTS_MAX).
    ExcessSlots(Side),
    /// The ids that the node holds in these slots, behind `after`: the first [`IDS_MAX`](super::IDS_MAX). At most
    /// [`RANGES_MAX`](super::RANGES_MAX) slots, in order.
    List(Side, Vec<Slot>, Option<ObjectId>),
    /// This node lacks these images and owns them, and the other node holds them: have them repaired. No outcome.
    Repair(Vec<ObjectId>),
    /// The comparison has ended. No outcome.
    Conclude(CompareConclusion),
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareConclusion {
    /// Under this staged version each of the two holds all images of the other that it owns.
    InSync(SyncHash),
    /// Some of the differences were mended; there are more.
    Progress,
    /// Differences remain that nobody has mended for a while.
    Differs,
    /// The other node did not answer, or goes by another staged version.
    Failed,
}

/// The outcome of an effect. `None` of a node that did not answer; else its answer, and the staged version by which it
/// was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareOutcome {
    /// For each range the digests of its children, in order.
    Digests(Side, Option<(SyncHash, Vec<Vec<u64>>)>),
    /// The slots, in order.
    ExcessSlots(Side, Option<(SyncHash, Vec<Slot>)>),
    /// The ids, in order.
    Listed(Side, Option<(SyncHash, IdPage)>),
}

/// Ids in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdPage {
    /// The ids.
    pub ids: Vec<ObjectId>,
    /// Whether there are others behind the last one.
    pub has_more: bool,
}
