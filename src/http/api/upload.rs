//! Uploads: `POST /` (a form), `POST /image` and `PUT /image/{id}` (the bytes).
//!
//! Received, hashed and inspected as it arrives, with one buffer of memory; synced, named and its
//! directory synced before the answer. After any refusal nothing of it remains.

mod form;
mod gate;

use std::rc::Rc;

use futures_lite::future;
use http::Request;
use http::header::CONTENT_LENGTH;
use hyper::body::{Body as _, Incoming};
use serde::Serialize;

use self::gate::{UploadGate, UploadPermit};
use super::endpoint::has_flag;
use super::negotiate;
use crate::cluster::erasure::Intent;
use crate::http::access::{AccessError, Caller, Grant};
use crate::http::exchange::{BodyState, Context, HandlerResponse};
use crate::http::receive;
use crate::http::reply::{self, Problem};
use crate::image::recipe::Recipe;
use crate::image::shape::Size;
use crate::object::{ObjectId, Spec};
use crate::peer::requester::{ClientAddress, Requester};
use crate::shard::control_link::MembershipStatus;
use crate::shard::latch::Latch;
use crate::shard::variant::{VariantError, VariantRequest};
use crate::store::health::DiskTrouble;
use crate::store::spool::{Spool, Spooled};

/// Bytes of a form beside the image: boundaries, field heads, the other fields.
const FORM_EXTRA_BYTES: u64 = 64 << 10;

#[derive(Serialize)]
struct UploadResponse {
    hash: String,
    length: u64,
    extension: &'static str,
    full_url: String,
    satisfied: bool,
    nodes: Vec<String>,
    width: u32,
    height: u32,
    /// The file tells where it was taken: left out where it does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    location: bool,
}

/// `POST /image` and `PUT /image/{id}`.
pub(super) async fn bytes(
    context: &Context,
    request: Request<Incoming>,
    expected: Option<ObjectId>,
    state: &mut BodyState,
) -> HandlerResponse {
    let received = async {
        let undelete = wants_undelete(&request);
        check_access(context, &request, undelete).map_err(Problem::Upload)?;
        admit(context, &request, 0)?;
        let client = context.client(request.headers());
        let permit = UploadPermit::take(context, client)?;
        require_room(context, request.body().size_hint().exact()).await?;
        context.link.timeouts.start_receiving();
        let mut spool = begin(context).await?;
        let mut body = request.into_body();
        while let Some(bytes) = receive::next(context, &mut body).await? {
            append(context, &mut spool, &bytes).await?;
        }
        *state = BodyState::Read;
        context.link.timeouts.start_work();
        let spooled = spool.finish().await.map_err(Problem::from)?;
        if expected.is_some_and(|expected| expected != spooled.id) {
            return Err(Problem::WrongId);
        }
        require_whole(context, &spooled, client).await?;
        lift_ban(context, spooled.id, undelete).await?;
        publish(context, spooled, permit).await
    };
    let received: Result<HandlerResponse, Problem> = received.await;
    received.unwrap_or_else(HandlerResponse::from)
}

/// `POST /`.
pub(super) async fn form(
    context: &Context,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> HandlerResponse {
    let received = async {
        let undelete = wants_undelete(&request);
        let granted = match check_access(context, &request, undelete) {
            Ok(grant) => Some(grant),
            Err(AccessError::NoKey) => None,
            Err(refusal) => return Err(Problem::Upload(refusal)),
        };
        admit(context, &request, FORM_EXTRA_BYTES)?;
        // A form without a proven key frees no room.
        require_room(context, granted.and_then(|_| request.body().size_hint().exact())).await?;
        let client = context.client(request.headers());
        let mut gate = UploadGate::new(context, granted, undelete, client)?;
        context.link.timeouts.start_receiving();
        let bytes_max = context.settings.upload_bytes_max + FORM_EXTRA_BYTES;
        let (form, ended) = form::Form::new(request, bytes_max, granted.is_some())?;
        let received = unless_lost(gate.on_lost(), form.receive(context, &mut gate)).await;
        if ended.get() {
            *state = BodyState::Read;
        }
        let form::Received { spool, hints } = received?;
        let permit = gate.permit()?;
        context.link.timeouts.start_work();
        let spooled = spool.finish().await?;
        require_whole(context, &spooled, client).await?;
        let ahead = resolve_hints(context, &spooled, &hints)?;
        lift_ban(context, spooled.id, undelete).await?;
        let answer = publish(context, spooled, permit).await?;
        context.shard.request_variants(ahead).await;
        Ok(answer)
    };
    let received: Result<HandlerResponse, Problem> = received.await;
    received.unwrap_or_else(HandlerResponse::from)
}

/// Waits for a form, but not past the moment when it loses its place.
async fn unless_lost<T>(
    lost: Option<Rc<Latch>>,
    received: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let Some(lost) = lost else { return received.await };
    let lost = async {
        lost.wait().await;
        Err(Problem::Busy("forms without a key"))
    };
    future::or(received, lost).await
}

/// Whether the upload is to bring back what was banned.
fn wants_undelete(request: &Request<Incoming>) -> bool {
    has_flag(request.uri().query(), "undelete")
}

/// Lifts the ban of an image whose upload asks for that, if there is one.
async fn lift_ban(context: &Context, id: ObjectId, undelete: bool) -> Result<(), Problem> {
    if undelete {
        context.shard.erase_image(id, Intent::Lift).await?;
    }
    Ok(())
}

/// Whether the request's head shows that its sender may upload.
fn check_access(
    context: &Context,
    request: &Request<Incoming>,
    undelete: bool,
) -> Result<Grant, AccessError> {
    context.access.upload(&Caller::new(request), undelete)
}

/// Refuses before the body is read what can be refused then.
fn admit(context: &Context, request: &Request<Incoming>, extra_bytes: u64) -> Result<(), Problem> {
    let bytes_max = context.settings.upload_bytes_max;
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max + extra_bytes) {
        return Err(Problem::TooLong(bytes_max));
    }
    let node = &context.shard.node;
    let membership_status = node.control.membership_status();
    if membership_status != MembershipStatus::Member {
        return Err(Problem::NotMember(membership_status));
    }
    // Where there are others, they take what this node does not.
    if !context.shard.takes_copies() && !context.shard.has_peers() {
        return Err(Problem::ReadOnly);
    }
    Ok(())
}

