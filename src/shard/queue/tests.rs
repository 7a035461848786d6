//! The order of service, the refusals, and the invariants after any sequence of calls.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

type Queue = FairQueue<u64>;

fn client(number: u8) -> Requester {
    Requester::Client(IpAddr::from([10, 0, 0, number]).into())
}

/// Puts a job in for which one request waits; whether it got in, and what it displaced.
fn ask(queue: &mut Queue, number: u64, requester: Requester) -> Result<Option<u64>, u64> {
    let displaced = queue.push(number, requester, number)?;
    assert_eq!(queue.join(number, requester).copied(), Some(number));
    Ok(displaced.map(|(number, _)| number))
}

fn filled(capacity: usize, asks: impl IntoIterator<Item = (u64, Requester)>) -> Queue {
    let mut queue = Queue::new(capacity);
    for (number, requester) in asks {
        assert_eq!(ask(&mut queue, number, requester), Ok(None));
    }
    queue
}

fn drain(queue: &mut Queue) -> Vec<u64> {
    std::iter::from_fn(|| queue.pop().map(|(number, _)| number)).collect()
}

#[test]
fn a_client_alone_has_the_whole_queue_in_its_order() {
    let mut queue = filled(5, (0..5).map(|number| (number, client(1))));
    assert_eq!(ask(&mut queue, 5, client(1)), Err(5));
    assert_eq!(drain(&mut queue), [0, 1, 2, 3, 4]);
    assert!(queue.is_empty() && queue.pop().is_none());
}

#[test]
fn clients_are_served_in_turn_however_many_jobs_one_has() {
    let flood = (0..6).map(|number| (number, client(1)));
    let mut queue = filled(99, flood.chain([(10, client(2)), (20, client(3)), (11, client(2))]));
    assert_eq!(drain(&mut queue), [0, 10, 20, 1, 11, 2, 3, 4, 5]);
}

#[test]
fn who_comes_back_after_its_turn_stands_behind_those_who_waited() {
    let mut queue = filled(99, [(0, client(1)), (1, client(1)), (2, client(2))]);
    assert_eq!(queue.pop(), Some((0, 0)));
    assert_eq!(ask(&mut queue, 3, client(3)), Ok(None));
    assert_eq!(drain(&mut queue), [2, 1, 3]);
}

#[test]
fn a_full_queue_refuses_the_flooder_and_displaces_its_newest_job_for_others() {
    let mut queue = filled(4, (0..4).map(|number| (number, client(1))));
    assert_eq!(ask(&mut queue, 4, client(1)), Err(4));
    assert_eq!(ask(&mut queue, 10, client(2)), Ok(Some(3)));
    assert_eq!(ask(&mut queue, 5, client(1)), Err(5));
    assert_eq!(ask(&mut queue, 11, client(2)), Ok(Some(2)));
    // Two and two: nobody has more than the one who asks would have.
    assert_eq!(ask(&mut queue, 12, client(2)), Err(12));
    assert_eq!(ask(&mut queue, 6, client(1)), Err(6));
    assert_eq!(ask(&mut queue, 20, client(3)), Ok(Some(11)));
    assert_eq!(drain(&mut queue), [0, 10, 20, 1]);
}

#[test]
fn a_shared_job_runs_at_the_earliest_turn_of_those_who_wait() {
    let mut queue = filled(99, (0..5).map(|number| (number, client(1))));
    assert!(queue.join(4, client(2)).is_some());
    assert_eq!(drain(&mut queue), [0, 4, 1, 2, 3]);
    assert_eq!(queue.join(4, client(2)), None);
}

#[test]
fn a_job_that_a_quiet_client_waits_for_too_is_not_displaced() {
    let mut queue = filled(4, (0..4).map(|number| (number, client(1))));
    assert!(queue.join(3, client(2)).is_some());
    assert_eq!(ask(&mut queue, 20, client(3)), Ok(Some(2)));
    assert_eq!(drain(&mut queue), [0, 3, 20, 1]);
}

#[test]
fn two_floods_that_share_their_jobs_do_not_keep_others_out() {
    let mut queue = filled(4, (0..4).map(|number| (number, client(1))));
    (0..4).for_each(|number| assert!(queue.join(number, client(2)).is_some()));
    assert_eq!(ask(&mut queue, 30, client(3)), Ok(Some(3)));
}

