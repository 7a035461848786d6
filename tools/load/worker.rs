//! The connections of one thread, driven by one epoll set.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::connection::{Connection, Ended};
use crate::schedule::{Moment, Schedule};
use crate::tally::{Failure, Tally};
use crate::verdict::judge;
use crate::work::{Random, Workload};

/// Events that are taken at once.
const EVENTS: usize = 256;

/// The timer's number among the connections.
const TIMER: u64 = u64::MAX;

/// A timer that is set to a moment so near, in nanoseconds, is not set again.
const TIMER_STEP: u64 = 1_000;

/// The time after the end in which answers are waited for.
const GRACE: Duration = Duration::from_secs(10);

/// The pause after a connection that could not be made.
const RETRY: Duration = Duration::from_millis(50);

/// A second's tally of one thread.
#[derive(Debug)]
pub(crate) struct SecondTally {
    /// Since the start.
    pub(crate) second: u64,
    pub(crate) tally: Tally,
}

pub(crate) struct Worker {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Those that wait for a request.
    idle: Vec<usize>,
    /// Those that wait before they connect again, and until when.
    resting: Vec<(Moment, usize)>,
    work: Arc<Workload>,
    schedule: Arc<Schedule>,
    random: Random,
    timer: OwnedFd,
    /// When the timer ends the next wait.
    timer_at: Moment,
    second: u64,
    tally: Tally,
    tallies: flume::Sender<SecondTally>,
}

impl Worker {
    /// # Errors
    /// The system has no further epoll set.
    pub(crate) fn new(
        thread: usize,
        connections: usize,
        work: Arc<Workload>,
        schedule: Arc<Schedule>,
        tallies: flume::Sender<SecondTally>,
    ) -> io::Result<Self> {
        let seed = std::process::id() as u64
            ^ std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
        let nodes = work.nodes.len();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            epoll,
            timer,
            timer_at: 0,
            connections: (0..connections).map(|at| Connection::new((at + thread) % nodes)).collect(),
            idle: (0..connections).rev().collect(),
            resting: Vec::new(),
            work,
            schedule,
            random: Random(seed.wrapping_add((thread as u64) << 40)),
            second: 0,
            tally: Tally::new(),
            tallies,
        })
    }

    /// Runs the load to its end.
    ///
    /// # Errors
    /// The system refuses to wait for events.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let now = self.schedule.now();
            self.turn_second(now);
            self.wake_resting(now);
            self.begin(now);
            let is_over = self.schedule.is_over(now);
            if is_over && (now >= self.deadline() || !self.connections.iter().any(Connection::is_busy)) {
                break;
            }
            self.set_timer(self.pause(now, is_over))?;
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                if event.data.u64() != TIMER {
                    self.advance(event.data.u64() as usize);
                }
            }
        }
        self.finish();
        Ok(())
    }

    /// When answers are no longer waited for.
    fn deadline(&self) -> Moment {
        self.schedule.end().saturating_add(GRACE.as_nanos() as u64)
    }

    /// Has the next wait end after this pause. The timeout of a wait is in whole milliseconds, too coarse for a rate.
    fn set_timer(&mut self, pause: Duration) -> io::Result<()> {
        let at = self.schedule.now() + pause.as_nanos() as u64;
        if at.abs_diff(self.timer_at) < TIMER_STEP && self.timer_at > self.schedule.now() {
            return Ok(());
        }
        self.timer_at = at;
        // A pause of nothing would disarm the timer.
        let value =
            Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: i64::from(pause.subsec_nanos().max(1)) };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// The time in which there is nothing to do but to wait for events.
    fn pause(&self, now: Moment, is_over: bool) -> Duration {
        let second_ends = (self.second + 1) * 1_000_000_000;
        let mut pause = Duration::from_nanos(second_ends.saturating_sub(now));
        if !is_over && !self.idle.is_empty() {
            pause = pause.min(self.schedule.pause(now));
        }
        for (until, _) in &self.resting {
            pause = pause.min(Duration::from_nanos(until.saturating_sub(now)));
        }
        pause
    }

    /// Gives requests that are due to idle connections.
    fn begin(&mut self, now: Moment) {
        while !self.idle.is_empty() {
            let Some(intended) = self.schedule.claim(now) else { return };
            let Some(job) = self.work.next(&mut self.random) else {
                self.schedule.use_up();
                return;
            };
            let Some(at) = self.idle.pop() else { return };
            let connection = &mut self.connections[at];
            connection.begin(&self.work, job, intended);
            let ended = if connection.stream.is_none() && !connect(&self.epoll, connection, &self.work, at) {
                connection.fail(Failure::Connect)
            } else {
                connection.send()
            };
            self.settle(at, ended);
        }
    }

    fn advance(&mut self, at: usize) {
        let ended = self.connections[at].advance(&self.work, judge);
        self.settle(at, ended);
    }

    /// Counts a request that has ended, and lets the connection take another.
    fn settle(&mut self, at: usize, ended: Option<Ended>) {
        let Some(Ended { job, intended, outcome, bytes }) = ended else { return };
        let now = self.schedule.now();
        self.turn_second(now);
        let is_down = outcome == Err(Failure::Connect);
        match outcome {
            Ok(()) => self.tally.note(job.kind(), now.saturating_sub(intended), bytes),
            Err(failure) => self.tally.note_failure(job.kind(), failure),
        }
        if is_down {
            self.resting.push((now + RETRY.as_nanos() as u64, at));
        } else {
            self.idle.push(at);
        }
    }

    fn wake_resting(&mut self, now: Moment) {
        let idle = &mut self.idle;
        self.resting.retain(|(until, at)| {
            let rests = *until > now;
            if !rests {
                idle.push(*at);
            }
            rests
        });
    }

    /// Hands over the tally of a second that has passed.
    fn turn_second(&mut self, now: Moment) {
        let second = now / 1_000_000_000;
        if second > self.second {
            self.send_tally();
            self.second = second;
        }
    }

    fn send_tally(&mut self) {
        if !self.tally.is_empty() {
            // The collector stays until all threads have ended.
            let _ = self.tallies.send(SecondTally { second: self.second, tally: self.tally.clone() });
            self.tally.clear();
        }
    }

    fn finish(&mut self) {
        for at in 0..self.connections.len() {
            let ended = self.connections[at].fail(Failure::Unfinished);
            self.settle(at, ended);
        }
        self.send_tally();
    }
}

/// Begins to connect and has the events of the connection reported, each once.
fn connect(epoll: &OwnedFd, connection: &mut Connection, work: &Workload, at: usize) -> bool {
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    connection
        .connect(work)
        .is_ok_and(|stream| epoll::add(epoll, stream, EventData::new_u64(at as u64), flags).is_ok())
}
