//! Metrics of the node's disk as a whole.

use std::time::SystemTime;

use prometheus::proto;

use super::counter::Counter;
use super::family::{counter, gauge, ratio};

/// Counters and gauges of the node's disk. Shared by all threads; a memory hit touches none of them.
#[derive(Debug, Default)]
pub struct DiskMetrics {
    /// 1 while `store/` is the one that the node started with.
    pub present: Counter,
    /// 1 while copies are taken, as far as the disk decides that.
    pub writable: Counter,
    /// Bytes that the disk has room for still.
    pub free_bytes: Counter,
    /// Copies whose file was gone although the node knew of it.
    pub vanished: Counter,
    /// Copies that the disk could not read.
    pub unreadable: Counter,
    /// Copies that are missing, wrong or unreadable, and still to be repaired.
    pub bad_copies: Counter,
    /// Those of which no member has a good copy.
    pub lost_copies: Counter,
    /// Images that are deleted or banned, as far as this node has heard.
    pub tombstones: Counter,
    /// Images stored.
    pub images: Counter,
    /// Bytes of images stored.
    pub image_bytes: Counter,
    /// 1 once the two above were compared with the store; until then they are not shown.
    pub images_counted: Counter,
    /// Copies that the scrub has read.
    pub scrubbed: Counter,
    /// The part of all ids that its pass has behind it, in millionths.
    scrub_position: Counter,
    /// The end of the last whole pass, in seconds since 1970; 0: none has ended.
    scrub_ended_s: Counter,
    /// 1 while a pass runs at full pace.
    scrub_full_pace: Counter,
}

impl DiskMetrics {
    /// The number of images stored, and of their bytes; `None` until they were counted: a part would look like a loss.
    pub fn stored(&self) -> Option<(u64, u64)> {
        (self.images_counted.get() == 1).then(|| (self.images.get(), self.image_bytes.get()))
    }

    /// The progress of the scrub, from 0 to 1, whether it runs at full pace, and when its last pass ended, in seconds since
    /// 1970; 0: none has.
    pub fn set_scrub(&self, position: f64, is_full_pace: bool, ended_s: u64) {
        self.scrub_position.set((position * 1e6) as u64);
        self.scrub_full_pace.set(u64::from(is_full_pace));
        self.scrub_ended_s.set(ended_s);
    }

    /// The extent to which the copies were read back. No age before the first whole pass.
    fn scrub(&self) -> impl Iterator<Item = proto::MetricFamily> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let ended_s = Some(self.scrub_ended_s.get()).filter(|ended_s| *ended_s > 0);
        let age = ended_s.map(|ended_s| {
            let value = vec![(Vec::new(), now.saturating_sub(ended_s))];
            gauge("reticulum_scrub_age_seconds", "Time since the scrub had read all copies.", value)
        });
        let scrubbed = counter(
            "reticulum_scrubbed_total",
            "Copies that the scrub has read back.",
            vec![(Vec::new(), self.scrubbed.get())],
        );
        let position = ratio(
            "reticulum_scrub_position_ratio",
            "The part of all ids that the scrub's pass has behind it.",
            self.scrub_position.get() as f64 / 1e6,
        );
        let full_pace = gauge(
            "reticulum_scrub_full_pace",
            "Whether a pass of the scrub runs that an operator asked for.",
            vec![(Vec::new(), self.scrub_full_pace.get())],
        );
        [scrubbed, position, full_pace].into_iter().chain(age)
    }

    pub(super) fn families(&self) -> Vec<proto::MetricFamily> {
        let value = |counter: &Counter| vec![(Vec::new(), counter.get())];
        let stored = self.stored().map(|(images, bytes)| {
            let value = |count| vec![(Vec::new(), count)];
            [
                gauge("reticulum_images", "Images stored on this node.", value(images)),
                gauge("reticulum_image_bytes", "Bytes of images stored.", value(bytes)),
            ]
        });
        let disk = [
            gauge(
                "reticulum_store_present",
                "Whether the store that the node started with is there.",
                value(&self.present),
            ),
            gauge("reticulum_store_writable", "Whether the disk takes new copies.", value(&self.writable)),
            gauge(
                "reticulum_store_free_bytes",
                "Bytes that the disk of the store has room for.",
                value(&self.free_bytes),
            ),
            counter(
                "reticulum_store_vanished_total",
                "Copies whose file was gone behind the node's back.",
                value(&self.vanished),
            ),
            counter(
                "reticulum_store_unreadable_total",
                "Times that the disk could not read a copy.",
                value(&self.unreadable),
            ),
            gauge(
                "reticulum_tombstones",
                "Images that are deleted or banned, by the records of this node.",
                value(&self.tombstones),
            ),
            gauge(
                "reticulum_store_bad_copies",
                "Copies that are missing, wrong or unreadable and not replaced yet.",
                value(&self.bad_copies),
            ),
            gauge(
                "reticulum_store_lost_copies",
                "Copies that cannot be replaced, because no member has a good one.",
                value(&self.lost_copies),
            ),
        ];
        stored.into_iter().flatten().chain(disk).chain(self.scrub()).collect()
    }
}
