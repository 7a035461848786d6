//! One request under way: the context that a handler gets and the response that it returns.

use std::cell::RefCell;
use std::rc::Rc;

use futures_lite::future;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body as _, Incoming};

use super::HttpSettings;
use super::access::unproven_forms::UnprovenForms;
use super::access::{Access, client};
use super::body::Body;
use super::fast_path::Hit;
use super::reply::Problem;
use super::server::Link;
use crate::peer::auth::ServerHandshake;
use crate::peer::requester::ClientAddress;
use crate::shard::Shard;
use crate::shard::timings::StageTimings;
use crate::store::OPERATION_MAX;
use crate::store::health::DiskTrouble;
use crate::telemetry::metrics::Cache;

/// A handler's response, and where its bytes came from.
pub(super) struct HandlerResponse {
    pub(super) response: Response<Body>,
    pub(super) cache: Cache,
    /// Set where the memory tier had it.
    pub(super) hit: Option<Hit>,
    /// The steps of a variant that was made for it.
    pub(super) timings: StageTimings,
}

/// The context of one request.
pub(super) struct Context {
    pub(super) shard: Rc<Shard>,
    pub(super) settings: Rc<HttpSettings>,
    pub(super) access: Rc<Access>,
    /// The number of the load that these rules come from.
    pub(super) version: u64,
    /// The connection.
    pub(super) link: Link,
    /// Its state where it is another node's.
    pub(super) peer: Peer,
    /// Forms of this shard that have shown no key yet.
    pub(super) unproven_forms: Rc<UnprovenForms>,
}

/// The handshake state of one connection.
pub(super) type Peer = Rc<RefCell<ServerHandshake>>;

impl Context {
    /// On whose behalf a request with these headers is worked on. Nothing that is answered from memory asks for it.
    pub(super) fn client(&self, headers: &HeaderMap) -> ClientAddress {
        let remote = self.link.address().unwrap_or(client::NOBODY);
        client::address(remote, headers, &self.settings.trusted_proxies)
    }
}

/// The progress of reading a request's body when the response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyState {
    /// All of it, or there is none.
    Read,
    /// Not all.
    Unread,
}

impl BodyState {
    pub(super) fn of(request: &Request<Incoming>) -> Self {
        if request.body().is_end_stream() { Self::Read } else { Self::Unread }
    }
}

impl From<Response<Body>> for HandlerResponse {
    fn from(response: Response<Body>) -> Self {
        Self { response, cache: Cache::None, hit: None, timings: StageTimings::default() }
    }
}

impl From<Problem> for HandlerResponse {
    fn from(problem: Problem) -> Self {
        Response::from(problem).into()
    }
}

/// Waits for work on the shard's blocking thread, which a disk that hangs may hold up.
///
/// # Errors
/// The [`Problem`] to answer with when it takes too long; the work is done later, for nobody.
pub(super) async fn aside<T>(work: impl Future<Output = T>) -> Result<T, Problem> {
    let late = async {
        glommio::timer::sleep(OPERATION_MAX).await;
        Err(Problem::Unusable(DiskTrouble::Hung))
    };
    future::or(async { Ok(work.await) }, late).await
}
