//! The two tiers of a shard's cache: responses in memory, variants on disk. It knows neither originals nor jobs.
//!
//! A variant found on disk comes into memory if there is room for it as long as it is sent. All that the metrics say of
//! the tiers is reported here.

use std::cell::Cell;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::bodies::memory::BodyMemory;
use super::cache::{CacheKey, CachedResponse, MemoryCache};
use super::erasures::Erasures;
use super::job::{CacheUse, JobKey};
use super::variant::{VariantBody, VariantFile, etag};
use crate::image::placeholder::{self, Placeholder};
use crate::object::{Format, ObjectId};
use crate::store::health::Health;
use crate::store::variants::{PROVEN_BYTES, Room, StoredVariant, Variants};
use crate::store::{StoreError, timely};
use crate::telemetry::metrics::ShardMetrics;

/// One shard's part of the cache.
#[derive(Debug)]
pub(super) struct CacheTiers {
    memory: MemoryCache,
    disk: Variants,
    /// The memory of answers' bodies, of the whole node.
    bodies: Arc<BodyMemory>,
    /// Images that no tier keeps anything of.
    erasures: Arc<Erasures>,
    metrics: Arc<ShardMetrics>,
    /// The last round in which this shard's disk tier gave way.
    gave_way_in: Cell<u64>,
}

impl CacheTiers {
    /// Tiers that hold nothing in memory, and on disk what an earlier process left.
    pub(super) fn new(
        memory: MemoryCache,
        disk: Variants,
        bodies: Arc<BodyMemory>,
        erasures: Arc<Erasures>,
        metrics: Arc<ShardMetrics>,
    ) -> Self {
        Self { memory, disk, bodies, erasures, metrics, gave_way_in: Cell::new(0) }
    }

    /// A response from memory, of an id that this shard holds, or does not hold.
    pub(super) fn get(&self, key: &CacheKey, held: bool) -> Option<Arc<CachedResponse>> {
        let entry = self.memory.get(key, held);
        if entry.is_some() {
            self.metrics.memory_hits.add();
        }
        entry
    }

    /// Inserts a response into memory, unless its image is gone: it may have been made while that was deleted.
    pub(super) fn insert(&self, key: CacheKey, entry: &Arc<CachedResponse>, held: bool) {
        if self.erasures.is_gone(&key.0) {
            return;
        }
        self.memory.insert(key, entry, held);
        self.metrics.memory_bytes.set(self.memory.bytes());
        self.metrics.memory_evictions.set(self.memory.evictions());
    }

    /// Forgets all responses of these images.
    pub(super) fn forget(&self, ids: &[ObjectId]) {
        self.memory.forget(ids);
        self.metrics.memory_bytes.set(self.memory.bytes());
    }

    /// The files of an image, of an id that this shard holds, were removed from disk.
    pub(super) fn forget_files(&self, id: &ObjectId) {
        self.disk.forget_image(id);
        self.report_disk();
    }

    /// Inserts a variant that was just made, of an id that this shard holds. `None`: there is no room in memory for as
    /// long as it is sent.
    pub(super) fn insert_made(
        &self,
        (id, key, format): JobKey,
        bytes: &Bytes,
        modified: SystemTime,
    ) -> Option<Arc<CachedResponse>> {
        let charge = self.bodies.reserve(bytes.len() as u64)?;
        let entry = CachedResponse::new(charge.hold(bytes.clone()), format, &etag(&key), modified);
        self.insert((id, key), &entry, true);
        Some(entry)
    }

    /// A variant from disk, of an id that this shard holds.
    pub(super) async fn find_on_disk(
        &self,
        (id, key, format): &JobKey,
        modified: SystemTime,
    ) -> Option<VariantBody> {
        let charge = self.bodies.reserve(PROVEN_BYTES);
        let opened = self.disk.open(id, key, *format, charge.is_some());
        match timely("read a variant", opened).await {
            Ok(Some(StoredVariant::Bytes(bytes))) => {
                self.metrics.disk_hits.add();
                let bytes = match charge {
                    Some(charge) => charge.hold(bytes),
                    None => bytes,
                };
                let entry = CachedResponse::new(bytes, *format, &etag(key), modified);
                self.insert((*id, *key), &entry, true);
                Some(VariantBody::Ready(entry))
            }
            Ok(Some(StoredVariant::File(file, length))) => {
                self.metrics.disk_hits.add();
                Some(VariantBody::File(VariantFile { file, length, modified, charge: None }))
            }
            Ok(None) => None,
            Err(error) => {
                // The cache is disposable: what it cannot give is made.
                log::warn!(object:% = id, error:% = error; "a variant in cache/ cannot be read, so it is made again; check that disk");
                None
            }
        }
    }

    /// Opens a variant on disk that is not wanted in memory.
    ///
    /// # Errors
    /// [`StoreError`]; the caller may treat it as a miss.
    pub(super) async fn open_on_disk(
        &self,
        (id, key, format): &JobKey,
    ) -> Result<Option<StoredVariant>, StoreError> {
        self.disk.open(id, key, *format, false).await
    }

