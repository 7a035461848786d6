//! The effects of reads, of searches and of requests for variants.

use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::locate::{self, NotFound};
use reticulum::cluster::protocol::{Input, read, variant};
use reticulum::cluster::rules::absence::LookupReply;

use crate::disk::{Content, Looked};
use crate::event::{Ask, Happening, Index, Number};
use crate::injected_bug::InjectedBug;
use crate::node::{Protocol, Question};
use crate::world::World;

impl World {
    pub(super) fn drive_read(&mut self, index: Index, number: Number, input: Input<read::Outcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_read, Self::perform_read);
    }

    fn perform_read(&mut self, index: Index, number: Number, effect: read::Effect) {
        let id = self.running(index).operations[&number].id;
        match effect {
            read::Effect::Fetch { from, within_ms } => {
                self.running(index).operations.get_mut(&number).expect("this read").asked.push(from);
                self.ask_node((index, number), from, Ask::Get(id), Question::Fetch, within_ms);
            }
            read::Effect::Ask { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Has(id), Question::Has, within_ms);
            }
            read::Effect::Give(from) => {
                self.answer(index, number);
                let content = self.fetched_from(index, number, from);
                self.check_bytes(index, &id, content);
                self.note_lack(index, id);
            }
            read::Effect::Fail(not_found) => self.not_found(index, number, not_found),
        }
    }

    pub(super) fn drive_locate(&mut self, index: Index, number: Number, input: Input<locate::Outcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_locate, Self::perform_locate);
    }

    fn perform_locate(&mut self, index: Index, number: Number, effect: locate::Effect) {
        let id = self.running(index).operations[&number].id;
        match effect {
            locate::Effect::Ask { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Has(id), Question::Has, within_ms);
            }
            locate::Effect::Conclude(Ok(_)) => {
                self.answer(index, number);
                self.count("locate: found");
            }
            locate::Effect::Conclude(Err(not_found)) => self.not_found(index, number, not_found),
        }
    }

    pub(super) fn drive_variant(&mut self, index: Index, number: Number, input: Input<variant::Outcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_variant, Self::perform_variant);
    }

    /// A variant takes no time to be made, and consists of its image's bytes.
    fn perform_variant(&mut self, index: Index, number: Number, effect: variant::Effect) {
        let id = self.running(index).operations[&number].id;
        match effect {
            variant::Effect::MakeHere { .. } => {
                let made = self.make_here(index, number);
                let outcome = variant::Outcome::Made(self.nodes[index].id, made);
                self.happens_soon(index, number, Happening::Variant(outcome));
            }
            variant::Effect::LookHere => {
                self.happens_soon(index, number, Happening::Variant(variant::Outcome::NotKept));
            }
            variant::Effect::Share => {
                self.happens_soon(index, number, Happening::Variant(variant::Outcome::Leading));
            }
            variant::Effect::MakeAt { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Get(id), Question::Fetch, within_ms);
            }
            variant::Effect::Ask { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Has(id), Question::Has, within_ms);
            }
            variant::Effect::Give { by, is_lacked } => {
                self.answer(index, number);
                let content = self.fetched_from(index, number, by);
                self.check_variant(index, &id, content);
                if is_lacked {
                    self.note_lack(index, id);
                }
            }
            variant::Effect::Fail(variant::Failure::NotFound(not_found)) => {
                self.not_found(index, number, not_found);
            }
            variant::Effect::Fail(_) => {
                self.answer(index, number);
                self.count("variant: 503");
            }
        }
    }

    fn make_here(&mut self, index: Index, number: Number) -> variant::Made {
        let (view, id) = (self.view(index), self.running(index).operations[&number].id);
        let verifies = self.bug != Some(InjectedBug::NoVerify);
        match self.nodes[index].disk.look(&id, verifies) {
            Looked::Have(content) => {
                let this = self.nodes[index].id;
                let operation = self.running(index).operations.get_mut(&number).expect("this request");
                operation.fetched.push((this, content));
                variant::Made::Given
            }
            Looked::Failed => variant::Made::Without(LookupReply::Unknown),
            Looked::Nothing => variant::Made::Without(LookupReply::Absent(view.trusted_to())),
        }
    }

    fn fetched_from(&mut self, index: Index, number: Number, from: NodeId) -> Content {
        let operation = &self.running(index).operations[&number];
        operation.fetched.iter().find(|(node, _)| *node == from).expect("what is given was fetched").1
    }

    fn not_found(&mut self, index: Index, number: Number, not_found: NotFound) {
        self.answer(index, number);
        match not_found {
            NotFound::Absent => self.check_absent(index, number),
            NotFound::Unproven => self.count("read: 503"),
        }
    }

    /// Another node has given an image of which this one had no good copy: where it should have one, it takes it.
    fn note_lack(&mut self, index: Index, id: reticulum::object::ObjectId) {
        let (view, this) = (self.view(index), self.nodes[index].id);
        if view.is_owner(this, &id) && self.nodes[index].disk.has_room() {
            self.enqueue_repair(index, id);
        }
    }
}
