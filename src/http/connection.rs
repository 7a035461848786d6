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
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::Settings;
use super::access::client;
use super::bare::Explained;
use super::cluster;
use super::exchange::Context;
use super::front::Front;
use super::live::{Live, Rules};
use super::poller::Poller;
use super::reply::{self, Problem};
use super::seat::{PAUSE, Permit};
use super::service;
use super::socket::{Listener, Socket};
use super::watch::{Watch, Watched, Watches};
use crate::shard::Shard;

/// How long the rest of a refused request is thrown away, so that the client sees the answer.
const LINGER: Duration = Duration::from_secs(5);

/// What is thrown away of what a client has sent that is sent away, so that it sees why;
const SENT_AWAY_BYTES_MAX: u64 = 64 << 10;
const SENT_AWAY_LINGER: Duration = Duration::from_millis(200);

/// How long running requests may take after the stop.
const FINISH: Duration = Duration::from_secs(10);

/// hyper's buffer per connection, and so the longest head. It grows to this only while it is used.
const BUFFER_BYTES: usize = 64 << 10;

/// What all connections of a shard share.
struct Server {
    shard: Rc<Shard>,
    /// As of the start: limits do not change.
    settings: Rc<Settings>,
    rules: Rc<Rules>,
    watches: Rc<Watches>,
    poller: Rc<Poller>,
    front: Rc<Front>,
}

/// Serves `listener` until the shard stops, then finishes what runs.
pub async fn serve(shard: Rc<Shard>, live: Arc<Live>, listener: OwnedFd) {
    let opened = Poller::new().and_then(|poller| Ok((Listener::new(listener, &poller)?, poller)));
    let (listener, poller) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            log::error!(shard = shard.index(), error:% = error; "cannot watch the listener");
            return;
        }
    };
    let polling = glommio::spawn_local(Rc::clone(&poller).run());
    let watches = Rc::<Watches>::default();
    let rules = Rc::new(Rules::new(live));
    let settings = rules.current().0;
    let front = Rc::new(Front::new(Rc::clone(&shard), Rc::clone(&rules), shard.heads_bytes()));
    let server = Server { shard, settings, rules, watches, poller, front };
    let Server { shard, settings, watches, .. } = &server;
    let sweep = {
        let (watches, settings) = (Rc::clone(watches), Rc::clone(settings));
        glommio::spawn_local(async move { watches.sweep(&settings).await })
    };
    while !shard.stopping.is_set() {
        let Some(permit) = Permit::wait(shard, settings.connections_max).await else { break };
        let stop = async {
            shard.stopping.wait().await;
            None
        };
        match future::or(async { Some(listener.accept().await) }, stop).await {
            Some(Ok(descriptor)) => server.start(descriptor, permit),
            Some(Err(error)) => {
                log::warn!(shard = shard.index(), error:% = error; "cannot accept a connection");
                glommio::timer::sleep(PAUSE).await;
            }
            None => break,
        }
    }
    server.empty_queue(&listener);
    drop(listener);
    let deadline = Instant::now() + FINISH;
    while watches.count() > 0 && Instant::now() < deadline {
        glommio::timer::sleep(PAUSE).await;
    }
    sweep.cancel().await;
    polling.cancel().await;
}

impl Server {
    /// Takes what already waits in the kernel's queue: those clients would see a reset otherwise.
    fn empty_queue(&self, listener: &Listener) {
        while let Some(permit) = Permit::try_new(&self.shard.node, self.settings.connections_max)
            && let Ok(descriptor) = listener.accept_waiting()
        {
            self.start(descriptor, permit);
        }
    }

    fn start(&self, descriptor: OwnedFd, permit: Permit) {
        let (watch, watched) = self.watches.add();
        let (shard, rules, front) = (Rc::clone(&self.shard), Rc::clone(&self.rules), Rc::clone(&self.front));
        let settings = Rc::clone(&self.settings);
        let socket = match Socket::new(descriptor, &self.poller, Rc::clone(&watch), Rc::clone(&self.front)) {
            Ok(socket) => socket,
            Err(error) => {
                log::warn!(shard = self.shard.index(), error:% = error; "cannot watch a connection");
                return;
            }
        };
        let driven = async move {
            watch.working();
            if !permit.be_seated(&shard, &socket, settings.connections_max).await {
                // Its place is wanted.
                drop((permit, watched));
                return send_away(socket).await;
            }
            watch.begins();
            let permit = Rc::new(permit);
            let held: (Rc<Permit>, Watched) = (Rc::clone(&permit), watched);
            let linger_bytes_max = settings.upload_bytes_max;
            if AssertUnwindSafe(drive(shard, rules, watch, front, permit, socket, linger_bytes_max))
                .catch_unwind()
                .await
                .is_err()
            {
                log::error!("driving a connection panicked");
            }
            drop(held);
        };
        glommio::spawn_local(driven).detach();
    }
}

/// Tells a client that there is no room for it.
async fn send_away(mut socket: Socket) {
    socket.say_last(&reply::last_words(Problem::Busy("connections")));
    future::or(socket.discard(SENT_AWAY_BYTES_MAX), async {
        glommio::timer::sleep(SENT_AWAY_LINGER).await;
    })
    .await;
}

async fn drive(
    shard: Rc<Shard>,
    rules: Rc<Rules>,
    watch: Rc<Watch>,
    front: Rc<Front>,
    permit: Rc<Permit>,
    socket: Socket,
    linger_bytes_max: u64,
) {
    let remote = socket.remote().unwrap_or(client::NOBODY);
    let peer = cluster::stranger(&shard);
    let serve = {
        let (shard, watch) = (Rc::clone(&shard), Rc::clone(&watch));
        service_fn(move |request| {
            let (settings, access) = rules.current();
            let (shard, watch, front) = (Rc::clone(&shard), Rc::clone(&watch), Rc::clone(&front));
            let (peer, permit) = (Rc::clone(&peer), Rc::clone(&permit));
            let unproven = Rc::clone(rules.unproven());
            let context = Context { shard, settings, access, watch, front, permit, peer, unproven, remote };
            // hyper keeps room for it as long as the connection lives: 9 kB, most of which idle ones need not have.
            Box::pin(async move { Ok::<_, Infallible>(service::answer(context, request).await) })
        })
    };
    let socket = Explained::new(socket, Rc::clone(&watch), Arc::clone(&shard.metrics));
    let mut connection =
        http1::Builder::new().half_close(false).max_buf_size(BUFFER_BYTES).serve_connection(socket, serve);
    let served = {
        let mut stop = pin!(shard.stopping.wait());
        let mut expired = pin!(watch.expired.wait());
        let mut told = false;
        future::poll_fn(|context| {
            if expired.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            if !told && stop.as_mut().poll(context).is_ready() {
                told = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            Pin::new(&mut connection).poll(context).map(Some)
        })
        .await
    };
    let Some(result) = served else { return };
    // Closing with bytes unread resets the connection, and the client may never see the answer.
    if result.is_err() || watch.unread.get() {
        let mut socket = connection.into_parts().io.into_socket();
        socket.finish_writing();
        future::or(socket.discard(linger_bytes_max), async {
            glommio::timer::sleep(LINGER).await;
        })
        .await;
    }
}