    /// The placeholder of an image of this format, if it was made. It is no response, and no hit.
    pub(super) async fn find_placeholder(
        &self,
        id: &ObjectId,
        format: Format,
        modified: SystemTime,
    ) -> Option<Placeholder> {
        let key = placeholder::key(id);
        if let Some(entry) = self.memory.get(&(*id, key), true) {
            return Placeholder::from_bytes(&entry.bytes);
        }
        let bytes = match self.disk.open(id, &key, format, true).await {
            Ok(Some(StoredVariant::Bytes(bytes))) => bytes,
            // A placeholder is short: a long file is none.
            Ok(Some(StoredVariant::File(..)) | None) => return None,
            Err(error) => {
                log::warn!(object:% = id, error:% = error; "a placeholder in cache/ cannot be read, so it is made again; check that disk");
                return None;
            }
        };
        let facts = Placeholder::from_bytes(&bytes)?;
        let entry = CachedResponse::new(bytes, format, &etag(&key), modified);
        self.insert((*id, key), &entry, true);
        Some(facts)
    }

    /// Whether the placeholder of an image is in memory.
    pub(super) fn has_placeholder(&self, id: &ObjectId) -> bool {
        self.memory.get(&(*id, placeholder::key(id)), true).is_some()
    }

    /// A job has written or read a file of the disk tier.
    pub(super) async fn record_use(&self, CacheUse { id, key, cached, length, disk_bytes }: CacheUse) {
        self.disk.record_use(&id, &key, cached, length, disk_bytes).await;
        self.report_disk();
    }

    /// Counts the files that an earlier process left.
    pub(super) async fn count_files(&self) {
        self.disk.count_files().await;
        self.report_disk();
    }

    /// Gives way if the disk has no room: so much of what is wanted as is this shard's, which is one of `shards`. Once
    /// in each round.
    pub(super) async fn relieve_pressure(&self, health: &Health, shards: usize) {
        let Some((round, Room { bytes, inodes })) = health.pressure() else { return };
        if self.gave_way_in.replace(round) == round {
            return;
        }
        let share = |of: u64| of.div_ceil(shards as u64);
        let freed = self.disk.free_room(Room { bytes: share(bytes), inodes: share(inodes) }).await;
        self.report_disk();
        health.gave_way(round, freed);
    }

    fn report_disk(&self) {
        self.metrics.disk_bytes.set(self.disk.bytes());
        self.metrics.disk_evictions.set(self.disk.evictions());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::erasure::{ErasureRecord, Intent};
    use crate::store::path::StorePaths;

    fn tiers() -> CacheTiers {
        let disk = Variants::new(StorePaths::new("/nowhere".as_ref()), 0, |_| true);
        CacheTiers::new(
            MemoryCache::new(1 << 20),
            disk,
            BodyMemory::new(1 << 20),
            Arc::default(),
            Arc::default(),
        )
    }

    fn key() -> JobKey {
        (ObjectId::from_digest([1; 20]), [2; 16], Format::Webp)
    }

    #[test]
    fn a_made_variant_is_a_hit_in_memory_and_both_are_reported() {
        let tiers = tiers();
        let (id, name, _) = key();
        assert!(tiers.get(&(id, name), true).is_none());
        let made = tiers.insert_made(key(), &Bytes::from_static(b"pixels"), SystemTime::UNIX_EPOCH);
        let found = tiers.get(&(id, name), true).unwrap();
        assert!(Arc::ptr_eq(&made.unwrap(), &found));
        assert_eq!((&found.bytes[..], &found.etag[..]), (&b"pixels"[..], etag(&name).as_bytes()));
        assert_eq!(tiers.metrics.memory_hits.get(), 1);
        assert_eq!(tiers.metrics.memory_bytes.get(), tiers.memory.bytes());
        assert!(tiers.metrics.memory_bytes.get() > 6);
    }

    #[test]
    fn a_variant_for_which_memory_has_no_room_while_it_is_sent_is_not_inserted() {
        let tiers = tiers();
        let all = tiers.bodies.charge(u64::MAX / 2);
        let made = || tiers.insert_made(key(), &Bytes::from_static(b"pixels"), SystemTime::UNIX_EPOCH);
        assert!(made().is_none() && tiers.get(&(key().0, key().1), true).is_none());
        drop(all);
        assert!(made().is_some());
    }

    #[test]
    fn of_an_image_that_is_gone_nothing_is_inserted_and_what_was_there_is_forgotten() {
        let (tiers, (id, name, _)) = (tiers(), key());
        let made = || tiers.insert_made(key(), &Bytes::from_static(b"pixels"), SystemTime::UNIX_EPOCH);
        assert!(made().is_some());
        tiers.forget(&[id]);
        assert!(tiers.get(&(id, name), true).is_none());
        tiers.erasures.merge(&[(id, ErasureRecord::default().fulfil(Intent::Delete))]);
        assert!(made().is_some(), "those who wait for it get it");
        assert!(tiers.get(&(id, name), true).is_none());
        assert_eq!(tiers.metrics.memory_bytes.get(), 0);
    }

    #[test]
    fn a_placeholder_in_memory_is_found_and_is_no_hit() {
        let tiers = tiers();
        let id = key().0;
        assert!(!tiers.has_placeholder(&id));
        let name = (id, placeholder::key(&id), Format::Webp);
        tiers.insert_made(name, &Bytes::from_static(b"small"), SystemTime::UNIX_EPOCH);
        assert!(tiers.has_placeholder(&id));
        assert_eq!(tiers.metrics.memory_hits.get(), 0);
    }
}
