//! Measures how long a cluster of any size takes to make the copies of a lost node again, and what each node moves for
//! that.
//!
//! Placement, schedule of comparisons, order and number of repairs and the choice of the source are those that ship. The
//! machines are a model: each has one wire in and one out, and syncs as many copies at once as it has turns. A comparison
//! takes its round trips, and finds at its end what its node lacks and the other one holds. Nobody asks anything else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reticulum::cluster::layout::{Edit, Layout, Role};
use reticulum::cluster::node::NodeId;
use reticulum::cluster::protocol::compare::CompareConclusion;
use reticulum::cluster::protocol::compare::schedule::CompareSchedule;
use reticulum::cluster::protocol::deviation::Shipped;
use reticulum::cluster::protocol::read::order::nearest_order;
use reticulum::cluster::protocol::repair::budget::RepairBudget;
use reticulum::cluster::protocol::repair::queue::RepairQueue;
use reticulum::cluster::random::Random;
use reticulum::cluster::time::Time;
use reticulum::cluster::view::{LocalState, View, Writes};
use reticulum::object::ObjectId;

use crate::detection::{id, whole_layout};

/// Copies that each node holds, about.
const COPIES_EACH: usize = 1_000;

/// Bytes of each.
const IMAGE_BYTES: u64 = 1_000_000;

/// Bytes that a wire carries in a millisecond: a gigabit a second.
const WIRE_BYTES_PER_MS: u64 = 125_000;

/// Microseconds of a round trip, and of the two syncs of a copy.
const ROUND_TRIP_US: u64 = 1_000;
const SYNC_US: u64 = 5_000;

/// Round trips of a comparison that finds nothing, and of one that descends to slots and lists them.
const TRIPS_EQUAL: u64 = 2;
const TRIPS_DIFFERENT: u64 = 7;

/// No cluster takes that long.
const END_US: u64 = 3_600_000_000;

/// The results of a measurement.
pub(crate) struct Rebuilt {
    /// Copies that were lost.
    pub(crate) lost: usize,
    /// Milliseconds from the removal of the node until the last of them was made again.
    pub(crate) took_ms: u64,
    /// The least time in which the busiest wire could carry its part.
    pub(crate) bound_ms: u64,
    /// Bytes that a node received, on average and at most; and that one sent at most.
    pub(crate) received: (u64, u64),
    pub(crate) sent_max: u64,
}

#[derive(Clone, Copy)]
enum RebuildEvent {
    /// A look at what is due: comparisons, repairs, turns.
    Look,
    /// A comparison with this node ends.
    Compared(usize),
    /// A copy is durable.
    Stored(ObjectId),
}

struct Machine {
    view: View,
    schedule: CompareSchedule<Shipped>,
    repairs: RepairQueue,
    budget: RepairBudget,
    /// Repairs that wait for a turn.
    waiting: VecDeque<ObjectId>,
    under_way: BTreeSet<ObjectId>,
    /// The images that it lacks, and the nodes that hold them.
    lacking: BTreeMap<ObjectId, Vec<NodeId>>,
    /// When its wires are free, in microseconds.
    in_free: u64,
    out_free: u64,
    received: u64,
    sent: u64,
}

struct Rebuild {
    now_us: u64,
    machines: Vec<Machine>,
    /// By time and order.
    events: BTreeMap<(u64, u64), (usize, RebuildEvent)>,
    event_count: u64,
    left: usize,
}

/// Removes the last of `count` nodes, and rebuilds its copies on the others.
pub(crate) fn measure(count: usize, seed: u64) -> Rebuilt {
    let mut rebuild = Rebuild::new(count, seed);
    let lost = rebuild.left;
    (0..rebuild.machines.len()).for_each(|at| rebuild.at(0, at, RebuildEvent::Look));
    let bound_ms = rebuild.bound_ms();
    while rebuild.left > 0 && rebuild.now_us < END_US {
        let Some(entry) = rebuild.events.first_entry() else { break };
        let ((time, _), (at, event)) = entry.remove_entry();
        rebuild.now_us = time;
        rebuild.happen(at, event);
    }
    let received = || rebuild.machines.iter().map(|machine| machine.received);
    Rebuilt {
        lost,
        took_ms: rebuild.now_us / 1_000,
        bound_ms,
        received: (received().sum::<u64>() / rebuild.machines.len() as u64, received().max().unwrap_or(0)),
        sent_max: rebuild.machines.iter().map(|machine| machine.sent).max().unwrap_or(0),
    }
}

impl Rebuild {
    fn new(count: usize, seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        let mut layout = whole_layout(count);
        let lost = id(count - 1);
        let before = machine_view(&layout, 0, (0..count).map(id).collect());
        layout.edit(id(0), &Edit::Role(lost, Role::Removed)).expect("a member");
        let alive: BTreeSet<_> = (0..count - 1).map(id).collect();
        let machine = |at: usize| Machine {
            view: machine_view(&layout, at, alive.clone()),
            schedule: CompareSchedule::deviating(Shipped),
            repairs: RepairQueue::default(),
            budget: RepairBudget::default(),
            waiting: VecDeque::new(),
            under_way: BTreeSet::new(),
            lacking: BTreeMap::new(),
            in_free: 0,
            out_free: 0,
            received: 0,
            sent: 0,
        };
        let mut machines: Vec<_> = (0..count - 1).map(machine).collect();
        let mut left = 0;
        for _ in 0..COPIES_EACH * count / 3 {
            let mut digest = [0; 20];
            digest
                .chunks_mut(8)
                .for_each(|part| part.copy_from_slice(&random.next().to_be_bytes()[..part.len()]));
            let image = ObjectId::from_digest(digest);
            let staged = |view: &View| view.owners_by_version(&image).pop().expect("a staged version");
            let (old, new) = (staged(&before), staged(&machines[0].view));
            let holders: Vec<_> = old.iter().copied().filter(|owner| *owner != lost).collect();
            for owner in new.iter().filter(|owner| !old.contains(owner)) {
                let at = index(*owner);
                machines[at].lacking.insert(image, holders.clone());
                left += 1;
            }
        }
        Self { now_us: 0, machines, events: BTreeMap::new(), event_count: 0, left }
    }

