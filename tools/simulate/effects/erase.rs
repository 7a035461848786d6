//! The effects of deletions, and of comparisons of erasure records.

use reticulum::cluster::erasure::table::root;
use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::Input;
use reticulum::cluster::protocol::erase::{EraseEffect, EraseOutcome};
use reticulum::cluster::protocol::erasure_sync::{PageEnd, SyncEffect, SyncOutcome};

use crate::event::{Ask, Happening, Index, Number, Tell};
use crate::node::{Protocol, Question};
use crate::world::World;

impl World {
    pub(super) fn drive_erase(&mut self, index: Index, number: Number, input: Input<EraseOutcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_erase, Self::perform_erase);
    }

    fn perform_erase(&mut self, index: Index, number: Number, effect: EraseEffect) {
        let id = self.running(index).operations[&number].id;
        let (this, now) = (self.nodes[index].id, self.now);
        match effect {
            EraseEffect::Read { node, .. } if node == this => {
                let outcome = EraseOutcome::Read(node, Some(self.record_of(index, &id)));
                self.happens_soon(index, number, Happening::Erase(outcome));
            }
            EraseEffect::Read { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Erasure(id), Question::ReadRecord, within_ms);
            }
            EraseEffect::Write { node, record, within_ms } => {
                self.deletions.send(id, record);
                self.revise(&id);
                if node == this {
                    self.learn(index, id, record);
                    let outcome = EraseOutcome::Written(node, Some(self.held(index, &id)));
                    return self.happens_soon(index, number, Happening::Erase(outcome));
                }
                let ask = Ask::Erase(id, record);
                self.ask_node((index, number), node, ask, Question::WriteRecord, within_ms);
            }
            EraseEffect::Acknowledge(_) => {
                self.answer(index, number);
                self.count("erasure: done");
                self.deletions.end(&id, (index, number), now, true);
                self.revise(&id);
                self.collect_soon(id);
            }
            EraseEffect::Refuse => {
                self.answer(index, number);
                self.count("erasure: 503");
                self.deletions.end(&id, (index, number), now, false);
                self.revise(&id);
            }
        }
    }

    pub(super) fn drive_sync(&mut self, index: Index, number: Number, input: Input<SyncOutcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_sync, Self::perform_sync);
    }

    fn perform_sync(&mut self, index: Index, number: Number, effect: SyncEffect) {
        match effect {
            SyncEffect::AskDigests { node, within_ms } => {
                let own = self.nodes[index].disk.erasures.root();
                self.ask_node((index, number), node, Ask::Digests(own), Question::Digests, within_ms);
            }
            SyncEffect::AskPage { node, bucket, after, within_ms } => {
                let ask = Ask::Page(bucket, after);
                self.ask_node((index, number), node, ask, Question::Page, within_ms);
            }
        }
    }

    /// A node answers another one about its records.
    pub(crate) fn tell_erasures(&mut self, index: Index, ask: &Ask) -> Option<Tell> {
        let erasures = &self.nodes[index].disk.erasures;
        match ask {
            Ask::Erasure(id) => Some(Tell::Held(self.held(index, id))),
            Ask::Erase(id, record) => {
                self.learn(index, *id, *record);
                Some(Tell::Held(self.held(index, id)))
            }
            Ask::Digests(theirs) => {
                let own = erasures.digests();
                Some(Tell::Digests((root(own) != *theirs).then(|| Box::new(*own))))
            }
            Ask::Page(bucket, after) => {
                let (records, has_more) = erasures.page(*bucket, *after);
                Some(Tell::Page(records, has_more))
            }
            _ => None,
        }
    }

    /// The outcome of a question about records.
    pub(super) fn hear_erasures(
        &mut self,
        index: Index,
        question: Question,
        node: NodeId,
        tell: Option<Tell>,
    ) -> Happening {
        match (question, tell) {
            (Question::ReadRecord, Some(Tell::Held(held))) => {
                Happening::Erase(EraseOutcome::Read(node, Some(held.record)))
            }
            (Question::ReadRecord, _) => Happening::Erase(EraseOutcome::Read(node, None)),
            (Question::WriteRecord, Some(Tell::Held(held))) => {
                Happening::Erase(EraseOutcome::Written(node, Some(held)))
            }
            (Question::WriteRecord, _) => Happening::Erase(EraseOutcome::Written(node, None)),
            (Question::Digests, Some(Tell::Digests(theirs))) => Happening::Sync(SyncOutcome::Digests(theirs)),
            (Question::Page, Some(Tell::Page(records, has_more))) => {
                let last = records.last().map(|(id, _)| *id);
                records.into_iter().for_each(|(id, record)| self.learn(index, id, record));
                let end = last.filter(|_| has_more).map_or(PageEnd::Last, PageEnd::More);
                Happening::Sync(SyncOutcome::Page(Some(end)))
            }
            (Question::Page, _) => Happening::Sync(SyncOutcome::Page(None)),
            _ => Happening::Sync(SyncOutcome::Digests(None)),
        }
    }
}
