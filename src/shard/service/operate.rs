//! Calls of operators: changes of the layout, and where the copies of an image are.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::super::Shard;
use super::super::errors::{NotFound, OperateError};
use crate::cluster::node::{Label, NodeId};
use crate::cluster::operator::{LayoutOutcome, LayoutRequest};
use crate::cluster::protocol::ANSWER_MAX_MS;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::view::VersionOwners;
use crate::object::ObjectId;

/// The time that control has to make a change and to store the layout: a few syncs on a slow disk.
const OPERATE_WITHIN: Duration = Duration::from_secs(10);

/// The nodes that should have an image, and those that say that they have it.
#[derive(Clone, Debug)]
pub struct ImagePlacement {
    /// The owners by version: current, proposed, then staged where it differs.
    pub versions: Vec<VersionOwners>,
    /// The nodes that would be asked instead of an owner, the best first.
    pub fallbacks: Vec<NodeId>,
    /// Every member's name and its reply, asked now.
    pub members: BTreeMap<NodeId, (Label, LookupReply)>,
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
                let reply = if node == view.this() {
                    self.presence(id).await
                } else {
                    self.look_up(view, node, id, within).await
                };
                (node, (name, reply))
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
