//! Copies of an upload on their way to the nodes that should have them.
//!
//! The rule says whom to ask and when enough hold it ([`WriteQuorum`]); here is only the work. It goes on after the answer
//! and when the client has gone, until every owner has its copy or a fallback has one in its place.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::super::Shard;
use super::super::mesh::AskError;
use super::super::oneshot;
use super::super::several::Several;
use super::ANSWER_MAX;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::LookupReply;
use crate::cluster::rules::write::{WriteQuorum, WriteStatus};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::peer::body::{ByteSource, Outgoing};
use crate::peer::call::{self, Call, Copy};
use crate::store::StoreError;
use crate::store::originals::Found;
use crate::store::read::{CHUNK_BYTES, FileReader};
use crate::store::spool::Spooled;

/// How long a node may take before a fallback is asked in its place. Its copy counts all the same when it comes.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a copy may take, beside its bytes at the slowest pace.
const COPY_MAX: Duration = Duration::from_secs(10);

/// The slowest pace that is waited for, in bytes a second: half of a link of 1 Mbit/s.
const BYTES_A_SECOND_MIN: u64 = 64 << 10;

/// How long a layout that another node knows already may take to come here.
const MERGE_MAX: Duration = Duration::from_secs(5);

/// Pause between two looks whether it has come.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why an upload is not answered with 200.
#[derive(Debug)]
pub enum SpreadError {
    /// Another shard of this node failed.
    Ask(AskError),
    /// This node's disk, where no other node can do.
    Store(StoreError),
    /// Fewer nodes than are needed hold it: these.
    TooFew(Vec<String>),
}

/// What happened to a copy.
enum News {
    /// It is durable there, taken under this layout.
    Taken(NodeId, LayoutHash),
    Refused(NodeId),
    /// It takes its time.
    Slow(NodeId),
}

/// One upload, and where its bytes are.
struct Upload {
    id: ObjectId,
    reader: FileReader,
    uploaded: SystemTime,
    /// This node has had it before.
    is_known: bool,
}

impl Shard {
    /// Stores a received upload durably on as many nodes as are needed, and says by name which they are. `held` is
    /// dropped when no copy is on its way any more.
    ///
    /// # Errors
    /// [`SpreadError`]
    pub async fn spread(
        self: &Rc<Self>,
        spooled: Spooled,
        held: impl Sized + 'static,
    ) -> Result<Vec<String>, SpreadError> {
        if !self.has_peers() {
            let published = self.publish(spooled, false).await.map_err(SpreadError::Ask)?;
            published.map_err(SpreadError::Store)?;
            return Ok(vec![self.node.name.clone()]);
        }
        let (reader, uploaded) = spooled.open().await.map_err(SpreadError::Store)?;
        let id = spooled.id;
        let upload = match self.find(id).await {
            // Others are likely to have it too, and its upload time is that of the first upload.
            Ok(Ok(Found::Here(original))) => {
                Upload { id, reader, uploaded: original.modified, is_known: true }
            }
            _ => Upload { id, reader, uploaded, is_known: false },
        };
        let (answer, answered) = oneshot::channel();
        let shard = Rc::clone(self);
        self.spawn(async move {
            shard.spread_all(upload, spooled, answer).await;
            drop(held);
        });
        answered.await.unwrap_or(Err(SpreadError::Ask(AskError::Failed)))
    }

