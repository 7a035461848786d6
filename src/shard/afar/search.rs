//! Whether an image is somewhere, or nowhere.

use std::rc::Rc;

use super::super::Shard;
use super::super::several::Several;
use super::NotFound;
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::{Absence, Finding, Said};
use crate::object::ObjectId;
use crate::peer::call::Call;
use crate::store::StoreError;
use crate::store::originals::Found;

impl Shard {
    /// What this node says of an image to a search: only "no such file" is a no, and a damaged copy proves nothing.
    pub fn said_here(&self, found: &Result<Found, StoreError>) -> Said {
        match found {
            Ok(Found::Here(_)) => Said::Yes,
            Ok(Found::Absent) => Said::No(self.view().trusted_to()),
            Ok(Found::Damaged) => Said::No(None),
            Err(_) => Said::Nothing,
        }
    }

    /// A search for an image of which this node says so.
    pub(super) fn begin_search(&self, id: ObjectId, here: Said) -> Absence {
        let mut search = Absence::new(id);
        // A copy that this node could not give is none that anybody could be sent to.
        search.say(self.view().this(), if here == Said::Yes { Said::Nothing } else { here });
        search
    }

    /// Asks until it is known who has the image, or that nobody has.
    ///
    /// # Errors
    /// [`NotFound`]
    pub(super) async fn go_on(
        self: &Rc<Self>,
        id: ObjectId,
        search: &mut Absence,
    ) -> Result<NodeId, NotFound> {
        loop {
            let view = self.view();
            match search.finding(&view) {
                Finding::Found(node) => return Ok(node),
                Finding::Absent => return Err(NotFound::Absent),
                Finding::Unproven => return Err(self.unproven()),
                Finding::Ask(nodes) => {
                    let mut asked = Several::new();
                    for node in nodes {
                        let view = &view;
                        asked.push(async move { (node, self.ask_said(view, node, Call::Has(id)).await) });
                    }
                    while let Some((node, said)) = asked.next().await {
                        search.say(node, said);
                        if said == Said::Yes {
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
    pub async fn exists_afar(self: &Rc<Self>, id: ObjectId, here: Said) -> Result<(), NotFound> {
        self.need_cluster()?;
        self.meet_owners(&id).await;
        let mut search = self.begin_search(id, here);
        self.go_on(id, &mut search).await.map(drop)
    }
}
