//! The one table of keys, for the file, the environment, `check-config` and the documentation.

use super::setting::Setting;
use super::values::Values;

/// The prefix of environment variables.
pub const PREFIX: &str = "RETICULUM_";

/// One key.
pub(super) struct ConfigKey {
    /// The key with its section, as in `limits.uploads`.
    pub(super) path: &'static str,
    /// The place of its value.
    pub(super) place: fn(&mut Values) -> &mut dyn Setting,
    /// Its meaning, in one line.
    pub(super) meaning: &'static str,
}

const fn key(
    path: &'static str,
    place: fn(&mut Values) -> &mut dyn Setting,
    meaning: &'static str,
) -> ConfigKey {
    ConfigKey { path, place, meaning }
}

/// Every key, in the order in which they are shown; the keys of a section are adjacent.
#[rustfmt::skip]
pub(super) const KEYS: &[ConfigKey] = &[
    key("node.name", |v| &mut v.node.name, "This node's name, unique in the cluster. Not set: the host's name."),
    key("node.listen", |v| &mut v.node.listen, "The address that clients and other nodes connect to."),
    key("node.url", |v| &mut v.node.url, "The URL at which other nodes reach this one. Not set: http:// and `node.listen`."),
    key("node.zone", |v| &mut v.node.zone, "Nodes of one zone may fail together, such as a rack or a site. Copies are spread over zones first."),
    key("node.weight", |v| &mut v.node.weight, "This node's share of the data, relative to the other nodes' weights."),
    key("node.writable", |v| &mut v.node.writable, "Whether the node takes new copies. If not, it serves what it has."),
    key("node.data", |v| &mut v.node.data, "The data directory, relative to the working directory. It is made when it is missing."),
    key("node.data_mode", |v| &mut v.node.data_mode, "Permissions of the directories in the data directory. Files get the same without the right to execute."),
    key("node.reserve", |v| &mut v.node.reserve, "Free space to keep. Below it the node evicts the variant cache; if that is not enough, it takes no new copies. At most a twentieth of the disk."),
    key("node.shards", |v| &mut v.node.shards, "Number of shards. 0: one per core that the process may use; from four cores up, one core less for control."),
    key("cluster.name", |v| &mut v.cluster.name, "The cluster's name. Nodes of another name are refused."),
    key("cluster.secrets", |v| &mut v.cluster.secrets, "Secrets by which the nodes authenticate each other: the first signs, all verify. Needed with a second node. Without one, everything below `/cluster/` is 401."),
    key("cluster.secret", |v| &mut v.cluster.secret, "Short for `cluster.secrets` with one item."),
    key("cluster.secret_file", |v| &mut v.cluster.secret_file, "A file with the secrets, one a line, in place of `cluster.secrets`."),
    key("cluster.join", |v| &mut v.cluster.join, "URLs of nodes to join. Needs a secret."),
    key("cluster.replication", |v| &mut v.cluster.replication, "Copies of each image. With fewer nodes: one on each node."),
    key("cluster.min_replication", |v| &mut v.cluster.min_replication, "Durable copies, at most one per node, before an upload is answered 200. Not set: 2, but at most `cluster.replication`."),
    key("images.max_bytes", |v| &mut v.images.max_bytes, "Bytes that an upload may have."),
    key("images.max_pixels", |v| &mut v.images.max_pixels, "Pixels that an image may have."),
    key("images.max_frames", |v| &mut v.images.max_frames, "Frames that an animation may have to stay one. With more, variants show the first frame."),
    key("images.max_dimension", |v| &mut v.images.max_dimension, "Pixels of the longest side that a URL may ask for."),
    key("images.max_output_pixels", |v| &mut v.images.max_output_pixels, "Pixels that a variant, or one frame of it, may have. Beyond that the answer is 422, and with `auto` a format whose bound holds. A table names formats; the others keep their default."),
    key("images.originals", |v| &mut v.images.originals, "What `full` of an image's own format is: the stored bytes; these without metadata but orientation and colours (403 where that cannot be done surely: AVIF, HEIC, JPEG XL); or 403. Unless `as_is`, `meta` needs the operator key. With that key, `?original` gives the stored bytes."),
    key("images.light", |v| &mut v.images.light, "Of which values pixels are means when a picture is made smaller: `linear` light, as eyes see it from a distance; `encoded` values, as most other software does; `auto`: linear for photos (JPEG, lossy WebP, AVIF, HEIC, lossy JPEG XL), encoded for drawings (PNG, GIF, lossless WebP)."),
    key("images.upscale", |v| &mut v.images.upscale, "Whether every variant may be larger than its source, as with `up`."),
    key("images.quality.jpeg", |v| &mut v.images.quality.jpeg, "Quality of JPEG where the URL has no `q`."),
    key("images.quality.webp", |v| &mut v.images.quality.webp, "Quality of WebP where the URL has no `q`."),
    key("images.quality.avif", |v| &mut v.images.quality.avif, "Quality of AVIF where the URL has no `q`."),
    key("images.presets", |v| &mut v.images.presets, "Named specs, for URLs with `p-NAME`."),
    key("images.only_presets", |v| &mut v.images.only_presets, "Whether variants are made by preset only."),
    key("cache.memory", |v| &mut v.cache.memory, "Bytes of variants kept in memory, all shards together. 0 keeps none. Another quarter, 16 MiB at least, is for answers in transit that are not kept; beyond that, answers are sent from the disk."),
    key("cache.disk", |v| &mut v.cache.disk, "Bytes of variants kept on disk, with blocks, inodes and directories. At most one file for each 16 KiB, and 256 variants of one image. Originals are never evicted."),
    key("access.upload_keys", |v| &mut v.access.upload_keys, "Keys that may upload; the operator key may too. Short keys cause a warning."),
    key("access.open_uploads", |v| &mut v.access.open_uploads, "Whether every client that reaches the listener may upload. A key that a client sends nevertheless must be valid."),
    key("access.operator_key", |v| &mut v.access.operator_key, "Guards operator pages and calls, wherever they come from. Empty: the node makes one at its first start, in `operator.key` below `node.data`."),
    key("access.preset_overrides", |v| &mut v.access.preset_overrides, "Whole options that may follow `p-NAME` where `images.only_presets` is true: `q50` admits no other quality. SIGHUP reloads them."),
    key("access.sign_keys", |v| &mut v.access.sign_keys, "Keys of signed URLs: the first signs, all verify."),
    key("access.require_signature", |v| &mut v.access.require_signature, "Which URLs of images need a signature. `variants` is all but `full` and `/info`."),
    key("access.cors_origins", |v| &mut v.access.cors_origins, "Origins of web pages that may read answers."),
    key("limits.connections", |v| &mut v.limits.connections, "Connections at once, per node; at the limit the listener waits. 256 of them, at most a quarter, are kept for other nodes. When the rest is taken, a client waits, or gets 503 where a node needs the place."),
    key("limits.uploads", |v| &mut v.limits.uploads, "Uploads at once, per node. The next one is answered 503 before its body is read."),
    key("limits.background_copies", |v| &mut v.limits.background_copies, "Bytes of uploads that are answered and still on their way to further nodes, all shards together. Beyond that the next ones keep their place of `limits.uploads` until their copies have come."),
    key("limits.header_timeout", |v| &mut v.limits.header_timeout, "Time from a request's first byte to the end of its head."),
    key("limits.idle_timeout", |v| &mut v.limits.idle_timeout, "Time without a request before a connection is closed."),
    key("limits.body_progress", |v| &mut v.limits.body_progress, "Time without a byte of a body, received or sent, before it is ended."),
    key("limits.byte_rate_min", |v| &mut v.limits.byte_rate_min, "Bytes per second, on average over 10 s, that a client must send of its body or take of an answer. Slower ones are ended. 0: no limit."),
    key("limits.resize_queue", |v| &mut v.limits.resize_queue, "Variants that may wait to be made, per shard. They are taken client by client. When the queue is full, the newest of the client with the most is refused."),
    key("limits.resize_deadline", |v| &mut v.limits.resize_deadline, "Time that a request waits for its variant."),
    key("limits.decode_memory", |v| &mut v.limits.decode_memory, "Bytes of decoded pixels and of encoders' needs, alive at once, all shards together. At least 8 for each of `images.max_pixels`. A job that may take more is answered 422."),
    key("limits.cold_rate", |v| &mut v.limits.cold_rate, "Variants to be made that one client may ask for per second, in bursts of 10 s worth; beyond that 429. 0: no limit, but the queue is shared fairly."),
    key("limits.upload_rate", |v| &mut v.limits.upload_rate, "Uploads that one client may begin per second, in bursts of 10 s worth; beyond that 429. 0: no limit."),
    key("limits.trusted_proxies", |v| &mut v.limits.trusted_proxies, "Proxies whose `X-Forwarded-For` names the client. None: the connection's address counts."),
    key("limits.scrub_every", |v| &mut v.limits.scrub_every, "Time in which the node reads back and hashes every copy once, in the background. 0s: only when an operator asks for it."),
    key("limits.drain_delay", |v| &mut v.limits.drain_delay, "Time after SIGTERM in which the node still accepts, while `/readyz` says 503."),
    key("log.level", |v| &mut v.log.level, "The least severe level that is logged."),
    key("log.format", |v| &mut v.log.format, "Lines for people, or one JSON object a line."),
];

