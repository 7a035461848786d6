//! Stored bytes of an image that is not here, or not good here.
//!
//! The owners are asked in placement order, those in this node's zone first; while one takes its time, the next is
//! asked too, and the first that gives is taken. When no owner gives it, whoever may hold a copy all the same.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::future;

use super::super::Shard;
use super::super::bodies::BodyMemory;
use super::super::several::Several;
use super::{ANSWER_MAX, NotFound};
use crate::cluster::rules::absence::{AbsenceProof, LookupReply};
use crate::cluster::rules::read;
use crate::object::ObjectId;
use crate::peer::body::Stream;
use crate::peer::call::{self, Call, StoredMetadata};
use crate::peer::pool::{PeerError, StreamedAnswer};
use crate::telemetry::metrics::Stage;

/// How long one owner, or this node's own disk, is waited for before the next is asked too.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// Images up to this length are taken whole before any of it is given, so that another node can be asked still.
pub const WHOLE_BYTES_MAX: u64 = 1 << 20;

/// An image that another node gives.
#[derive(Debug)]
pub struct Fetched {
    /// What that node says of it.
    pub stored: StoredMetadata,
    /// Its bytes.
    pub body: FetchedBody,
}

/// The bytes of an image that another node gives.
#[derive(Debug)]
pub enum FetchedBody {
    /// All of a short one, proven.
    Whole(Bytes),
    /// A longer one, proven by its id as it comes.
    Stream(Box<Stream>),
}

impl Shard {
    /// The stored bytes from another node. `here` is what this one says of the image.
    ///
    /// # Errors
    /// [`NotFound`]
    pub async fn fetch(self: &Rc<Self>, id: ObjectId, here: LookupReply) -> Result<Fetched, NotFound> {
        self.need_cluster()?;
        let started = Instant::now();
        self.meet_owners(&id).await;
        let mut search = self.begin_search(id, here);
        let fetched = match self.fetch_from_owners(id, &mut search).await {
            Some(fetched) => Ok(fetched),
            None => self.fetch_from_others(id, &mut search).await,
        };
        self.metrics.stage(Stage::Peer, started.elapsed());
        fetched
    }

    async fn fetch_from_owners(self: &Rc<Self>, id: ObjectId, search: &mut AbsenceProof) -> Option<Fetched> {
        let view = self.view();
        let mut owners = read::nearest_order(&view, &id).owners.into_iter();
        let mut asked = Several::new();
        loop {
            let next = owners.next();
            let is_last = next.is_none();
            if let Some(node) = next {
                let (view, bodies) = (&view, &self.node.bodies);
                asked.push(async move {
                    (node, taken(bodies, self.open_afar(view, node, Call::Image(id), ANSWER_MAX).await).await)
                });
            }
            let patience = async {
                if is_last {
                    future::pending::<()>().await;
                }
                glommio::timer::sleep(PATIENCE).await;
                None
            };
            match future::or(async { Some(asked.next().await) }, patience).await {
                Some(Some((_, Ok(fetched)))) => return Some(fetched),
                Some(Some((node, Err(said)))) => search.record(node, said),
                // Nobody is left to be asked or waited for.
                Some(None) if is_last => return None,
                Some(None) | None => {}
            }
        }
    }

    async fn fetch_from_others(
        self: &Rc<Self>,
        id: ObjectId,
        search: &mut AbsenceProof,
    ) -> Result<Fetched, NotFound> {
        let node = self.go_on(id, search).await?;
        let opened = self.open_afar(&self.view(), node, Call::Image(id), ANSWER_MAX).await;
        taken(&self.node.bodies, opened).await.map_err(|_| self.unproven())
    }
}

/// The image, if that is what came.
async fn taken(
    bodies: &Arc<BodyMemory>,
    opened: Result<StreamedAnswer, PeerError>,
) -> Result<Fetched, LookupReply> {
    let mut opened = opened.map_err(|_| LookupReply::Unknown)?;
    if opened.status != call::GIVEN {
        return Err(call::read_presence(opened.metadata()));
    }
    let stored = StoredMetadata::parse(opened.metadata()).ok_or(LookupReply::Unknown)?;
    let charge = if stored.length > WHOLE_BYTES_MAX { None } else { bodies.reserve(stored.length) };
    let Some(charge) = charge else {
        if !opened.body.stand_aside() {
            return Err(LookupReply::Unknown);
        }
        return Ok(Fetched { stored, body: FetchedBody::Stream(opened.body) });
    };
    let bytes = opened.body.collect(WHOLE_BYTES_MAX as usize).await.map_err(|_| LookupReply::Unknown)?;
    Ok(Fetched { stored, body: FetchedBody::Whole(charge.hold(bytes)) })
}
