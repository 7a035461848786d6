//! Balance, movement, zones, and a golden table: placement must never change by accident.

use std::collections::BTreeMap;

use super::super::layout::tests::support::{Member, version};
use super::*;

const SLOTS: u32 = 1 << SLOT_BITS;

/// The number of slots that each node owns.
fn counts(placement: &Placement, step: usize) -> BTreeMap<NodeId, u64> {
    let mut counts = BTreeMap::new();
    for slot in (0..SLOTS).step_by(step) {
        for owner in placement.owners(Slot(slot)) {
            *counts.entry(owner).or_default() += 1;
        }
    }
    counts
}

/// Copies to be made when going from one placement to the other.
fn moves(from: &Placement, to: &Placement, step: usize) -> u64 {
    let slots = (0..SLOTS).step_by(step);
    let moved = slots.map(|slot| {
        let before = from.owners(Slot(slot));
        to.owners(Slot(slot)).into_iter().filter(|owner| !before.contains(owner)).count() as u64
    });
    moved.sum()
}

/// Copies that must be made whatever the method: what each node has more.
fn ideal(from: &Placement, to: &Placement, step: usize) -> u64 {
    let before = counts(from, step);
    let more = |(node, count): (NodeId, u64)| count.saturating_sub(*before.get(&node).unwrap_or(&0));
    counts(to, step).into_iter().map(more).sum()
}

fn of(members: &[Member], replication: u8) -> Placement {
    Placement::new(&version(members, replication, 1))
}

fn equal(count: u64) -> Vec<Member> {
    (0..count).map(Member::new).collect()
}

fn zoned(zones: &[usize], weights: &[u32]) -> Vec<Member> {
    let nodes = zones.iter().enumerate().flat_map(|(zone, count)| vec![zone; *count]).enumerate();
    nodes
        .map(|(at, zone)| Member::new(at as u64).in_zone(zone).weighing(weights[at % weights.len()]))
        .collect()
}

#[test]
fn a_hundred_equal_nodes_are_within_two_percent_of_the_mean() {
    let placement = of(&equal(100), 3);
    let counts = counts(&placement, 1);
    let mean = u64::from(SLOTS) * 3 / 100;
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    eprintln!(
        "equal: max/mean {:.4} min/mean {:.4}",
        *most as f64 / mean as f64,
        *least as f64 / mean as f64
    );
    assert!(most * 100 <= mean * 102, "{most} of {mean}");
    assert!(least * 100 >= mean * 98, "{least} of {mean}");
}

#[test]
fn a_join_or_leave_of_equal_nodes_moves_the_ideal_share_and_no_more() {
    for count in [3, 4, 5, 10, 30] {
        let (small, large) = (of(&equal(count), 3), of(&equal(count + 1), 3));
        let share = u64::from(SLOTS) * 3 / (count + 1) / 32;
        for (from, to) in [(&small, &large), (&large, &small)] {
            let moved = moves(from, to, 32);
            assert!(moved * 100 <= share * 105, "{count}: {moved} of {share}");
        }
    }
}

#[test]
fn mixed_weights_get_their_share_and_move_little() {
    for weights in [
        &[200, 200, 100, 100, 100, 100][..],
        &[400, 400, 100, 100, 100, 100, 100, 100, 100, 100],
        &[400, 100, 400, 100, 400, 100, 400, 100, 400, 100],
        &[100, 150, 200, 300, 400, 100, 150, 200, 300, 400],
    ] {
        for replication in [2, 3] {
            let members = zoned(&[weights.len()], weights);
            let placement = of(&members, replication);
            let off = worst_share(&placement, &members, replication.into());
            let mut joined = members.clone();
            joined.push(Member::new(99).weighing(200));
            let after = of(&joined, replication);
            let (moved, ideal) = (moves(&placement, &after, 32), ideal(&placement, &after, 32));
            eprintln!("{weights:?} R{replication}: off {off:.4} moves {:.3}", moved as f64 / ideal as f64);
            assert!(off <= 0.05, "{weights:?}: {off}");
            assert!(moved * 100 <= ideal * 115, "{weights:?}: {moved} of {ideal}");
        }
    }
}

/// The largest deviation from the share that weights allow, every node having at most all images.
fn worst_share(placement: &Placement, members: &[Member], replication: u64) -> f64 {
    let counts = counts(placement, 4);
    let slots = f64::from(SLOTS / 4);
    let mut forced = vec![false; members.len()];
    let shares = loop {
        let left = replication as f64 - forced.iter().filter(|it| **it).count() as f64;
        let total: f64 =
            members.iter().zip(&forced).filter(|(_, it)| !**it).map(|(m, _)| f64::from(m.weight)).sum();
        let shares: Vec<_> = members.iter().map(|m| f64::from(m.weight) * left / total).collect();
        let over: Vec<_> = (0..shares.len()).filter(|at| !forced[*at] && shares[*at] > 1.0).collect();
        if over.is_empty() {
            break shares
                .iter()
                .zip(&forced)
                .map(|(share, it)| if *it { 1.0 } else { *share })
                .collect::<Vec<_>>();
        }
        over.into_iter().for_each(|at| forced[at] = true);
    };
    let off =
        members.iter().zip(shares).map(|(m, share)| (counts[&m.id()] as f64 / slots / share - 1.0).abs());
    off.fold(0.0, f64::max)
}

