//! Faults of machines: they end, stand still, lose their stored images, or their disks return wrong bytes.

use reticulum::cluster::core::Input;
use reticulum::cluster::node::Label;
use reticulum::object::ObjectId;

use crate::disk::{File, right_bytes};
use crate::event::{Event, Index};
use crate::faults::{Fault, Kind};
use crate::node::{CrashPoint, Operation};
use crate::world::World;

impl World {
    /// Ends the process; returns whether there was one.
    pub(crate) fn take_down(&mut self, index: Index, loses_power: bool) -> bool {
        let was_up = self.nodes[index].process.is_some();
        self.nodes[index].kill();
        if loses_power {
            self.nodes[index].disk.lose_power(&mut self.random);
        }
        was_up
    }

    /// Every other crash waits for a certain point of an upload. Returns whether the node ended at once.
    pub(crate) fn crash(&mut self, fault: Fault) -> bool {
        let (index, draw) = fault.nodes;
        if draw.is_multiple_of(2) || fault.kind == Kind::Away {
            return self.take_down(index, fault.kind != Kind::Kill);
        }
        let pick = (self.now as usize + draw) % CrashPoint::ALL.len();
        self.nodes[index].crash_point = Some((CrashPoint::ALL[pick].1, fault));
        false
    }

    /// Ends the node if its crash waits for this point.
    pub(crate) fn reaches_crash_point(&mut self, index: Index, moment: CrashPoint) -> bool {
        let Some((crash_point, fault)) =
            self.nodes[index].crash_point.take_if(|(crash_point, _)| *crash_point == moment)
        else {
            return false;
        };
        self.count(CrashPoint::ALL.iter().find(|(_, known)| *known == crash_point).expect("one of all").0);
        *self.log.faults.entry(fault.kind).or_default() += 1;
        self.trace_event(None, || format!("{fault:?} injected: {crash_point:?}"));
        self.restart = None;
        self.take_down(index, fault.kind != Kind::Kill);
        self.after(fault.duration, Event::Heal(fault));
        true
    }

    pub(crate) fn bring_up(&mut self, index: Index) {
        if self.nodes[index].process.is_none() && !self.nodes[index].is_gone {
            self.start(index);
        }
    }

    /// All machines of a zone lose power, if there are other zones.
    pub(crate) fn lose_zone_power(&mut self, index: Index) -> bool {
        let (dark, others) = self.zone_of(index);
        if others == 0 {
            return false;
        }
        self.zones_down += 1;
        for index in dark {
            self.take_down(index, true);
        }
        true
    }

    pub(crate) fn restore_zone_power(&mut self, index: Index) {
        self.zones_down = self.zones_down.saturating_sub(1);
        self.zone_of(index).0.into_iter().for_each(|index| self.bring_up(index));
    }

    /// The nodes that were started in the zone of this one, and the number of nodes outside it.
    fn zone_of(&self, index: Index) -> (Vec<Index>, usize) {
        let zone = |index: Index| -> &Label { &self.nodes[index].settings.about.zone };
        let standing = self.standing();
        let inside: Vec<_> = standing.iter().copied().filter(|it| zone(*it) == zone(index)).collect();
        let others = standing.len() - inside.len();
        (inside, others)
    }

    pub(crate) fn stop(&mut self, index: Index) -> bool {
        let node = &mut self.nodes[index];
        let Some(process) = &mut node.process else { return false };
        process.operations.values_mut().for_each(Operation::excuse);
        !std::mem::replace(&mut node.is_stopped, true)
    }

    /// Timers and messages that have waited arrive in any order.
    pub(crate) fn resume(&mut self, index: Index) {
        if !std::mem::replace(&mut self.nodes[index].is_stopped, false) {
            return;
        }
        if !self.nodes[index].is_blocked {
            let clock = self.nodes[index].clock(self.now);
            self.running(index).core.handle(Input::Tick, clock);
            self.drain(index);
        }
        for number in self.running(index).requests.keys().copied().collect::<Vec<_>>() {
            let boot = self.nodes[index].boot;
            self.after(50, Event::Timeout(index, boot, number));
        }
        self.tick_all(index);
        for envelope in std::mem::take(&mut self.nodes[index].inbox) {
            self.deliver(envelope);
        }
    }