    async fn spread_all(
        self: &Rc<Self>,
        upload: Upload,
        spooled: Spooled,
        answer: oneshot::Sender<Result<Vec<String>, SpreadError>>,
    ) {
        let (mut spooled, mut answer) = (Some(spooled), Some(answer));
        let mut write = WriteQuorum::new(upload.id);
        let (mut news, mut under_way, mut merging) = (Several::new(), 0, None);
        let mut is_noted = false;
        self.meet_owners(&upload.id).await;
        loop {
            let view = self.view();
            for node in write.targets(&view) {
                write.ask(node);
                under_way += 1;
                match spooled.take_if(|_| node == view.this()) {
                    Some(spooled) => news.push(self.store_here(spooled, node)),
                    None => news.push(self.copy_to(&upload, Arc::clone(&view), node)),
                }
                news.push(async move {
                    glommio::timer::sleep(PATIENCE).await;
                    News::Slow(node)
                });
            }
            if write.status(&view) == WriteStatus::Acknowledged
                && let Some(answer) = answer.take()
            {
                // Before the answer, for this node may be gone a moment after it.
                is_noted = self.note_debts(&write, &view).await;
                answer.send(Ok(names(&view, &write)));
            }
            if under_way == 0 {
                // A copy under a layout that is not known here counts when that has come.
                let since: Instant = *merging.get_or_insert_with(Instant::now);
                if write.status(&view) != WriteStatus::Pending || since.elapsed() >= MERGE_MAX {
                    break;
                }
                glommio::timer::sleep(LOOK_AGAIN).await;
                let view = self.view();
                for node in write.unconfirmed(&view) {
                    under_way += 1;
                    news.push(self.ask_for_its_copy(Arc::clone(&view), upload.id, node));
                }
                continue;
            }
            match news.next().await {
                Some(News::Taken(node, layout)) => {
                    under_way -= 1;
                    write.confirm(node, layout);
                }
                Some(News::Refused(node)) => {
                    under_way -= 1;
                    write.refuse(node);
                }
                // Its copy counts all the same when it comes; what was taken stays so.
                Some(News::Slow(node)) => write.refuse(node),
                None => break,
            }
        }
        if !is_noted {
            self.note_debts(&write, &self.view()).await;
        }
        if let Some(answer) = answer {
            answer.send(Err(SpreadError::TooFew(names(&self.view(), &write))));
        }
    }

    /// Whether an owner is without its copy and this node, which has one, has noted to give it one. A fallback's copy
    /// has a record of its own.
    async fn note_debts(self: &Rc<Self>, write: &WriteQuorum, view: &View) -> bool {
        let notes = write.is_under_replicated(view) && write.holders().any(|node| node == view.this());
        if notes {
            self.see_to(write.id()).await;
        }
        notes
    }

    /// This node's own copy. While its disk is in trouble it is like a node that the layout calls not writable: others
    /// take it, and the owners stay.
    async fn store_here(self: &Rc<Self>, spooled: Spooled, this: NodeId) -> News {
        if self.node.health.trouble().is_some() {
            return News::Refused(this);
        }
        match self.publish(spooled, false).await {
            Ok(Ok(_)) => News::Taken(this, self.view().hash()),
            Ok(Err(error)) => {
                log::warn!(error:% = error; "cannot store an upload here");
                News::Refused(this)
            }
            Err(_) => News::Refused(this),
        }
    }

    async fn copy_to(&self, upload: &Upload, view: Arc<View>, node: NodeId) -> News {
        let Upload { id, reader, uploaded, is_known } = upload;
        // To have it read there costs less than to send it.
        if *is_known
            && let taken @ News::Taken(..) = self.ask_for_its_copy(Arc::clone(&view), *id, node).await
        {
            return taken;
        }
        match self.send_copy(&view, node, *id, reader, *uploaded).await {
            Some(layout) => News::Taken(node, layout),
            None => News::Refused(node),
        }
    }

    /// Has another node prove its copy.
    async fn ask_for_its_copy(&self, view: Arc<View>, id: ObjectId, node: NodeId) -> News {
        match self.ask(&view, node, Call::Receipt(id), Outgoing::empty(), ANSWER_MAX).await {
            Ok(answer) if call::read_presence(answer.metadata()) == LookupReply::Present => {
                answer.layout.map_or(News::Refused(node), |layout| News::Taken(node, layout))
            }
            _ => News::Refused(node),
        }
    }

    /// Sends a copy; the layout under which it was taken, if it was.
    pub(super) async fn send_copy(
        &self,
        view: &View,
        node: NodeId,
        id: ObjectId,
        reader: &FileReader,
        uploaded: SystemTime,
    ) -> Option<LayoutHash> {
        let copy = Copy { id, uploaded, misplaced: !view.is_owner(node, &id) };
        let length = reader.length();
        let deadline = COPY_MAX + Duration::from_secs(length / BYTES_A_SECOND_MIN);
        let body = Outgoing::Image { id, length, source: source(reader.clone()) };
        let answer = self.ask(view, node, Call::Copy(copy), body, deadline).await.ok()?;
        if answer.status == call::GIVEN { answer.layout } else { None }
    }
}

fn names(view: &View, write: &WriteQuorum) -> Vec<String> {
    let name = |node| view.member(node).map(|member| member.name.to_string());
    write.holders().filter_map(name).collect()
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
