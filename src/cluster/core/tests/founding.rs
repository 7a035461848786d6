//! Fresh nodes that name each other found one cluster together, and nobody founds where one of them is missing.

use super::super::super::layout::NewNode;
use super::super::super::layout::tests::support::{id, new_node};
use super::super::founding::Awaited;
use super::super::message::{Body, Fresh, FreshAck};
use super::*;

/// Settings of a node that names these.
fn naming(number: u64, others: &[u64]) -> ClusterSettings {
    ClusterSettings {
        join: others.iter().map(|other| new_node(*other, 0).url).collect(),
        ..settings(number, false)
    }
}

impl World {
    fn empty() -> Self {
        Self::new(0)
    }

    /// Starts a fresh node that names these.
    fn start_fresh(&mut self, number: u64, others: &[u64]) {
        self.start(naming(number, others), id(number), 1, None);
    }

    /// The ids of the founders of all layouts that are durable.
    fn founders(&self) -> BTreeSet<NodeId> {
        let disks = self.stations.iter().filter(|station| !station.disk.is_empty());
        disks.map(|station| Layout::decode(&station.disk).unwrap().founder()).collect()
    }

    fn awaited(&self, at: usize) -> Vec<Awaited> {
        self.stations[at].core.awaited().map(|(_, state)| state).collect()
    }

    /// The disk of a node is wiped, and it starts under another id.
    fn wipe(&mut self, at: usize, number: u64) {
        let settings = self.stations[at].settings.clone();
        self.start(settings, id(number), 1, None);
        self.mail.retain(|_, (to, _)| *to != at);
        self.stations.swap_remove(at);
    }
}

#[test]
fn fresh_nodes_that_name_each_other_are_one_cluster_within_seconds() {
    for count in [2, 3, 5] {
        let all: Vec<_> = (0..count).collect();
        let mut world = World::empty();
        for number in all.iter().rev() {
            // A list may have its own node or not.
            let others: Vec<_> = all.iter().copied().filter(|it| it != number || number % 2 == 0).collect();
            world.start_fresh(*number, &others);
            world.run(700);
        }
        let took = world.run_until("all are active", 15_000, World::is_whole);
        assert!(took <= 10_000, "{count}: {took}");
        assert_eq!(world.founders(), BTreeSet::from([id(0)]));
        for (at, station) in world.stations.iter().enumerate() {
            let has = |event| station.events.iter().any(|(_, heard)| *heard == event);
            let is_founder = station.node == id(0);
            assert_eq!((has(ClusterEvent::Founded), has(ClusterEvent::Joined)), (is_founder, !is_founder));
            assert!(world.awaited(at).is_empty());
        }
    }
}

#[test]
fn while_one_is_missing_the_others_wait_and_know_for_whom() {
    let mut world = World::empty();
    world.start_fresh(0, &[1, 2]);
    world.start_fresh(1, &[0, 2]);
    world.run(120_000);
    assert!(world.founders().is_empty());
    assert_eq!(world.awaited(0), [Awaited::Ready, Awaited::Silent]);
    assert_eq!(world.awaited(1), [Awaited::Ready, Awaited::Silent]);
    world.start_fresh(2, &[0, 1]);
    world.run_until("all are active", 15_000, World::is_whole);
    assert_eq!(world.founders().len(), 1);
}

#[test]
fn where_the_lists_differ_nobody_founds_and_it_is_known() {
    let mut world = World::empty();
    world.start_fresh(0, &[1, 2]);
    world.start_fresh(1, &[0]);
    world.start_fresh(2, &[0, 1]);
    world.run(60_000);
    assert!(world.founders().is_empty());
    assert_eq!(world.awaited(0), [Awaited::OtherList, Awaited::Ready]);
    // The second does not name the third, so it tells it nothing.
    assert_eq!(world.awaited(2), [Awaited::Ready, Awaited::Silent]);
}

#[test]
fn an_alias_is_awaited_forever() {
    let mut world = World::empty();
    // The URL of number 7 leads to number 1, which knows nothing of that.
    world.start_fresh(0, &[1, 7]);
    world.start_fresh(1, &[0, 7]);
    world.run(60_000);
    assert!(world.founders().is_empty());
    assert_eq!(world.awaited(0), [Awaited::Ready, Awaited::Silent]);
}

#[test]
fn a_node_with_images_or_without_its_layout_is_not_fresh() {
    for (was_member, holds_images) in [(true, false), (false, true)] {
        let mut world = World::empty();
        world.start_fresh(0, &[1]);
        world.start_fresh(1, &[0]);
        let boot =
            Boot { this: id(1), generation: 2, instance: 9, seed: 9, layout: None, was_member, holds_images };
        let now = world.now;
        world.mail.clear();
        world.stations[1].core = Core::new(naming(1, &[0]), boot, now);
        world.drain(1);
        world.run(60_000);
        assert!(world.founders().is_empty(), "{was_member} {holds_images}");
        assert_eq!(world.awaited(0), [Awaited::Silent]);
    }
}

