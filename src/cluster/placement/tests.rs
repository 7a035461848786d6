//! Balance, movement, zones, and a golden table: placement must never change by accident.

use std::collections::BTreeMap;

use super::super::layout::tests::support::{Member, version};
use super::super::random::Random;
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

/// The largest deviation from the shares that weights and zones allow.
fn worst_share(placement: &Placement, members: &[Member], replication: u64) -> f64 {
    let counts = counts(placement, 4);
    let slots = f64::from(SLOTS / 4);
    let shares = achievable(members, usize::try_from(replication).unwrap());
    let off = members.iter().zip(shares).map(|(m, share)| {
        (counts.get(&m.id()).map_or(0.0, |count| *count as f64) / slots / share - 1.0).abs()
    });
    off.fold(0.0, f64::max)
}

/// The part of all images that each member should have. By its weight, where no member has more than everything; and
/// each zone has `rounds` copies of each image, or all its members have one, and at most one more.
fn achievable(members: &[Member], replication: usize) -> Vec<f64> {
    let zones = members.iter().map(|member| member.zone + 1).max().unwrap();
    let size = |zone: usize| members.iter().filter(|member| member.zone == zone).count();
    let taken = |rounds: usize| (0..zones).map(|zone| size(zone).min(rounds)).sum::<usize>();
    let rounds = (0..members.len()).find(|rounds| taken(rounds + 1) > replication).unwrap_or(members.len());
    let in_zone = |zone: usize, level: f64| -> f64 {
        let weights =
            members.iter().filter(|member| member.zone == zone).map(|member| f64::from(member.weight));
        weights.map(|weight| (weight * level).min(1.0)).sum()
    };
    let copies = |zone: usize, level: f64| {
        let certain = size(zone).min(rounds) as f64;
        let most = certain + if size(zone) > rounds { 1.0 } else { 0.0 };
        in_zone(zone, level).clamp(certain, most)
    };
    let wanted = replication.min(members.len()) as f64 * (1.0 - 1e-9);
    let level = lowest(|level| (0..zones).map(|zone| copies(zone, level)).sum::<f64>() >= wanted);
    let share = |member: &Member| {
        let of_zone = copies(member.zone, level) * (1.0 - 1e-9);
        (f64::from(member.weight) * lowest(|level| in_zone(member.zone, level) >= of_zone)).min(1.0)
    };
    members.iter().map(share).collect()
}

/// The lowest level that is enough.
fn lowest(is_enough: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (-40.0_f64, 40.0_f64);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if is_enough(middle.exp2()) { high = middle } else { low = middle }
    }
    high.exp2()
}

/// Up to six zones of up to six nodes, and replication 1 to 4.
fn random_zones(random: &mut Random) -> (Vec<Member>, u8) {
    let kinds: [&[u32]; 3] = [&[100], &[100, 200, 400], &[100, 150, 300]];
    let weights = *random.choose(&kinds).unwrap();
    let mut members = Vec::new();
    for zone in 0..usize::try_from(1 + random.below(6)).unwrap() {
        for _ in 0..=random.below(6) {
            let weight = *random.choose(weights).unwrap();
            members.push(Member::new(random.next() >> 8).in_zone(zone).weighing(weight));
        }
    }
    (members, u8::try_from(1 + random.below(4)).unwrap())
}

#[test]
fn every_node_is_within_five_percent_of_its_achievable_share_whatever_the_zones_weigh() {
    let mut random = Random::from_seed(3);
    for _ in 0..40 {
        let (members, replication) = random_zones(&mut random);
        let off = worst_share(&of(&members, replication), &members, replication.into());
        let shown: Vec<_> = members.iter().map(|member| (member.zone, member.weight)).collect();
        assert!(off <= 0.05, "R{replication} {shown:?}: {off}");
    }
}

#[test]
fn zones_of_very_different_weights_get_what_they_can() {
    for (zones, replication) in [
        (&[1, 2, 3, 4][..], 2),
        (&[1, 1, 1, 12], 3),
        (&[10, 10, 10, 2], 3),
        (&[6, 2], 3),
        (&[8, 1, 1], 4),
        (&[9, 3, 3, 3], 2),
        (&[1, 2, 4, 8, 16], 3),
    ] {
        let members = zoned(zones, &[100]);
        let off = worst_share(&of(&members, replication), &members, replication.into());
        assert!(off <= 0.05, "R{replication} {zones:?}: {off}");
    }
}

/// Corrections make a zone's other nodes win what the new one should have, which nobody can avoid altogether.
#[test]
fn joins_to_zones_of_any_weights_move_little_more_than_they_must_on_average() {
    let mut random = Random::from_seed(5);
    let mut ratios = Vec::new();
    while ratios.len() < 40 {
        let (members, replication) = random_zones(&mut random);
        let mut joined = members.clone();
        let zone = random.choose(&members).unwrap().zone;
        joined.push(Member::new(random.next() >> 8).in_zone(zone).weighing(100));
        let (from, to) = (of(&members, replication), of(&joined, replication));
        let (moved, least) = (moves(&from, &to, 64), ideal(&from, &to, 64));
        if least > 0 {
            ratios.push(moved as f64 / least as f64);
        }
    }
    let (mean, most) =
        (ratios.iter().sum::<f64>() / ratios.len() as f64, ratios.iter().copied().fold(0.0, f64::max));
    eprintln!("random zones: moves {mean:.3} on average, {most:.3} at most");
    assert!(mean <= 1.15, "{mean}");
    assert!(most <= 1.55, "{most}");
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
    // With unequal weights as well, a small zone of large nodes speeds up most.
    for (weights, most) in [(&[100][..], 125), (&[100, 200, 400], 140)] {
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
            assert!(moved * 100 <= least * most, "{zones:?} R{replication}: {moved} of {least}");
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
    0xa0f73426f73a1cdf20621692e5c2b1f4,
    0xe4702bc58aa0fcbd051fc9eb9ff61ccf,
    0x422833019202ef43ffa6c03962c91dc9,
];

#[test]
fn a_slot_is_the_first_twenty_bits() {
    let mut bytes = [0xff; 20];
    assert_eq!(Slot::of(&ObjectId::from_digest(bytes)), Slot(SLOTS - 1));
    bytes[..3].copy_from_slice(&[0x12, 0x34, 0x5f]);
    assert_eq!(Slot::of(&ObjectId::from_digest(bytes)), Slot(0x12345));
}
