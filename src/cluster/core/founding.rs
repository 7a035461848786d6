//! Founding: fresh nodes that name each other in `cluster.join` make the first layout of one cluster.
//!
//! A node is **fresh** while it has no layout, never had one, and holds no image. Its **set** is its join list and its
//! own URL. Every two seconds it begins a **round**: it tells each URL of the list its set and the round's number. A
//! fresh node that has the sender on its own list answers with its own set. A round is **complete** when all URLs of
//! the list answered it, as different nodes with the same set. The node with the lowest id then **asks** in its next
//! rounds, and the others **promise**. It founds after two complete rounds with the same promises, the second begun
//! after the first was complete.
//!
//! # Why there are never two clusters
//!
//! Assumed are three things. One process at a time serves a URL. A process that ended sends nothing more, and what it
//! had sent arrives at nobody who started after its end, and at others within [`PROMISE_ROUNDS`] of their rounds. Nodes
//! of one set have one list from the first start until the cluster is founded. Nothing is assumed of clocks, and a
//! message may be lost, late, or there twice. A process may end at any time, and its disk may be wiped.
//!
//! 1. *A fresh process was fresh since its start, and so was its disk.* A layout is loaded at the start. So a node that
//!    loses a layout that is not durable has published nothing of it.
//! 2. *A promise belongs to one process.* It has a number, which this process never uses again. Another process of the
//!    node has another instance. So two equal promises, asked for one after the other, say that the process ran in
//!    between, was fresh, and kept the promise.
//! 3. *When the founder completes its first round, all disks of the set are fresh.* Call this moment `m`: by 1 and 2 all
//!    promisers run and are fresh at `m`, and so is the founder. So nobody can send a layout that was not sent before.
//! 4. *A layout from before `m` is nowhere after `m`.* Its senders have ended before `m`. It can only reach a process that
//!    ran at `m`. That one has promised, and takes a layout from the founder's node alone.
//! 5. *Two founders do not overlap.* Let F and G found, with `m(F)` before `m(G)`. If F founds after `m(G)`, its process
//!    ran at `m(G)`, and was a promiser of G then. But a node that promises forgets its own complete round, and one that
//!    founds has promised nobody since `m`.
//! 6. *One after the other is one after the end of the other.* If F founded before `m(G)`, then by 3 F's disk is fresh
//!    at `m(G)`: its layout was never durable, so never published, or it was wiped on all disks. By 4 it is nowhere.
//!
//! An alias, another list, or a node that is missing leaves the round incomplete, and everybody waits. A member of the
//! list is no fresh node: it takes the others in. A promise ends when its founder has not asked for a while.

use std::collections::{BTreeMap, BTreeSet};

use super::super::layout::{Edit, Layout, NewNode, digest};
use super::super::membership::Peer;
use super::super::node::{NodeId, NodeUrl};
use super::super::protocol::deviation::Deviation;
use super::super::wire::WireWriter;
use super::message::{Body, Fresh, FreshAck};
use super::{Action, ClusterEvent, ClusterSettings, Core, JoinRefusal};

/// A promise ends after so many rounds of the node that gave it, 16 s, in which the founder did not ask. Any message is
/// delivered or lost by then: its sender gives it 2 s. Rounds are counted, and not seconds, because a node that was
/// stopped has to read its messages first.
const PROMISE_ROUNDS: u8 = 8;

/// A fresh node's part in the founding of its cluster.
#[derive(Clone, Debug)]
pub(super) struct Founding {
    /// The hash of its set.
    set: [u8; 16],
    /// The other URLs of the set. The keys compare them; at most as many as a layout has nodes.
    others: BTreeMap<String, NodeUrl>,
    round: u64,
    /// Whether its rounds ask for promises.
    asks: bool,
    /// The answers to this round, and those to the one before. Only URLs of the list are keys.
    answers: BTreeMap<String, Answer>,
    answers_before: BTreeMap<String, Answer>,
    /// The promises of the last complete round in which it asked.
    promises: Option<Vec<PromiseId>>,
    promised: Option<Promise>,
    promise_count: u64,
    deviation: Option<Deviation>,
}

