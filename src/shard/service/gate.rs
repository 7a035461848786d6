//! The way to another node for questions that may take long, fairly by client.
//!
//! A shard has few connections to a node (`peer/pool`), and a question for a cold variant keeps one until the variant
//! is made. Asked in the order of their coming, one client's questions would stand before everybody's, and before the
//! node's own (repair, copies, whether an image is there). So a part of the connections is left to those, and for
//! the others questions wait by turns.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::super::oneshot;
use crate::peer::requester::Requester;
use crate::shard::queue::FairQueue;

/// Questions for variants that are under way from one shard to one node; of 16 connections that leaves four.
const UNDER_WAY_MAX: usize = 12;

/// The questions of one shard to one node.
#[derive(Debug)]
pub(in crate::shard) struct Gate {
    under_way: Cell<usize>,
    waiting: RefCell<FairQueue<oneshot::Sender<Pass>>>,
    next: Cell<u64>,
}

/// Leave to ask; dropping it lets the next one in.
#[derive(Debug)]
pub(in crate::shard) struct Pass(Rc<Gate>);

/// Too many wait, and none who waits has more waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Full;

/// One who waits; it gives up its place when it is dropped.
struct Waiter<'a> {
    gate: &'a Gate,
    number: u64,
    requester: Requester,
}

impl Gate {
    /// At most `waiting_max` wait.
    pub(in crate::shard) fn new(waiting_max: usize) -> Rc<Self> {
        let waiting = RefCell::new(FairQueue::new(waiting_max));
        Rc::new(Self { under_way: Cell::new(0), waiting, next: Cell::new(0) })
    }

    /// Waits for its turn.
    ///
    /// # Errors
    /// [`Full`], at once or when one who has less waiting comes.
    pub(in crate::shard) async fn enter(self: &Rc<Self>, requester: Requester) -> Result<Pass, Full> {
        if self.under_way.get() < UNDER_WAY_MAX {
            return Ok(self.pass());
        }
        let (sender, turn) = oneshot::channel();
        let number = self.next.get();
        self.next.set(number + 1);
        // Dropped here, a displaced sender wakes the one who waits, which finds no pass.
        let pushed = self.waiting.borrow_mut().push(number, requester, sender);
        drop(pushed.map_err(|_| Full)?);
        let _waiter = Waiter { gate: self, number, requester };
        turn.await.ok_or(Full)
    }

    /// Whether nobody asks or waits.
    pub(in crate::shard) fn is_idle(&self) -> bool {
        self.under_way.get() == 0 && self.waiting.borrow().is_empty()
    }

    fn pass(self: &Rc<Self>) -> Pass {
        self.under_way.set(self.under_way.get() + 1);
        assert!(
            self.under_way.get() <= UNDER_WAY_MAX,
            "invariant: gate: some connections are left to the node's own questions"
        );
        Pass(Rc::clone(self))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let gate = &self.0;
        assert!(gate.under_way.get() > 0, "invariant: gate: every pass is counted");
        gate.under_way.set(gate.under_way.get() - 1);
        let next = gate.waiting.borrow_mut().pop();
        if let Some((_, sender)) = next {
            // If it has left meanwhile, the pass is dropped with the channel, and lets in the one behind it.
            sender.send(gate.pass());
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let left = self.gate.waiting.borrow_mut().leave(self.number, self.requester);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::net::IpAddr;

    fn client(last: u8) -> Requester {
        Requester::Client(IpAddr::from([10, 0, 0, last]).into())
    }

    fn full(gate: &Rc<Gate>) -> Vec<Pass> {
        (0..UNDER_WAY_MAX).map(|_| block_on(gate.enter(client(1))).unwrap()).collect()
    }

    #[test]
    fn questions_wait_by_client_and_each_that_ends_lets_one_in() {
        let gate = Gate::new(9);
        let mut passes = full(&gate);
        let mut waiting: Vec<_> =
            [1, 1, 1, 2].into_iter().map(|last| Box::pin(gate.enter(client(last)))).collect();
        for one in &mut waiting {
            assert!(block_on(poll_once(one)).is_none());
        }
        let mut let_in = Vec::new();
        for _ in 0..4 {
            passes.pop();
            let ready = waiting.iter_mut().enumerate().find_map(|(index, one)| {
                let entered = (!let_in.contains(&index)).then(|| block_on(poll_once(one)))??;
                Some((index, entered.unwrap()))
            });
            let (index, pass) = ready.unwrap();
            let_in.push(index);
            passes.push(pass);
        }
        assert_eq!(let_in, [0, 3, 1, 2]);
        drop((waiting, passes));
        assert!(gate.is_idle());
    }

    #[test]
    fn a_flood_that_waits_is_displaced_and_one_that_leaves_makes_room() {
        let gate = Gate::new(2);
        let passes = full(&gate);
        let mut flood = [Box::pin(gate.enter(client(1))), Box::pin(gate.enter(client(1)))];
        for one in &mut flood {
            assert!(block_on(poll_once(one)).is_none());
        }
        assert_eq!(block_on(gate.enter(client(1))).err(), Some(Full));
        let mut quiet = Box::pin(gate.enter(client(2)));
        assert!(block_on(poll_once(&mut quiet)).is_none());
        let [first, second] = flood;
        assert_eq!(block_on(second).err(), Some(Full));
        drop(first);
        let mut other = Box::pin(gate.enter(client(1)));
        assert!(block_on(poll_once(&mut other)).is_none());
        drop(passes);
        assert!(block_on(quiet).is_ok() && block_on(other).is_ok() && gate.is_idle());
    }

    #[test]
    fn a_turn_that_comes_to_one_who_has_left_goes_to_the_next() {
        let gate = Gate::new(9);
        let mut passes = full(&gate);
        let mut first = Box::pin(gate.enter(client(1)));
        let mut second = Box::pin(gate.enter(client(1)));
        assert!(block_on(poll_once(&mut first)).is_none() && block_on(poll_once(&mut second)).is_none());
        passes.pop();
        // It has its turn, but does not look any more.
        drop(first);
        assert!(block_on(second).is_ok());
    }
}
