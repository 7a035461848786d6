//! Connection admission: which connections get a slot, wait, or are turned away.
//!
//! Some slots are reserved for peers, so that a crowd of clients never starves the cluster. The node knows only by
//! the first request who has connected. So a client that comes when all client slots are taken waits, unanswered, in
//! the reserved part until a slot is free. When that part is full too, the connections that have waited longest are
//! turned away; otherwise no peer would get through.
//!
//! Anybody can send a peer request. So such a connection is unproven (one of the [`UnprovenPeers`]) until its first proof, which has to come
//! soon. When a slot is needed, unproven peers are evicted first, and one address may have only so many.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::socket::Socket;
use super::timeouts::ConnectionTimeouts;
use crate::peer::call;
use crate::peer::requester::ClientAddress;
use crate::shard::{NodeContext, Shard};

/// Kept for other nodes at most.
const NODES_MAX: usize = 256;

/// Of all connections, one in so many is kept at most.
const NODES_SHARE: usize = 4;

/// The time that a client waits before it may be turned away, and that an unproven connection is safe. A node that comes
/// behind a queue of them must be heard well before the other side gives up, which is after a second; to prove itself it
/// needs two round trips.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// Unproven connections of one address to one shard. An executor of another node opens sixteen at most, and each is
/// unproven for two round trips; the others of that node wait as long.
const UNPROVEN_MAX: usize = 32;

/// Unproven connections that are ended at one look for a permit. With [`PAUSE`] that is 800 a second, more than a crowd
/// refills while each is safe for [`WAIT_MIN`], so the queue in the kernel moves and a node in it is heard.
const EVICTED_AT_ONCE: usize = 8;

/// The pause between two looks of a waiting connection, and where there is no permit or accept fails.
pub(super) const PAUSE: Duration = Duration::from_millis(10);

/// One open connection, counted over the whole node.
pub(in crate::http) struct ConnectionPermit {
    node: Arc<NodeContext>,
    /// Counted among the clients too.
    has_client_slot: Cell<bool>,
    /// Its slot among the unproven peers.
    unproven_slot: Cell<Option<UnprovenSlot>>,
}

/// The connections of one shard that send peer requests without a proof so far. Bounded: each is a connection.
#[derive(Default)]
pub(in crate::http) struct UnprovenPeers {
    next: Cell<u64>,
    /// The oldest first.
    all: RefCell<Vec<UnprovenPeer>>,
}

struct UnprovenPeer {
    number: u64,
    network: ClientAddress,
    connected: Instant,
    since: Instant,
    timeouts: Rc<ConnectionTimeouts>,
}

/// A slot among the unproven peers; dropping it frees it.
struct UnprovenSlot {
    among: Rc<UnprovenPeers>,
    number: u64,
}

/// The far end of a connection.
pub(in crate::http) struct Remote {
    /// `None` where it is gone already.
    pub(in crate::http) address: Option<IpAddr>,
    pub(super) connected: Instant,
    pub(in crate::http) timeouts: Rc<ConnectionTimeouts>,
}

/// Takes one of `max`, if there is one left.
fn try_increment(counter: &AtomicUsize, max: usize) -> bool {
    counter.fetch_update(Relaxed, Relaxed, |taken| (taken < max).then_some(taken + 1)).is_ok()
}

impl ConnectionPermit {
    /// A permit, if there are fewer than `max`.
    pub(super) fn try_new(node: &Arc<NodeContext>, max: usize) -> Option<Self> {
        let (has_client_slot, unproven_slot) = (Cell::new(false), Cell::default());
        try_increment(&node.connections, max).then(|| Self {
            node: Arc::clone(node),
            has_client_slot,
            unproven_slot,
        })
    }

    /// Waits for a permit below `max` and evicts unproven peers for it; `None` when the shard stops first.
    /// `full` is called at each look that finds none.
    pub(in crate::http) async fn wait(
        shard: &Shard,
        max: usize,
        unproven_peers: &UnprovenPeers,
        full: impl Fn(),
    ) -> Option<Self> {
        loop {
            let permit = Self::try_new(&shard.node, max);
            if permit.is_some() || shard.lifecycle.stopping.is_set() {
                return permit;
            }
            full();
            for _ in 0..EVICTED_AT_ONCE {
                unproven_peers.evict(Instant::now());
            }
            glommio::timer::sleep(PAUSE).await;
        }
    }

    /// Ready when this connection may be served. False: it has to go, because the free slots are reserved for peers.
    pub(super) async fn wait_for_slot(
        &self,
        shard: &Rc<Shard>,
        socket: &Socket,
        max: usize,
        unproven_peers: &Rc<UnprovenPeers>,
        remote: &Remote,
    ) -> bool {
        let since = Instant::now();
        loop {
            let kept = if shard.has_peers() { NODES_MAX.min(max / NODES_SHARE) } else { 0 };
            self.has_client_slot.set(try_increment(&self.node.clients, max - kept));
            if self.has_client_slot.get()
                || (socket.has_received(call::is_peer_request)
                    && self.mark_unproven_peer(unproven_peers, remote))
            {
                return true;
            }
            let is_full = self.node.connections.load(Relaxed) >= max;
            if shard.lifecycle.stopping.is_set() || (is_full && since.elapsed() >= WAIT_MIN) {
                return false;
            }
            glommio::timer::sleep(PAUSE).await;
        }
    }

    /// The other end sends peer requests. False: its address has too many unproven connections.
    pub(in crate::http) fn mark_unproven_peer(
        &self,
        unproven_peers: &Rc<UnprovenPeers>,
        remote: &Remote,
    ) -> bool {
        let unproven_slot = self.unproven_slot.take().or_else(|| unproven_peers.add(remote));
        let is_in = unproven_slot.is_some();
        self.unproven_slot.set(unproven_slot);
        is_in
    }

