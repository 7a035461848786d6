//! Membership: which nodes answer, by SWIM. The crate foca implements it; its timers are kept here.
//!
//! Each member probes one other in turn every second. A member that does not answer, directly or through three others,
//! is suspected, and has three seconds to refute; then it is down. A node that hears it was called down comes back at
//! once with a higher incarnation. Messages are carried by the caller, and timers fire when the caller says that their
//! time has come.
//!
//! Liveness routes requests. It never moves ownership, and never lowers what an answer needs.

mod codec;
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{AccumulatingRuntime, Config, Foca, Member, PeriodicParams, State, Timer};

use super::node::NodeId;
use super::random::Random;
use super::time::Time;
use super::wire::Malformed;
use codec::PeerCodec;
pub use peer::Peer;

/// The membership as one node sees it.
pub(in crate::cluster) struct Membership {
    foca: Foca<Peer, PeerCodec, Random, foca::NoCustomBroadcast>,
    runtime: AccumulatingRuntime<Peer>,
    timers: BTreeMap<(Time, u64), Timer<Peer>>,
    timer_count: u64,
    sized_for: usize,
    /// As of the last waking: foca counts refutations in it.
    incarnation: u16,
    /// Whether another process has had this node's id.
    is_contested: bool,
}

/// The largest membership message: one request body. A hundred members fit in one.
pub(in crate::cluster) const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// Timers that fire later than this were not delayed by load: the process was stopped. The others' answers lie
/// unread then, and to fire the timers first would call everybody down.
const STOPPED_MS: u64 = 1_500;

/// Suspicions that a node refutes between two wakings, at most: beyond it a waking goes unsaid.
const REFUTATIONS_MAX: u16 = 64;

impl Membership {
    pub(in crate::cluster) fn new(this: Peer, random: Random) -> Self {
        let foca = Foca::new(this, config(1), random, PeerCodec);
        Self {
            foca,
            runtime: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            timer_count: 0,
            sized_for: 1,
            incarnation: 0,
            is_contested: false,
        }
    }

    /// This node as the others should know it; its incarnation rises when they called it down.
    pub(in crate::cluster) fn this(&self) -> &Peer {
        self.foca.identity()
    }

    /// Other nodes that answer.
    pub(in crate::cluster) fn alive(&self) -> BTreeSet<NodeId> {
        let this = self.this().node;
        self.foca.iter_members().map(|member| member.id().node).filter(|node| *node != this).collect()
    }

