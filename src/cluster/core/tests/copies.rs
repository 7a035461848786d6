//! A copy of a data directory: two processes have one id. Neither takes writes, and when one is gone the other is a
//! member as before.

use super::super::super::layout::tests::support::{id, new_node};
use super::*;

#[test]
fn two_processes_with_one_id_both_refuse_writes_until_one_is_gone() {
    let mut world = World::settled(3);
    let copy = world.stations[2].disk.clone();
    world.start(settings(7, true), id(2), 1, Some(copy));
    let is_duplicate =
        |world: &World, at: usize| world.stations[at].core.view().writes() == Writes::DuplicateId;
    world.run_until("both know", 30_000, |world| is_duplicate(world, 2) && is_duplicate(world, 3));
    world.isolate(3);
    world.stations[3].is_stopped = true;
    world.run_until("believed no longer", 90_000, |world| !is_duplicate(world, 2));
}

/// The copy was started more often than the original, so all others took it for the later one.
#[test]
fn a_copy_that_has_ended_leaves_the_original_a_member_in_the_eyes_of_all() {
    for is_killed in [false, true] {
        let mut world = World::settled(3);
        let copy = world.stations[2].disk.clone();
        world.start(settings(7, true), id(2), 9, Some(copy));
        let both_know = |world: &World| {
            [2, 3].iter().all(|at| world.stations[*at].core.view().writes() == Writes::DuplicateId)
        };
        world.run_until("both know", 30_000, both_know);
        world.restart(3);
        world.run_until("both know again", 30_000, both_know);
        for _ in 0..30 {
            world.run(1_000);
            assert!(both_know(&world), "both live on");
        }
        if !is_killed {
            let now = world.now;
            world.stations[3].core.handle(Input::Leave, now);
            world.drain(3);
            world.run(100);
        }
        world.isolate(3);
        world.stations[3].is_stopped = true;
        let is_well = |world: &World, at: usize| {
            let view = world.stations[at].core.view();
            let url = view.member(id(2)).map(|member| member.url.clone());
            let is_alive = at == 2 || view.is_alive(id(2));
            is_alive && url == Some(new_node(2, 0).url) && view.writes() == Writes::Allowed
        };
        world.run_until("the original to be there", 80_000, |world| (0..3).all(|at| is_well(world, at)));
        world.run(60_000);
        assert!((0..3).all(|at| is_well(&world, at)), "killed: {is_killed}");
        // Its next start counts from its own disk.
        world.stations.truncate(3);
        world.mail.retain(|_, (to, _)| *to < 3);
        world.restart(2);
        world.run(1_000);
        world.run_until("seen again", 15_000, |world| (0..3).all(|at| is_well(world, at)));
    }
}
