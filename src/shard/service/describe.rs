//! What an image says about itself, and who has it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::super::Shard;
use super::driver::Work;
use super::read::FetchedFrom;
use super::{NotFound, STARTED};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::ANSWER_MAX_MS;
use crate::cluster::protocol::locate::WantedImage;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::read::order::placement_order;
use crate::cluster::protocol::read::{FetchReply, Read, ReadPart};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::store::originals::Found;

/// What another node says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// As it answers a client: JSON.
    Info(Bytes),
    /// It is no image any more by today's rules, in a sentence.
    Refused(String),
}

impl Shard {
    /// What another node says of an image that is not here. `here` is what this one says.
    ///
    /// # Errors
    /// [`NotFound`]
    pub async fn fetch_info(self: &Rc<Self>, id: ObjectId, here: LookupReply) -> Result<Told, NotFound> {
        self.need_cluster()?;
        let machine = Read::new(WantedImage { id, here, started: STARTED }, ReadPart::Description);
        let info = |view, from, within| -> Work<'_, _> { Box::pin(self.info_from(view, from, id, within)) };
        self.drive_read(id, machine, info).await
    }

    async fn info_from(
        &self,
        view: Arc<View>,
        node: NodeId,
        id: ObjectId,
        within: Duration,
    ) -> FetchedFrom<Told> {
        let asked = self.ask(&view, node, Call::Info(id), Outgoing::empty(), within).await;
        let answer = asked.map_err(|_| FetchReply::Refused(LookupReply::Unknown))?;
        match answer.status {
            call::GIVEN => Ok(Told::Info(answer.bytes)),
            call::IMPOSSIBLE => Ok(Told::Refused(call::read_problem(&answer.bytes).1)),
            call::LACKED => Err(FetchReply::Lacking),
            _ => Err(FetchReply::Refused(LookupReply::Unknown)),
        }
    }

    /// The names of the owners that have the image, and of this node if it has it.
    pub async fn holders(self: &Rc<Self>, id: ObjectId) -> Vec<String> {
        let view = self.view();
        let mut holders = Vec::new();
        if matches!(self.look(id).await, Ok(Ok(Found::Here(_)))) {
            holders.push(self.node.name.clone());
        }
        if self.need_cluster().is_err() {
            return holders;
        }
        let within = Duration::from_millis(ANSWER_MAX_MS);
        let mut asked: FuturesUnordered<_> = placement_order(&view, &id)
            .owners
            .into_iter()
            .map(|node| {
                let view = &view;
                async move { (node, self.look_up(view, node, Call::Has(id), within).await) }
            })
            .collect();
        while let Some((node, reply)) = asked.next().await {
            let member = view.member(node).filter(|_| reply == LookupReply::Present);
            holders.extend(member.map(|member| member.name.to_string()));
        }
        holders.sort();
        assert!(
            holders.len() <= view.members().count() + 1,
            "invariant: describe: each node holds one copy at most"
        );
        holders
    }
}