    /// The other end has proven to be a node of this cluster: it needs no client slot.
    pub(in crate::http) fn mark_proven_peer(&self) {
        self.unproven_slot.set(None);
        if self.has_client_slot.take() {
            self.node.clients.fetch_sub(1, Relaxed);
        }
    }
}

impl UnprovenPeers {
    fn add(self: &Rc<Self>, remote: &Remote) -> Option<UnprovenSlot> {
        let Remote { address, connected, timeouts } = remote;
        let network = ClientAddress::from((*address)?);
        let now = Instant::now();
        let of_it = |all: &[UnprovenPeer]| all.iter().filter(|one| one.network == network).count();
        if of_it(&self.all.borrow()) >= UNPROVEN_MAX {
            let is_one = |one: &UnprovenPeer| one.network == network && one.is_old(now);
            let oldest = self.all.borrow().iter().position(is_one)?;
            self.end(oldest);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let (connected, timeouts) = (*connected, Rc::clone(timeouts));
        self.all.borrow_mut().push(UnprovenPeer { number, network, connected, since: now, timeouts });
        Some(UnprovenSlot { among: Rc::clone(self), number })
    }

    /// Evicts one of these connections for a slot, the oldest of the address that has most. So a node is safe
    /// behind a crowd that comes from elsewhere.
    fn evict(&self, now: Instant) {
        let mut counts = HashMap::<_, (usize, usize)>::new();
        for (index, one) in self.all.borrow().iter().enumerate() {
            counts.entry(one.network).or_insert((0, index)).0 += 1;
        }
        let most = counts.into_values().max_by_key(|(count, oldest)| (*count, usize::MAX - oldest));
        let oldest = most.map(|(_, oldest)| oldest);
        if let Some(oldest) = oldest.filter(|oldest| self.all.borrow()[*oldest].is_old(now)) {
            self.end(oldest);
        }
    }

    /// Ends one. The list is not borrowed meanwhile: the connection's end changes it.
    fn end(&self, index: usize) {
        let UnprovenPeer { timeouts, .. } = self.all.borrow_mut().remove(index);
        timeouts.expired.set();
    }

    /// Ends those whose first proof has not come within `limit` of connecting.
    pub(in crate::http) fn sweep(&self, limit: Duration) {
        let now = Instant::now();
        let is_late = |one: &UnprovenPeer| now.saturating_duration_since(one.connected) > limit;
        loop {
            let late = self.all.borrow().iter().position(is_late);
            let Some(late) = late else { return };
            self.end(late);
        }
    }
}

impl UnprovenPeer {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WAIT_MIN
    }
}

impl Drop for UnprovenSlot {
    fn drop(&mut self) {
        self.among.all.borrow_mut().retain(|one| one.number != self.number);
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.mark_proven_peer();
        self.node.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(address: &str) -> Remote {
        let address = Some(address.parse().unwrap());
        Remote { address, connected: Instant::now(), timeouts: Rc::new(ConnectionTimeouts::new()) }
    }

    /// Enters `count` connections of this address.
    fn enter(
        unproven_peers: &Rc<UnprovenPeers>,
        address: &str,
        count: usize,
    ) -> Vec<(Remote, Option<UnprovenSlot>)> {
        let one = |_| {
            let remote = remote(address);
            let unproven_slot = unproven_peers.add(&remote);
            (remote, unproven_slot)
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn one_address_has_only_so_many_and_another_is_not_hurt() {
        let unproven_peers = Rc::<UnprovenPeers>::default();
        let crowd = enter(&unproven_peers, "2001:db8::1", UNPROVEN_MAX);
        assert!(crowd.iter().all(|(_, unproven_slot)| unproven_slot.is_some()));
        assert!(enter(&unproven_peers, "2001:db8::ffff:0:0:1", 1)[0].1.is_none(), "the same /64");
        assert!(enter(&unproven_peers, "2001:db8:0:1::1", 1)[0].1.is_some());
        assert!(enter(&unproven_peers, "::ffff:192.0.2.1", 1)[0].1.is_some());
        drop(crowd);
        assert!(unproven_peers.all.borrow().is_empty());
    }

    #[test]
    fn a_wanted_place_is_taken_from_the_oldest_of_the_address_with_most() {
        let unproven_peers = Rc::<UnprovenPeers>::default();
        let node = enter(&unproven_peers, "192.0.2.1", 2);
        let crowd = enter(&unproven_peers, "192.0.2.2", 5);
        unproven_peers.evict(Instant::now());
        assert!(crowd.iter().all(|(one, _)| !one.timeouts.expired.is_set()), "all are too young");
        let later = Instant::now() + WAIT_MIN;
        for ended in 1..=3 {
            unproven_peers.evict(later);
            let is_ended: Vec<_> = crowd.iter().map(|(one, _)| one.timeouts.expired.is_set()).collect();
            assert_eq!(is_ended, (0..5).map(|place| place < ended).collect::<Vec<_>>());
        }
        assert!(node.iter().all(|(one, _)| !one.timeouts.expired.is_set()));
    }

    #[test]
    fn a_proof_that_is_late_ends_the_connection() {
        let unproven_peers = Rc::<UnprovenPeers>::default();
        let all = enter(&unproven_peers, "192.0.2.1", 1);
        unproven_peers.sweep(Duration::from_secs(3600));
        assert!(!all[0].0.timeouts.expired.is_set());
        unproven_peers.sweep(Duration::ZERO);
        assert!(all[0].0.timeouts.expired.is_set());
    }
}
