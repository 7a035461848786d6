//! Erasure records, given to and taken from other nodes.

use std::rc::Rc;

use super::{PeerRefusal, PeerResponse};
use crate::cluster::erasure::table::root;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::http::reply::Problem;
use crate::object::ObjectId;
use crate::peer::call;
use crate::peer::erasure::{
    EraseCall, MORE, PageCall, encode_digests, encode_page, held_metadata, record_metadata,
};
use crate::shard::Shard;
use crate::shard::erasures::Erasures;

/// The record of an image, and whether its files are gone.
pub(super) fn record(shard: &Shard, id: &ObjectId) -> PeerResponse {
    PeerResponse::metadata_only(held_metadata(shard.held_here(id)))
}

/// Takes a record: durable before the answer.
pub(super) async fn erase(shard: &Rc<Shard>, call: EraseCall) -> Result<PeerResponse, PeerRefusal> {
    let held = shard.take_record(call.id, call.record).await.ok_or(Problem::Disk)?;
    Ok(PeerResponse::metadata_only(held_metadata(held)))
}

/// The digests of the buckets, unless the other node has the same records.
pub(super) fn digests(erasures: &Erasures, theirs: u64) -> PeerResponse {
    let own = erasures.digests();
    let bytes = if root(&own) == theirs { Vec::new() } else { encode_digests(&own) };
    PeerResponse::with_bytes(String::new(), bytes)
}

/// A page of records.
pub(super) fn page(erasures: &Erasures, page: PageCall) -> PeerResponse {
    let found = erasures.page(page.bucket, page.after);
    let metadata = format!("{MORE}={}", u8::from(found.has_more));
    PeerResponse::with_bytes(metadata, encode_page(&found.records))
}

/// Whether the image is here, and what this node knows of its deletions.
pub(super) fn presence(shard: &Shard, id: &ObjectId, said: LookupReply) -> PeerResponse {
    PeerResponse::metadata_only(with_record(shard, id, call::presence_metadata(said)))
}

/// The image is deleted or banned, as far as this node knows.
pub(super) fn refuse_gone(shard: &Shard, id: &ObjectId) -> PeerRefusal {
    let metadata = with_record(shard, id, call::presence_metadata(LookupReply::Gone));
    PeerRefusal { problem: Problem::Gone, metadata }
}

/// Adds to an answer's metadata what this node knows of the image's deletions.
pub(super) fn with_record(shard: &Shard, id: &ObjectId, metadata: String) -> String {
    let record = record_metadata(shard.node.erasures.record(id));
    match (metadata.is_empty(), record.is_empty()) {
        (_, true) => metadata,
        (true, false) => record,
        (false, false) => format!("{metadata} {record}"),
    }
}

/// Removes the variants of an image on this node.
pub(super) async fn purge(shard: &Rc<Shard>, id: ObjectId) -> Result<PeerResponse, PeerRefusal> {
    shard.purge_here(id).await.map_err(Problem::from)?.map_err(Problem::from)?;
    Ok(PeerResponse::metadata_only(String::new()))
}
