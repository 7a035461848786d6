//! What an image says about itself, and who has it.

use std::rc::Rc;

use bytes::Bytes;

use super::super::Shard;
use super::super::several::Several;
use super::{ANSWER_MAX, NotFound};
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::LookupReply;
use crate::cluster::rules::read;
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
    pub async fn info_afar(self: &Rc<Self>, id: ObjectId, here: LookupReply) -> Result<Told, NotFound> {
        self.need_cluster()?;
        self.meet_owners(&id).await;
        let view = self.view();
        let mut search = self.begin_search(id, here);
        for node in read::placement_order(&view, &id).owners {
            match self.info_from(node, id).await {
                Ok(told) => return Ok(told),
                Err(said) => search.record(node, said),
            }
        }
        let node = self.go_on(id, &mut search).await?;
        self.info_from(node, id).await.map_err(|_| self.unproven())
    }

    async fn info_from(&self, node: NodeId, id: ObjectId) -> Result<Told, LookupReply> {
        let asked = self.ask(&self.view(), node, Call::Info(id), Outgoing::empty(), ANSWER_MAX).await;
        let answer = asked.map_err(|_| LookupReply::Unknown)?;
        match answer.status {
            call::GIVEN => Ok(Told::Info(answer.bytes)),
            call::IMPOSSIBLE => Ok(Told::Refused(call::read_problem(&answer.bytes).1)),
            call::LACKED => Err(self.ask_said(&self.view(), node, Call::Has(id)).await),
            _ => Err(LookupReply::Unknown),
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
        let mut asked = Several::new();
        for node in read::placement_order(&view, &id).owners {
            let view = &view;
            asked.push(async move { (node, self.ask_said(view, node, Call::Has(id)).await) });
        }
        while let Some((node, said)) = asked.next().await {
            holders.extend(
                view.member(node)
                    .filter(|_| said == LookupReply::Present)
                    .map(|member| member.name.to_string()),
            );
        }
        holders.sort();
        holders
    }
}
