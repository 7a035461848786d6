//! Everything that may reach a shard from another thread: closed enums, so this file lists all that can happen to a
//! shard's state.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::errors::PublishError;
use super::job::{CacheUse, JobKey, ResizeOutcome};
use super::variant::{Variant, VariantError, VariantRequest};
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::view::View;
use crate::image::placeholder::Placeholder;
use crate::object::{Format, ObjectId};
use crate::peer::requester::ClientAddress;
use crate::store::StoreError;
use crate::store::originals::{Described, Found, Original, Stamp};
use crate::telemetry::metrics::{ChannelMessage, channel};

/// A message in a shard's mailbox.
#[derive(Debug)]
pub enum Message {
    /// A request of another shard; the reply goes back under the same ticket.
    Request {
        /// The asking shard.
        from: usize,
        /// The asking shard's number for this question.
        ticket: u64,
        /// The request.
        request: ShardRequest,
    },
    /// Another shard's question for a variant is of no interest any more.
    Withdraw {
        /// The asking shard.
        from: usize,
        /// The number that the question had.
        ticket: u64,
    },
    /// The answer to a question of this shard.
    Reply {
        /// The number that the question had.
        ticket: u64,
        /// `None`: the asked shard failed while working on it.
        reply: Option<ShardReply>,
    },
    /// This shard's resize worker has ended a job.
    Made {
        /// The job's number.
        job: u64,
        /// Its outcome.
        outcome: ResizeOutcome,
        /// The time that the worker was busy with it.
        took: Duration,
        /// The processor time of that, the worker's and the helper process's.
        used: Duration,
    },
    /// The results of a job have been written to the disk cache, or could not be.
    Kept {
        /// The job's number.
        job: u64,
        /// The variant.
        name: JobKey,
        /// The files that it has written or read there.
        used: [Option<CacheUse>; 3],
        /// The placeholder that came of it, as the bytes to cache.
        placeholder: Option<Bytes>,
    },
    /// Control: the listener; requests may come.
    Listen(OwnedFd),
    /// Control: what this node believes of the cluster from now on. It waits for a report of the number before it
    /// sends another.
    SetView {
        /// The view.
        view: Arc<View>,
        /// Counts views, from 1.
        number: u64,
    },
    /// Control: answers close their connections from now on.
    Drain,
    /// Control: stop accepting, finish what runs; questions of other shards are still answered.
    Stop,
    /// Control: no shard has a connection any more, so nobody will ask.
    End,
}

impl Message {
    /// The kind under which a refusal is counted.
    pub const fn kind(&self) -> ChannelMessage {
        match self {
            Self::Request { .. } => ChannelMessage::Request,
            Self::Withdraw { .. } => ChannelMessage::Withdrawal,
            Self::Reply { .. } => ChannelMessage::Reply,
            Self::Made { .. } => ChannelMessage::Made,
            Self::Kept { .. } => ChannelMessage::Kept,
            Self::Listen(_) => ChannelMessage::Listen,
            Self::SetView { .. } => ChannelMessage::View,
            Self::Drain => ChannelMessage::Drain,
            Self::Stop => ChannelMessage::Stop,
            Self::End => ChannelMessage::End,
        }
    }

    /// Puts it into a mailbox without waiting. False: it was refused, and that is counted.
    pub fn post(self, mailbox: &flume::Sender<Self>) -> bool {
        let kind = self.kind();
        channel::try_send(mailbox, kind, self)
    }
}