/// The answer of a fresh node to a round.
#[derive(Clone, Debug)]
struct Answer {
    node: NodeId,
    instance: u64,
    about: NewNode,
    set: [u8; 16],
    /// 0: none.
    promise: u64,
}

/// Node, instance and number.
type PromiseId = (NodeId, u64, u64);

/// The promise that this node gave: to found with this node alone.
#[derive(Clone, Debug)]
struct Promise {
    founder: Peer,
    number: u64,
    rounds_left: u8,
}

/// The state of a URL of its join list, as a fresh node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// No new node with this URL has answered the last round.
    Silent,
    /// A new node that names the same nodes.
    Ready,
    /// A new node whose join list and URL name other nodes than this node's.
    OtherList,
}

/// The consequence of a complete round.
enum Next {
    Wait,
    BeginRound,
    Found,
}

impl Founding {
    /// For a node without a layout. `None`: its list names nobody else, or more nodes than there may be.
    pub(super) fn new(settings: &ClusterSettings, deviation: Option<Deviation>) -> Option<Self> {
        let own = settings.about.url.key();
        let mut others: BTreeMap<_, _> = settings.join.iter().map(|url| (url.key(), url.clone())).collect();
        others.remove(&own);
        if others.is_empty() || others.len() >= Layout::NODES_MAX {
            return None;
        }
        let set: BTreeSet<_> = others.keys().chain([&own]).collect();
        let mut writer = WireWriter::default();
        set.into_iter().for_each(|key| writer.text(key));
        Some(Self {
            set: digest(&writer.into_bytes()),
            others,
            round: 0,
            asks: false,
            answers: BTreeMap::new(),
            answers_before: BTreeMap::new(),
            promises: None,
            promised: None,
            promise_count: 0,
            deviation,
        })
    }

    /// Begins a round: answers to the one before are late from now on.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
        self.answers_before = std::mem::take(&mut self.answers);
    }

    /// The message of this round.
    pub(super) fn ask(&self, about: NewNode) -> Body {
        Body::Fresh(Fresh { about, set: self.set, round: self.round, asks: self.asks })
    }

    /// Counts a round of this node by its clock: the promise may end.
    pub(super) fn age_promise(&mut self) {
        if let Some(promise) = &mut self.promised {
            promise.rounds_left -= 1;
        }
        self.promised.take_if(|promise| promise.rounds_left == 0);
    }

    /// Whether a layout that this node sends may be taken over.
    pub(super) fn may_adopt_from(&self, node: NodeId) -> bool {
        self.promised.as_ref().is_none_or(|promise| promise.founder.node == node)
    }

    /// Each other URL of the set, and what is known of it.
    fn awaited(&self) -> impl Iterator<Item = (&NodeUrl, Awaited)> {
        self.others.iter().map(|(key, url)| {
            let state = match self.answers.get(key).or_else(|| self.answers_before.get(key)) {
                None => Awaited::Silent,
                Some(answer) if answer.set == self.set => Awaited::Ready,
                Some(_) => Awaited::OtherList,
            };
            (url, state)
        })
    }

    /// Promises a founder that asks to found with it alone. Returns the promise's number; 0: it is promised to another.
    fn promise(&mut self, founder: &Peer) -> u64 {
        if self.deviates(Deviation::PromiseForgotten) {
            return 1;
        }
        match &mut self.promised {
            Some(promise) if promise.founder.instance == founder.instance => {
                promise.rounds_left = PROMISE_ROUNDS;
                return promise.number;
            }
            // A later process of the founder that is fresh: what the earlier one founded was not durable.
            Some(Promise { founder: old, .. })
                if old.node == founder.node && old.generation < founder.generation => {}
            Some(_) => return 0,
            None => {}
        }
        self.promise_count += 1;
        let number = self.promise_count;
        self.promised = Some(Promise { founder: founder.clone(), number, rounds_left: PROMISE_ROUNDS });
        (self.asks, self.promises) = (false, None);
        number
    }

    /// Whether all have answered this round.
    fn is_complete(&self) -> bool {
        let missing = self.others.len() - self.answers.len();
        missing == 0 || (missing == 1 && self.deviates(Deviation::FoundedWithoutAll))
    }

    /// Concludes what follows from a complete round.
    fn conclude(&mut self, this: NodeId) -> Next {
        let nodes: BTreeSet<_> = self.answers.values().map(|answer| answer.node).collect();
        let is_agreed = self.answers.values().all(|answer| answer.set == self.set);
        let are_different = nodes.len() == self.answers.len() && !nodes.contains(&this);
        let is_lowest = nodes.first().is_none_or(|first| this < *first);
        if !is_agreed || !are_different || !is_lowest || self.promised.is_some() {
            (self.asks, self.promises) = (false, None);
            return Next::Wait;
        }
        if !self.asks {
            self.asks = true;
            return Next::BeginRound;
        }
        if self.answers.values().any(|answer| answer.promise == 0) {
            return Next::Wait;
        }
        let promises = self.answers.values().map(|answer| (answer.node, answer.instance, answer.promise));
        let promises = Some(promises.collect());
        if self.promises == promises {
            return Next::Found;
        }
        self.promises = promises;
        Next::BeginRound
    }

    fn deviates(&self, deviation: Deviation) -> bool {
        self.deviation == Some(deviation)
    }
}

