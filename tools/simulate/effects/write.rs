//! The effects of uploads.

use reticulum::cluster::protocol::Input;
use reticulum::cluster::protocol::write::{WriteEffect, WriteOutcome};

use crate::disk::right_bytes;
use crate::event::{Ask, Event, Happening, Index, Number};
use crate::node::{Protocol, Question, Waiter};
use crate::world::World;

impl World {
    pub(super) fn drive_write(&mut self, index: Index, number: Number, input: Input<WriteOutcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_write, Self::perform_write);
    }

    fn perform_write(&mut self, index: Index, number: Number, effect: WriteEffect) {
        let id = self.running(index).operations[&number].id;
        match effect {
            WriteEffect::Store { .. } => {
                self.store(index, id, right_bytes(&id), false, Waiter::Upload(number))
            }
            WriteEffect::Send { to, misplaced, within_ms, .. } => {
                let ask = Ask::Put { id, content: right_bytes(&id), misplaced };
                self.ask_node((index, number), to, ask, Question::Copy, within_ms);
            }
            WriteEffect::Verify { node, within_ms, .. } => {
                self.ask_node((index, number), node, Ask::Verify(id), Question::Verify, within_ms);
            }
            WriteEffect::Record => {
                let (boot, pause) = (self.nodes[index].boot, 1 + self.nodes[index].disk.slowness);
                self.after(pause, Event::Record(index, boot, number, id));
            }
            WriteEffect::Acknowledge(holders) => {
                self.answer(index, number);
                self.acknowledge((index, number), id, &holders);
            }
            WriteEffect::Refuse(_) | WriteEffect::RefuseGone { .. } => {
                self.answer(index, number);
                self.count("upload: 503");
            }
        }
    }

    /// The record that an owner lacks its copy is on the disk.
    pub(crate) fn record_lack(&mut self, index: Index, number: Number, id: reticulum::object::ObjectId) {
        self.enqueue_repair(index, id);
        self.happened(index, number, Happening::Write(WriteOutcome::Recorded));
    }

    /// A node's own copy of an upload is durable, or failed.
    pub(crate) fn stored(&mut self, index: Index, number: Number, is_durable: bool) {
        let layout = is_durable.then(|| self.view(index).hash());
        let outcome = WriteOutcome::Copied(self.nodes[index].id, 0, layout);
        self.happens_soon(index, number, Happening::Write(outcome));
    }
}
