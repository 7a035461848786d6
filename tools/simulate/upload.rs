//! Uploads: what the shard that accepts one does until it is answered.

use reticulum::cluster::layout::LayoutHash;
use reticulum::cluster::node::NodeId;
use reticulum::cluster::rules::write::{WriteQuorum, WriteStatus};
use reticulum::cluster::view::Writes;
use reticulum::object::ObjectId;

use crate::disk::right_bytes;
use crate::event::{Ask, Event, Fact, Index, Number};
use crate::faults::{Fault, Kind};
use crate::node::{Operation, Purpose, Trap, Waiter};
use crate::plant::Plant;
use crate::world::World;

impl World {
    /// A client uploads a new image, or sends an earlier one again.
    pub(crate) fn upload(&mut self) {
        let takers = self.members().into_iter().filter(|index| self.view(*index).writes() == Writes::Allowed);
        let takers: Vec<_> = takers.collect();
        // Those that do not hear of changes are asked the most: what they answer must be right all the same.
        let deaf: Vec<_> = takers.iter().copied().filter(|index| self.nodes[*index].is_blocked).collect();
        let takers = if deaf.is_empty() || self.random.chance(500_000) { takers } else { deaf };
        let Some(index) = self.pick(&takers) else { return self.count("upload: nobody to ask") };
        if self.restart.is_some() {
            return self.count("upload: held back after a restart");
        }
        let again =
            self.random.chance(100_000).then(|| self.random.choose(&self.uploaded).copied()).flatten();
        let id = again.unwrap_or_else(|| {
            let mut bytes = [0; 20];
            bytes.chunks_mut(4).for_each(|chunk| {
                chunk.copy_from_slice(
                    &u32::try_from(self.random.below(1 << 32)).expect("32 bits").to_be_bytes(),
                );
            });
            ObjectId::from_digest(bytes)
        });
        self.uploaded.push(id);
        let number = self.number();
        let boot = self.nodes[index].boot;
        self.running(index).operations.insert(number, Operation::Upload { id, write: WriteQuorum::new(id) });
        self.after(8_000, Event::Deadline(index, boot, number));
        self.step_upload(index, number);
    }

    /// Goes on with every upload of a node: its view has changed.
    pub(crate) fn step_uploads(&mut self, index: Index) {
        let operations = &self.running(index).operations;
        let uploads =
            operations.iter().filter(|(_, operation)| matches!(operation, Operation::Upload { .. }));
        for number in uploads.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.step_upload(index, number);
        }
    }

    fn step_upload(&mut self, index: Index, number: Number) {
        loop {
            let view = self.view(index);
            let Some(Operation::Upload { id, write }) = self.running(index).operations.get_mut(&number)
            else {
                return;
            };
            let (id, targets) = (*id, write.targets(&view));
            targets.iter().for_each(|node| write.ask(*node));
            let (write, content) = (write.clone(), right_bytes(&id));
            if self.is_acknowledged(index, &write, &id) {
                return self.acknowledge(index, number, id);
            }
            if targets.is_empty() {
                if write.status(&view) == WriteStatus::Impossible {
                    self.running(index).operations.remove(&number);
                    self.count("upload: 503");
                }
                return;
            }
            for node in targets {
                match self.index_of(node) {
                    Some(to) if to == index => self.store(index, id, content, Waiter::Upload(number)),
                    Some(to) => self.request(index, to, Ask::Put(id, content), Purpose::Copy(number), 1_500),
                    None => self.refused(index, number, node),
                }
            }
        }
    }

    fn is_acknowledged(&mut self, index: Index, write: &WriteQuorum, id: &ObjectId) -> bool {
        let (view, this) = (self.view(index), self.nodes[index].id);
        let holders = write.holders().count();
        let has_owner = write.holders().any(|node| view.is_owner(node, id));
        let alive = view.members().filter(|(_, member)| member.alive).count();
        let is_spool_extra = !view.is_owner(this, id) && !write.holders().any(|node| node == this);
        match self.plant {
            Some(Plant::IngressCounts) if has_owner && is_spool_extra => holders + 1 >= view.copies_needed(),
            Some(Plant::ClampByLiveness) if has_owner => holders >= view.copies_needed().min(alive),
            Some(Plant::NoOwnerNeeded) => holders >= view.copies_needed(),
            _ => write.status(&view) == WriteStatus::Acknowledged,
        }
    }

    fn acknowledge(&mut self, index: Index, number: Number, id: ObjectId) {
        self.running(index).operations.remove(&number);
        if self.nodes[index].trap.is_some_and(|(trap, _)| trap == Trap::Answer) {
            // It ends before the client hears anything.
            let boot = self.nodes[index].boot;
            return self.after(0, Event::Crash(index, boot));
        }
        self.tell(Some(&id), || format!("node {index} answers the upload of {id}"));
        self.count("upload: 200");
        let now = self.now;
        if self.acknowledged.insert(id, now).is_none() {
            self.answered.push(id);
        }
        let soon = self.random.below(2_000);
        self.after(soon, Event::ReadBack(id));
        if self.zones_down > 0 {
            self.count("upload: 200 while a zone was down");
        }
        if std::mem::take(&mut self.cut_power_after_answer) {
            let fault = Fault { kind: Kind::PowerCutAll, nodes: (0, 0), duration: 0 };
            self.after(1, Event::Fault(fault));
        }
    }

    /// A copy of an upload is durable on a node, under a layout; or is not.
    pub(crate) fn copied(&mut self, index: Index, upload: Number, on: Index, layout: Option<LayoutHash>) {
        let (view, node) = (self.view(index), self.nodes[on].id);
        let Some(hash) = layout else { return self.refused(index, upload, node) };
        let believed = if self.plant == Some(Plant::UnknownLayoutCounts) { view.hash() } else { hash };
        if let Some(Operation::Upload { write, .. }) = self.running(index).operations.get_mut(&upload) {
            write.confirm(node, believed);
        }
        if !view.knows(hash) {
            self.count("copy under an unknown layout");
            let url = self.nodes[on].settings.about.url.clone();
            self.tell_core(index, Fact::Meet(url));
            let boot = self.nodes[index].boot;
            self.after(100, Event::AskAgain(index, boot, upload, on));
        }
        self.step_upload(index, upload);
    }

    /// Whether a copy that did not count does by now: because the layouts were merged, or when asked again.
    pub(crate) fn ask_again(&mut self, index: Index, upload: Number, on: Index) {
        let (view, node) = (self.view(index), self.nodes[on].id);
        let Some(Operation::Upload { id, write }) = self.running(index).operations.get(&upload) else {
            return;
        };
        if write.unconfirmed(&view).contains(&node) {
            let ask = Ask::Put(*id, right_bytes(id));
            self.request(index, on, ask, Purpose::Copy(upload), 1_500);
        }
    }

    fn refused(&mut self, index: Index, upload: Number, node: NodeId) {
        if let Some(Operation::Upload { write, .. }) = self.running(index).operations.get_mut(&upload) {
            write.refuse(node);
        }
        self.step_upload(index, upload);
    }
}
