//! The memory tier: answers that are asked for often, whole, with what their heads say.
//!
//! Each shard keeps its part of the node-wide budget (`cache.memory`) for itself, so that a hit takes
//! no lock and touches no other core. Most of the part is for the shard's own ids. The rest holds what
//! other shards own and clients of this one ask for again and again: the same allocation, counted here
//! too, so that such a hit needs no question to the owner.
//!
//! Admission is by the cache library's CLOCK-Pro/S3-FIFO kind: what is asked for once does not push out
//! what is asked for often.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use crate::object::{Format, ObjectId};
use crate::store::path::VariantKey;

/// What an entry costs beside its bytes: key, allocation, the cache's own books.
const ENTRY_EXTRA_BYTES: u64 = 256;

/// The part of a shard's budget that is for the heads of answers, which whoever sends them keeps.
const HEADS_PART: u64 = 32;

/// The part of a shard's budget that is for other shards' ids.
const FOREIGN_PART: u64 = 4;

/// No entry is larger than this part of a shard's own budget, nor of the whole.
const ENTRY_PART: u64 = 8;

/// The mean size that the books are laid out for; they grow if entries are smaller.
const ENTRY_BYTES_USUAL: u64 = 16 << 10;

/// One answer, ready to be sent.
#[derive(Debug)]
pub struct Entry {
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

/// Which answer: of which image, by which recipe.
pub type HotKey = (ObjectId, VariantKey);

/// One shard's part of the memory tier.
#[derive(Debug)]
pub struct Hot {
    own: Part,
    foreign: Part,
}

#[derive(Debug)]
struct Part {
    entries: RefCell<Cache<HotKey, Arc<Entry>, Weight, DefaultHashBuilder, Count>>,
    entry_bytes_max: u64,
    evictions: Cell<u64>,
}

#[derive(Clone, Debug)]
struct Weight;

/// Counts evictions; the library has no counter of them.
#[derive(Clone, Debug)]
struct Count;

/// What an offer pushed out. The library also reports what the offered entry itself replaces, and that entry where it
/// is not taken: neither was pushed out.
#[derive(Debug, Default)]
struct PushedOut {
    offered: Option<HotKey>,
    others: u64,
}

impl Entry {
    /// An answer of a variant or of stored bytes.
    pub fn new(bytes: Bytes, format: Format, etag: &str, modified: SystemTime) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            format,
            etag: Bytes::copy_from_slice(etag.as_bytes()),
            modified,
            last_modified: httpdate::fmt_http_date(modified).into(),
        })
    }
}

/// What of a shard's part of `cache.memory`, in bytes, is for heads.
pub const fn heads_bytes(bytes: u64) -> u64 {
    bytes / HEADS_PART
}

/// The key under which the stored bytes of an image are kept: no recipe has it, for a recipe's is a digest.
pub const fn stored_key(id: ObjectId, format: Format) -> HotKey {
    let mut key = [0; 16];
    key[0] = format as u8;
    (id, key)
}

impl Hot {
    /// A shard's part of `bytes`.
    pub fn new(bytes: u64) -> Self {
        let bytes = bytes - heads_bytes(bytes);
        let foreign = bytes / FOREIGN_PART;
        Self { own: Part::new(bytes - foreign), foreign: Part::new(foreign) }
    }

    /// An answer of an image that this shard owns, or not.
    pub fn get(&self, key: &HotKey, owned: bool) -> Option<Arc<Entry>> {
        self.part(owned).entries.borrow().get(key).cloned()
    }

    /// Offers an answer; it is kept if the cache's rule says so.
    pub fn offer(&self, key: HotKey, entry: &Arc<Entry>, owned: bool) {
        let part = self.part(owned);
        if weight(entry) <= part.entry_bytes_max {
            let mut pushed_out = PushedOut { offered: Some(key), others: 0 };
            part.entries.borrow_mut().insert_with_lifecycle(key, Arc::clone(entry), &mut pushed_out);
            part.evictions.set(part.evictions.get() + pushed_out.others);
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

    fn part(&self, owned: bool) -> &Part {
        if owned { &self.own } else { &self.foreign }
    }
}

impl Part {
    fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / ENTRY_BYTES_USUAL).unwrap_or(usize::MAX).max(1);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(bytes)
            .build()
            .expect("both capacities are given");
        let entries = Cache::with_options(options, Weight, DefaultHashBuilder::default(), Count);
        Self { entries: RefCell::new(entries), entry_bytes_max: bytes / ENTRY_PART, evictions: Cell::new(0) }
    }
}

