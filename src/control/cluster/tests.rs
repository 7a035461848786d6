//! Several nodes in memory: one clock, a network that loses nothing, disks that may be stuck.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::event_loop::{Effects, EventLoop};
use crate::cluster::core::{Boot, ClusterEvent, ClusterSettings, Input, JoinRefusal};
use crate::cluster::layout::{Copies, Layout, NewNode};
use crate::cluster::node::{Label, NodeId, NodeUrl, Weight};
use crate::cluster::time::Time;
use crate::cluster::view::{View, Writes};

pub(super) fn about(number: u8) -> NewNode {
    NewNode {
        name: Label::parse(&format!("n{number}")).unwrap(),
        url: url(number),
        zone: Label::parse("z").unwrap(),
        weight: Weight::new(100).unwrap(),
        writable: true,
    }
}

fn url(number: u8) -> NodeUrl {
    NodeUrl::parse(&format!("http://n{number}:1")).unwrap()
}

/// The effects of a node, visible to the test.
#[derive(Default)]
struct Seen {
    gossip: VecDeque<(NodeUrl, Vec<u8>)>,
    keeping: Option<(u64, Vec<u8>)>,
    kept: Option<Vec<u8>>,
    events: Vec<ClusterEvent>,
    view: Option<Arc<View>>,
    refused: Vec<(NodeId, JoinRefusal)>,
    holds_images: bool,
    shards_are_late: bool,
}

struct Memory(Rc<RefCell<Seen>>);

impl Effects for Memory {
    fn send(&mut self, url: &NodeUrl, _: Option<NodeId>, bytes: Vec<u8>) {
        self.0.borrow_mut().gossip.push_back((url.clone(), bytes));
    }
    fn persist(&mut self, sequence: u64, bytes: Vec<u8>) {
        let before = self.0.borrow_mut().keeping.replace((sequence, bytes));
        assert!(before.is_none(), "one layout at a time");
    }
    fn note_refusal(&mut self, node: NodeId, refusal: JoinRefusal, _: Time) {
        self.0.borrow_mut().refused.push((node, refusal));
    }
    fn publish_view(&mut self, view: &Arc<View>) {
        self.0.borrow_mut().view = Some(view.clone());
    }
    fn log_event(&mut self, event: ClusterEvent, _: &View, _: Time) {
        self.0.borrow_mut().events.push(event);
    }
    fn holds_images(&self) -> bool {
        self.0.borrow().holds_images
    }
    fn is_view_published(&self) -> bool {
        !self.0.borrow().shards_are_late
    }
}

struct Resident {
    event_loop: EventLoop<Memory>,
    seen: Rc<RefCell<Seen>>,
    settings: ClusterSettings,
    id: NodeId,
    /// Its disk is as slow as this: nothing is durable.
    is_stuck: bool,
    starts: u64,
}

/// Some nodes, one clock, and a network that loses nothing.
struct Town {
    now: u64,
    residents: Vec<Resident>,
}

impl Town {
    /// So many nodes, of which all but the first join it, and which hold images or not.
    fn new(count: u8, holds_images: &[u8]) -> Self {
        let mut town = Self { now: 5, residents: Vec::new() };
        (0..count).for_each(|number| town.add(number, holds_images.contains(&number)));
        town
    }

    fn add(&mut self, number: u8, holds_images: bool) {
        let settings = ClusterSettings {
            cluster: Label::parse("town").unwrap(),
            about: about(number),
            copies: Copies { replication: 3, min_replication: 2 },
            join: (number > 0).then(|| url(0)).into_iter().collect(),
        };
        let seen = Rc::new(RefCell::new(Seen { holds_images, ..Seen::default() }));
        let id = NodeId::from_bytes([number + 1; 16]);
        let event_loop = start(&settings, id, 1, &seen, Time::from_millis(self.now));
        self.residents.push(Resident { event_loop, seen, settings, id, is_stuck: false, starts: 1 });
    }

    /// The process ends without a word and starts again.
    fn restart(&mut self, number: usize) {
        let resident = &mut self.residents[number];
        resident.starts += 1;
        resident.seen.borrow_mut().gossip.clear();
        resident.seen.borrow_mut().keeping = None;
        let now = Time::from_millis(self.now);
        resident.event_loop = start(&resident.settings, resident.id, resident.starts, &resident.seen, now);
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            self.now += 5;
            let now = Time::from_millis(self.now);
            for resident in &mut self.residents {
                let kept = resident.seen.borrow_mut().keeping.take_if(|_| !resident.is_stuck);
                if let Some((sequence, bytes)) = kept {
                    resident.seen.borrow_mut().kept = Some(bytes);
                    resident.event_loop.handle(Input::Persisted(sequence), now);
                }
                if resident.event_loop.next_deadline() <= now {
                    resident.event_loop.handle(Input::Tick, now);
                }
            }
            for from in 0..self.residents.len() {
                let gossip = std::mem::take(&mut self.residents[from].seen.borrow_mut().gossip);
                let id = self.residents[from].id;
                for (url, bytes) in gossip {
                    let to = self.residents.iter_mut().find(|other| other.settings.about.url == url);
                    to.into_iter().for_each(|to| to.event_loop.handle(Input::Message(id, &bytes), now));
                }
                let refused = std::mem::take(&mut self.residents[from].seen.borrow_mut().refused);
                for (node, refusal) in refused {
                    let to = self.residents.iter_mut().find(|other| other.id == node);
                    to.into_iter().for_each(|to| to.event_loop.handle(Input::Refused(refusal), now));
                }
            }
        }
    }

    fn view(&self, number: usize) -> Arc<View> {
        self.residents[number].seen.borrow().view.clone().unwrap()
    }

    /// Whether one layout version decides, the number of members, and the number of members that answer.
    fn state(&self, number: usize) -> (bool, usize, usize) {
        let view = self.view(number);
        let alive = view.members().filter(|(_, member)| member.alive).count();
        (view.is_settled(), view.members().count(), alive)
    }
}

