//! The questions that a shard answers, for its own requests and for other shards.
//!
//! Each public function here answers on this shard when it holds the id, and else asks the shard that does: at most
//! one hop. The `own_…` functions are the holder's part; what needs its store alone is in [`super::images`].

use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::Shard;
use super::errors::{AskError, PublishError};
use super::message::{FoundRepairs, Opened, Publish, PublishAs, ShardReply, ShardRequest, Verified};
use super::oneshot;
use super::resize::pre_generation::PreGeneration;
use super::variant::VariantRequest;
use super::variant::{Variant, VariantError};
use crate::image::placeholder::Placeholder;
use crate::object::ObjectId;
use crate::store::originals::{Described, Found, Original};
use crate::store::spool::Spooled;
use crate::store::{StoreError, within};

/// Time for the disk to publish an image under its name: up to eight operations, among them two syncs.
const PUBLISH_MAX: Duration = Duration::from_secs(30);

impl Shard {
    pub(super) fn serve(self: &Rc<Self>, from: usize, ticket: u64, ask: ShardRequest) {
        let serving = self.routing.begin(from, ticket);
        let shard = Rc::clone(self);
        glommio::spawn_local(async move { shard.routing.serve(serving, shard.answer(ask)).await }).detach();
    }

    async fn answer(self: &Rc<Self>, ask: ShardRequest) -> ShardReply {
        match ask {
            ShardRequest::Find(id) => ShardReply::Found(self.images.find(&id).await),
            ShardRequest::Look(id) => ShardReply::Found(self.images.look(&id).await),
            ShardRequest::LastVerified(id) => {
                ShardReply::LastVerified(self.images.originals.last_verified(&id))
            }
            ShardRequest::Open(id) => ShardReply::Opened(self.images.open(&id).await),
            ShardRequest::Describe(id) => ShardReply::Described(self.own_describe(id).await),
            ShardRequest::Placeholder(id) => ShardReply::Placeholder(self.local_placeholder(&id).await),
            ShardRequest::SyncName(id) => ShardReply::Synced(self.images.sync_name(&id).await),
            ShardRequest::Publish(publish) => ShardReply::Published(self.own_publish(publish).await),
            ShardRequest::Verified(verified) => {
                self.own_verified(verified);
                ShardReply::Noted
            }
            ShardRequest::Unreadable(id, error) => {
                self.images.originals.set_unreadable(&id, &error);
                ShardReply::Noted
            }
            ShardRequest::Repair(id) => {
                self.repair_copy(id).await;
                ShardReply::Noted
            }
            ShardRequest::FoundRepairs(found) => ShardReply::Room(self.images.note_found(found)),
            ShardRequest::PreGenerate(ask) => {
                self.pre_generate(PreGeneration::Variant(*ask));
                ShardReply::Noted
            }
            ShardRequest::Learn(records) => ShardReply::Learned(self.own_learn(records).await),
            ShardRequest::Forget(ids) => {
                self.cache.forget(&ids);
                ShardReply::Noted
            }
            ShardRequest::Purge(id) => ShardReply::Purged(self.own_purge(id).await),
            ShardRequest::Kept(ask) => ShardReply::Kept(self.own_kept(&ask).await),
            ShardRequest::Variant(ask) => ShardReply::Variant(self.own_variant(*ask).await),
        }
    }

    /// Answers here when the id is this shard's, else asks its owner.
    pub(super) async fn route(
        self: &Rc<Self>,
        id: &ObjectId,
        ask: ShardRequest,
    ) -> Result<ShardReply, AskError> {
        if self.holds(id) { Ok(self.answer(ask).await) } else { self.routing.ask(id, ask).await }
    }

    /// Whether the image is stored.
    ///
    /// # Errors
    /// [`AskError`] when the owner could not be asked, the inner [`StoreError`] when its disk could not tell.
    pub async fn find(self: &Rc<Self>, id: ObjectId) -> Result<Result<Found, StoreError>, AskError> {
        match self.route(&id, ShardRequest::Find(id)).await? {
            ShardReply::Found(found) => Ok(found),
            _ => Err(AskError::Failed),
        }
    }

