//! Cores in a small world: every message takes 5 ms unless its link is cut, and time jumps to the next event.

mod claims;
mod copies;
mod founding;
mod operate;

use std::collections::BTreeMap;

use super::super::layout::tests::support::{id, new_node};
use super::super::layout::{Copies, StateHash};
use super::super::node::{Label, Weight};
use super::message::Message;
use super::*;

const COPIES: Copies = Copies { replication: 3, min_replication: 2 };
const DELAY_MS: u64 = 5;

struct Station {
    core: Core,
    events: Vec<(Time, ClusterEvent)>,
    /// The last layout that was made durable.
    disk: Vec<u8>,
    is_stopped: bool,
    inbox: Vec<Mail>,
    settings: ClusterSettings,
    node: NodeId,
    generation: u64,
}

/// A message on its way, with its sender.
enum Mail {
    Message(NodeId, Vec<u8>),
    JoinRefusal(JoinRefusal),
}

struct World {
    now: Time,
    stations: Vec<Station>,
    /// When, to whom, what; numbered so that equal times keep their order.
    mail: BTreeMap<(Time, u64), (usize, Mail)>,
    mail_count: u64,
    cut: BTreeSet<(usize, usize)>,
    /// Members that do not report by themselves that they are in sync.
    late: BTreeSet<usize>,
}

fn settings(number: u64, joins: bool) -> ClusterSettings {
    ClusterSettings {
        cluster: Label::parse("test").unwrap(),
        about: new_node(number, usize::try_from(number % 3).unwrap()),
        copies: COPIES,
        join: if joins { vec![new_node(0, 0).url] } else { Vec::new() },
    }
}

impl World {
    /// One node founds a cluster, and the others join it.
    fn new(count: u64) -> Self {
        let (stations, mail, cut) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let late = BTreeSet::new();
        let mut world = Self { now: Time::default(), stations, mail, mail_count: 0, cut, late };
        (0..count).for_each(|number| world.start(settings(number, number > 0), id(number), 1, None));
        world
    }

    /// One whose members have been together for a while.
    fn settled(count: u64) -> Self {
        let mut world = Self::new(count);
        world.run_until("all are active", 20_000, |world| world.is_whole());
        world.run(3_000);
        world.stations.iter_mut().for_each(|station| station.events.clear());
        world
    }

    fn start(&mut self, settings: ClusterSettings, node: NodeId, generation: u64, disk: Option<Vec<u8>>) {
        let boot = Boot {
            this: node,
            generation,
            instance: 1000 * generation + self.stations.len() as u64,
            seed: self.stations.len() as u64 + generation,
            layout: disk.as_ref().map(|bytes| Layout::decode(bytes).unwrap()),
            was_member: false,
            holds_images: false,
        };
        let core = Core::new(settings.clone(), boot, self.now);
        let disk = disk.unwrap_or_default();
        let (events, inbox) = (Vec::new(), Vec::new());
        self.stations.push(Station {
            core,
            events,
            disk,
            is_stopped: false,
            inbox,
            settings,
            node,
            generation,
        });
        self.drain(self.stations.len() - 1);
    }

    fn restart(&mut self, at: usize) {
        self.restart_with(at, Some(self.stations[at].disk.clone()));
    }

    fn restart_with(&mut self, at: usize, disk: Option<Vec<u8>>) {
        let old = &self.stations[at];
        let (settings, node, generation) = (old.settings.clone(), old.node, old.generation + 1);
        self.start(settings, node, generation, disk);
        self.mail.retain(|_, (to, _)| *to != at);
        let new = self.stations.pop().unwrap();
        self.stations[at] = new;
    }

