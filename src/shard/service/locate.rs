//! Whether an image is somewhere, or nowhere.

use std::rc::Rc;

use super::super::Shard;
use super::super::several::Several;
use super::NotFound;
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::{AbsenceProof, LookupReply, ProofStep};
use crate::object::ObjectId;
use crate::peer::call::Call;
use crate::store::StoreError;
use crate::store::originals::Found;

impl Shard {
    /// What this node says of an image to a search: only "no such file" is a no, and a damaged copy proves nothing.
    pub fn said_here(&self, found: &Result<Found, StoreError>) -> LookupReply {
        match found {
            Ok(Found::Here(_)) => LookupReply::Present,
            Ok(Found::Absent) => LookupReply::Absent(self.view().trusted_to()),
            Ok(Found::Damaged) => LookupReply::Absent(None),
            Err(_) => LookupReply::Unknown,
        }
    }

    /// A search for an image of which this node says so.
    pub(super) fn begin_search(&self, id: ObjectId, here: LookupReply) -> AbsenceProof {
        let mut search = AbsenceProof::new(id);
        // A copy that this node could not give is none that anybody could be sent to.
        search
            .say(self.view().this(), if here == LookupReply::Present { LookupReply::Unknown } else { here });
        search
    }

    /// Asks until it is known who has the image, or that nobody has.
    ///
    /// # Errors
    /// [`NotFound`]
    pub(super) async fn go_on(
        self: &Rc<Self>,
        id: ObjectId,
        search: &mut AbsenceProof,
    ) -> Result<NodeId, NotFound> {
        loop {
            let view = self.view();
            match search.next_step(&view) {
                ProofStep::Found(node) => return Ok(node),
                ProofStep::Absent => return Err(NotFound::Absent),
                ProofStep::Unproven => return Err(self.unproven()),
                ProofStep::Ask(nodes) => {
                    let mut asked = Several::new();
                    for node in nodes {
                        let view = &view;
                        asked.push(async move { (node, self.ask_said(view, node, Call::Has(id)).await) });
                    }
                    while let Some((node, said)) = asked.next().await {
                        search.record(node, said);
                        if said == LookupReply::Present {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Whether an image that is not here is on any other node.
    ///
    /// # Errors
    /// [`NotFound`]
    pub async fn exists_afar(self: &Rc<Self>, id: ObjectId, here: LookupReply) -> Result<(), NotFound> {
        self.need_cluster()?;
        self.meet_owners(&id).await;
        let mut search = self.begin_search(id, here);
        self.go_on(id, &mut search).await.map(drop)
    }
}
