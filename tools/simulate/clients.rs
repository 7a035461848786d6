//! The clients, and the checks of every response that they get.

use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::ACQUAINTED_MS;
use reticulum::cluster::protocol::locate::absence::LookupReply;
use reticulum::cluster::protocol::locate::{self, Locate, WantedImage};
use reticulum::cluster::protocol::read::order::nearest_order;
use reticulum::cluster::protocol::read::{self, Read, ReadPart};
use reticulum::cluster::protocol::repair::excess::ExcessReplica;
use reticulum::cluster::protocol::variant::{self, Variant};
use reticulum::cluster::protocol::write::{self, Upload, Write};
use reticulum::cluster::view::Writes;
use reticulum::object::ObjectId;

use crate::disk::{Content, Looked, right_bytes};
use crate::event::{Event, Index, Number};
use crate::faults::{Fault, Kind};
use crate::injected_bug::{Injected, InjectedBug};
use crate::node::{CrashPoint, Node, Operation, Protocol, Purpose, Question};
use crate::operator::NODES_MAX;
use crate::world::World;

/// The share of its bound by which an answer may be late because a clock is wrong, as one part in this many.
const CLOCK_ERROR_PARTS: u64 = 50;

/// Time limit for all nodes that are asked for a variant together, as a node is configured, in milliseconds.
const VARIANT_WITHIN_MS: u64 = 10_000;

impl World {
    /// A client uploads this image; without one a new image, or an earlier one again.
    pub(crate) fn upload_image(&mut self, wanted: Option<ObjectId>) {
        let takers = self.members().into_iter().filter(|index| self.view(*index).writes() == Writes::Allowed);
        let takers: Vec<_> = takers.collect();
        // Nodes with a blocked core are asked most often: their answers must be correct nevertheless.
        let deaf: Vec<_> = takers.iter().copied().filter(|index| self.nodes[*index].is_blocked).collect();
        let takers = if deaf.is_empty() || self.random.chance(500_000) { takers } else { deaf };
        let Some(index) = self.pick(&takers) else { return self.count("upload: nobody to ask") };
        if self.restart.is_some() {
            return self.count("upload: held back after a restart");
        }
        let again =
            self.random.chance(100_000).then(|| self.random.choose(&self.uploaded).copied()).flatten();
        let id = wanted.or(again).unwrap_or_else(|| self.new_id());
        self.uploaded.push(id);
        let is_known = self.nodes[index].disk.files().contains_key(&id);
        let (record, started) = (self.record_of(index, &id), self.running(index).started);
        let upload = Upload { id, length: 0, is_known, record, started };
        let machine = Protocol::Write(Write::deviating(upload, Injected(self.bug)));
        let bound = write::answered_within_ms(NODES_MAX as u64, 0);
        // Before it begins: its first step may store a copy.
        let (number, now) = (self.number(), self.now);
        self.deletions.begin_upload(id, (index, number), now);
        self.begin_as(index, number, id, machine, bound);
    }

    fn new_id(&mut self) -> ObjectId {
        let mut bytes = [0; 20];
        bytes.chunks_mut(4).for_each(|chunk| {
            chunk.copy_from_slice(&u32::try_from(self.random.below(1 << 32)).expect("32 bits").to_be_bytes());
        });
        ObjectId::from_digest(bytes)
    }

