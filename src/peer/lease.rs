//! The connections to one node: leased to a question, and kept between questions.

use std::cell::RefCell;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future;
use glommio::sync::{Semaphore, StaticPermit};

use super::auth::Identity;
use super::connection::Connection;
use super::error::PeerError;
use crate::cluster::node::{NodeId, NodeUrl};
use crate::executor::run_blocking;

/// Connections of one executor to one node. Of a hundred nodes with eight shards each that is at most 12,800 on one
/// node, of which nearly all are short-lived: a shard that only hands on what it is asked for needs few.
const CONNECTIONS_MAX: u64 = 16;

/// Long answers of one node that one executor passes on at once, beside its questions.
const LONG_ANSWERS_MAX: u64 = 64;

/// The time that an idle connection is kept: shorter than any node keeps a silent one.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// The limit on connect and handshake: a node that is there answers at once, however busy it is.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// The time that a name's address is cached.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// The connections to one node.
pub(super) struct NodeConnections {
    idle: RefCell<Vec<Connection>>,
    permits: Rc<Semaphore>,
    long_answers: Rc<Semaphore>,
    resolved: RefCell<Option<(SocketAddr, Instant)>>,
}

/// A connection that is in use; dropping it closes it.
pub(super) struct Lease {
    pub(super) connection: Connection,
    node: Rc<NodeConnections>,
    permit: StaticPermit,
}

impl NodeConnections {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            idle: RefCell::default(),
            permits: Rc::new(Semaphore::new(CONNECTIONS_MAX)),
            long_answers: Rc::new(Semaphore::new(LONG_ANSWERS_MAX)),
            resolved: RefCell::default(),
        }
    }

    /// Whether any is kept for the next question.
    pub(super) fn has_idle(&self) -> bool {
        !self.idle.borrow().is_empty()
    }

    /// A connection that was used before and seems to be usable still.
    pub(super) async fn lease_idle(
        self: &Rc<Self>,
        node: Option<NodeId>,
    ) -> Result<Option<Lease>, PeerError> {
        let permit = self.permit().await?;
        loop {
            // The last one that came back is the least likely to have been closed.
            let Some(mut connection) = self.idle.borrow_mut().pop() else { return Ok(None) };
            let fresh = connection.idle_since.elapsed() < IDLE_MAX && is_right(node, connection.node).is_ok();
            if fresh && connection.is_usable().await {
                return Ok(Some(Lease { connection, node: Rc::clone(self), permit }));
            }
        }
    }

    /// A connection that is made for this question.
    pub(super) async fn lease_fresh(
        self: &Rc<Self>,
        url: &NodeUrl,
        node: Option<NodeId>,
        identity: &Arc<Identity>,
    ) -> Result<Lease, PeerError> {
        let permit = self.permit().await?;
        let authority = url.as_str().trim_start_matches("http://");
        let address = self.resolve(authority).await?;
        let opened = within(CONNECT_MAX, Connection::open(address, authority, Arc::clone(identity))).await;
        let connection =
            opened.map_err(|error| if error == PeerError::Late { PeerError::Unreachable } else { error })?;
        is_right(node, connection.node)?;
        Ok(Lease { connection, node: Rc::clone(self), permit })
    }

    async fn permit(&self) -> Result<StaticPermit, PeerError> {
        // A semaphore fails only when it is closed, which nobody does.
        self.permits.acquire_static_permit(1).await.map_err(|_| PeerError::Unreachable)
    }

    /// The address of a URL's host; a name is looked up off the executor, for that blocks.
    async fn resolve(&self, authority: &str) -> Result<SocketAddr, PeerError> {
        if let Ok(address) = authority.parse() {
            return Ok(address);
        }
        let known = *self.resolved.borrow();
        if let Some((address, _)) = known.filter(|(_, at)| at.elapsed() < RESOLVED_FOR) {
            return Ok(address);
        }
        let name = authority.to_owned();
        let look = move || name.to_socket_addrs().ok()?.next();
        let address = run_blocking("resolve a name", look).await.ok().flatten();
        let address = address.ok_or(PeerError::Unreachable)?;
        *self.resolved.borrow_mut() = Some((address, Instant::now()));
        Ok(address)
    }
}

impl Lease {
    /// Counts among the long answers from now on, and not among the questions any more; `false` if there are too many.
    pub(super) fn stand_aside(&mut self) -> bool {
        let place = self.node.long_answers.try_acquire_static_permit(1);
        place.map(|place| self.permit = place).is_ok()
    }

    /// The answer was taken to its end: the next question may use the connection.
    pub(super) fn give_back(self) {
        let Self { mut connection, node, permit: _permit } = self;
        connection.idle_since = Instant::now();
        let mut idle = node.idle.borrow_mut();
        if (idle.len() as u64) < CONNECTIONS_MAX {
            idle.push(connection);
        }
    }
}

fn is_right(expected: Option<NodeId>, found: NodeId) -> Result<(), PeerError> {
    if expected.is_none_or(|node| node == found) { Ok(()) } else { Err(PeerError::OtherNode(found)) }
}

/// The result of `work`, unless the deadline passes before.
pub(super) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let late = async {
        glommio::timer::sleep(deadline).await;
        Err(PeerError::Late)
    };
    future::or(work, late).await
}