#[test]
fn a_node_that_weighs_more_than_its_share_has_everything() {
    let members = zoned(&[5], &[400, 100, 100, 100, 100]);
    for replication in [2, 3] {
        let placement = of(&members, replication);
        assert!(worst_share(&placement, &members, replication.into()) < 0.02);
        assert_eq!(counts(&placement, 64)[&members[0].id()], u64::from(SLOTS / 64));
    }
}

#[test]
fn copies_lie_in_different_zones_where_there_are_as_many() {
    for (zones, replication) in
        [(&[2, 2, 2][..], 3), (&[1, 3, 2, 2], 3), (&[5, 1], 2), (&[3, 3], 3), (&[4, 1], 3)]
    {
        let members = zoned(zones, &[100, 300]);
        let placement = of(&members, replication);
        let zone_of: BTreeMap<_, _> = members.iter().map(|m| (m.id(), m.zone)).collect();
        for slot in (0..SLOTS).step_by(9973) {
            let mut used = vec![0; zones.len()];
            placement.owners(Slot(slot)).iter().for_each(|owner| used[zone_of[owner]] += 1);
            let wanted = zones.len().min(replication.into());
            assert_eq!(used.iter().filter(|count| **count > 0).count(), wanted, "{zones:?} {used:?}");
        }
    }
}

#[test]
fn a_join_with_zones_moves_little_more_than_it_must() {
    let cases: [(&[usize], u8, usize); 7] = [
        (&[2, 2, 2], 3, 0),
        (&[3, 3, 3], 2, 1),
        (&[2, 3, 4], 2, 0),
        (&[2, 2, 2, 2], 3, 3),
        (&[3, 3], 3, 0),
        (&[2, 2], 3, 1),
        (&[1, 2, 3, 4], 3, 2),
    ];
    for weights in [&[100][..], &[100, 200, 400]] {
        for (zones, replication, joins) in cases {
            let members = zoned(zones, weights);
            let mut joined = members.clone();
            joined.push(Member::new(99).in_zone(joins).weighing(100));
            let (from, to) = (of(&members, replication), of(&joined, replication));
            let (moved, least) = (moves(&from, &to, 32), ideal(&from, &to, 32));
            eprintln!(
                "{zones:?} R{replication} +{joins} {weights:?}: moves {:.3}",
                moved as f64 / least as f64
            );
            assert!(moved * 100 <= least * 125, "{zones:?} R{replication}: {moved} of {least}");
        }
    }
}

#[test]
fn the_order_names_every_member_once_and_owners_first() {
    let mut members = equal(7);
    members[1] = members[1].clone().with_role(Role::Draining);
    members[2] = members[2].clone().with_role(Role::Joining);
    members[3] = members[3].clone().with_role(Role::Out { automatic: true });
    members[4] = members[4].clone().with_role(Role::Removed);
    let placement = of(&members, 2);
    for slot in (0..SLOTS).step_by(9973) {
        let order = placement.order(Slot(slot));
        assert_eq!(order.len(), 5);
        assert_eq!(order[..2], placement.owners(Slot(slot)));
        assert_eq!(order[3..], [members[1].id(), members[2].id()]);
    }
    assert_eq!(of(&[], 3).owners(Slot(5)), []);
}

#[test]
fn placement_is_the_same_on_every_build_and_machine() {
    let golden = |members: &[Member], replication| {
        let placement = of(members, replication);
        let owners = (0..SLOTS).step_by(256).flat_map(|slot| placement.order(Slot(slot)));
        let bytes: Vec<u8> = owners.flat_map(|owner| *owner.bytes()).collect();
        u128::from_be_bytes(digest(&bytes))
    };
    let hashes = [
        golden(&equal(5), 3),
        golden(&zoned(&[6], &[100, 400, 250]), 3),
        golden(&zoned(&[3, 2, 2], &[100, 300]), 3),
        golden(&zoned(&[1, 2, 3, 4], &[100]), 2),
    ];
    assert_eq!(hashes, GOLDEN, "{hashes:#034x?}");
}

const GOLDEN: [u128; 4] = [
    0x2f5303d6d185ffc2c3e4df562df8c506,
    0x5fb187f06fd89326326a59b6960243bb,
    0x9d3c3279cb02033f559c431b92eda4b8,
    0xbf7c67e522b0f0e91ba8a0144c2376b3,
];

#[test]
fn a_slot_is_the_first_twenty_bits() {
    let mut bytes = [0xff; 20];
    assert_eq!(Slot::of(&ObjectId::from_digest(bytes)), Slot(SLOTS - 1));
    bytes[..3].copy_from_slice(&[0x12, 0x34, 0x5f]);
    assert_eq!(Slot::of(&ObjectId::from_digest(bytes)), Slot(0x12345));
}
