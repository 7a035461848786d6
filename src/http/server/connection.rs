//! Accepting connections and driving each to its end.
//!
//! The permit comes before the accept, so that connections over the limit wait in the kernel's queue
//! and cost nothing. A panic while driving a connection ends that connection alone.

use std::convert::Infallible;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::{FutureExt, future};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};

use super::admission::{ConnectionPermit, PAUSE, Remote, UnprovenPeers};
use super::gate::HEAD_BYTES_MAX;
use super::listener::Listener;
use super::parser_errors::ParserErrorSocket;
use super::poller::{End, Poller};
use super::sent_body::SentBody;
use super::socket::Socket;
use super::timeouts::{TimeoutEntry, TimeoutRegistry};
use super::{Handler, ImmediateAnswers, Link};
use crate::http::HttpSettings;
use crate::http::reply::{self, Problem};
use crate::shard::Shard;
use crate::telemetry::log::Limited;

/// The rest of a refused request is discarded for so long, so that the client sees the answer.
const LINGER: Duration = Duration::from_secs(5);

/// Bytes that are discarded of a client that is turned away, so that it sees why, and for how long.
const TURNED_AWAY_BYTES_MAX: u64 = 64 << 10;
const TURNED_AWAY_LINGER: Duration = Duration::from_millis(200);

/// The time that running requests have after the stop.
const FINISH: Duration = Duration::from_secs(10);

/// The state that all connections of a shard share.
struct Server<H> {
    shard: Rc<Shard>,
    /// As of the start: limits do not change.
    settings: Rc<HttpSettings>,
    all_timeouts: Rc<TimeoutRegistry>,
    poller: Rc<Poller>,
    handler: Rc<H>,
    at_once: Rc<dyn ImmediateAnswers>,
    unproven_peers: Rc<UnprovenPeers>,
}

/// That connections or descriptors are used up. One for the node, whose limits these are.
static USED_UP: Limited = Limited::new();

/// Serves `listener` until the shard stops, then finishes what runs. `at_once` is asked before `handler`.
pub(in crate::http) async fn serve<H: Handler>(
    shard: Rc<Shard>,
    settings: Rc<HttpSettings>,
    handler: Rc<H>,
    at_once: Rc<dyn ImmediateAnswers>,
    listener: OwnedFd,
) {
    let opened = Poller::new().and_then(|poller| Ok((Listener::new(listener, &poller)?, poller)));
    let (listener, poller) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            log::error!(shard = shard.index(), error:% = error; "shard cannot watch its listener and serves nothing; check the limit on open files and restart the node");
            return;
        }
    };
    let polling = glommio::spawn_local(Rc::clone(&poller).run());
    let all_timeouts = Rc::<TimeoutRegistry>::default();
    let unproven_peers = Rc::<UnprovenPeers>::default();
    let server = Server { shard, settings, all_timeouts, poller, handler, at_once, unproven_peers };
    let Server { settings, all_timeouts, .. } = &server;
    let sweep = {
        let (all_timeouts, settings) = (Rc::clone(all_timeouts), Rc::clone(settings));
        let unproven_peers = Rc::clone(&server.unproven_peers);
        let limit = settings.header_timeout;
        glommio::spawn_local(
            async move { all_timeouts.sweep(&settings, || unproven_peers.sweep(limit)).await },
        )
    };
    server.accept(&listener).await;
    server.empty_queue(&listener);
    drop(listener);
    let deadline = Instant::now() + FINISH;
    while all_timeouts.count() > 0 && Instant::now() < deadline {
        glommio::timer::sleep(PAUSE).await;
    }
    sweep.cancel().await;
    polling.cancel().await;
}

impl<H: Handler> Server<H> {
    /// Takes connections until the shard stops.
    async fn accept(&self, listener: &Listener) {
        let Self { shard, settings, unproven_peers, .. } = self;
        let (index, connections) = (shard.index(), settings.connections_max);
        let full = || {
            if let Some(suppressed) = USED_UP.pass() {
                log::warn!(shard = index, connections, suppressed; "all connections are in use, so clients wait to be accepted: raise limits.connections if this lasts");
            }
        };
        while !shard.lifecycle.stopping.is_set() {
            let Some(permit) = ConnectionPermit::wait(shard, connections, unproven_peers, full).await else {
                break;
            };
            let stop = async {
                shard.lifecycle.stopping.wait().await;
                None
            };
            match future::or(async { Some(listener.accept().await) }, stop).await {
                Some(Ok(descriptor)) => self.start(descriptor, permit),
                Some(Err(error)) => {
                    self.warn_cannot_accept(&error, "accept");
                    glommio::timer::sleep(PAUSE).await;
                }
                None => break,
            }
        }
    }

    /// Says that the kernel gives no connection: once a second at most, for a crowd can make it so a hundred times.
    fn warn_cannot_accept(&self, error: &std::io::Error, doing: &str) {
        if let Some(suppressed) = USED_UP.pass() {
            log::warn!(shard = self.shard.index(), doing, suppressed, error:% = error; "cannot take a connection; the node tries again. If descriptors are used up, raise their limit (ulimit -n, LimitNOFILE=) or lower limits.connections");
        }
    }

