//! Connections to other nodes, kept between questions: one pool per executor.
//!
//! Bounds: so many connections to one node; a question beyond waits for one, but not past its deadline. A
//! connection on which anything went wrong is closed. A question that fails on a connection that had been idle is
//! asked once more, on a fresh one: the other node may have closed it for that very reason.
//!
//! A long answer lasts as long as its reader likes. So it gives its place back to the questions, and counts among the
//! long answers, which have a bound of their own: slow readers keep no question from being asked.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::future;
use glommio::sync::{Semaphore, StaticPermit};
use http::Method;

use super::auth::{AuthError, Identity, PeerMetadata};
use super::body::{Outgoing, Stream};
use super::call::Call;
use super::connection::{Connection, Head};
use crate::cluster::layout::LayoutHash;
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

/// Nodes whose connections are kept; beyond it those without any are forgotten.
const NODES_MAX: usize = 2048;

/// Bytes of an answer that is taken whole, unless its asker says otherwise.
const BYTES_MAX: usize = 16 << 20;

/// The connections of one executor.
pub struct Pool {
    identity: Arc<Identity>,
    nodes: RefCell<HashMap<NodeUrl, Rc<NodeConnections>>>,
}

/// The node to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub url: NodeUrl,
    /// The node that must answer; `None` where only the URL is known.
    pub node: Option<NodeId>,
}

/// One question as it goes out.
#[derive(Clone)]
pub(super) struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) layout: LayoutHash,
    pub(super) metadata: String,
    pub(super) body: Outgoing,
}

/// A question.
#[derive(Clone)]
pub struct PeerRequest {
    /// The call.
    pub call: Call,
    /// The hash of the layout of this node.
    pub layout: LayoutHash,
    /// The body.
    pub body: Outgoing,
}

/// An answer that is proven whole.
#[derive(Clone, Debug)]
pub struct PeerAnswer {
    /// HTTP's.
    pub status: u16,
    /// The hash of the other node's layout.
    pub layout: Option<LayoutHash>,
    /// The metadata header.
    pub metadata: String,
    /// The body.
    pub bytes: Bytes,
}

/// An answer whose head is proven.
#[derive(Debug)]
pub struct StreamedAnswer {
    /// HTTP's.
    pub status: u16,
    /// The hash of the other node's layout.
    pub layout: Option<LayoutHash>,
    /// The metadata header.
    pub metadata: String,
    /// The body.
    pub body: Box<Stream>,
}

/// Why there is no answer. Whether the question was heard is not known, except as noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// Nobody is there. It was not heard.
    Unreachable,
    /// The connection ended.
    Broken,
    /// The deadline passed.
    Late,
    /// The other node rejected this one, with its cause, which is not authenticated. The question
    /// changed nothing there.
    Refused(Option<AuthError>),
    /// The answer is not the other node's, or not the one that it announced.
    Untrusted(AuthError),
    /// Another node is there. It was not heard.
    OtherNode(NodeId),
    /// The answer is longer than it may be.
    TooLong,
}

struct NodeConnections {
    idle: RefCell<Vec<Connection>>,
    permits: Rc<Semaphore>,
    long_answers: Rc<Semaphore>,
    resolved: RefCell<Option<(SocketAddr, Instant)>>,
}

/// A connection that is in use; dropping it closes it.
pub(super) struct Lease {
    connection: Connection,
    node: Rc<NodeConnections>,
    permit: StaticPermit,
}

impl PeerRequest {
    /// A question without a body.
    pub const fn new(call: Call, layout: LayoutHash) -> Self {
        Self { call, layout, body: Outgoing::empty() }
    }
}

impl PeerAnswer {
    /// The metadata header.
    pub fn metadata(&self) -> PeerMetadata<'_> {
        PeerMetadata::new(&self.metadata)
    }
}

impl StreamedAnswer {
    /// The metadata header.
    pub fn metadata(&self) -> PeerMetadata<'_> {
        PeerMetadata::new(&self.metadata)
    }
}

