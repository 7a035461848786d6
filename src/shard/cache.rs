//! The memory cache: whole responses that are asked for often, with the values of their headers.
//!
//! Each shard has its part of the node-wide budget (`cache.memory`), so a hit takes no lock and touches no other core.
//! Most of the part is for ids that the shard holds. The rest is for ids that other shards hold and that this shard's
//! clients ask for again and again. Such a hit needs no hop: the allocation is shared, and its bytes are counted here too.
//!
//! Admission is scan-resistant (the library's CLOCK-Pro/S3-FIFO kind): what is asked for once does not evict what is
//! asked for often.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use crate::object::{Format, ObjectId};
use crate::store::path::VariantKey;

/// The cost of an entry beside its bytes: key, allocation, the bookkeeping of the library.
const ENTRY_EXTRA_BYTES: u64 = 256;

/// The part of a shard's budget that is for response heads, which the HTTP fast path caches.
const HEADS_PART: u64 = 32;

/// The part of a shard's budget that is for other shards' ids.
const FOREIGN_PART: u64 = 4;

/// No entry is larger than this part of a shard's own budget, nor of the whole.
const ENTRY_PART: u64 = 8;

/// The mean size that the books are laid out for; they grow if entries are smaller.
const ENTRY_BYTES_USUAL: u64 = 16 << 10;

/// One response, ready to be sent.
#[derive(Debug)]
pub struct CachedResponse {
    /// The body.
    pub bytes: Bytes,
    /// The body's format.
    pub format: Format,
    /// Strong and quoted, ASCII.
    pub etag: Bytes,
    /// Upload time of the image.
    pub modified: SystemTime,
    /// The same as an HTTP date, ASCII.
    pub last_modified: Bytes,
}

/// The key of a response: the image and the digest of the recipe.
pub type CacheKey = (ObjectId, VariantKey);

/// One shard's part of the memory cache.
#[derive(Debug)]
pub struct MemoryCache {
    own: CachePart,
    foreign: CachePart,
}

#[derive(Debug)]
struct CachePart {
    entries:
        RefCell<Cache<CacheKey, Arc<CachedResponse>, ResponseWeigher, DefaultHashBuilder, EvictionCounter>>,
    entry_bytes_max: u64,
    evictions: Cell<u64>,
}

#[derive(Clone, Debug)]
struct ResponseWeigher;

/// Counts evictions; the library has no counter of them.
#[derive(Clone, Debug)]
struct EvictionCounter;

/// Entries that an insertion evicted. The library also reports the entry that is replaced, and the inserted entry itself if it is
/// not admitted: neither is an eviction.
#[derive(Debug, Default)]
struct Evicted {
    inserted: Option<CacheKey>,
    others: u64,
}

impl CachedResponse {
    /// An answer of a variant or of stored bytes. A date in the future becomes now: HTTP forbids to send one.
    pub fn new(bytes: Bytes, format: Format, etag: &str, modified: SystemTime) -> Arc<Self> {
        let modified = modified.min(SystemTime::now());
        Arc::new(Self {
            bytes,
            format,
            etag: Bytes::copy_from_slice(etag.as_bytes()),
            modified,
            last_modified: httpdate::fmt_http_date(modified).into(),
        })
    }
}

/// The part of a shard's `cache.memory`, in bytes, that is for response heads.
pub const fn heads_bytes(bytes: u64) -> u64 {
    bytes / HEADS_PART
}

/// The key under which the stored bytes of an image are kept: no recipe has it, for a recipe's is a digest.
pub const fn stored_key(id: ObjectId, format: Format) -> CacheKey {
    let mut key = [0; 16];
    key[0] = format as u8;
    (id, key)
}

/// The entity tag of an image's stored bytes.
pub fn stored_etag(id: ObjectId) -> String {
    format!("\"{id}\"")
}

impl MemoryCache {
    /// A shard's part of `bytes`.
    pub fn new(bytes: u64) -> Self {
        let bytes = bytes - heads_bytes(bytes);
        let foreign = bytes / FOREIGN_PART;
        Self { own: CachePart::new(bytes - foreign), foreign: CachePart::new(foreign) }
    }

    /// The response for an id that this shard holds, or does not hold.
    pub fn get(&self, key: &CacheKey, held: bool) -> Option<Arc<CachedResponse>> {
        self.part(held).entries.borrow().get(key).cloned()
    }

    /// Inserts a response; the admission rule decides whether it stays.
    pub fn insert(&self, key: CacheKey, entry: &Arc<CachedResponse>, held: bool) {
        let part = self.part(held);
        if weight(entry) <= part.entry_bytes_max {
            let mut evicted = Evicted { inserted: Some(key), others: 0 };
            part.entries.borrow_mut().insert_with_lifecycle(key, Arc::clone(entry), &mut evicted);
            part.evictions.set(part.evictions.get() + evicted.others);
        }
    }

    /// Forgets all responses of these images.
    pub fn forget(&self, ids: &[ObjectId]) {
        for part in [&self.own, &self.foreign] {
            part.entries.borrow_mut().retain(|(id, _), _| !ids.contains(id));
        }
    }

