//! All metrics of a node: names, help texts, labels.
//!
//! Every shard counts into its own [`ShardMetrics`]; only a scrape reads them together, so no two
//! cores write one cache line. Labels come from the closed enums here.

pub mod channel;
mod counter;
mod disk;
mod family;
mod label;
mod member;
mod shard;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto;
use prometheus::{Encoder, Registry, TextEncoder};

pub use self::counter::Counter;
use self::counter::{BOUNDS_S, Histogram};
pub use self::disk::DiskMetrics;
use self::family::{Sample, counter, family, gauge, labels};
pub use self::label::{
    Cache, ChannelMessage, ChannelRefusal, CopyCause, Label, Member, Resize, Route, Stage, Unproven,
};
pub use self::member::MemberMetrics;
pub use self::shard::{STATUSES, ShardMetrics};
use self::shard::{request_index, status_text};

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
        let mut families = self.disk.families();
        families.extend(self.repair());
        families.extend([channel::family()]);
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
            gauge("reticulum_members", "Members of the cluster by state.", self.members.samples()),
        ]);
        families
    }
}

impl Summed {
    fn sum(&self, read: impl Fn(&ShardMetrics) -> u64) -> u64 {
        self.shards.iter().map(|shard| read(shard)).sum()
    }

    /// Repair: work left and done.
    fn repair(&self) -> [proto::MetricFamily; 7] {
        let moved = |cause: &CopyCause| self.sum(|shard| shard.moved_bytes[cause.index()].get());
        let by_cause: Vec<Sample> =
            CopyCause::ALL.iter().map(|(cause, text)| (vec![("cause", *text)], moved(cause))).collect();
        // Of the same numbers, so that both agree in every scrape.
        let all = by_cause.iter().map(|(_, bytes)| bytes).sum();
        [
            gauge(
                "reticulum_repair_debt_images",
                "Images of which copies are still to be moved or replaced.",
                vec![(Vec::new(), self.sum(|shard| shard.misplaced.get()))],
            ),
            counter(
                "reticulum_repair_bytes_total",
                "Bytes of copies given to nodes that should have had them, or taken by this one.",
                vec![(Vec::new(), all)],
            ),
            counter("reticulum_moved_bytes_total", "The same bytes by the cause of the copy.", by_cause),
            counter(
                "reticulum_repaired_total",
                "Copies that this node lacked, or had a bad one of, and has now.",
                vec![(Vec::new(), self.sum(|shard| shard.repaired.get()))],
            ),
            gauge(
                "reticulum_move_left_images",
                "Copies that the cluster still has to make for the newest layout; an estimate.",
                vec![(Vec::new(), self.sum(|shard| shard.move_left_images.get()))],
            ),
            gauge(
                "reticulum_move_left_bytes",
                "Bytes of the copies that the cluster still has to make for the newest layout; an estimate.",
                vec![(Vec::new(), self.sum(|shard| shard.move_left_bytes.get()))],
            ),
            gauge(
                "reticulum_repair_turns",
                "Copies that repairs may read, fetch or send at once; fewer where requests would wait for them.",
                vec![(Vec::new(), self.sum(|shard| shard.repair_turns.get()))],
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

#[cfg(test)]
mod tests;
