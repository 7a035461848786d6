//! What does the memory cache add to a hit? `cargo bench --bench hit -- [--quick] [NAME]`.
//!
//! One shard's cache, found or not, for ids that the shard holds and for those of other shards. Without socket and HTTP:
//! `tools/peers/hits.sh` measures those, beside nginx.

use std::hint::black_box;
use std::time::SystemTime;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use reticulum::object::{Format, ObjectId};
use reticulum::shard::cache::{CacheKey, CachedResponse, MemoryCache};

const BUDGET_BYTES: u64 = 256 << 20;
const BODY_BYTES: usize = 8 << 10;

/// All fit into the smaller part of the budget, that of other shards' ids.
const ENTRIES: u32 = 4096;

fn look_ups(criterion: &mut Criterion) {
    let cache = MemoryCache::new(BUDGET_BYTES);
    for number in 0..ENTRIES {
        let body = Bytes::from(vec![0; BODY_BYTES]);
        let entry = CachedResponse::new(body, Format::Jpeg, "\"0123456789abcdef\"", SystemTime::UNIX_EPOCH);
        cache.insert(key(number), &entry, true);
        cache.insert(key(number), &entry, false);
    }
    // The library does not keep all that is inserted.
    let kept: Vec<_> = (0..ENTRIES).map(key).filter(|key| cache.get(key, true).is_some()).collect();
    assert!(kept.len() > ENTRIES as usize / 2, "the bench would measure misses");
    for (name, held) in [("of an id that the shard holds", true), ("of another shard's id", false)] {
        let mut keys = kept.iter().cycle();
        criterion.bench_function(&format!("memory hit, {name}"), |bencher| {
            bencher.iter(|| cache.get(black_box(keys.next().expect("a key")), held));
        });
    }
    let mut numbers = (ENTRIES..).map(key);
    criterion.bench_function("memory miss", |bencher| {
        bencher.iter(|| cache.get(black_box(&numbers.next().expect("a number")), true));
    });
}

/// Ids are digests, so their bytes are spread.
fn key(number: u32) -> CacheKey {
    let mut digest = [0; 20];
    let mut spread = u64::from(number);
    for bytes in digest.chunks_mut(8) {
        spread = (spread + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bytes.copy_from_slice(&spread.to_be_bytes()[..bytes.len()]);
    }
    (ObjectId::from_digest(digest), [7; 16])
}

criterion_group!(hit, look_ups);
criterion_main!(hit);
