//! The use cases of a shard that need other nodes, for its own clients. A question of another node never comes here.
//!
//! * [`original`]: reads stored bytes, from this node or from another one. `read`: from another one.
//! * [`locate`]: finds an image, or proves that it is absent.
//! * [`describe`]: the metadata of an image, and the nodes that hold it.
//! * [`variant`]: variants, each made once in the cluster. [`gate`]: their questions to each node, fairly by client.
//! * [`mod@write`]: copies of an upload. [`erase`]: deletions and bans. `erasure_sync`: those that this node has missed.
//! * [`compare`]: this node's images beside those of every other member. [`excess`]: those that it does not own any more.
//!   [`moving`]: how much of what it is to own has come.
//! * [`driver`]: carries out the effects of the protocol machines of `cluster::protocol`.
//! * [`repair`]: hands misplaced replicas over to their owners, and supplies owners that lack their copy.
//! * [`listing`]: the images of all members.
//! * [`operate`]: changes of the layout, and where the copies of an image are. [`scrub`]: all copies are read back now.
//!
//! Invariants: only the rules of `cluster` decide which nodes are asked, by the current view; a node that is alone asks
//! none; every question has a deadline.

mod compare;
pub mod describe;
mod driver;
pub mod erase;
mod erasure_sync;
mod excess;
pub(super) mod gate;
pub mod listing;
pub mod locate;
mod moving;
pub mod operate;
pub mod original;
mod read;
mod repair;
pub mod scrub;
#[cfg(test)]
pub(crate) mod tests;
pub mod variant;
pub mod write;

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;

use super::Shard;
use super::control_link::MembershipStatus;
use super::errors::NotFound;
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::peer::erasure::read_record;
use crate::peer::error::PeerError;
use crate::peer::pool::{Address, PeerAnswer, PeerRequest, StreamedAnswer};

/// When this process began, by the shards' clock: that is its origin.
const STARTED: Time = Time::from_millis(0);

impl Shard {
    /// Whether there is any other member that could be asked.
    pub fn has_peers(&self) -> bool {
        let view = self.view();
        view.members().any(|(node, _)| node != view.this())
    }

    /// Whether what this node says of an image is all that can be said: it belongs to a cluster of which it is the only
    /// member. One that belongs to none cannot say that an image does not exist.
    pub fn is_whole_cluster(&self) -> bool {
        self.view().is_joined() && !self.has_peers()
    }

    /// Refuses where this node does not belong to its cluster: then it neither asks others nor says no.
    ///
    /// # Errors
    /// [`NotFound::NotJoined`]
    pub fn need_cluster(&self) -> Result<(), NotFound> {
        if self.view().is_joined() {
            return Ok(());
        }
        Err(NotFound::NotJoined(match self.node.control.membership_status() {
            // Control has heard a moment before this shard did, or the shard before it.
            MembershipStatus::Member => MembershipStatus::Joining,
            membership_status => membership_status,
        }))
    }

    /// Whether this node takes new copies, by the layout's word.
    pub fn takes_copies(&self) -> bool {
        let view = self.view();
        view.member(view.this()).is_some_and(|member| member.writable)
    }

    async fn ask(
        &self,
        view: &View,
        node: NodeId,
        call: Call,
        body: Outgoing,
        deadline: Duration,
    ) -> Result<PeerAnswer, PeerError> {
        let to = address(view, node).ok_or(PeerError::Unreachable)?;
        let answer =
            self.peers.pool.ask(&to, PeerRequest { call, layout: view.hash(), body }, deadline).await;
        note(node, answer.as_ref().err());
        answer
    }

    async fn open_afar(
        &self,
        view: &View,
        node: NodeId,
        call: Call,
        deadline: Duration,
    ) -> Result<StreamedAnswer, PeerError> {
        let to = address(view, node).ok_or(PeerError::Unreachable)?;
        let opened = self.peers.pool.open(&to, PeerRequest::new(call, view.hash()), deadline).await;
        note(node, opened.as_ref().err());
        opened
    }

    /// The result of this node's own disk, or `None` if it does not come within `patience`. Without another node to ask,
    /// it is waited for.
    async fn with_patience<T>(&self, patience: Duration, own: impl Future<Output = T>) -> Option<T> {
        let late = async {
            if !self.has_peers() {
                future::pending::<()>().await;
            }
            glommio::timer::sleep(patience).await;
            None
        };
        future::or(async { Some(own.await) }, late).await
    }

    /// Whether a node has an image; [`LookupReply::Unknown`] if it does not answer.
    async fn look_up(
        self: &Rc<Self>,
        view: &View,
        node: NodeId,
        id: ObjectId,
        within: Duration,
    ) -> LookupReply {
        match self.ask(view, node, Call::Has(id), Outgoing::empty(), within).await {
            Ok(answer) if answer.status == call::GIVEN => {
                let record = read_record(answer.metadata());
                self.heard(id, record, call::read_presence(answer.metadata())).await
            }
            Ok(_) | Err(_) => LookupReply::Unknown,
        }
    }

    /// Takes what another node knows of an image's deletions; then its reply, or that the image is gone as far as both
    /// know.
    async fn heard(self: &Rc<Self>, id: ObjectId, record: ErasureRecord, reply: LookupReply) -> LookupReply {
        // A record that cannot be written is heard again.
        let learned = self.learn(&[(id, record)]).await;
        match reply {
            _ if self.node.erasures.is_gone(&id) => LookupReply::Gone,
            // This node knows of a later upload. Or its journal fails, and it must not act on what it does not keep.
            LookupReply::Gone => LookupReply::Unknown,
            _ if !matches!(learned, Ok(Ok(()))) => LookupReply::Unknown,
            reply => reply,
        }
    }

    /// Refuses what is deleted or banned, before anything else is looked at.
    ///
    /// # Errors
    /// [`NotFound::Gone`]
    pub fn refuse_gone(&self, id: &ObjectId) -> Result<(), NotFound> {
        if self.node.erasures.is_gone(id) { Err(NotFound::Gone) } else { Ok(()) }
    }
}

fn address(view: &View, node: NodeId) -> Option<Address> {
    view.member(node).map(|member| Address { url: member.url.clone(), node: Some(node) })
}

fn note(node: NodeId, error: Option<&PeerError>) {
    if let Some(error) = error {
        log::debug!(node:% = node, error:% = error; "a peer did not answer");
    }
}
