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
use super::super::errors::{PublishError, WriteError};
use super::super::message::PublishAs;
use super::super::oneshot;
use super::STARTED;
use super::driver::{Work, drive};
use super::repair::LIMITS;
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::write::{Upload, Write, WriteEffect, WriteOutcome};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::{ByteSource, Outgoing};
use crate::peer::call::{self, Call, Copy};
use crate::peer::erasure::read_record;
use crate::shard::errors::AskError;
use crate::store::StoreError;
use crate::store::originals::Found;
use crate::store::read::{CHUNK_BYTES, FileReader};
use crate::store::spool::{SpoolError, Spooled};

/// The place that an upload takes: until its answer one of the uploads at once, then bytes of the background copies.
struct Place<T> {
    upload: Option<T>,
    background: Option<Charge>,
}

/// The outcome of a copy that was sent.
pub(super) struct SentCopy {
    /// The layout under which it was taken, if it was.
    pub(super) layout: Option<LayoutHash>,
    /// The other node's record of the image's deletions.
    pub(super) record: ErasureRecord,
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
            return self.write_alone(spooled).await;
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
        let record = self.node.erasures.record(&id);
        let machine = Write::new(Upload { id, length, is_known, record, started: STARTED });
        let (answer, answered) = oneshot::channel();
        let shard = Rc::clone(self);
        self.spawn(async move {
            let place = Place { upload: Some(permit), background: None };
            shard.drive_write(machine, Received { id, reader, uploaded }, spooled, place, answer).await;
        });
        answered.await.unwrap_or(Err(WriteError::Ask(AskError::Failed)))
    }

    /// A node without others: its own copy is all that there is.
    async fn write_alone(self: &Rc<Self>, spooled: Spooled) -> Result<Vec<String>, WriteError> {
        let live = self.node.erasures.record(&spooled.id).next_live();
        match self
            .publish(spooled, PublishAs { live, ..PublishAs::default() })
            .await
            .map_err(WriteError::Ask)?
        {
            Ok(_) => Ok(vec![self.node.name.clone()]),
            Err(PublishError::Store(error)) => Err(WriteError::Store(error)),
            Err(PublishError::Gone(record)) if record.is_banned() => Err(WriteError::Banned),
            Err(PublishError::Gone(_)) => Err(WriteError::Deleted),
        }
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
                WriteEffect::Store { live } => {
                    let record = self.node.erasures.record(&received.id);
                    if is_outdated(live, record) {
                        let outdated = WriteOutcome::Outdated(view.this(), live, record);
                        return Some(Box::pin(async move { outdated }));
                    }
                    let spooled = spooled.take();
                    Some(Box::pin(self.store_own(spooled, received, live)))
                }
                WriteEffect::Send { to, live, misplaced, within_ms } => Some(Box::pin(async move {
                    let Received { id, reader, uploaded } = received;
                    let copy = Copy { id: *id, uploaded: *uploaded, misplaced, live };
                    let sent = self.send_copy(&view, to, copy, reader, within_ms).await;
                    // News that this node has heard meanwhile counts too: its own copy may be erased by now.
                    let record = sent.record.merge(self.node.erasures.record(id));
                    if is_outdated(live, record) {
                        return WriteOutcome::Outdated(to, live, record);
                    }
                    WriteOutcome::Copied(to, live, sent.layout)
                })),
                WriteEffect::Verify { node, live, within_ms } => Some(Box::pin(async move {
                    let within = Duration::from_millis(within_ms);
                    let receipt = self.ask_for_receipt(&view, node, (received.id, live), within).await;
                    let record = receipt.record.merge(self.node.erasures.record(&received.id));
                    if is_outdated(live, record) {
                        return WriteOutcome::Outdated(node, live, record);
                    }
                    let is_present = receipt.reply == LookupReply::Present;
                    WriteOutcome::Verified(node, live, receipt.layout.filter(|_| is_present))
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
                WriteEffect::RefuseGone { is_banned: true } => tell(Err(WriteError::Banned)),
                WriteEffect::RefuseGone { is_banned: false } => tell(Err(WriteError::Deleted)),
            }
        };
        drive(self, machine, perform).await;
    }

    /// This node's own copy. While its disk is in trouble it is like a node that the layout calls not writable: others
    /// take it, and the owners stay. Without a spool it was stored before, with a lower counter, and may have been erased
    /// by what raised that.
    async fn store_own(
        self: &Rc<Self>,
        spooled: Option<Spooled>,
        received: &Received,
        live: u64,
    ) -> WriteOutcome {
        let id = received.id;
        let this = self.view().this();
        if self.node.health.trouble().is_some() {
            return WriteOutcome::Copied(this, live, None);
        }
        let spooled = match spooled {
            Some(spooled) => Ok(spooled),
            None => self.spool_again(received).await,
        };
        let is_stored = match spooled {
            Err(_) => false,
            Ok(spooled) => match self.publish(spooled, PublishAs { live, ..PublishAs::default() }).await {
                Ok(Ok(_)) => true,
                Ok(Err(PublishError::Gone(record))) => return WriteOutcome::Outdated(this, live, record),
                Ok(Err(PublishError::Store(error))) => {
                    log::warn!(error:% = error; "cannot store an upload on this node, so other nodes take its copies; check the disk");
                    false
                }
                Err(_) => false,
            },
        };
        let record = self.node.erasures.record(&id);
        if is_outdated(live, record) {
            return WriteOutcome::Outdated(this, live, record);
        }
        WriteOutcome::Copied(this, live, is_stored.then(|| self.view().hash()))
    }

    /// The bytes of an upload whose spool was used up.
    async fn spool_again(&self, received: &Received) -> Result<Spooled, SpoolError> {
        let mut spool = self.images.spools.begin(LIMITS).await.map_err(SpoolError::Store)?;
        while spool.length() < received.reader.length() {
            let read = received.reader.read(spool.length(), CHUNK_BYTES).await.map_err(SpoolError::Store)?;
            spool.append(&read).await?;
            glommio::executor().yield_if_needed().await;
        }
        spool.set_modified(received.uploaded);
        spool.finish().await
    }

    /// Sends a copy.
    pub(super) async fn send_copy(
        &self,
        view: &View,
        node: NodeId,
        copy: Copy,
        reader: &FileReader,
        within_ms: u64,
    ) -> SentCopy {
        let body = Outgoing::Image { id: copy.id, length: reader.length(), source: source(reader.clone()) };
        let within = Duration::from_millis(within_ms);
        let Ok(answer) = self.ask(view, node, Call::Copy(copy), body, within).await else {
            return SentCopy { layout: None, record: ErasureRecord::default() };
        };
        let record = read_record(answer.metadata());
        SentCopy { layout: answer.layout.filter(|_| answer.status == call::GIVEN), record }
    }
}

/// Whether a copy with this counter is not the latest by a record: it is deleted or banned, or was uploaded again since.
fn is_outdated(live: u64, record: ErasureRecord) -> bool {
    record.is_banned() || record.next_live() > live
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
