//! Questions from shard to shard: bounded, never waiting to be sent, at most one hop.
//!
//! No send waits. A shard has at most [`REQUESTS_MAX`] questions under way, and refuses the next one where it arises. A
//! mailbox has room for the questions of all shards and their withdrawals, for the answers to its own questions, and
//! for its worker's results.
//!
//! That room is enough while the shard takes its messages. It is no proof: an asker that leaves gives up its place at
//! once, and its messages stay in the mailbox until they are taken. So a mailbox can be full, and it is closed when its
//! shard has ended. Then it refuses the message, which is counted by kind and reason.
//!
//! * The asker of a refused question hears [`AskError::Failed`].
//! * The asker of a refused answer waits until it leaves.
//! * A refused withdrawal costs work that nobody waits for.
//!
//! Questions for variants may be under way for long, and each is some client's. A client may have as many of them as
//! places are free: alone it gets half of all places, and of *n* that ask for more than there is each gets one part
//! of *n* + 1, for the last part stays free. So a client that floods is refused, and the others are not.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

use super::errors::AskError;
use super::message::{Message, ShardReply, ShardRequest};
use super::oneshot;
use crate::peer::requester::ClientAddress;
use crate::telemetry::metrics::{ChannelMessage, ChannelRefusal, ShardMetrics, channel};

/// Questions that one shard may have under way, to all other shards together.
pub const REQUESTS_MAX: usize = 1024;

/// Room for messages that are neither request nor reply: from control, and from the worker, which works on one job at a
/// time and waits for room.
const EXTRA: usize = 16;

/// One shard's access to the others.
#[derive(Debug)]
pub struct Mesh {
    index: usize,
    mailboxes: Vec<flume::Sender<Message>>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<ShardReply>>>,
    /// Questions under way by the client that waits for them; a client without any is not here.
    held: RefCell<HashMap<ClientAddress, usize>>,
    tickets: Cell<u64>,
    metrics: Arc<ShardMetrics>,
}

/// Removes the waiting entry when the asker leaves before the answer, and tells the asked shard if
/// that would work on for nothing.
struct Ticket<'a> {
    mesh: &'a Mesh,
    number: u64,
    /// The shard to tell.
    working: Option<usize>,
    client: Option<ClientAddress>,
}

impl Mesh {
    /// The mailboxes of a node of `shards` shards.
    pub fn mailboxes(shards: usize) -> Vec<(flume::Sender<Message>, flume::Receiver<Message>)> {
        (0..shards).map(|_| flume::bounded(shards * REQUESTS_MAX * 2 + REQUESTS_MAX + EXTRA)).collect()
    }

