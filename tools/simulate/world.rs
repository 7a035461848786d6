//! The world: virtual time and the machines; delivers every event to its receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reticulum::cluster::core::Input;
use reticulum::cluster::layout::SyncHash;
use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::repair::queue::RepairQueue;
use reticulum::cluster::random::Random;
use reticulum::cluster::view::View;
use reticulum::object::ObjectId;

use crate::deletions::Deletions;
use crate::event::{Event, Index, Number};
use crate::faults::Kind;
use crate::founding::FoundingWorld;
use crate::injected_bug::InjectedBug;
use crate::network::Network;
use crate::node::{CrashPoint, Node, Process};
use crate::restart::Restart;

/// The state of a run.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) bug: Option<InjectedBug>,
    /// Copies of each image at the founding of the cluster.
    pub(crate) replication: u8,
    /// Milliseconds until all faults are healed.
    pub(crate) faults_ms: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) log: Log,
    /// Images that were answered 200, with the time.
    pub(crate) acknowledged: BTreeMap<ObjectId, u64>,
    /// The same images, to choose from.
    pub(crate) answered: Vec<ObjectId>,
    pub(crate) uploaded: Vec<ObjectId>,
    /// The deeds of clients to each image.
    pub(crate) deletions: Deletions,
    pub(crate) cut_power_after_answer: bool,
    /// The staged versions that any node has had.
    pub(crate) staged: BTreeSet<SyncHash>,
    /// A restart of all nodes that is being watched.
    pub(crate) restart: Option<Restart>,
    /// Traces all events that concern no image, or an image whose id begins with this.
    pub(crate) traced: Option<String>,
    /// Set in a world in which fresh nodes found their cluster.
    pub(crate) founding: Option<FoundingWorld>,
    /// Zones without power at the moment.
    pub(crate) zones_down: usize,
    events: BTreeMap<(u64, u64), Event>,
    event_count: u64,
    number: Number,
}

/// The results of a run.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Broken promises; a run without one has passed.
    pub(crate) failures: Vec<String>,
    pub(crate) faults: BTreeMap<Kind, usize>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// A hash of all events: equal seeds must have equal ones.
    pub(crate) trace: u64,
    pub(crate) milliseconds: u64,
}

impl World {
    /// A world without machines and events.
    pub(crate) fn empty(seed: u64, bug: Option<InjectedBug>, faults_ms: u64) -> Self {
        Self {
            now: 0,
            random: Random::from_seed(seed),
            bug,
            replication: 3,
            faults_ms,
            nodes: Vec::new(),
            network: Network::default(),
            log: Log::default(),
            acknowledged: BTreeMap::new(),
            answered: Vec::new(),
            uploaded: Vec::new(),
            deletions: Deletions::default(),
            staged: BTreeSet::new(),
            cut_power_after_answer: false,
            restart: None,
            traced: None,
            founding: None,
            zones_down: 0,
            events: BTreeMap::new(),
            event_count: 0,
            number: 0,
        }
    }

    pub(crate) fn number(&mut self) -> Number {
        self.number += 1;
        self.number
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.log.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn count_many(&mut self, what: &'static str, many: u64) {
        *self.log.counts.entry(what).or_default() += many;
    }

    pub(crate) fn fail(&mut self, what: String) {
        let now = self.now;
        self.log.failures.push(format!("at {now} ms: {what}"));
    }

    /// Prints an event if `--trace` asks for it.
    pub(crate) fn trace_event(&self, of: Option<&ObjectId>, what: impl FnOnce() -> String) {
        let is_wanted = |prefix: &&String| of.is_none_or(|id| id.to_string().starts_with(prefix.as_str()));
        if self.traced.as_ref().filter(is_wanted).is_some() {
            println!("{:>8} {}", self.now, what());
        }
    }

    pub(crate) fn at(&mut self, time: u64, event: Event) {
        self.event_count += 1;
        self.events.insert((time.max(self.now), self.event_count), event);
    }

    pub(crate) fn after(&mut self, millis: u64, event: Event) {
        self.at(self.now + millis, event);
    }

    /// Runs all events up to this time, or until a promise is broken.
    pub(crate) fn run_to(&mut self, end: u64) {
        while self.log.failures.is_empty() {
            let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) else { break };
            let (key, event) = entry.remove_entry();
            self.now = key.0;
            self.trace(key.0);
            self.happen(event);
        }
        self.now = end;
        self.log.milliseconds = end;
    }