impl Core {
    /// Each URL of the join list as this node knows it, while it is fresh; empty otherwise.
    pub fn awaited(&self) -> impl Iterator<Item = (&NodeUrl, Awaited)> {
        self.founding.iter().flat_map(Founding::awaited)
    }

    /// The round of another fresh node. The answer goes to the URL of this node's own list.
    pub(super) fn handle_fresh(&mut self, from: &Peer, fresh: &Fresh) {
        let this = self.this();
        if fresh.about.url != from.url {
            return self.event(ClusterEvent::Malformed);
        }
        let Some(founding) = &mut self.founding else { return };
        let Some(url) = founding.others.get(&from.url.key()).cloned() else { return };
        let is_founder = fresh.asks && fresh.set == founding.set && from.node < this;
        let promise = if is_founder { founding.promise(from) } else { 0 };
        let (set, about) = (founding.set, self.settings.about.clone());
        let ack = FreshAck { about, set, instance: from.instance, round: fresh.round, promise };
        self.send(&url, Some(from.node), Body::FreshAck(ack));
    }

    /// The answer of another fresh node to a round of this one.
    pub(super) fn handle_fresh_ack(&mut self, from: &Peer, ack: &FreshAck) {
        let (this, instance) = (self.this(), self.membership.this().instance);
        if ack.about.url != from.url {
            return self.event(ClusterEvent::Malformed);
        }
        let Some(founding) = &mut self.founding else { return };
        let key = from.url.key();
        let is_asked = ack.instance == instance && ack.round == founding.round;
        if !is_asked || !founding.others.contains_key(&key) {
            return;
        }
        let FreshAck { about, set, promise, .. } = ack.clone();
        let answer = Answer { node: from.node, instance: from.instance, about, set, promise };
        founding.answers.insert(key, answer);
        if !founding.is_complete() {
            return;
        }
        match founding.conclude(this) {
            Next::Wait => {}
            Next::BeginRound => self.announce(),
            Next::Found => self.found(),
        }
    }

    /// Makes the first layout, with all nodes of the set.
    fn found(&mut self) {
        let Some(founding) = &self.founding else { return };
        let this = self.this();
        let answers: Vec<_> =
            founding.answers.values().map(|answer| (answer.node, answer.about.clone())).collect();
        let mut layout = Layout::found(this, &self.settings.about, self.settings.copies);
        for (node, about) in answers {
            if let Err(error) = layout.edit(this, &Edit::Join(node, about)) {
                // Two have one name: nothing is founded before one of them is given another.
                let refusal = JoinRefusal::from(error);
                self.actions.push_back(Action::Refuse(node, refusal));
                return self.event(ClusterEvent::Refused(node, refusal));
            }
        }
        (self.founding, self.working, self.is_changed) = (None, Some(layout), true);
        self.refresh_own_entry(false);
        self.event(ClusterEvent::Founded);
    }
}