#[test]
fn where_one_is_a_member_the_others_join_it() {
    let mut world = World::empty();
    world.start(settings(2, false), id(2), 1, None);
    world.start_fresh(0, &[1, 2]);
    world.start_fresh(1, &[0, 2]);
    world.run_until("all are active", 15_000, World::is_whole);
    assert_eq!(world.founders(), BTreeSet::from([id(2)]));
}

#[test]
fn two_that_have_one_name_found_nothing_and_one_of_them_is_told() {
    let mut world = World::empty();
    world.start_fresh(0, &[1]);
    let mut namesake = naming(1, &[0]);
    namesake.about.name = new_node(0, 0).name;
    world.start(namesake, id(1), 1, None);
    world.run(30_000);
    assert!(world.founders().is_empty());
    let refused = ClusterEvent::JoinRefused(JoinRefusal::Taken(Taken::Name(id(0))));
    assert!(world.stations[1].events.iter().any(|(_, event)| *event == refused));
}

/// The founder ends when its layout is durable and nobody has heard of it.
#[test]
fn a_founder_that_ends_before_it_is_heard_is_waited_for() {
    let mut world = World::empty();
    world.start_fresh(0, &[1, 2]);
    world.start_fresh(1, &[0, 2]);
    world.start_fresh(2, &[0, 1]);
    while world.stations[0].disk.is_empty() {
        world.run(1);
    }
    world.isolate(0);
    world.stations[0].is_stopped = true;
    world.mail.clear();
    let layouts = |world: &World| world.stations.iter().filter(|it| !it.disk.is_empty()).count();
    world.run(120_000);
    assert_eq!(layouts(&world), 1);
    world.restart(0);
    world.cut.clear();
    world.run_until("all are active", 20_000, World::is_whole);
    assert_eq!(world.founders(), BTreeSet::from([id(0)]));
}

#[test]
fn after_the_founders_disk_was_wiped_unheard_the_same_set_founds_again() {
    let mut world = World::empty();
    world.start_fresh(0, &[1, 2]);
    world.start_fresh(1, &[0, 2]);
    world.start_fresh(2, &[0, 1]);
    while world.stations[0].disk.is_empty() {
        world.run(1);
    }
    world.mail.clear();
    world.wipe(0, 8);
    world.run_until("all are active", 60_000, World::is_whole);
    assert_eq!(world.founders(), BTreeSet::from([id(1)]));
}

/// Of a node's actions: whether it founds, and the number of the round that it begins with its last message.
fn founds(core: &mut Core, rounds: &mut u64) -> bool {
    let mut founds = false;
    while let Some(action) = core.poll() {
        match action {
            Action::Persist { .. } => founds = true,
            Action::Send { bytes, .. } => {
                if let Body::Fresh(fresh) = Message::decode(&bytes).unwrap().body {
                    *rounds = fresh.round;
                }
            }
            _ => {}
        }
    }
    founds
}

#[test]
fn a_founder_needs_the_same_promises_of_the_same_processes_in_two_rounds() {
    let now = Time::default();
    let (mut core, set) = fresh_core(&[7, 8], now);
    let mut round = 1;
    // The instance of node 7, and the numbers of the promises of nodes 7 and 8.
    let turns = [
        (70, [0, 0], false),
        (70, [1, 1], false),
        (71, [1, 1], false),
        (71, [2, 1], false),
        (71, [2, 0], false),
        (71, [2, 1], true),
    ];
    for (turn, (instance, promises, founds_now)) in turns.into_iter().enumerate() {
        let asked = round;
        for (from, promise) in [peer(7, 1, instance), peer(8, 1, 80)].into_iter().zip(promises) {
            let about = NewNode { url: from.url.clone(), ..new_node(from.instance, 0) };
            for round in [asked - 1, asked] {
                let ack = FreshAck { about: about.clone(), set, instance: 50, round, promise };
                let bytes = encode(&from, Body::FreshAck(ack));
                core.handle(Input::Message(from.node, &bytes), now);
            }
        }
        let is_founded = founds(&mut core, &mut round);
        assert_eq!(is_founded, founds_now, "turn {turn}");
        if !is_founded && round == asked {
            core.handle(Input::Tick, core.next_deadline().max(now));
            founds(&mut core, &mut round);
        }
    }
}

