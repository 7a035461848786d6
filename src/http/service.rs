//! Dispatch: which handler answers which endpoint, and what all answers have in common.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_lite::FutureExt;
use http::{Request, Response, Uri};
use hyper::body::Incoming;

use super::access::{Caller, cors};
use super::body::Body;
use super::endpoint::Endpoint;
use super::exchange::{BodyState, Context, HandlerResponse};
use super::presets::Presets;
use super::reply::{self, Problem};
use super::{cluster, download, exchange, fast_path, image, info, listing, status, upload};
use crate::executor::run_blocking;
use crate::shard::control_link::MembershipStatus;
use crate::shard::{Phase, Shard};
use crate::telemetry::metrics::Route;

/// Answers one request. Never fails: a panic is a 500, and counted as such.
pub(super) async fn answer(context: Context, request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    let is_looked_at = context.timeouts.start_request();
    let route = Endpoint::route(request.method(), request.uri().path());
    let negotiated = route == Route::Image && Endpoint::is_negotiated(request.uri().path());
    let plain = (!negotiated && fast_path::is_plain(&request)).then(|| request.uri().clone());
    let origin = context.access.origin(request.headers());
    let mut body = BodyState::of(&request);
    let answered = AssertUnwindSafe(async {
        if is_looked_at {
            dispatch(&context, request, &mut body).await
        } else {
            // hyper found a request where the gate saw none: the owner of these bytes is unknown.
            body = BodyState::Unread;
            Problem::Unreadable.into()
        }
    });
    let answered = answered.catch_unwind().await;
    let HandlerResponse { mut response, cache, hit, timings } = answered.unwrap_or_else(|_| {
        log::error!("a request panicked and was answered 500; please report the lines before this one");
        Problem::Internal.into()
    });
    let Context { shard, timeouts, fast_path, version, .. } = context;
    origin.mark(response.headers_mut());
    if negotiated {
        reply::vary_by_accept(&mut response);
    }
    if body == BodyState::Unread {
        timeouts.unread.set(true);
        reply::close(&mut response);
    } else if shard.node.phase() != Phase::Ready {
        reply::close(&mut response);
    }
    if let Some((uri, hit)) = plain.zip(hit) {
        fast_path.insert(uri.path(), &hit, &response, &origin, version);
    }
    let elapsed = started.elapsed();
    if route == Route::Image && reply::image_format(&response).is_some() {
        reply::timing(&mut response, elapsed, &timings);
    }
    shard.metrics.request(route, response.status().as_u16(), cache, elapsed);
    timeouts.start_sending();
    response.map(|body| body.meter(&shard.node.bodies).report_to(timeouts))
}

async fn dispatch(context: &Context, request: Request<Incoming>, body: &mut BodyState) -> HandlerResponse {
    let uri = request.uri();
    if cluster::is_peer_path(uri.path()) {
        return cluster::answer(context, request, body).await;
    }
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
        Endpoint::Delete(_) | Endpoint::Erasure(_) => Problem::NotImplemented("delete images").into(),
        Endpoint::Purge(_) => Problem::NotImplemented("purge variants").into(),
        Endpoint::Image(wanted) => {
            let answer = image::answer(context, &wanted, request.headers()).await;
            name_download(answer, uri)
        }
        Endpoint::Moved(location) => reply::redirect(location).into(),
        Endpoint::Info(id) => info::answer(context, id).await.unwrap_or_else(HandlerResponse::from),
        Endpoint::List(listing) => {
            listing::answer(&context.shard, listing).await.unwrap_or_else(HandlerResponse::from)
        }
        Endpoint::Health => reply::text("text/plain; charset=utf-8", b"ok\n".to_vec()).into(),
        Endpoint::Ready => ready(&context.shard),
        Endpoint::Metrics => metrics(&context.shard).await,
        Endpoint::Status => status::answer(&context.shard).await.unwrap_or_else(HandlerResponse::from),
    }
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

fn ready(shard: &Shard) -> HandlerResponse {
    let node = &shard.node;
    match (node.phase(), node.control.membership_status(), node.health.trouble()) {
        (Phase::Draining, ..) => Problem::Stopping.into(),
        (Phase::Ready, MembershipStatus::Member, None) => {
            reply::text("text/plain; charset=utf-8", b"ready\n".to_vec()).into()
        }
        // Without its store a node cannot be what its cluster takes it for.
        (Phase::Ready, _, Some(trouble)) => Problem::Unusable(trouble).into(),
        (Phase::Ready, membership_status, None) => Problem::NotMember(membership_status).into(),
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
