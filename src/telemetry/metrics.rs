//! All metrics of a node: names, help texts, labels.
//!
//! Every shard counts into its own [`ShardMetrics`]; only a scrape reads them together, so no two
//! cores write one cache line. Labels come from the closed enums here.

pub mod channel;
mod disk;
mod label;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto;
use prometheus::{Encoder, Registry, TextEncoder};

pub use self::disk::DiskMetrics;
pub use self::label::{Cache, ChannelMessage, ChannelRefusal, Label, Member, Resize, Route, Stage, Unproven};

/// The statuses that `http/reply.rs` can give (a test there holds the two together).
pub const STATUSES: [u16; 23] = [
    200, 204, 206, 301, 304, 400, 401, 403, 404, 405, 408, 410, 411, 413, 415, 416, 422, 429, 431, 500, 501,
    503, 507,
];

/// Upper bounds of the histograms' buckets, in seconds.
const BOUNDS_S: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// The counters of one shard.
#[derive(Debug)]
pub struct ShardMetrics {
    requests: Vec<AtomicU64>,
    request_seconds: Vec<Histogram>,
    stage_seconds: Vec<Histogram>,
    resizes: Vec<AtomicU64>,
    /// Requests that joined the making of a variant that was under way.
    pub coalesced: Counter,
    /// Jobs that wait for the resize worker or are in it.
    pub resize_queue: Counter,
    /// Messages to another shard refused because too many were under way.
    pub mesh_refused: Counter,
    peers_refused: Vec<AtomicU64>,
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
    /// Images stored.
    pub images: Counter,
    /// Bytes of images stored.
    pub image_bytes: Counter,
    /// 1 once the two above are the whole count; until then they are not shown.
    pub images_counted: Counter,
    /// Copies that have to be seen to: others own them, or an owner lacks its own.
    pub misplaced: Counter,
    /// Bytes of copies given to nodes that should have had them, or taken by this one.
    pub repair_bytes: Counter,
    /// Copies that this node lacked or had a bad one of, and has now.
    pub repaired: Counter,
}

/// The number of members in each state, as this node sees them.
#[derive(Debug, Default)]
pub struct MemberMetrics([Counter; Member::ALL.len()]);

impl MemberMetrics {
    /// Sets how many there are in this state.
    pub fn set(&self, state: Member, count: u64) {
        self.0[state.index()].set(count);
    }
}

/// A number that one shard writes and a scrape reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS_S.len()],
    count: AtomicU64,
    sum_ns: AtomicU64,
}

impl Counter {
    /// Adds one.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Adds so many.
    pub fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Takes one off (gauges only).
    pub fn sub(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Sets it (gauges, and counters that another module keeps).
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Its present value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Histogram {
    fn observe(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        if let Some(bucket) = BOUNDS_S.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
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
            images: Counter::default(),
            image_bytes: Counter::default(),
            images_counted: Counter::default(),
            misplaced: Counter::default(),
            repair_bytes: Counter::default(),
            repaired: Counter::default(),
        }
    }
}

impl ShardMetrics {
    /// The number of images that the shard stores, and of their bytes; `None` until it has counted them.
    pub fn stored(&self) -> Option<(u64, u64)> {
        (self.images_counted.get() == 1).then(|| (self.images.get(), self.image_bytes.get()))
    }

    /// Counts an answered request.
    pub fn request(&self, route: Route, status: u16, cache: Cache, elapsed: Duration) {
        if let Some(status) = STATUSES.iter().position(|known| *known == status) {
            self.requests[request_index(route.index(), status, cache.index())].fetch_add(1, Relaxed);
        }
        self.request_seconds[route.index()].observe(elapsed);
    }

    /// Counts the time of one stage of one variant.
    pub fn stage(&self, stage: Stage, elapsed: Duration) {
        self.stage_seconds[stage.index()].observe(elapsed);
    }

    /// Counts a rejected request below `/cluster/`.
    pub fn refuse_peer(&self, cause: Unproven) {
        self.peers_refused[cause.index()].fetch_add(1, Relaxed);
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

const fn request_index(route: usize, status: usize, cache: usize) -> usize {
    (route * STATUSES.len() + status) * Cache::ALL.len() + cache
}

/// The metrics of a node, as Prometheus text.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    registry: Registry,
}

impl NodeMetrics {
    /// The sum over `shards`, the cluster's members, the disk, and the process's own numbers.
    pub fn new(shards: Vec<Arc<ShardMetrics>>, members: Arc<MemberMetrics>, disk: Arc<DiskMetrics>) -> Self {
        let registry = Registry::new();
        let collectors: [Box<dyn Collector>; 2] = [
            Box::new(Summed { shards, members, disk, desc: description() }),
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ];
        for collector in collectors {
            registry.register(collector).expect("the two collectors have no name in common");
        }
        Self { registry }
    }

