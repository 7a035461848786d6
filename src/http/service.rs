//! The way of every request: what all answers have in common.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use futures_lite::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;

use super::body::Body;
use super::exchange::{BodyState, Context, HandlerResponse, Peer};
use super::fast_path::{self, FastPath};
use super::live::Rules;
use super::reply::{self, Problem};
use super::server::{Handler, Link};
use super::{api, peer_api};
use crate::peer::auth::ServerHandshake;
use crate::peer::call;
use crate::shard::{Phase, Shard};
use crate::telemetry::metrics::Route;

/// All that is needed to answer the requests of a shard.
pub(super) struct HttpService {
    shard: Rc<Shard>,
    rules: Rc<Rules>,
    fast_path: Rc<FastPath>,
}

impl HttpService {
    pub(super) const fn new(shard: Rc<Shard>, rules: Rc<Rules>, fast_path: Rc<FastPath>) -> Self {
        Self { shard, rules, fast_path }
    }
}

impl Handler for HttpService {
    type Session = Peer;

    fn connect(&self) -> Peer {
        Rc::new(RefCell::new(ServerHandshake::new(self.shard.node.identity.clone())))
    }

    fn answer(
        &self,
        link: &Link,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + use<> {
        let (settings, access, version) = self.rules.current();
        let context = Context {
            shard: Rc::clone(&self.shard),
            settings,
            access,
            version,
            link: link.clone(),
            peer: Rc::clone(peer),
            unproven_forms: Rc::clone(self.rules.unproven_forms()),
        };
        answer(context, Rc::clone(&self.fast_path), request)
    }
}

/// Answers one request. A panic is a 500, and counted as such.
async fn answer(context: Context, fast_path: Rc<FastPath>, request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    let is_looked_at = context.link.timeouts.start_request();
    let route = api::Endpoint::route(request.method(), request.uri().path());
    let negotiated = route == Route::Image && api::Endpoint::is_negotiated(request.uri().path());
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
    let Context { shard, link: Link { timeouts, .. }, version, .. } = context;
    match route {
        Route::Image => origin.mark_image(response.headers_mut()),
        _ => origin.mark(response.headers_mut()),
    }
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
    response
}

async fn dispatch(context: &Context, request: Request<Incoming>, body: &mut BodyState) -> HandlerResponse {
    if call::is_peer_path(request.uri().path()) {
        peer_api::answer(context, request, body).await
    } else {
        api::answer(context, request, body).await
    }
}