#[test]
fn a_place_is_free_as_soon_as_nobody_waits_for_its_job() {
    let mut queue = filled(2, [(0, client(1)), (1, client(1))]);
    assert!(queue.join(0, client(1)).is_some() && queue.join(0, client(2)).is_some());
    assert_eq!(queue.leave(0, client(1)), None);
    assert_eq!(queue.leave(0, client(1)), None);
    // The other one waits still, at its own turn.
    assert_eq!((queue.len(), queue.length(client(1)), queue.length(client(2))), (2, 1, 1));
    assert_eq!(queue.leave(0, client(2)), Some(0));
    assert_eq!(queue.leave(0, client(2)), None);
    assert_eq!(ask(&mut queue, 2, client(1)), Ok(None));
    assert_eq!(drain(&mut queue), [1, 2]);
}

#[test]
fn what_nobody_waits_for_comes_last_and_goes_first() {
    let mut queue = filled(3, [(0, Requester::Background), (1, Requester::Background), (2, client(1))]);
    assert_eq!(queue.wanted(), 1);
    assert_eq!(ask(&mut queue, 3, Requester::Background), Err(3));
    assert_eq!(ask(&mut queue, 4, client(1)), Ok(Some(1)));
    assert!(queue.join(0, client(2)).is_some());
    assert_eq!(queue.wanted(), 3);
    // It is a client's now, and stays the background's when that client goes.
    assert_eq!(ask(&mut queue, 5, client(1)), Err(5));
    assert_eq!(queue.leave(0, client(2)), None);
    assert_eq!(queue.wanted(), 2);
    assert_eq!(drain(&mut queue), [2, 4, 0]);
}

#[test]
fn the_turns_before_a_new_job_are_counted_by_client() {
    let flood = (0..50).map(|number| (number, client(1)));
    let mut queue = filled(99, flood.chain([(100, client(2))]));
    assert_eq!(queue.turns_before(client(1), 999), 51);
    assert_eq!(queue.turns_before(client(2), 999), 3);
    assert_eq!(queue.turns_before(client(3), 999), 2);
    assert_eq!(queue.turns_before(client(1), 7), 7);
    assert_eq!(queue.turns_before(Requester::Background, 999), 51);
    (0..50).for_each(|number| assert!(queue.join(number, client(3)).is_some()));
    // Shared jobs are made once.
    assert_eq!(queue.turns_before(client(1), 999), 51);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u8),
    /// One of the waiting jobs, by its rank.
    Join(u8, prop::sample::Index),
    Leave(prop::sample::Index),
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any_client = 0..6_u8;
    let step = prop_oneof![
        4 => any_client.clone().prop_map(Step::Ask),
        2 => (any_client, any::<prop::sample::Index>()).prop_map(|(client, job)| Step::Join(client, job)),
        2 => any::<prop::sample::Index>().prop_map(Step::Leave),
        2 => Just(Step::Pop),
    ];
    prop::collection::vec(step, 0..200)
}

/// Number 0 is the background.
fn requester(number: u8) -> Requester {
    if number == 0 { Requester::Background } else { client(number) }
}

/// The invariants of the bookkeeping after each call.
fn check(queue: &Queue, waiters: &[(u64, Requester)]) {
    assert!(queue.len() <= queue.capacity);
    let mut lines = BTreeMap::<Requester, BTreeSet<u64>>::new();
    for (number, waiting) in &queue.jobs {
        assert!(!waiting.claims.is_empty(), "a job that nobody waits for");
        for claim in &waiting.claims {
            assert!(lines.entry(claim.requester).or_default().insert(*number), "two claims of one requester");
            let count = waiters.iter().filter(|waiter| **waiter == (*number, claim.requester)).count();
            assert_eq!(claim.waiters, count);
            assert_eq!(queue.lines[&claim.requester].jobs[&claim.place], *number);
        }
    }
    assert_eq!(lines.len(), queue.lines.len());
    for (requester, jobs) in &lines {
        assert_eq!(queue.lines[requester].jobs.len(), jobs.len());
    }
    let clients: BTreeSet<_> = lines.keys().filter_map(|requester| requester.client()).collect();
    assert_eq!(queue.turns.values().copied().collect::<BTreeSet<_>>(), clients);
    assert_eq!(queue.turns.len(), clients.len());
    let lengths = clients.iter().map(|client| (lines[&Requester::Client(*client)].len(), *client));
    assert_eq!(queue.lengths, lengths.collect());
    assert_eq!(queue.wanted(), queue.jobs.values().filter(|waiting| waiting.is_wanted()).count());
}

/// Nobody loses a job to a client that has as many waiting as those who wait for it.
fn check_displaced(lengths: &BTreeMap<Requester, usize>, claims: &[Requester], pusher: Requester) {
    let own = lengths.get(&pusher).copied().unwrap_or(0) + 1;
    for claim in claims.iter().filter(|claim| claim.client().is_some()) {
        assert!(lengths[claim] > own, "{claim} lost a job with {} waiting to {own}", lengths[claim]);
    }
}