    /// Media type and text of a scrape. Reads `/proc`, so it may block for a moment.
    pub fn scrape(&self) -> (String, Vec<u8>) {
        let encoder = TextEncoder::new();
        let mut text = Vec::new();
        encoder.encode(&self.registry.gather(), &mut text).expect("writing to memory cannot fail");
        (encoder.format_type().to_owned(), text)
    }
}

struct Summed {
    shards: Vec<Arc<ShardMetrics>>,
    members: Arc<MemberMetrics>,
    disk: Arc<DiskMetrics>,
    desc: Desc,
}

/// A registry wants a description to tell collectors apart; the families below speak for themselves.
fn description() -> Desc {
    Desc::new("reticulum".into(), "All metrics of the node.".into(), Vec::new(), Default::default())
        .expect("a constant description is right")
}

impl Collector for Summed {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let total = |read: fn(&ShardMetrics) -> &Counter| self.sum(|shard| read(shard).get());
        let mut families = self.stored();
        families.extend(self.repair());
        families.extend(self.disk.families().into_iter().chain([channel::family()]));
        families.extend([
            counter("reticulum_http_requests_total", "Requests answered.", self.requests()),
            self.histogram(
                "reticulum_http_request_seconds",
                "Time from a request's head to its answer's head.",
                "route",
                Route::ALL.iter().map(|(_, text)| *text),
                |shard| &shard.request_seconds,
            ),
            self.histogram(
                "reticulum_variant_stage_seconds",
                "Time of each stage of making a variant.",
                "stage",
                Stage::ALL.iter().map(|(_, text)| *text),
                |shard| &shard.stage_seconds,
            ),
            gauge(
                "reticulum_resize_queue",
                "Resize jobs that wait or run.",
                vec![(Vec::new(), total(|shard| &shard.resize_queue))],
            ),
            counter("reticulum_resizes_total", "Resize jobs by how they ended.", self.resizes()),
            counter(
                "reticulum_coalesced_total",
                "Requests that joined the making of a variant under way.",
                vec![(Vec::new(), total(|shard| &shard.coalesced))],
            ),
            gauge(
                "reticulum_cache_bytes",
                "Bytes of variants kept.",
                vec![
                    (vec![("tier", "disk")], total(|shard| &shard.disk_bytes)),
                    (vec![("tier", "memory")], total(|shard| &shard.memory_bytes)),
                ],
            ),
            counter(
                "reticulum_cache_hits_total",
                "Variants served from a cache tier.",
                vec![
                    (vec![("tier", "disk")], total(|shard| &shard.disk_hits)),
                    (vec![("tier", "memory")], total(|shard| &shard.memory_hits)),
                ],
            ),
            counter(
                "reticulum_cache_evictions_total",
                "Variants removed from a cache tier to keep its bound.",
                vec![
                    (vec![("tier", "disk")], total(|shard| &shard.disk_evictions)),
                    (vec![("tier", "memory")], total(|shard| &shard.memory_evictions)),
                ],
            ),
            counter(
                "reticulum_corrupt_total",
                "Copies of images that failed their hash.",
                vec![(Vec::new(), total(|shard| &shard.corrupt))],
            ),
            counter(
                "reticulum_mesh_refused_total",
                "Messages between shards, and between nodes, that were refused.",
                self.mesh_refused(),
            ),
            gauge("reticulum_members", "Members of the cluster by state.", self.members()),
        ]);
        families
    }
}

type Sample = (Vec<(&'static str, &'static str)>, u64);

impl Summed {
    fn sum(&self, read: impl Fn(&ShardMetrics) -> u64) -> u64 {
        self.shards.iter().map(|shard| read(shard)).sum()
    }

    /// Repair: work left and done.
    fn repair(&self) -> [proto::MetricFamily; 3] {
        [
            gauge(
                "reticulum_repair_debt_images",
                "Images of which copies are still to be moved or replaced.",
                vec![(Vec::new(), self.sum(|shard| shard.misplaced.get()))],
            ),
            counter(
                "reticulum_repair_bytes_total",
                "Bytes of copies given to nodes that should have had them, or taken by this one.",
                vec![(Vec::new(), self.sum(|shard| shard.repair_bytes.get()))],
            ),
            counter(
                "reticulum_repaired_total",
                "Copies that this node lacked, or had a bad one of, and has now.",
                vec![(Vec::new(), self.sum(|shard| shard.repaired.get()))],
            ),
        ]
    }

    /// Those between shards for want of room, those of other nodes for want of proof.
    fn mesh_refused(&self) -> Vec<Sample> {
        let full = (vec![("reason", "full")], self.sum(|shard| shard.mesh_refused.get()));
        let unproven = Unproven::ALL.iter().map(|(cause, text)| {
            let count = self.sum(|shard| shard.peers_refused[cause.index()].load(Relaxed));
            (vec![("reason", *text)], count)
        });
        std::iter::once(full).chain(unproven).collect()
    }

