//! The effects of uploads.

use reticulum::cluster::erasure::ErasureRecord;
use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::Input;
use reticulum::cluster::protocol::locate::absence::LookupReply;
use reticulum::cluster::protocol::write::{WriteEffect, WriteOutcome};
use reticulum::object::ObjectId;

use super::receipt;
use crate::disk::right_bytes;
use crate::event::{Ask, Event, Happening, Index, Number, Tell};
use crate::node::{Protocol, Purpose, Question, Waiter};
use crate::world::World;

impl World {
    pub(super) fn drive_write(&mut self, index: Index, number: Number, input: Input<WriteOutcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_write, Self::perform_write);
    }

    fn perform_write(&mut self, index: Index, number: Number, effect: WriteEffect) {
        let id = self.running(index).operations[&number].id;
        let now = self.now;
        match effect {
            WriteEffect::Store { live } => {
                self.deletions.raise(&id, (index, number), live);
                let waiter = Waiter::Upload(number, live);
                self.store_live(index, (id, live), right_bytes(&id), false, waiter);
            }
            WriteEffect::Send { to, live, misplaced, within_ms } => {
                let ask = Ask::Put { id, content: right_bytes(&id), misplaced };
                self.send_live((index, number), to, (ask, live), Question::Copy, within_ms);
            }
            WriteEffect::Verify { node, live, within_ms } => {
                self.send_live((index, number), node, (Ask::Verify(id), live), Question::Verify, within_ms);
            }
            WriteEffect::Record => {
                let (boot, pause) = (self.nodes[index].boot, 1 + self.nodes[index].disk.slowness);
                self.after(pause, Event::Record(index, boot, number, id));
            }
            WriteEffect::Acknowledge(holders) => {
                self.answer(index, number);
                self.acknowledge((index, number), id, &holders);
            }
            WriteEffect::Refuse(_) => {
                self.answer(index, number);
                self.count("upload: 503");
                self.deletions.end(&id, (index, number), now, false);
            }
            WriteEffect::RefuseGone { .. } => {
                self.answer(index, number);
                self.count("upload: 410");
                self.check_gone_upload(index, &id);
                self.deletions.end(&id, (index, number), now, false);
            }
        }
    }

    fn send_live(
        &mut self,
        (index, number): (Index, Number),
        to: NodeId,
        (ask, live): (Ask, u64),
        question: Question,
        within_ms: u64,
    ) {
        let id = self.running(index).operations[&number].id;
        self.deletions.raise(&id, (index, number), live);
        let to = self.index_of(to).expect("a view names machines of this world");
        self.request_live(index, to, (ask, live), Purpose::Operation(number, question), within_ms);
    }

    /// A node's reply to a copy with this counter, or to the question for one.
    pub(super) fn write_reply(
        &mut self,
        (index, id): (Index, &ObjectId),
        (question, live): (Question, u64),
        node: NodeId,
        (tell, record): (Option<Tell>, ErasureRecord),
    ) -> Happening {
        // News that this node has heard meanwhile counts too: its own copy may be erased by now.
        let record = record.merge(self.record_of(index, id));
        if self.is_outdated(live, record) {
            return Happening::Write(WriteOutcome::Outdated(node, live, record));
        }
        Happening::Write(if question == Question::Copy {
            WriteOutcome::Copied(node, live, self.taken_under(index, tell))
        } else {
            let (reply, layout) = receipt(tell);
            WriteOutcome::Verified(node, live, layout.filter(|_| reply == LookupReply::Present))
        })
    }

    fn is_outdated(&self, live: u64, record: ErasureRecord) -> bool {
        self.is_gone(record) && record.is_banned() || record.next_live() > live
    }

    /// The record that an owner lacks its copy is on the disk.
    pub(crate) fn record_lack(&mut self, index: Index, number: Number, id: ObjectId) {
        self.enqueue_repair(index, id);
        self.happened(index, number, Happening::Write(WriteOutcome::Recorded));
    }

    /// A node's own copy of an upload is durable, or failed.
    pub(crate) fn stored(&mut self, index: Index, number: Number, live: u64, is_durable: bool) {
        let Some(operation) = self.running(index).operations.get(&number) else { return };
        let (id, this) = (operation.id, self.nodes[index].id);
        let record = self.record_of(index, &id);
        let outcome = if self.is_outdated(live, record) {
            WriteOutcome::Outdated(this, live, record)
        } else {
            WriteOutcome::Copied(this, live, is_durable.then(|| self.view(index).hash()))
        };
        self.happens_soon(index, number, Happening::Write(outcome));
    }
}
