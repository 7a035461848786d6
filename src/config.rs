//! What a node is told: defaults, then the file, then the flags.
//!
//! The forms here mirror the TOML; [`Config`] is what the rooms take. A faulty file never starts a
//! node: the message names file, key, value and what would be right.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::cli::Serve;
use crate::http::access::RequireSignature;
use crate::image::header::Limits;
use crate::image::recipe;
use crate::telemetry::log::Form;
use crate::{http, shard};

/// What the rooms are told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name.
    pub name: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// Shards; 0: one per usable core.
    pub shards: usize,
    /// Bytes of decoded pixels alive at once.
    pub decode_memory_bytes: u64,
    /// After the signal to stop: how long to accept still.
    pub drain_delay: Duration,
    /// What each shard is told.
    pub shard: shard::Settings,
    /// What the HTTP side is told.
    pub http: http::Settings,
    /// How much is logged.
    pub log_level: LevelFilter,
    /// How log lines look.
    pub log_form: Form,
}

/// Why a configuration cannot be used.
#[derive(Debug)]
pub struct ConfigError {
    file: Option<PathBuf>,
    faults: Vec<String>,
}

/// The file's form, every value with its default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    node: Node,
    images: Images,
    cache: Cache,
    access: Access,
    limits: LimitsTable,
    log: Log,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Node {
    name: Option<String>,
    listen: SocketAddr,
    data: PathBuf,
    shards: usize,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Images {
    max_bytes: Size,
    max_pixels: u64,
    max_frames: u32,
    max_dimension: u32,
    quality: Quality,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Quality {
    jpeg: u8,
    webp: u8,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Cache {
    memory: Size,
    disk: Size,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Access {
    upload_keys: Vec<String>,
    open_uploads: bool,
    operator_key: String,
    sign_keys: Vec<String>,
    #[serde(deserialize_with = "require_signature")]
    require_signature: RequireSignature,
    cors_origins: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsTable {
    connections: usize,
    uploads: usize,
    header_timeout: Time,
    idle_timeout: Time,
    body_progress: Time,
    resize_queue: usize,
    resize_deadline: Time,
    decode_memory: Size,
    drain_delay: Time,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Log {
    #[serde(deserialize_with = "level")]
    level: LevelFilter,
    format: Form,
}

/// Bytes: an integer, or a text with a unit.
#[derive(Clone, Copy, Debug)]
struct Size(u64);

/// A time: a text with a unit.
#[derive(Clone, Copy, Debug)]
struct Time(Duration);

const MIB: u64 = 1 << 20;

impl Default for Node {
    fn default() -> Self {
        Self { name: None, listen: SocketAddr::from(([127, 0, 0, 1], 8080)), data: "data".into(), shards: 0 }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self {
            max_bytes: Size(32 * MIB),
            max_pixels: 100_000_000,
            max_frames: 1000,
            max_dimension: 8192,
            quality: Quality::default(),
        }
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self { jpeg: 82, webp: 80 }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { memory: Size(256 * MIB), disk: Size(10 << 30) }
    }
}

impl Default for LimitsTable {
    fn default() -> Self {
        let seconds = |seconds| Time(Duration::from_secs(seconds));
        Self {
            connections: 10_000,
            uploads: 64,
            header_timeout: seconds(5),
            idle_timeout: seconds(75),
            body_progress: seconds(10),
            resize_queue: 64,
            resize_deadline: seconds(10),
            decode_memory: Size(1 << 30),
            drain_delay: seconds(1),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LevelFilter::Info, format: Form::Text }
    }
}

/// The configuration of `reticulum serve` with these flags.
///
/// # Errors
/// [`ConfigError`] with every fault that was found.
pub fn load(flags: &Serve) -> Result<Config, ConfigError> {
    let mut file = match &flags.config {
        Some(path) => read(path)?,
        None => File::default(),
    };
    if let Some(listen) = flags.listen {
        file.node.listen = listen;
    }
    if let Some(data) = &flags.data {
        file.node.data.clone_from(data);
    }
    if let Some(shards) = flags.shards {
        file.node.shards = shards;
    }
    if flags.name.is_some() {
        file.node.name.clone_from(&flags.name);
    }
    let faults = faults(&file);
    if faults.is_empty() {
        Ok(meaning(file))
    } else {
        Err(ConfigError { file: flags.config.clone(), faults })
    }
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let fault = |fault: String| ConfigError { file: Some(path.to_path_buf()), faults: vec![fault] };
    let text = fs::read_to_string(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| fault(error.to_string().trim_end().to_owned()))
}

fn faults(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |fine: bool, fault: String| {
        if !fine {
            faults.push(fault);
        }
    };
    let File { node, images, access, limits, .. } = file;
    let least = images.max_pixels.saturating_mul(8);
    check(
        limits.decode_memory.0 >= least,
        format!(
            "limits.decode_memory = {} is under 8 bytes for each of images.max_pixels: use {least} or more",
            limits.decode_memory.0
        ),
    );
    for (key, quality) in [("jpeg", images.quality.jpeg), ("webp", images.quality.webp)] {
        check(
            (1..=100).contains(&quality),
            format!("images.quality.{key} = {quality} is outside 1 to 100: use 82 or so"),
        );
    }
    for (key, value) in [
        ("images.max_bytes", images.max_bytes.0),
        ("images.max_pixels", images.max_pixels),
        ("images.max_frames", images.max_frames.into()),
        ("images.max_dimension", images.max_dimension.into()),
        ("limits.connections", limits.connections as u64),
        ("limits.uploads", limits.uploads as u64),
        ("limits.resize_queue", limits.resize_queue as u64),
    ] {
        check(value > 0, format!("{key} = 0 would refuse everything: use 1 or more"));
    }
    for (key, time) in [
        ("header_timeout", limits.header_timeout),
        ("idle_timeout", limits.idle_timeout),
        ("body_progress", limits.body_progress),
        ("resize_deadline", limits.resize_deadline),
    ] {
        check(!time.0.is_zero(), format!("limits.{key} = 0 would refuse everything: use \"5s\" or so"));
    }
    check(
        node.shards <= 256,
        format!("node.shards = {} is more than 256: use 0 for one per core", node.shards),
    );
    check(
        access.open_uploads || !access.upload_keys.is_empty() || node.listen.ip().is_loopback(),
        format!(
            "node.listen = {} is off loopback, where anybody could upload: listen on 127.0.0.1, set access.upload_keys, or set access.open_uploads = true",
            node.listen
        ),
    );
    faults
}

fn meaning(file: File) -> Config {
    let File { node, images, cache, access, limits, log } = file;
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Config {
        name: node.name.unwrap_or_else(host),
        listen: node.listen,
        data: node.data,
        shards: node.shards,
        decode_memory_bytes: limits.decode_memory.0,
        drain_delay: limits.drain_delay.0,
        shard: shard::Settings {
            limits: Limits { pixels_max: images.max_pixels, frames_max: images.max_frames },
            cache_memory_bytes: cache.memory.0,
            cache_disk_bytes: cache.disk.0,
            resize_queue: limits.resize_queue,
            resize_deadline: limits.resize_deadline.0,
        },
        http: http::Settings {
            recipe: recipe::Settings {
                quality: recipe::Quality { jpeg: images.quality.jpeg, webp: images.quality.webp, avif: 60 },
                upscale: false,
                dimension_max: images.max_dimension,
            },
            presets: BTreeMap::new(),
            only_presets: false,
            access: http::access::Settings {
                upload_keys: access.upload_keys,
                open_uploads: access.open_uploads,
                operator_key: access.operator_key,
                sign_keys: access.sign_keys,
                require_signature: access.require_signature,
                cors_origins: access.cors_origins.unwrap_or_else(|| vec!["*".to_owned()]),
            },
            upload_bytes_max: images.max_bytes.0,
            uploads_max: limits.uploads,
            connections_max: limits.connections,
            header_timeout: limits.header_timeout.0,
            idle_timeout: limits.idle_timeout.0,
            body_progress: limits.body_progress.0,
        },
        log_level: log.level,
        log_form: log.format,
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected bytes as an integer or a text like \"32MiB\"")]
        enum Form {
            Integer(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Integer(bytes) => Ok(Self(bytes)),
            Form::Text(text) => parse_size(&text).map(Self).ok_or_else(|| {
                D::Error::custom(format!(
                    "{text:?} is no size: use an integer with B, KiB, MiB, GiB, TiB, kB, MB or GB"
                ))
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_time(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is no time: use an integer with ms, s, m, h or d"))
        })
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn parse_time(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LevelFilter, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| D::Error::custom(format!("{text:?} is no level: use error, warn, info, debug or trace")))
}

fn require_signature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RequireSignature, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "off" => Ok(RequireSignature::Off),
        "variants" => Ok(RequireSignature::Variants),
        "all" => Ok(RequireSignature::All),
        text => Err(D::Error::custom(format!("{text:?} is unknown: use off, variants or all"))),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file =
            self.file.as_ref().map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
        let mut faults = self.faults.iter();
        if let Some(first) = faults.next() {
            write!(f, "{file}: {first}")?;
        }
        faults.try_for_each(|fault| write!(f, "\n{file}: {fault}"))
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn loaded(text: &str) -> Result<Config, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(&Serve { config: Some(file.path().to_path_buf()), ..Serve::default() })
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        let config = load(&Serve::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.http.upload_bytes_max, 32 << 20);
        assert_eq!(config.http.idle_timeout, Duration::from_secs(75));
    }

    #[test]
    fn sizes_and_times_take_units() {
        let config =
            loaded("[cache]\ndisk = \"3 GB\"\n[images]\nmax_bytes = 5\n[limits]\nidle_timeout = \"2m\"")
                .unwrap();
        assert_eq!(config.shard.cache_disk_bytes, 3_000_000_000);
        assert_eq!(config.http.upload_bytes_max, 5);
        assert_eq!(config.http.idle_timeout, Duration::from_secs(120));
    }

    #[test]
    fn a_flag_beats_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[node]\nshards = 3\nname = \"a\"").unwrap();
        let flags = Serve { config: Some(file.path().to_path_buf()), shards: Some(2), ..Serve::default() };
        let config = load(&flags).unwrap();
        assert_eq!((config.shards, config.name.as_str()), (2, "a"));
    }

    #[test]
    fn faults_name_key_and_value() {
        for (text, expected) in [
            ("[limits]\ndecode_memory = \"1MiB\"", "limits.decode_memory"),
            ("[limits]\nuploads = 0", "limits.uploads"),
            ("[images]\nquality = { jpeg = 101 }", "images.quality.jpeg = 101"),
            ("[limits]\nidle_timeout = \"5 bananas\"", "5 bananas"),
            ("[cache]\ndisk = \"-1\"", "is no size"),
            ("[limits]\nuplods = 3", "uplods"),
            ("[node]\nlisten = \"0.0.0.0:80\"", "open_uploads"),
            ("[log]\nlevel = \"loud\"", "loud"),
            ("[log", "log"),
        ] {
            let message = loaded(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }

    #[test]
    fn all_faults_of_meaning_are_told_at_once() {
        let message = loaded("[limits]\nuploads = 0\nconnections = 0").unwrap_err().to_string();
        assert_eq!(message.lines().count(), 2, "{message}");
    }
}