/// A request to the shard that holds an id.
#[derive(Debug)]
pub enum ShardRequest {
    /// Is it here? What is remembered will do.
    Find(ObjectId),
    /// Is it here, by the disk's word?
    Look(ObjectId),
    /// The open file of the stored bytes.
    Open(ObjectId),
    /// When was the copy verified last?
    LastVerified(ObjectId),
    /// Make sure that the name of its file outlives a power cut.
    SyncName(ObjectId),
    /// The metadata of the image.
    Describe(ObjectId),
    /// Publish a received upload under its id.
    Publish(Publish),
    /// The file with this stamp was hashed whole, and is right or not.
    Verified(Verified),
    /// The placeholder of the image, if it is known.
    Placeholder(ObjectId),
    /// A variant, from the cache or made.
    Variant(Box<VariantRequest>),
    /// A variant if it is here already.
    Kept(Box<VariantRequest>),
    /// The stored file could be opened, and not read because of this.
    Unreadable(ObjectId, StoreError),
    /// An owner lacks its copy: the id is under-replicated and to be repaired.
    Repair(ObjectId),
    /// Repairs that a comparison or a walk has found.
    FoundRepairs(FoundRepairs),
    /// A variant to pre-generate when the worker has nothing else to do.
    PreGenerate(Box<VariantRequest>),
    /// Take these erasure records durably, all of ids that the shard holds, and erase what is gone.
    Learn(Vec<(ObjectId, ErasureRecord)>),
    /// Forget all responses of these images, whichever shard holds their ids.
    Forget(Arc<[ObjectId]>),
    /// Remove the variants of an image.
    Purge(ObjectId),
}

impl ShardRequest {
    /// The client that waits for it, where that may be long.
    pub fn client(&self) -> Option<ClientAddress> {
        match self {
            Self::Variant(ask) | Self::Kept(ask) => ask.requester.client(),
            _ => None,
        }
    }
}

/// The answer to the [`ShardRequest`] of the same name.
#[derive(Debug)]
pub enum ShardReply {
    /// To [`ShardRequest::SyncName`].
    Synced(Result<(), StoreError>),
    /// To [`ShardRequest::Find`] and [`ShardRequest::Look`].
    Found(Result<Found, StoreError>),
    /// To [`ShardRequest::LastVerified`].
    LastVerified(Option<SystemTime>),
    /// To [`ShardRequest::Open`].
    Opened(Result<Opened, StoreError>),
    /// To [`ShardRequest::Describe`].
    Described(Result<Described, StoreError>),
    /// To [`ShardRequest::Placeholder`].
    Placeholder(Option<Placeholder>),
    /// To [`ShardRequest::Publish`].
    Published(Result<Original, PublishError>),
    /// To [`ShardRequest::Verified`], [`ShardRequest::Unreadable`], [`ShardRequest::Repair`],
    /// [`ShardRequest::PreGenerate`] and [`ShardRequest::Forget`].
    Noted,
    /// To [`ShardRequest::FoundRepairs`]: how many more there is room for.
    Room(usize),
    /// To [`ShardRequest::Learn`]: the records are durable, and the images are erased soon.
    Learned(Result<(), StoreError>),
    /// To [`ShardRequest::Purge`].
    Purged(Result<(), StoreError>),
    /// To [`ShardRequest::Kept`].
    Kept(Option<Variant>),
    /// To [`ShardRequest::Variant`].
    Variant(Result<Variant, VariantError>),
}

/// Images to be repaired. Of one that this node lacks, the number of others that are likely to hold it; `None` of one that
/// it holds and does not own.
pub type FoundRepairs = Vec<(ObjectId, Option<usize>)>;

/// A received upload, synced under a temporary name that the receiver now is in charge of.
#[derive(Debug)]
pub struct Publish {
    /// The temporary file.
    pub temporary: PathBuf,
    /// SHA-1 of its bytes.
    pub id: ObjectId,
    /// By content.
    pub format: Format,
    /// The circumstances.
    pub how: PublishAs,
}

/// The circumstances under which an upload is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishAs {
    /// Whether its sender takes another node for its owner.
    pub stray: bool,
    /// The counter with which the image is live; 0 of one that was never deleted.
    pub live: u64,
    /// Whether this node takes it because it lacked its copy.
    pub is_repair: bool,
}

/// The result of hashing a whole file.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    /// The id it should have.
    pub id: ObjectId,
    /// Which format it is stored as.
    pub format: Format,
    /// Which file.
    pub stamp: Stamp,
    /// Whether its bytes have that id.
    pub right: bool,
}

/// An opened original.
#[derive(Debug)]
pub enum Opened {
    /// The file, its metadata, and whether it needs no hashing.
    Here(OwnedFd, Original, bool),
    /// There is none.
    Absent,
    /// Every copy here failed its hash.
    Damaged,
}