    pub(crate) fn trace(&mut self, value: u64) {
        let mixed = (self.log.trace ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.log.trace = mixed ^ (mixed >> 29);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(index, boot) => self.tick(index, boot),
            Event::Deliver(envelope) => self.deliver(envelope),
            Event::Store(index, boot, job) => {
                if self.process(index, boot).is_some() {
                    self.store_step(index, job);
                }
            }
            Event::Persisted(index, boot, sequence, bytes) => self.persisted(index, boot, sequence, bytes),
            Event::Timeout(index, boot, number) => {
                if self.process(index, boot).is_some() && self.nodes[index].is_running() {
                    self.timed_out(index, number);
                }
            }
            Event::LookAround(index, boot) => {
                if self.process(index, boot).is_some() {
                    self.look_around(index, boot);
                    if self.nodes[index].is_running() {
                        self.look_for_erasures(index);
                    }
                }
            }
            Event::Scrub(index, boot) => {
                if self.process(index, boot).is_some() {
                    self.after(60_000, Event::Scrub(index, boot));
                    self.scrub(index);
                }
            }
            Event::Deadline(index, boot, _)
            | Event::Overdue(index, boot, _)
            | Event::Happened(index, boot, ..)
            | Event::Record(index, boot, ..)
            | Event::Lock(index, boot, _)
            | Event::Repairs(index, boot)
            | Event::Impatient(index, boot, ..) => {
                if self.process(index, boot).is_some() {
                    self.go_on(event);
                }
            }
            Event::Upload => self.upload_image(None),
            Event::Read => self.read(),
            Event::ReadBack(id) => self.read_back(id),
            Event::Erase => self.erase(),
            Event::UploadAgain(id) => self.upload_image(Some(id)),
            Event::Collect(id) => self.collect(id),
            Event::Fault(fault) => self.inject(fault),
            Event::Crash(index, boot) => {
                if self.process(index, boot).is_some() {
                    self.reaches_crash_point(index, CrashPoint::Answer);
                }
            }
            Event::Heal(fault) => self.heal(fault),
            Event::Edit(index, draw) => _ = self.change_something(index, draw),
            Event::Restarted(at) => self.check_restart(at),
            Event::RestartedLong(at) => self.end_restart(at),
        }
    }

    /// Continues an operation of a process.
    fn go_on(&mut self, event: Event) {
        match event {
            Event::Deadline(index, _, number) if self.nodes[index].is_running() => {
                self.tick_operation(index, number);
            }
            Event::Overdue(index, _, number) => self.check_answered(index, number),
            Event::Happened(index, _, number, happening) => self.happened(index, number, happening),
            Event::Record(index, _, number, id) => self.record_lack(index, number, id),
            Event::Lock(index, _, number) => self.lock(index, number),
            Event::Impatient(index, _, number, owners) => self.check_patience(index, number, &owners),
            Event::Repairs(index, boot) => {
                self.after(RepairQueue::LOOK_EVERY_MS, Event::Repairs(index, boot));
                if self.nodes[index].is_running() {
                    self.begin_repairs(index);
                }
            }
            // A node that stands still reads its clock when it goes on.
            _ => {}
        }
    }

    fn tick(&mut self, index: Index, boot: u64) {
        let clock = self.nodes[index].clock(self.now);
        let is_driven = self.nodes[index].is_running() && !self.nodes[index].is_blocked;
        if let Some(process) = self.process(index, boot) {
            process.tick_at = None;
            if is_driven {
                process.core.handle(Input::Tick, clock);
                self.drain(index);
            }
        }
    }

    /// The process of this start, if it still runs.
    pub(crate) fn process(&mut self, index: Index, boot: u64) -> Option<&mut Process> {
        let node = &mut self.nodes[index];
        if node.boot == boot { node.process.as_mut() } else { None }
    }

    /// The process of a node that is known to have one.
    pub(crate) fn running(&mut self, index: Index) -> &mut Process {
        self.nodes[index].process.as_mut().expect("a running process")
    }

    pub(crate) fn view(&self, index: Index) -> Arc<View> {
        self.nodes[index].process.as_ref().expect("a running process").view.clone()
    }

    pub(crate) fn index_of(&self, id: NodeId) -> Option<Index> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// Whether the node owns the id, and the owners, in its view.
    pub(crate) fn owners(&mut self, index: Index, id: &ObjectId) -> (bool, Arc<[NodeId]>) {
        let this = self.nodes[index].id;
        let process = self.running(index);
        let view = &process.view;
        let of_view = || {
            let owners = view.owners(id);
            (owners.contains(&this), owners.into())
        };
        process.owners.entry(*id).or_insert_with(of_view).clone()
    }

    /// Nodes that were not lost for good.
    pub(crate) fn standing(&self) -> Vec<Index> {
        (0..self.nodes.len()).filter(|index| !self.nodes[*index].is_gone).collect()
    }

    /// Nodes whose process runs and belongs to the cluster.
    pub(crate) fn members(&self) -> Vec<Index> {
        let is_member = |index: &Index| {
            let node = &self.nodes[*index];
            node.is_running()
                && node.process.as_ref().is_some_and(|process| process.view.member(node.id).is_some())
        };
        (0..self.nodes.len()).filter(is_member).collect()
    }

    pub(crate) fn pick(&mut self, from: &[Index]) -> Option<Index> {
        self.random.choose(from).copied()
    }
}
