//! Deletions, bans and their end, on all members; who has erased an image; and the variants of an image, purged.
//!
//! The protocol decides whom to tell and when to answer ([`Erase`]); here is only the work. It goes on after the answer
//! and when the client has gone.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::super::Shard;
use super::super::errors::{AskError, EraseError, NotFound};
use super::super::oneshot;
use super::STARTED;
use super::driver::{Work, drive};
use crate::cluster::erasure::{ErasureRecord, Intent};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::ANSWER_MAX_MS;
use crate::cluster::protocol::erase::{Erase, EraseEffect, EraseOutcome, Erasure, HeldRecord};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::peer::erasure::{EraseCall, read_held};

/// Time that the answer about a record waits for the files to go: most erasures take milliseconds.
const ERASED_WITHIN: Duration = Duration::from_secs(1);

/// The nodes that have erased an image, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasureStatus {
    /// Members that have confirmed that no file of it is left.
    pub erased: Vec<String>,
    /// All other members: any of them may hold variants.
    pub pending: Vec<String>,
}

impl Shard {
    /// Deletes, bans or frees an image on all members.
    ///
    /// # Errors
    /// [`EraseError`]
    pub async fn erase_image(
        self: &Rc<Self>,
        id: ObjectId,
        intent: Intent,
    ) -> Result<ErasureStatus, EraseError> {
        self.need_membership()?;
        let machine = Erase::new(Erasure { id, intent, started: STARTED });
        let (answer, answered) = oneshot::channel();
        let shard = Rc::clone(self);
        self.spawn(async move { shard.drive_erase(id, machine, answer).await });
        answered.await.unwrap_or(Err(EraseError::Ask(AskError::Failed)))
    }

