//! The beginning of a world: its machines, the requests of its clients, and its faults.

use reticulum::cluster::core::ClusterSettings;
use reticulum::cluster::layout::{Copies, NewNode};
use reticulum::cluster::node::{Label, NodeId, NodeUrl, Weight};
use reticulum::cluster::protocol::repair::queue::RepairQueue;

use crate::event::{Event, Index};
use crate::faults::{self, FAULTS_MS, Kind, LONG_FAULTS_MS};
use crate::injected_bug::InjectedBug;
use crate::node::Node;
use crate::world::World;

/// Uploads and reads of a run.
const UPLOADS: u64 = 260;
const READS: u64 = 1_300;

/// Deletions, bans and lifted bans of a run.
const ERASURES: u64 = 50;

/// One world in this many is long enough for an automatic mark-out.
const LONG_EVERY: u64 = 25;

/// The kind of world, beside its seed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// The injected bug.
    pub(crate) bug: Option<InjectedBug>,
    /// Faults of this kind only.
    pub(crate) only: Option<Kind>,
    /// Traces all events that concern no image, or an image whose id begins with this.
    pub(crate) traced: Option<String>,
}

impl World {
    /// The world of a seed, with faults of all kinds or of one.
    pub(crate) fn new(seed: u64, choice: &Choice) -> Self {
        if choice.only == Some(Kind::Founding) {
            return Self::of_fresh_nodes(seed, choice);
        }
        let is_long = match choice.only {
            None => seed.is_multiple_of(LONG_EVERY),
            Some(kind) => kind == Kind::Away,
        };
        let faults_ms = if is_long { LONG_FAULTS_MS } else { FAULTS_MS };
        let mut world = Self::empty(seed, choice.bug, faults_ms);
        world.traced.clone_from(&choice.traced);
        let count = 3 + usize::try_from(world.random.below(5)).expect("small");
        let zones = 1 + world.random.below(3);
        world.replication = 2 + u8::try_from(world.random.below(2)).expect("a bit");
        (0..count).for_each(|_| world.add_node(zones));
        for (at, fault) in faults::draw(&mut world.random, count, faults_ms, choice.only) {
            world.at(at, Event::Fault(fault));
        }
        let span = faults_ms - 20_000;
        (0..UPLOADS).for_each(|turn| world.at(12_000 + turn * span / UPLOADS, Event::Upload));
        (0..ERASURES).for_each(|turn| world.at(14_000 + turn * span / ERASURES, Event::Erase));
        (0..READS).for_each(|turn| world.at(13_000 + turn * span / READS, Event::Read));
        world
    }

    /// Starts a machine that was not there before.
    pub(crate) fn add_node(&mut self, zones: u64) {
        // By now the first nodes may be gone for good.
        let join = self.standing();
        let index = self.add_machine(zones, &join);
        self.start(index);
    }

    /// Adds a machine without a process, which is to join these nodes.
    pub(crate) fn add_machine(&mut self, zones: u64, join: &[Index]) -> Index {
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
        let settings = ClusterSettings {
            cluster: label("sim".into()),
            about,
            copies: Copies { replication: self.replication, min_replication: 2 },
            join: join.iter().copied().map(url).collect(),
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.next().to_be_bytes());
        self.nodes.push(Node::new(NodeId::from_bytes(id), settings));
        index
    }

    /// Starts the process of a machine.
    pub(crate) fn start(&mut self, index: Index) {
        let seed = self.random.next();
        self.misname(index);
        // A node that lost its store notices that at its start, unless its injected bug prevents the check.
        let holds =
            !self.nodes[index].disk.files().is_empty() || self.bug == Some(InjectedBug::UnsyncedNoCounts);
        let bug = self.bug;
        self.nodes[index].start(self.now, seed, holds, bug);
        let boot = self.nodes[index].boot;
        // Where fresh nodes found a cluster there are no images.
        if self.founding.is_none() {
            self.after(500, Event::LookAround(index, boot));
            self.after(RepairQueue::LOOK_EVERY_MS, Event::Repairs(index, boot));
            self.after(60_000, Event::Scrub(index, boot));
        }
        self.drain(index);
    }
}
