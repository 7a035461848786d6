//! The counters of one shard.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::counter::{Counter, Histogram};
use super::label::{Cache, CopyCause, Label, Resize, Route, Stage, Unproven};

/// The statuses that `http/reply.rs` can give (a test there holds the two together).
pub const STATUSES: [u16; 26] = [
    200, 202, 204, 206, 301, 304, 400, 401, 403, 404, 405, 408, 409, 410, 411, 412, 413, 415, 416, 422, 429,
    431, 500, 501, 503, 507,
];

/// The counters of one shard.
#[derive(Debug)]
pub struct ShardMetrics {
    pub(super) requests: Vec<AtomicU64>,
    pub(super) request_seconds: Vec<Histogram>,
    pub(super) stage_seconds: Vec<Histogram>,
    pub(super) resizes: Vec<AtomicU64>,
    /// Requests that joined the making of a variant that was under way.
    pub coalesced: Counter,
    /// Jobs that wait for the resize worker or are in it.
    pub resize_queue: Counter,
    /// Messages to another shard refused because too many were under way.
    pub mesh_refused: Counter,
    pub(super) peers_refused: Vec<AtomicU64>,
    /// Copies that failed their hash.
    pub corrupt: Counter,
    /// Answers served from memory.
    pub memory_hits: Counter,
    /// Bytes of answers in memory.
    pub memory_bytes: Counter,
    /// Answers pushed out of memory.
    pub memory_evictions: Counter,
    /// Variants served from disk.
    pub disk_hits: Counter,
    /// Bytes of variants on disk.
    pub disk_bytes: Counter,
    /// Files of the cache removed from disk to keep a bound.
    pub disk_evictions: Counter,
    /// Copies that have to be seen to: others own them, or an owner lacks its own.
    pub misplaced: Counter,
    pub(super) moved_bytes: Vec<Counter>,
    /// Copies that this node lacked or had a bad one of, and has now.
    pub repaired: Counter,
    /// Repairs that may read, fetch or send copies at once.
    pub repair_turns: Counter,
    /// Copies that the whole cluster still has to make for the newest layout, about. The first shard's alone.
    pub move_left_images: Counter,
    /// Bytes of them.
    pub move_left_bytes: Counter,
}

impl Default for ShardMetrics {
    fn default() -> Self {
        fn zeroed<T: Default>(count: usize) -> Vec<T> {
            std::iter::repeat_with(T::default).take(count).collect()
        }
        Self {
            requests: zeroed(Route::ALL.len() * STATUSES.len() * Cache::ALL.len()),
            request_seconds: zeroed(Route::ALL.len()),
            stage_seconds: zeroed(Stage::ALL.len()),
            resizes: zeroed(Resize::ALL.len()),
            coalesced: Counter::default(),
            resize_queue: Counter::default(),
            mesh_refused: Counter::default(),
            peers_refused: zeroed(Unproven::ALL.len()),
            corrupt: Counter::default(),
            memory_hits: Counter::default(),
            memory_bytes: Counter::default(),
            memory_evictions: Counter::default(),
            disk_hits: Counter::default(),
            disk_bytes: Counter::default(),
            disk_evictions: Counter::default(),
            misplaced: Counter::default(),
            moved_bytes: zeroed(CopyCause::ALL.len()),
            repaired: Counter::default(),
            repair_turns: Counter::default(),
            move_left_images: Counter::default(),
            move_left_bytes: Counter::default(),
        }
    }
}

impl ShardMetrics {
    /// Counts an answered request.
    pub fn request(&self, route: Route, status: u16, cache: Cache, elapsed: Duration) {
        if let Some(status) = STATUSES.iter().position(|known| *known == status) {
            self.requests[request_index(route.index(), status, cache.index())].fetch_add(1, Relaxed);
        }
        self.request_seconds[route.index()].observe(elapsed);
    }

    /// Requests for images and uploads that were answered so far: those that somebody waits for.
    pub fn requests_answered(&self) -> u64 {
        let routes = [Route::Image, Route::Info, Route::Upload];
        routes.iter().map(|route| self.request_seconds[route.index()].count.load(Relaxed)).sum()
    }

    /// Counts the time of one stage of one variant.
    pub fn stage(&self, stage: Stage, elapsed: Duration) {
        self.stage_seconds[stage.index()].observe(elapsed);
    }

    /// Counts a rejected request below `/cluster/`.
    pub fn refuse_peer(&self, cause: Unproven) {
        self.peers_refused[cause.index()].fetch_add(1, Relaxed);
    }

    /// Counts the bytes of a copy that was given to a node that should have had it, or taken by this one.
    pub fn moved(&self, cause: CopyCause, bytes: u64) {
        self.moved_bytes[cause.index()].add_many(bytes);
    }

    /// Bytes of all copies that were moved.
    pub fn moved_bytes(&self) -> u64 {
        self.moved_bytes.iter().map(Counter::get).sum()
    }

    /// The number of resizes with this outcome.
    #[cfg(test)]
    pub fn resized(&self, outcome: Resize) -> u64 {
        self.resizes[outcome.index()].load(Relaxed)
    }

    /// Counts how a resize ended.
    pub fn resize(&self, outcome: Resize) {
        self.resizes[outcome.index()].fetch_add(1, Relaxed);
    }
}

/// Where the counter of these labels stands in [`ShardMetrics::requests`].
pub(super) const fn request_index(route: usize, status: usize, cache: usize) -> usize {
    (route * STATUSES.len() + status) * Cache::ALL.len() + cache
}

/// A status as a label's value.
pub(super) fn status_text(status: u16) -> &'static str {
    const TEXTS: [&str; STATUSES.len()] = [
        "200", "202", "204", "206", "301", "304", "400", "401", "403", "404", "405", "408", "409", "410",
        "411", "412", "413", "415", "416", "422", "429", "431", "500", "501", "503", "507",
    ];
    STATUSES.iter().position(|known| *known == status).map_or("other", |index| TEXTS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_text() {
        for status in STATUSES {
            assert_eq!(status_text(status), status.to_string());
        }
    }
}