impl ConfigKey {
    /// The key of this path, which must be in the table.
    pub(super) fn of(path: &str) -> &'static Self {
        let found = KEYS.iter().find(|key| key.path == path);
        found.unwrap_or_else(|| panic!("{path} is not in the table of keys"))
    }

    /// Its section, as in `limits`.
    pub(super) fn section(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(section, _)| section)
    }

    /// Its name within the section, as in `uploads` or `quality.jpeg`.
    pub(super) fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The variable that sets it, as in `RETICULUM_LIMITS_UPLOADS`.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.to_ascii_uppercase().replace('.', "_"))
    }
}

/// The key that is most like this path: a typing error, or a key in the wrong section.
pub(super) fn nearest_key(path: &str) -> &'static str {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let name = last(path);
    // The same name in another section counts as much as one wrong letter.
    let distance = |key: &&'static str| {
        let elsewhere = 1 + strsim::damerau_levenshtein(&last(key), &name);
        strsim::damerau_levenshtein(key, path).min(elsewhere)
    };
    nearest(KEYS.iter().map(|key| key.path), distance)
}

/// The section that is most like this one.
pub(super) fn nearest_section(section: &str) -> &'static str {
    nearest(KEYS.iter().map(ConfigKey::section), |known| strsim::damerau_levenshtein(known, section))
}

