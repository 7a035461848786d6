//! Questions between nodes: asked with a deadline, answered from the local node alone.

use reticulum::cluster::erasure::ErasureRecord;
use reticulum::cluster::layout::SyncHash;
use reticulum::cluster::view::Writes;
use reticulum::object::ObjectId;

use crate::disk::{File, Looked};
use crate::event::{About, Ask, Event, Index, Number, Payload, Tell};
use crate::injected_bug::InjectedBug;
use crate::node::{Purpose, Question, Request, Waiter};
use crate::world::World;

impl World {
    pub(crate) fn request(&mut self, index: Index, to: Index, ask: Ask, purpose: Purpose, timeout: u64) {
        let live = ask.image().map_or(0, |id| self.record_of(index, &id).live_counter());
        self.request_live(index, to, (ask, live), purpose, timeout);
    }

    /// The same with the counter with which a copy is live.
    pub(crate) fn request_live(
        &mut self,
        index: Index,
        to: Index,
        (ask, live): (Ask, u64),
        purpose: Purpose,
        timeout: u64,
    ) {
        let number = self.number();
        let boot = self.nodes[index].boot;
        self.running(index).requests.insert(number, Request { to, purpose, live });
        self.after(timeout, Event::Timeout(index, boot, number));
        self.replay(index, to, number);
        self.send(index, to, Payload::Ask(number, ask, live));
    }

    /// Answers another node.
    pub(crate) fn serve(&mut self, index: Index, from: Index, number: Number, (ask, live): (Ask, u64)) {
        let image = ask.image();
        let told = match self.tell_erasures(index, &ask) {
            Some(tell) => Some(tell),
            None if image.is_some_and(|id| self.refuses(index, &id, live).is_some()) => Some(Tell::Gone),
            None => self.tell_image(index, from, number, (ask, live)),
        };
        if let Some(tell) = told {
            let record = image.map_or_else(ErasureRecord::default, |id| self.record_of(index, &id));
            self.send(index, from, Payload::Tell(number, tell, record));
        }
    }

    /// The answer about images; `None` if it comes later.
    fn tell_image(
        &mut self,
        index: Index,
        from: Index,
        number: Number,
        (ask, live): (Ask, u64),
    ) -> Option<Tell> {
        let view = self.view(index);
        Some(match ask {
            Ask::Put { id, content, misplaced } => {
                if view.writes() == Writes::Allowed {
                    let to_boot = self.nodes[from].boot;
                    let waiter = Waiter::Remote { to: from, to_boot, number, id };
                    self.store_live(index, (id, live), content, misplaced, waiter);
                    return None;
                }
                Tell::Refused
            }
            Ask::Get(id) => self.look_up(index, &id),
            Ask::Has(id) => self.has(index, &id),
            Ask::Verify(id) => {
                self.learn(index, id, ErasureRecord::live(live));
                let disk = &mut self.nodes[index].disk;
                let is_whole = disk.verified(&id).is_some();
                let is_durable = disk.files().get(&id).is_some_and(File::is_durable);
                match disk.files().contains_key(&id) {
                    true if is_whole && is_durable => Tell::Receipt(view.hash()),
                    true => Tell::Refused,
                    false => self.has(index, &id),
                }
            }
            Ask::Compare(question) => self.describe_to(index, from, &question),
            Ask::Erasure(_) | Ask::Erase(..) | Ask::Digests(_) | Ask::Page(..) => Tell::Refused,
        })
    }

    fn look_up(&mut self, index: Index, id: &ObjectId) -> Tell {
        let synced: Option<SyncHash> = self.view(index).trusted_to();
        let verifies = self.bug != Some(InjectedBug::NoVerify);
        match self.nodes[index].disk.look(id, verifies) {
            Looked::Have(content) => Tell::Have(content),
            Looked::Failed => Tell::Refused,
            Looked::Nothing if self.running(index).repairs.is_recorded(id) => Tell::No(None),
            Looked::Nothing => Tell::No(synced),
        }
    }

    /// Whether there is a copy, without verification.
    fn has(&mut self, index: Index, id: &ObjectId) -> Tell {
        let synced: Option<SyncHash> = self.view(index).trusted_to();
        match self.nodes[index].disk.look(id, false) {
            Looked::Have(_) => Tell::Has,
            Looked::Failed => Tell::No(None),
            // It had the image and lost it.
            Looked::Nothing if self.running(index).repairs.is_recorded(id) => Tell::No(None),
            Looked::Nothing => Tell::No(synced),
        }
    }

    /// An answer arrived, for the first time.
    pub(crate) fn answered(&mut self, index: Index, number: Number, tell: (Tell, ErasureRecord)) {
        let Some(request) = self.running(index).requests.remove(&number) else { return };
        self.take_answer(index, request, Some(tell));
    }

    pub(crate) fn timed_out(&mut self, index: Index, number: Number) {
        if let Some(request) = self.running(index).requests.remove(&number) {
            self.count("peer: timeout");
            self.take_answer(index, request, None);
        }
    }

    fn take_answer(&mut self, index: Index, request: Request, tell: Option<(Tell, ErasureRecord)>) {
        let node = self.nodes[request.to].id;
        let record = tell.as_ref().map_or_else(ErasureRecord::default, |(_, record)| *record);
        let tell = tell.map(|(tell, _)| tell);
        match (request.purpose, tell) {
            (Purpose::Operation(number, question), tell) => {
                self.replied(index, (number, question), node, (tell, record, request.live));
            }
            (Purpose::Compare(number, question), tell) => self.compared(index, number, &question, tell),
        }
    }

    /// The subject of a request of this node: its kind and image.
    pub(crate) fn about(&self, index: Index, number: Number) -> Option<About> {
        let process = self.nodes[index].process.as_ref()?;
        match &process.requests.get(&number)?.purpose {
            Purpose::Operation(_, Question::Digests | Question::Page) => None,
            Purpose::Operation(number, question) => {
                Some((*question as u8, process.operations.get(number)?.id))
            }
            Purpose::Compare(..) => None,
        }
    }

    /// A recorded answer arrives again: its number on its connection is already used.
    pub(crate) fn hear_replay(
        &mut self,
        index: Index,
        from: Index,
        about: About,
        tell: (Tell, ErasureRecord),
    ) {
        self.count("replay");
        if self.bug != Some(InjectedBug::ReplayAccepted) {
            return;
        }
        let open = self.running(index).requests.iter().filter(|(_, request)| request.to == from);
        let open: Vec<_> = open.map(|(number, _)| *number).collect();
        if let Some(same) = open.into_iter().find(|number| self.about(index, *number) == Some(about)) {
            self.answered(index, same, tell);
        }
    }
}
