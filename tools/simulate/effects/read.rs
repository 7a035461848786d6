//! The effects of reads, of searches and of requests for variants.

use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::locate::absence::LookupReply;
use reticulum::cluster::protocol::locate::{self, NotFound};
use reticulum::cluster::protocol::{Input, read, variant};

use crate::disk::{Content, Looked};
use crate::event::{Ask, Happening, Index, Number};
use crate::injected_bug::InjectedBug;
use crate::node::{Protocol, Question};
use crate::world::World;

impl World {
    pub(super) fn drive_read(&mut self, index: Index, number: Number, input: Input<read::ReadOutcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_read, Self::perform_read);
    }

    fn perform_read(&mut self, index: Index, number: Number, effect: read::ReadEffect) {
        let id = self.running(index).operations[&number].id;
        match effect {
            read::ReadEffect::Fetch { from, within_ms } => {
                self.running(index).operations.get_mut(&number).expect("this read").asked.push(from);
                self.ask_node((index, number), from, Ask::Get(id), Question::Fetch, within_ms);
            }
            read::ReadEffect::Ask { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Has(id), Question::Has, within_ms);
            }
            read::ReadEffect::Give(from) => {
                self.answer(index, number);
                let content = self.fetched_from(index, number, from);
                self.check_bytes(index, &id, content);
                self.note_lack(index, id);
            }
            read::ReadEffect::Fail(not_found) => self.not_found(index, number, not_found),
        }
    }

    pub(super) fn drive_locate(&mut self, index: Index, number: Number, input: Input<locate::LocateOutcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_locate, Self::perform_locate);
    }

    fn perform_locate(&mut self, index: Index, number: Number, effect: locate::LocateEffect) {
        let id = self.running(index).operations[&number].id;
        match effect {
            locate::LocateEffect::Ask { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Has(id), Question::Has, within_ms);
            }
            locate::LocateEffect::Conclude(Ok(_)) => {
                self.answer(index, number);
                self.count("locate: found");
            }
            locate::LocateEffect::Conclude(Err(not_found)) => self.not_found(index, number, not_found),
        }
    }

    pub(super) fn drive_variant(
        &mut self,
        index: Index,
        number: Number,
        input: Input<variant::VariantOutcome>,
    ) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_variant, Self::perform_variant);
    }

    /// A variant takes no time to make, and consists of its image's bytes.
    fn perform_variant(&mut self, index: Index, number: Number, effect: variant::VariantEffect) {
        let id = self.running(index).operations[&number].id;
        match effect {
            variant::VariantEffect::MakeHere { .. } => {
                let made = self.make_here(index, number);
                let outcome = variant::VariantOutcome::Made(self.nodes[index].id, made);
                self.happens_soon(index, number, Happening::Variant(outcome));
            }
            variant::VariantEffect::LookHere => {
                self.happens_soon(index, number, Happening::Variant(variant::VariantOutcome::NotKept));
            }
            variant::VariantEffect::Share => {
                self.happens_soon(index, number, Happening::Variant(variant::VariantOutcome::Leading));
            }
            variant::VariantEffect::MakeAt { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Get(id), Question::Fetch, within_ms);
            }
            variant::VariantEffect::Ask { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Has(id), Question::Has, within_ms);
            }
            variant::VariantEffect::Give { by, is_lacked } => {
                self.answer(index, number);
                let content = self.fetched_from(index, number, by);
                self.check_variant(index, &id, content);
                if is_lacked {
                    self.note_lack(index, id);
                }
            }
            variant::VariantEffect::Fail(variant::VariantFailure::NotFound(not_found)) => {
                self.not_found(index, number, not_found);
            }
            variant::VariantEffect::Fail(_) => {
                self.answer(index, number);
                self.count("variant: 503");
            }
        }
    }

    fn make_here(&mut self, index: Index, number: Number) -> variant::Made {
        let (view, id) = (self.view(index), self.running(index).operations[&number].id);
        let verifies = self.bug != Some(InjectedBug::NoVerify);
        if self.is_gone(self.record_of(index, &id)) {
            return variant::Made::Without(LookupReply::Gone);
        }
        match self.nodes[index].disk.look(&id, verifies) {
            Looked::Have(content) => {
                let this = self.nodes[index].id;
                let operation = self.running(index).operations.get_mut(&number).expect("this request");
                operation.fetched.push((this, content));
                variant::Made::Given
            }
            Looked::Failed => variant::Made::Without(LookupReply::Unknown),
            // It had the image and lost it.
            Looked::Nothing if self.running(index).repairs.is_recorded(&id) => {
                variant::Made::Without(LookupReply::Absent(None))
            }
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
            NotFound::Gone => {
                let id = self.running(index).operations[&number].id;
                self.check_gone(index, &id);
            }
        }
    }

    /// Another node has sent an image of which this one had no good copy: an owner stores it.
    fn note_lack(&mut self, index: Index, id: reticulum::object::ObjectId) {
        let (view, this) = (self.view(index), self.nodes[index].id);
        if view.is_owner(this, &id) && self.nodes[index].disk.has_room() {
            self.enqueue_repair(index, id);
        }
    }
}
