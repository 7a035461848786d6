//! Names and URLs belong to one id, whatever way a node comes; and nothing is sent to where a stranger says it is.

use super::super::super::layout::NewNode;
use super::super::super::layout::tests::support::{id, new_node};
use super::super::super::node::NodeUrl;
use super::super::message::Body;
use super::*;

fn url(text: &str) -> NodeUrl {
    NodeUrl::parse(text).unwrap()
}

/// A message of a node with this id that claims this URL.
fn said(number: u64, at: &NodeUrl, body: Body) -> Vec<u8> {
    let from = Peer { node: id(number), generation: 9, incarnation: 0, instance: 77, url: at.clone() };
    Message { cluster: Label::parse("test").unwrap(), from, state: StateHash([1; 16]), body }.encode()
}

impl World {
    /// Hands this to a node; every URL to which it sends something before long.
    fn sent_after(&mut self, at: usize, from: u64, bytes: &[u8]) -> BTreeSet<NodeUrl> {
        let mut urls = BTreeSet::new();
        for _ in 0..200 {
            self.stations[at].core.handle(Input::Message(id(from), bytes), self.now);
            while let Some(action) = self.stations[at].core.poll() {
                match action {
                    Action::Send { url, .. } => _ = urls.insert(url),
                    Action::Persist { sequence, bytes } => {
                        self.stations[at].disk = bytes;
                        self.stations[at].core.handle(Input::Persisted(sequence), self.now);
                    }
                    Action::Event(event) => self.stations[at].events.push((self.now, event)),
                    Action::View(_) | Action::Refuse(..) => {}
                }
            }
            self.run(50);
        }
        urls
    }

    fn role(&self, seen_by: usize, number: u64) -> Option<Role> {
        self.stations[seen_by].core.layout()?.staged.role(id(number))
    }

    fn heard(&self, at: usize, event: ClusterEvent) -> bool {
        self.stations[at].events.iter().any(|(_, heard)| *heard == event)
    }

    fn writes(&self, at: usize) -> Writes {
        self.stations[at].core.view().writes()
    }

    /// A member other than `by` is removed by an operator at `by`.
    fn remove(&mut self, by: usize, number: u64) {
        let now = self.now;
        self.stations[by].core.edit(&Edit::Role(id(number), Role::Removed), now).unwrap();
        self.drain(by);
    }
}

#[test]
fn nothing_is_sent_to_where_a_node_says_it_is_that_is_no_member() {
    let trap = url("http://trap:1");
    let mut namesake = new_node(1, 0);
    namesake.url = trap.clone();
    let mut taken = new_node(9, 0);
    (taken.name, taken.url) = (new_node(1, 0).name, trap.clone());
    let stranger = Peer { node: id(8), generation: 1, incarnation: 0, instance: 5, url: trap.clone() };
    let foreign = Layout::found(id(9), &new_node(9, 0), COPIES);
    // Of a cluster that has taken this node in, but in which another id has a member's name.
    let mut conflicting = Layout::found(id(9), &taken, COPIES);
    conflicting.edit(id(9), &Edit::Join(id(0), new_node(0, 0))).unwrap();
    let bodies = [
        Body::Swim(vec![0; 40]),
        Body::Announce(taken),
        Body::Announce(namesake),
        Body::AnnounceAck,
        Body::Layout(foreign.encode()),
        Body::Layout(conflicting.encode()),
        Body::DuplicateSeen(stranger),
        Body::DuplicateId(3),
    ];
    for body in bodies {
        let mut world = World::settled(2);
        let before = world.stations[0].core.layout().unwrap().clone();
        let bytes = said(9, &trap, body.clone());
        let urls = world.sent_after(0, 9, &bytes);
        assert!(!urls.contains(&trap), "{body:?}");
        assert_eq!(world.stations[0].core.layout().unwrap(), &before, "{body:?}");
    }
    // Taken in, it is answered.
    let mut world = World::settled(2);
    let mut newcomer = new_node(9, 0);
    newcomer.url = trap.clone();
    assert!(world.sent_after(0, 9, &said(9, &trap, Body::Announce(newcomer))).contains(&trap));
    // And what it says of itself must be where it says that it is.
    let mut world = World::settled(2);
    let urls = world.sent_after(0, 9, &said(9, &trap, Body::Announce(new_node(9, 0))));
    assert!(!urls.contains(&trap) && !urls.contains(&new_node(9, 0).url));
}

#[test]
fn a_node_that_speaks_in_anothers_name_is_not_heard() {
    let mut world = World::settled(3);
    let trap = url("http://trap:1");
    let urls = world.sent_after(0, 9, &said(1, &trap, Body::AnnounceAck));
    assert!(!urls.contains(&trap));
    assert!(world.heard(0, ClusterEvent::Impostor(id(9))));
}

