//! The events of the world, and the messages between nodes.

use std::sync::Arc;

use reticulum::cluster::core::{Input, JoinRefusal};
use reticulum::cluster::layout::{LayoutHash, SyncHash};
use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::{locate, read, repair, variant, write};
use reticulum::object::ObjectId;

use crate::disk::Content;
use crate::faults::Fault;

/// The number of a node in the world.
pub(crate) type Index = usize;

/// An operation or request, unique in the world.
pub(crate) type Number = u64;

/// The subject of a question: its kind and its image.
pub(crate) type About = (u8, ObjectId);

/// Ids in order, shared by all that look at them.
pub(crate) type Ids = Arc<Vec<ObjectId>>;

/// Something that happens at its time.
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
    /// Something came of an effect.
    Happened(Index, u64, Number, Happening),
    /// A record is on the disk.
    Record(Index, u64, Number, ObjectId),
    /// A repair waits for its image's lock.
    Lock(Index, u64, Number),
    /// A look at the repairs that are due.
    Repairs(Index, u64),
    /// All of these owners must have been asked for the bytes by now.
    Impatient(Index, u64, Number, Vec<NodeId>),
    /// A node looks around.
    LookAround(Index, u64),
    Scrub(Index, u64),
    Upload,
    Read,
    /// A client reads what was answered a moment ago.
    ReadBack(ObjectId),
    Fault(Fault),
    /// A node ends with enough copies of an upload, before it answers.
    Crash(Index, u64),
    Heal(Fault),
    /// An operator changes something, drawn by the number.
    Edit(Index, u64),
    /// The restart of all nodes at that time was so long ago that they must know each other.
    Restarted(u64),
    /// And so long ago that repair would have begun.
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

/// A message on the wire. It is lost when either process ends before it arrives: a connection does not outlive
/// its ends.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: Index,
    pub(crate) from_boot: u64,
    pub(crate) to: Index,
    pub(crate) to_boot: u64,
    pub(crate) payload: Payload,
    /// Recorded and sent again by somebody else: what the answer was about.
    pub(crate) replay: Option<About>,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Core(Vec<u8>),
    /// That the sender does not take the other in: it rides on the answer to a message of that one.
    Refused(JoinRefusal),
    Ask(Number, Ask),
    Tell(Number, Tell),
}

/// A question of a shard to another node.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Put {
        id: ObjectId,
        content: Content,
        /// In place of an owner.
        misplaced: bool,
    },
    Get(ObjectId),
    /// Whether it is there.
    Has(ObjectId),
    /// Read your copy and say so.
    Verify(ObjectId),
    /// Everything that the asker has, to find what either lacks.
    Compare(Ids),
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
    Compared { hash: Option<SyncHash>, lacks: Ids, offers: Ids },
}

/// The outcome of an effect of a protocol machine.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Write(write::WriteOutcome),
    Read(read::ReadOutcome),
    Locate(locate::LocateOutcome),
    Variant(variant::VariantOutcome),
    Repair(repair::RepairOutcome),
}
