//! One node of the world: its process, which may be gone, and its machine, which stays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use reticulum::cluster::core::{Boot, ClusterSettings, Core};
use reticulum::cluster::layout::{Layout, LayoutHash};
use reticulum::cluster::node::{Label, NodeId};
use reticulum::cluster::protocol::compare::schedule::CompareSchedule;
use reticulum::cluster::protocol::compare::{Compare, CompareEffect};
use reticulum::cluster::protocol::erase::Erase;
use reticulum::cluster::protocol::erasure_sync::{CompareTurn, ErasureSync};
use reticulum::cluster::protocol::locate::Locate;
use reticulum::cluster::protocol::read::Read;
use reticulum::cluster::protocol::repair::Repair;
use reticulum::cluster::protocol::repair::queue::RepairQueue;
use reticulum::cluster::protocol::variant::Variant;
use reticulum::cluster::protocol::write::Write;
use reticulum::cluster::time::Time;
use reticulum::cluster::view::View;
use reticulum::object::ObjectId;

use crate::disk::{Content, Disk};
use crate::event::{Envelope, Fact, Index, Number};
use crate::faults::Fault;
use crate::injected_bug::{Injected, InjectedBug};

/// A machine with a node on it.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) settings: ClusterSettings,
    /// The name of the machine.
    pub(crate) name: Label,
    pub(crate) disk: Disk,
    /// Counts processes: events of an earlier one are void.
    pub(crate) boot: u64,
    /// The origin of its clock, which differs at each start.
    origin: u64,
    /// The error of its clock's rate, in millionths; negative: slower.
    pub(crate) clock_drift: i64,
    pub(crate) process: Option<Process>,
    pub(crate) is_stopped: bool,
    /// Messages that arrived while it was stopped.
    pub(crate) inbox: Vec<Envelope>,
    /// Its core hangs.
    pub(crate) is_blocked: bool,
    /// Inputs that the core did not get while it hung.
    pub(crate) queued_inputs: Vec<Fact>,
    /// The place at which it will crash, and the fault that caused it.
    pub(crate) crash_point: Option<(CrashPoint, Fault)>,
    /// Its machine is lost for good.
    pub(crate) is_gone: bool,
}

/// The largest error of a clock, in millionths.
const CLOCK_DRIFT_MAX: u64 = 10_000;

/// The memory of a process.
pub(crate) struct Process {
    pub(crate) core: Core,
    pub(crate) view: Arc<View>,
    pub(crate) tick_at: Option<u64>,
    pub(crate) operations: BTreeMap<Number, Operation>,
    pub(crate) requests: BTreeMap<Number, Request>,
    pub(crate) jobs: BTreeMap<Number, Job>,
    pub(crate) repairs: RepairQueue,
    /// Images that are being repaired.
    pub(crate) repairing: BTreeSet<ObjectId>,
    /// The time of its start, by its clock.
    pub(crate) started: Time,
    pub(crate) compares: CompareSchedule<Injected>,
    /// Looks for comparisons that are due.
    pub(crate) looks: usize,
    pub(crate) told_holding: bool,
    /// The member whose erasure records were compared last.
    pub(crate) erasure_turn: CompareTurn,
    pub(crate) erasure_looks: usize,
    pub(crate) enrolled: Option<LayoutHash>,
    /// Owners by the view, computed once. Never iterated: the order of a hash map differs in each run.
    pub(crate) owners: HashMap<ObjectId, (bool, Arc<[NodeId]>)>,
}

/// An operation that a client or the node itself began.
pub(crate) struct Operation {
    /// The image of the operation.
    pub(crate) id: ObjectId,
    pub(crate) protocol: Protocol,
    /// The time of its beginning, in the world's time.
    pub(crate) began: u64,
    /// The time at which its machine is due again.
    pub(crate) tick_at: Option<u64>,
    pub(crate) is_answered: bool,
    /// The node stood still meanwhile.
    pub(crate) was_stopped: bool,
    /// The nodes that a read has asked for the bytes.
    pub(crate) asked: Vec<NodeId>,
    /// The bytes that nodes sent.
    pub(crate) fetched: Vec<(NodeId, Content)>,
}

