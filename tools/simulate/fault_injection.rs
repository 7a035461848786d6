//! Injects faults, and heals them.

use std::collections::BTreeSet;

use reticulum::cluster::layout::{Edit, Role};

use crate::event::{Event, Index};
use crate::faults::{Fault, Kind};
use crate::network::Network;
use crate::world::World;

impl World {
    pub(crate) fn inject(&mut self, fault: Fault) {
        let Fault { kind, nodes: (index, _), duration } = fault;
        if self.nodes[index].is_gone {
            return;
        }
        let is_injected = match kind {
            Kind::PowerCutAll | Kind::RestartAll if duration == 0 => {
                self.after(2_000, Event::Heal(fault));
                self.inject_everywhere(kind)
            }
            // Not now, but just after the next answer.
            Kind::PowerCutAll => {
                self.cut_power_after_answer = true;
                false
            }
            Kind::RestartAll => return self.inject(Fault { duration: 0, ..fault }),
            _ => self.inject_at_node(fault),
        };
        if !is_injected {
            return;
        }
        *self.log.faults.entry(kind).or_default() += 1;
        self.trace_event(None, || format!("{fault:?}"));
        if kind != Kind::RestartAll {
            self.restart = None;
        }
        let heals_itself = matches!(
            kind,
            Kind::SyncError | Kind::BitFlip | Kind::Vanish | Kind::Reweigh | Kind::Join | Kind::ClockJump
        );
        if !heals_itself && !matches!(kind, Kind::PowerCutAll | Kind::RestartAll) {
            self.after(duration, Event::Heal(fault));
        }
    }

    fn inject_everywhere(&mut self, kind: Kind) -> bool {
        if kind == Kind::RestartAll {
            return self.restart_all();
        }
        for index in self.standing() {
            self.take_down(index, true);
        }
        true
    }

    /// Returns whether the fault had an effect.
    fn inject_at_node(&mut self, fault: Fault) -> bool {
        let Fault { kind, nodes: (index, other), duration } = fault;
        match kind {
            Kind::Kill | Kind::PowerCut | Kind::Away => self.crash(fault),
            Kind::ZoneDown => self.lose_zone_power(index),
            Kind::Stop => self.stop(index),
            Kind::BlockCore => self.block(index),
            Kind::ClockJump => self.jump(index, duration),
            Kind::Isolate => self.cut_links(&self.links_between(&[index].into())),
            Kind::Partition => self.cut_links(&self.links_between(&self.side(index))),
            Kind::OneWay => index != other && self.cut_links(&[(index, other)]),
            Kind::BadNetwork => {
                *self.network.bad.entry(index).or_default() += 1;
                true
            }
            Kind::Corruption => {
                *self.network.corrupt.entry(index).or_default() += 1;
                true
            }
            Kind::DiskFull => !std::mem::replace(&mut self.nodes[index].disk.is_full, true),
            Kind::InodesUsed => !std::mem::replace(&mut self.nodes[index].disk.has_no_inodes, true),
            Kind::SyncError => !std::mem::replace(&mut self.nodes[index].disk.sync_fails, true),
            Kind::ReadError => self.break_reads(index, other),
            Kind::SlowDisk => {
                self.nodes[index].disk.slowness = 400;
                true
            }
            Kind::BitFlip => self.flip(index),
            Kind::Vanish => self.lose_files(index, other),
            Kind::Emptied => self.empty_store(index),
            Kind::Remove => self.lose(index),
            Kind::Reweigh => self.reweigh(index, duration),
            Kind::Join => self.join_some(),
            Kind::Namesakes => self.take_in_namesakes(index),
            Kind::Drain => self.drain_node(index, other, duration),
            Kind::Out => self.take_out(fault),
            Kind::Founding => self.wipe(index),
            Kind::PowerCutAll | Kind::RestartAll => false,
        }
    }

    pub(crate) fn heal(&mut self, fault: Fault) {
        let Fault { kind, nodes: (index, other), .. } = fault;
        self.trace_event(None, || format!("{fault:?} ends"));
        match kind {
            Kind::Kill | Kind::PowerCut | Kind::Away | Kind::Founding => self.bring_up(index),
            Kind::ZoneDown => self.restore_zone_power(index),
            Kind::Emptied => {
                self.bring_up(index);
                // The hard case: the images that it lost are on a node that does not answer while it catches up.
                if other != index && self.now < self.faults_ms {
                    self.inject(Fault { kind: Kind::Isolate, nodes: (other, index), duration: 15_000 });
                }
            }
            Kind::PowerCutAll => self.standing().into_iter().for_each(|index| self.bring_up(index)),
            Kind::RestartAll => self.restarted(),
            Kind::Stop => self.resume(index),
            Kind::BlockCore => self.unblock(index),
            Kind::Isolate => self.mend_links(&self.links_between(&[index].into())),
            Kind::Partition => self.mend_links(&self.links_between(&self.side(index))),
            Kind::OneWay => self.mend_links(&[(index, other)]),
            Kind::BadNetwork => Network::mend(&mut self.network.bad, index),
            Kind::Corruption => Network::mend(&mut self.network.corrupt, index),
            Kind::DiskFull | Kind::InodesUsed | Kind::ReadError | Kind::SlowDisk => {
                self.nodes[index].disk.heal();
            }
            Kind::Remove => self.remove(fault),
            Kind::Namesakes => self.part_namesakes(index),
            Kind::Drain => _ = self.edit(index, |world| Edit::Role(world.nodes[index].id, Role::Active)),
            Kind::Out => {
                self.unblock(index);
                self.edit(index, |world| Edit::Role(world.nodes[index].id, Role::Active));
            }
            Kind::SyncError | Kind::BitFlip | Kind::Vanish | Kind::Reweigh | Kind::Join | Kind::ClockJump => {
            }
        }
    }

    /// Ends all faults.
    pub(crate) fn heal_all(&mut self) {
        self.network = Network::default();
        (self.cut_power_after_answer, self.restart, self.zones_down) = (false, None, 0);
        self.rename_namesakes();
        for index in self.standing() {
            self.nodes[index].crash_point = None;
            self.nodes[index].disk.heal();
            self.resume(index);
            self.unblock(index);
            self.bring_up(index);
        }
        for index in 0..self.nodes.len() {
            let role = if self.nodes[index].is_gone { Role::Removed } else { Role::Active };
            self.edit(index, |world| Edit::Role(world.nodes[index].id, role));
        }
    }

    /// One side of a partition.
    pub(crate) fn side(&self, index: Index) -> BTreeSet<Index> {
        (0..self.nodes.len()).filter(|it| it % 2 == index % 2).collect()
    }
}