#[test]
fn a_removed_node_is_told_at_the_url_that_the_layout_has_of_it() {
    let mut world = World::settled(3);
    world.remove(0, 2);
    world.isolate(2);
    world.run(2_000);
    let trap = url("http://trap:1");
    let urls = world.sent_after(0, 2, &said(2, &trap, Body::AnnounceAck));
    assert!(!urls.contains(&trap) && urls.contains(&new_node(2, 0).url), "{urls:?}");
}

#[test]
fn what_members_say_of_strangers_is_left_out() {
    let trap = url("http://trap:1");
    let mut liar = Membership::new(
        Peer { node: id(1), generation: 5, incarnation: 0, instance: 1, url: new_node(1, 0).url },
        Random::from_seed(1),
    );
    let now = Time::default();
    for number in 100..130 {
        let stranger =
            Peer { node: id(number), generation: 1, incarnation: 0, instance: number, url: trap.clone() };
        liar.announce(&stranger, now);
    }
    let this = Peer { node: id(0), generation: 1, incarnation: 0, instance: 1_000, url: new_node(0, 0).url };
    liar.announce(&this, now);
    let mut world = World::settled(3);
    let mut told = 0;
    for at in (0..20_000).step_by(100) {
        liar.tick(Time::from_millis(at));
        for (_, bytes) in liar.take_messages() {
            told += usize::from(bytes.windows(11).any(|part| part == b"http://trap"));
            assert!(
                !world
                    .sent_after_once(0, 1, &said(1, &new_node(1, 0).url, Body::Swim(bytes)))
                    .contains(&trap)
            );
        }
    }
    assert!(told > 0, "the liar told nobody of the strangers");
    assert_eq!(world.stations[0].core.membership.alive(), [id(1), id(2)].into());
}

impl World {
    /// The same for one message, and without time.
    fn sent_after_once(&mut self, at: usize, from: u64, bytes: &[u8]) -> BTreeSet<NodeUrl> {
        self.stations[at].core.handle(Input::Message(id(from), bytes), self.now);
        let mut urls = BTreeSet::new();
        while let Some(action) = self.stations[at].core.poll() {
            if let Action::Send { url, .. } = action {
                urls.insert(url);
            }
        }
        urls
    }
}

#[test]
fn the_tables_of_a_core_are_bounded_whoever_speaks() {
    let mut world = World::settled(2);
    for number in 0..5_000_u64 {
        let at = url(&format!("http://s{number}:1"));
        let mut about = new_node(1, 0);
        about.url = at.clone();
        // Refused, for it has a member's name; and a process of this node's own id.
        world.sent_after_once(0, 100 + number, &said(100 + number, &at, Body::Announce(about)));
        let from = Peer { node: id(0), generation: 9, incarnation: 0, instance: number + 5, url: at };
        let cluster = Label::parse("test").unwrap();
        let duplicate =
            Message { cluster, from, state: StateHash([1; 16]), body: Body::AnnounceAck }.encode();
        world.sent_after_once(0, 0, &duplicate);
    }
    let core = &world.stations[0].core;
    let sizes = [core.instances.len(), core.layout_sent.len(), core.changed.len(), core.duplicate_told.len()];
    assert!(sizes.iter().all(|size| *size <= 64), "{sizes:?}");
}

/// A wiped node is started without a list, takes uploads as a cluster of one, and is then started with it.
#[test]
fn a_cluster_of_one_does_not_bring_a_second_holder_of_a_name() {
    let mut world = World::settled(3);
    // n1 as it was is gone; another id has its name and URL.
    world.isolate(1);
    world.stations[1].is_stopped = true;
    world.stations[1].settings.about.url = url("http://nowhere:1");
    let mut alone = settings(1, false);
    alone.join.clear();
    world.start(alone, id(7), 1, None);
    world.run(2_000);
    // It has images, so that it is not in sync with anything by itself.
    world.late.insert(3);
    assert_eq!(world.writes(3), Writes::Allowed);
    world.stations[3].settings.join = vec![new_node(0, 0).url];
    let before = world.stations[0].core.layout().unwrap().staged.clone();
    world.restart(3);
    assert_eq!(world.writes(3), Writes::NotJoined, "it is to join, and has joined nobody");
    world.run(30_000);
    assert_eq!(world.writes(3), Writes::Taken(Taken::Name(id(1))));
    assert!(world.heard(3, name_taken(1)));
    assert!(world.heard(0, ClusterEvent::Refused(id(7), JoinRefusal::Taken(Taken::Name(id(1))))));
    for member in [0, 2] {
        assert_eq!(world.role(member, 7), None);
        assert_eq!(world.stations[member].core.layout().unwrap().staged, before);
    }
    // It takes nobody in meanwhile.
    let mut other = settings(8, true);
    other.join = vec![new_node(1, 0).url];
    world.start(other, id(8), 1, None);
    world.run(10_000);
    assert_eq!(world.writes(4), Writes::NotJoined);
    world.stations.pop();
    // The name is free when its holder is removed.
    world.remove(0, 1);
    world.run_until("taken in", 20_000, |world| {
        world.writes(3) == Writes::Allowed
            && (0..4).all(|at| at == 1 || world.role(at, 7) == Some(Role::Active))
    });
    // The node searches its own disk for the images that it took alone, and knows that each has one copy.
    let view = world.stations[3].core.view();
    assert!(!view.is_settled());
}