    /// A client reads: mostly an image that was answered 200, sometimes one that was not, or was never uploaded.
    pub(crate) fn read(&mut self) {
        let id = match self.random.below(10) {
            0 => Some(ObjectId::from_digest([u8::try_from(self.random.below(256)).expect("a byte"); 20])),
            1 => self.random.choose(&self.uploaded).copied(),
            2 | 3 => self.uploaded.last().copied(),
            _ => self.random.choose(&self.answered).copied(),
        };
        let members = self.members();
        let (Some(id), Some(index)) = (id, self.pick(&members)) else { return };
        match self.random.below(8) {
            0 => self.locate_at(index, id),
            1 | 2 => self.variant_at(index, id),
            _ => self.read_at(index, id),
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
        let Some(wanted) = self.wanted(index, id) else { return };
        let view = self.view(index);
        let order = nearest_order(&view, &id);
        let is_acquainted = self.nodes[index].clock(self.now).since(wanted.started) > ACQUAINTED_MS;
        let (boot, bound) = (self.nodes[index].boot, read::answered_within_ms(NODES_MAX as u64));
        let machine = Protocol::Read(Read::deviating(wanted, ReadPart::Bytes, Injected(self.bug)));
        let number = self.begin(index, id, machine, bound);
        if is_acquainted {
            let by = read::owners_asked_within_ms(order.owners.len() as u64);
            self.after(by + by / CLOCK_ERROR_PARTS, Event::Impatient(index, boot, number, order.owners));
        }
    }

    /// A client asks a node whether an image has changed.
    fn locate_at(&mut self, index: Index, id: ObjectId) {
        let Some(wanted) = self.wanted(index, id) else { return };
        let bound = locate::concluded_within_ms(NODES_MAX as u64);
        let machine = Protocol::Locate(Locate::deviating(wanted, Injected(self.bug)));
        self.begin(index, id, machine, bound);
    }

    /// A client requests a variant of an image from a node.
    fn variant_at(&mut self, index: Index, id: ObjectId) {
        let started = self.running(index).started;
        let wanted = variant::WantedVariant { id, within_ms: VARIANT_WITHIN_MS, started };
        let machine = Protocol::Variant(Variant::deviating(wanted, Injected(self.bug)));
        let bound = variant::answered_within_ms(NODES_MAX as u64, VARIANT_WITHIN_MS);
        self.begin(index, id, machine, bound);
    }

    /// The question for other nodes, if this node cannot answer itself.
    fn wanted(&mut self, index: Index, id: ObjectId) -> Option<WantedImage> {
        let view = self.view(index);
        let verifies = self.bug != Some(InjectedBug::NoVerify);
        if self.is_gone(self.record_of(index, &id)) {
            self.check_gone(index, &id);
            return None;
        }
        let here = match self.nodes[index].disk.look(&id, verifies) {
            Looked::Have(content) => {
                self.check_bytes(index, &id, content);
                return None;
            }
            Looked::Failed => LookupReply::Unknown,
            Looked::Nothing if self.running(index).repairs.is_recorded(&id) => LookupReply::Absent(None),
            Looked::Nothing => LookupReply::Absent(view.trusted_to()),
        };
        if !view.is_joined() {
            self.count("read: 503, not joined");
            return None;
        }
        Some(WantedImage { id, here, started: self.running(index).started })
    }

    /// A client receives these bytes of an image.
    pub(crate) fn check_bytes(&mut self, index: Index, id: &ObjectId, content: Content) {
        self.count("read: 200");
        if self.zones_down > 0 {
            self.count("read: 200 while a zone was down");
        }
        if content != right_bytes(id) {
            self.fail(format!("node {index} gave wrong bytes for {id}"));
        }
    }

    /// A client receives a variant that was made from these bytes.
    pub(crate) fn check_variant(&mut self, index: Index, id: &ObjectId, content: Content) {
        self.count("variant: 200");
        if content != right_bytes(id) {
            self.fail(format!("node {index} made a variant of wrong bytes for {id}"));
        }
    }

    /// A client receives a 404.
    pub(crate) fn check_absent(&mut self, index: Index, number: Number) {
        let Operation { id, began, .. } = self.running(index).operations[&number];
        self.count("read: 404");
        // A node knows only by its records that it lost a copy. Before that, its "no" is wrong.
        let now = self.now;
        let has_vanished = self.nodes.iter().any(|node| node.disk.has_vanished_unnoticed(&id, now));
        if self.acknowledged.get(&id).is_some_and(|at| *at <= began) && !has_vanished {
            self.fail(format!("node {index} says 404 for {id}, which was answered 200"));
        }
    }

    /// An excess copy is removed: all owners must have had good ones since this node asked.
    pub(crate) fn check_removal(&mut self, index: Index, id: &ObjectId) {
        let bound = ExcessReplica::RECEIPT_AGE_MAX_MS + ExcessReplica::RECEIPT_AGE_MAX_MS / CLOCK_ERROR_PARTS;
        let owners: Vec<_> = self.view(index).owners(id);
        let now = self.now;
        let is_long_bad = |owner: &Index| {
            let since = self.nodes[*owner].disk.bad_since.get(id);
            let is_there = self.nodes[*owner].disk.files().contains_key(id);
            is_there && since.is_some_and(|since| since + bound < now)
        };
        let bad = owners.into_iter().filter_map(|owner| self.index_of(owner)).find(is_long_bad);
        if let Some(bad) = bad {
            self.fail(format!("node {index} deletes {id}, of which node {bad} has a damaged copy"));
        }
    }

    /// Begins an operation that must be answered within `bound` milliseconds of its node's clock.
    pub(crate) fn begin(&mut self, index: Index, id: ObjectId, protocol: Protocol, bound: u64) -> Number {
        let number = self.number();
        self.begin_as(index, number, id, protocol, bound);
        number
    }

    /// The same under a number that was drawn before.
    pub(crate) fn begin_as(
        &mut self,
        index: Index,
        number: Number,
        id: ObjectId,
        protocol: Protocol,
        bound: u64,
    ) {
        let boot = self.nodes[index].boot;
        self.after(bound + bound / CLOCK_ERROR_PARTS, Event::Overdue(index, boot, number));
        self.begin_unbounded(index, number, id, protocol);
    }

    /// The same for an operation that goes on for as long as it makes progress.
    pub(crate) fn begin_unbounded(&mut self, index: Index, number: Number, id: ObjectId, protocol: Protocol) {
        let began = self.now;
        let operation = Operation {
            id,
            protocol,
            began,
            tick_at: None,
            is_answered: false,
            was_stopped: false,
            asked: Vec::new(),
            fetched: Vec::new(),
        };
        self.running(index).operations.insert(number, operation);
        self.tick_operation(index, number);
    }

    /// An operation is answered, once.
    pub(crate) fn answer(&mut self, index: Index, number: Number) {
        let operation = self.running(index).operations.get_mut(&number).expect("this operation");
        let (id, is_again) = (operation.id, std::mem::replace(&mut operation.is_answered, true));
        if is_again {
            self.fail(format!("node {index} answers twice for {id}"));
        }
    }

    /// The operation must have been answered by now, unless its node stood still meanwhile.
    pub(crate) fn check_answered(&mut self, index: Index, number: Number) {
        let Some(operation) = self.running(index).operations.get(&number) else { return };
        if !operation.is_answered && !operation.was_stopped {
            let Operation { id, began, .. } = *operation;
            self.fail(format!("node {index} has not ended what it began for {id} at {began} ms"));
        }
    }

    /// Each of these owners must have been asked by now, unless the read is answered or its node stood still.
    pub(crate) fn check_patience(&mut self, index: Index, number: Number, owners: &[NodeId]) {
        let Some(operation) = self.running(index).operations.get(&number) else { return };
        if !operation.was_stopped && owners.iter().any(|owner| !operation.asked.contains(owner)) {
            let Operation { id, began, .. } = *operation;
            self.fail(format!("node {index} has not asked all owners of {id} since {began} ms"));
        }
    }

    /// A client receives the answer that its upload is stored.
    pub(crate) fn acknowledge(&mut self, (index, number): (Index, Number), id: ObjectId, holders: &[NodeId]) {
        if self.nodes[index].crash_point.is_some_and(|(crash_point, _)| crash_point == CrashPoint::Answer) {
            // The node ends before the client receives the answer.
            let boot = self.nodes[index].boot;
            return self.after(0, Event::Crash(index, boot));
        }
        self.trace_event(Some(&id), || format!("node {index} answers the upload of {id}"));
        self.count("upload: 200");
        self.check_recorded(index, number, &id, holders);
        let (now, live) = (self.now, self.running(index).operations.get_mut(&number).map(live_of));
        self.deletions.raise(&id, (index, number), live.unwrap_or(0));
        self.deletions.end(&id, (index, number), now, true);
        self.revise(&id);
        let soon = self.random.below(2_000);
        self.after(soon, Event::ReadBack(id));
        if self.zones_down > 0 {
            self.count("upload: 200 while a zone was down");
        }
        if std::mem::take(&mut self.cut_power_after_answer) {
            let fault = Fault { kind: Kind::PowerCutAll, nodes: (0, 0), duration: 0 };
            self.after(1, Event::Fault(fault));
        }
    }

    /// An image is answered by a node that holds it. Each owner must have its copy or be receiving it, or a node in its
    /// place must, or a holder must have a durable record that the owner lacks it.
    fn check_recorded(&mut self, index: Index, number: Number, id: &ObjectId, holders: &[NodeId]) {
        let is_held = |other: Index| self.nodes[other].disk.files().contains_key(id);
        let owners = self.view(index).owners(id);
        let is_whole = owners.iter().all(|owner| {
            // A node that stored it may have lost it since.
            holders.contains(owner) || self.index_of(*owner).is_some_and(is_held)
        });
        let is_copy = |purpose: &Purpose| matches!(purpose, Purpose::Operation(of, Question::Copy | Question::Verify) if *of == number);
        let process = self.nodes[index].process.as_ref().expect("the node that answers");
        let is_under_way = process.requests.values().any(|request| is_copy(&request.purpose))
            || process.jobs.values().any(|job| job.id == *id);
        let is_recorded =
            |node: &Node| node.disk.files().contains_key(id) && node.disk.misplaced().contains(id);
        let holds = holders.contains(&self.nodes[index].id);
        // It was deleted meanwhile, and its records with it.
        let is_gone = self.record_of(index, id).is_gone();
        if holds && !is_whole && !is_gone && !is_under_way && !self.nodes.iter().any(is_recorded) {
            self.fail(format!("node {index} answers for {id} without a record that an owner lacks its copy"));
        }
    }
}

/// The counter of an upload.
fn live_of(operation: &mut Operation) -> u64 {
    operation.protocol.as_write().map_or(0, |write| write.live())
}
