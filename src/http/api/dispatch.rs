//! Dispatch: which handler answers which endpoint.

use http::header::RANGE;
use http::{Method, Request, Uri};
use hyper::body::Incoming;

use super::endpoint::{Endpoint, has_flag};
use super::presets::Presets;
use super::{
    download, erasure, image, info, layout, layout_change, listing, placement, scrub, status, upload,
};
use crate::cluster::erasure::Intent;
use crate::executor::run_blocking;
use crate::http::access::{AccessError, Caller, Right, cors};
use crate::http::exchange::{self, BodyState, Context, HandlerResponse};
use crate::http::reply::{self, Problem};
use crate::image::recipe::Originals;
use crate::shard::control_link::MembershipStatus;
use crate::shard::{Phase, Shard};

/// Answers one request of a client.
pub(in crate::http) async fn answer(
    context: &Context,
    mut request: Request<Incoming>,
    body: &mut BodyState,
) -> HandlerResponse {
    // A range is defined for GET alone: HEAD tells the headers of the whole.
    if request.method() != Method::GET {
        request.headers_mut().remove(RANGE);
    }
    let uri = request.uri();
    if cors::is_preflight(request.method(), request.headers()) {
        return Endpoint::methods(uri.path())
            .map_or_else(HandlerResponse::from, |all| reply::preflight(all).into());
    }
    let signing = context.access.signing(uri.path(), uri.query());
    let presets = Presets::of(&context.settings);
    let endpoint = match Endpoint::parse(request.method(), uri.path(), uri.query(), signing, presets) {
        Ok(endpoint) => endpoint,
        Err(problem) => return problem.into(),
    };
    if let Err(refusal) = context.access.check(endpoint.right(), &Caller::new(&request)) {
        return Problem::Call(refusal).into();
    }
    match endpoint {
        Endpoint::UploadForm => upload::form(context, request, body).await,
        Endpoint::UploadBytes => upload::bytes(context, request, None, body).await,
        Endpoint::UploadAs(id) => upload::bytes(context, request, Some(id), body).await,
        Endpoint::Delete(id) => erasure::delete(&context.shard, id, Intent::Delete).await,
        Endpoint::Ban(id) => erasure::delete(&context.shard, id, Intent::Ban).await,
        Endpoint::Undelete(id) => erasure::undelete(&context.shard, id).await,
        Endpoint::Erasure(id) => erasure::status(&context.shard, id).await,
        Endpoint::Purge(id) => erasure::purge(&context.shard, id).await,
        Endpoint::Image(wanted) => {
            let trust = match trust(context, &request) {
                Ok(trust) => trust,
                Err(refusal) => return Problem::Call(refusal).into(),
            };
            let answer = image::answer(context, &wanted, trust, request.headers()).await;
            name_download(answer, uri)
        }
        Endpoint::Moved(location) => reply::redirect(location).into(),
        Endpoint::Info(id) => info::answer(context, id).await.unwrap_or_else(HandlerResponse::from),
        Endpoint::List(listing) => {
            listing::answer(&context.shard, listing).await.unwrap_or_else(HandlerResponse::from)
        }
        Endpoint::Health => reply::text("text/plain; charset=utf-8", b"ok\n".to_vec()).into(),
        Endpoint::Ready => {
            // Strangers hear why a node is not ready, but no addresses.
            let is_operator = context.access.check(Right::Operate, &Caller::new(&request)).is_ok();
            ready(&context.shard, is_operator)
        }
        Endpoint::Metrics => metrics(&context.shard).await,
        Endpoint::Status => status::answer(&context.shard).await.unwrap_or_else(HandlerResponse::from),
        Endpoint::Layout => layout::answer(&context.shard).await.unwrap_or_else(HandlerResponse::from),
        Endpoint::ChangeNode(node) => layout_change::node(context, node, request, body).await,
        Endpoint::ChangeCluster => layout_change::cluster(context, request, body).await,
        Endpoint::BeginScrub => scrub::begin(&context.shard).await.unwrap_or_else(HandlerResponse::from),
        Endpoint::Scrub => scrub::progress(&context.shard).await.unwrap_or_else(HandlerResponse::from),
        Endpoint::Placement(id) => {
            placement::answer(&context.shard, id).await.unwrap_or_else(HandlerResponse::from)
        }
    }
}

/// The rights of the caller of an image, beside everybody's. A key is looked at only where it matters.
fn trust(context: &Context, request: &Request<Incoming>) -> Result<image::Trust, AccessError> {
    let asks = has_flag(request.uri().query(), "original");
    if !asks && context.settings.recipe.originals == Originals::AsIs {
        return Ok(image::Trust { metadata: false, original: false });
    }
    let is_operator = match context.access.check(Right::Operate, &Caller::new(request)) {
        Ok(()) => true,
        Err(refusal @ AccessError::WrongKey) => return Err(refusal),
        Err(_) => false,
    };
    Ok(image::Trust { metadata: is_operator, original: is_operator && asks })
}

/// The answer, as a download if the URL says so.
fn name_download(mut answer: HandlerResponse, uri: &Uri) -> HandlerResponse {
    let Some(query) = uri.query() else { return answer };
    let format = reply::image_format(&answer.response);
    let disposition = format.and_then(|format| download::disposition(uri.path(), query, format.extension()));
    if let Some(disposition) = disposition {
        reply::download(&mut answer.response, disposition);
    }
    answer
}

fn ready(shard: &Shard, is_operator: bool) -> HandlerResponse {
    let node = &shard.node;
    match (node.phase(), node.control.membership_status(), node.health.trouble()) {
        (Phase::Draining, ..) => Problem::Stopping.into(),
        (Phase::Ready, MembershipStatus::Member, None) => {
            let mut text = "ready\n".to_owned();
            for note in status::notes(&shard.view(), &node.control.stats.newest()) {
                text.push_str(&format!("note: {note}\n"));
            }
            reply::text("text/plain; charset=utf-8", text.into_bytes()).into()
        }
        // Without its store a node cannot be what its cluster takes it for.
        (Phase::Ready, _, Some(trouble)) => Problem::Unusable(trouble).into(),
        (Phase::Ready, membership_status, None) => {
            let mut sentence = membership_status.sentence().to_owned();
            let joining = node.control.stats.newest().joining.clone();
            if let Some(joining) = joining.filter(|it| is_operator && !it.is_empty()) {
                sentence.push_str(&format!(" Asked: {joining}."));
            }
            Problem::NotReady(membership_status, sentence).into()
        }
    }
}

async fn metrics(shard: &Shard) -> HandlerResponse {
    let node = shard.node.clone();
    // Reads /proc.
    match exchange::aside(run_blocking("scrape the metrics", move || node.metrics.scrape())).await {
        Ok(Ok((media_type, text))) => reply::text(&media_type, text).into(),
        Ok(Err(panicked)) => Problem::from(panicked).into(),
        Err(problem) => problem.into(),
    }
}
