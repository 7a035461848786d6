//! Bodies that other nodes send: gossip messages for the control core, and copies of images.

use http::Request;
use hyper::body::{Body as _, Incoming};

use super::{PeerRefusal, PeerResponse, erasure};
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::node::NodeId;
use crate::http::exchange::{BodyState, Context};
use crate::http::receive;
use crate::http::reply::Problem;
use crate::image::header::Limits;
use crate::peer::auth::Digest;
use crate::peer::call::{self, Copy};
use crate::shard::control_link::GossipMessage;
use crate::shard::errors::PublishError;
use crate::shard::message::PublishAs;
use crate::store::health::DiskTrouble;

/// Bytes of one message between cores: a layout of all the nodes that a cluster may have is about half of it.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Bytes of an image, whatever this node would take from a client: the node that took it has judged that.
const COPY_BYTES_MAX: u64 = 4 << 30;

/// Bounds of a copy: it was taken by a node that may have had others.
const LIMITS: Limits = Limits { pixels_max: u64::MAX, frames_max: u32::MAX };

/// A message for the core, which reads it later.
pub(super) async fn gossip(
    context: &Context,
    from: NodeId,
    digest: Digest,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> Result<PeerResponse, PeerRefusal> {
    context.link.timeouts.start_receiving();
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = receive::next(context, &mut body).await? {
        if bytes.len() + piece.len() > MESSAGE_BYTES_MAX {
            return Err(Problem::TooLong(MESSAGE_BYTES_MAX as u64).into());
        }
        bytes.extend_from_slice(&piece);
    }
    *state = BodyState::Read;
    context.link.timeouts.start_work();
    if Digest::of(&bytes) != digest {
        return Err(reject_changed_body(context).into());
    }
    let control = &context.shard.node.control;
    // As of its last message: this one is read later.
    let refusal = control.refusals.of(from, control.now());
    if control.try_send(GossipMessage { from, bytes }) {
        Ok(PeerResponse::metadata_only(refusal.map(call::rejection_metadata).unwrap_or_default()))
    } else {
        Err(Problem::Busy("messages").into())
    }
}

/// A copy of an image: received, verified, synced, named, its directory synced before the answer.
pub(super) async fn copy(
    context: &Context,
    copy: Copy,
    digest: Digest,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> Result<PeerResponse, PeerRefusal> {
    // A body that is not announced as this image could be anything.
    if digest != Digest::Image(copy.id) {
        return Err(reject_changed_body(context).into());
    }
    let shard = &context.shard;
    if shard.node.erasures.record(&copy.id).merge(ErasureRecord::live(copy.live)).is_gone() {
        return Err(erasure::refuse_gone(shard, &copy.id));
    }
    if !shard.takes_copies() {
        return Err(Problem::ReadOnly.into());
    }
    shard.make_room(request.body().size_hint().exact().unwrap_or(0)).await.map_err(Problem::from)?;
    // The sender has other nodes to send it to.
    match shard.node.health.trouble() {
        Some(DiskTrouble::Full) => return Err(Problem::DiskFull.into()),
        Some(trouble) => return Err(Problem::Unusable(trouble).into()),
        None => {}
    }
    context.link.timeouts.start_receiving();
    let mut spool = shard.images.spools.begin(LIMITS).await.map_err(Problem::from)?;
    let mut body = request.into_body();
    while let Some(piece) = receive::next(context, &mut body).await? {
        if spool.length() + piece.len() as u64 > COPY_BYTES_MAX {
            return Err(Problem::TooLong(COPY_BYTES_MAX).into());
        }
        spool.append(&piece).await.map_err(Problem::from)?;
        glommio::executor().yield_if_needed().await;
    }
    *state = BodyState::Read;
    context.link.timeouts.start_work();
    spool.set_modified(copy.uploaded);
    let spooled = spool.finish().await.map_err(Problem::from)?;
    if spooled.id != copy.id {
        return Err(reject_changed_body(context).into());
    }
    let how = PublishAs { stray: copy.misplaced, live: copy.live, is_repair: false };
    match shard.publish(spooled, how).await.map_err(Problem::from)? {
        Ok(_) => {
            log::debug!(object:% = copy.id; "stored a replica");
            Ok(PeerResponse::metadata_only(erasure::with_record(shard, &copy.id, String::new())))
        }
        // It was deleted while it arrived.
        Err(PublishError::Gone(_)) => Err(erasure::refuse_gone(shard, &copy.id)),
        Err(PublishError::Store(error)) => Err(Problem::from(error).into()),
    }
}

/// The body is not the one that the proof names: the node accepts nothing more on this connection.
pub(super) fn reject_changed_body(context: &Context) -> Problem {
    context.peer.borrow_mut().end();
    Problem::Unsigned
}
