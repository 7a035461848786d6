use super::*;

/// A shard on which each turn that works delays the executor, while more turns are always wanted.
struct Model {
    budget: RepairBudget,
    now: Time,
    /// Microseconds by which each turn that works delays a request.
    delay_us: u64,
    has_requests: bool,
    /// The turns that worked in the last window, on average.
    pace: f64,
}

const TURN_US: u64 = 5_000;

impl Model {
    fn new(delay_us: u64, has_requests: bool) -> Self {
        Self { budget: RepairBudget::default(), now: Time::default(), delay_us, has_requests, pace: 0.0 }
    }

    fn window(&mut self) -> u32 {
        while self.budget.may_take() {
            self.budget.take();
        }
        let turns = self.budget.taken();
        let works = TURN_US as f64 / (TURN_US + self.budget.rest_after(TURN_US)) as f64;
        self.pace = f64::from(turns) * works;
        for probe in 0..50 {
            // A turn that rests delays nobody.
            let is_working = f64::from(probe) < 50.0 * works;
            self.budget.note_delay(if is_working { self.delay_us * u64::from(turns) } else { 0 });
        }
        (0..turns).for_each(|_| self.budget.give_back());
        assert!(!self.budget.is_due(self.now));
        self.now = self.now.after(RepairBudget::WINDOW_MS);
        assert!(self.budget.is_due(self.now));
        self.budget.decide(self.now, self.has_requests);
        turns
    }

    fn windows(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.window()).collect()
    }
}

#[test]
fn an_idle_shard_has_all_turns_within_a_second() {
    let mut model = Model::new(10_000, false);
    assert_eq!(model.windows(5), [2, 4, 8, 16, 16]);
}

#[test]
fn beside_requests_that_are_in_time_there_are_a_few_turns() {
    let mut model = Model::new(100, true);
    assert_eq!(model.windows(4), [2, 2, 2, 2]);
    model.has_requests = false;
    assert_eq!(model.windows(4)[3], 16);
    model.has_requests = true;
    assert_eq!(model.windows(3), [16, 2, 2]);
}

#[test]
fn requests_that_are_late_halve_the_turns_and_then_make_them_rest() {
    let mut model = Model::new(0, false);
    model.windows(8);
    (model.has_requests, model.delay_us) = (true, 5_000);
    assert_eq!(model.windows(5), [16, 2, 1, 1, 1]);
    let paces: Vec<_> = (0..4).map(|_| (model.window(), model.pace).1).collect();
    assert!(paces.iter().all(|pace| (0.19..0.51).contains(pace)), "{paces:?}");
}

#[test]
fn turns_settle_where_requests_are_not_late() {
    // One turn delays a request by less than a millisecond, and two do not.
    let mut model = Model::new(600, true);
    let turns = model.windows(100);
    let mean = f64::from(turns[20..].iter().sum::<u32>()) / 80.0;
    assert!((1.0..2.0).contains(&mean), "{mean} {turns:?}");
    assert!(turns[20..].iter().all(|turns| *turns <= 2));
}

#[test]
fn a_repair_never_stops_however_late_requests_are() {
    let mut model = Model::new(1_000_000, true);
    for _ in 0..50 {
        model.window();
        assert!(model.pace >= 1.0 / f64::from(RepairBudget::REST_MAX + 1));
    }
}

#[test]
fn it_is_at_full_pace_again_when_the_requests_have_ended() {
    let mut model = Model::new(5_000, true);
    model.windows(20);
    model.has_requests = false;
    assert_eq!(model.windows(30)[25..], [16; 5]);
}

#[test]
fn a_shard_without_repairs_gets_no_more_turns() {
    let (mut budget, mut now) = (RepairBudget::default(), Time::default());
    for _ in 0..20 {
        assert!(budget.may_take());
        budget.is_due(now);
        now = now.after(RepairBudget::WINDOW_MS);
        budget.decide(now, false);
    }
    assert_eq!(budget.limit(), 2);
}