    /// The clock jumps by up to ten minutes.
    pub(crate) fn jump(&mut self, index: Index, draw: u64) -> bool {
        self.nodes[index].jump(draw * 9);
        let boot = self.nodes[index].boot;
        self.after(0, Event::Tick(index, boot));
        let is_up = self.nodes[index].process.is_some();
        if is_up {
            self.tick_all(index);
        }
        is_up
    }

    /// Whether an image has a good copy besides the one on this node: losing one node must lose no image. Copies that
    /// are unreachable for long do not count.
    fn is_elsewhere(&self, index: Index, id: &ObjectId) -> bool {
        let is_good = |file: &&File| file.is_durable() && file.content == right_bytes(id);
        let mut others = self.standing().into_iter().filter(|other| *other != index);
        others.any(|other| {
            let disk = &self.nodes[other].disk;
            let is_good = disk.files().get(id).filter(is_good).is_some();
            is_good && !disk.unreadable.contains(id) && self.is_counted_on(other)
        })
    }

    /// Whether all running nodes consider this one a member.
    fn is_counted_on(&self, index: Index) -> bool {
        let id = self.nodes[index].id;
        self.members().into_iter().all(|other| self.view(other).is_counted_on(id))
    }

    pub(crate) fn flip(&mut self, index: Index) -> bool {
        let Some(id) = self.pick_bearable(index) else { return false };
        self.nodes[index].disk.file(&id).expect("this file").content ^= 2;
        self.nodes[index].disk.bad_since.insert(id, self.now);
        self.read_broken(id);
        true
    }

    /// Up to three files vanish.
    pub(crate) fn lose_files(&mut self, index: Index, draw: usize) -> bool {
        let mut lost = 0;
        for _ in 0..=draw % 3 {
            if let Some(id) = self.pick_bearable(index) {
                self.nodes[index].disk.vanish(&id, self.now);
                lost += 1;
            }
        }
        lost > 0
    }

    /// One file, or the whole disk, cannot be read.
    pub(crate) fn break_reads(&mut self, index: Index, draw: usize) -> bool {
        if draw.is_multiple_of(2) {
            return !std::mem::replace(&mut self.nodes[index].disk.reads_fail, true);
        }
        let Some(id) = self.pick_bearable(index) else { return false };
        self.nodes[index].disk.unreadable.insert(id);
        self.nodes[index].disk.bad_since.insert(id, self.now);
        self.read_broken(id);
        true
    }

    fn pick_bearable(&mut self, index: Index) -> Option<ObjectId> {
        let ids: Vec<_> = self.nodes[index].disk.files().keys().copied().collect();
        self.random.choose(&ids).copied().filter(|id| self.is_elsewhere(index, id))
    }

    /// A client reads the file before it is scrubbed.
    fn read_broken(&mut self, id: ObjectId) {
        let members = self.members();
        if let Some(reader) = self.pick(&members) {
            self.read_at(reader, id);
        }
    }

    fn can_be_lost(&self, index: Index) -> bool {
        let files = self.nodes[index].disk.files();
        !files.is_empty() && files.keys().all(|id| self.is_elsewhere(index, id))
    }

    pub(crate) fn empty_store(&mut self, index: Index) -> bool {
        if !self.can_be_lost(index) {
            return false;
        }
        self.take_down(index, true);
        self.nodes[index].disk.lose_everything();
        true
    }

    /// The machine is lost for good, if the cluster can bear it: three are left, and no other is missing.
    pub(crate) fn lose(&mut self, index: Index) -> bool {
        let standing = self.standing();
        let is_whole = standing.iter().all(|index| self.nodes[*index].process.is_some());
        if standing.len() < 4 || !is_whole || !self.can_be_lost(index) {
            return false;
        }
        self.take_down(index, true);
        self.nodes[index].disk.lose_everything();
        self.nodes[index].is_gone = true;
        true
    }
}
