//! The images of the whole cluster, a page at a time: every id once, with how many members hold a copy.
//!
//! Each member lists its own store. The first ids of all are found among the first ids of each, so a page of the cluster
//! takes one page of every member. A page is no snapshot.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::super::Shard;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::ANSWER_MAX_MS;
use crate::cluster::view::View;
use crate::executor::run_blocking;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call, ListCall, StoredMetadata};
use crate::peer::listing::{StoredPage, sayable};
use crate::store::{StoreError, listing};

/// An image as the cluster lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterImage {
    /// Its id.
    pub id: ObjectId,
    /// The metadata from the nodes that hold it.
    pub stored: StoredMetadata,
    /// Members that have a copy in their store now, owners or not.
    pub copies: u32,
}

/// A part of the cluster's listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterPage {
    /// In order of ids.
    pub images: Vec<ClusterImage>,
    /// The id after which the next page begins; `None` on the last page.
    pub next: Option<ObjectId>,
    /// Names of members that did not answer: images that they alone hold are left out, and their copies not counted.
    pub unreachable: Vec<String>,
}

impl Shard {
    /// This node's own images.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be listed.
    pub async fn list_here(&self, after: Option<ObjectId>, limit: usize) -> Result<StoredPage, StoreError> {
        let paths = self.node.paths.clone();
        let page = run_blocking("list the images", move || listing::page(&paths, after, limit)).await;
        let page =
            page.map_err(|panicked| StoreError::new("list the images", io::Error::other(panicked)))??;
        let images = page.images.into_iter().map(|listed| {
            let uploaded = sayable(listed.modified);
            (listed.id, StoredMetadata { format: listed.format, length: listed.length, uploaded })
        });
        Ok(StoredPage { images: images.collect(), has_more: page.next.is_some() })
    }

    /// Up to `limit` images of the cluster behind `after`.
    ///
    /// # Errors
    /// [`StoreError`] when this node's store cannot be listed.
    pub async fn list(
        self: &Rc<Self>,
        after: Option<ObjectId>,
        limit: usize,
    ) -> Result<ClusterPage, StoreError> {
        let view = self.view();
        let mut pages = vec![self.list_here(after, limit).await?];
        let mut unreachable = Vec::new();
        for (node, page) in self.list_others(&view, after, limit).await {
            match page {
                Some(page) => pages.push(page),
                None => unreachable.extend(view.member(node).map(|member| member.name.to_string())),
            }
        }
        unreachable.sort();
        let mut page = merge(&pages, limit);
        // Their files are on their way out.
        page.images.retain(|image| !self.node.erasures.is_gone(&image.id));
        Ok(ClusterPage { unreachable, ..page })
    }

    /// The listing of every other member; `None` for one that does not answer as it should.
    async fn list_others(
        &self,
        view: &View,
        after: Option<ObjectId>,
        limit: usize,
    ) -> Vec<(NodeId, Option<StoredPage>)> {
        let others = view.members().map(|(node, _)| node).filter(|node| *node != view.this());
        let list = |node| async move { (node, self.list_of(view, node, ListCall { after, limit }).await) };
        let mut asked: FuturesUnordered<_> = others.map(list).collect();
        let mut pages = Vec::new();
        while let Some(page) = asked.next().await {
            pages.push(page);
        }
        pages
    }

    async fn list_of(&self, view: &View, node: NodeId, list: ListCall) -> Option<StoredPage> {
        let within = Duration::from_millis(ANSWER_MAX_MS);
        let answer = self.ask(view, node, Call::List(list), Outgoing::empty(), within).await.ok()?;
        if answer.status != call::GIVEN {
            return None;
        }
        StoredPage::parse(&answer.bytes, list.after, list.limit)
    }
}

/// The first `limit` images of all pages.
fn merge(pages: &[StoredPage], limit: usize) -> ClusterPage {
    // Behind the end of a page that is not its node's last, that node may have ids that are not known.
    let ends = pages.iter().filter(|page| page.has_more);
    let known_to = ends.filter_map(|page| page.images.last().map(|(id, _)| *id)).min();
    let mut found: BTreeMap<ObjectId, (StoredMetadata, u32)> = BTreeMap::new();
    for page in pages {
        for (id, stored) in page.images.iter().filter(|(id, _)| known_to.is_none_or(|end| *id <= end)) {
            let (_, copies) = found.entry(*id).or_insert((*stored, 0));
            *copies += 1;
        }
    }
    let has_more = known_to.is_some() || found.len() > limit;
    let images = found.into_iter().take(limit);
    let images: Vec<_> = images.map(|(id, (stored, copies))| ClusterImage { id, stored, copies }).collect();
    assert!(
        images.len() <= limit,
        "invariant: listing: a page of the cluster is no longer than was asked for"
    );
    let next = images.last().map(|image| image.id).filter(|_| has_more);
    ClusterPage { images, next, unreachable: Vec::new() }
}