impl Pool {
    /// No connections yet, of this node.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity, nodes: RefCell::default() }
    }

    /// Asks and takes the whole answer, all before `deadline` has passed.
    ///
    /// # Errors
    /// [`PeerError`]
    pub async fn ask(
        &self,
        to: &Address,
        request: PeerRequest,
        deadline: Duration,
    ) -> Result<PeerAnswer, PeerError> {
        let whole = async {
            let StreamedAnswer { status, layout, metadata, body } = self.begin(to, request).await?;
            let bytes = body.collect(BYTES_MAX).await?;
            Ok(PeerAnswer { status, layout, metadata, bytes })
        };
        within(deadline, whole).await
    }

    /// Asks; the head of the answer comes before `deadline` has passed, its body has limits of its own.
    ///
    /// # Errors
    /// [`PeerError`]
    pub async fn open(
        &self,
        to: &Address,
        request: PeerRequest,
        deadline: Duration,
    ) -> Result<StreamedAnswer, PeerError> {
        within(deadline, self.begin(to, request)).await
    }

    async fn begin(&self, to: &Address, request: PeerRequest) -> Result<StreamedAnswer, PeerError> {
        // Without a secret it has no peers, and nothing makes it connect.
        if !self.identity.is_secret() {
            return Err(PeerError::Unreachable);
        }
        let PeerRequest { call, layout, body } = request;
        let ask = OutgoingRequest {
            method: call.method(),
            target: call.target(),
            layout,
            metadata: String::new(),
            body,
        };
        let node = self.node(&to.url);
        if let Some(mut lease) = node.lease_idle(to).await? {
            match lease.connection.ask(&ask).await {
                // It was closed while it was idle, perhaps.
                Err(PeerError::Broken | PeerError::Refused(_)) => {}
                asked => return asked.map(|head| stream_answer(head, lease)),
            }
        }
        let mut lease = node.lease_fresh(to, &self.identity).await?;
        let head = lease.connection.ask(&ask).await?;
        Ok(stream_answer(head, lease))
    }

    fn node(&self, url: &NodeUrl) -> Rc<NodeConnections> {
        let mut nodes = self.nodes.borrow_mut();
        if nodes.len() >= NODES_MAX && !nodes.contains_key(url) {
            nodes.retain(|_, node| Rc::strong_count(node) > 1 || !node.idle.borrow().is_empty());
        }
        let node = nodes.entry(url.clone()).or_insert_with(|| {
            let permits = Rc::new(Semaphore::new(CONNECTIONS_MAX));
            let long_answers = Rc::new(Semaphore::new(LONG_ANSWERS_MAX));
            Rc::new(NodeConnections {
                idle: RefCell::default(),
                permits,
                long_answers,
                resolved: RefCell::default(),
            })
        });
        Rc::clone(node)
    }
}

impl NodeConnections {
    /// A connection that was used before and seems to be usable still.
    async fn lease_idle(self: &Rc<Self>, to: &Address) -> Result<Option<Lease>, PeerError> {
        let permit = self.permit().await?;
        loop {
            // The last one that came back is the least likely to have been closed.
            let Some(mut connection) = self.idle.borrow_mut().pop() else { return Ok(None) };
            let fresh = connection.idle_since.elapsed() < IDLE_MAX && is_right(to, connection.node).is_ok();
            if fresh && connection.is_usable().await {
                return Ok(Some(Lease { connection, node: Rc::clone(self), permit }));
            }
        }
    }

    async fn lease_fresh(
        self: &Rc<Self>,
        to: &Address,
        identity: &Arc<Identity>,
    ) -> Result<Lease, PeerError> {
        let permit = self.permit().await?;
        let authority = to.url.as_str().trim_start_matches("http://");
        let address = self.resolve(authority).await?;
        let opened = within(CONNECT_MAX, Connection::open(address, authority, Arc::clone(identity))).await;
        let connection =
            opened.map_err(|error| if error == PeerError::Late { PeerError::Unreachable } else { error })?;
        is_right(to, connection.node)?;
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

fn stream_answer(head: Head, lease: Lease) -> StreamedAnswer {
    let Head { status, layout, metadata, digest, body } = head;
    StreamedAnswer { status, layout, metadata, body: Stream::new(body, digest, lease) }
}

fn is_right(to: &Address, found: NodeId) -> Result<(), PeerError> {
    if to.node.is_none_or(|node| node == found) { Ok(()) } else { Err(PeerError::OtherNode(found)) }
}

async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let late = async {
        glommio::timer::sleep(deadline).await;
        Err(PeerError::Late)
    };
    future::or(work, late).await
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections of {:?}", self.identity)
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("nobody answers there"),
            Self::Broken => f.write_str("the connection ended"),
            Self::Late => f.write_str("the answer came too late"),
            Self::Refused(None) => f.write_str("the other node refuses this one"),
            Self::Refused(Some(cause)) => write!(f, "the other node refuses this one: {cause}"),
            Self::Untrusted(cause) => write!(f, "what came cannot be believed: {cause}"),
            Self::OtherNode(node) => write!(f, "node {node} is there"),
            Self::TooLong => f.write_str("the answer is too long"),
        }
    }
}

impl std::error::Error for PeerError {}