    fn drain(&mut self, at: usize) {
        while let Some(action) = self.stations[at].core.poll() {
            match action {
                Action::Send { url, node, bytes } => {
                    for to in 0..self.stations.len() {
                        let station = &self.stations[to];
                        let is_there =
                            station.settings.about.url == url && node.is_none_or(|it| it == station.node);
                        if is_there && !self.cut.contains(&(at, to)) {
                            self.mail_count += 1;
                            let mail = Mail::Message(self.stations[at].node, bytes.clone());
                            self.mail.insert((self.now.after(DELAY_MS), self.mail_count), (to, mail));
                        }
                    }
                }
                Action::Refuse(node, refusal) => {
                    for to in 0..self.stations.len() {
                        if self.stations[to].node == node && !self.cut.contains(&(at, to)) {
                            self.mail_count += 1;
                            let due = (self.now.after(DELAY_MS), self.mail_count);
                            self.mail.insert(due, (to, Mail::JoinRefusal(refusal)));
                        }
                    }
                }
                Action::Persist { sequence, bytes } => {
                    self.stations[at].disk = bytes;
                    self.stations[at].core.handle(Input::Persisted(sequence), self.now);
                }
                Action::View(view) => {
                    // Nobody holds an image: to have the view is to be in sync.
                    if let Some(hash) = view.staged_version().filter(|_| !self.late.contains(&at)) {
                        self.stations[at].core.handle(Input::Synced(hash), self.now);
                    }
                }
                Action::Event(event) => self.stations[at].events.push((self.now, event)),
            }
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now.after(millis);
        loop {
            let stations = self.stations.iter().filter(|station| !station.is_stopped);
            let due = stations.map(|station| station.core.next_deadline()).min();
            let mail = self.mail.first_key_value().map(|((due, _), _)| *due);
            let Some(next) = due.into_iter().chain(mail).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, mail) = entry.remove();
                self.deliver(to, mail);
            }
            for at in 0..self.stations.len() {
                if !self.stations[at].is_stopped && self.stations[at].core.next_deadline() <= self.now {
                    self.stations[at].core.handle(Input::Tick, self.now);
                    self.drain(at);
                }
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, to: usize, mail: Mail) {
        if self.stations[to].is_stopped {
            self.stations[to].inbox.push(mail);
        } else {
            let input = match &mail {
                Mail::Message(from, bytes) => Input::Message(*from, bytes),
                Mail::JoinRefusal(refusal) => Input::Refused(*refusal),
            };
            self.stations[to].core.handle(input, self.now);
            self.drain(to);
        }
    }

    /// Goes on; what came in the meantime is read before or after the timers fire.
    fn resume(&mut self, at: usize) {
        self.stations[at].is_stopped = false;
        self.stations[at].core.handle(Input::Tick, self.now);
        self.drain(at);
        for mail in std::mem::take(&mut self.stations[at].inbox) {
            self.deliver(at, mail);
        }
    }

    /// Runs until `is_so`; returns the time that it took, in milliseconds.
    fn run_until(&mut self, what: &str, millis: u64, mut is_so: impl FnMut(&Self) -> bool) -> u64 {
        let from = self.now;
        while !is_so(self) {
            assert!(self.now.since(from) < millis, "not within {millis} ms: {what}");
            self.run(50);
        }
        self.now.since(from)
    }

    fn is_whole(&self) -> bool {
        let count = self.stations.len();
        self.stations.iter().all(|station| {
            let all =
                station.core.view().members().all(|(_, member)| member.alive && member.role == Role::Active);
            all && station.core.view().members().count() == count
                && station.core.view().writes() == Writes::Allowed
        })
    }

    fn sees(&self, at: usize, other: usize) -> bool {
        self.stations[at].core.view().is_alive(self.stations[other].node)
    }

    fn down_count(&self) -> usize {
        let events = self.stations.iter().flat_map(|station| &station.events);
        events.filter(|(_, event)| matches!(event, ClusterEvent::Down(_))).count()
    }

    fn isolate(&mut self, at: usize) {
        let others: Vec<_> = (0..self.stations.len()).filter(|it| *it != at).collect();
        self.cut.extend(others.iter().flat_map(|other| [(at, *other), (*other, at)]));
    }
}

#[test]
fn nodes_that_join_are_active_within_seconds_and_next_is_now_everywhere() {
    for count in [1, 2, 3, 5, 7] {
        let mut world = World::new(count);
        let took = world.run_until("all are active", 10_000, |world| world.is_whole());
        assert!(took <= 10_000, "{count}: {took}");
        world.run(2_000);
        for station in &world.stations {
            let layout = station.core.layout().unwrap();
            assert_eq!(layout.current, std::slice::from_ref(&layout.staged));
            assert_eq!(layout, world.stations[0].core.layout().unwrap());
        }
    }
}

#[test]
fn a_dead_node_is_down_within_ten_seconds() {
    for count in [3, 4, 5] {
        for round in 0..5 {
            let mut world = World::settled(count);
            world.run(round * 317);
            let dead = usize::try_from(count - 1).unwrap();
            world.isolate(dead);
            world.stations[dead].is_stopped = true;
            let took =
                world.run_until("seen down", 10_000, |world| (0..dead).all(|at| !world.sees(at, dead)));
            assert!(took >= 3_000, "{took}: a suspect needs time to object");
        }
    }
}

#[test]
fn a_quiet_cluster_calls_nobody_down() {
    let mut world = World::settled(5);
    world.run(600_000);
    assert_eq!(world.down_count(), 0);
    assert!(world.is_whole());
}

#[test]
fn a_node_that_was_stopped_for_three_seconds_was_never_down() {
    let mut world = World::settled(5);
    for turn in 0..20 {
        world.stations[2].is_stopped = true;
        world.run(3_000);
        if turn % 2 == 0 {
            // The others gave up their messages, and do not repeat what they have said often enough.
            world.stations[2].inbox.clear();
        }
        world.resume(2);
        world.run(5_000);
    }
    assert_eq!(world.down_count(), 0);
}

#[test]
fn a_node_that_was_stopped_for_long_is_down_and_back_within_five_seconds() {
    for millis in [30_000, 600_000] {
        let mut world = World::settled(5);
        world.stations[2].is_stopped = true;
        world.run(millis);
        assert!(!world.sees(0, 2));
        world.resume(2);
        world.run_until("seen back", 5_000, |world| world.is_whole());
        // Waking up, it called nobody down.
        assert!(!world.stations[2].events.iter().any(|(_, event)| matches!(event, ClusterEvent::Down(_))));
    }
}

#[test]
fn both_sides_of_a_cut_see_each_other_again_within_five_seconds() {
    let mut world = World::settled(5);
    let sides = [[0, 1, 2].as_slice(), &[3, 4]];
    for a in sides[0] {
        for b in sides[1] {
            world.cut.extend([(*a, *b), (*b, *a)]);
        }
    }
    world.run(120_000);
    assert!(!world.sees(0, 3) && !world.sees(4, 1) && world.sees(3, 4) && world.sees(0, 2));
    world.cut.clear();
    world.run_until("healed", 5_000, |world| world.is_whole());
}

#[test]
fn a_node_alone_is_seen_back_within_five_seconds_of_the_link() {
    let mut world = World::settled(3);
    world.isolate(1);
    world.run(60_000);
    assert!(!world.sees(1, 0) && !world.sees(0, 1));
    world.cut.clear();
    world.run_until("healed", 5_000, |world| world.is_whole());
}

#[test]
fn a_link_cut_in_one_direction_leaves_everybody_up_by_way_of_the_others() {
    let mut world = World::settled(5);
    world.cut.insert((1, 2));
    world.run(120_000);
    assert!(world.is_whole());
}

#[test]
fn a_restarted_cluster_knows_itself_within_ten_seconds() {
    let mut world = World::settled(5);
    let before = world.stations[0].core.layout().unwrap().hash();
    (0..5).for_each(|at| world.restart(at));
    world.run_until("whole again", 10_000, |world| world.is_whole());
    assert_eq!(world.stations[3].core.layout().unwrap().hash(), before);
}

#[test]
fn a_foreign_cluster_is_not_listened_to() {
    let mut world = World::settled(2);
    let foreign = ClusterSettings { cluster: Label::parse("other").unwrap(), ..settings(5, true) };
    world.start(foreign, id(5), 1, None);
    world.run(20_000);
    assert_eq!(world.stations[0].core.view().members().count(), 2);
    assert!(world.stations[0].events.iter().any(|(_, event)| *event == ClusterEvent::ForeignCluster));
    assert_eq!(world.stations[2].core.view().writes(), Writes::NotJoined);
}

/// That another holds its name.
fn name_taken(by: u64) -> ClusterEvent {
    ClusterEvent::JoinRefused(JoinRefusal::Taken(Taken::Name(id(by))))
}

#[test]
fn a_taken_name_and_a_removed_id_are_refused_at_joining() {
    let mut world = World::settled(2);
    let mut namesake = settings(5, true);
    namesake.about.name = new_node(1, 0).name;
    world.start(namesake, id(5), 1, None);
    world.run(5_000);
    assert!(world.stations[2].events.iter().any(|(_, event)| *event == name_taken(1)));
    world.stations.truncate(2);
    let now = world.now;
    world.stations[0].core.edit(&Edit::Role(id(1), Role::Removed), now).unwrap();
    world.drain(0);
    world.run(5_000);
    assert_eq!(world.stations[1].core.view().writes(), Writes::Removed);
    assert!(world.stations[1].events.iter().any(|(_, event)| *event == ClusterEvent::Removed));
}

/// Beside its own slots it may have held copies for owners that still lack theirs.
#[test]
fn an_emptied_store_is_not_trusted_before_everybody_has_come_in_sync_since() {
    for forgets_layout in [false, true] {
        let mut world = World::settled(3);
        let now = world.now;
        world.stations[1].core.handle(Input::HoldsImages(true), now);
        world.drain(1);
        world.run(2_000);
        assert!(world.stations[1].core.view().trusted_to().is_some());
        world.late.insert(0);
        let disk = (!forgets_layout).then(|| world.stations[1].disk.clone());
        world.restart_with(1, disk);
        assert_eq!(world.stations[1].core.view().trusted_to(), None);
        world.run(10_000);
        let view = world.stations[1].core.view();
        assert_eq!(view.synced_to(), view.staged_version(), "it has what it should");
        assert_eq!(view.trusted_to(), None);
        assert!(!view.is_settled());
        let (now, next) = (world.now, view.staged_version().unwrap());
        world.stations[0].core.handle(Input::Synced(next), now);
        world.drain(0);
        world.run(5_000);
        let view = world.stations[1].core.view();
        assert!(view.is_settled());
        assert_eq!(view.trusted_to(), Some(next));
        world.restart(1);
        assert_eq!(world.stations[1].core.view().trusted_to(), Some(next));
    }
}

#[test]
fn copies_under_a_next_that_was_only_passed_through_do_not_count() {
    let mut world = World::settled(3);
    world.late.extend([0, 1, 2]);
    let mut hashes = vec![world.stations[0].core.view().hash()];
    for weight in [200, 300] {
        let now = world.now;
        let edit = Edit::Weight(id(1), Weight::new(weight).unwrap());
        assert_eq!(world.stations[0].core.edit(&edit, now), Ok(true));
        world.drain(0);
        world.run(5_000);
        hashes.push(world.stations[0].core.view().hash());
    }
    for station in &world.stations {
        let known: Vec<_> = hashes.iter().map(|hash| station.core.view().knows(*hash)).collect();
        assert_eq!(known, [true, false, true]);
    }
}

#[test]
fn nothing_is_shown_or_said_before_it_is_durable() {
    let now = Time::default();
    let boot = Boot {
        this: id(0),
        generation: 1,
        instance: 1,
        seed: 1,
        layout: None,
        was_member: false,
        holds_images: false,
    };
    let mut core = Core::new(settings(0, false), boot, now);
    let mut sequence = 0;
    while let Some(action) = core.poll() {
        match action {
            Action::Persist { sequence: number, .. } => sequence = number,
            Action::View(view) => assert_eq!(view.writes(), Writes::NotJoined),
            _ => {}
        }
    }
    assert_eq!(core.layout(), None);
    core.handle(Input::PersistFailed(sequence), now);
    assert!(core.poll().is_none());
    assert_eq!(core.next_deadline(), now.after(1_000));
    core.handle(Input::Tick, now.after(1_000));
    let again = std::iter::from_fn(|| core.poll()).find_map(|action| match action {
        Action::Persist { sequence, .. } => Some(sequence),
        _ => None,
    });
    core.handle(Input::Persisted(again.unwrap()), now.after(1_001));
    assert_eq!(core.view().writes(), Writes::Allowed);
}

#[test]
fn any_bytes_are_counted_and_change_nothing() {
    let mut world = World::settled(2);
    let before = world.stations[0].core.layout().unwrap().clone();
    let mut random = Random::from_seed(3);
    let mut real = Message {
        cluster: Label::parse("test").unwrap(),
        from: world.stations[1].core.membership.this().clone(),
        state: StateHash([0; 16]),
        body: Body::Layout(before.encode()),
    }
    .encode();
    for round in 0..2_000 {
        let length = usize::try_from(random.below(200)).unwrap();
        let bytes: Vec<u8> = if round % 2 == 0 {
            (0..length).map(|_| random.next() as u8).collect()
        } else {
            real.truncate(real.len().saturating_sub(usize::from(round > 1_000)));
            real.clone()
        };
        let now = world.now;
        world.stations[0].core.handle(Input::Message(id(1), &bytes), now);
        world.drain(0);
    }
    assert_eq!(*world.stations[0].core.layout().unwrap(), before);
    assert!(world.stations[0].events.iter().any(|(_, event)| *event == ClusterEvent::Malformed));
}
