//! Layout versions and layouts for the tests of this module: members with small numbers for ids.

use std::collections::BTreeMap;

use crate::cluster::layout::register::{Register, Stamp};
use crate::cluster::layout::{Copies, Edit, Layout, LayoutVersion, MemberEntry, NewNode, Published, Role};
use crate::cluster::node::{Label, NodeId, NodeUrl, Weight};

#[derive(Clone, Debug)]
pub(in crate::cluster) struct Member {
    pub(in crate::cluster) number: u64,
    pub(in crate::cluster) zone: usize,
    pub(in crate::cluster) weight: u32,
    pub(in crate::cluster) role: Role,
}

pub(in crate::cluster) fn id(number: u64) -> NodeId {
    NodeId::from_bytes(u128::from(number + 1).to_be_bytes())
}

impl Member {
    pub(in crate::cluster) fn new(number: u64) -> Self {
        Self { number, zone: 0, weight: 100, role: Role::Active }
    }

    pub(in crate::cluster) fn in_zone(self, zone: usize) -> Self {
        Self { zone, ..self }
    }

    pub(in crate::cluster) fn weighing(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    pub(in crate::cluster) fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    pub(in crate::cluster) fn id(&self) -> NodeId {
        id(self.number)
    }
}

pub(in crate::cluster) fn new_node(number: u64, zone: usize) -> NewNode {
    NewNode {
        name: Label::parse(&format!("n{number}")).unwrap(),
        url: NodeUrl::parse(&format!("http://n{number}:1")).unwrap(),
        zone: Label::parse(&format!("z{zone}")).unwrap(),
        weight: Weight::new(100).unwrap(),
        writable: true,
    }
}

pub(in crate::cluster) fn version(members: &[Member], replication: u8, min_replication: u8) -> LayoutVersion {
    let stamp = Stamp { lamport: 1, writer: id(0) };
    let entry = |member: &Member| MemberEntry {
        role: Register::new(member.role, stamp),
        weight: Register::new(Weight::new(member.weight).unwrap(), stamp),
        zone: Register::new(new_node(0, member.zone).zone, stamp),
        store: Register::new(0, stamp),
    };
    LayoutVersion {
        members: members.iter().map(|member| (member.id(), entry(member))).collect::<BTreeMap<_, _>>(),
        replication: Register::new(replication, stamp),
        min_replication: Register::new(min_replication, stamp),
    }
}

/// A promoted layout of active members, one to a zone number, made by edits as a cluster makes it.
pub(in crate::cluster) fn layout(zones: &[usize], copies: Copies) -> Layout {
    let mut layout = Layout::found(id(0), &new_node(0, zones[0]), copies);
    for (number, zone) in zones.iter().enumerate().skip(1) {
        let number = number as u64;
        layout.edit(id(0), &Edit::Join(id(number), new_node(number, *zone))).unwrap();
        layout.edit(id(0), &Edit::Role(id(number), Role::Active)).unwrap();
    }
    settle(&mut layout);
    layout
}

/// Every member that is counted on publishes that it is in sync, and the staged version becomes current.
pub(in crate::cluster) fn settle(layout: &mut Layout) {
    let hash = Some(layout.staged.sync_hash());
    let members: Vec<_> = layout.staged.counted_on().collect();
    for node in &members {
        let published = Published { synced_to: hash, acknowledged: hash, holds_images: false };
        layout.publish(*node, published).unwrap();
    }
    members.into_iter().for_each(|node| _ = layout.advance(node));
}

/// The same for nodes of any ids, for tests of other modules.
pub(crate) fn layout_of(nodes: &[(NodeId, NewNode)], copies: Copies) -> Layout {
    let (first, about) = &nodes[0];
    let mut layout = Layout::found(*first, about, copies);
    for (node, about) in &nodes[1..] {
        layout.edit(*first, &Edit::Join(*node, about.clone())).unwrap();
        layout.edit(*first, &Edit::Role(*node, Role::Active)).unwrap();
    }
    settle(&mut layout);
    layout
}
