//! The forms of the TOML, one struct a section: every key's kind, bounds and default.
//!
//! Keys are named once more in [`super::key`], which says what they mean; rooms never see these
//! forms.

use std::net::SocketAddr;
use std::time::Duration;

use log::LevelFilter;

use super::setting::List;
use super::setting::number::{Count, Size, Time};
use super::setting::output::OutputPixels;
use super::setting::preset::{PresetOption, Presets};
use super::setting::text::{FilePath, Name, Permissions, Secret};
use super::setting::url::{NodeUrl, Origin};
use crate::http::access::RequireSignature;
use crate::http::access::client::TrustedProxy;
use crate::store::open::DATA_MODE;
use crate::telemetry::log::Form;

/// All that can be said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) node: Node,
    pub(super) cluster: Cluster,
    pub(super) images: Images,
    pub(super) cache: Cache,
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) log: Log,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Always there once the faults are looked for, like `url`.
    pub(super) name: Option<Name>,
    pub(super) listen: SocketAddr,
    pub(super) url: Option<NodeUrl>,
    pub(super) zone: Name,
    pub(super) weight: Count<u32, 1, 1_000_000>,
    pub(super) writable: bool,
    pub(super) data: FilePath,
    pub(super) data_mode: Permissions,
    pub(super) reserve: Size<0, { 1024 * TIB }>,
    pub(super) shards: Count<usize, 0, 256>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cluster {
    pub(super) name: Name,
    pub(super) secrets: List<Secret<16>>,
    pub(super) secret: Option<Secret<16>>,
    pub(super) secret_file: Option<FilePath>,
    pub(super) join: List<NodeUrl>,
    pub(super) replication: Count<u8, 1, 16>,
    pub(super) min_replication: Option<Count<u8, 1, 16>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Images {
    pub(super) max_bytes: Size<1, { 4 * GIB }>,
    pub(super) max_pixels: Count<u64, 1, 4_000_000_000>,
    pub(super) max_frames: Count<u32, 1, 100_000>,
    pub(super) max_dimension: Count<u32, 1, 65_535>,
    pub(super) max_output_pixels: OutputPixels,
    pub(super) upscale: bool,
    pub(super) quality: Quality,
    pub(super) presets: Presets,
    pub(super) only_presets: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quality {
    pub(super) jpeg: Count<u8, 1, 100>,
    pub(super) webp: Count<u8, 1, 100>,
    pub(super) avif: Count<u8, 1, 100>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cache {
    pub(super) memory: Size<0, { 16 * TIB }>,
    pub(super) disk: Size<0, { 1024 * TIB }>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Access {
    pub(super) upload_keys: List<Secret<1>>,
    pub(super) open_uploads: bool,
    pub(super) operator_key: Secret<0>,
    pub(super) preset_overrides: List<PresetOption>,
    pub(super) sign_keys: List<Secret<16>>,
    pub(super) require_signature: RequireSignature,
    pub(super) cors_origins: List<Origin>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limits {
    pub(super) connections: Count<usize, 1, 1_000_000>,
    pub(super) uploads: Count<usize, 1, 100_000>,
    pub(super) header_timeout: Time<100, HOUR>,
    pub(super) idle_timeout: Time<100, DAY>,
    pub(super) body_progress: Time<100, HOUR>,
    pub(super) byte_rate_min: Size<0, GIB>,
    pub(super) resize_queue: Count<usize, 1, 100_000>,
    pub(super) resize_deadline: Time<100, HOUR>,
    pub(super) decode_memory: Size<8, { 16 * TIB }>,
    pub(super) cold_rate: Count<u32, 0, 10_000>,
    pub(super) upload_rate: Count<u32, 0, 10_000>,
    pub(super) trusted_proxies: List<TrustedProxy>,
    pub(super) drain_delay: Time<0, HOUR>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Log {
    pub(super) level: LevelFilter,
    pub(super) format: Form,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// In milliseconds, as the bounds of times are.
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

impl Default for Node {
    fn default() -> Self {
        Self {
            name: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            url: None,
            zone: Name::like("default"),
            weight: Count(100),
            writable: true,
            data: FilePath("data".into()),
            data_mode: Permissions(DATA_MODE),
            reserve: Size(GIB),
            shards: Count(0),
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: Name::like("default"),
            secrets: List::default(),
            secret: None,
            secret_file: None,
            join: List::default(),
            replication: Count(3),
            min_replication: None,
        }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self {
            max_bytes: Size(32 * MIB),
            max_pixels: Count(100_000_000),
            max_frames: Count(1000),
            max_dimension: Count(8192),
            max_output_pixels: OutputPixels::default(),
            upscale: false,
            quality: Quality { jpeg: Count(82), webp: Count(80), avif: Count(60) },
            presets: Presets::default(),
            only_presets: false,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { memory: Size(256 * MIB), disk: Size(10 * GIB) }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            upload_keys: List::default(),
            open_uploads: false,
            operator_key: Secret::default(),
            preset_overrides: List::default(),
            sign_keys: List::default(),
            require_signature: RequireSignature::Off,
            cors_origins: List(vec![Origin::any()]),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Count(10_000),
            uploads: Count(64),
            header_timeout: Time(Duration::from_secs(5)),
            idle_timeout: Time(Duration::from_secs(75)),
            body_progress: Time(Duration::from_secs(10)),
            byte_rate_min: Size(1000),
            resize_queue: Count(64),
            resize_deadline: Time(Duration::from_secs(10)),
            decode_memory: Size(GIB),
            cold_rate: Count(0),
            upload_rate: Count(0),
            trusted_proxies: List::default(),
            drain_delay: Time(Duration::from_secs(1)),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LevelFilter::Info, format: Form::Text }
    }
}
