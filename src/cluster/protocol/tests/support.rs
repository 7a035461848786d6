//! Scenarios that the tests of the protocol begin with, and driving a machine by hand.

use std::collections::BTreeSet;

use crate::cluster::layout::tests::support::{id as node, layout};
use crate::cluster::layout::{Copies, Edit, Layout, Role};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::{Input, Machine};
use crate::cluster::time::Time;
use crate::cluster::view::{LocalState, View, Writes};
use crate::object::ObjectId;

/// A machine, its clock and its view.
pub(in crate::cluster::protocol) struct Bench<M> {
    pub(in crate::cluster::protocol) machine: M,
    pub(in crate::cluster::protocol) now: Time,
    pub(in crate::cluster::protocol) view: View,
}

impl<M: Machine> Bench<M> {
    /// Of a node that has run for a minute.
    pub(in crate::cluster::protocol) fn new(machine: M, view: View) -> Self {
        Self { machine, now: Time::from_millis(60_000), view }
    }

    /// The effects that the machine asks for after this input.
    pub(in crate::cluster::protocol) fn handle(&mut self, input: Input<M::Outcome>) -> Vec<M::Effect> {
        self.machine.handle(self.now, &self.view, input);
        std::iter::from_fn(|| self.machine.poll()).collect()
    }

    pub(in crate::cluster::protocol) fn tick(&mut self) -> Vec<M::Effect> {
        self.handle(Input::Tick)
    }

    pub(in crate::cluster::protocol) fn hear(&mut self, outcome: M::Outcome) -> Vec<M::Effect> {
        self.handle(Input::Outcome(outcome))
    }

    /// Lets time pass up to the deadline.
    pub(in crate::cluster::protocol) fn wait(&mut self) -> Vec<M::Effect> {
        let deadline = self.machine.deadline().expect("a deadline");
        self.now = self.now.max(deadline);
        self.tick()
    }

    /// Lets time pass up to the deadline again and again, until there is something to do.
    pub(in crate::cluster::protocol) fn wait_for_effects(&mut self) -> Vec<M::Effect> {
        loop {
            let effects = self.wait();
            if !effects.is_empty() || self.machine.is_finished() {
                return effects;
            }
        }
    }
}

pub(in crate::cluster::protocol) const COPIES: Copies = Copies { replication: 3, min_replication: 2 };

pub(in crate::cluster::protocol) fn object(number: u8) -> ObjectId {
    ObjectId::from_digest([number.wrapping_mul(37); 20])
}

/// The view of node 0 with all but these alive.
pub(in crate::cluster::protocol) fn view_without(layout: &Layout, dead: &[NodeId]) -> View {
    let alive = layout.nodes.keys().copied().filter(|it| !dead.contains(it)).collect();
    let local = LocalState {
        this: node(0),
        since: Time::default(),
        alive,
        known: BTreeSet::new(),
        writes: Writes::Allowed,
        store: 0,
    };
    View::new(layout, local)
}

pub(in crate::cluster::protocol) fn view(layout: &Layout) -> View {
    view_without(layout, &[])
}

/// Five nodes in five zones.
pub(in crate::cluster::protocol) fn five() -> Layout {
    layout(&[0, 1, 2, 3, 4], COPIES)
}

pub(in crate::cluster::protocol) fn set_role(layout: &mut Layout, of: NodeId, role: Role) {
    layout.edit(node(0), &Edit::Role(of, role)).unwrap();
}

pub(in crate::cluster::protocol) fn synced(layout: &Layout) -> LookupReply {
    LookupReply::Absent(Some(layout.staged.sync_hash()))
}
