//! Deletion of an image: its record, and then every file and every response of it on this node.
//!
//! The record comes first and is durable. From then on no shard gives the image or takes a copy, and no cache keeps
//! anything of it. Then the files go, under the id's lock. A node that dies in between erases the rest after its start.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shard;
use super::errors::AskError;
use super::message::{ShardReply, ShardRequest};
use crate::cluster::erasure::ErasureRecord;
use crate::executor::run_blocking;
use crate::object::ObjectId;
use crate::store::{StoreError, erase};

/// Between two looks for images whose files are not all gone: after a start, or when many deletions were missed.
const LEFT_OVER_EVERY: Duration = Duration::from_secs(1);

/// The same after the disk has refused to remove a file.
const LEFT_OVER_AFTER_A_FAILURE: Duration = Duration::from_secs(5);

/// Images that one such look erases: 20 bytes each.
const LEFT_OVER_MAX: usize = 1_000;

/// Images of one call that are erased at once. More wait for the next look, so that a node that has missed a million
/// deletions erases them one by one, and not in a task for each page of them.
const AT_ONCE_MAX: usize = 16;

/// Time to wait for variants of a deleted image that are being made: longer than a request waits for one.
const JOBS_MAX: Duration = Duration::from_secs(60);

/// Between two looks whether they have ended, or whether an image is erased.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Shard {
    /// Takes erasure records durably, whichever shards hold their ids. What is gone by them is erased soon.
    ///
    /// # Errors
    /// [`AskError`] when a shard could not be asked, the inner [`StoreError`] when the journal cannot be written; some of
    /// the records may be taken.
    pub async fn learn(
        self: &Rc<Self>,
        records: &[(ObjectId, ErasureRecord)],
    ) -> Result<Result<(), StoreError>, AskError> {
        let news = self.node.erasures.news(records);
        for shard in 0..self.routing.shards() {
            let mine: Vec<_> =
                news.iter().filter(|(id, _)| self.routing.holder(id) == shard).copied().collect();
            let Some((first, _)) = mine.first().copied() else { continue };
            match self.route(&first, ShardRequest::Learn(mine)).await? {
                ShardReply::Learned(Ok(())) => {}
                ShardReply::Learned(Err(error)) => return Ok(Err(error)),
                _ => return Err(AskError::Failed),
            }
        }
        Ok(Ok(()))
    }

    /// Waits until the image is erased here, but not longer than this.
    pub async fn wait_erased(&self, id: &ObjectId, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.node.erasures.is_erased(id) {
            if Instant::now() >= until {
                return false;
            }
            glommio::timer::sleep(LOOK_AGAIN).await;
        }
        true
    }

    /// Removes the variants of an image on this node, its placeholder and decoded planes, from memory and disk.
    ///
    /// # Errors
    /// As [`Shard::find`]; some may be gone.
    pub async fn purge_here(self: &Rc<Self>, id: ObjectId) -> Result<Result<(), StoreError>, AskError> {
        match self.route(&id, ShardRequest::Purge(id)).await? {
            ShardReply::Purged(purged) => Ok(purged),
            _ => Err(AskError::Failed),
        }
    }

    pub(super) async fn own_purge(self: &Rc<Self>, id: ObjectId) -> Result<(), StoreError> {
        self.remove_variants(id).await?;
        // Afterwards: what a reader finds on disk meanwhile comes into memory.
        self.forget_everywhere(&[id]).await;
        Ok(())
    }

    /// Takes records of ids that this shard holds, and begins to erase what is gone by them.
    pub(super) async fn own_learn(
        self: &Rc<Self>,
        records: Vec<(ObjectId, ErasureRecord)>,
    ) -> Result<(), StoreError> {
        self.images.record_erasures(&records).await.inspect_err(|error| self.node.health.note(error))?;
        if records.len() <= AT_ONCE_MAX {
            let ids =
                records.into_iter().map(|(id, _)| id).filter(|id| self.node.erasures.is_gone(id)).collect();
            let shard = Rc::clone(self);
            self.spawn(async move { _ = shard.erase_all(ids).await });
        }
        Ok(())
    }

    /// Erases what an earlier process has left, or what the disk has refused. Run one per shard.
    pub(super) async fn erase_left_over(self: Rc<Self>) {
        while !self.lifecycle.stopping.is_set() {
            let left = self.node.erasures.unerased(LEFT_OVER_MAX, |id| self.holds(id));
            let is_done = self.erase_all(left).await;
            glommio::timer::sleep(if is_done { LEFT_OVER_EVERY } else { LEFT_OVER_AFTER_A_FAILURE }).await;
        }
    }

    /// Erases images one after another. False: not all are erased.
    async fn erase_all(self: &Rc<Self>, mut ids: Vec<ObjectId>) -> bool {
        ids.retain(|id| !self.node.erasures.is_erased(id));
        if ids.is_empty() {
            return true;
        }
        if !self.forget_everywhere(&ids).await {
            return false;
        }
        let mut failures = 0_usize;
        for id in ids {
            if let Err(error) = self.erase(id).await {
                self.node.health.note(&error);
                // One line for all: a disk that fails would fill the log.
                if failures == 0 {
                    log::warn!(object:% = id, error:% = error; "cannot erase a deleted image, so the node tries again in a few seconds; check the disk");
                }
                failures += 1;
            }
        }
        failures == 0
    }

    /// Forgets all responses of these images. False: a shard could not be asked.
    async fn forget_everywhere(self: &Rc<Self>, ids: &[ObjectId]) -> bool {
        self.cache.forget(ids);
        let ids: Arc<[ObjectId]> = ids.into();
        for shard in (0..self.routing.shards()).filter(|shard| *shard != self.index()) {
            if self.routing.ask_shard(shard, ShardRequest::Forget(Arc::clone(&ids))).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Erases an image of an id that this shard holds, if it is gone.
    async fn erase(self: &Rc<Self>, id: ObjectId) -> Result<(), StoreError> {
        let _turn = self.images.publishing.lock(id).await;
        let record = self.node.erasures.record(&id);
        if !record.is_gone() || self.node.erasures.is_erased(&id) {
            return Ok(());
        }
        self.images.originals.erase(&id).await?;
        self.settle(&id).await;
        // In this order: a job that begins now finds no image, and what one that had it has written goes last.
        self.wait_for_jobs(&id).await?;
        self.remove_variants(id).await?;
        self.images.set_erased(id, record).await;
        log::info!(object:% = id; "erased a deleted image");
        Ok(())
    }

    /// Waits for jobs that had the image before it was deleted: they write their results all the same.
    async fn wait_for_jobs(&self, id: &ObjectId) -> Result<(), StoreError> {
        let until = Instant::now() + JOBS_MAX;
        while self.resize.has_jobs_of(id) {
            if Instant::now() >= until {
                return Err(StoreError::Late("end the jobs of a deleted image"));
            }
            glommio::timer::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn remove_variants(&self, id: ObjectId) -> Result<(), StoreError> {
        let paths = self.node.paths.clone();
        let removed = run_blocking("remove variants", move || erase::remove_variants(&paths, &id)).await;
        removed.unwrap_or(Err(StoreError::Late("remove variants")))?;
        self.cache.forget_files(&id);
        Ok(())
    }
}
