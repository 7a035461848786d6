//! A restart of all nodes: they must know each other again within ten seconds, and must not repair images that were
//! complete.

use std::collections::BTreeSet;

use reticulum::object::ObjectId;

use crate::event::{Event, Index};
use crate::node::Node;
use crate::world::World;

/// The state at the end of all nodes.
pub(crate) struct Restart {
    /// Images that were on their owners and nowhere else.
    whole: BTreeSet<ObjectId>,
    /// The time at which the processes ended.
    at: u64,
}

/// Milliseconds from the start of the processes to the full view.
const VIEW_MS: u64 = 10_000;

/// Milliseconds from then on, in which repairs would have begun.
const WATCH_MS: u64 = 30_000;

impl World {
    /// Ends all processes at once, and watches them afterwards, unless there is another fault.
    pub(crate) fn restart_all(&mut self) -> bool {
        let standing = self.standing();
        self.restart = self.is_calm(&standing).then(|| {
            let files = standing.iter().flat_map(|index| self.nodes[*index].disk.files());
            let held: BTreeSet<_> = files.clone().map(|(id, _)| *id).collect();
            // A copy whose name was not synced yet is in no manifest, so no node can know of it.
            let unlisted: BTreeSet<_> =
                files.filter(|(_, file)| !file.is_durable()).map(|(id, _)| *id).collect();
            let is_whole =
                |id: &ObjectId| !unlisted.contains(id) && self.misplaced(standing[0], id).is_none();
            Restart { at: self.now, whole: held.into_iter().filter(is_whole).collect() }
        });
        for index in standing {
            self.take_down(index, false);
        }
        true
    }

    /// The processes start.
    pub(crate) fn restarted(&mut self) {
        self.standing().into_iter().for_each(|index| self.bring_up(index));
        if let Some(Restart { at, .. }) = self.restart {
            self.after(VIEW_MS, Event::Restarted(at));
            self.after(WATCH_MS, Event::RestartedLong(at));
        }
    }

    pub(crate) fn check_restart(&mut self, at: u64) {
        let standing = self.standing();
        let Some(index) = standing.iter().copied().find(|index| !self.sees_all(*index, &standing)) else {
            return;
        };
        if self.restart.take_if(|restart| restart.at == at).is_some() {
            self.fail(format!("node {index} does not see everybody {VIEW_MS} ms after a restart of all"));
        }
    }

    pub(crate) fn end_restart(&mut self, at: u64) {
        if self.restart.take_if(|restart| restart.at == at).is_some() {
            self.count("restart of all watched to its end");
        }
    }

    /// A comparison found that a node lacks an image: for a complete one that is a broken promise.
    pub(crate) fn watch_restart(&mut self, id: &ObjectId) {
        // Some nodes may have heard of a deletion, and others not.
        if self.deletions.may_be_gone(id) {
            return;
        }
        if self.restart.take_if(|restart| restart.whole.contains(id)).is_some() {
            self.fail(format!("{id} was whole and is repaired after a restart of all"));
        }
    }

    fn is_calm(&self, standing: &[Index]) -> bool {
        let is_well = |node: &Node| node.is_running() && !node.is_blocked && node.disk.is_well();
        let is_settled = |index: &Index| {
            self.view(*index).is_settled() && self.view(*index).hash() == self.view(standing[0]).hash()
        };
        self.network.is_well()
            && standing.iter().all(|index| is_well(&self.nodes[*index]))
            && standing.iter().all(|index| is_settled(index) && self.sees_all(*index, standing))
    }

    /// Whether the node sees all others, and no more.
    pub(crate) fn sees_all(&self, index: Index, standing: &[Index]) -> bool {
        let Some(process) = &self.nodes[index].process else { return false };
        let alive = process.view.members().filter(|(_, member)| member.alive).count();
        alive == standing.len() && process.view.members().count() == standing.len()
    }
}