#[test]
fn of_two_that_were_taken_in_under_one_name_on_two_sides_of_a_cut_one_is_a_member() {
    for by_url in [false, true] {
        let mut world = World::settled(4);
        let sides = [[0, 2, 4], [1, 3, 5]];
        for a in sides[0] {
            for b in sides[1] {
                world.cut.extend([(a, b), (b, a)]);
            }
        }
        world.run(10_000);
        for (number, side) in [(4, 0), (5, 1)] {
            let mut about = new_node(number, 0);
            if by_url {
                // Case makes no other place of it; but only one of them can be reached there.
                about.url = url(if number == 4 { "http://Same:1" } else { "http://same:1" });
            } else {
                about.name = new_node(9, 0).name;
            }
            let settings =
                ClusterSettings { about, join: vec![new_node(side, 0).url], ..settings(number, true) };
            world.start(settings, id(number), 1, None);
        }
        world.run(5_000);
        assert!([4, 5].iter().all(|at| world.writes(*at) == Writes::Allowed));
        world.cut.clear();
        world.run(30_000);
        let remaining: Vec<_> = (0..6).map(|at| (world.role(at, 4), world.role(at, 5))).collect();
        assert!(remaining.iter().all(|roles| *roles == remaining[0]), "{remaining:?}");
        let (winner, loser) = match remaining[0] {
            (Some(Role::Active), Some(Role::Joining)) => (4, 5),
            (Some(Role::Joining), Some(Role::Active)) => (5, 4),
            roles => panic!("{roles:?}"),
        };
        let (at, holder) = (usize::try_from(loser).unwrap(), id(winner));
        let taken = if by_url { Taken::Url(holder) } else { Taken::Name(holder) };
        assert_eq!(world.writes(at), Writes::Taken(taken));
        assert!(!world.stations[at].core.view().is_joined());
        assert!(world.heard(0, ClusterEvent::ClaimRefused(id(loser), taken)));
        let member = world.stations[0].core.view().member(id(loser)).unwrap().clone();
        assert!(!member.writable, "it takes no copies");
        assert_eq!(
            world.stations[0]
                .core
                .view()
                .owners(&crate::object::ObjectId::from_digest([3; 20]))
                .iter()
                .filter(|node| **node == id(loser))
                .count(),
            0
        );
        // An operator cannot make it active while another has its name.
        let now = world.now;
        let edit = Edit::Role(id(loser), Role::Active);
        assert_eq!(world.stations[0].core.edit(&edit, now), Err(EditError::Taken(taken)));
        world.remove(0, winner);
        world.run(20_000);
        assert_eq!(world.writes(at), Writes::Allowed);
        assert_eq!(world.role(0, loser), Some(Role::Active));
    }
}

#[test]
fn a_member_that_is_started_with_anothers_name_or_url_is_told_and_takes_nothing() {
    for by_url in [false, true] {
        let mut world = World::settled(3);
        let own = world.stations[2].settings.about.clone();
        let (about, taken) = if by_url {
            (NewNode { url: new_node(1, 0).url, ..own.clone() }, Taken::Url(id(1)))
        } else {
            (NewNode { name: new_node(1, 0).name, ..own.clone() }, Taken::Name(id(1)))
        };
        world.stations[2].settings.about = about;
        world.restart(2);
        assert_eq!(world.writes(2), Writes::Taken(taken));
        assert!(world.heard(2, ClusterEvent::JoinRefused(JoinRefusal::Taken(taken))));
        world.run(5_000);
        let layout = world.stations[0].core.layout().unwrap();
        assert_eq!(layout.nodes[&id(2)].name.value(), &own.name);
        assert_eq!(layout.nodes[&id(2)].url.value(), &own.url);
        world.stations[2].settings.about = own;
        world.restart(2);
        assert_eq!(world.writes(2), Writes::Allowed);
    }
}

#[test]
fn a_node_that_comes_back_after_its_removal_knows_of_it_even_at_another_url() {
    let mut world = World::settled(3);
    world.isolate(2);
    world.stations[2].is_stopped = true;
    world.remove(0, 2);
    world.run(2_000);
    world.cut.clear();
    world.stations[2].settings.about.url = url("http://elsewhere:1");
    world.restart(2);
    world.run_until("told", 20_000, |world| world.writes(2) == Writes::Removed);
    assert!(!world.stations[2].core.view().is_joined());
    assert_eq!(world.stations[2].core.view().trusted_to(), None);
}