    /// Whether the image is stored, as the disk says: for what is told to other nodes.
    ///
    /// # Errors
    /// As [`Shard::find`].
    pub async fn look(self: &Rc<Self>, id: ObjectId) -> Result<Result<Found, StoreError>, AskError> {
        match self.route(&id, ShardRequest::Look(id)).await? {
            ShardReply::Found(found) => Ok(found),
            _ => Err(AskError::Failed),
        }
    }

    /// When this node has verified its copy last; `None` where that is not known.
    pub async fn last_verified(self: &Rc<Self>, id: ObjectId) -> Option<SystemTime> {
        match self.route(&id, ShardRequest::LastVerified(id)).await {
            Ok(ShardReply::LastVerified(at)) => at,
            _ => None,
        }
    }

    /// The open file of the stored bytes.
    ///
    /// # Errors
    /// As [`Shard::find`].
    pub async fn open(self: &Rc<Self>, id: ObjectId) -> Result<Result<Opened, StoreError>, AskError> {
        match self.route(&id, ShardRequest::Open(id)).await? {
            ShardReply::Opened(opened) => Ok(opened),
            _ => Err(AskError::Failed),
        }
    }

    /// The metadata of an image.
    ///
    /// # Errors
    /// As [`Shard::find`].
    pub async fn describe(self: &Rc<Self>, id: ObjectId) -> Result<Result<Described, StoreError>, AskError> {
        match self.route(&id, ShardRequest::Describe(id)).await? {
            ShardReply::Described(described) => Ok(described),
            _ => Err(AskError::Failed),
        }
    }

    /// The placeholder of a stored image; `None` until it was computed.
    ///
    /// # Errors
    /// [`AskError`] when the shard that holds the id could not be asked.
    pub async fn facts(self: &Rc<Self>, id: ObjectId) -> Result<Option<Placeholder>, AskError> {
        match self.route(&id, ShardRequest::Placeholder(id)).await? {
            ShardReply::Placeholder(facts) => Ok(facts),
            _ => Err(AskError::Failed),
        }
    }

    /// Stores a received upload durably on this node.
    ///
    /// # Errors
    /// [`AskError`] when the owner could not be asked, else the inner [`PublishError`]; nothing of the upload is visible
    /// then (after [`AskError::Failed`] it may be).
    pub async fn publish(
        self: &Rc<Self>,
        spooled: Spooled,
        how: PublishAs,
    ) -> Result<Result<Original, PublishError>, AskError> {
        let Spooled { temporary, id, header, .. } = spooled;
        let format = header.format;
        let ask = |temporary| ShardRequest::Publish(Publish { temporary, id, format, how });
        if self.holds(&id) {
            let path = temporary.release();
            return match self.answer(ask(path)).await {
                ShardReply::Published(published) => Ok(published),
                _ => Err(AskError::Failed),
            };
        }
        // A question that is refused must not leave the file: it is in somebody's charge throughout.
        let path = temporary.path().to_path_buf();
        let asked = self.routing.ask(&id, ask(path)).await;
        match asked? {
            ShardReply::Published(published) => {
                temporary.release();
                Ok(published)
            }
            _ => Err(AskError::Failed),
        }
    }

    /// Tells the owner what came of hashing a whole file.
    pub async fn verified(self: &Rc<Self>, verified: Verified) {
        // Only a note: when it cannot be delivered, the next reader hashes again.
        let _ = self.route(&verified.id, ShardRequest::Verified(verified)).await;
    }

    /// Tells that a stored file could be opened and not read: other nodes are asked for it from then on, and a copy of
    /// theirs takes its place.
    pub async fn unreadable(self: &Rc<Self>, id: ObjectId, error: StoreError) {
        if error.is_of_the_process() {
            return;
        }
        // Only a note: when it cannot be delivered, the next reader meets the same.
        let _ = self.route(&id, ShardRequest::Unreadable(id, error)).await;
    }

    /// Makes sure that the name of a stored file outlives a power cut. A copy that is being stored has its name a moment
    /// before that is so, and may lose it again.
    ///
    /// # Errors
    /// As [`Shard::find`].
    pub async fn sync_name(self: &Rc<Self>, id: ObjectId) -> Result<Result<(), StoreError>, AskError> {
        match self.route(&id, ShardRequest::SyncName(id)).await? {
            ShardReply::Synced(synced) => Ok(synced),
            _ => Err(AskError::Failed),
        }
    }