/// The protocol machine of the operation.
pub(crate) enum Protocol {
    Write(Write<Injected>),
    Read(Read<Injected>),
    Locate(Locate<Injected>),
    Variant(Variant<Injected>),
    Repair(Box<Repair<Injected>>),
    /// A comparison with this node.
    Compare(NodeId, Box<Compare<Injected>>),
    Erase(Box<Erase<Injected>>),
    Sync(ErasureSync),
}

/// A question to another node that is not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) to: Index,
    pub(crate) purpose: Purpose,
    /// The counter with which the copy of the question is live.
    pub(crate) live: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// For an operation.
    Operation(Number, Question),
    /// For a comparison.
    Compare(Number, CompareEffect),
}

/// A question of an operation to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// To take a copy.
    Copy,
    /// To read its copy.
    Verify,
    /// Whether it has the image.
    Has,
    /// For the bytes.
    Fetch,
    /// For its erasure record.
    ReadRecord,
    /// To take an erasure record.
    WriteRecord,
    /// For the digests of its records.
    Digests,
    /// For a page of them.
    Page,
}

/// A file on its way to the disk, and its waiters.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: ObjectId,
    pub(crate) content: Content,
    pub(crate) step: Step,
    /// Whether its sender considers other nodes its owners.
    pub(crate) misplaced: bool,
    pub(crate) waiters: Vec<Waiter>,
    /// The counter with which the copy is live.
    pub(crate) live: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Write,
    Sync,
    Rename,
    SyncName,
}

/// A point of an upload at which a node crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// Before this step of a copy.
    Before(Step),
    /// When its own copy is durable, and perhaps no other is.
    Stored,
    /// When it is about to answer.
    Answer,
}

impl CrashPoint {
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("crash before the write", Self::Before(Step::Write)),
        ("crash after the write, before the sync", Self::Before(Step::Sync)),
        ("crash after the sync, before the rename", Self::Before(Step::Rename)),
        ("crash after the rename, before the directory sync", Self::Before(Step::SyncName)),
        ("crash with its own copy alone durable", Self::Stored),
        ("crash with enough copies, before the answer", Self::Answer),
    ];
}

#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    Remote {
        to: Index,
        to_boot: u64,
        number: Number,
        id: ObjectId,
    },
    /// With the counter with which its copy is live.
    Upload(Number, u64),
    Repair(Number),
}

impl Node {
    /// A machine with an empty disk that does not run yet.
    pub(crate) fn new(id: NodeId, settings: ClusterSettings) -> Self {
        Self {
            id,
            name: settings.about.name.clone(),
            settings,
            disk: Disk::default(),
            boot: 0,
            origin: 0,
            clock_drift: 0,
            process: None,
            is_stopped: false,
            inbox: Vec::new(),
            is_blocked: false,
            queued_inputs: Vec::new(),
            crash_point: None,
            is_gone: false,
        }
    }

    /// The node's clock at this time of the world.
    pub(crate) fn clock(&self, now: u64) -> Time {
        let error = i128::from(now) * i128::from(self.clock_drift) / 1_000_000;
        Time::from_millis(self.origin + u64::try_from(i128::from(now) + error).expect("a small error"))
    }

    /// The world's time at which its clock reaches this.
    pub(crate) fn time_of(&self, clock: Time) -> u64 {
        let passed = clock.millis().saturating_sub(self.origin);
        let rate = 1_000_000_u64.saturating_add_signed(self.clock_drift);
        let mut time = passed.saturating_mul(1_000_000) / rate;
        while self.clock(time) < clock {
            time += 1;
        }
        time
    }

    /// The clock jumps ahead.
    pub(crate) fn jump(&mut self, millis: u64) {
        self.origin += millis;
    }