    fn at(&mut self, time_us: u64, machine: usize, event: RebuildEvent) {
        self.event_count += 1;
        self.events.insert((time_us, self.event_count), (machine, event));
    }

    fn now(&self) -> Time {
        Time::from_millis(self.now_us / 1_000)
    }

    fn happen(&mut self, at: usize, event: RebuildEvent) {
        match event {
            RebuildEvent::Look => self.look(at),
            RebuildEvent::Compared(with) => self.compared(at, with),
            RebuildEvent::Stored(image) => {
                let machine = &mut self.machines[at];
                machine.lacking.remove(&image);
                machine.under_way.remove(&image);
                machine.repairs.settle(&image);
                machine.budget.give_back();
                self.left -= 1;
                self.give_turns(at);
            }
        }
    }

    /// The work that the loops of a node do a few times a second.
    fn look(&mut self, at: usize) {
        let now = self.now();
        let machine = &mut self.machines[at];
        for node in machine.schedule.take_due(now, &machine.view) {
            let is_equal = !machine.lacking.values().any(|holders| holders.contains(&node));
            let trips = if is_equal { TRIPS_EQUAL } else { TRIPS_DIFFERENT };
            self.event_count += 1;
            let key = (self.now_us + trips * ROUND_TRIP_US, self.event_count);
            self.events.insert(key, (at, RebuildEvent::Compared(index(node))));
        }
        if machine.budget.taken() == 0 {
            machine.budget.be_idle();
        } else if machine.budget.is_due(now) {
            machine.budget.decide(now, false);
        }
        let room = RepairQueue::UNDER_WAY_MAX - machine.under_way.len();
        for image in machine.repairs.take_due(now, room) {
            if machine.lacking.contains_key(&image) && machine.under_way.insert(image) {
                machine.waiting.push_back(image);
            }
        }
        self.give_turns(at);
        let every = CompareSchedule::<Shipped>::LOOK_EVERY_MS;
        self.at(self.now_us + every * 1_000, at, RebuildEvent::Look);
    }

    fn compared(&mut self, at: usize, with: usize) {
        let (now, node) = (self.now(), id(with));
        let machine = &mut self.machines[at];
        let is_of = |(_, holders): &(&ObjectId, &Vec<NodeId>)| holders.contains(&node);
        let found: Vec<_> = machine.lacking.iter().filter(is_of).map(|(image, _)| *image).collect();
        let conclusion = match machine.view.staged_version() {
            Some(version) if found.is_empty() => CompareConclusion::InSync(version),
            _ => CompareConclusion::Progress,
        };
        for image in found {
            machine.repairs.note_lacking(image, machine.view.likely_holders(&image), now);
        }
        machine.schedule.end(node, conclusion, now, &machine.view);
    }

    /// Repairs that wait get the turns that there are: each fetches its copy, and syncs it.
    fn give_turns(&mut self, at: usize) {
        while !self.machines[at].waiting.is_empty() && self.machines[at].budget.may_take() {
            let machine = &mut self.machines[at];
            let Some(image) = machine.waiting.pop_front() else { return };
            machine.budget.take();
            let order = nearest_order(&machine.view, &image).owners;
            let holders = &machine.lacking[&image];
            let from = order.into_iter().find(|node| holders.contains(node)).map_or(at, index);
            let begin = (self.now_us + ROUND_TRIP_US)
                .max(self.machines[at].in_free)
                .max(self.machines[from].out_free);
            let end = begin + IMAGE_BYTES * 1_000 / WIRE_BYTES_PER_MS;
            (self.machines[at].in_free, self.machines[from].out_free) = (end, end);
            self.machines[at].received += IMAGE_BYTES;
            self.machines[from].sent += IMAGE_BYTES;
            self.at(end + SYNC_US, at, RebuildEvent::Stored(image));
        }
    }

    /// The time that the busiest wire in needs; wires out are free to choose.
    fn bound_ms(&self) -> u64 {
        let most = self.machines.iter().map(|machine| machine.lacking.len() as u64).max().unwrap_or(0);
        let all = self.left as u64 * IMAGE_BYTES / self.machines.len() as u64;
        (most * IMAGE_BYTES).max(all) / WIRE_BYTES_PER_MS
    }
}

fn machine_view(layout: &Layout, at: usize, alive: BTreeSet<NodeId>) -> View {
    let (this, since, known) = (id(at), Time::default(), BTreeSet::new());
    View::new(layout, LocalState { this, since, alive, known, writes: Writes::Allowed, store: 0 })
}

fn index(node: NodeId) -> usize {
    let mut number = [0; 8];
    number.copy_from_slice(&node.bytes()[..8]);
    usize::try_from(u64::from_be_bytes(number)).expect("small") - 1
}
