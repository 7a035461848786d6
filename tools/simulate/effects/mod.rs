//! Carries out the effects of the protocol machines as messages and disk operations, and returns their outcomes.
//!
//! Here is no choreography and no time limit: the machines say which node to ask, and for how long.

mod erase;
mod read;
mod repair;
mod write;

use reticulum::cluster::erasure::ErasureRecord;
use reticulum::cluster::layout::LayoutHash;
use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::locate::absence::LookupReply;
use reticulum::cluster::protocol::variant;
use reticulum::cluster::protocol::{
    Input, Machine, locate, read as read_protocol, repair as repair_protocol,
};
use reticulum::object::ObjectId;

use crate::disk::right_bytes;
use crate::event::{Ask, Event, Happening, Index, Number, Tell};
use crate::injected_bug::InjectedBug;
use crate::node::{Protocol, Purpose, Question};
use crate::world::World;

impl World {
    /// The operation begins, or its deadline may have passed.
    pub(crate) fn tick_operation(&mut self, index: Index, number: Number) {
        let Some(operation) = self.running(index).operations.get_mut(&number) else { return };
        operation.tick_at = None;
        match operation.protocol {
            Protocol::Write(_) => self.drive_write(index, number, Input::Tick),
            Protocol::Read(_) => self.drive_read(index, number, Input::Tick),
            Protocol::Locate(_) => self.drive_locate(index, number, Input::Tick),
            Protocol::Variant(_) => self.drive_variant(index, number, Input::Tick),
            Protocol::Repair(_) => self.drive_repair(index, number, Input::Tick),
            Protocol::Compare(..) => self.drive_comparison(index, number, Input::Tick),
            Protocol::Erase(_) => self.drive_erase(index, number, Input::Tick),
            Protocol::Sync(_) => self.drive_sync(index, number, Input::Tick),
        }
    }

    /// An effect has an outcome.
    pub(crate) fn happened(&mut self, index: Index, number: Number, happening: Happening) {
        match happening {
            Happening::Write(outcome) => self.drive_write(index, number, Input::Outcome(outcome)),
            Happening::Read(outcome) => self.drive_read(index, number, Input::Outcome(outcome)),
            Happening::Locate(outcome) => self.drive_locate(index, number, Input::Outcome(outcome)),
            Happening::Variant(outcome) => self.drive_variant(index, number, Input::Outcome(outcome)),
            Happening::Repair(outcome) => self.drive_repair(index, number, Input::Outcome(outcome)),
            Happening::Compare(outcome) => self.drive_comparison(index, number, Input::Outcome(outcome)),
            Happening::Erase(outcome) => self.drive_erase(index, number, Input::Outcome(outcome)),
            Happening::Sync(outcome) => self.drive_sync(index, number, Input::Outcome(outcome)),
        }
    }

    /// All operations of a node read its clock, which may have jumped.
    pub(crate) fn tick_all(&mut self, index: Index) {
        let boot = self.nodes[index].boot;
        for number in self.running(index).operations.keys().copied().collect::<Vec<_>>() {
            self.after(0, Event::Deadline(index, boot, number));
        }
    }

    /// One step of a machine: all of its effects are taken, and then carried out.
    pub(crate) fn drive<M: Machine>(
        &mut self,
        (index, number): (Index, Number),
        input: Input<M::Outcome>,
        machine: fn(&mut Protocol) -> Option<&mut M>,
        perform: fn(&mut Self, Index, Number, M::Effect),
    ) {
        let (view, clock) = (self.view(index), self.nodes[index].clock(self.now));
        let Some(operation) = self.running(index).operations.get_mut(&number) else { return };
        let Some(machine) = machine(&mut operation.protocol) else { return };
        machine.handle(clock, &view, input);
        let effects: Vec<_> = std::iter::from_fn(|| machine.poll()).collect();
        let (deadline, is_finished) = (machine.deadline(), machine.is_finished());
        for effect in effects {
            perform(self, index, number, effect);
        }
        let Some(process) = &mut self.nodes[index].process else { return };
        if is_finished {
            return process.end(number);
        }
        let Some(deadline) = deadline else { return };
        let (now, boot) = (self.now, self.nodes[index].boot);
        let due = self.nodes[index].time_of(deadline).max(now);
        let Some(operation) = self.running(index).operations.get_mut(&number) else { return };
        if operation.tick_at.is_none_or(|at| due < at) {
            operation.tick_at = Some(due);
            self.at(due, Event::Deadline(index, boot, number));
        }
    }

    /// The outcome of an effect that ends at once must not come before the other effects.
    pub(crate) fn happens_soon(&mut self, index: Index, number: Number, happening: Happening) {
        let boot = self.nodes[index].boot;
        self.after(0, Event::Happened(index, boot, number, happening));
    }

    fn ask_node(
        &mut self,
        (index, number): (Index, Number),
        to: NodeId,
        ask: Ask,
        question: Question,
        within_ms: u64,
    ) {
        let to = self.index_of(to).expect("a view names machines of this world");
        self.request(index, to, ask, Purpose::Operation(number, question), within_ms);
    }

