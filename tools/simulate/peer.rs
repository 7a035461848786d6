//! Questions between nodes: asked with a deadline, answered from the local node alone.

use reticulum::cluster::layout::SyncHash;
use reticulum::cluster::rules::absence::LookupReply;
use reticulum::cluster::view::Writes;
use reticulum::object::ObjectId;

use crate::disk::{File, Looked, right_bytes};
use crate::event::{About, Ask, Event, Index, Number, Payload, Tell};
use crate::node::{Operation, Purpose, Request, Waiter};
use crate::plant::Plant;
use crate::world::World;

impl World {
    pub(crate) fn request(&mut self, index: Index, to: Index, ask: Ask, purpose: Purpose, timeout: u64) {
        self.watch_restart(&purpose);
        let number = self.number();
        let (boot, sent) = (self.nodes[index].boot, self.nodes[index].clock(self.now));
        self.running(index).requests.insert(number, Request { to, sent, purpose });
        self.after(timeout, Event::Timeout(index, boot, number));
        self.replay(index, to, number);
        self.send(index, to, Payload::Ask(number, ask));
    }

    /// Answers another node.
    pub(crate) fn serve(&mut self, index: Index, from: Index, number: Number, ask: Ask) {
        let view = self.view(index);
        let tell = match ask {
            Ask::Put(id, content) => {
                if view.writes() == Writes::Allowed {
                    let waiter = Waiter::Remote { to: from, to_boot: self.nodes[from].boot, number };
                    return self.store(index, id, content, waiter);
                }
                Tell::Refused
            }
            Ask::Get(id) => self.look_up(index, &id),
            Ask::Verify(id) => {
                let disk = &mut self.nodes[index].disk;
                let is_whole = disk.verified(&id).is_some();
                let is_durable = disk.files().get(&id).is_some_and(File::is_durable);
                if is_whole && is_durable { Tell::Receipt(view.hash()) } else { Tell::Refused }
            }
            Ask::Compare(theirs) => self.compare_with(index, from, &theirs),
        };
        self.send(index, from, Payload::Tell(number, tell));
    }

    fn look_up(&mut self, index: Index, id: &ObjectId) -> Tell {
        let synced: Option<SyncHash> = self.view(index).trusted_to();
        let verifies = self.plant != Some(Plant::NoVerify);
        match self.nodes[index].disk.look(id, verifies) {
            Looked::Have(content) => Tell::Have(content),
            Looked::Failed => Tell::Refused,
            Looked::Nothing => Tell::No(synced),
        }
    }

    /// An answer came, once.
    pub(crate) fn answered(&mut self, index: Index, number: Number, tell: Tell) {
        let Some(request) = self.running(index).requests.remove(&number) else { return };
        self.take_answer(index, request, Some(tell));
    }

    pub(crate) fn timed_out(&mut self, index: Index, number: Number) {
        if let Some(request) = self.running(index).requests.remove(&number) {
            self.count("peer: timeout");
            self.take_answer(index, request, None);
        }
    }

    fn take_answer(&mut self, index: Index, request: Request, tell: Option<Tell>) {
        let node = self.nodes[request.to].id;
        match (request.purpose, tell) {
            (Purpose::Copy(upload), Some(Tell::Taken(hash))) => {
                self.copied(index, upload, request.to, Some(hash))
            }
            (Purpose::Copy(upload), _) => self.copied(index, upload, request.to, None),
            (Purpose::Look(read), Some(Tell::Have(content))) => self.hear_content(index, read, node, content),
            (Purpose::Look(read), Some(Tell::No(synced))) => {
                self.looked(index, read, node, LookupReply::Absent(synced))
            }
            (Purpose::Look(read), None) if self.plant == Some(Plant::SilenceIsNo) => {
                let hash = self.view(index).staged_version();
                self.looked(index, read, node, LookupReply::Absent(hash));
            }
            (Purpose::Look(read), _) => self.looked(index, read, node, LookupReply::Unknown),
            (Purpose::Push(id), tell) => {
                self.compared_one(index, id, matches!(tell, Some(Tell::Taken(_))));
            }
            (Purpose::Pull(id), Some(Tell::Have(content))) => {
                self.store(index, id, content, Waiter::Pull(id))
            }
            (Purpose::Pull(id), _) => self.compared_one(index, id, false),
            (Purpose::Receipt(id), tell) => self.hear_receipt(index, id, request.to, request.sent, tell),
            (Purpose::Compare, tell) => self.compared(index, request.to, tell),
        }
    }

    fn hear_content(
        &mut self,
        index: Index,
        read: Number,
        node: reticulum::cluster::node::NodeId,
        content: u64,
    ) {
        let Some(Operation::Read { id, .. }) = self.running(index).operations.get(&read) else { return };
        if content == right_bytes(id) || self.plant == Some(Plant::NoVerify) {
            self.found(index, read, content);
        } else {
            self.looked(index, read, node, LookupReply::Unknown);
        }
    }

    /// What a request of this node is about: its kind and image.
    pub(crate) fn about(&self, index: Index, number: Number) -> Option<About> {
        let process = self.nodes[index].process.as_ref()?;
        match &process.requests.get(&number)?.purpose {
            Purpose::Look(read) => match process.operations.get(read)? {
                Operation::Read { id, .. } => Some((0, *id)),
                Operation::Upload { .. } => None,
            },
            Purpose::Copy(upload) => match process.operations.get(upload)? {
                Operation::Upload { id, .. } => Some((1, *id)),
                Operation::Read { .. } => None,
            },
            Purpose::Receipt(id) => Some((2, *id)),
            Purpose::Push(_) | Purpose::Pull(_) | Purpose::Compare => None,
        }
    }

    /// A recorded answer comes again: its number on its connection was used.
    pub(crate) fn hear_replay(&mut self, index: Index, from: Index, about: About, tell: Tell) {
        self.count("replay");
        if self.plant != Some(Plant::ReplayAccepted) {
            return;
        }
        let open = self.running(index).requests.iter().filter(|(_, request)| request.to == from);
        let open: Vec<_> = open.map(|(number, _)| *number).collect();
        if let Some(same) = open.into_iter().find(|number| self.about(index, *number) == Some(about)) {
            self.answered(index, same, tell);
        }
    }
}
