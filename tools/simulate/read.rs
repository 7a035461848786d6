//! Reads: what a shard does with them, and what the world checks of every answer.

use reticulum::cluster::node::NodeId;
use reticulum::cluster::rules::absence::{AbsenceProof, LookupReply, ProofStep};
use reticulum::object::ObjectId;

use crate::disk::{Content, Looked, right_bytes};
use crate::event::{Ask, Event, Index, Number};
use crate::node::{Operation, Purpose};
use crate::plant::Plant;
use crate::world::World;

impl World {
    /// A client reads: mostly what was answered 200, sometimes what was not, or never uploaded.
    pub(crate) fn read(&mut self) {
        let id = match self.random.below(10) {
            0 => Some(ObjectId::from_digest([u8::try_from(self.random.below(256)).expect("a byte"); 20])),
            1 => self.random.choose(&self.uploaded).copied(),
            2 | 3 => self.uploaded.last().copied(),
            _ => self.random.choose(&self.answered).copied(),
        };
        let members = self.members();
        if let (Some(id), Some(index)) = (id, self.pick(&members)) {
            self.read_at(index, id);
        }
    }

    /// A client reads what it has just uploaded, from any node.
    pub(crate) fn read_back(&mut self, id: ObjectId) {
        let members = self.members();
        if let Some(index) = self.pick(&members) {
            self.read_at(index, id);
        }
    }

    /// A client reads an image from a node.
    pub(crate) fn read_at(&mut self, index: Index, id: ObjectId) {
        let (view, began) = (self.view(index), self.now);
        let verifies = self.plant != Some(Plant::NoVerify);
        let said = match self.nodes[index].disk.look(&id, verifies) {
            Looked::Have(content) => return self.check_bytes(index, &id, content),
            Looked::Failed => LookupReply::Unknown,
            Looked::Nothing => LookupReply::Absent(view.trusted_to()),
        };
        if !view.is_joined() {
            return self.count("read: 503, not joined");
        }
        let this = self.nodes[index].id;
        let mut absence = AbsenceProof::new(id);
        absence.record(this, self.as_heard(index, said));
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
            dead.into_iter()
                .for_each(|node| absence.record(node, LookupReply::Absent(view.staged_version())));
        }
        let (id, began, finding) = (*id, *began, absence.next_step(&view));
        match finding {
            ProofStep::Ask(nodes) => {
                for node in nodes {
                    match self.index_of(node) {
                        Some(to) => self.request(index, to, Ask::Get(id), Purpose::Look(number), 800),
                        None => self.looked(index, number, node, LookupReply::Unknown),
                    }
                }
            }
            ProofStep::Absent => {
                self.running(index).operations.remove(&number);
                self.count("read: 404");
                if self.acknowledged.get(&id).is_some_and(|at| *at <= began) {
                    self.fail(format!("node {index} says 404 for {id}, which was answered 200"));
                }
            }
            ProofStep::Unproven | ProofStep::Found(_) => {
                self.running(index).operations.remove(&number);
                self.count("read: 503");
            }
        }
    }

    /// What a node said to a read.
    pub(crate) fn looked(&mut self, index: Index, read: Number, node: NodeId, said: LookupReply) {
        let said = self.as_heard(index, said);
        if let Some(Operation::Read { absence, .. }) = self.running(index).operations.get_mut(&read) {
            // Asked once, whatever comes: the next question goes out when all have answered.
            absence.record(node, said);
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

    fn as_heard(&self, index: Index, said: LookupReply) -> LookupReply {
        match (self.plant, said) {
            (Some(Plant::UnsyncedNoCounts), LookupReply::Absent(_)) => {
                LookupReply::Absent(self.view(index).staged_version())
            }
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
        if self.zones_down > 0 {
            self.count("read: 200 while a zone was down");
        }
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
