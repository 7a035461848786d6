//! Layout: merging is a join, promotion is sound, bytes are canonical.

pub(crate) mod support;

use proptest::prelude::*;

use self::support::{id, layout, new_node, settle};
use super::*;
use crate::cluster::node::Weight;

const COPIES: Copies = Copies { replication: 3, min_replication: 2 };

/// An event in the layout of one of three members.
#[derive(Clone, Debug)]
enum Step {
    Edit(Edit),
    /// The member says that it is in sync with its own next.
    Publish,
    Advance,
    MergeFrom(usize),
    /// Everybody merges with everybody, and says that it is in sync with what comes of it.
    MeetAndPublish,
}

fn step() -> impl Strategy<Value = Step> {
    let node = (0..5_u64).prop_map(id);
    let role = prop_oneof![
        Just(Role::Active),
        Just(Role::Draining),
        Just(Role::Out { automatic: false }),
        Just(Role::Removed),
        Just(Role::Joining),
    ];
    let edit = prop_oneof![
        (0..5_u64).prop_map(|number| Edit::Join(id(number), new_node(number, 0))),
        (node.clone(), role).prop_map(|(node, role)| Edit::Role(node, role)),
        (node.clone(), 1..4_u32).prop_map(|(node, w)| Edit::Weight(node, Weight::new(w).unwrap())),
        (node, any::<bool>()).prop_map(|(node, flag)| Edit::Writable(node, flag)),
        (2..5_u8).prop_map(Edit::Replication),
        (1..3_u8).prop_map(Edit::MinReplication),
    ];
    prop_oneof![
        2 => edit.prop_map(Step::Edit),
        3 => Just(Step::Publish),
        2 => Just(Step::Advance),
        3 => (0..3_usize).prop_map(Step::MergeFrom),
        1 => Just(Step::MeetAndPublish),
    ]
}

/// Three members with one beginning live through such a history.
fn histories() -> impl Strategy<Value = Vec<Layout>> {
    prop::collection::vec((0..3_usize, step()), 0..60).prop_map(|steps| {
        let mut layouts = vec![layout(&[0, 1, 2], COPIES); 3];
        for (at, step) in steps {
            take(&mut layouts, at, &step);
        }
        layouts
    })
}

/// Three members, cut off from each other now and then, take in and rename nodes out of few names and URLs.
fn claimants() -> impl Strategy<Value = Vec<Layout>> {
    let about = (0..6_u64, 0..6_u64)
        .prop_map(|(name, url)| NewNode { name: new_node(name, 0).name, ..new_node(url, 0) });
    let node = || (0..9_u64).prop_map(id);
    let edit = prop_oneof![
        3 => (node(), about.clone()).prop_map(|(node, about)| Edit::Join(node, about)),
        2 => (node(), about.clone()).prop_map(|(node, about)| Edit::Name(node, about.name)),
        2 => (node(), about).prop_map(|(node, about)| Edit::Url(node, about.url)),
        1 => node().prop_map(|node| Edit::Role(node, Role::Removed)),
    ];
    let step = prop_oneof![4 => edit.prop_map(Step::Edit), 1 => (0..3_usize).prop_map(Step::MergeFrom)];
    prop::collection::vec((0..3_usize, step), 0..40).prop_map(|steps| {
        let mut layouts = vec![layout(&[0, 1, 2], COPIES); 3];
        for (at, step) in steps {
            take(&mut layouts, at, &step);
        }
        layouts
    })
}

fn take(layouts: &mut [Layout], at: usize, step: &Step) {
    let node = id(at as u64);
    match step {
        // Refusals are fine: they change nothing.
        Step::Edit(edit) => _ = layouts[at].edit(node, edit),
        Step::Publish => {
            let published = *layouts[at].nodes[&node].published.value();
            let synced_to = Some(layouts[at].staged.sync_hash());
            layouts[at].publish(node, Published { synced_to, ..published }).unwrap();
        }
        Step::Advance => _ = layouts[at].advance(node),
        Step::MergeFrom(other) => {
            let other = layouts[*other].clone();
            _ = layouts[at].merge(&other);
        }
        Step::MeetAndPublish => {
            for (from, to) in [(0, 1), (1, 2), (2, 1), (1, 0)] {
                take(layouts, to, &Step::MergeFrom(from));
            }
            (0..layouts.len()).for_each(|at| take(layouts, at, &Step::Publish));
        }
    }
}

