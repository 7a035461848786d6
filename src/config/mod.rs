//! A node's configuration: defaults, then the file, then the environment, then the flags.
//!
//! * `key`: the one table of keys. `values`: their forms, bounds and defaults.
//! * `setting`: reading and printing of every kind of value.
//! * `file`, `environment`: the sources of values. `draft`: the collected values, with their faults.
//! * `rule`: rules between keys. `fault`: the report of all faults.
//! * `warning`, `exposure`: warnings, for example about files with secrets that every user may read.
//! * `print`: the effective configuration as TOML. `reload`: the keys that SIGHUP applies.
//!
//! Invariants: a faulty configuration never starts a node, and all of its faults are reported at once; loading only
//! reads files, so that it can be repeated; no secret is shown.

mod bounded_file;
mod draft;
mod environment;
mod exposure;
mod fault;
mod file;
mod key;
mod print;
mod reload;
mod rule;
mod setting;
#[cfg(test)]
mod tests;
mod values;
mod warning;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use self::draft::Draft;
pub use self::environment::{Environment, UnknownVariable};
pub use self::fault::ConfigError;
use self::fault::SettingOrigin;
use self::key::ConfigKey;
pub use self::key::PREFIX;
use self::setting::RawValue;
use self::setting::preset::PresetOption;
use self::setting::text::{Name, Secret};
use self::setting::url::Origin;
use self::values::{ImagesValues, Values};
use crate::cli::Serve;
use crate::cluster::core;
use crate::cluster::layout::{BootstrapSettings, Copies, NewNode};
use crate::cluster::node::{Label, NodeUrl, Weight};
use crate::image::header::Limits;
use crate::image::recipe;
use crate::telemetry::log::Form;
use crate::{http, shard};

/// The configuration of each module.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name.
    pub name: String,
    /// The address and port of the listener.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// Permissions of directories; files have the same without the right to execute.
    pub data_mode: u32,
    /// Bytes of free space to keep; a small disk keeps less.
    pub reserve_bytes: u64,
    /// Shards; 0: one per usable core.
    pub shards: usize,
    /// The way in which the node founds or joins its cluster.
    pub cluster: core::ClusterSettings,
    /// The configured bootstrap settings; once the node is a member, the layout decides instead.
    pub bootstrap: BootstrapSettings,
    /// The secrets between nodes: the first signs, all verify. None: the node has no peers and accepts none.
    pub secrets: Vec<String>,
    /// Most bytes of decoded pixels alive at once.
    pub decode_memory_bytes: u64,
    /// Time in which the scrub reads every copy once; zero: never by itself.
    pub scrub_every: Duration,
    /// Time after the signal to stop in which the node still accepts.
    pub drain_delay: Duration,
    /// The configuration of each shard.
    pub shard: shard::ShardSettings,
    /// The configuration of the HTTP side.
    pub http: http::HttpSettings,
    /// The log level.
    pub log_level: LevelFilter,
    /// The format of log lines.
    pub log_form: Form,
    /// Warnings, one sentence each, without any secret.
    pub warnings: Vec<String>,
    /// The values from which the configuration was made.
    values: Values,
}

/// The configuration of `reticulum serve` with these flags in this environment.
///
/// # Errors
/// [`ConfigError`] with every fault.
pub fn load(flags: &Serve, environment: &Environment) -> Result<Config, ConfigError> {
    effective(flags, environment).map(|(values, places)| meaning(values, &places))
}

/// The configuration that [`load`] reads, as TOML: every key with its value, secrets masked. It loads again,
/// except for the masks.
///
/// # Errors
/// [`ConfigError`] with every fault.
pub fn describe(flags: &Serve, environment: &Environment) -> Result<String, ConfigError> {
    effective(flags, environment).map(|(values, _)| print::print(values))
}

/// Applies the sources in their order: each overrides the ones before it. Returns also the keys that are set, with
/// their origins.
fn effective(
    flags: &Serve,
    environment: &Environment,
) -> Result<(Values, BTreeMap<&'static str, SettingOrigin>), ConfigError> {
    let mut draft = Draft::default();
    if let Some(path) = flags.config.as_deref().or_else(|| environment.config()) {
        file::read(path, &mut draft);
    }
    environment.apply(&mut draft);
    apply(flags, &mut draft);
    draft.fill_in(&rustix::system::uname().nodename().to_string_lossy());
    draft.finish()
}

fn apply(flags: &Serve, draft: &mut Draft) {
    let join = (!flags.join.is_empty()).then(|| flags.join.join(",").into());
    let said: [(_, _, Option<OsString>); 7] = [
        ("--data", "node.data", flags.data.clone().map(PathBuf::into_os_string)),
        ("--listen", "node.listen", flags.listen.map(|listen| listen.to_string().into())),
        ("--url", "node.url", flags.url.clone().map(OsString::from)),
        ("--name", "node.name", flags.name.clone().map(OsString::from)),
        ("--shards", "node.shards", flags.shards.map(|shards| shards.to_string().into())),
        ("--join", "cluster.join", join),
        ("--replication", "cluster.replication", flags.replication.map(|copies| copies.to_string().into())),
    ];
    for (flag, path, words) in said {
        if let Some(words) = words {
            draft.set(ConfigKey::of(path), RawValue::Words(&words), SettingOrigin::Flag(flag));
        }
    }
}

