//! Erasure records that this node has missed, pulled from the other members.
//!
//! The protocol decides whom to ask and for which records ([`ErasureSync`]); here is only the work.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::Shard;
use super::driver::{Work, drive};
use crate::cluster::erasure::table::{BucketDigests, root};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::erasure_sync::{
    COMPARE_EVERY_MS, CompareTurn, ErasureSync, PageEnd, SyncEffect, SyncOutcome,
};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::auth::PeerMetadata;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::peer::erasure::{MORE, PageCall, parse_digests, parse_page};

impl Shard {
    /// Pulls what this node has missed, as long as it runs. Only the first shard does so, for all.
    pub(in crate::shard) async fn pull_erasures(self: Rc<Self>) {
        if self.index() != 0 {
            return;
        }
        let mut turn = CompareTurn::default();
        while !self.lifecycle.stopping.is_set() {
            glommio::timer::sleep(Duration::from_millis(COMPARE_EVERY_MS)).await;
            let view = self.view();
            if let Some(node) = turn.take(&view).filter(|_| view.is_joined()) {
                let machine = ErasureSync::new(node, self.node.erasures.digests());
                drive(&self, machine, |view, effect| Some(self.sync_with(view, effect))).await;
            }
        }
    }

    fn sync_with<'a>(self: &'a Rc<Self>, view: &Arc<View>, effect: SyncEffect) -> Work<'a, SyncOutcome> {
        let view = Arc::clone(view);
        Box::pin(async move {
            match effect {
                SyncEffect::AskDigests { node, within_ms } => {
                    let within = Duration::from_millis(within_ms);
                    SyncOutcome::Digests(self.digests_of(&view, node, within).await)
                }
                SyncEffect::AskPage { node, bucket, after, within_ms } => {
                    let within = Duration::from_millis(within_ms);
                    let page = PageCall { bucket, after };
                    SyncOutcome::Page(self.pull_page(&view, node, page, within).await)
                }
            }
        })
    }

    async fn digests_of(&self, view: &View, node: NodeId, within: Duration) -> Option<Box<BucketDigests>> {
        let call = Call::ErasureDigests(root(&self.node.erasures.digests()));
        let answer = self.ask(view, node, call, Outgoing::empty(), within).await.ok()?;
        if answer.status == call::GIVEN { parse_digests(&answer.bytes) } else { None }
    }

    async fn pull_page(
        self: &Rc<Self>,
        view: &View,
        node: NodeId,
        page: PageCall,
        within: Duration,
    ) -> Option<PageEnd> {
        let answer = self.ask(view, node, Call::ErasurePage(page), Outgoing::empty(), within).await.ok()?;
        let records = parse_page(&answer.bytes, page).filter(|_| answer.status == call::GIVEN)?;
        match self.learn(&records).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                log::warn!(node:% = node, error:% = error; "cannot record which images other members have deleted, so the node asks again; check the disk");
                return None;
            }
            Err(_) => return None,
        }
        Some(end(&records, PeerMetadata::new(&answer.metadata)))
    }
}

fn end<T>(records: &[(ObjectId, T)], metadata: PeerMetadata<'_>) -> PageEnd {
    match records.last() {
        Some((id, _)) if metadata.get(MORE) == Some("1") => PageEnd::More(*id),
        // Without a last id it would begin again without end.
        _ => PageEnd::Last,
    }
}
