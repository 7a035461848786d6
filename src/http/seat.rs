//! Who may have one of the node's connections.
//!
//! A part of them is kept for other nodes, so that a crowd of clients never keeps the cluster from its work. Who has
//! connected is known only by what it asks: a client that comes when the clients' part is taken stands in the nodes'
//! part, unanswered, until another goes. When that part is full too, those that have stood for long are sent
//! away, or no node would ever come to be heard.
//!
//! Anybody can speak as a node does. So a connection that does is unproven (one of the [`Claimants`]) until its first proof, which has to come
//! soon; when a place is wanted, unproven ones give theirs up first, and one address has only so many.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::cluster;
use super::socket::Socket;
use super::watch::Watch;
use crate::peer::requester::ClientAddress;
use crate::shard::{Node, Shard};

/// Kept for other nodes at most.
const NODES_MAX: usize = 256;

/// Of all connections, one in so many is kept at most.
const NODES_SHARE: usize = 4;

/// How long a client stands before it may be sent away, and how long an unproven connection is safe. A node that comes
/// behind a queue of them must be heard well before the other side gives up, which is after a second; to prove itself it
/// needs two round trips.
const STANDING_MIN: Duration = Duration::from_millis(100);

/// Claimants connections of one address to one shard. An executor of another node opens sixteen at most, and each is
/// unproven for two round trips; the others of that node wait as long.
const UNPROVEN_MAX: usize = 32;

/// Claimants connections that are ended at one look for a permit. With [`PAUSE`] that is 800 a second, more than a crowd
/// refills while each is safe for [`STANDING_MIN`], so the queue in the kernel moves and a node in it is heard.
const EVICTED_AT_ONCE: usize = 8;

/// Between two looks of one that stands, and where there is no permit or accepting fails (out of descriptors, say).
pub(super) const PAUSE: Duration = Duration::from_millis(10);

/// One open connection, counted over the whole node.
pub(super) struct Permit {
    node: Arc<Node>,
    /// Counted among the clients too.
    is_seated: Cell<bool>,
    /// Its place among those that speak as a node and have proven nothing.
    claim: Cell<Option<Claim>>,
}

/// The connections of one shard that speak as a node and have proven nothing. Bounded: each is a connection.
#[derive(Default)]
pub(super) struct Claimants {
    next: Cell<u64>,
    /// The oldest first.
    all: RefCell<Vec<Speaker>>,
}

struct Speaker {
    number: u64,
    network: ClientAddress,
    connected: Instant,
    since: Instant,
    watch: Rc<Watch>,
}

/// A place among the unproven; dropping it gives it up.
struct Claim {
    among: Rc<Claimants>,
    number: u64,
}

/// What a connection is known by while it is unproven.
pub(super) struct Stranger {
    /// `None` where it is gone already.
    pub(super) address: Option<IpAddr>,
    pub(super) connected: Instant,
    pub(super) watch: Rc<Watch>,
}

/// Takes one of `max`, if there is one left.
fn take(counter: &AtomicUsize, max: usize) -> bool {
    counter.fetch_update(Relaxed, Relaxed, |taken| (taken < max).then_some(taken + 1)).is_ok()
}

impl Permit {
    /// A permit, if there are fewer than `max`.
    pub(super) fn try_new(node: &Arc<Node>, max: usize) -> Option<Self> {
        let (is_seated, claim) = (Cell::new(false), Cell::default());
        take(&node.connections, max).then(|| Self { node: Arc::clone(node), is_seated, claim })
    }

    /// Waits for room below `max`, at the cost of those that have proven nothing; `None` when the shard stops first.
    /// `full` is called at each look that finds none.
    pub(super) async fn wait(
        shard: &Shard,
        max: usize,
        claimants: &Claimants,
        full: impl Fn(),
    ) -> Option<Self> {
        loop {
            let permit = Self::try_new(&shard.node, max);
            if permit.is_some() || shard.stopping.is_set() {
                return permit;
            }
            full();
            for _ in 0..EVICTED_AT_ONCE {
                claimants.evict(Instant::now());
            }
            glommio::timer::sleep(PAUSE).await;
        }
    }

    /// Ready when this connection may be served. False: it has to go, for there is room for other nodes alone.
    pub(super) async fn be_seated(
        &self,
        shard: &Rc<Shard>,
        socket: &Socket,
        max: usize,
        claimants: &Rc<Claimants>,
        stranger: &Stranger,
    ) -> bool {
        let since = Instant::now();
        loop {
            let kept = if shard.has_peers() { NODES_MAX.min(max / NODES_SHARE) } else { 0 };
            self.is_seated.set(take(&self.node.clients, max - kept));
            if self.is_seated.get()
                || (socket.has_received(cluster::is_said) && self.speaks(claimants, stranger))
            {
                return true;
            }
            let is_full = self.node.connections.load(Relaxed) >= max;
            if shard.stopping.is_set() || (is_full && since.elapsed() >= STANDING_MIN) {
                return false;
            }
            glommio::timer::sleep(PAUSE).await;
        }
    }