    /// The present instance of a node that answers.
    pub(in crate::cluster) fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.foca.iter_members().map(Member::id).find(|peer| peer.node == node)
    }

    /// Handles a message of `from`. News of nodes that are not known is left out: so only members are probed, and there
    /// are never more entries than a layout has nodes.
    pub(in crate::cluster) fn receive(
        &mut self,
        from: NodeId,
        bytes: &[u8],
        is_known: impl Fn(NodeId) -> bool,
        now: Time,
    ) -> Result<(), Malformed> {
        let Some(bytes) = codec::of_known(bytes, from, is_known)? else { return Ok(()) };
        let result = self.foca.handle_data(&bytes, &mut self.runtime);
        self.after(now);
        match result {
            Err(foca::Error::Decode(_) | foca::Error::MalformedPacket | foca::Error::DataTooBig) => {
                Err(Malformed)
            }
            // The rest says that a message came at the wrong time, which any network may bring about.
            _ => Ok(()),
        }
    }

    /// A node was announced outside of membership: it becomes a member, or hears that it is thought down.
    pub(in crate::cluster) fn announce(&mut self, peer: &Peer, now: Time) {
        let update = Member::alive(peer.clone());
        // Only encoding can fail, and identities are bounded.
        _ = self.foca.apply_many(std::iter::once(update), true, &mut self.runtime);
        if self.peer(peer.node).is_none() {
            _ = self.foca.announce(peer.clone(), &mut self.runtime);
        }
        self.after(now);
    }

    /// Another instance of this node was later, and is gone or about to go: a copy of its data directory. From now on
    /// this one is later, so what is said of the other one no longer holds for it.
    pub(in crate::cluster) fn outbid(&mut self, other: &Peer, now: Time) {
        if let Some(later) = self.this().outbidding(other) {
            // Only encoding can fail, and identities are bounded.
            _ = self.foca.change_identity(later, &mut self.runtime);
            self.after(now);
        }
        self.is_contested = true;
        self.speak_up(now);
    }

    /// Another process has this node's id.
    pub(in crate::cluster) fn contest(&mut self) {
        self.is_contested = true;
    }

    /// Goes on probing where another process has had this node's id. After a change of its identity, foca waits until
    /// somebody speaks to it; but all others may take the other process for this node, and speak to that.
    pub(in crate::cluster) fn speak_up(&mut self, now: Time) {
        if self.is_contested {
            _ = self.foca.apply_many(std::iter::empty(), false, &mut self.runtime);
            self.after(now);
        }
    }

    /// Tells the others that this node goes.
    pub(in crate::cluster) fn leave(&mut self, now: Time) {
        _ = self.foca.leave_cluster(&mut self.runtime);
        self.after(now);
    }

    /// Fires the timers that are due.
    pub(in crate::cluster) fn tick(&mut self, now: Time) {
        if let Some(late) = self.next_deadline().map(|due| now.since(due)).filter(|late| *late > STOPPED_MS) {
            let timers = std::mem::take(&mut self.timers);
            self.timers =
                timers.into_iter().map(|((due, at), timer)| ((due.after(late), at), timer)).collect();
            // Due now, but only after whatever the caller has to hand in.
            self.refute(now);
            return;
        }
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let timer = entry.remove();
            // A probe that a stop cut short reports itself and goes on.
            _ = self.foca.handle_timer(timer, &mut self.runtime);
            self.after(now);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(in crate::cluster) fn next_deadline(&self) -> Option<Time> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }

    /// Messages to be sent, each to whom.
    pub(in crate::cluster) fn take_messages(&mut self) -> Vec<(Peer, Vec<u8>)> {
        let sends = std::iter::from_fn(|| self.runtime.to_send());
        sends.map(|(to, bytes)| (to, bytes.to_vec())).collect()
    }

    /// Refutes a suspicion that the others may have. They spread it while this node was stopped and have stopped
    /// repeating it by now, so this node would hear only that it is down.
    fn refute(&mut self, now: Time) {
        self.incarnation = self.incarnation.saturating_add(REFUTATIONS_MAX);
        // As if it had heard a suspicion of the latest incarnation: it answers with a later one.
        let suspicion = Member::new(self.this().clone(), self.incarnation, State::Suspect);
        _ = self.foca.apply_many(std::iter::once(suspicion), true, &mut self.runtime);
        self.after(now);
    }

    fn after(&mut self, now: Time) {
        while self.runtime.to_notify().is_some() {}
        while let Some((after, timer)) = self.runtime.to_schedule() {
            let due = now.after(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            let before = self.timers.insert((due, self.timer_count), timer);
            assert!(before.is_none(), "invariant: membership: every timer has its own place");
            self.timer_count += 1;
        }
        let size = self.foca.num_members() + 1;
        if size != self.sized_for {
            self.sized_for = size;
            self.foca
                .set_config(config(size))
                .expect("invariant: membership: periods do not depend on the size");
        }
    }
}

/// The parameters for so many members.
///
/// Down within 10 s for 3 to 5 members: a member is asked by one of the others within 3 s nearly always, has
/// failed a second later, and is down 3 s after that. Each doubling beyond 8 gives a suspect one more second to
/// hear of it, because news spread in rounds whose number grows with the logarithm.
fn config(size: usize) -> Config {
    let doublings = usize::BITS - size.leading_zeros();
    let periodic = |milliseconds, members| {
        Some(PeriodicParams {
            frequency: Duration::from_millis(milliseconds),
            num_members: NonZeroUsize::new(members).expect("invariant: membership: none of these is 0"),
        })
    };
    Config {
        probe_period: Duration::from_millis(1_000),
        probe_rtt: Duration::from_millis(400),
        num_indirect_probes: NonZeroUsize::new(3).expect("invariant: membership: none of these is 0"),
        max_transmissions: NonZeroU8::new(u8::try_from(4 + 2 * doublings).unwrap_or(u8::MAX))
            .expect("invariant: membership: none of these is 0"),
        suspect_to_down_after: Duration::from_secs(u64::from(doublings.saturating_sub(4)) + 3),
        remove_down_after: Some(Duration::from_secs(24 * 60 * 60)),
        max_packet_size: NonZeroUsize::new(MESSAGE_BYTES_MAX)
            .expect("invariant: membership: none of these is 0"),
        notify_down_members: true,
        // Push-pull: the whole member list from one member.
        periodic_announce: periodic(30_000, 1),
        // The core announces itself to members that are down, by their URLs in the layout.
        periodic_announce_to_down_members: None,
        periodic_gossip: periodic(500, 3),
    }
}
