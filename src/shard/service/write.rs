//! An upload: stored durably on as many nodes as are needed.
//!
//! The protocol decides whom to send copies to and when to answer ([`Write`]); here is only the work. It goes on after
//! the answer and when the client has gone. What is on its way then counts by its bytes, and takes no place of an upload
//! any more while there is room for that.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::Shard;
use super::super::bodies::memory::{BodyMemory, Charge};
use super::super::errors::WriteError;
use super::super::oneshot;
use super::STARTED;
use super::driver::{Work, drive};
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::write::{Upload, Write, WriteEffect, WriteOutcome};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::{ByteSource, Outgoing};
use crate::peer::call::{self, Call, Copy};
use crate::shard::errors::AskError;
use crate::store::StoreError;
use crate::store::originals::Found;
use crate::store::read::{CHUNK_BYTES, FileReader};
use crate::store::spool::Spooled;

/// The place that an upload takes: until its answer one of the uploads at once, then bytes of the background copies.
struct Place<T> {
    upload: Option<T>,
    background: Option<Charge>,
}

/// Where the bytes of an upload are.
struct Received {
    id: ObjectId,
    reader: FileReader,
    uploaded: SystemTime,
}

impl Shard {
    /// Stores a received upload durably on as many nodes as are needed, and says by name which they are. `permit` is
    /// dropped with the answer, if there is
    /// room for its copies in the background.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn write(
        self: &Rc<Self>,
        spooled: Spooled,
        permit: impl Sized + 'static,
    ) -> Result<Vec<String>, WriteError> {
        if !self.has_peers() {
            let published = self.publish(spooled, false).await.map_err(WriteError::Ask)?;
            published.map_err(WriteError::Store)?;
            return Ok(vec![self.node.name.clone()]);
        }
        let (reader, uploaded) = spooled.open().await.map_err(WriteError::Store)?;
        let id = spooled.id;
        let known = match self.find(id).await {
            Ok(Ok(Found::Here(original))) => Some(original),
            _ => None,
        };
        // The upload time is that of the first upload.
        let uploaded = known.as_ref().map_or(uploaded, |original| original.modified);
        let (length, is_known) = (reader.length(), known.is_some());
        let machine = Write::new(Upload { id, length, is_known, started: STARTED });
        let (answer, answered) = oneshot::channel();
        let shard = Rc::clone(self);
        self.spawn(async move {
            let place = Place { upload: Some(permit), background: None };
            shard.drive_write(machine, Received { id, reader, uploaded }, spooled, place, answer).await;
        });
        answered.await.unwrap_or(Err(WriteError::Ask(AskError::Failed)))
    }

    async fn drive_write(
        self: &Rc<Self>,
        machine: Write,
        received: Received,
        spooled: Spooled,
        mut place: Place<impl Sized>,
        answer: oneshot::Sender<Result<Vec<String>, WriteError>>,
    ) {
        let (mut spooled, mut answer) = (Some(spooled), Some(answer));
        let received = &received;
        let mut tell = move |answered| {
            answer.take().expect("invariant: write: a write is answered once").send(answered);
            None
        };
        let perform = |view: &Arc<View>, effect| -> Option<Work<'_, WriteOutcome>> {
            let view = Arc::clone(view);
            match effect {
                WriteEffect::Store => {
                    let spooled = spooled.take().expect("invariant: write: a write stores its own copy once");
                    Some(Box::pin(self.store_own(spooled)))
                }
                WriteEffect::Send { to, misplaced, within_ms } => Some(Box::pin(async move {
                    let Received { id, reader, uploaded } = received;
                    let copy = Copy { id: *id, uploaded: *uploaded, misplaced };
                    WriteOutcome::Copied(to, self.send_copy(&view, to, copy, reader, within_ms).await)
                })),
                WriteEffect::Verify { node, within_ms } => Some(Box::pin(async move {
                    let within = Duration::from_millis(within_ms);
                    let (reply, layout) = self.ask_for_receipt(&view, node, received.id, within).await;
                    WriteOutcome::Verified(node, layout.filter(|_| reply == LookupReply::Present))
                })),
                WriteEffect::Record => Some(Box::pin(async {
                    self.enqueue_repair(received.id).await;
                    WriteOutcome::Recorded
                })),
                WriteEffect::Acknowledge(holders) => {
                    place.leave(&self.node.background_copies, received.reader.length());
                    tell(Ok(names(&view, &holders)))
                }
                WriteEffect::Refuse(holders) => tell(Err(WriteError::TooFew(names(&view, &holders)))),
            }
        };
        drive(self, machine, perform).await;
    }

    /// This node's own copy. While its disk is in trouble it is like a node that the layout calls not writable: others
    /// take it, and the owners stay.
    async fn store_own(self: &Rc<Self>, spooled: Spooled) -> WriteOutcome {
        let this = self.view().this();
        if self.node.health.trouble().is_some() {
            return WriteOutcome::Copied(this, None);
        }
        match self.publish(spooled, false).await {
            Ok(Ok(_)) => WriteOutcome::Copied(this, Some(self.view().hash())),
            Ok(Err(error)) => {
                log::warn!(error:% = error; "cannot store an upload on this node, so other nodes take its copies; check the disk");
                WriteOutcome::Copied(this, None)
            }
            Err(_) => WriteOutcome::Copied(this, None),
        }
    }

    /// Sends a copy; the layout under which it was taken, if it was.
    pub(super) async fn send_copy(
        &self,
        view: &View,
        node: NodeId,
        copy: Copy,
        reader: &FileReader,
        within_ms: u64,
    ) -> Option<LayoutHash> {
        let body = Outgoing::Image { id: copy.id, length: reader.length(), source: source(reader.clone()) };
        let within = Duration::from_millis(within_ms);
        let answer = self.ask(view, node, Call::Copy(copy), body, within).await.ok()?;
        if answer.status == call::GIVEN { answer.layout } else { None }
    }
}

impl<T> Place<T> {
    /// The upload is acknowledged; copies of `length` bytes may still be on their way. Without room for them in the
    /// background, it keeps its place until they have come.
    fn leave(&mut self, background: &Arc<BodyMemory>, length: u64) {
        self.background = background.reserve(length);
        if self.background.is_some() {
            self.upload = None;
        }
    }
}

fn names(view: &View, nodes: &[NodeId]) -> Vec<String> {
    let name = |node: &NodeId| view.member(*node).map(|member| member.name.to_string());
    nodes.iter().filter_map(name).collect()
}

/// The bytes of a file as a question's body.
fn source(reader: FileReader) -> ByteSource {
    Rc::new(move |position| {
        let reader = reader.clone();
        Box::pin(async move {
            let read = reader.read(position, CHUNK_BYTES).await;
            read.map(|read| Bytes::copy_from_slice(&read)).map_err(|error| match error {
                StoreError::Io(_, error) | StoreError::Unsynced(_, error) => error,
                error => io::Error::other(error.to_string()),
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_upload_leaves_its_place_if_its_copies_have_room_in_the_background() {
        let background = BodyMemory::bounded(100);
        let mut first = Place { upload: Some(()), background: None };
        let mut second = Place { upload: Some(()), background: None };
        first.leave(&background, 60);
        second.leave(&background, 60);
        assert_eq!((first.upload, second.upload, background.used()), (None, Some(()), 60));
        drop(first);
        second.leave(&background, 60);
        assert_eq!((second.upload, background.used()), (None, 60));
        drop(second);
        assert_eq!(background.used(), 0);
    }
}