    /// The mesh as seen by shard number `index`.
    pub fn new(index: usize, mailboxes: Vec<flume::Sender<Message>>, metrics: Arc<ShardMetrics>) -> Self {
        assert!(index < mailboxes.len(), "invariant: mesh: a shard has a mailbox of its own");
        Self {
            index,
            mailboxes,
            waiting: RefCell::default(),
            held: RefCell::default(),
            tickets: Cell::new(0),
            metrics,
        }
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
    pub async fn ask(&self, shard: usize, request: ShardRequest) -> Result<ShardReply, AskError> {
        assert!(shard != self.index, "invariant: mesh: a shard does not ask itself");
        assert!(shard < self.mailboxes.len(), "invariant: mesh: a shard that is asked exists");
        let number = self.tickets.get();
        self.tickets.set(number + 1);
        let (sender, reply) = oneshot::channel();
        let client = request.client();
        if !self.has_room(client) {
            self.metrics.mesh_refused.add();
            channel::count_refused(ChannelMessage::Request, ChannelRefusal::Full);
            return Err(AskError::Full);
        }
        let before = self.waiting.borrow_mut().insert(number, sender);
        assert!(before.is_none(), "invariant: mesh: every question has a ticket of its own");
        assert!(
            self.waiting.borrow().len() <= REQUESTS_MAX,
            "invariant: mesh: a bounded number is under way"
        );
        if let Some(client) = client {
            *self.held.borrow_mut().entry(client).or_default() += 1;
        }
        let working = matches!(request, ShardRequest::Variant(_)).then_some(shard);
        let _ticket = Ticket { mesh: self, number, working, client };
        let message = Message::Request { from: self.index, ticket: number, request };
        if !message.post(&self.mailboxes[shard]) {
            // Its mailbox is full, so that nothing was done; or the shard has ended, and with it the process.
            self.metrics.mesh_refused.add();
            return Err(AskError::Full);
        }
        reply.await.ok_or(AskError::Failed)
    }

    /// Whether one more question may be under way, on behalf of this client if it is one's.
    fn has_room(&self, client: Option<ClientAddress>) -> bool {
        let free = REQUESTS_MAX.saturating_sub(self.waiting.borrow().len());
        let held = client.and_then(|client| self.held.borrow().get(&client).copied());
        held.unwrap_or(0) < free
    }

    /// Sends an answer back to shard number `to`.
    pub fn answer(&self, to: usize, ticket: u64, reply: Option<ShardReply>) {
        // One that is refused is counted; a shard that has ended needs no answer.
        Message::Reply { ticket, reply }.post(&self.mailboxes[to]);
    }

    /// An answer has come.
    pub fn complete(&self, ticket: u64, reply: Option<ShardReply>) {
        let sender = self.waiting.borrow_mut().remove(&ticket);
        if let (Some(sender), Some(reply)) = (sender, reply) {
            sender.send(reply);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client
            && let Entry::Occupied(mut held) = self.mesh.held.borrow_mut().entry(client)
        {
            assert!(*held.get() > 0, "invariant: mesh: a client's questions are counted once each");
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
        let left = self.mesh.waiting.borrow_mut().remove(&self.number);
        if let (Some(_), Some(shard)) = (&left, self.working) {
            // One that is refused is counted, and the asked shard works on for nothing.
            let withdrawal = Message::Withdraw { from: self.mesh.index, ticket: self.number };
            withdrawal.post(&self.mesh.mailboxes[shard]);
        }
        drop(left);
    }
}

/// A shard's mesh, shared by its tasks.
pub type SharedMesh = Rc<Mesh>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::recipe::{ENCODER_VERSION, OutputMax, Recipe};
    use crate::object::ObjectId;
    use crate::peer::requester::Requester;
    use crate::shard::variant::VariantRequest;
    use futures_lite::future::{block_on, poll_once};
    use std::net::IpAddr;

    fn mesh() -> (Mesh, flume::Receiver<Message>) {
        let mut mailboxes = Mesh::mailboxes(2);
        let (theirs, receiver) = mailboxes.remove(1);
        let (mine, _) = mailboxes.remove(0);
        (Mesh::new(0, vec![mine, theirs], Arc::default()), receiver)
    }

    #[test]
    fn the_question_over_the_bound_is_refused_and_those_under_way_are_answered() {
        let (mesh, theirs) = mesh();
        let request = || Box::pin(mesh.ask(1, ShardRequest::Find(ObjectId::from_digest([0; 20]))));
        let mut waiting: Vec<_> = (0..REQUESTS_MAX).map(|_| request()).collect();
        for one in &mut waiting {
            assert!(block_on(poll_once(one)).is_none());
        }
        assert!(matches!(block_on(request()), Err(AskError::Full)));
        assert_eq!(theirs.len(), REQUESTS_MAX);
        for message in theirs.drain() {
            let Message::Request { ticket, .. } = message else { panic!("only questions were sent") };
            mesh.complete(ticket, Some(ShardReply::Noted));
        }
        for one in waiting {
            assert!(matches!(block_on(one), Ok(ShardReply::Noted)));
        }
    }

    #[test]
    fn a_question_that_a_full_mailbox_refuses_may_be_asked_again() {
        let (mesh, theirs) = mesh();
        while Message::Drain.post(&mesh.mailboxes[1]) {}
        let request = || mesh.ask(1, ShardRequest::Find(ObjectId::from_digest([0; 20])));
        assert!(matches!(block_on(request()), Err(AskError::Full)));
        drop(theirs.recv());
        assert!(block_on(poll_once(Box::pin(request()))).is_none());
        assert!(mesh.waiting.borrow().is_empty());
    }

    fn variant(last: u8) -> ShardRequest {
        let recipe = Recipe::parse(&format!("v{ENCODER_VERSION},png,9w"), 9, OutputMax::NONE).unwrap();
        let requester = Requester::Client(IpAddr::from([10, 0, 0, last]).into());
        ShardRequest::Variant(Box::new(VariantRequest {
            id: ObjectId::from_digest([0; 20]),
            recipe,
            key: [0; 16],
            requester,
        }))
    }

    #[test]
    fn a_client_that_floods_leaves_places_to_others() {
        let (mesh, _theirs) = mesh();
        let mut waiting = Vec::new();
        let mut flood = |last| {
            let before = waiting.len();
            loop {
                let mut one = Box::pin(mesh.ask(1, variant(last)));
                match block_on(poll_once(&mut one)) {
                    None => waiting.push(one),
                    Some(reply) => {
                        assert!(matches!(reply, Err(AskError::Full)));
                        return waiting.len() - before;
                    }
                }
            }
        };
        assert_eq!(flood(1), REQUESTS_MAX / 2);
        assert_eq!(flood(2), REQUESTS_MAX / 4);
        // Both are refused now, and a third one and questions of nobody are not.
        assert_eq!(flood(1) + flood(2), 0);
        assert_eq!(flood(3), REQUESTS_MAX / 8);
        let mut find = Box::pin(mesh.ask(1, ShardRequest::Find(ObjectId::from_digest([0; 20]))));
        assert!(block_on(poll_once(&mut find)).is_none());
        drop((find, waiting));
        assert!(mesh.held.borrow().is_empty() && mesh.waiting.borrow().is_empty());
    }

    #[test]
    fn an_asker_that_leaves_makes_room() {
        let (mesh, _theirs) = mesh();
        let mut one = Box::pin(mesh.ask(1, ShardRequest::Find(ObjectId::from_digest([0; 20]))));
        assert!(block_on(poll_once(&mut one)).is_none());
        drop(one);
        assert_eq!(mesh.waiting.borrow().len(), 0);
    }
}