fn claims(queue: &Queue, number: u64) -> Vec<Requester> {
    queue.jobs[&number].claims.iter().map(|claim| claim.requester).collect()
}

proptest! {
    #[test]
    fn the_books_are_right_after_any_calls(capacity in 1..8_usize, steps in steps()) {
        let mut queue = Queue::new(capacity);
        let mut waiters: Vec<(u64, Requester)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let number = number as u64;
            match step {
                Step::Ask(who) => {
                    let pusher = requester(who);
                    let lengths: BTreeMap<_, _> = queue.lines.iter().map(|(who, line)| (*who, line.jobs.len())).collect();
                    let all: BTreeMap<_, _> = queue.jobs.keys().map(|number| (*number, claims(&queue, *number))).collect();
                    match ask(&mut queue, number, pusher) {
                        Ok(displaced) => {
                            waiters.push((number, pusher));
                            if let Some(displaced) = displaced {
                                check_displaced(&lengths, &all[&displaced], pusher);
                                waiters.retain(|(number, _)| *number != displaced);
                            }
                        }
                        Err(_) => prop_assert_eq!(queue.len(), capacity),
                    }
                }
                Step::Join(who, job) if !queue.is_empty() => {
                    let jobs: BTreeSet<_> = queue.jobs.keys().copied().collect();
                    let job = *jobs.iter().nth(job.index(jobs.len())).unwrap();
                    prop_assert!(queue.join(job, requester(who)).is_some());
                    waiters.push((job, requester(who)));
                }
                Step::Leave(who) if !waiters.is_empty() => {
                    let (job, who) = waiters.swap_remove(who.index(waiters.len()));
                    let is_last = !waiters.iter().any(|(other, _)| *other == job);
                    prop_assert_eq!(queue.leave(job, who).is_some(), is_last);
                }
                Step::Pop => {
                    let is_wanted = queue.wanted() > 0;
                    if let Some((number, _)) = queue.pop() {
                        let taken: Vec<_> = waiters.iter().filter(|(other, _)| *other == number).collect();
                        prop_assert_eq!(taken.iter().any(|(_, who)| who.client().is_some()), is_wanted);
                        waiters.retain(|(other, _)| *other != number);
                    } else {
                        prop_assert!(queue.is_empty());
                    }
                }
                Step::Join(..) | Step::Leave(_) => {}
            }
            check(&queue, &waiters);
        }
    }

    /// However the flood asks, the quiet client's one job gets in, is never displaced, and is taken after at most one
    /// job of each other client.
    #[test]
    fn a_flood_harms_only_itself(
        capacity in 8..40_usize,
        before in prop::collection::vec(1..=4_u8, 60..200),
        after in prop::collection::vec(prop::collection::vec(1..=4_u8, 0..60), 5),
    ) {
        const QUIET: u64 = u64::MAX;
        let mut queue = Queue::new(capacity);
        let mut number = 0;
        let mut flood = |queue: &mut Queue, asks: &[u8]| {
            for who in asks {
                number += 1;
                if let Ok(Some(displaced)) = ask(queue, number, client(*who)) {
                    assert_ne!(displaced, QUIET);
                }
            }
        };
        flood(&mut queue, &before);
        let promised = queue.turns_before(client(9), usize::MAX);
        prop_assert!(promised <= 4);
        prop_assert!(ask(&mut queue, QUIET, client(9)).is_ok());
        let mut turns = 0;
        for asks in &after {
            let (number, _) = queue.pop().unwrap();
            if number == QUIET {
                break;
            }
            turns += 1;
            flood(&mut queue, asks);
        }
        prop_assert!(turns <= promised, "{turns} turns, {promised} promised");
        prop_assert!(!queue.jobs.contains_key(&QUIET));
    }

    /// Nobody starves: each job is taken before any client has had more turns than jobs stood before it in a line.
    #[test]
    fn the_turns_that_are_promised_are_kept(asks in prop::collection::vec(1..=5_u8, 1..80)) {
        let mut queue = Queue::new(asks.len());
        let mut promised = Vec::new();
        for (number, who) in asks.iter().enumerate() {
            promised.push(queue.turns_before(client(*who), usize::MAX));
            prop_assert_eq!(ask(&mut queue, number as u64, client(*who)), Ok(None));
        }
        // Clients that came later take a turn each before each of its jobs, too.
        for (turn, number) in drain(&mut queue).into_iter().enumerate() {
            let who = asks[number as usize];
            let own = asks[..number as usize].iter().filter(|other| **other == who).count();
            prop_assert!(turn <= own + 4 * (own + 1), "job {number} at turn {turn}");
            prop_assert!(promised[number as usize] <= asks.len());
        }
    }
}