fn merged(a: &Layout, b: &Layout) -> Layout {
    let mut a = a.clone();
    a.merge(b).unwrap();
    a
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(layouts in histories()) {
        let [a, b, c] = &layouts[..] else { unreachable!() };
        // Forced removals on all sides may leave more histories than are allowed; they are told apart below.
        let all = [a, b, c];
        prop_assume!(all.iter().map(|layout| layout.current.len()).sum::<usize>() <= Layout::HISTORIES_MAX);
        prop_assume!(all.iter().map(|layout| layout.proposed.len()).sum::<usize>() <= Layout::HISTORIES_MAX);
        prop_assert_eq!(merged(a, b), merged(b, a));
        prop_assert_eq!(merged(&merged(a, b), c), merged(a, &merged(b, c)));
        prop_assert_eq!(&merged(a, a), a);
        prop_assert_eq!(merged(&merged(a, b), b), merged(a, b));
    }

    /// After any events, merged in any order: each name and each URL has one holder, and all members see the same one.
    #[test]
    fn names_and_urls_have_one_holder_in_the_eyes_of_all(layouts in claimants()) {
        let [a, b, c] = &layouts[..] else { unreachable!() };
        let orders = [merged(&merged(a, b), c), merged(a, &merged(c, b)), merged(&merged(c, a), b)];
        let refused = orders[0].refused_claims();
        prop_assert!(orders.iter().all(|layout| layout.refused_claims() == refused));
        let remaining: Vec<_> = orders[0].nodes.keys().copied().filter(|node| orders[0].staged.is_member(*node)).collect();
        let (mut names, mut urls) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for node in remaining.iter().filter(|node| !refused.contains_key(node)) {
            prop_assert!(names.insert(orders[0].nodes[node].name.value()));
            prop_assert!(urls.insert(orders[0].nodes[node].url.value().key()));
        }
        prop_assert_eq!(remaining.is_empty(), names.is_empty());
        for (node, taken) in &refused {
            // Its holder's own claim stands, and is to the same.
            prop_assert!(!refused.contains_key(&taken.holder()) && remaining.contains(&taken.holder()));
            let (mine, theirs) = (&orders[0].nodes[node], &orders[0].nodes[&taken.holder()]);
            let is_the_same = match taken {
                Taken::Name(_) => mine.name.value() == theirs.name.value(),
                Taken::Url(_) => mine.url.value().key() == theirs.url.value().key(),
            };
            prop_assert!(is_the_same, "{node:?} {taken:?}");
        }
        // The one that is refused cannot be made active, and is free again when its holder is removed.
        for (node, taken) in refused {
            let mut layout = orders[0].clone();
            prop_assert_eq!(layout.edit(id(0), &Edit::Role(node, Role::Active)), Err(EditError::Taken(taken)));
            prop_assert!(layout.edit(id(0), &Edit::Role(taken.holder(), Role::Removed)).unwrap());
            prop_assert_ne!(layout.refused_claims().remove(&node), Some(taken));
        }
    }

    #[test]
    fn what_is_promoted_lies_within_next_on_every_member(layouts in histories()) {
        for layout in &layouts {
            prop_assert!(layout.current.iter().all(|version| version.is_within(&layout.staged)));
            prop_assert_eq!(&Layout::decode(&layout.encode()).unwrap(), layout);
        }
    }

    /// While all members are counted on throughout, there is one history, and everybody goes by whatever was
    /// promoted anywhere, until a later promotion contains it.
    #[test]
    fn promoted_columns_are_ordered_while_members_are_common(steps in prop::collection::vec((0..3_usize, step()), 0..80)) {
        let mut layouts = vec![layout(&[0, 1, 2], COPIES); 3];
        for (at, step) in steps {
            if matches!(&step, Step::Edit(Edit::Role(..))) {
                continue;
            }
            take(&mut layouts, at, &step);
            for promoted in layouts.iter().flat_map(|layout| &layout.current) {
                let goes_by_it = |layout: &Layout| {
                    let mut versions = layout.versions();
                    versions.any(|version| version == promoted)
                        || layout.current.iter().any(|version| promoted.is_within(version))
                };
                prop_assert!(layouts.iter().all(goes_by_it));
            }
            prop_assert!(layouts.iter().all(|layout| layout.current.len() == 1));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_back_the_same(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(layout) = Layout::decode(&bytes) {
            prop_assert_eq!(layout.encode(), bytes);
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_back_the_same(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = layout(&[0, 1, 2], COPIES).encode();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(layout) = Layout::decode(&bytes) {
            prop_assert_eq!(layout.encode(), bytes);
        }
    }
}

#[test]
fn next_becomes_now_only_when_all_that_are_counted_on_have_said_so() {
    let mut layout = layout(&[0, 1, 2], COPIES);
    layout.edit(id(0), &Edit::Weight(id(1), Weight::new(300).unwrap())).unwrap();
    let before = layout.current.clone();
    for node in 0..3 {
        assert!(!layout.advance(id(node)));
        say_synced(&mut layout, node);
    }
    for node in 0..3 {
        assert_eq!(layout.current, before);
        assert!(layout.advance(id(node)), "it agrees");
        assert!(layout.proposed.contains(&layout.staged) || layout.is_settled());
    }
    assert_eq!(layout.current, [layout.staged.clone()]);
    assert_eq!(layout.proposed, []);
    assert!(!layout.advance(id(0)));
}

fn say_synced(layout: &mut Layout, node: u64) {
    let known = *layout.nodes[&id(node)].published.value();
    let synced_to = Some(layout.staged.sync_hash());
    layout.publish(id(node), Published { synced_to, holds_images: true, ..known }).unwrap();
}

/// It has agreed, so the others may promote the version on their side of a cut, and go by it alone.
#[test]
fn a_member_that_goes_on_goes_by_what_it_agreed_to_as_well() {
    let mut here = layout(&[0, 1, 2], COPIES);
    here.edit(id(0), &Edit::Weight(id(1), Weight::new(300).unwrap())).unwrap();
    (0..3).for_each(|node| say_synced(&mut here, node));
    (0..2).for_each(|node| assert!(here.advance(id(node))));
    let mut there = here.clone();
    let acknowledged = here.staged.clone();
    here.edit(id(0), &Edit::Weight(id(1), Weight::new(200).unwrap())).unwrap();
    assert!(there.advance(id(2)) && there.is_settled());
    assert!(here.versions().any(|version| *version == acknowledged));
    assert_eq!(here.versions().count(), 3);
    assert_eq!(Layout::decode(&here.encode()).unwrap(), here);
    here.merge(&there).unwrap();
    assert_eq!(here.current, [acknowledged]);
    assert_eq!(here.versions().count(), 2);
}

#[test]
fn a_word_for_an_older_next_promotes_nothing() {
    let mut layout = layout(&[0, 1, 2], COPIES);
    let edit = |layout: &mut Layout, weight| {
        layout.edit(id(0), &Edit::Weight(id(1), Weight::new(weight).unwrap())).unwrap();
        layout.staged.sync_hash()
    };
    let first = edit(&mut layout, 300);
    for node in 0..3 {
        let published = Published { synced_to: Some(first), acknowledged: Some(first), holds_images: true };
        layout.publish(id(node), published).unwrap();
    }
    let back = edit(&mut layout, 100);
    let again = edit(&mut layout, 300);
    assert!((0..3).all(|node| !layout.advance(id(node))));
    // The same values written again are not the same version: copies were written elsewhere in between.
    assert!(first != back && first != again);
}

#[test]
fn a_node_that_is_out_or_removed_holds_nothing_up() {
    for role in [Role::Out { automatic: true }, Role::Removed] {
        let mut layout = layout(&[0, 1, 2], COPIES);
        layout.edit(id(0), &Edit::Role(id(2), role)).unwrap();
        settle(&mut layout);
        assert_eq!(layout.current, [layout.staged.clone()]);
    }
}

#[test]
fn removed_beats_what_is_written_later() {
    let mut a = layout(&[0, 1, 2], COPIES);
    let mut b = a.clone();
    a.edit(id(0), &Edit::Role(id(2), Role::Removed)).unwrap();
    for role in [Role::Draining, Role::Active, Role::Out { automatic: false }] {
        b.edit(id(1), &Edit::Role(id(2), role)).unwrap();
    }
    b.merge(&a).unwrap();
    assert_eq!(b.staged.role(id(2)), Some(Role::Removed));
    assert_eq!(b.edit(id(1), &Edit::Role(id(2), Role::Active)), Err(EditError::Removed));
    assert_eq!(b.edit(id(1), &Edit::Join(id(2), new_node(2, 0))), Err(EditError::Removed));
}

#[test]
fn clusters_that_were_founded_apart_keep_both_histories_until_a_promotion() {
    let mut a = Layout::found(id(0), &new_node(0, 0), COPIES);
    let b = Layout::found(id(1), &new_node(1, 0), COPIES);
    assert_eq!(a.merge(&b), Ok(true));
    assert_eq!(a.current.len(), 2);
    assert_eq!(a.merge(&b), Ok(false));
    settle(&mut a);
    assert_eq!(a.current.len(), 1);
    // Members that hear of it later follow.
    let mut late = b;
    late.merge(&a).unwrap();
    assert_eq!(late, a);
}

#[test]
fn too_many_histories_are_refused_and_change_nothing() {
    let found = |number| Layout::found(id(number), &new_node(number, 0), COPIES);
    let mut layout = found(0);
    for number in 1..Layout::HISTORIES_MAX as u64 {
        layout.merge(&found(number)).unwrap();
    }
    let before = layout.clone();
    assert_eq!(layout.merge(&found(9)), Err(MergeError::TooManyHistories));
    assert_eq!(layout, before);
}

#[test]
fn edits_are_refused_where_they_make_no_sense() {
    let mut layout = layout(&[0, 1, 2], COPIES);
    let mut refused = |edit| layout.edit(id(0), &edit).unwrap_err();
    assert_eq!(refused(Edit::Role(id(9), Role::Active)), EditError::Unknown);
    assert_eq!(refused(Edit::Join(id(9), new_node(1, 0))), EditError::Taken(Taken::Name(id(1))));
    assert_eq!(refused(Edit::Name(id(2), new_node(1, 0).name)), EditError::Taken(Taken::Name(id(1))));
    assert_eq!(refused(Edit::Url(id(2), new_node(1, 0).url)), EditError::Taken(Taken::Url(id(1))));
    assert_eq!(refused(Edit::Replication(0)), EditError::Copies);
    assert_eq!(refused(Edit::Replication(1)), EditError::Copies);
    assert_eq!(refused(Edit::Replication(17)), EditError::Copies);
    assert_eq!(refused(Edit::MinReplication(4)), EditError::Copies);
    assert_eq!(layout.edit(id(0), &Edit::Replication(3)), Ok(false));
}

#[test]
fn writable_name_and_url_leave_the_hash_alone() {
    let mut layout = layout(&[0, 1, 2], COPIES);
    let hash = layout.hash();
    let state = layout.state_hash();
    layout.edit(id(0), &Edit::Writable(id(1), false)).unwrap();
    layout.edit(id(0), &Edit::Name(id(1), new_node(8, 0).name)).unwrap();
    assert_eq!(layout.hash(), hash);
    assert_ne!(layout.state_hash(), state);
    layout.edit(id(0), &Edit::Zone(id(1), new_node(0, 2).zone)).unwrap();
    assert_ne!(layout.hash(), hash);
}

#[test]
fn forged_clocks_are_not_read() {
    let mut layout = layout(&[0], COPIES);
    let stamp = Stamp { lamport: u64::MAX, writer: id(0) };
    layout.staged.replication.join(&Register::new(4, stamp));
    assert_eq!(Layout::decode(&layout.encode()), Err(Malformed));
    assert_eq!(layout.edit(id(0), &Edit::Replication(5)), Err(EditError::Clock));
}
