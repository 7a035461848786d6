//! Questions from shard to shard: bounded, never waiting to be sent, at most one hop.
//!
//! No send can block or be lost, by arithmetic: a shard has at most [`ASKS_MAX`] questions under way,
//! and a mailbox has room for the questions of all shards and their withdrawals, the answers to its own,
//! and its worker's results. A question beyond the bound is refused where it arises, and counted.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::message::{Answer, Ask, Message};
use super::oneshot;
use crate::telemetry::metrics::ShardMetrics;

/// Questions that one shard may have under way, to all other shards together.
pub const ASKS_MAX: usize = 1024;

/// Room for letters that are neither question nor answer: from control, and from the worker, which
/// works on one job at a time and waits for room.
const EXTRA: usize = 16;

/// One shard's access to the others.
#[derive(Debug)]
pub struct Mesh {
    index: usize,
    mailboxes: Vec<flume::Sender<Message>>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Answer>>>,
    tickets: Cell<u64>,
    metrics: Arc<ShardMetrics>,
}

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskError {
    /// Too many are under way: try again in a moment.
    Full,
    /// The asked shard failed while working on it.
    Failed,
}

/// Removes the waiting entry when the asker leaves before the answer, and tells the asked shard if
/// that would work on for nothing.
struct Ticket<'a> {
    mesh: &'a Mesh,
    number: u64,
    /// Whom to tell.
    working: Option<usize>,
}

impl Mesh {
    /// The mailboxes of a node of `shards` shards.
    pub fn mailboxes(shards: usize) -> Vec<(flume::Sender<Message>, flume::Receiver<Message>)> {
        (0..shards).map(|_| flume::bounded(shards * ASKS_MAX * 2 + ASKS_MAX + EXTRA)).collect()
    }

    /// The mesh as seen by shard number `index`.
    pub fn new(index: usize, mailboxes: Vec<flume::Sender<Message>>, metrics: Arc<ShardMetrics>) -> Self {
        Self { index, mailboxes, waiting: RefCell::default(), tickets: Cell::new(0), metrics }
    }

    /// Shards of the node.
    pub fn shards(&self) -> usize {
        self.mailboxes.len()
    }

    /// This shard's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Asks shard number `shard` and waits for its answer.
    ///
    /// # Errors
    /// [`AskError`]. After `Failed` the asked work may or may not have been done.
    pub async fn ask(&self, shard: usize, ask: Ask) -> Result<Answer, AskError> {
        let number = self.tickets.get();
        self.tickets.set(number + 1);
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.len() >= ASKS_MAX {
                self.metrics.mesh_refused.add();
                return Err(AskError::Full);
            }
            waiting.insert(number, sender);
        }
        let working = matches!(ask, Ask::Variant(_)).then_some(shard);
        let _ticket = Ticket { mesh: self, number, working };
        let message = Message::Ask { from: self.index, ticket: number, ask };
        if self.mailboxes[shard].try_send(message).is_err() {
            // Not full, by the arithmetic above, so the shard has ended, and with it the process.
            self.metrics.mesh_refused.add();
            return Err(AskError::Failed);
        }
        answer.await.ok_or(AskError::Failed)
    }

    /// Sends an answer back to shard number `to`.
    pub(super) fn answer(&self, to: usize, ticket: u64, answer: Option<Answer>) {
        // There is room, by the arithmetic above; a shard that has ended needs no answer.
        let _ = self.mailboxes[to].try_send(Message::Answer { ticket, answer });
    }

    /// An answer has come.
    pub(super) fn complete(&self, ticket: u64, answer: Option<Answer>) {
        let sender = self.waiting.borrow_mut().remove(&ticket);
        if let (Some(sender), Some(answer)) = (sender, answer) {
            sender.send(answer);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let left = self.mesh.waiting.borrow_mut().remove(&self.number);
        if let (Some(_), Some(shard)) = (&left, self.working) {
            // There is room: at most one for each question that is under way.
            let withdrawal = Message::Withdraw { from: self.mesh.index, ticket: self.number };
            let _ = self.mesh.mailboxes[shard].try_send(withdrawal);
        }
        drop(left);
    }
}

/// A shard's mesh, shared by its tasks.
pub type SharedMesh = Rc<Mesh>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectId;
    use futures_lite::future::{block_on, poll_once};

    fn mesh() -> (Mesh, flume::Receiver<Message>) {
        let mut mailboxes = Mesh::mailboxes(2);
        let (theirs, receiver) = mailboxes.remove(1);
        let (mine, _) = mailboxes.remove(0);
        (Mesh::new(0, vec![mine, theirs], Arc::default()), receiver)
    }

    #[test]
    fn the_question_over_the_bound_is_refused_and_those_under_way_are_answered() {
        let (mesh, theirs) = mesh();
        let ask = || Box::pin(mesh.ask(1, Ask::Find(ObjectId::from_digest([0; 20]))));
        let mut waiting: Vec<_> = (0..ASKS_MAX).map(|_| ask()).collect();
        for one in &mut waiting {
            assert!(block_on(poll_once(one)).is_none());
        }
        assert!(matches!(block_on(ask()), Err(AskError::Full)));
        assert_eq!(theirs.len(), ASKS_MAX);
        for message in theirs.drain() {
            let Message::Ask { ticket, .. } = message else { panic!("only questions were sent") };
            mesh.complete(ticket, Some(Answer::Noted));
        }
        for one in waiting {
            assert!(matches!(block_on(one), Ok(Answer::Noted)));
        }
    }

    #[test]
    fn an_asker_that_leaves_makes_room() {
        let (mesh, _theirs) = mesh();
        let mut one = Box::pin(mesh.ask(1, Ask::Find(ObjectId::from_digest([0; 20]))));
        assert!(block_on(poll_once(&mut one)).is_none());
        drop(one);
        assert_eq!(mesh.waiting.borrow().len(), 0);
    }
}
