//! Faults strike, and are healed.

use reticulum::cluster::core::Input;
use reticulum::cluster::layout::{Edit, Role};
use reticulum::cluster::node::Weight;
use reticulum::object::ObjectId;

use crate::disk::right_bytes;
use crate::event::{Event, Index};
use crate::faults::{Fault, Kind};
use crate::world::World;

impl World {
    pub(crate) fn strike(&mut self, fault: Fault) {
        let Fault { kind, nodes: (index, other), duration } = fault;
        let has_struck = match kind {
            Kind::Kill => self.take_down(index, false),
            Kind::PowerCut => self.take_down(index, true),
            Kind::PowerCutAll if duration > 0 => {
                self.cut_power_after_answer = true;
                false
            }
            Kind::PowerCutAll => {
                for index in 0..self.nodes.len() {
                    self.take_down(index, true);
                }
                self.after(2_000, Event::Heal(fault));
                true
            }
            Kind::Stop => self.stop(index),
            Kind::Isolate => {
                let links = self.links_between(&[index].into(), true);
                self.cut_links(&links)
            }
            Kind::Partition => {
                let side = (0..self.nodes.len()).filter(|it| it % 2 == index % 2).collect();
                let links = self.links_between(&side, true);
                self.cut_links(&links)
            }
            Kind::OneWay => index != other && self.cut_links(&[(index, other)]),
            Kind::BadNetwork => {
                *self.bad.entry(index).or_default() += 1;
                true
            }
            Kind::DiskFull => !std::mem::replace(&mut self.nodes[index].disk.is_full, true),
            Kind::SyncError => !std::mem::replace(&mut self.nodes[index].disk.sync_fails, true),
            Kind::SlowDisk => {
                self.nodes[index].disk.slowness = 400;
                true
            }
            Kind::BitFlip => self.flip(index),
            Kind::Emptied => self.empty(index),
            Kind::Reweigh => self.reweigh(index, duration),
            Kind::Join if self.nodes.len() < 9 => {
                // Up to three at once: for some images all owners are new then.
                let count = (1 + self.random.below(3)).min(9 - self.nodes.len() as u64);
                (0..count).for_each(|_| self.add_node(3));
                true
            }
            Kind::Join => false,
            Kind::Drain => self.edit(index, |world| Edit::Role(world.nodes[index].id, Role::Draining)),
        };
        if has_struck {
            *self.log.faults.entry(kind).or_default() += 1;
        }
        let heals_itself =
            matches!(kind, Kind::SyncError | Kind::BitFlip | Kind::Reweigh | Kind::Join | Kind::PowerCutAll);
        if has_struck && !heals_itself {
            self.after(duration, Event::Heal(fault));
        }
    }

    pub(crate) fn heal(&mut self, fault: Fault) {
        let Fault { kind, nodes: (index, other), .. } = fault;
        match kind {
            Kind::Kill | Kind::PowerCut => self.bring_up(index),
            Kind::Emptied => {
                self.bring_up(index);
                // The hard case: what it lost is on a node that does not answer while it catches up.
                if other != index {
                    self.strike(Fault { kind: Kind::Isolate, nodes: (other, index), duration: 15_000 });
                }
            }
            Kind::PowerCutAll => (0..self.nodes.len()).for_each(|index| self.bring_up(index)),
            Kind::Stop => self.resume(index),
            Kind::Isolate => {
                let links = self.links_between(&[index].into(), true);
                self.mend_links(&links);
            }
            Kind::Partition => {
                let side = (0..self.nodes.len()).filter(|it| it % 2 == index % 2).collect();
                let links = self.links_between(&side, true);
                self.mend_links(&links);
            }
            Kind::OneWay => self.mend_links(&[(index, other)]),
            Kind::BadNetwork => {
                if let Some(count) = self.bad.get_mut(&index) {
                    *count -= 1;
                }
                self.bad.retain(|_, count| *count > 0);
            }
            Kind::DiskFull => self.nodes[index].disk.is_full = false,
            Kind::SlowDisk => self.nodes[index].disk.slowness = 0,
            Kind::Drain => {
                self.edit(index, |world| Edit::Role(world.nodes[index].id, Role::Active));
            }
            Kind::SyncError | Kind::BitFlip | Kind::Reweigh | Kind::Join => {}
        }
    }

