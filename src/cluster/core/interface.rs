//! The inputs of a core, and the actions that come out of it.

use std::sync::Arc;

use super::super::layout::{Copies, Layout, NewNode, SyncHash, Taken};
use super::super::node::{Label, NodeId, NodeUrl};
use super::super::view::View;
use super::refusal::JoinRefusal;

/// The settings of a node's core, constant since its start.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Nodes of another cluster name are not listened to.
    pub cluster: Label,
    /// This node's own entry when it joins, or founds, a cluster.
    pub about: NewNode,
    /// The copies that a new cluster wants.
    pub copies: Copies,
    /// Nodes to join; empty: this node founds a cluster alone, unless it has a layout. Fresh nodes that name each other
    /// found one together.
    pub join: Vec<NodeUrl>,
}

/// The state of a node when its process starts.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Its id.
    pub this: NodeId,
    /// One more than at its last start; durable before this.
    pub generation: u64,
    /// Random for this start.
    pub instance: u64,
    /// Seeds everything that is chosen at random.
    pub seed: u64,
    /// The layout that was last persisted.
    pub layout: Option<Layout>,
    /// Whether it ever had a layout. One that lost it founds nothing.
    pub was_member: bool,
    /// Whether its store holds any image. If it should and does not, nothing that this node says of absence counts
    /// until every member has synced since.
    pub holds_images: bool,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A deadline has come.
    Tick,
    /// A message of the core of this node arrived, which has proven to be that node.
    Message(NodeId, &'a [u8]),
    /// A node that received our message refuses, proven, to let this node join.
    Refused(JoinRefusal),
    /// [`Action::Persist`] of this number is durable.
    Persisted(u64),
    /// It is not: the core will ask again in a second.
    PersistFailed(u64),
    /// This node is in sync with the staged version of this hash. That means: all its shards work by a view with that
    /// version; and since then every other member that is counted on, under the same version, has given this node what
    /// it should have, and has taken from it what that one should have. While no member holds an image, the first of
    /// the two is enough.
    Synced(SyncHash),
    /// Whether the store holds any image; true before the first one is durable.
    HoldsImages(bool),
    /// The process is about to end.
    Leave,
}

/// Something to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send these bytes to this URL; no answer is awaited, loss is fine.
    Send {
        /// To whom.
        url: NodeUrl,
        /// The node that should be there; `None` where only the URL is known.
        node: Option<NodeId>,
        /// One body.
        bytes: Vec<u8>,
    },
    /// Keep this layout durably in place of the last one, then say so.
    Persist {
        /// For [`Input::Persisted`].
        sequence: u64,
        /// For [`Layout::decode`].
        bytes: Vec<u8>,
    },
    /// Answer this node, which has proven itself, with a refusal when it sends something again: it is no member, and
    /// so nothing is ever sent to it unasked.
    Refuse(NodeId, JoinRefusal),
    /// A new view: hand it to everybody.
    View(Arc<View>),
    /// Something worth a line in the log.
    Event(ClusterEvent),
}

/// An event that an operator may want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterEvent {
    /// This node joined a cluster.
    Joined,
    /// This node made the first layout of a cluster, with all nodes of its join list.
    Founded,
    /// It was refused; it goes on asking.
    JoinRefused(JoinRefusal),
    /// This node has refused another, which is no member.
    Refused(NodeId, JoinRefusal),
    /// Two members have one name or URL: this one's claim came second, so it owns nothing.
    ClaimRefused(NodeId, Taken),
    /// This one's claim is valid again.
    ClaimStands(NodeId),
    /// The other answers.
    Up(NodeId),
    /// The other does not answer.
    Down(NodeId),
    /// Every member acknowledged the proposed version: it is the only current one.
    Promoted,
    /// A message of another cluster came; nothing of it was used.
    ForeignCluster,
    /// Bytes that are no message came.
    Malformed,
    /// A layout came that cannot be merged.
    LayoutRefused,
    /// A message came whose sender is not the node that has proven itself.
    Impostor(NodeId),
    /// Another process has this node's id: both take no writes.
    DuplicateId,
    /// This node was removed forever.
    Removed,
    /// A node was marked out, or made active again, automatically.
    MarkOut(NodeId),
    /// A node is down for long, and an operator has to say whether it comes back.
    NeedsOperator(NodeId),
}
