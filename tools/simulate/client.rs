//! Uploads and reads: what a shard does with them, and what the world checks of every answer.

use reticulum::cluster::core::Input;
use reticulum::cluster::layout::LayoutHash;
use reticulum::cluster::rules::absence::{Absence, Finding, Said};
use reticulum::cluster::rules::write::{Standing, Write};
use reticulum::cluster::view::Writes;
use reticulum::object::ObjectId;

use crate::disk::{Content, right_bytes};
use crate::event::{Ask, Event, Index, Number};
use crate::faults::{Fault, Kind};
use crate::node::{Operation, Purpose, Waiter};
use crate::plant::Plant;
use crate::world::World;

impl World {
    /// A client uploads a new image, or sends an earlier one again.
    pub(crate) fn upload(&mut self) {
        let takers = self.members().into_iter().filter(|index| self.view(*index).writes() == Writes::Allowed);
        let takers: Vec<_> = takers.collect();
        let Some(index) = self.pick(&takers) else { return self.count("upload: nobody to ask") };
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
        self.running(index).operations.insert(number, Operation::Upload { id, write: Write::new(id) });
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
                if write.standing(&view) == Standing::Impossible {
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

    fn is_acknowledged(&mut self, index: Index, write: &Write, id: &ObjectId) -> bool {
        let (view, this) = (self.view(index), self.nodes[index].id);
        let holders = write.holders().count();
        let has_owner = write.holders().any(|node| view.is_owner(node, id));
        let alive = view.members().filter(|(_, member)| member.alive).count();
        let is_spool_extra = !view.is_owner(this, id) && !write.holders().any(|node| node == this);
        match self.plant {
            Some(Plant::IngressCounts) if has_owner && is_spool_extra => holders + 1 >= view.copies_needed(),
            Some(Plant::ClampByLiveness) if has_owner => holders >= view.copies_needed().min(alive),
            Some(Plant::NoOwnerNeeded) => holders >= view.copies_needed(),
            _ => write.standing(&view) == Standing::Acknowledged,
        }
    }

    fn acknowledge(&mut self, index: Index, number: Number, id: ObjectId) {
        self.running(index).operations.remove(&number);
        self.count("upload: 200");
        let now = self.now;
        self.acknowledged.entry(id).or_insert(now);
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
            write.taken(node, believed);
        }
        if !view.knows(hash) {
            self.count("copy under an unknown layout");
            let url = self.nodes[on].settings.about.url.clone();
            self.tell_core(index, Input::Meet(&url));
            self.drain(index);
        }
        self.step_upload(index, upload);
    }

    fn refused(&mut self, index: Index, upload: Number, node: reticulum::cluster::node::NodeId) {
        if let Some(Operation::Upload { write, .. }) = self.running(index).operations.get_mut(&upload) {
            write.refused(node);
        }
        self.step_upload(index, upload);
    }

    /// A client reads: mostly what was answered 200, sometimes what was not, or never uploaded.
    pub(crate) fn read(&mut self) {
        let acknowledged: Vec<_> = self.acknowledged.keys().copied().collect();
        let id = match self.random.below(10) {
            0 => Some(ObjectId::from_digest([u8::try_from(self.random.below(256)).expect("a byte"); 20])),
            1 => self.random.choose(&self.uploaded).copied(),
            2 | 3 => self.uploaded.last().copied(),
            _ => self.random.choose(&acknowledged).copied(),
        };
        let members = self.members();
        if let (Some(id), Some(index)) = (id, self.pick(&members)) {
            self.read_at(index, id);
        }
    }

    /// A client reads an image from a node.
    pub(crate) fn read_at(&mut self, index: Index, id: ObjectId) {
        let (view, began) = (self.view(index), self.now);
        let disk = &mut self.nodes[index].disk;
        let content = match self.plant {
            Some(Plant::NoVerify) => disk.files.get(&id).map(|file| file.content),
            _ => disk.verified(&id),
        };
        if let Some(content) = content {
            return self.check_bytes(index, &id, content);
        }
        let said = if disk.quarantine.contains(&id) { Said::Nothing } else { Said::No(view.synced_to()) };
        let this = self.nodes[index].id;
        let mut absence = Absence::new(id);
        absence.say(this, self.as_heard(index, said));
        let (number, boot) = (self.number(), self.nodes[index].boot);
        self.running(index).operations.insert(number, Operation::Read { id, absence, began });
        self.after(6_000, Event::Deadline(index, boot, number));
        self.step_read(index, number);
    }

    fn step_read(&mut self, index: Index, number: Number) {
        let view = self.view(index);
        let is_planted = self.plant == Some(Plant::SilenceIsNo);
        let Some(Operation::Read { id, absence, began }) = self.running(index).operations.get_mut(&number)
        else {
            return;
        };
        if is_planted {
            let dead: Vec<_> =
                view.members().filter(|(_, member)| !member.alive).map(|(node, _)| node).collect();
            dead.into_iter().for_each(|node| absence.say(node, Said::No(view.next_column())));
        }
        let (id, began, finding) = (*id, *began, absence.finding(&view));
        match finding {
            Finding::Ask(nodes) => {
                for node in nodes {
                    match self.index_of(node) {
                        Some(to) => self.request(index, to, Ask::Get(id), Purpose::Look(number), 800),
                        None => self.looked(index, number, node, Said::Nothing),
                    }
                }
            }
            Finding::Absent => {
                self.running(index).operations.remove(&number);
                self.count("read: 404");
                if self.acknowledged.get(&id).is_some_and(|at| *at <= began) {
                    self.fail(format!("node {index} says 404 for {id}, which was answered 200"));
                }
            }
            Finding::Unproven | Finding::Found(_) => {
                self.running(index).operations.remove(&number);
                self.count("read: 503");
            }
        }
    }

    /// What a node said to a read.
    pub(crate) fn looked(
        &mut self,
        index: Index,
        read: Number,
        node: reticulum::cluster::node::NodeId,
        said: Said,
    ) {
        let said = self.as_heard(index, said);
        if let Some(Operation::Read { absence, .. }) = self.running(index).operations.get_mut(&read) {
            // Asked once, whatever comes: the next question goes out when all have answered.
            absence.say(node, said);
            let is_open = self
                .running(index)
                .requests
                .values()
                .any(|request| matches!(request.purpose, Purpose::Look(number) if number == read));
            if !is_open {
                self.step_read(index, read);
            }
        }
    }

    fn as_heard(&self, index: Index, said: Said) -> Said {
        match (self.plant, said) {
            (Some(Plant::UnsyncedNoCounts), Said::No(_)) => Said::No(self.view(index).next_column()),
            _ => said,
        }
    }

    /// The bytes that a read found.
    pub(crate) fn found(&mut self, index: Index, read: Number, content: Content) {
        if let Some(Operation::Read { id, .. }) = self.running(index).operations.remove(&read) {
            self.check_bytes(index, &id, content);
        }
    }

    fn check_bytes(&mut self, index: Index, id: &ObjectId, content: Content) {
        self.count("read: 200");
        if content != right_bytes(id) {
            self.fail(format!("node {index} gave wrong bytes for {id}"));
        }
    }

    /// An operation has taken too long.
    pub(crate) fn give_up(&mut self, index: Index, number: Number) {
        if let Some(operation) = self.running(index).operations.remove(&number) {
            self.count(match operation {
                Operation::Upload { .. } => "upload: 503",
                Operation::Read { .. } => "read: 503",
            });
        }
    }
}
