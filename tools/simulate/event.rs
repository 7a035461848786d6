//! What can happen in the world, and what nodes say to each other.

use reticulum::cluster::layout::{LayoutHash, SyncHash};
use reticulum::object::ObjectId;

use crate::disk::Content;
use crate::faults::Fault;

/// The number of a node in the world.
pub(crate) type Index = usize;

/// An operation or request, unique in the world.
pub(crate) type Number = u64;

/// What a question is about: its kind and its image.
pub(crate) type About = (u8, ObjectId);

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
    /// An operation ends, answered or not.
    Deadline(Index, u64, Number),
    /// The round of repairs.
    Repair(Index, u64),
    Scrub(Index, u64),
    Upload,
    Read,
    Fault(Fault),
    Heal(Fault),
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
    Ask(Number, Ask),
    Tell(Number, Tell),
}

/// What a shard asks another node.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Put(ObjectId, Content),
    Get(ObjectId),
    /// Read your copy and say so.
    Verify(ObjectId),
    /// Everything that the asker has, to find what either lacks.
    Compare(Vec<ObjectId>),
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Tell {
    Taken(LayoutHash),
    Refused,
    Have(Content),
    No(Option<SyncHash>),
    Receipt(LayoutHash),
    Compared { hash: Option<SyncHash>, lacks: Vec<ObjectId>, offers: Vec<ObjectId> },
}
