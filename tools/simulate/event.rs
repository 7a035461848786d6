//! The events of the world, and the messages between nodes.

use reticulum::cluster::core::{Input, JoinRefusal};
use reticulum::cluster::erasure::ErasureRecord;
use reticulum::cluster::erasure::table::BucketDigests;
use reticulum::cluster::layout::{LayoutHash, SyncHash};
use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::compare::{CompareEffect, CompareOutcome};
use reticulum::cluster::protocol::erase::HeldRecord;
use reticulum::cluster::protocol::{erase, erasure_sync, locate, read, repair, variant, write};
use reticulum::object::ObjectId;

use crate::disk::Content;
use crate::faults::Fault;

/// The number of a node in the world.
pub(crate) type Index = usize;

/// An operation or request, unique in the world.
pub(crate) type Number = u64;

/// The subject of a question: its kind and its image.
pub(crate) type About = (u8, ObjectId);

/// An event at its time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A core's deadline.
    Tick(Index, u64),
    Deliver(Envelope),
    /// The next step of a file on its way to the disk.
    Store(Index, u64, Number),
    /// A layout has become durable.
    Persisted(Index, u64, u64, Vec<u8>),
    /// A request was not answered in time.
    Timeout(Index, u64, Number),
    /// The deadline of an operation's machine.
    Deadline(Index, u64, Number),
    /// An operation must have been answered by now.
    Overdue(Index, u64, Number),
    /// An effect has an outcome.
    Happened(Index, u64, Number, Happening),
    /// A record is on the disk.
    Record(Index, u64, Number, ObjectId),
    /// A repair waits for its image's lock.
    Lock(Index, u64, Number),
    /// A check for repairs that are due.
    Repairs(Index, u64),
    /// All of these owners must have been asked for the bytes by now.
    Impatient(Index, u64, Number, Vec<NodeId>),
    /// A node compares its images with the others'.
    LookAround(Index, u64),
    Scrub(Index, u64),
    Upload,
    Read,
    /// A client reads an image that was answered a moment ago.
    ReadBack(ObjectId),
    /// A client deletes, bans or frees an image.
    Erase,
    /// A client uploads an image that was deleted.
    UploadAgain(ObjectId),
    /// An injected bug collects the erasure record of an image.
    Collect(ObjectId),
    Fault(Fault),
    /// A node with enough copies of an upload ends before it answers.
    Crash(Index, u64),
    Heal(Fault),
    /// An operator makes a change, drawn by the number.
    Edit(Index, u64),
    /// After the restart of all nodes at that time they must know each other by now.
    Restarted(u64),
    /// After that restart repairs would have begun by now.
    RestartedLong(u64),
}

/// An input of a core, kept while the core is blocked.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Message(NodeId, Vec<u8>),
    Refused(JoinRefusal),
    Persisted(u64),
    PersistFailed(u64),
    Synced(SyncHash),
    HoldsImages(bool),
}

impl Fact {
    pub(crate) fn input(&self) -> Input<'_> {
        match self {
            Self::Message(from, bytes) => Input::Message(*from, bytes),
            Self::Refused(refusal) => Input::Refused(*refusal),
            Self::Persisted(sequence) => Input::Persisted(*sequence),
            Self::PersistFailed(sequence) => Input::PersistFailed(*sequence),
            Self::Synced(hash) => Input::Synced(*hash),
            Self::HoldsImages(holds) => Input::HoldsImages(*holds),
        }
    }
}

/// A message on the wire. It is lost when either process ends before it arrives: a connection ends with its processes.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: Index,
    /// The node that was on that machine.
    pub(crate) from_node: NodeId,
    pub(crate) from_boot: u64,
    pub(crate) to: Index,
    pub(crate) to_boot: u64,
    pub(crate) payload: Payload,
    /// Set for an answer that an attacker recorded and sends again: the subject of the answer.
    pub(crate) replay: Option<About>,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Core(Vec<u8>),
    /// The sender refuses the join of the other node; sent with the answer to a message of that node.
    Refused(JoinRefusal),
    /// With the counter with which the asker's copy of the image is live.
    Ask(Number, Ask, u64),
    /// With the answering node's erasure record of the image.
    Tell(Number, Tell, ErasureRecord),
}

/// A question of a shard to another node.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Put {
        id: ObjectId,
        content: Content,
        /// Whether the receiver takes the copy as a fallback.
        misplaced: bool,
    },
    Get(ObjectId),
    /// Asks whether it has the image.
    Has(ObjectId),
    /// Asks it to read and verify its copy.
    Verify(ObjectId),
    /// A question of a comparison about the images of the other node.
    Compare(CompareEffect),
    /// Asks for its erasure record.
    Erasure(ObjectId),
    /// Asks it to take an erasure record.
    Erase(ObjectId, ErasureRecord),
    /// Asks for the digests of its erasure records, if the digest of all is another one.
    Digests(u64),
    /// Asks for the erasure records of a bucket behind an id.
    Page(u8, Option<ObjectId>),
}

/// The answer of the other node.
#[derive(Clone, Debug)]
pub(crate) enum Tell {
    Taken(LayoutHash),
    Refused,
    Have(Content),
    Has,
    No(Option<SyncHash>),
    Receipt(LayoutHash),
    Compared(CompareOutcome),
    /// The image is deleted or banned, by the record that comes along.
    Gone,
    Held(HeldRecord),
    Digests(Option<Box<BucketDigests>>),
    Page(Vec<(ObjectId, ErasureRecord)>, bool),
}

/// The outcome of an effect of a protocol machine.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Write(write::WriteOutcome),
    Read(read::ReadOutcome),
    Locate(locate::LocateOutcome),
    Variant(variant::VariantOutcome),
    Repair(repair::RepairOutcome),
    Compare(CompareOutcome),
    Erase(erase::EraseOutcome),
    Sync(erasure_sync::SyncOutcome),
}

impl Ask {
    /// The image of the question, if it is about one.
    pub(crate) fn image(&self) -> Option<ObjectId> {
        match self {
            Self::Put { id, .. } | Self::Get(id) | Self::Has(id) | Self::Verify(id) | Self::Erasure(id) => {
                Some(*id)
            }
            Self::Erase(id, _) => Some(*id),
            Self::Compare(_) | Self::Digests(_) | Self::Page(..) => None,
        }
    }
}
