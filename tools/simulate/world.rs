//! The world: virtual time, the network, and the machines; hands every event to whom it concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reticulum::cluster::core::{Action, Input, Settings};
use reticulum::cluster::layout::{Copies, NewNode};
use reticulum::cluster::node::{Label, NodeId, NodeUrl, Weight};
use reticulum::cluster::random::Random;
use reticulum::cluster::rules::stray::needs_record;
use reticulum::cluster::view::View;
use reticulum::object::ObjectId;

use crate::event::{About, Envelope, Event, Index, Number, Payload, Tell};
use crate::faults::{self, Kind};
use crate::node::{Node, Process};
use crate::plant::Plant;

/// Everything that there is.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) plant: Option<Plant>,
    /// Copies that the cluster wants from its beginning.
    pub(crate) replication: u8,
    pub(crate) nodes: Vec<Node>,
    pub(crate) cut: BTreeMap<(Index, Index), usize>,
    pub(crate) bad: BTreeMap<Index, usize>,
    pub(crate) log: Log,
    /// Images that were answered 200, and when.
    pub(crate) acknowledged: BTreeMap<ObjectId, u64>,
    pub(crate) uploaded: Vec<ObjectId>,
    pub(crate) cut_power_after_answer: bool,
    /// Answers that somebody recorded, by who asked, whom, and what.
    pub(crate) recorded: BTreeMap<(Index, Index, About), Tell>,
    pub(crate) owner_cache: BTreeMap<(Index, ObjectId), (bool, Vec<NodeId>)>,
    events: BTreeMap<(u64, u64), Event>,
    event_count: u64,
    number: Number,
}

/// What a run leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Broken promises; a run without any has passed.
    pub(crate) failures: Vec<String>,
    pub(crate) faults: BTreeMap<Kind, usize>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Changes with every event: equal seeds must have equal ones.
    pub(crate) trace: u64,
    pub(crate) milliseconds: u64,
}

/// Milliseconds from the first start to the healing of all faults.
pub(crate) const FAULTS_MS: u64 = 600_000;

impl World {
    pub(crate) fn new(seed: u64, plant: Option<Plant>) -> Self {
        let random = Random::from_seed(seed);
        let mut world = Self {
            now: 0,
            random,
            plant,
            replication: 3,
            nodes: Vec::new(),
            cut: BTreeMap::new(),
            bad: BTreeMap::new(),
            log: Log::default(),
            acknowledged: BTreeMap::new(),
            uploaded: Vec::new(),
            cut_power_after_answer: false,
            recorded: BTreeMap::new(),
            owner_cache: BTreeMap::new(),
            events: BTreeMap::new(),
            event_count: 0,
            number: 0,
        };
        let count = 3 + usize::try_from(world.random.below(5)).expect("small");
        let zones = 1 + world.random.below(3);
        world.replication = 2 + u8::try_from(world.random.below(2)).expect("a bit");
        (0..count).for_each(|_| world.add_node(zones));
        for (at, fault) in faults::draw(&mut world.random, count, FAULTS_MS) {
            world.at(at, Event::Fault(fault));
        }
        for turn in 0..260 {
            world.at(12_000 + turn * 2_200, Event::Upload);
        }
        for turn in 0..1_300 {
            world.at(13_000 + turn * 445, Event::Read);
        }
        world
    }

    /// Starts a machine that was not there before.
    pub(crate) fn add_node(&mut self, zones: u64) {
        let index = self.nodes.len();
        let url = |index: usize| NodeUrl::parse(&format!("http://n{index}:1")).expect("a URL");
        let label = |text: String| Label::parse(&text).expect("a label");
        let about = NewNode {
            name: label(format!("n{index}")),
            url: url(index),
            zone: label(format!("z{}", self.random.below(zones))),
            weight: Weight::new([100, 100, 200, 400][usize::try_from(self.random.below(4)).expect("small")])
                .expect("a weight"),
            writable: true,
        };
        let settings = Settings {
            cluster: label("sim".into()),
            about,
            copies: Copies { replication: self.replication, min_replication: 2 },
            join: if index == 0 { Vec::new() } else { vec![url(0), url(index - 1)] },
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.next().to_be_bytes());
        self.nodes.push(Node {
            id: NodeId::from_bytes(id),
            settings,
            disk: crate::disk::Disk::default(),
            boot: 0,
            origin: 0,
            process: None,
            is_stopped: false,
            inbox: Vec::new(),
        });
        self.start(index);
    }

    /// Starts the process of a machine.
    pub(crate) fn start(&mut self, index: Index) {
        let seed = self.random.next();
        // A node that lost its store finds out at its start, unless nobody looks.
        let holds = !self.nodes[index].disk.files.is_empty() || self.plant == Some(Plant::UnsyncedNoCounts);
        self.nodes[index].start(self.now, seed, holds);
        self.forget_owners(index);
        let boot = self.nodes[index].boot;
        self.after(500, Event::Repair(index, boot));
        self.after(60_000, Event::Scrub(index, boot));
        self.drain(index);
    }