/// Reads the answer of a fresh node to a round of this peer.
fn answer(core: &mut Core, from: &Peer, asks: bool, set: [u8; 16], now: Time) -> Option<u64> {
    let about = NewNode { url: from.url.clone(), ..new_node(0, 0) };
    let body = Body::Fresh(Fresh { about, set, round: 1, asks });
    core.handle(Input::Message(from.node, &encode(from, body)), now);
    let actions = std::iter::from_fn(|| core.poll());
    let answers = actions.filter_map(|action| match action {
        Action::Send { bytes, .. } => match Message::decode(&bytes).unwrap().body {
            Body::FreshAck(ack) => Some(ack.promise),
            _ => None,
        },
        _ => None,
    });
    answers.last()
}

fn encode(from: &Peer, body: Body) -> Vec<u8> {
    let cluster = Label::parse("test").unwrap();
    Message { cluster, from: from.clone(), state: StateHash([0; 16]), body }.encode()
}

fn peer(number: u64, generation: u64, instance: u64) -> Peer {
    Peer { node: id(number), generation, incarnation: 0, instance, url: new_node(number, 0).url }
}

/// Node 5, which names 0 and 1, and the hash of that set.
fn promiser(now: Time) -> (Core, [u8; 16]) {
    fresh_core(&[0, 1], now)
}

/// Node 5, which names these, and the hash of that set.
fn fresh_core(others: &[u64], now: Time) -> (Core, [u8; 16]) {
    let boot = Boot {
        this: id(5),
        generation: 1,
        instance: 50,
        seed: 1,
        layout: None,
        was_member: false,
        holds_images: false,
    };
    let mut core = Core::new(naming(5, others), boot, now);
    let sent = std::iter::from_fn(|| core.poll()).find_map(|action| match action {
        Action::Send { bytes, .. } => match Message::decode(&bytes).unwrap().body {
            Body::Fresh(fresh) => Some(fresh.set),
            _ => None,
        },
        _ => None,
    });
    let set = sent.expect("a round");
    (core, set)
}

#[test]
fn a_promise_goes_to_one_lower_founder_of_the_same_set_until_it_asks_no_more() {
    let mut now = Time::default();
    let (mut core, set) = promiser(now);
    assert_eq!(answer(&mut core, &peer(0, 1, 7), false, set, now), Some(0), "it does not ask");
    assert_eq!(answer(&mut core, &peer(0, 1, 7), true, [9; 16], now), Some(0), "it names others");
    assert_eq!(answer(&mut core, &peer(9, 1, 7), true, set, now), None, "it is on no list");
    assert_eq!(answer(&mut core, &peer(1, 1, 7), true, set, now), Some(1));
    assert_eq!(answer(&mut core, &peer(1, 1, 7), true, set, now), Some(1), "the same again");
    assert_eq!(answer(&mut core, &peer(0, 1, 8), true, set, now), Some(0), "it is promised");
    assert_eq!(answer(&mut core, &peer(1, 2, 9), true, set, now), Some(2), "a later process of the founder");
    assert_eq!(answer(&mut core, &peer(1, 1, 7), true, set, now), Some(0), "the earlier process");
    for _ in 0..8 {
        now = now.after(ANNOUNCE_MS);
        core.handle(Input::Tick, now);
    }
    assert_eq!(answer(&mut core, &peer(0, 1, 8), true, set, now), Some(3), "the founder asked no more");
}

#[test]
fn a_node_that_has_promised_takes_a_layout_of_its_founder_alone() {
    let now = Time::default();
    let (mut core, set) = promiser(now);
    let about = |number| new_node(number, 0);
    let layout = |founder| {
        let mut layout = Layout::found(id(founder), &about(founder), COPIES);
        layout.edit(id(founder), &Edit::Join(id(5), about(5))).unwrap();
        layout.encode()
    };
    assert_eq!(answer(&mut core, &peer(1, 1, 7), true, set, now), Some(1));
    let bytes = encode(&peer(0, 1, 8), Body::Layout(layout(0)));
    core.handle(Input::Message(id(0), &bytes), now);
    assert!(core.poll().is_none(), "of another");
    let bytes = encode(&peer(1, 1, 7), Body::Layout(layout(1)));
    core.handle(Input::Message(id(1), &bytes), now);
    assert!(std::iter::from_fn(|| core.poll()).any(|action| matches!(action, Action::Persist { .. })));
}

#[test]
fn rounds_and_answers_are_read_as_they_were_written_and_no_shorter() {
    let (about, set) = (new_node(3, 1), [7; 16]);
    let bodies = [
        Body::Fresh(Fresh { about: about.clone(), set, round: 4, asks: true }),
        Body::FreshAck(FreshAck { about, set, instance: 9, round: 4, promise: 2 }),
    ];
    for body in bodies {
        let bytes = encode(&peer(3, 1, 1), body.clone());
        assert_eq!(Message::decode(&bytes).unwrap().body, body);
        assert!((0..bytes.len()).all(|end| Message::decode(&bytes[..end]).is_err()));
        assert!(Message::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}