    /// Nothing until every shard has counted: a part would look like a loss.
    fn stored(&self) -> Vec<proto::MetricFamily> {
        if self.shards.iter().any(|shard| shard.images_counted.get() == 0) {
            return Vec::new();
        }
        let total =
            |read: fn(&ShardMetrics) -> &Counter| vec![(Vec::new(), self.sum(|shard| read(shard).get()))];
        vec![
            gauge("reticulum_images", "Images stored on this node.", total(|shard| &shard.images)),
            gauge("reticulum_image_bytes", "Bytes of images stored.", total(|shard| &shard.image_bytes)),
        ]
    }

    fn members(&self) -> Vec<Sample> {
        let sample = |(state, text): &(Member, &'static str)| {
            (vec![("state", *text)], self.members.0[state.index()].get())
        };
        Member::ALL.iter().map(sample).collect()
    }

    fn requests(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (route, (_, route_text)) in Route::ALL.iter().enumerate() {
            for (status, code) in STATUSES.iter().enumerate() {
                for (cache, (_, cache_text)) in Cache::ALL.iter().enumerate() {
                    let value =
                        self.sum(|shard| shard.requests[request_index(route, status, cache)].load(Relaxed));
                    if value > 0 {
                        let labels = vec![
                            ("cache", *cache_text),
                            ("route", *route_text),
                            ("status", status_text(*code)),
                        ];
                        samples.push((labels, value));
                    }
                }
            }
        }
        samples
    }

    fn resizes(&self) -> Vec<Sample> {
        let outcome = |(index, (_, text)): (usize, &(Resize, &'static str))| {
            (vec![("outcome", *text)], self.sum(|shard| shard.resizes[index].load(Relaxed)))
        };
        Resize::ALL.iter().enumerate().map(outcome).collect()
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        texts: impl Iterator<Item = &'static str>,
        read: fn(&ShardMetrics) -> &[Histogram],
    ) -> proto::MetricFamily {
        let metrics = texts.enumerate().map(|(index, text)| {
            let mut cumulative = 0;
            let bucket = |(bound, upper): (usize, &f64)| {
                cumulative += self.sum(|shard| read(shard)[index].buckets[bound].load(Relaxed));
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*upper);
                bucket.set_cumulative_count(cumulative);
                bucket
            };
            let mut histogram = proto::Histogram::default();
            histogram.set_bucket(BOUNDS_S.iter().enumerate().map(bucket).collect());
            // Read after the buckets, so that no bucket exceeds it.
            histogram.set_sample_count(self.sum(|shard| read(shard)[index].count.load(Relaxed)));
            let sum_ns = self.sum(|shard| read(shard)[index].sum_ns.load(Relaxed));
            histogram.set_sample_sum(Duration::from_nanos(sum_ns).as_secs_f64());
            let mut metric = proto::Metric::from_label(labels(&[(label, text)]));
            metric.set_histogram(histogram);
            metric
        });
        family(name, help, proto::MetricType::HISTOGRAM, metrics.collect())
    }
}

fn counter(name: &str, help: &str, samples: Vec<Sample>) -> proto::MetricFamily {
    let metric = |(pairs, value): Sample| {
        let mut counter = proto::Counter::default();
        counter.set_value(value as f64);
        let mut metric = proto::Metric::from_label(labels(&pairs));
        metric.set_counter(counter);
        metric
    };
    family(name, help, proto::MetricType::COUNTER, samples.into_iter().map(metric).collect())
}

fn gauge(name: &str, help: &str, samples: Vec<Sample>) -> proto::MetricFamily {
    let metric = |(pairs, value): Sample| {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value as f64);
        let mut metric = proto::Metric::from_label(labels(&pairs));
        metric.set_gauge(gauge);
        metric
    };
    family(name, help, proto::MetricType::GAUGE, samples.into_iter().map(metric).collect())
}

fn family(
    name: &str,
    help: &str,
    kind: proto::MetricType,
    metrics: Vec<proto::Metric>,
) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labels(pairs: &[(&'static str, &'static str)]) -> Vec<proto::LabelPair> {
    let label = |(name, value): &(&'static str, &'static str)| {
        let mut label = proto::LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    };
    pairs.iter().map(label).collect()
}

fn status_text(status: u16) -> &'static str {
    const TEXTS: [&str; STATUSES.len()] = [
        "200", "204", "206", "301", "304", "400", "401", "403", "404", "405", "408", "410", "411", "413",
        "415", "416", "422", "429", "431", "500", "501", "503", "507",
    ];
    STATUSES.iter().position(|known| *known == status).map_or("other", |index| TEXTS[index])
}

#[cfg(test)]
mod tests;