/// Has the variant cache make room for a body of this length, if that is known, and refuses what neither this node nor
/// another could store.
async fn require_room(context: &Context, length: Option<u64>) -> Result<(), Problem> {
    let shard = &context.shard;
    shard.make_room(length.unwrap_or(0)).await?;
    match shard.node.health.trouble() {
        // Where there are others, they take what this node does not.
        Some(_) if shard.has_peers() => Ok(()),
        Some(DiskTrouble::Full) => Err(Problem::DiskFull),
        Some(trouble) => Err(Problem::Unusable(trouble)),
        None => Ok(()),
    }
}

/// Starts to receive an image.
pub(super) async fn begin(context: &Context) -> Result<Spool, Problem> {
    Ok(context.shard.images.spools.begin_upload(context.shard.node.settings.limits).await?)
}

/// Takes a piece of an image, and gives other requests of the shard their turn.
pub(super) async fn append(context: &Context, spool: &mut Spool, bytes: &[u8]) -> Result<(), Problem> {
    if spool.length() + bytes.len() as u64 > context.settings.upload_bytes_max {
        return Err(Problem::TooLong(context.settings.upload_bytes_max));
    }
    // However long the disk takes, that is not the sender's silence.
    context.link.timeouts.start_work();
    let appended = spool.append(bytes).await;
    context.link.timeouts.start_receiving();
    appended?;
    glommio::executor().yield_if_needed().await;
    Ok(())
}

/// Refuses an image whose end was not found, unless all of it is there.
async fn require_whole(context: &Context, spooled: &Spooled, client: ClientAddress) -> Result<(), Problem> {
    let Some(doubt) = spooled.doubt else { return Ok(()) };
    match context.shard.require_whole(spooled, Requester::Client(client)).await {
        Err(VariantError::Fault(_) | VariantError::Panicked) => Err(Problem::BadImage(doubt.to_string())),
        walked => Ok(walked?),
    }
}

/// The variants that the hints mean, in the image's natural format.
fn resolve_hints(
    context: &Context,
    spooled: &Spooled,
    hints: &[Spec],
) -> Result<Vec<VariantRequest>, Problem> {
    let format = negotiate::natural((&spooled.header).into());
    let stored = |hint: &Spec| hint.is_full_plain() && format == spooled.header.format;
    let ask = |hint: &Spec| {
        let recipe = Recipe::resolve(hint, format, &context.settings.recipe)
            .map_err(|error| Problem::BadSpec(format!("size_hints: {error}")))?;
        let (id, key) = (spooled.id, recipe.etag_key(&spooled.id));
        Ok(VariantRequest { id, key, recipe, requester: Requester::Background })
    };
    hints.iter().filter(|hint| !stored(hint)).map(ask).collect()
}

async fn publish(
    context: &Context,
    spooled: Spooled,
    permit: UploadPermit,
) -> Result<HandlerResponse, Problem> {
    let Spooled { id, length, header, has_location, .. } = spooled;
    let shard = Rc::clone(&context.shard);
    // Copies may be on their way after the answer, and count as an upload until they are there.
    let nodes = shard.write(spooled, permit).await?;
    log::debug!(object:% = id, length; "stored an image");
    let Size { width, height } = header.displayed();
    let extension = header.format.extension();
    let uploaded = UploadResponse {
        hash: id.to_string(),
        length,
        extension,
        full_url: format!("/image/{id}/full/image.{extension}"),
        satisfied: true,
        nodes,
        width,
        height,
        location: has_location,
    };
    Ok(reply::json(&uploaded).into())
}