fn weight(entry: &Entry) -> u64 {
    entry.bytes.len() as u64 + ENTRY_EXTRA_BYTES
}

impl Weighter<HotKey, Arc<Entry>> for Weight {
    fn weight(&self, _: &HotKey, entry: &Arc<Entry>) -> u64 {
        weight(entry)
    }
}

impl Lifecycle<HotKey, Arc<Entry>> for Count {
    type RequestState = PushedOut;

    fn on_evict(&self, pushed_out: &mut PushedOut, key: HotKey, _: Arc<Entry>) {
        if pushed_out.offered != Some(key) {
            pushed_out.others += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> HotKey {
        let mut digest = [0; 20];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        (ObjectId::from_digest(digest), [1; 16])
    }

    fn entry(bytes: usize) -> Arc<Entry> {
        Entry::new(vec![7; bytes].into(), Format::Jpeg, "\"tag\"", SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_budget_holds_whatever_is_offered() {
        let hot = Hot::new(1 << 20);
        for number in 0..4096 {
            hot.offer(key(number), &entry(3_000), number % 3 != 0);
            assert!(hot.bytes() <= 1 << 20);
        }
        assert!(hot.bytes() > 1 << 19 && hot.evictions() > 1_000, "{} {}", hot.bytes(), hot.evictions());
    }

    #[test]
    fn only_what_others_push_out_is_an_eviction() {
        let hot = Hot::new(1 << 20);
        for _ in 0..3 {
            hot.offer(key(1), &entry(3_000), true);
            assert!(hot.get(&key(1), true).is_some() && hot.get(&key(2), true).is_none());
        }
        hot.offer(key(3), &entry(1 << 19), true);
        assert_eq!(hot.evictions(), 0);
        let mut offered = 1;
        while hot.evictions() == 0 {
            offered += 1;
            hot.offer(key(1_000 + offered), &entry(3_000), true);
        }
        assert_eq!(
            (0..=1_000 + offered).filter(|number| hot.get(&key(*number), true).is_some()).count(),
            usize::from(offered) - 1
        );
    }

    #[test]
    fn what_is_asked_for_often_survives_a_scan() {
        let hot = Hot::new(1 << 20);
        for number in 0..50 {
            hot.offer(key(number), &entry(3_000), true);
        }
        for _ in 0..3 {
            assert!((0..50).all(|number| hot.get(&key(number), true).is_some()));
        }
        for number in 1_000..9_000 {
            hot.offer(key(number), &entry(3_000), true);
        }
        let kept = (0..50).filter(|number| hot.get(&key(*number), true).is_some()).count();
        assert!(kept >= 45, "{kept}");
    }

    #[test]
    fn an_entry_over_an_eighth_is_not_kept() {
        let hot = Hot::new(1 << 20);
        hot.offer(key(1), &entry(1 << 17), true);
        assert!(hot.get(&key(1), true).is_none());
        assert_eq!(hot.bytes(), 0);
    }

    #[test]
    fn without_a_budget_nothing_is_kept() {
        let hot = Hot::new(0);
        hot.offer(key(1), &entry(1), true);
        assert!(hot.get(&key(1), true).is_none());
    }

    #[test]
    fn the_same_allocation_is_handed_out() {
        let hot = Hot::new(1 << 20);
        let offered = entry(100);
        hot.offer(key(1), &offered, false);
        assert!(Arc::ptr_eq(&offered, &hot.get(&key(1), false).unwrap()));
        assert!(hot.get(&key(1), true).is_none());
    }
}
