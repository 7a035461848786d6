//! Calls of operators: changes of the layout, and where the copies of an image are.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use futures_lite::future;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::super::Shard;
use super::super::errors::{NotFound, OperateError};
use crate::cluster::node::{Label, NodeId};
use crate::cluster::operator::{LayoutOutcome, LayoutRequest};
use crate::cluster::protocol::ANSWER_MAX_MS;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::view::{VersionOwners, View};
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::peer::erasure::read_record;

/// The time that control has to make a change and to store the layout: a few syncs on a slow disk.
const OPERATE_WITHIN: Duration = Duration::from_secs(10);

/// The nodes that should have an image, and those that say that they have it.
#[derive(Clone, Debug)]
pub struct ImagePlacement {
    /// The owners by version: current, proposed, then staged where it differs.
    pub versions: Vec<VersionOwners>,
    /// The nodes that would be asked instead of an owner, the best first.
    pub fallbacks: Vec<NodeId>,
    /// Every member, asked now.
    pub members: BTreeMap<NodeId, MemberCopy>,
}

/// A member's reply about its copy.
#[derive(Clone, Debug)]
pub struct MemberCopy {
    /// Its name.
    pub name: Label,
    /// Whether it has one.
    pub reply: LookupReply,
    /// When it has verified it last; `None` where it does not know.
    pub verified: Option<SystemTime>,
}

impl Shard {
    /// Changes the layout as an operator asks. When this returns an outcome, the layout that contains it is durable on
    /// this node.
    ///
    /// # Errors
    /// [`OperateError`]. After `Late` the change may be made all the same.
    pub async fn operate(&self, request: LayoutRequest) -> Result<LayoutOutcome, OperateError> {
        let reply = self.node.control.operate(request).ok_or(OperateError::Busy)?;
        let outcome = async {
            match reply.recv_async().await {
                Ok(outcome) => outcome.map_err(OperateError::Refused),
                Err(flume::RecvError::Disconnected) => Err(OperateError::Busy),
            }
        };
        let late = async {
            glommio::timer::sleep(OPERATE_WITHIN).await;
            Err(OperateError::Late)
        };
        future::or(outcome, late).await
    }

    /// Whether this node has an image, and when it has verified its copy last.
    pub async fn presence_and_proof(self: &Rc<Self>, id: ObjectId) -> (LookupReply, Option<SystemTime>) {
        let reply = self.presence(id).await;
        let is_here = reply == LookupReply::Present;
        (reply, if is_here { self.last_verified(id).await } else { None })
    }

    /// The same of another node.
    async fn look_up_proof(
        self: &Rc<Self>,
        view: &View,
        node: NodeId,
        id: ObjectId,
        within: Duration,
    ) -> (LookupReply, Option<SystemTime>) {
        match self.ask(view, node, Call::Verified(id), Outgoing::empty(), within).await {
            Ok(answer) if answer.status == call::GIVEN => {
                let metadata = answer.metadata();
                let verified = call::read_verified(metadata);
                let reply = self.heard(id, read_record(metadata), call::read_presence(metadata)).await;
                (reply, verified.filter(|_| reply == LookupReply::Present))
            }
            Ok(_) | Err(_) => (LookupReply::Unknown, None),
        }
    }

    /// Asks every member now whether it has a copy of the image.
    ///
    /// # Errors
    /// [`NotFound::NotJoined`]
    pub async fn image_placement(self: &Rc<Self>, id: ObjectId) -> Result<ImagePlacement, NotFound> {
        self.need_cluster()?;
        let view = self.view();
        let within = Duration::from_millis(ANSWER_MAX_MS);
        let look_up = |node: NodeId, name: Label| {
            let view = &view;
            async move {
                let (reply, verified) = if node == view.this() {
                    self.presence_and_proof(id).await
                } else {
                    self.look_up_proof(view, node, id, within).await
                };
                (node, MemberCopy { name, reply, verified })
            }
        };
        let mut asked: FuturesUnordered<_> =
            view.members().map(|(node, member)| look_up(node, member.name.clone())).collect();
        let mut members = BTreeMap::new();
        while let Some((node, reply)) = asked.next().await {
            members.insert(node, reply);
        }
        Ok(ImagePlacement { versions: view.version_owners(&id), fallbacks: view.fallbacks(&id), members })
    }
}