    /// The other end speaks as a node. False: too many of its address do that have proven nothing.
    pub(super) fn speaks(&self, claimants: &Rc<Claimants>, stranger: &Stranger) -> bool {
        let claim = self.claim.take().or_else(|| claimants.enter(stranger));
        let is_in = claim.is_some();
        self.claim.set(claim);
        is_in
    }

    /// The other end has proven to be a node of this cluster: it needs no client's place.
    pub(super) fn is_a_nodes(&self) {
        self.claim.set(None);
        if self.is_seated.take() {
            self.node.clients.fetch_sub(1, Relaxed);
        }
    }
}

impl Claimants {
    fn enter(self: &Rc<Self>, stranger: &Stranger) -> Option<Claim> {
        let Stranger { address, connected, watch } = stranger;
        let network = ClientAddress::from((*address)?);
        let now = Instant::now();
        let of_it = |all: &[Speaker]| all.iter().filter(|one| one.network == network).count();
        if of_it(&self.all.borrow()) >= UNPROVEN_MAX {
            let is_one = |one: &Speaker| one.network == network && one.is_old(now);
            let oldest = self.all.borrow().iter().position(is_one)?;
            self.end(oldest);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let (connected, watch) = (*connected, Rc::clone(watch));
        self.all.borrow_mut().push(Speaker { number, network, connected, since: now, watch });
        Some(Claim { among: Rc::clone(self), number })
    }

    /// A place is wanted: ends one of these connections, the oldest of the address that has most. So a node is safe
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
        let Speaker { watch, .. } = self.all.borrow_mut().remove(index);
        watch.expired.set();
    }

    /// Ends those whose first proof has not come within `limit` of connecting.
    pub(super) fn sweep(&self, limit: Duration) {
        let now = Instant::now();
        let is_late = |one: &Speaker| now.saturating_duration_since(one.connected) > limit;
        loop {
            let late = self.all.borrow().iter().position(is_late);
            let Some(late) = late else { return };
            self.end(late);
        }
    }
}

impl Speaker {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= STANDING_MIN
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.among.all.borrow_mut().retain(|one| one.number != self.number);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.is_a_nodes();
        self.node.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(address: &str) -> Stranger {
        let address = Some(address.parse().unwrap());
        Stranger { address, connected: Instant::now(), watch: Rc::new(Watch::new()) }
    }

    /// Enters `count` connections of this address.
    fn enter(claimants: &Rc<Claimants>, address: &str, count: usize) -> Vec<(Stranger, Option<Claim>)> {
        let one = |_| {
            let stranger = stranger(address);
            let claim = claimants.enter(&stranger);
            (stranger, claim)
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn one_address_has_only_so_many_and_another_is_not_hurt() {
        let claimants = Rc::<Claimants>::default();
        let crowd = enter(&claimants, "2001:db8::1", UNPROVEN_MAX);
        assert!(crowd.iter().all(|(_, claim)| claim.is_some()));
        assert!(enter(&claimants, "2001:db8::ffff:0:0:1", 1)[0].1.is_none(), "the same /64");
        assert!(enter(&claimants, "2001:db8:0:1::1", 1)[0].1.is_some());
        assert!(enter(&claimants, "::ffff:192.0.2.1", 1)[0].1.is_some());
        drop(crowd);
        assert!(claimants.all.borrow().is_empty());
    }

    #[test]
    fn a_wanted_place_is_taken_from_the_oldest_of_the_address_with_most() {
        let claimants = Rc::<Claimants>::default();
        let node = enter(&claimants, "192.0.2.1", 2);
        let crowd = enter(&claimants, "192.0.2.2", 5);
        claimants.evict(Instant::now());
        assert!(crowd.iter().all(|(one, _)| !one.watch.expired.is_set()), "all are too young");
        let later = Instant::now() + STANDING_MIN;
        for ended in 1..=3 {
            claimants.evict(later);
            let is_ended: Vec<_> = crowd.iter().map(|(one, _)| one.watch.expired.is_set()).collect();
            assert_eq!(is_ended, (0..5).map(|place| place < ended).collect::<Vec<_>>());
        }
        assert!(node.iter().all(|(one, _)| !one.watch.expired.is_set()));
    }

    #[test]
    fn a_proof_that_is_late_ends_the_connection() {
        let claimants = Rc::<Claimants>::default();
        let all = enter(&claimants, "192.0.2.1", 1);
        claimants.sweep(Duration::from_secs(3600));
        assert!(!all[0].0.watch.expired.is_set());
        claimants.sweep(Duration::ZERO);
        assert!(all[0].0.watch.expired.is_set());
    }
}
