//! Stored bytes of an image that is not here, or not good here.
//!
//! The protocol decides whom to ask, and whose bytes are taken ([`Read`]); here is only the work.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::Shard;
use super::super::errors::NotFound;
use super::STARTED;
use super::driver::{Work, drive};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::WantedImage;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::read::{self, FetchReply, Read, ReadEffect, ReadOutcome, ReadPart};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::call::{self, Call, StoredMetadata};
use crate::peer::erasure::read_record;
use crate::peer::error::PeerError;
use crate::peer::pool::StreamedAnswer;
use crate::peer::stream::Stream;
use crate::shard::bodies::memory::BodyMemory;
use crate::telemetry::metrics::Stage;

/// Time to wait for this node's own disk before another node is asked too.
pub(super) const PATIENCE: Duration = Duration::from_millis(read::PATIENCE_MS);

/// Images up to this length are taken whole before any of it is given, so that another node can be asked still.
const WHOLE_BYTES_MAX: u64 = 1 << 20;

/// An image that another node gives.
#[derive(Debug)]
pub struct Fetched {
    /// The metadata from that node.
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

/// A part of an image from one node, or why that gives none.
pub(super) type FetchedFrom<T> = Result<T, FetchReply>;

impl Shard {
    /// The stored bytes from another node. `here` is what this one says of the image.
    ///
    /// # Errors
    /// [`NotFound`]
    pub async fn fetch(self: &Rc<Self>, id: ObjectId, here: LookupReply) -> Result<Fetched, NotFound> {
        self.need_cluster()?;
        let started = Instant::now();
        let machine = Read::new(WantedImage { id, here, started: STARTED }, ReadPart::Bytes);
        let fetched = self
            .drive_read(id, machine, |view, from, within| Box::pin(self.fetch_from(view, from, id, within)));
        let fetched = fetched.await;
        self.metrics.stage(Stage::Peer, started.elapsed());
        fetched
    }

    /// Drives a read whose part of the image `fetch` gets from one node.
    pub(super) async fn drive_read<'a, T: 'a>(
        self: &'a Rc<Self>,
        id: ObjectId,
        machine: Read,
        fetch: impl Fn(Arc<View>, NodeId, Duration) -> Work<'a, FetchedFrom<T>>,
    ) -> Result<T, NotFound> {
        let (given, mut answer) = (RefCell::new(Vec::new()), None);
        let fetch = &fetch;
        let perform = |view: &Arc<View>, effect| -> Option<Work<'_, ReadOutcome>> {
            let view = Arc::clone(view);
            match effect {
                ReadEffect::Fetch { from, within_ms } => {
                    let (work, given) = (fetch(view, from, Duration::from_millis(within_ms)), &given);
                    Some(Box::pin(async move { ReadOutcome::Fetched(from, keep(given, from, work.await)) }))
                }
                ReadEffect::Ask { node, within_ms } => Some(Box::pin(async move {
                    let within = Duration::from_millis(within_ms);
                    ReadOutcome::Replied(node, self.look_up(&view, node, id, within).await)
                })),
                ReadEffect::Give(from) => {
                    let mut given = given.borrow_mut();
                    let index = given.iter().position(|(node, _)| *node == from);
                    let (_, part) =
                        given.swap_remove(index.expect("invariant: read: a part that is given was fetched"));
                    assert!(answer.is_none(), "invariant: read: a read is answered once");
                    answer = Some(Ok(part));
                    None
                }
                ReadEffect::Fail(not_found) => {
                    assert!(answer.is_none(), "invariant: read: a read fails once, and not after its answer");
                    answer = Some(Err(self.not_found(not_found)));
                    None
                }
            }
        };
        drive(self, machine, perform).await;
        answer.expect("invariant: read: a read that has ended is answered")
    }

    pub(super) async fn fetch_from(
        self: &Rc<Self>,
        view: Arc<View>,
        from: NodeId,
        id: ObjectId,
        within: Duration,
    ) -> FetchedFrom<Fetched> {
        let opened = self.open_afar(&view, from, Call::Image(id), within).await;
        let opened = match opened {
            Ok(opened) => {
                let (record, reply) =
                    (read_record(opened.metadata()), call::read_presence(opened.metadata()));
                if self.heard(id, record, reply).await == LookupReply::Gone {
                    return Err(FetchReply::Refused(LookupReply::Gone));
                }
                Ok(opened)
            }
            failed => failed,
        };
        taken(&self.node.bodies, id, opened).await
    }
}

/// Keeps what a node gave until the protocol says whose part is taken.
fn keep<T>(given: &RefCell<Vec<(NodeId, T)>>, from: NodeId, fetched: FetchedFrom<T>) -> FetchReply {
    match fetched {
        Ok(part) => {
            given.borrow_mut().push((from, part));
            FetchReply::Given
        }
        Err(failed) => failed,
    }
}

/// The image, if that is what came.
async fn taken(
    bodies: &Arc<BodyMemory>,
    id: ObjectId,
    opened: Result<StreamedAnswer, PeerError>,
) -> FetchedFrom<Fetched> {
    const UNKNOWN: FetchReply = FetchReply::Refused(LookupReply::Unknown);
    let mut opened = opened.map_err(|_| UNKNOWN)?;
    if opened.status != call::GIVEN {
        return Err(FetchReply::Refused(call::read_presence(opened.metadata())));
    }
    // Bytes are proven by the id that was asked for, and by nothing that the other node names.
    if !opened.body.proves(id) {
        return Err(FetchReply::Broken);
    }
    let stored = StoredMetadata::parse(opened.metadata()).ok_or(UNKNOWN)?;
    let charge = if stored.length > WHOLE_BYTES_MAX { None } else { bodies.reserve(stored.length) };
    let Some(charge) = charge else {
        if !opened.body.stand_aside() {
            return Err(UNKNOWN);
        }
        return Ok(Fetched { stored, body: FetchedBody::Stream(opened.body) });
    };
    let bytes = opened.body.collect(WHOLE_BYTES_MAX as usize).await.map_err(|_| FetchReply::Broken)?;
    Ok(Fetched { stored, body: FetchedBody::Whole(charge.hold(bytes)) })
}