fn start(
    settings: &ClusterSettings,
    id: NodeId,
    generation: u64,
    seen: &Rc<RefCell<Seen>>,
    now: Time,
) -> EventLoop<Memory> {
    let boot = Boot {
        this: id,
        generation,
        instance: generation + u64::from(id.bytes()[0]) * 1_000,
        seed: u64::from(id.bytes()[0]),
        layout: seen.borrow().kept.as_ref().map(|bytes| Layout::decode(bytes).unwrap()),
        was_member: false,
        holds_images: seen.borrow().holds_images,
    };
    EventLoop::new(settings.clone(), boot, Memory(Rc::clone(seen)), now)
}

#[test]
fn a_node_alone_is_a_member_as_soon_as_its_layout_is_durable() {
    let mut town = Town::new(1, &[]);
    assert_eq!(town.view(0).writes(), Writes::NotJoined);
    town.run(5);
    assert_eq!(town.view(0).writes(), Writes::Allowed);
    assert_eq!(town.state(0), (true, 1, 1));
}

#[test]
fn a_node_whose_disk_keeps_nothing_never_becomes_a_member() {
    let mut town = Town::new(2, &[]);
    town.residents[1].is_stuck = true;
    town.run(30_000);
    assert_eq!(town.view(1).writes(), Writes::NotJoined);
    town.residents[1].is_stuck = false;
    town.run(5_000);
    assert_eq!(town.view(1).writes(), Writes::Allowed);
}

#[test]
fn nodes_that_join_at_once_are_one_cluster_whose_layout_is_settled() {
    let mut town = Town::new(5, &[]);
    town.run(10_000);
    for number in 0..5 {
        assert_eq!(town.state(number), (true, 5, 5), "node {number}");
        let events = town.residents[number].seen.borrow().events.clone();
        assert_eq!(events.contains(&ClusterEvent::Joined), number > 0, "node {number}: {events:?}");
    }
}

#[test]
fn while_a_member_holds_an_image_a_newcomer_settles_nothing() {
    for holder in [0, 1] {
        let mut town = Town::new(2, &[holder]);
        town.run(10_000);
        for number in 0..2 {
            assert_eq!(town.state(number), (false, 2, 2), "{holder} holds images, node {number}");
        }
    }
}

#[test]
fn nothing_is_settled_before_all_shards_work_by_the_new_view() {
    let mut town = Town::new(1, &[]);
    town.run(5);
    town.residents[0].seen.borrow_mut().shards_are_late = true;
    town.add(1, false);
    town.run(10_000);
    assert_eq!(town.state(0), (false, 2, 2));
    town.residents[0].seen.borrow_mut().shards_are_late = false;
    let now = Time::from_millis(town.now);
    town.residents[0].event_loop.run_effects(now);
    town.run(2_000);
    assert_eq!((town.state(0), town.state(1)), ((true, 2, 2), (true, 2, 2)));
}

#[test]
fn members_are_remembered_over_a_restart_of_all() {
    let mut town = Town::new(3, &[]);
    town.run(10_000);
    (0..3).for_each(|number| town.restart(number));
    // At once: nothing has to be asked of anybody.
    for number in 0..3 {
        assert_eq!(town.state(number), (true, 3, 1), "node {number}");
        assert_eq!(town.view(number).writes(), Writes::Allowed);
    }
    town.run(5_000);
    (0..3).for_each(|number| assert_eq!(town.state(number), (true, 3, 3), "node {number}"));
}

#[test]
fn a_name_that_is_taken_is_refused_and_told() {
    let mut town = Town::new(2, &[]);
    town.run(5_000);
    town.add(2, false);
    town.residents[2].settings.about.name = about(1).name;
    town.restart(2);
    town.run(5_000);
    let events = town.residents[2].seen.borrow().events.clone();
    assert!(events.iter().any(|event| matches!(event, ClusterEvent::JoinRefused(_))), "{events:?}");
    assert_eq!(town.view(2).writes(), Writes::NotJoined);
    assert_eq!(town.state(0), (true, 2, 2));
}