fn meaning(values: Values, places: &BTreeMap<&'static str, SettingOrigin>) -> Config {
    let mut warnings = warning::warnings(&values);
    warnings.extend(exposure::warn_exposed(values.clone(), places));
    let all = values.clone();
    let Values { node, cluster, images, cache, access, limits, log } = values;
    let settings = cluster_settings(&node, &cluster);
    Config {
        name: node.name.as_ref().map(Name::as_str).unwrap_or_default().to_owned(),
        listen: node.listen,
        data: node.data.0,
        data_mode: node.data_mode.0,
        reserve_bytes: node.reserve.0,
        shards: node.shards.0,
        secrets: rule::secrets(&cluster),
        bootstrap: bootstrap(&settings, places),
        cluster: settings,
        decode_memory_bytes: limits.decode_memory.0,
        scrub_every: limits.scrub_every.0,
        drain_delay: limits.drain_delay.0,
        shard: shard::ShardSettings {
            limits: Limits { pixels_max: images.max_pixels.0, frames_max: images.max_frames.0 },
            cache_memory_bytes: cache.memory.0,
            cache_disk_bytes: cache.disk.0,
            background_copies_bytes: limits.background_copies.0,
            resize_queue: limits.resize_queue.0,
            resize_deadline: limits.resize_deadline.0,
            cold_rate: limits.cold_rate.0,
            upload_rate: limits.upload_rate.0,
        },
        http: http::HttpSettings {
            recipe: images.recipe(),
            presets: images.presets.0,
            only_presets: images.only_presets,
            preset_overrides: access.preset_overrides.0.into_iter().map(PresetOption::into_text).collect(),
            access: http::access::AccessSettings {
                upload_keys: access.upload_keys.0.into_iter().map(Secret::into_text).collect(),
                open_uploads: access.open_uploads,
                operator_key: access.operator_key.into_text(),
                sign_keys: access.sign_keys.0.into_iter().map(Secret::into_text).collect(),
                require_signature: access.require_signature,
                cors_origins: access.cors_origins.0.into_iter().map(Origin::into_text).collect(),
            },
            upload_bytes_max: images.max_bytes.0,
            uploads_max: limits.uploads.0,
            connections_max: limits.connections.0,
            trusted_proxies: limits.trusted_proxies.0,
            header_timeout: limits.header_timeout.0,
            idle_timeout: limits.idle_timeout.0,
            body_progress: limits.body_progress.0,
            byte_rate_min: limits.byte_rate_min.0,
        },
        log_level: log.level,
        log_form: log.format,
        warnings,
        values: all,
    }
}

fn cluster_settings(node: &values::NodeValues, cluster: &values::ClusterValues) -> core::ClusterSettings {
    const BOUNDS: &str = "the configuration's bounds are the cluster's";
    let label = |name: &Name| Label::parse(name.as_str()).expect(BOUNDS);
    let url = |url: &setting::url::UrlSetting| NodeUrl::parse(&url.to_string()).expect(BOUNDS);
    let replication = cluster.replication.0;
    core::ClusterSettings {
        cluster: label(&cluster.name),
        about: NewNode {
            name: node.name.as_ref().map(label).expect("it was filled in"),
            url: node.url.as_ref().map(url).expect("it was filled in"),
            zone: label(&node.zone),
            weight: Weight::new(node.weight.0).expect(BOUNDS),
            writable: node.writable,
        },
        copies: Copies {
            replication,
            min_replication: cluster.min_replication.map_or(replication.min(2), |copies| copies.0),
        },
        join: cluster.join.0.iter().map(url).collect(),
    }
}

fn bootstrap(
    settings: &core::ClusterSettings,
    places: &BTreeMap<&'static str, SettingOrigin>,
) -> BootstrapSettings {
    let core::ClusterSettings { about, copies, .. } = settings;
    let is_said = |key| places.contains_key(key);
    BootstrapSettings {
        zone: is_said("node.zone").then(|| about.zone.clone()),
        weight: is_said("node.weight").then_some(about.weight),
        writable: is_said("node.writable").then_some(about.writable),
        replication: is_said("cluster.replication").then_some(copies.replication),
        min_replication: is_said("cluster.min_replication").then_some(copies.min_replication),
    }
}

impl ImagesValues {
    fn recipe(&self) -> recipe::RecipeSettings {
        let quality = &self.quality;
        recipe::RecipeSettings {
            quality: recipe::Quality { jpeg: quality.jpeg.0, webp: quality.webp.0, avif: quality.avif.0 },
            upscale: self.upscale,
            dimension_max: self.max_dimension.0,
            animation: recipe::AnimationMax {
                frames: self.max_frames.0,
                pixels: self.max_pixels.0.saturating_mul(5),
            },
            output_max: self.max_output_pixels.bounds(),
            originals: self.originals,
            light: self.light,
        }
    }
}
