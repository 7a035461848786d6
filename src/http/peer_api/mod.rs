//! `/cluster/v1/…`: the peer API. This node answers from its own disk and never forwards.
//!
//! Nothing is looked at before the request is authenticated, not even whether the route exists: anything else
//! is answered 401 and changes nothing. The answer is signed in turn. The handshake's state belongs to the
//! connection ([`Peer`](super::exchange::Peer)).

mod erasure;
mod receive;
#[cfg(test)]
mod tests;
mod variant;

use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;

use super::body::Body;
use super::exchange::{BodyState, Context, HandlerResponse};
use super::reply::{self, Problem};
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::object::ObjectId;
use crate::peer::auth::{self, AuthError, Digest, Question, SignedFields};
use crate::peer::call::{self, Call, ListCall};
use crate::shard::Shard;
use crate::shard::errors::{NotFound, ReadError};
use crate::shard::service::original::{OwnOriginal, Part, metadata_of};
use crate::store::originals::Found;

/// An authenticated request, except for its body.
struct ProvenRequest {
    call: Option<Call>,
    from: NodeId,
    digest: Digest,
}

/// A successful answer to another node.
struct PeerResponse {
    metadata: String,
    body: Body,
    digest: Digest,
}

/// A refusal to another node, with its metadata.
struct PeerRefusal {
    problem: Problem,
    metadata: String,
}