    /// Bytes held, what entries cost beside their bytes included.
    pub fn bytes(&self) -> u64 {
        [&self.own, &self.foreign].iter().map(|part| part.entries.borrow().weight()).sum()
    }

    /// Entries pushed out since the start.
    pub fn evictions(&self) -> u64 {
        self.own.evictions.get() + self.foreign.evictions.get()
    }

    fn part(&self, held: bool) -> &CachePart {
        if held { &self.own } else { &self.foreign }
    }
}

impl CachePart {
    fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / ENTRY_BYTES_USUAL).unwrap_or(usize::MAX).max(1);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(bytes)
            .build()
            .expect("invariant: cache: both capacities are given");
        let entries =
            Cache::with_options(options, ResponseWeigher, DefaultHashBuilder::default(), EvictionCounter);
        Self { entries: RefCell::new(entries), entry_bytes_max: bytes / ENTRY_PART, evictions: Cell::new(0) }
    }
}

fn weight(entry: &CachedResponse) -> u64 {
    entry.bytes.len() as u64 + ENTRY_EXTRA_BYTES
}

impl Weighter<CacheKey, Arc<CachedResponse>> for ResponseWeigher {
    fn weight(&self, _: &CacheKey, entry: &Arc<CachedResponse>) -> u64 {
        weight(entry)
    }
}

impl Lifecycle<CacheKey, Arc<CachedResponse>> for EvictionCounter {
    type RequestState = Evicted;

    fn on_evict(&self, evicted: &mut Evicted, key: CacheKey, _: Arc<CachedResponse>) {
        if evicted.inserted != Some(key) {
            evicted.others += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> CacheKey {
        let mut digest = [0; 20];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        (ObjectId::from_digest(digest), [1; 16])
    }

    fn entry(bytes: usize) -> Arc<CachedResponse> {
        CachedResponse::new(vec![7; bytes].into(), Format::Jpeg, "\"tag\"", SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_budget_holds_whatever_is_inserted() {
        let cache = MemoryCache::new(1 << 20);
        for number in 0..4096 {
            cache.insert(key(number), &entry(3_000), number % 3 != 0);
            assert!(cache.bytes() <= 1 << 20);
        }
        assert!(
            cache.bytes() > 1 << 19 && cache.evictions() > 1_000,
            "{} {}",
            cache.bytes(),
            cache.evictions()
        );
    }

    #[test]
    fn only_what_others_push_out_is_an_eviction() {
        let cache = MemoryCache::new(1 << 20);
        for _ in 0..3 {
            cache.insert(key(1), &entry(3_000), true);
            assert!(cache.get(&key(1), true).is_some() && cache.get(&key(2), true).is_none());
        }
        cache.insert(key(3), &entry(1 << 19), true);
        assert_eq!(cache.evictions(), 0);
        let mut inserted = 1;
        while cache.evictions() == 0 {
            inserted += 1;
            cache.insert(key(1_000 + inserted), &entry(3_000), true);
        }
        assert_eq!(
            (0..=1_000 + inserted).filter(|number| cache.get(&key(*number), true).is_some()).count(),
            usize::from(inserted) - 1
        );
    }

    #[test]
    fn what_is_asked_for_often_survives_a_scan() {
        let cache = MemoryCache::new(1 << 20);
        for number in 0..50 {
            cache.insert(key(number), &entry(3_000), true);
        }
        for _ in 0..3 {
            assert!((0..50).all(|number| cache.get(&key(number), true).is_some()));
        }
        for number in 1_000..9_000 {
            cache.insert(key(number), &entry(3_000), true);
        }
        let kept = (0..50).filter(|number| cache.get(&key(*number), true).is_some()).count();
        assert!(kept >= 45, "{kept}");
    }

    #[test]
    fn an_image_that_is_forgotten_leaves_no_response_and_takes_no_others_with_it() {
        let cache = MemoryCache::new(1 << 20);
        for (number, held) in [(1, true), (1, false), (2, true), (3, false), (4, true)] {
            cache.insert(key(number), &entry(100), held);
        }
        let before = cache.bytes();
        cache.forget(&[key(1).0, key(3).0, key(9).0]);
        let has = |number| [true, false].map(|held| cache.get(&key(number), held).is_some());
        assert_eq!([1, 2, 3, 4].map(has), [[false; 2], [true, false], [false; 2], [true, false]]);
        assert_eq!(cache.bytes(), before / 5 * 2);
        assert_eq!(cache.evictions(), 0);
    }

    #[test]
    fn an_entry_over_an_eighth_is_not_kept() {
        let cache = MemoryCache::new(1 << 20);
        cache.insert(key(1), &entry(1 << 17), true);
        assert!(cache.get(&key(1), true).is_none());
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn without_a_budget_nothing_is_kept() {
        let cache = MemoryCache::new(0);
        cache.insert(key(1), &entry(1), true);
        assert!(cache.get(&key(1), true).is_none());
    }

    #[test]
    fn the_same_allocation_is_handed_out() {
        let cache = MemoryCache::new(1 << 20);
        let inserted = entry(100);
        cache.insert(key(1), &inserted, false);
        assert!(Arc::ptr_eq(&inserted, &cache.get(&key(1), false).unwrap()));
        assert!(cache.get(&key(1), true).is_none());
    }
}