    /// A node has answered a question of an operation, or did not answer in time.
    pub(crate) fn replied(
        &mut self,
        index: Index,
        (number, question): (Number, Question),
        node: NodeId,
        (tell, record, live): (Option<Tell>, ErasureRecord, u64),
    ) {
        let Some(operation) = self.running(index).operations.get(&number) else { return };
        let id = operation.id;
        let is_write = matches!(operation.protocol, Protocol::Write(_));
        let is_read = matches!(operation.protocol, Protocol::Read(_));
        let is_locate = matches!(operation.protocol, Protocol::Locate(_));
        let is_variant = matches!(operation.protocol, Protocol::Variant(_));
        let is_about_images = !matches!(operation.protocol, Protocol::Erase(_) | Protocol::Sync(_));
        // An upload goes above what it hears; everybody else goes by it.
        if is_about_images && !is_write {
            self.learn(index, id, record);
        }
        let happening = match question {
            Question::Copy | Question::Verify if is_write => {
                self.write_reply((index, &id), (question, live), node, (tell, record))
            }
            Question::Copy => {
                let is_taken = matches!(tell, Some(Tell::Taken(_)));
                Happening::Repair(repair_protocol::RepairOutcome::Given(node, is_taken))
            }
            Question::Verify => {
                let (reply, layout) = receipt(tell);
                let reply = self.heard(index, &id, reply);
                Happening::Repair(repair_protocol::RepairOutcome::Verified(node, reply, layout))
            }
            Question::ReadRecord | Question::WriteRecord | Question::Digests | Question::Page => {
                self.hear_erasures(index, question, node, tell)
            }
            Question::Has if is_locate => {
                let reply = self.heard(index, &id, reply(tell));
                Happening::Locate(locate::LocateOutcome::Replied(node, reply))
            }
            Question::Has if is_read => {
                let reply = self.heard(index, &id, reply(tell));
                Happening::Read(read_protocol::ReadOutcome::Replied(node, reply))
            }
            Question::Has if is_variant => {
                let reply = self.heard(index, &id, reply(tell));
                Happening::Variant(variant::VariantOutcome::Replied(node, reply))
            }
            Question::Has => {
                let reply = self.heard(index, &id, reply(tell));
                Happening::Repair(repair_protocol::RepairOutcome::Replied(node, reply))
            }
            Question::Fetch if is_variant => {
                let made = match self.keep(index, number, node, tell) {
                    read_protocol::FetchReply::Given => variant::Made::Given,
                    read_protocol::FetchReply::Refused(reply) => variant::Made::Without(reply),
                    _ => variant::Made::Without(LookupReply::Unknown),
                };
                Happening::Variant(variant::VariantOutcome::Made(node, made))
            }
            Question::Fetch => {
                let fetched = self.keep(index, number, node, tell);
                if is_read {
                    Happening::Read(read_protocol::ReadOutcome::Fetched(node, fetched))
                } else {
                    Happening::Repair(repair_protocol::RepairOutcome::Fetched(node, fetched))
                }
            }
        };
        self.happened(index, number, happening);
    }

    /// A node's reply about an image, or that this is gone as far as both know.
    fn heard(&self, index: Index, id: &ObjectId, reply: LookupReply) -> LookupReply {
        match reply {
            _ if self.is_gone(self.record_of(index, id)) => LookupReply::Gone,
            LookupReply::Gone => LookupReply::Unknown,
            reply => reply,
        }
    }

    fn taken_under(&mut self, index: Index, tell: Option<Tell>) -> Option<LayoutHash> {
        let Some(Tell::Taken(layout)) = tell else { return None };
        if !self.view(index).knows(layout) {
            self.count("copy under an unknown layout");
        }
        Some(layout)
    }

    /// Keeps the bytes that a node sent, and verifies them.
    fn keep(
        &mut self,
        index: Index,
        number: Number,
        node: NodeId,
        tell: Option<Tell>,
    ) -> read_protocol::FetchReply {
        let verifies = self.bug != Some(InjectedBug::NoVerify);
        let id = self.running(index).operations[&number].id;
        let is_gone = self.is_gone(self.record_of(index, &id));
        let Some(Tell::Have(content)) = tell.clone().filter(|_| !is_gone) else {
            return read_protocol::FetchReply::Refused(self.heard(index, &id, reply(tell)));
        };
        let operation = self.running(index).operations.get_mut(&number).expect("this operation");
        operation.fetched.push((node, content));
        if content == right_bytes(&operation.id) || !verifies {
            read_protocol::FetchReply::Given
        } else {
            read_protocol::FetchReply::Broken
        }
    }
}

/// The lookup reply of an answer; [`LookupReply::Unknown`] without one.
fn reply(tell: Option<Tell>) -> LookupReply {
    match tell {
        Some(Tell::Has) => LookupReply::Present,
        Some(Tell::No(synced)) => LookupReply::Absent(synced),
        Some(Tell::Gone) => LookupReply::Gone,
        _ => LookupReply::Unknown,
    }
}

fn receipt(tell: Option<Tell>) -> (LookupReply, Option<LayoutHash>) {
    match tell {
        Some(Tell::Receipt(layout)) => (LookupReply::Present, Some(layout)),
        tell => (reply(tell), None),
    }
}