pub(super) async fn answer(
    context: &Context,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> HandlerResponse {
    match prove(context, &request) {
        Ok(proven) => {
            context.link.mark_proven_peer();
            let method = request.method().clone();
            let answered = dispatch(context, proven, request, state).await;
            sign(context, &method, answered).into()
        }
        Err(Unauthenticated::Challenged(response)) => (*response).into(),
        Err(Unauthenticated::Refused(mut response)) => {
            // A node opens another connection. Anybody else has no use for this one.
            context.link.timeouts.is_refused.set(true);
            reply::close(&mut response);
            (*response).into()
        }
    }
}

/// The answer to a request that proves nothing.
enum Unauthenticated {
    /// To a handshake: the next request can prove something.
    Challenged(Box<Response<Body>>),
    /// The connection ends.
    Refused(Box<Response<Body>>),
}

/// Whether the request is the next one of a node of this cluster; else the answer to it.
fn prove(context: &Context, request: &Request<Incoming>) -> Result<ProvenRequest, Unauthenticated> {
    let Context { shard, peer, .. } = context;
    let headers = request.headers();
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let refused = |refusal: AuthError| {
        shard.metrics.refuse_peer(refusal.into());
        warn_rejected_peer(context, refusal);
        log::debug!(reason:% = refusal; "rejected a request below /cluster/");
        Unauthenticated::Refused(Box::new(reply::unproven(reason(refusal))))
    };
    if target == call::HANDSHAKE_TARGET
        && *request.method() == Method::POST
        && let Some(handshake) = headers.get(auth::HANDSHAKE_HEADER)
    {
        let challenge = peer.borrow_mut().accept_handshake(handshake.as_bytes(), auth::nonce());
        return Err(match challenge {
            // It may have a client's place, and is nevertheless one that has to prove itself soon.
            Ok(_) if !context.link.mark_unproven_peer() => Unauthenticated::Refused(Box::new(
                Problem::Busy("unproven connections of this address").into(),
            )),
            Ok(challenge) => {
                let mut response = reply::unproven(None);
                insert(response.headers_mut(), auth::HANDSHAKE_HEADER, challenge);
                Unauthenticated::Challenged(Box::new(response))
            }
            Err(refusal) => refused(refusal),
        });
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let layout = text(auth::LAYOUT_HEADER).and_then(|text| LayoutHash::parse(text).ok());
    let fields = SignedFields { layout, metadata: text(auth::METADATA_HEADER).unwrap_or_default() };
    let question = Question { method: request.method().as_str(), target };
    let proof = headers.get(auth::PROOF_HEADER).map(HeaderValue::as_bytes);
    let (from, digest) = peer.borrow_mut().check(&question, &fields, proof).map_err(refused)?;
    Ok(ProvenRequest { call: Call::parse(question.method, target), from, digest })
}

/// Warns the operator, now and then, of nodes that would be accepted if both were configured alike: the other side says
/// the same in its own log. The address is all that is known of them, for nothing that they say is proven.
fn warn_rejected_peer(context: &Context, refusal: AuthError) {
    let control = &context.shard.node.control;
    let address = context.link.address().map(|address| address.to_string()).unwrap_or_default();
    match refusal {
        AuthError::Proof if control.may_log_stranger(0) => log::warn!(
            address;
            "rejected a node whose cluster.secrets do not include ours; if it belongs to this cluster, set the same on both"
        ),
        AuthError::Cluster if control.may_log_stranger(1) => log::warn!(
            address; "rejected a node of another cluster; if it belongs to this one, correct its cluster.name"
        ),
        _ => {}
    }
}

/// The cause that the asker may know.
fn reason(refusal: AuthError) -> Option<&'static str> {
    call::REASONS.into_iter().find(|(told, _)| *told == refusal).map(|(_, name)| name)
}

async fn dispatch(
    context: &Context,
    proven: ProvenRequest,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> Result<PeerResponse, PeerRefusal> {
    let ProvenRequest { call, from, digest } = proven;
    let call = call.ok_or(Problem::UnknownRoute)?;
    if !call.has_body() && digest != Digest::of(b"") {
        return Err(receive::reject_changed_body(context).into());
    }
    match call {
        Call::Gossip => receive::gossip(context, from, digest, request, state).await,
        Call::Copy(copy) => receive::copy(context, copy, digest, request, state).await,
        Call::Image(id) => send_stored(&context.shard, id).await,
        Call::Head(id) => {
            if context.shard.refuse_gone(&id).is_err() {
                return Err(erasure::refuse_gone(&context.shard, &id));
            }
            match context.shard.look(id).await.map_err(Problem::from)?.map_err(Problem::from)? {
                Found::Here(original) => {
                    let metadata = metadata_of(&original).metadata();
                    Ok(PeerResponse::metadata_only(erasure::with_record(&context.shard, &id, metadata)))
                }
                found => Err(refuse_absent(&context.shard, found)),
            }
        }
        Call::Variant(asked) => variant::answer(context, asked).await,
        Call::Has(id) => {
            let said = context.shard.presence(id).await;
            Ok(erasure::presence(&context.shard, &id, said))
        }
        Call::Verified(id) => {
            let (said, at) = context.shard.presence_and_proof(id).await;
            let metadata = call::verified_metadata(said, at);
            Ok(PeerResponse::metadata_only(erasure::with_record(&context.shard, &id, metadata)))
        }
        Call::Receipt(id, live) => receipt(&context.shard, id, live).await,
        Call::List(ListCall { after, limit }) => {
            let page = context.shard.list_here(after, limit).await.map_err(Problem::from)?;
            Ok(PeerResponse::with_bytes(String::new(), page.encode()))
        }
        Call::Compare(call) => match context.shard.describe_images(from, call).await {
            Some((version, answer)) => Ok(PeerResponse::with_bytes(String::new(), answer.encode(version))),
            None => Err(Problem::Busy("comparisons").into()),
        },
        Call::Info(id) => {
            if context.shard.refuse_gone(&id).is_err() {
                return Err(erasure::refuse_gone(&context.shard, &id));
            }
            let description = context.shard.describe_own(id).await.map_err(Problem::from)?;
            let json = serde_json::to_vec(&description).expect("plain fields always serialise");
            Ok(PeerResponse::with_bytes(erasure::with_record(&context.shard, &id, String::new()), json))
        }
        Call::Erasure(id) => Ok(erasure::record(&context.shard, &id)),
        Call::Erase(call) => erasure::erase(&context.shard, call).await,
        Call::ErasureDigests(theirs) => Ok(erasure::digests(&context.shard.node.erasures, theirs)),
        Call::ErasurePage(page) => Ok(erasure::page(&context.shard.node.erasures, page)),
        Call::Purge(id) => erasure::purge(&context.shard, id).await,
        Call::BeginScrub => {
            context.shard.begin_scrub_here();
            Ok(PeerResponse::metadata_only(String::new()))
        }
        Call::Scrub => {
            let json =
                serde_json::to_vec(&context.shard.scrub_here()).expect("plain fields always serialise");
            Ok(PeerResponse::with_bytes(String::new(), json))
        }
    }
}

/// Reads this node's copy, which is live with this counter from now on: the asker goes by that.
async fn receipt(shard: &Rc<Shard>, id: ObjectId, live: u64) -> Result<PeerResponse, PeerRefusal> {
    let record = ErasureRecord::live(live);
    // A banned image is not live when its ban is lifted.
    if !shard.node.erasures.record(&id).merge(record).is_gone() {
        shard.learn(&[(id, record)]).await.map_err(Problem::from)?.map_err(Problem::from)?;
    }
    let said = shard.verify_own(id).await;
    Ok(erasure::presence(shard, &id, said))
}

/// The stored bytes, which the other node proves for itself; what is known to be wrong is not sent to the end.
async fn send_stored(shard: &Rc<Shard>, id: ObjectId) -> Result<PeerResponse, PeerRefusal> {
    match shard.read_own(id, None, &|_| Part::Whole).await {
        Ok(OwnOriginal { stored, bytes }) => {
            let metadata = erasure::with_record(shard, &id, stored.metadata());
            Ok(PeerResponse { metadata, body: bytes.into(), digest: Digest::Image(id) })
        }
        Err(ReadError::NotFound(NotFound::Gone)) => Err(erasure::refuse_gone(shard, &id)),
        Err(ReadError::NotFound(NotFound::Absent)) => Err(refuse_absent(shard, Found::Absent)),
        Err(ReadError::Damaged) => Err(refuse_absent(shard, Found::Damaged)),
        Err(error) => Err(Problem::from(error).into()),
    }
}

/// There is no good copy here: the metadata says what that is worth where absence is to be proven.
fn refuse_absent(shard: &Shard, found: Found) -> PeerRefusal {
    let problem = if found == Found::Damaged { Problem::Damaged } else { Problem::Absent };
    PeerRefusal { problem, metadata: call::presence_metadata(shard.said_here(&Ok(found))) }
}

/// The answer, with a proof that it is this node's to this request.
fn sign(context: &Context, method: &Method, answered: Result<PeerResponse, PeerRefusal>) -> Response<Body> {
    let layout = context.shard.view().hash();
    let (mut response, metadata, digest) = match answered {
        Ok(PeerResponse { metadata, body, digest }) => (reply::peer_response(body), metadata, digest),
        Err(PeerRefusal { problem, metadata }) => {
            let (response, bytes) = reply::problem_with_bytes(problem);
            (response, metadata, Digest::of(&bytes))
        }
    };
    let digest = if *method == Method::HEAD { Digest::of(b"") } else { digest };
    let fields = SignedFields { layout: Some(layout), metadata: &metadata };
    // Without a proof the other node accepts nothing of it: the body was not the announced one.
    let Some(proof) = context.peer.borrow().sign(response.status().as_u16(), &fields, digest) else {
        return reply::unproven(None);
    };
    let headers = response.headers_mut();
    insert(headers, auth::PROOF_HEADER, proof.to_string());
    insert(headers, auth::LAYOUT_HEADER, layout.to_string());
    if !metadata.is_empty() {
        insert(headers, auth::METADATA_HEADER, metadata);
    }
    response
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: String) {
    // Texts made in the module `peer` are ASCII without control characters.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

impl PeerResponse {
    /// Metadata without a body.
    fn metadata_only(metadata: String) -> Self {
        Self::with_bytes(metadata, Vec::new())
    }

    fn with_bytes(metadata: String, bytes: Vec<u8>) -> Self {
        Self { metadata, digest: Digest::of(&bytes), body: Body::bytes(bytes) }
    }
}

impl From<Problem> for PeerRefusal {
    fn from(problem: Problem) -> Self {
        Self { problem, metadata: String::new() }
    }
}
