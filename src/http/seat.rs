//! Who may have one of the node's connections.
//!
//! A part of them is kept for other nodes, so that a crowd of clients never keeps the cluster from its work. Who has
//! connected is known only by what it asks: whoever comes when the clients' part is taken stands in the nodes'
//! part, unanswered, until a client goes. When that part is full too, those that have stood for long are sent
//! away, or no node would ever come to be heard.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::cluster;
use super::socket::Socket;
use crate::shard::{Node, Shard};

/// Kept for other nodes at most.
const NODES_MAX: usize = 256;

/// Of all connections, one in so many is kept at most.
const NODES_SHARE: usize = 4;

/// How long a client stands before it may be sent away. A node that comes behind a queue of them must be heard well
/// before the other side gives up.
const STANDING_MIN: Duration = Duration::from_millis(100);

/// Between two looks of one that stands, and where there is no permit or accepting fails (out of descriptors, say).
pub(super) const PAUSE: Duration = Duration::from_millis(10);

/// One open connection, counted over the whole node.
pub(super) struct Permit {
    node: Arc<Node>,
    /// Counted among the clients too.
    is_seated: Cell<bool>,
}

/// Takes one of `max`, if there is one left.
fn take(counter: &AtomicUsize, max: usize) -> bool {
    counter.fetch_update(Relaxed, Relaxed, |taken| (taken < max).then_some(taken + 1)).is_ok()
}

impl Permit {
    /// A permit, if there are fewer than `max`.
    pub(super) fn try_new(node: &Arc<Node>, max: usize) -> Option<Self> {
        take(&node.connections, max).then(|| Self { node: Arc::clone(node), is_seated: Cell::new(false) })
    }

    /// Waits for room below `max`; `None` when the shard stops first.
    pub(super) async fn wait(shard: &Shard, max: usize) -> Option<Self> {
        loop {
            let permit = Self::try_new(&shard.node, max);
            if permit.is_some() || shard.stopping.is_set() {
                return permit;
            }
            glommio::timer::sleep(PAUSE).await;
        }
    }

    /// Ready when this connection may be served. False: it has to go, for there is room for other nodes alone.
    pub(super) async fn be_seated(&self, shard: &Rc<Shard>, socket: &Socket, max: usize) -> bool {
        let since = Instant::now();
        loop {
            let kept = if shard.has_peers() { NODES_MAX.min(max / NODES_SHARE) } else { 0 };
            self.is_seated.set(take(&self.node.clients, max - kept));
            if self.is_seated.get() || socket.has_received(cluster::is_said) {
                return true;
            }
            let is_full = self.node.connections.load(Relaxed) >= max;
            if shard.stopping.is_set() || (is_full && since.elapsed() >= STANDING_MIN) {
                return false;
            }
            glommio::timer::sleep(PAUSE).await;
        }
    }

    /// The other end has proven to be a node of this cluster: it needs no client's place.
    pub(super) fn is_a_nodes(&self) {
        if self.is_seated.take() {
            self.node.clients.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.is_a_nodes();
        self.node.connections.fetch_sub(1, Relaxed);
    }
}
