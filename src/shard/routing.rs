//! Which shard holds an id, the way of a question to it, and the questions of other shards that are answered here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_lite::{FutureExt, future};

use super::errors::AskError;
use super::latch::Latch;
use super::mesh::Mesh;
use super::message::{ShardReply, ShardRequest};
use crate::object::ObjectId;

/// One shard's place among the shards of its node.
#[derive(Debug)]
pub(super) struct Routing {
    mesh: Mesh,
    /// Questions of other shards that are being answered; set when one is withdrawn.
    serving: RefCell<HashMap<(usize, u64), Rc<Latch>>>,
}

/// A question of another shard that is being answered.
#[derive(Debug)]
pub(super) struct Serving {
    from: usize,
    ticket: u64,
    withdrawn: Rc<Latch>,
}

impl Routing {
    /// No question is being answered yet.
    pub(super) fn new(mesh: Mesh) -> Self {
        Self { mesh, serving: RefCell::default() }
    }

    /// This shard's number.
    pub(super) fn index(&self) -> usize {
        self.mesh.index()
    }

    /// Shards of the node.
    pub(super) fn shards(&self) -> usize {
        self.mesh.shards()
    }

    /// The number of the shard that holds the id.
    pub(super) fn holder(&self, id: &ObjectId) -> usize {
        id.shard(self.shards())
    }

    /// Whether this shard holds the id.
    pub(super) fn holds(&self, id: &ObjectId) -> bool {
        self.holder(id) == self.index()
    }

    /// Asks the shard that holds the id, which is another one.
    ///
    /// # Errors
    /// As [`Mesh::ask`].
    pub(super) async fn ask(&self, id: &ObjectId, request: ShardRequest) -> Result<ShardReply, AskError> {
        self.mesh.ask(self.holder(id), request).await
    }

    /// Asks another shard by its number.
    ///
    /// # Errors
    /// As [`Mesh::ask`].
    pub(super) async fn ask_shard(
        &self,
        shard: usize,
        request: ShardRequest,
    ) -> Result<ShardReply, AskError> {
        self.mesh.ask(shard, request).await
    }

    /// The answer to a question of this shard has come.
    pub(super) fn complete(&self, ticket: u64, reply: Option<ShardReply>) {
        self.mesh.complete(ticket, reply);
    }

    /// A question of another shard has come. From now on it may be withdrawn.
    pub(super) fn begin(&self, from: usize, ticket: u64) -> Serving {
        let withdrawn = Rc::<Latch>::default();
        self.serving.borrow_mut().insert((from, ticket), Rc::clone(&withdrawn));
        Serving { from, ticket, withdrawn }
    }

    /// Works the answer out and sends it, unless the question is withdrawn before.
    pub(super) async fn serve(&self, serving: Serving, answer: impl Future<Output = ShardReply>) {
        let Serving { from, ticket, withdrawn } = serving;
        let answer = async { Some(AssertUnwindSafe(answer).catch_unwind().await) };
        let leave = async {
            withdrawn.wait().await;
            None
        };
        let answer = future::or(answer, leave).await;
        self.serving.borrow_mut().remove(&(from, ticket));
        if matches!(answer, Some(Err(_))) {
            log::error!(
                "a request of another shard panicked and failed; the shard goes on, please report the lines before this one"
            );
        }
        // A withdrawn question needs none.
        if let Some(answer) = answer {
            self.mesh.answer(from, ticket, answer.ok());
        }
    }

    /// The asker is not interested any more.
    pub(super) fn withdraw(&self, from: usize, ticket: u64) {
        let withdrawn = self.serving.borrow().get(&(from, ticket)).cloned();
        if let Some(withdrawn) = withdrawn {
            withdrawn.set();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::message::Message;
    use futures_lite::future::{block_on, pending, poll_once};

    /// Shard 0 of two, and the mailbox of the other one.
    fn routing() -> (Routing, flume::Receiver<Message>) {
        let mut mailboxes = Mesh::mailboxes(2);
        let (theirs, receiver) = mailboxes.remove(1);
        let (mine, _) = mailboxes.remove(0);
        (Routing::new(Mesh::new(0, vec![mine, theirs], std::sync::Arc::default())), receiver)
    }

    fn reply(theirs: &flume::Receiver<Message>) -> (u64, Option<ShardReply>) {
        match theirs.try_recv() {
            Ok(Message::Reply { ticket, reply }) => (ticket, reply),
            other => panic!("only replies are sent: {other:?}"),
        }
    }

    #[test]
    fn a_question_is_answered_under_its_ticket_and_one_whose_work_panics_without_a_reply() {
        let (routing, theirs) = routing();
        block_on(routing.serve(routing.begin(1, 7), async { ShardReply::Noted }));
        assert!(matches!(reply(&theirs), (7, Some(ShardReply::Noted))));
        block_on(routing.serve(routing.begin(1, 8), async { panic!("on purpose") }));
        assert!(matches!(reply(&theirs), (8, None)));
        assert!(routing.serving.borrow().is_empty());
    }

    #[test]
    fn a_withdrawn_question_is_given_up_and_not_answered() {
        let (routing, theirs) = routing();
        let mut withdrawn = Box::pin(routing.serve(routing.begin(1, 7), pending()));
        let mut other = Box::pin(routing.serve(routing.begin(1, 8), pending()));
        assert!(block_on(poll_once(&mut withdrawn)).is_none() && block_on(poll_once(&mut other)).is_none());
        routing.withdraw(1, 7);
        routing.withdraw(1, 9);
        assert!(block_on(poll_once(&mut withdrawn)).is_some() && block_on(poll_once(&mut other)).is_none());
        assert!(theirs.is_empty());
        assert_eq!(routing.serving.borrow().len(), 1);
    }

    #[test]
    fn each_id_is_held_by_one_shard() {
        let (routing, _theirs) = routing();
        for byte in 0..=255 {
            let mut digest = [0; 20];
            digest[1] = byte;
            let id = ObjectId::from_digest(digest);
            assert_eq!(routing.holder(&id), usize::from(byte % 2));
            assert_eq!(routing.holds(&id), byte % 2 == 0);
        }
    }
}
