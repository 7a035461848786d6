//! The operator: changes shares, zones and copies; lets nodes join; drains, takes out or removes them.

use reticulum::cluster::layout::{Edit, Role};
use reticulum::cluster::node::Weight;

use crate::event::{Event, Index};
use crate::faults::{Fault, Kind};
use crate::world::World;

/// Most machines of a world.
pub(crate) const NODES_MAX: usize = 9;

impl World {
    /// Makes three changes, each while excess copies of the previous one may be in removal.
    pub(crate) fn reweigh(&mut self, index: Index, draw: u64) -> bool {
        self.after(4_000 + draw % 8_000, Event::Edit(index, draw / 3));
        self.after(14_000 + draw % 16_000, Event::Edit(index, draw / 7));
        self.change_something(index, draw)
    }

    pub(crate) fn change_something(&mut self, index: Index, draw: u64) -> bool {
        self.edit(index, |world| {
            let node = world.nodes[index].id;
            match draw % 6 {
                0 => Edit::Replication(2 + u8::try_from(draw / 6 % 2).expect("a bit")),
                1 => Edit::MinReplication(1 + u8::try_from(draw / 6 % 2).expect("a bit")),
                2 => Edit::Zone(node, world.nodes[0].settings.about.zone.clone()),
                _ => Edit::Weight(
                    node,
                    Weight::new(50 + u32::try_from(draw % 7).expect("small") * 50).expect("a weight"),
                ),
            }
        })
    }

    /// Up to three nodes join at once: for some images all owners are new then.
    pub(crate) fn join_some(&mut self) -> bool {
        let room = NODES_MAX.saturating_sub(self.nodes.len()) as u64;
        let count = (1 + self.random.below(3)).min(room);
        (0..count).for_each(|_| self.add_node(3));
        count > 0
    }

    /// Every other time, nodes join meanwhile.
    pub(crate) fn drain_node(&mut self, index: Index, draw: usize, duration: u64) -> bool {
        if draw.is_multiple_of(2) {
            let fault = Fault { kind: Kind::Join, nodes: (index, draw), duration: 0 };
            self.after(500 + duration / 8, Event::Fault(fault));
        }
        self.edit(index, |world| Edit::Role(world.nodes[index].id, Role::Draining))
    }

    /// In two of three cases the node does not learn of it and goes on with its own layout, while the others change
    /// theirs: nodes join, and another is drained.
    pub(crate) fn take_out(&mut self, fault: Fault) -> bool {
        let Fault { nodes: (index, draw), duration, .. } = fault;
        let next = |step: usize| (index + step) % self.nodes.len();
        let (by, drained) = (next(1), next(2));
        if !draw.is_multiple_of(3) {
            self.block(index);
            let join = Fault { kind: Kind::Join, nodes: (index, draw), duration: 0 };
            self.after(50, Event::Fault(join));
            let drain = Fault { kind: Kind::Drain, nodes: (drained, 1), duration };
            self.after(60, Event::Fault(drain));
        }
        self.edit(by, |world| Edit::Role(world.nodes[index].id, Role::Out { automatic: false }))
    }

    /// The operator removes a lost node as soon as any other is reachable.
    pub(crate) fn remove(&mut self, fault: Fault) {
        let index = fault.nodes.0;
        if !self.edit(index, |world| Edit::Role(world.nodes[index].id, Role::Removed)) {
            self.after(5_000, Event::Heal(fault));
        }
    }

    /// An operator's change, through any running node. Returns whether it changed anything.
    pub(crate) fn edit(&mut self, near: Index, edit: impl Fn(&Self) -> Edit) -> bool {
        let mut members = self.members();
        members.retain(|member| !self.nodes[*member].is_blocked);
        let by = members.iter().copied().find(|member| *member == near).or_else(|| members.first().copied());
        let Some(by) = by else { return false };
        let (edit, clock) = (edit(self), self.nodes[by].clock(self.now));
        let changed = self.running(by).core.edit(&edit, clock);
        self.drain(by);
        self.trace_event(None, || format!("node {by} is told {edit:?}: {changed:?}"));
        if changed == Ok(true) {
            // Copies that move from now on are not repairs.
            self.restart = None;
        }
        changed == Ok(true)
    }
}
