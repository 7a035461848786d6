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
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::auth::{Identity, PeerMetadata};
use super::body::Outgoing;
use super::call::Call;
use super::connection::{Head, OutgoingRequest};
use super::error::PeerError;
use super::lease::{Lease, NodeConnections, within};
use super::stream::Stream;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::{NodeId, NodeUrl};

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
    /// The peer's URL.
    pub url: NodeUrl,
    /// The node that must answer; `None` where only the URL is known.
    pub node: Option<NodeId>,
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
        if let Some(mut lease) = node.lease_idle(to.node).await? {
            match lease.connection.ask(&ask).await {
                // It was closed while it was idle, perhaps.
                Err(PeerError::Broken | PeerError::Refused(_)) => {}
                asked => return asked.map(|head| stream_answer(head, lease)),
            }
        }
        let mut lease = node.lease_fresh(&to.url, to.node, &self.identity).await?;
        let head = lease.connection.ask(&ask).await?;
        Ok(stream_answer(head, lease))
    }

    fn node(&self, url: &NodeUrl) -> Rc<NodeConnections> {
        let mut nodes = self.nodes.borrow_mut();
        if nodes.len() >= NODES_MAX && !nodes.contains_key(url) {
            nodes.retain(|_, node| Rc::strong_count(node) > 1 || node.has_idle());
        }
        let node = nodes.entry(url.clone()).or_insert_with(|| Rc::new(NodeConnections::new()));
        Rc::clone(node)
    }
}

fn stream_answer(head: Head, lease: Lease) -> StreamedAnswer {
    let Head { status, layout, metadata, digest, body } = head;
    StreamedAnswer { status, layout, metadata, body: Stream::new(body, digest, lease) }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections of {:?}", self.identity)
    }
}
