//! The jobs of a shard, without a shard: who gets in, who waits, what the worker is handed, and how a job ends.

use std::fs::File;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use futures_lite::future::{block_on, poll_once};

use super::in_flight::{JobResult, JobWaiter};
use super::*;
use crate::image::recipe::{ENCODER_VERSION, OutputMax, Recipe};
use crate::object::ObjectId;
use crate::shard::oneshot::Receiver;
use crate::shard::timings::StageTimings;

const DEADLINE: Duration = Duration::from_secs(10);

/// The jobs of a shard whose worker is the test.
fn jobs(queue_max: usize) -> (ResizeJobs, flume::Receiver<ResizeJob>) {
    let (to_worker, worker) = flume::bounded(1);
    (ResizeJobs::new(queue_max, DEADLINE, Arc::default(), to_worker), worker)
}

fn client(number: u8) -> Requester {
    Requester::Client(IpAddr::from([10, 0, 0, number]).into())
}

fn key(number: u8) -> JobKey {
    (ObjectId::from_digest([number; 20]), [number; 16], Format::Png)
}

fn enqueue(jobs: &ResizeJobs, number: u8, requester: Requester) -> Result<Rc<InFlightJob>, VariantError> {
    let recipe = Recipe::parse(&format!("v{ENCODER_VERSION},png,9w"), 9, OutputMax::NONE).unwrap();
    let source = JobSource {
        path: PathBuf::new(),
        verified: None,
        format: Format::Gif,
        modified: SystemTime::UNIX_EPOCH,
    };
    jobs.enqueue(ResizeWork::Variant { recipe, leaves_small: false }, key(number), source, requester)
}

/// A request that enqueues a job and waits for it.
struct Request<'a> {
    in_flight: Rc<InFlightJob>,
    outcome: Receiver<ResizeOutcome>,
    _waiter: JobWaiter<'a>,
}

impl<'a> Request<'a> {
    fn begin(jobs: &'a ResizeJobs, number: u8, requester: Requester) -> Result<Self, VariantError> {
        let in_flight = enqueue(jobs, number, requester)?;
        Ok(Self::join(jobs, in_flight, requester))
    }

    fn join(jobs: &'a ResizeJobs, in_flight: Rc<InFlightJob>, requester: Requester) -> Self {
        let (waiter, outcome) = jobs.join(&in_flight, requester);
        Self { in_flight, outcome, _waiter: waiter }
    }

    /// The outcome that it was told, if any yet.
    fn told(&mut self) -> Option<ResizeError> {
        match block_on(poll_once(&mut self.outcome))?.unwrap() {
            ResizeOutcome::Failed(fault) => Some(fault),
            ResizeOutcome::Made(..) => panic!("nothing was made"),
        }
    }
}

/// The worker ends a job for which it had its processor all the time.
fn end(jobs: &ResizeJobs, number: u64, outcome: &ResizeOutcome, took: Duration) {
    let in_flight = jobs.complete(number, outcome, took, took);
    in_flight.expect("the job was handed to the worker").notify(outcome);
}

fn failed(jobs: &ResizeJobs, number: u64, fault: ResizeError, took: Duration) {
    end(jobs, number, &ResizeOutcome::Failed(fault), took);
}

fn made(jobs: &ResizeJobs, number: u64) {
    let stat = rustix::fs::fstat(File::open("/dev/null").unwrap()).unwrap();
    let made = ResizeOutcome::Made(Bytes::new(), Stamp::new(&stat), StageTimings::default());
    end(jobs, number, &made, Duration::from_millis(40));
}

#[test]
fn the_worker_has_one_job_and_gets_the_next_when_it_has_ended_that() {
    let (jobs, worker) = jobs(9);
    let _requests: Vec<_> = (1..4).map(|number| Request::begin(&jobs, number, client(1)).unwrap()).collect();
    assert_eq!(jobs.metrics.resize_queue.get(), 3);
    for number in 0..3 {
        assert_eq!(worker.try_recv().unwrap().number, number);
        assert!(worker.is_empty(), "the others wait in the queue, where they may be overtaken");
        made(&jobs, number);
    }
    assert!(jobs.is_idle() && worker.is_empty());
    assert_eq!(jobs.metrics.resize_queue.get(), 0);
    assert_eq!(jobs.metrics.resized(Resize::Ok), 3);
}