    /// Takes what already waits in the kernel's queue: those clients would see a reset otherwise.
    fn empty_queue(&self, listener: &Listener) {
        while let Some(permit) = ConnectionPermit::try_new(&self.shard.node, self.settings.connections_max)
            && let Ok(descriptor) = listener.accept_waiting()
        {
            self.start(descriptor, permit);
        }
    }

    fn start(&self, descriptor: OwnedFd, permit: ConnectionPermit) {
        let (timeouts, entry) = self.all_timeouts.add();
        let (shard, handler, settings) =
            (Rc::clone(&self.shard), Rc::clone(&self.handler), Rc::clone(&self.settings));
        let socket =
            match Socket::new(descriptor, &self.poller, Rc::clone(&timeouts), Rc::clone(&self.at_once)) {
                Ok(socket) => socket,
                Err(error) => {
                    self.warn_cannot_accept(&error, "watch");
                    return;
                }
            };
        let unproven_peers = Rc::clone(&self.unproven_peers);
        let driven = async move {
            timeouts.start_work();
            let remote = Remote {
                address: socket.remote(),
                connected: Instant::now(),
                timeouts: Rc::clone(&timeouts),
            };
            let max = settings.connections_max;
            if !permit.wait_for_slot(&shard, &socket, max, &unproven_peers, &remote).await {
                // Its slot is needed.
                drop((permit, entry));
                return turn_away(socket).await;
            }
            timeouts.start_serving();
            let (permit, remote) = (Rc::new(permit), Rc::new(remote));
            let held: (Rc<ConnectionPermit>, TimeoutEntry) = (Rc::clone(&permit), entry);
            let link = Link { timeouts, permit, unproven_peers, remote };
            let connection = Connected { shard, handler, link };
            if AssertUnwindSafe(connection.drive(socket, settings.upload_bytes_max))
                .catch_unwind()
                .await
                .is_err()
            {
                log::error!("a connection panicked and was closed; please report the lines before this one");
            }
            drop(held);
        };
        glommio::spawn_local(driven).detach();
    }
}

/// Tells a client that there is no room for it.
async fn turn_away(mut socket: Socket) {
    socket.write_last(&reply::closing_response(Problem::Busy("connections")));
    future::or(socket.discard(TURNED_AWAY_BYTES_MAX), async {
        glommio::timer::sleep(TURNED_AWAY_LINGER).await;
    })
    .await;
}

/// A connection that may be served.
struct Connected<H> {
    shard: Rc<Shard>,
    handler: Rc<H>,
    link: Link,
}

impl<H: Handler> Connected<H> {
    /// Serves it to its end.
    async fn drive(self, socket: Socket, linger_bytes_max: u64) {
        let (shard, timeouts) = (Rc::clone(&self.shard), Rc::clone(&self.link.timeouts));
        let ending = socket.ending();
        let probe = socket.probe();
        let serve = self.service();
        let socket = ParserErrorSocket::new(socket, Rc::clone(&timeouts), Arc::clone(&shard.metrics));
        // A client that has asked and sends nothing more may still wait for its answer, so hyper goes on.
        let mut connection = http1::Builder::new()
            .half_close(true)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(socket, serve);
        let served = {
            let mut stop = pin!(shard.lifecycle.stopping.wait());
            let mut expired = pin!(timeouts.expired.wait());
            let (mut told, mut is_probed) = (false, false);
            future::poll_fn(|context| {
                if expired.as_mut().poll(context).is_ready() || ending.check(context) == End::Gone {
                    return Poll::Ready(None);
                }
                if !told && stop.as_mut().poll(context).is_ready() {
                    told = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                let served = Pin::new(&mut connection).poll(context);
                if served.is_pending() && !is_probed && ending.check(context) == End::Half {
                    is_probed = probe.is_sent(&timeouts);
                }
                served.map(Some)
            })
            .await
        };
        let Some(result) = served else { return };
        // Closing with bytes unread resets the connection, and the client may never see the answer.
        if result.is_err() || timeouts.unread.get() || timeouts.is_refused.get() {
            let mut socket = connection.into_parts().io.into_socket();
            socket.finish_writing();
            let (bytes_max, linger) = if timeouts.is_refused.get() {
                (TURNED_AWAY_BYTES_MAX, TURNED_AWAY_LINGER)
            } else {
                (linger_bytes_max, LINGER)
            };
            future::or(socket.discard(bytes_max), async {
                glommio::timer::sleep(linger).await;
            })
            .await;
        }
    }

    /// The service that hyper calls for each request.
    fn service(self) -> impl Service<Request<Incoming>, Response = Response<SentBody>, Error = Infallible> {
        let session = self.handler.connect();
        service_fn(move |request| {
            let answer = self.handler.answer(&self.link, &session, request);
            let timeouts = Rc::clone(&self.link.timeouts);
            // hyper keeps room for it as long as the connection lives: 9 kB, most of which idle ones need not have.
            Box::pin(async move {
                let response = answer.await;
                timeouts.start_sending();
                Ok::<_, Infallible>(response.map(|body| SentBody::new(body, timeouts)))
            })
        })
    }
}