    pub(crate) fn number(&mut self) -> Number {
        self.number += 1;
        self.number
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.log.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn fail(&mut self, what: String) {
        let now = self.now;
        self.log.failures.push(format!("at {now} ms: {what}"));
    }

    pub(crate) fn at(&mut self, time: u64, event: Event) {
        self.event_count += 1;
        self.events.insert((time.max(self.now), self.event_count), event);
    }

    pub(crate) fn after(&mut self, millis: u64, event: Event) {
        self.at(self.now + millis, event);
    }

    /// Lets everything happen up to this time, or until a promise is broken.
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
            Event::Tick(index, boot) => {
                let clock = self.nodes[index].clock(self.now);
                let is_running = self.nodes[index].is_running();
                if let Some(process) = self.process(index, boot) {
                    process.tick_at = None;
                    if is_running {
                        process.core.handle(Input::Tick, clock);
                        self.drain(index);
                    }
                }
            }
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
            Event::Deadline(index, boot, number) => {
                if self.process(index, boot).is_some() {
                    self.give_up(index, number);
                }
            }
            Event::Repair(index, boot) => {
                if self.process(index, boot).is_some() {
                    let pause = 700 + self.random.below(300);
                    self.after(pause, Event::Repair(index, boot));
                    if self.nodes[index].is_running() {
                        self.repair(index);
                    }
                }
            }
            Event::Scrub(index, boot) => {
                if self.process(index, boot).is_some() {
                    self.after(60_000, Event::Scrub(index, boot));
                    self.scrub(index);
                }
            }
            Event::Upload => self.upload(),
            Event::Read => self.read(),
            Event::Fault(fault) => self.strike(fault),
            Event::Heal(fault) => self.heal(fault),
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

    /// Does what a core wants done.
    pub(crate) fn drain(&mut self, index: Index) {
        while let Some(action) = self.running(index).core.poll() {
            match action {
                Action::Send { url, bytes, .. } => {
                    let to = self.nodes.iter().position(|node| node.settings.about.url == url);
                    if let Some(to) = to {
                        self.send(index, to, Payload::Core(bytes));
                    }
                }
                Action::Persist { sequence, bytes } => {
                    let boot = self.nodes[index].boot;
                    let pause = 3 + self.random.below(10) + self.nodes[index].disk.slowness;
                    if self.plant == Some(Plant::SaidBeforeDurable) {
                        self.after(20_000, Event::Persisted(index, boot, 0, bytes));
                        self.tell_core(index, Input::Persisted(sequence));
                    } else {
                        self.after(pause, Event::Persisted(index, boot, sequence, bytes));
                    }
                }
                Action::View(view) => self.take_view(index, view),
                Action::Event(event) => {
                    self.trace(index as u64);
                    if matches!(event, reticulum::cluster::core::Event::Down(_)) {
                        self.count("seen down");
                    }
                }
            }
        }
        let (now, boot, origin) = (self.now, self.nodes[index].boot, self.nodes[index].origin);
        let process = self.running(index);
        let due = process.core.next_deadline().millis().saturating_sub(origin).max(now);
        if process.tick_at.is_none_or(|at| due < at) {
            process.tick_at = Some(due);
            self.at(due, Event::Tick(index, boot));
        }
    }

    /// An input that the caller drains after.
    pub(crate) fn tell_core(&mut self, index: Index, input: Input<'_>) {
        let clock = self.nodes[index].clock(self.now);
        self.running(index).core.handle(input, clock);
    }

    fn persisted(&mut self, index: Index, boot: u64, sequence: u64, bytes: Vec<u8>) {
        if self.process(index, boot).is_none() {
            return;
        }
        if std::mem::take(&mut self.nodes[index].disk.sync_fails) {
            self.tell_core(index, Input::PersistFailed(sequence));
        } else {
            self.nodes[index].disk.layout = Some(bytes);
            self.tell_core(index, Input::Persisted(sequence));
        }
        self.drain(index);
    }

    fn take_view(&mut self, index: Index, view: Arc<View>) {
        let clock = self.nodes[index].clock(self.now);
        let node = &mut self.nodes[index];
        let process = node.process.as_mut().expect("a running process");
        let is_new = process.enrolled != Some(view.hash());
        process.view = view.clone();
        if is_new {
            process.enrolled = Some(view.hash());
            // Copies that this node no longer owns are recorded from the manifests.
            let former: Vec<_> =
                node.disk.files.keys().filter(|id| needs_record(&view, id)).copied().collect();
            let wanted =
                |id: &ObjectId| self.plant != Some(Plant::NoStrayRecord) || node.disk.strays.contains(id);
            for id in former.into_iter().filter(wanted).collect::<Vec<_>>() {
                node.disk.strays.insert(id);
                process.strays.record(id, clock);
            }
        }
        // Somebody may be back.
        process.strays.all_due(clock);
        let is_trivially_in_sync = view.holds_nothing() && !process.told_holding;
        if is_new {
            self.forget_owners(index);
        }
        if let Some(hash) = view.next_column().filter(|_| is_trivially_in_sync)
            && view.synced_to() != Some(hash)
        {
            self.tell_core(index, Input::Synced(hash));
        }
        self.step_uploads(index);
    }

    /// Sends a message over a link as it is now. A lost packet is sent again by the transport, later and later.
    pub(crate) fn send(&mut self, from: Index, to: Index, payload: Payload) {
        if self.cut.contains_key(&(from, to)) {
            return;
        }
        let mut delay = 1 + self.random.below(5);
        if self.bad.contains_key(&from) || self.bad.contains_key(&to) {
            delay += 300 + self.random.below(400);
            let mut again = 200;
            while self.random.chance(300_000) && again < 3_000 {
                delay += again;
                again *= 2;
            }
        }
        let (from_boot, to_boot) = (self.nodes[from].boot, self.nodes[to].boot);
        let envelope = Envelope { from, from_boot, to, to_boot, payload, replay: None };
        if matches!(envelope.payload, Payload::Core(_)) && self.random.chance(10_000) {
            let later = delay + self.random.below(3_000);
            self.count("core message twice");
            self.after(later, Event::Deliver(envelope.clone()));
        }
        self.after(delay, Event::Deliver(envelope));
    }

    /// Hands over a message, if both ends of its connection still live.
    pub(crate) fn deliver(&mut self, envelope: Envelope) {
        let Envelope { from, from_boot, to, to_boot, .. } = envelope;
        let lives = self.nodes[to].boot == to_boot && self.nodes[to].process.is_some();
        if !lives || (self.nodes[from].boot != from_boot && envelope.replay.is_none()) {
            return;
        }
        if self.nodes[to].is_stopped {
            self.nodes[to].inbox.push(envelope);
            return;
        }
        self.trace((from as u64) << 32 | to as u64);
        match envelope.payload {
            Payload::Core(bytes) => {
                self.tell_core(to, Input::Message(&bytes));
                self.drain(to);
            }
            Payload::Ask(number, ask) => self.serve(to, from, number, ask),
            Payload::Tell(number, tell) => match envelope.replay {
                Some(about) => self.hear_replay(to, from, about, tell),
                None => {
                    self.record(from, to, number, &tell);
                    self.answered(to, number, tell);
                }
            },
        }
    }

    /// Now and then somebody records an answer.
    fn record(&mut self, from: Index, to: Index, number: Number, tell: &Tell) {
        if self.random.chance(200_000)
            && let Some(about) = self.about(to, number)
        {
            self.recorded.insert((to, from, about), tell.clone());
        }
    }

    /// And sends it again when the same is asked, ahead of the true answer.
    pub(crate) fn replay(&mut self, index: Index, to: Index, number: Number) {
        let Some(about) = self.about(index, number) else { return };
        let Some(tell) = self.recorded.get(&(index, to, about)).cloned() else { return };
        let (from_boot, to_boot) = (self.nodes[to].boot, self.nodes[index].boot);
        let payload = Payload::Tell(number, tell);
        let envelope = Envelope { from: to, from_boot, to: index, to_boot, payload, replay: Some(about) };
        self.after(0, Event::Deliver(envelope));
    }

    pub(crate) fn forget_owners(&mut self, index: Index) {
        let mut kept = self.owner_cache.split_off(&(index, ObjectId::from_digest([0; 20])));
        let mut after = kept.split_off(&(index + 1, ObjectId::from_digest([0; 20])));
        self.owner_cache.append(&mut after);
    }

    /// Whether the node owns the id, and who does, in its view.
    pub(crate) fn owners(&mut self, index: Index, id: &ObjectId) -> (bool, Vec<NodeId>) {
        let (view, this) = (self.view(index), self.nodes[index].id);
        let entry = self.owner_cache.entry((index, *id));
        let of_view = || {
            let owners = view.owners(id);
            (owners.contains(&this), owners)
        };
        entry.or_insert_with(of_view).clone()
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

    /// All links that lead over a cut, each once.
    pub(crate) fn links_between(&self, one: &BTreeSet<Index>, both_ways: bool) -> Vec<(Index, Index)> {
        let others: Vec<_> = (0..self.nodes.len()).filter(|index| !one.contains(index)).collect();
        let pairs = one.iter().flat_map(|a| others.iter().map(move |b| (*a, *b)));
        pairs.flat_map(|(a, b)| if both_ways { vec![(a, b), (b, a)] } else { vec![(a, b)] }).collect()
    }
}