/// The first of those with the least distance.
fn nearest(
    known: impl Iterator<Item = &'static str>,
    distance: impl Fn(&&'static str) -> usize,
) -> &'static str {
    known.min_by_key(distance).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_key_and_variable_is_there_once() {
        let paths: HashSet<_> = KEYS.iter().map(|key| key.path).collect();
        let variables: HashSet<_> = KEYS.iter().map(ConfigKey::variable).collect();
        assert_eq!((paths.len(), variables.len()), (KEYS.len(), KEYS.len()));
    }

    #[test]
    fn every_key_has_a_place_of_its_own() {
        let mut values = Values::default();
        let places: HashSet<_> =
            KEYS.iter().map(|key| std::ptr::from_mut((key.place)(&mut values)).addr()).collect();
        assert_eq!(places.len(), KEYS.len());
    }

    #[test]
    fn the_keys_of_a_section_stand_together() {
        let mut sections: Vec<_> = KEYS.iter().map(ConfigKey::section).collect();
        sections.dedup();
        assert_eq!(sections, ["node", "cluster", "images", "cache", "access", "limits", "log"]);
    }

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        for (written, meant) in [
            ("limits.uplods", "limits.uploads"),
            ("images.max_byte", "images.max_bytes"),
            ("limits.max_bytes", "images.max_bytes"),
            ("max_pixels", "images.max_pixels"),
            ("images.quality.jpg", "images.quality.jpeg"),
            ("access.upload_key", "access.upload_keys"),
            ("node.Listen", "node.listen"),
        ] {
            assert_eq!(nearest_key(written), meant, "{written}");
        }
        assert_eq!((nearest_section("image"), nearest_section("Logs")), ("images", "log"));
    }
}
