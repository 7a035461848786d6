//! What does it cost to find the owners of an id? `cargo bench --bench placement -- [--quick] [NAME]`.
//!
//! There is no table of owners: every lookup draws a number for each member. So the cost grows with the cluster, and the
//! bench asks at what size it matters. Also measured: a new view, which control makes on every change.

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use reticulum::cluster::layout::{Copies, Edit, Layout, NewNode, Published, Role};
use reticulum::cluster::node::{Label, NodeId, NodeUrl, Weight};
use reticulum::cluster::time::Time;
use reticulum::cluster::view::{LocalState, View, Writes};
use reticulum::object::ObjectId;

const COPIES: Copies = Copies { replication: 3, min_replication: 2 };
const ZONES: u32 = 3;

fn owners(criterion: &mut Criterion) {
    for nodes in [3, 10, 30, 100] {
        let layout = layout(nodes);
        let view = view(&layout);
        let mut ids = (0..).map(id);
        criterion.bench_function(&format!("owners of an id, {nodes} nodes"), |bencher| {
            bencher.iter(|| view.owners(black_box(&ids.next().expect("a number"))));
        });
        criterion.bench_function(&format!("owners and fallbacks of an id, {nodes} nodes"), |bencher| {
            bencher.iter(|| {
                let id = ids.next().expect("a number");
                (view.owners(black_box(&id)), view.fallbacks(&id))
            });
        });
    }
}

fn new_view(criterion: &mut Criterion) {
    for nodes in [10, 100] {
        let layout = layout(nodes);
        criterion.bench_function(&format!("view of a layout, {nodes} nodes"), |bencher| {
            bencher.iter(|| view(black_box(&layout)));
        });
    }
}

/// A settled layout of active members in three zones.
fn layout(nodes: u32) -> Layout {
    let mut layout = Layout::found(node(0), &about(0), COPIES);
    for number in 1..nodes {
        layout.edit(node(0), &Edit::Join(node(number), about(number))).expect("a new member");
        layout.edit(node(0), &Edit::Role(node(number), Role::Active)).expect("a member");
    }
    let hash = view(&layout).staged_version();
    for number in 0..nodes {
        let published = Published { synced_to: hash, acknowledged: hash, holds_images: true };
        layout.publish(node(number), published).expect("a member");
    }
    for number in 0..nodes {
        layout.advance(node(number));
    }
    assert!(layout.is_settled(), "the bench would measure two versions");
    layout
}

fn view(layout: &Layout) -> View {
    let local = LocalState {
        this: node(0),
        since: Time::default(),
        alive: BTreeSet::new(),
        known: BTreeSet::new(),
        writes: Writes::Allowed,
        store: 0,
    };
    View::new(layout, local)
}

fn node(number: u32) -> NodeId {
    NodeId::from_bytes(u128::from(number + 1).to_be_bytes())
}

fn about(number: u32) -> NewNode {
    NewNode {
        name: Label::parse(&format!("n{number}")).expect("a name"),
        url: NodeUrl::parse(&format!("http://n{number}:1")).expect("a URL"),
        zone: Label::parse(&format!("z{}", number % ZONES)).expect("a name"),
        weight: Weight::new(100).expect("above zero"),
        writable: true,
    }
}

fn id(number: u32) -> ObjectId {
    let mut digest = [0; 20];
    digest[..4].copy_from_slice(&number.wrapping_mul(0x9E37_79B9).to_be_bytes());
    ObjectId::from_digest(digest)
}

criterion_group!(placement, owners, new_view);
criterion_main!(placement);