    /// Another node has given an image of which this one had no good copy: where it should have one, it takes it.
    pub fn note_lack(self: &Rc<Self>, id: ObjectId) {
        let view = self.view();
        if view.is_owner(view.this(), &id) && self.node.health.trouble().is_none() {
            let shard = Rc::clone(self);
            self.spawn(async move { shard.enqueue_repair(id).await });
        }
    }

    /// Notes that an owner lacks its copy of an image, this node or another. Durable when this returns, if the disk
    /// is well.
    pub async fn enqueue_repair(self: &Rc<Self>, id: ObjectId) {
        // What cannot be noted is noticed again by the next one who asks.
        let _ = self.route(&id, ShardRequest::Repair(id)).await;
    }

    /// Hands repairs to the shard that holds all of their ids. Returns how many more it has room for.
    pub(super) async fn enqueue_found_at_holder(self: &Rc<Self>, found: FoundRepairs) -> usize {
        let Some((id, _)) = found.first().copied() else { return usize::MAX };
        match self.route(&id, ShardRequest::FoundRepairs(found)).await {
            Ok(ShardReply::Room(room)) => room,
            // They are found again.
            _ => 0,
        }
    }

    /// The variant, from the cache or made.
    ///
    /// # Errors
    /// [`AskError`] when the owner could not be asked, else the inner [`VariantError`].
    pub async fn variant(
        self: &Rc<Self>,
        ask: VariantRequest,
    ) -> Result<Result<Variant, VariantError>, AskError> {
        let id = ask.id;
        match self.route(&id, ShardRequest::Variant(Box::new(ask))).await? {
            ShardReply::Variant(variant) => Ok(variant),
            _ => Err(AskError::Failed),
        }
    }

    /// The variant if it is on this node already, or being made here.
    ///
    /// # Errors
    /// [`AskError`] when the owner could not be asked.
    pub async fn kept_variant(self: &Rc<Self>, ask: VariantRequest) -> Result<Option<Variant>, AskError> {
        let id = ask.id;
        match self.route(&id, ShardRequest::Kept(Box::new(ask))).await? {
            ShardReply::Kept(variant) => Ok(variant),
            _ => Err(AskError::Failed),
        }
    }

    /// Notes a variant that will be asked for; it is made when there is nothing else to do.
    pub async fn request_pre_generation(self: &Rc<Self>, ask: VariantRequest) {
        let id = ask.id;
        // A hint that cannot be delivered is forgotten.
        let _ = self.route(&id, ShardRequest::PreGenerate(Box::new(ask))).await;
    }

    async fn own_describe(self: &Rc<Self>, id: ObjectId) -> Result<Described, StoreError> {
        let described = self.images.describe(&id, self.node.settings.limits).await?;
        if let Described::Damaged(Some(Original { format, stamp, .. })) = described {
            self.quarantine(Verified { id, format, stamp, right: false });
        }
        Ok(described)
    }

    /// Gives up on a disk that does not answer, but the work goes on: cut off in the middle, it would leave a copy that
    /// is visible and perhaps not durable.
    async fn own_publish(self: &Rc<Self>, publish: Publish) -> Result<Original, PublishError> {
        let (answer, answered) = oneshot::channel();
        let shard = Rc::clone(self);
        self.spawn(async move {
            let published = shard.images.publish(publish, || shard.view()).await;
            answer.send(published);
        });
        let published = within(PUBLISH_MAX, "store an image", async {
            let failed = || StoreError::new("store an image", io::Error::from(io::ErrorKind::Other));
            // A refusal is no failure of the disk.
            match answered.await {
                Some(Ok(original)) => Ok(Ok(original)),
                Some(Err(PublishError::Gone(record))) => Ok(Err(PublishError::Gone(record))),
                Some(Err(PublishError::Store(error))) => Err(error),
                None => Err(failed()),
            }
        });
        published.await.inspect_err(|error| self.node.health.note(error))?
    }

    fn own_verified(self: &Rc<Self>, verified: Verified) {
        if verified.right {
            self.images.originals.set_verified(&verified.id, verified.stamp);
        } else {
            self.quarantine(verified);
        }
    }

    /// The bytes of a stored file are wrong: takes it out of the way, if it is still that file.
    pub(super) fn quarantine(self: &Rc<Self>, verified: Verified) {
        let shard = Rc::clone(self);
        self.spawn(async move { _ = shard.images.quarantine(verified).await });
    }
}
