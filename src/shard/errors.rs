//! Why a use case did not give what was asked: one type for each. That of variants is [`super::variant::VariantError`].

use super::control_link::MembershipStatus;
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::operator::LayoutRefusal;
use crate::store::StoreError;

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskError {
    /// Too many are under way, of all clients or of this one: try again in a moment.
    Full,
    /// The asked shard failed while working on it.
    Failed,
}

/// Why an image was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// It is proven to be nowhere.
    Absent,
    /// It may be where nobody answers, or where it cannot be read.
    Unproven,
    /// The same, and it may lie in this node's own store, which is not there.
    StoreMissing,
    /// This node does not belong to its cluster, for this reason, and so cannot say.
    NotJoined(MembershipStatus),
    /// It is deleted or banned.
    Gone,
}

/// Why there are no stored bytes of an image.
#[derive(Debug)]
pub enum ReadError {
    /// There is no image, as far as is known.
    NotFound(NotFound),
    /// It is stored, in another format than the wanted one.
    OtherFormat,
    /// Every copy that could be asked for failed its hash.
    Damaged,
    /// This node's disk could not say or give, and no other node can.
    Store(StoreError),
    /// Another shard of this node could not be asked.
    Ask(AskError),
}

/// Why there is no description of an image.
#[derive(Debug)]
pub enum DescribeError {
    /// Its bytes could not be read.
    Read(ReadError),
    /// It is no image any more by today's rules, in a sentence.
    Refused(String),
}

/// Why an upload is not answered with 200.
#[derive(Debug)]
pub enum WriteError {
    /// Another shard of this node failed.
    Ask(AskError),
    /// This node's disk, where no other node can do.
    Store(StoreError),
    /// Fewer nodes than are needed hold it: these.
    TooFew(Vec<String>),
    /// The image is banned.
    Banned,
    /// The image was deleted again and again while it was uploaded.
    Deleted,
}

/// Why a received image does not get its name here. Nothing new is visible.
#[derive(Debug)]
pub enum PublishError {
    /// This node's disk.
    Store(StoreError),
    /// The image is deleted or banned by this record, which the copy does not beat.
    Gone(ErasureRecord),
}

/// Why an image is not deleted, banned or freed, as far as is known.
#[derive(Debug)]
pub enum EraseError {
    /// Another shard of this node failed.
    Ask(AskError),
    /// This node does not belong to its cluster, and so cannot tell the others.
    NotJoined(MembershipStatus),
    /// Fewer owners than are needed have the record. It may be done all the same.
    TooFew,
    /// The image is not deleted.
    NotDeleted,
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why an operator's change of the layout is not answered with 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperateError {
    /// It was refused, and nothing was changed.
    Refused(LayoutRefusal),
    /// Too many calls wait for control; nothing was changed.
    Busy,
    /// The layout was not durable in time. The change may be made all the same.
    Late,
}

impl From<AskError> for ReadError {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<NotFound> for ReadError {
    fn from(not_found: NotFound) -> Self {
        Self::NotFound(not_found)
    }
}

impl<E: Into<ReadError>> From<E> for DescribeError {
    fn from(error: E) -> Self {
        Self::Read(error.into())
    }
}
