//! This node's part in its cluster, on the control executor and on no request's way.
//!
//! * [`driver`]: the core and what it wants done, without any I/O of its own.
//! * [`outside`]: the real world: the shards, the disk, the log, other nodes.
//! * [`keep`]: what is remembered over a restart. [`publish`]: views to the shards. [`journal`]: lines in the log.
//!
//! One task, [`run`], owns all of it. It alone takes from the channels on which other threads send to it, and it
//! lives as long as the process.

pub(super) mod driver;
mod journal;
pub(super) mod keep;
pub(super) mod outside;
mod publish;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use futures_lite::future;

use self::driver::{Driver, World};
use self::outside::Outside;
use crate::cluster::core::{Boot, Input, Settings};
use crate::cluster::time::Time;
use crate::cluster::view::Writes;
use crate::shard::line::{Ears, Letter, Report};

/// The longest time without a look around. Each look is a beat by which the others see that control lives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Without a look for so long this process was stopped or its core was taken away. What the others sent meanwhile
/// comes first then, for else they would all be called down.
const GAP: Duration = Duration::from_millis(1_500);

/// How long what came meanwhile may take to arrive.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Letters that are read before the clock is looked at again.
const LETTERS_AT_ONCE: usize = 64;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// Orders that may wait: one layout being kept, one farewell, and some troubles, which may be lost.
const ORDERS_MAX: usize = 16;

/// What happens on the control executor itself.
#[derive(Debug)]
pub(super) enum Order {
    /// The layout of this number is durable, or not.
    Kept(u64, bool),
    /// A message could not be delivered because of this.
    Trouble(Trouble),
    /// The process is about to end; tell the others, and then here.
    Leave(flume::Sender<()>),
}

/// Why another node does not even read a message. Whoever merely does not answer is no trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// It belongs to another cluster.
    ForeignCluster,
    /// It has another secret.
    WrongSecret,
}

/// The channel of orders.
pub(super) fn orders() -> (flume::Sender<Order>, flume::Receiver<Order>) {
    flume::bounded(ORDERS_MAX)
}

/// What [`run`] takes from.
pub(super) struct Inbox {
    pub(super) ears: Ears,
    pub(super) orders: flume::Receiver<Order>,
}

enum Heard {
    Report(Report),
    Letter(Letter),
    Order(Order),
    Nothing,
}

/// Drives the core until the process ends. `settled` is called once, when this node may listen: it has a layout by
/// which all its shards work, or it has to be asked before it can get one.
pub(super) async fn run(
    settings: Settings,
    boot: Boot,
    world: Outside,
    inbox: Inbox,
    settled: impl FnOnce(),
) {
    let clock = Clock(Instant::now());
    let joins = !settings.join.is_empty();
    let mut driver = Driver::new(settings, boot, world, clock.now());
    let (mut settled, mut last, mut quiet_until) = (Some(settled), Instant::now(), Instant::now());
    loop {
        let due = Duration::from_millis(driver.next_deadline().since(clock.now()));
        let quiet = quiet_until.saturating_duration_since(Instant::now());
        let heard = inbox.next(due.max(quiet).min(LOOK_EVERY)).await;
        driver.world().beat();
        let gap = last.elapsed() > GAP;
        last = Instant::now();
        take(&mut driver, heard, clock.now()).await;
        for letter in inbox.ears.letters.try_iter().take(LETTERS_AT_ONCE) {
            take(&mut driver, Heard::Letter(letter), clock.now()).await;
        }
        if gap {
            // This tells the core that time was lost; what is due then waits for the letters.
            driver.handle(Input::Tick, clock.now());
            quiet_until = Instant::now() + CATCH_UP;
        } else if quiet_until <= last && driver.next_deadline() <= clock.now() {
            driver.handle(Input::Tick, clock.now());
        }
        let is_member = driver.view().writes() != Writes::NotJoined;
        let is_settled = joins || (is_member && driver.world().is_shown());
        if let Some(settled) = settled.take_if(|_| is_settled) {
            settled();
        }
    }
}

async fn take(driver: &mut Driver<Outside>, heard: Heard, now: Time) {
    match heard {
        Heard::Report(Report::ViewTaken { shard, number }) => {
            driver.world().taken(shard, number);
            driver.settle(now);
        }
        Heard::Report(Report::HoldsImages) => driver.handle(Input::HoldsImages(true), now),
        Heard::Letter(letter) => driver.handle(Input::Message(&letter.bytes), now),
        Heard::Order(Order::Kept(sequence, true)) => {
            driver.world().kept();
            driver.handle(Input::Persisted(sequence), now);
        }
        Heard::Order(Order::Kept(sequence, false)) => driver.handle(Input::PersistFailed(sequence), now),
        Heard::Order(Order::Trouble(trouble)) => driver.world().note(trouble, now),
        Heard::Order(Order::Leave(done)) => {
            driver.handle(Input::Leave, now);
            let late = Instant::now() + FAREWELL;
            while !driver.world().is_delivered() && Instant::now() < late {
                glommio::timer::sleep(Duration::from_millis(5)).await;
            }
            let _ = done.try_send(());
        }
        Heard::Nothing => {}
    }
}

impl Inbox {
    async fn next(&self, wait: Duration) -> Heard {
        let report = async { self.ears.reports.recv_async().await.map_or(Heard::Nothing, Heard::Report) };
        let letter = async { self.ears.letters.recv_async().await.map_or(Heard::Nothing, Heard::Letter) };
        let order = async { self.orders.recv_async().await.map_or(Heard::Nothing, Heard::Order) };
        let late = async {
            glommio::timer::sleep(wait).await;
            Heard::Nothing
        };
        future::or(future::or(order, report), future::or(letter, late)).await
    }
}

/// Monotonic time since the start.
struct Clock(Instant);

impl Clock {
    fn now(&self) -> Time {
        Time::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
