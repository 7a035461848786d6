//! From sockets to requests and back.
//!
//! * [`connection`]: accept, drive, linger, stop. [`admission`]: slots and waits.
//! * [`poller`]: which sockets are ready. [`listener`], [`socket`]: hyper's reads and writes on them.
//! * [`gate`]: one request at a time for hyper. [`framing`]: where requests end (pure).
//! * [`parser_errors`]: problem bodies for requests that hyper rejects by itself.
//! * [`timeouts`]: connection timeouts by one sweep per shard. [`pace`]: how fast a client must be (pure).

pub(super) mod admission;
mod connection;
pub(super) mod framing;
mod gate;
mod listener;
mod pace;
mod parser_errors;
mod poller;
mod sent_body;
mod socket;
pub(super) mod timeouts;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use self::admission::{ConnectionPermit, Remote, UnprovenPeers};
pub(super) use self::connection::serve;
use self::framing::{FramingError, Head};
use self::timeouts::ConnectionTimeouts;
use super::body::Body;

/// Answers the requests that the server reads. The server knows nothing of their meaning.
pub(super) trait Handler: 'static {
    /// State of one connection, kept by the handler.
    type Session: 'static;

    /// The state of a new connection.
    fn connect(&self) -> Self::Session;

    /// Answers one request. Never fails.
    fn answer(
        &self,
        link: &Link,
        session: &Self::Session,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + use<Self>;
}

/// Answers that the socket gives by itself, between two requests of hyper's.
pub(super) trait ImmediateAnswers {
    /// Answers a request without a body, if that can be done at once: writes the head over `out` and returns the body.
    /// The time is that of the answer.
    fn answer(&self, head: &Head<'_, '_>, out: &mut Vec<u8>) -> Option<(Bytes, Instant)>;

    /// The words for a request that is refused before hyper sees it.
    fn refuse(&self, fault: FramingError) -> Vec<u8>;
}

/// A connection that is served, as its handler sees it.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) timeouts: Rc<ConnectionTimeouts>,
    permit: Rc<ConnectionPermit>,
    /// The peers that have proven nothing yet, and this connection's far end.
    unproven_peers: Rc<UnprovenPeers>,
    remote: Rc<Remote>,
}

impl Link {
    /// The other end of the connection: a client, or a proxy. `None` where it is gone already.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.remote.address
    }

    /// It has proven to be another node's.
    pub(super) fn mark_proven_peer(&self) {
        self.permit.mark_proven_peer();
    }

    /// It says that it is another node's, and has to prove that soon. False: too many of its address do so.
    pub(super) fn mark_unproven_peer(&self) -> bool {
        self.permit.mark_unproven_peer(&self.unproven_peers, &self.remote)
    }
}
