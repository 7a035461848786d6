//! The turns of a shard's repairs: a repair that reads, fetches or sends a copy holds one. The budget says how many there
//! are, and how long each rests.
//!
//! Turns are given in the order in which they were asked for, and repairs begin with the fewest copies first.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::sync::{Permit, Semaphore};

use crate::cluster::node::NodeId;
use crate::cluster::protocol::repair::budget::RepairBudget;
use crate::shard::Shard;
use crate::shard::oneshot;
use crate::telemetry::metrics::ShardMetrics;

/// The turns of one shard.
#[derive(Default)]
pub(super) struct RepairTurns {
    budget: RefCell<RepairBudget>,
    waiting: RefCell<VecDeque<oneshot::Sender<TurnPermit>>>,
    peers: RefCell<BTreeMap<NodeId, Rc<Semaphore>>>,
    /// The shard stops: nothing rests any more, for its executor may end at any time.
    has_ended: Cell<bool>,
}

/// One turn. It is given back, after its rest, when this is dropped.
pub(super) struct TurnPermit {
    turns: Rc<RepairTurns>,
    began: Instant,
}

impl RepairTurns {
    /// The turns of a shard that has repaired nothing yet.
    pub(super) fn new(metrics: &ShardMetrics) -> Self {
        let turns = Self::default();
        metrics.repair_turns.set(u64::from(turns.budget.borrow().limit()));
        turns
    }

    /// Waits for a turn.
    pub(super) async fn take(self: &Rc<Self>) -> TurnPermit {
        let (sender, turn) = oneshot::channel();
        self.waiting.borrow_mut().push_back(sender);
        self.give();
        turn.await.expect("invariant: repair turns: a repair waits until it has its turn")
    }

    /// Does a peer's part of a turn: only a few turns talk to one peer at once.
    pub(super) async fn with_peer<T>(&self, node: NodeId, work: impl Future<Output = T>) -> T {
        let new = || Rc::new(Semaphore::new(u64::from(RepairBudget::PEER_MAX)));
        let semaphore = Rc::clone(self.peers.borrow_mut().entry(node).or_insert_with(new));
        // It fails only when it is closed, which nobody does.
        let _permit: Option<Permit<'_>> = semaphore.acquire_permit(1).await.ok();
        work.await
    }

    /// Hands out the turns that there are.
    fn give(self: &Rc<Self>) {
        while !self.waiting.borrow().is_empty() && self.budget.borrow_mut().may_take() {
            let next = self.waiting.borrow_mut().pop_front();
            let Some(sender) = next else { return };
            self.budget.borrow_mut().take();
            let turn = TurnPermit { turns: Rc::clone(self), began: Instant::now() };
            // One that nobody waits for any more gives itself back.
            sender.send(turn);
        }
    }

    fn take_back(self: &Rc<Self>) {
        self.budget.borrow_mut().give_back();
        self.give();
    }

    /// Measures what repairs cost, and adapts the turns to it, for as long as the node runs.
    pub(super) async fn adapt(self: Rc<Self>, shard: Rc<Shard>) {
        let mut answered = shard.metrics.requests_answered();
        while !shard.lifecycle.stopping.is_set() {
            if self.budget.borrow().taken() == 0 {
                self.budget.borrow_mut().be_idle();
                glommio::timer::sleep(Duration::from_millis(RepairBudget::WINDOW_MS)).await;
                answered = shard.metrics.requests_answered();
                continue;
            }
            let due = Instant::now() + Duration::from_millis(RepairBudget::PROBE_EVERY_MS);
            glommio::timer::sleep(Duration::from_millis(RepairBudget::PROBE_EVERY_MS)).await;
            let now = shard.node.control.now();
            let is_over = {
                let mut budget = self.budget.borrow_mut();
                budget.note_delay(micros(due.elapsed()));
                budget.is_due(now)
            };
            if is_over {
                let before = std::mem::replace(&mut answered, shard.metrics.requests_answered());
                self.budget.borrow_mut().decide(now, answered != before);
                shard.metrics.repair_turns.set(u64::from(self.budget.borrow().limit()));
                let view = shard.view();
                self.peers.borrow_mut().retain(|node, _| view.member(*node).is_some());
                self.give();
            }
        }
        self.has_ended.set(true);
    }
}

impl Drop for TurnPermit {
    fn drop(&mut self) {
        let rest = self.turns.budget.borrow().rest_after(micros(self.began.elapsed()));
        let turns = Rc::clone(&self.turns);
        if rest == 0 || turns.has_ended.get() {
            return turns.take_back();
        }
        glommio::spawn_local(async move {
            glommio::timer::sleep(Duration::from_micros(rest)).await;
            turns.take_back();
        })
        .detach();
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