    async fn drive_erase(
        self: &Rc<Self>,
        id: ObjectId,
        machine: Erase,
        answer: oneshot::Sender<Result<ErasureStatus, EraseError>>,
    ) {
        let mut answer = Some(answer);
        let mut tell = move |answered| {
            answer.take().expect("invariant: erase: an erasure is answered once").send(answered);
            None
        };
        let perform = |view: &Arc<View>, effect| -> Option<Work<'_, EraseOutcome>> {
            let view = Arc::clone(view);
            match effect {
                EraseEffect::Read { node, within_ms } => Some(Box::pin(async move {
                    let within = Duration::from_millis(within_ms);
                    let held = self.held_by(&view, node, id, within).await;
                    EraseOutcome::Read(node, held.map(|held| held.record))
                })),
                EraseEffect::Write { node, record, within_ms } => Some(Box::pin(async move {
                    let within = Duration::from_millis(within_ms);
                    EraseOutcome::Written(node, self.write_record(&view, node, (id, record), within).await)
                })),
                EraseEffect::Acknowledge(erased) => tell(Ok(ErasureStatus::new(&view, &erased))),
                EraseEffect::Refuse => tell(Err(EraseError::TooFew)),
            }
        };
        drive(self, machine, perform).await;
    }

    /// The nodes that have erased an image, as the members that answer say now. One that does not is pending.
    ///
    /// # Errors
    /// [`EraseError`]
    pub async fn erasure_status(self: &Rc<Self>, id: ObjectId) -> Result<ErasureStatus, EraseError> {
        self.need_membership()?;
        let (view, within) = (self.view(), Duration::from_millis(ANSWER_MAX_MS));
        let view = &view;
        let ask = |node| async move { (node, self.held_by(view, node, id, within).await) };
        let mut asked: FuturesUnordered<_> = view.members().map(|(node, _)| ask(node)).collect();
        let mut held = Vec::new();
        while let Some((node, of)) = asked.next().await {
            held.extend(of.map(|of| (node, of)));
        }
        let all = held.iter().fold(ErasureRecord::default(), |all, (_, held)| all.merge(held.record));
        if !all.is_gone() {
            return Err(EraseError::NotDeleted);
        }
        // One that has erased what was deleted before, and has not heard of a later upload and deletion, has not erased
        // that.
        let is_done = |held: &HeldRecord| held.is_erased && held.record == all;
        let erased = held.iter().filter(|(_, held)| is_done(held)).map(|(node, _)| *node).collect();
        Ok(ErasureStatus::new(view, &erased))
    }

    /// Removes the variants of an image on all members, from memory and disk. The names of those that did not answer.
    ///
    /// # Errors
    /// [`EraseError`]
    pub async fn purge_image(self: &Rc<Self>, id: ObjectId) -> Result<Vec<String>, EraseError> {
        self.need_membership()?;
        let (view, within) = (self.view(), Duration::from_millis(ANSWER_MAX_MS));
        let view = &view;
        let purge = |node| async move {
            let is_purged = if node == view.this() {
                matches!(self.purge_here(id).await, Ok(Ok(())))
            } else {
                let asked = self.ask(view, node, Call::Purge(id), Outgoing::empty(), within).await;
                asked.is_ok_and(|answer| answer.status == call::GIVEN)
            };
            (node, is_purged)
        };
        let mut asked: FuturesUnordered<_> = view.members().map(|(node, _)| purge(node)).collect();
        let mut left = Vec::new();
        while let Some((node, is_purged)) = asked.next().await {
            left.extend(view.member(node).filter(|_| !is_purged).map(|member| member.name.to_string()));
        }
        left.sort();
        Ok(left)
    }

    /// This node's record of an image's deletions.
    pub fn held_here(&self, id: &ObjectId) -> HeldRecord {
        HeldRecord { record: self.node.erasures.record(id), is_erased: self.node.erasures.is_erased(id) }
    }

    /// Takes a record durably, and has the image erased if it is gone; what this node has then. `None`: the record could
    /// not be written.
    pub async fn take_record(self: &Rc<Self>, id: ObjectId, record: ErasureRecord) -> Option<HeldRecord> {
        if !matches!(self.learn(&[(id, record)]).await, Ok(Ok(()))) {
            return None;
        }
        if self.node.erasures.is_gone(&id) {
            self.wait_erased(&id, ERASED_WITHIN).await;
        }
        Some(self.held_here(&id))
    }

    /// A node's record of an image; `None` if it does not answer.
    async fn held_by(&self, view: &View, node: NodeId, id: ObjectId, within: Duration) -> Option<HeldRecord> {
        if node == view.this() {
            return Some(self.held_here(&id));
        }
        let answer = self.ask(view, node, Call::Erasure(id), Outgoing::empty(), within).await.ok()?;
        if answer.status == call::GIVEN { read_held(answer.metadata()) } else { None }
    }

    async fn write_record(
        self: &Rc<Self>,
        view: &View,
        node: NodeId,
        (id, record): (ObjectId, ErasureRecord),
        within: Duration,
    ) -> Option<HeldRecord> {
        if node == view.this() {
            return self.take_record(id, record).await;
        }
        let call = Call::Erase(EraseCall { id, record });
        let answer = self.ask(view, node, call, Outgoing::empty(), within).await.ok()?;
        let held = if answer.status == call::GIVEN { read_held(answer.metadata()) } else { None };
        // A node that lacks what it was sent has not taken it.
        held.filter(|held| held.record.covers(&record))
    }

    fn need_membership(&self) -> Result<(), EraseError> {
        match self.need_cluster() {
            Err(NotFound::NotJoined(status)) => Err(EraseError::NotJoined(status)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl ErasureStatus {
    fn new(view: &View, done: &BTreeSet<NodeId>) -> Self {
        let mut status = Self::default();
        for (node, member) in view.members() {
            let names = if done.contains(&node) { &mut status.erased } else { &mut status.pending };
            names.push(member.name.to_string());
        }
        status.erased.sort();
        status.pending.sort();
        status
    }
}
