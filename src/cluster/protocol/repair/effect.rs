//! The effects of a repair, and their outcomes.

use super::super::read::FetchReply;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;

/// An effect that the driver carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairEffect {
    /// Look at this node's own copy: [`RepairOutcome::Looked`].
    Look,
    /// Wait until few others read or send copies: [`RepairOutcome::TurnTaken`].
    TakeTurn,
    /// Let the next one read or send.
    YieldTurn,
    /// Read this node's own copy: [`RepairOutcome::OwnVerified`].
    VerifyOwn,
    /// Ask a node whether it has the image: [`RepairOutcome::Replied`].
    Ask {
        /// Which node.
        node: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Have an owner read its copy: [`RepairOutcome::Verified`].
    Verify {
        /// Which owner.
        owner: NodeId,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Send a copy: [`RepairOutcome::Given`].
    Give {
        /// To whom.
        to: NodeId,
        /// Whether it takes the copy in place of an owner.
        misplaced: bool,
        /// Time limit, in milliseconds.
        within_ms: u64,
    },
    /// Fetch the image from a node: [`RepairOutcome::Fetched`].
    Fetch {
        /// From which node.
        from: NodeId,
        /// Time limit for its beginning, in milliseconds.
        within_ms: u64,
    },
    /// Make what this node gave this node's own copy: [`RepairOutcome::TakenIn`].
    TakeIn(NodeId),
    /// Keep everybody else from changing this node's copy until the end: [`RepairOutcome::Locked`].
    Lock,
    /// Remove this node's copy, at once: [`RepairOutcome::Removed`].
    Remove,
    /// Strike the record out: [`RepairOutcome::Settled`].
    Settle,
}

/// The outcome of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairOutcome {
    /// The local copies of the image, and whether this node could store one now.
    Looked {
        /// Its copy.
        copy: OwnCopy,
        /// Whether the disk is well and has room.
        can_store: bool,
    },
    /// This one may read and send.
    TurnTaken,
    /// The result of reading this node's own copy.
    OwnVerified(OwnVerified),
    /// A node's reply; [`LookupReply::Unknown`] if it did not answer.
    Replied(NodeId, LookupReply),
    /// The owner's reply about its copy, which it read after the question, and its layout.
    Verified(NodeId, LookupReply, Option<LayoutHash>),
    /// Whether the copy is durable there.
    Given(NodeId, bool),
    /// The result of a fetch from a node.
    Fetched(NodeId, FetchReply),
    /// Whether the copy is durable here.
    TakenIn(bool),
    /// Whether the copy is still here.
    Locked {
        /// As the disk says now.
        is_here: bool,
    },
    /// Whether the copy is gone.
    Removed(bool),
    /// The record is struck out, if the disk is well.
    Settled,
}

/// A look at this node's own copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnCopy {
    /// It is there, with so many bytes.
    Here(u64),
    /// There is none, or a bad one was set aside.
    Lacking,
    /// It cannot be read.
    Unreadable,
    /// The disk does not say.
    Unknown,
    /// The image is deleted or banned.
    Erased,
}

/// The result of reading this node's own copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnVerified {
    /// It is right.
    Right,
    /// It was wrong and is set aside, or has gone meanwhile. That has a record of its own.
    Gone,
    /// It cannot be read.
    Unreadable,
    /// The disk does not say.
    Unknown,
}