    /// Starts a process. The clock has a random origin and drifts: nothing may depend on it.
    pub(crate) fn start(&mut self, now: u64, seed: u64, holds_images: bool, bug: Option<InjectedBug>) {
        self.boot += 1;
        self.disk.generation += 1;
        self.disk.sweep();
        if bug != Some(InjectedBug::ManifestBelieved) {
            let vanished = self.disk.rebuild_manifest();
            vanished.into_iter().for_each(|id| self.disk.record_misplaced(id, now));
        }
        self.origin = seed % 1_000_000_000;
        self.clock_drift = i64::try_from(seed % (2 * CLOCK_DRIFT_MAX)).expect("small")
            - i64::try_from(CLOCK_DRIFT_MAX).expect("small");
        let boot = Boot {
            this: self.id,
            generation: self.disk.generation,
            instance: seed,
            seed,
            layout: self.disk.layout.as_ref().map(|bytes| Layout::decode(bytes).expect("what was written")),
            was_member: false,
            holds_images,
        };
        let clock = self.clock(now);
        let deviation = bug.and_then(InjectedBug::deviation);
        let core = Core::deviating(self.settings.clone(), boot, deviation, clock);
        let mut repairs = RepairQueue::default();
        self.disk.misplaced().iter().for_each(|id| repairs.record(*id, clock));
        // A file in quarantine serves as a record, too.
        self.disk.quarantine.iter().for_each(|id| repairs.record(*id, clock));
        self.process = Some(Process {
            view: core.view().clone(),
            core,
            tick_at: None,
            operations: BTreeMap::new(),
            requests: BTreeMap::new(),
            jobs: BTreeMap::new(),
            repairs,
            repairing: BTreeSet::new(),
            started: clock,
            compares: CompareSchedule::deviating(Injected(bug)),
            looks: 0,
            told_holding: holds_images,
            erasure_turn: CompareTurn::default(),
            erasure_looks: 0,
            enrolled: None,
            owners: HashMap::new(),
        });
        self.wake();
    }

    /// The process ends at once.
    pub(crate) fn kill(&mut self) {
        self.process = None;
        self.boot += 1;
        self.wake();
    }

    /// Inputs that were held back belonged to another process.
    fn wake(&mut self) {
        (self.is_stopped, self.is_blocked) = (false, false);
        self.inbox.clear();
        self.queued_inputs.clear();
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some() && !self.is_stopped
    }
}

impl Process {
    /// An operation has ended.
    pub(crate) fn end(&mut self, number: Number) {
        if let Some(Operation { id, protocol: Protocol::Repair(_), .. }) = self.operations.remove(&number) {
            self.repairing.remove(&id);
        }
    }
}

impl Operation {
    /// Its node stands still, so its times are not checked.
    pub(crate) fn excuse(&mut self) {
        self.was_stopped = true;
    }
}

impl Protocol {
    pub(crate) fn as_write(&mut self) -> Option<&mut Write<Injected>> {
        if let Self::Write(machine) = self { Some(machine) } else { None }
    }

    pub(crate) fn as_read(&mut self) -> Option<&mut Read<Injected>> {
        if let Self::Read(machine) = self { Some(machine) } else { None }
    }

    pub(crate) fn as_locate(&mut self) -> Option<&mut Locate<Injected>> {
        if let Self::Locate(machine) = self { Some(machine) } else { None }
    }

    pub(crate) fn as_variant(&mut self) -> Option<&mut Variant<Injected>> {
        if let Self::Variant(machine) = self { Some(machine) } else { None }
    }

    pub(crate) fn as_compare(&mut self) -> Option<&mut Compare<Injected>> {
        if let Self::Compare(_, machine) = self { Some(machine) } else { None }
    }

    pub(crate) fn as_erase(&mut self) -> Option<&mut Erase<Injected>> {
        if let Self::Erase(machine) = self { Some(machine) } else { None }
    }

    pub(crate) fn as_sync(&mut self) -> Option<&mut ErasureSync> {
        if let Self::Sync(machine) = self { Some(machine) } else { None }
    }

    pub(crate) fn as_repair(&mut self) -> Option<&mut Repair<Injected>> {
        if let Self::Repair(machine) = self { Some(machine) } else { None }
    }
}