#[test]
fn while_a_result_waits_for_the_disk_in_memory_the_worker_gets_no_further_job() {
    let (jobs, worker) = jobs(9);
    let requests: Vec<_> = (1..4).map(|number| Request::begin(&jobs, number, client(1)).unwrap()).collect();
    made(&jobs, worker.try_recv().unwrap().number);
    let outcome = ResizeOutcome::Failed(ResizeError::NoHelper);
    *requests[0].in_flight.made.borrow_mut() = Some(JobResult::Writing(outcome));
    // It had the second one already.
    made(&jobs, worker.try_recv().unwrap().number);
    assert!(worker.is_empty() && !jobs.is_idle());
    *requests[0].in_flight.made.borrow_mut() = Some(JobResult::NoRoom);
    jobs.feed_worker();
    assert_eq!(worker.try_recv().unwrap().number, 2);
}

#[test]
fn a_full_queue_refuses_the_client_that_fills_it_and_displaces_its_newest_job_for_another() {
    let (jobs, worker) = jobs(2);
    let _in_hand = Request::begin(&jobs, 1, client(1)).unwrap();
    let mut first = Request::begin(&jobs, 2, client(1)).unwrap();
    let mut second = Request::begin(&jobs, 3, client(1)).unwrap();
    assert!(matches!(Request::begin(&jobs, 4, client(1)), Err(VariantError::Busy)));
    assert!(jobs.in_flight_job(&key(4)).is_none());
    let _other = Request::begin(&jobs, 5, client(2)).unwrap();
    assert_eq!((first.told(), second.told()), (None, Some(ResizeError::Displaced)));
    assert!(jobs.in_flight_job(&key(3)).is_none(), "the next request for it makes a new job");
    assert_eq!(jobs.metrics.resized(Resize::Refused), 2);
    assert_eq!(jobs.metrics.resize_queue.get(), 3);
    let handed = (0..3).map(|_| {
        let job = worker.try_recv().unwrap();
        made(&jobs, job.number);
        job.id
    });
    assert_eq!(handed.collect::<Vec<_>>(), [key(1).0, key(2).0, key(5).0]);
}

#[test]
fn a_job_whose_turn_would_come_after_its_deadline_is_refused_at_once() {
    let (jobs, worker) = jobs(9);
    let slow = Request::begin(&jobs, 1, client(1)).unwrap();
    drop(worker.try_recv().unwrap());
    failed(&jobs, slow.in_flight.number, ResizeError::Gone, DEADLINE);
    let _requests: Vec<_> = (2..5).map(|number| Request::begin(&jobs, number, client(1)).unwrap()).collect();
    assert!(matches!(Request::begin(&jobs, 5, client(1)), Err(VariantError::Busy)));
    assert!(Request::begin(&jobs, 6, client(2)).is_ok(), "its turn comes sooner");
}

#[test]
fn the_last_waiter_that_leaves_takes_its_job_from_the_queue() {
    let (jobs, worker) = jobs(9);
    let in_hand = Request::begin(&jobs, 1, client(1)).unwrap();
    let first = Request::begin(&jobs, 2, client(1)).unwrap();
    let second = Request::join(&jobs, jobs.in_flight_job(&key(2)).unwrap(), client(2));
    drop(first);
    assert!(jobs.in_flight_job(&key(2)).is_some(), "another request waits for it");
    drop(second);
    assert!(jobs.in_flight_job(&key(2)).is_none());
    assert_eq!(jobs.metrics.resized(Resize::Cancelled), 1);
    assert_eq!(jobs.metrics.resize_queue.get(), 1);
    drop(worker.try_recv().unwrap());
    made(&jobs, in_hand.in_flight.number);
    assert!(jobs.is_idle() && worker.is_empty());
}