    /// Ends all faults.
    pub(crate) fn heal_all(&mut self) {
        self.cut.clear();
        self.bad.clear();
        self.cut_power_after_answer = false;
        for index in 0..self.nodes.len() {
            let disk = &mut self.nodes[index].disk;
            (disk.is_full, disk.sync_fails, disk.slowness) = (false, false, 0);
            self.resume(index);
            self.bring_up(index);
        }
        for index in 0..self.nodes.len() {
            self.edit(index, |world| Edit::Role(world.nodes[index].id, Role::Active));
        }
    }

    fn take_down(&mut self, index: Index, loses_power: bool) -> bool {
        let was_up = self.nodes[index].process.is_some();
        self.nodes[index].kill();
        if loses_power {
            self.nodes[index].disk.lose_power(&mut self.random);
        }
        was_up
    }

    fn bring_up(&mut self, index: Index) {
        if self.nodes[index].process.is_none() {
            self.start(index);
        }
    }

    fn stop(&mut self, index: Index) -> bool {
        let node = &mut self.nodes[index];
        node.process.is_some() && !std::mem::replace(&mut node.is_stopped, true)
    }

    /// Timers and messages that have waited come in any order.
    fn resume(&mut self, index: Index) {
        if !std::mem::replace(&mut self.nodes[index].is_stopped, false) {
            return;
        }
        self.tell_core(index, Input::Tick);
        self.drain(index);
        for number in self.running(index).requests.keys().copied().collect::<Vec<_>>() {
            let boot = self.nodes[index].boot;
            self.after(50, Event::Timeout(index, boot, number));
        }
        for envelope in std::mem::take(&mut self.nodes[index].inbox) {
            self.deliver(envelope);
        }
    }

    fn cut_links(&mut self, links: &[(Index, Index)]) -> bool {
        links.iter().for_each(|link| *self.cut.entry(*link).or_default() += 1);
        !links.is_empty()
    }

    fn mend_links(&mut self, links: &[(Index, Index)]) {
        for link in links {
            if let Some(count) = self.cut.get_mut(link) {
                *count -= 1;
            }
        }
        self.cut.retain(|_, count| *count > 0);
    }

    /// Whether an image has a good copy besides that on this node: what one node loses must be bearable.
    fn is_elsewhere(&self, index: Index, id: &ObjectId) -> bool {
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != index);
        let mut files = others.filter_map(|(_, node)| node.disk.files.get(id));
        files.any(|file| file.is_data_synced && file.is_name_synced && file.content == right_bytes(id))
    }

    fn flip(&mut self, index: Index) -> bool {
        let ids: Vec<_> = self.nodes[index].disk.files.keys().copied().collect();
        let pick = self.random.choose(&ids).copied().filter(|id| self.is_elsewhere(index, id));
        let Some(id) = pick else { return false };
        self.nodes[index].disk.files.get_mut(&id).expect("this file").content ^= 2;
        // Somebody reads it before it is scrubbed.
        let members = self.members();
        if let Some(reader) = self.pick(&members) {
            self.read_at(reader, id);
        }
        true
    }

    fn empty(&mut self, index: Index) -> bool {
        let is_bearable = self.nodes[index].disk.files.keys().all(|id| self.is_elsewhere(index, id));
        if !is_bearable || self.nodes[index].disk.files.is_empty() {
            return false;
        }
        self.take_down(index, true);
        let disk = &mut self.nodes[index].disk;
        disk.files.clear();
        disk.strays.clear();
        disk.quarantine.clear();
        true
    }

    fn reweigh(&mut self, index: Index, draw: u64) -> bool {
        self.edit(index, |world| {
            let node = world.nodes[index].id;
            match draw % 4 {
                0 => Edit::Replication(2 + u8::try_from(draw / 4 % 2).expect("a bit")),
                1 => Edit::Zone(node, world.nodes[0].settings.about.zone.clone()),
                _ => Edit::Weight(
                    node,
                    Weight::new(50 + u32::try_from(draw % 7).expect("small") * 50).expect("a weight"),
                ),
            }
        })
    }

    /// An operator's change, through any node that runs. Says whether it changed anything.
    fn edit(&mut self, near: Index, edit: impl Fn(&Self) -> Edit) -> bool {
        let members = self.members();
        let by = members.iter().copied().find(|member| *member == near).or_else(|| members.first().copied());
        let Some(by) = by else { return false };
        let (edit, clock) = (edit(self), self.nodes[by].clock(self.now));
        let changed = self.running(by).core.edit(&edit, clock);
        self.drain(by);
        changed == Ok(true)
    }
}