#[test]
fn the_last_waiter_that_leaves_cancels_the_job_that_the_worker_has() {
    let (jobs, worker) = jobs(9);
    let first = Request::begin(&jobs, 1, client(1)).unwrap();
    let job = worker.try_recv().unwrap();
    let second = Request::join(&jobs, jobs.in_flight_job(&key(1)).unwrap(), client(1));
    drop(first);
    assert!(!job.cancelled.load(Relaxed));
    drop(second);
    assert!(job.cancelled.load(Relaxed) && jobs.in_flight_job(&key(1)).is_none());
    // The worker has it until it says that it has not; a new one of the same name is not touched by that.
    let mut newer = Request::begin(&jobs, 1, client(1)).unwrap();
    assert!(worker.is_empty());
    failed(&jobs, job.number, ResizeError::Cancelled, Duration::ZERO);
    assert_eq!(worker.try_recv().unwrap().number, newer.in_flight.number);
    assert_eq!(newer.told(), None);
    assert!(jobs.in_flight_job(&key(1)).is_some());
}

#[test]
fn a_pre_generated_job_gives_way_to_a_request_unless_one_waits_for_it() {
    let (jobs, worker) = jobs(9);
    let ahead = Request::begin(&jobs, 1, Requester::Background).unwrap();
    let job = worker.try_recv().unwrap();
    let gives_way = || job.is_pre_generation.load(Relaxed) && job.wanted.load(Relaxed) > 0;
    assert!(!gives_way());
    let other = Request::begin(&jobs, 2, client(1)).unwrap();
    assert!(gives_way());
    drop(other);
    assert!(!gives_way(), "no request waits any more");
    let _other = Request::begin(&jobs, 2, client(1)).unwrap();
    let _joined = Request::join(&jobs, Rc::clone(&ahead.in_flight), client(2));
    assert!(!gives_way(), "a request waits for this very job");
}

#[test]
fn a_failed_job_is_in_flight_no_more_and_a_made_one_until_its_result_lies_on_disk() {
    let (jobs, worker) = jobs(9);
    let mut request = Request::begin(&jobs, 1, client(1)).unwrap();
    drop(worker.try_recv().unwrap());
    failed(&jobs, 0, ResizeError::Unreadable("it".into()), Duration::ZERO);
    assert_eq!(request.told(), Some(ResizeError::Unreadable("it".into())));
    assert!(jobs.in_flight_job(&key(1)).is_none());
    assert_eq!((jobs.in_flight_ended.get(), jobs.metrics.resized(Resize::Failed)), (1, 1));
    let _request = Request::begin(&jobs, 1, client(1)).unwrap();
    made(&jobs, 1);
    assert!(jobs.in_flight_job(&key(1)).is_some_and(|in_flight| in_flight.number == 1));
    jobs.remove_in_flight(&key(1), 0);
    assert!(jobs.in_flight_job(&key(1)).is_some(), "it is another job's");
    jobs.remove_in_flight(&key(1), 1);
    assert!(jobs.in_flight_job(&key(1)).is_none());
    assert_eq!(jobs.in_flight_ended.get(), 2);
}

#[test]
fn a_variant_that_has_burnt_its_deadline_is_not_enqueued() {
    let (jobs, worker) = jobs(9);
    let _request = Request::begin(&jobs, 1, client(1)).unwrap();
    drop(worker.try_recv().unwrap());
    failed(&jobs, 0, ResizeError::Deadline, DEADLINE);
    assert!(matches!(enqueue(&jobs, 1, client(1)), Err(VariantError::TooSlow(_))));
    assert!(jobs.is_idle() && worker.is_empty());
}

#[test]
fn a_request_that_comes_while_a_job_is_given_up_at_its_deadline_starts_no_second_one() {
    let (jobs, worker) = jobs(9);
    let given_up = Request::begin(&jobs, 1, client(1)).unwrap();
    let job = worker.try_recv().unwrap();
    // Its requests have left at their deadline, and the worker has not noticed yet.
    drop(given_up);
    let mut late = Request::begin(&jobs, 1, client(1)).unwrap();
    let mut other = Request::begin(&jobs, 2, client(1)).unwrap();
    failed(&jobs, job.number, ResizeError::Deadline, DEADLINE);
    assert_eq!(worker.try_recv().unwrap().id, key(2).0, "the next job of another variant is handed out");
    assert!(matches!(late.told(), Some(ResizeError::TooSlow(_))));
    assert_eq!(other.told(), None);
    assert!(jobs.in_flight_job(&key(1)).is_none());
    assert_eq!((jobs.metrics.resize_queue.get(), jobs.metrics.resized(Resize::Deadline)), (1, 2));
}
