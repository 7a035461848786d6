//! The forms of the TOML, one struct for each section: kind, bounds and default of every key.
//!
//! [`super::key`] lists the keys again with their meanings; other modules never see these forms.

use std::net::SocketAddr;
use std::time::Duration;

use log::LevelFilter;

use super::setting::List;
use super::setting::number::{BoundedInteger, BoundedTime, ByteSize};
use super::setting::output::OutputPixels;
use super::setting::preset::{PresetOption, Presets};
use super::setting::text::{FilePath, Name, Permissions, Secret};
use super::setting::url::{Origin, UrlSetting};
use crate::http::access::RequireSignature;
use crate::http::access::client::TrustedProxy;
use crate::image::light::LightSetting;
use crate::image::recipe::Originals;
use crate::store::open::DATA_MODE;
use crate::telemetry::log::Form;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) node: NodeValues,
    pub(super) cluster: ClusterValues,
    pub(super) images: ImagesValues,
    pub(super) cache: CacheValues,
    pub(super) access: AccessValues,
    pub(super) limits: LimitsValues,
    pub(super) log: LogValues,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct NodeValues {
    /// Always set before the rules are checked, like `url`.
    pub(super) name: Option<Name>,
    pub(super) listen: SocketAddr,
    pub(super) url: Option<UrlSetting>,
    pub(super) zone: Name,
    pub(super) weight: BoundedInteger<u32, 1, 1_000_000>,
    pub(super) writable: bool,
    pub(super) data: FilePath,
    pub(super) data_mode: Permissions,
    pub(super) reserve: ByteSize<0, { 1024 * TIB }>,
    pub(super) shards: BoundedInteger<usize, 0, 256>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClusterValues {
    pub(super) name: Name,
    pub(super) secrets: List<Secret<16>>,
    pub(super) secret: Option<Secret<16>>,
    pub(super) secret_file: Option<FilePath>,
    pub(super) join: List<UrlSetting>,
    pub(super) replication: BoundedInteger<u8, 1, 16>,
    pub(super) min_replication: Option<BoundedInteger<u8, 1, 16>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImagesValues {
    pub(super) max_bytes: ByteSize<1, { 4 * GIB }>,
    pub(super) max_pixels: BoundedInteger<u64, 1, 4_000_000_000>,
    pub(super) max_frames: BoundedInteger<u32, 1, 100_000>,
    pub(super) max_dimension: BoundedInteger<u32, 1, 65_535>,
    pub(super) max_output_pixels: OutputPixels,
    pub(super) originals: Originals,
    pub(super) light: LightSetting,
    pub(super) upscale: bool,
    pub(super) quality: QualityValues,
    pub(super) presets: Presets,
    pub(super) only_presets: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct QualityValues {
    pub(super) jpeg: BoundedInteger<u8, 1, 100>,
    pub(super) webp: BoundedInteger<u8, 1, 100>,
    pub(super) avif: BoundedInteger<u8, 1, 100>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct CacheValues {
    pub(super) memory: ByteSize<0, { 16 * TIB }>,
    pub(super) disk: ByteSize<0, { 1024 * TIB }>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct AccessValues {
    pub(super) upload_keys: List<Secret<1>>,
    pub(super) open_uploads: bool,
    pub(super) operator_key: Secret<0>,
    pub(super) preset_overrides: List<PresetOption>,
    pub(super) sign_keys: List<Secret<16>>,
    pub(super) require_signature: RequireSignature,
    pub(super) cors_origins: List<Origin>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct LimitsValues {
    pub(super) connections: BoundedInteger<usize, 1, 1_000_000>,
    pub(super) uploads: BoundedInteger<usize, 1, 100_000>,
    pub(super) background_copies: ByteSize<0, { 16 * TIB }>,
    pub(super) header_timeout: BoundedTime<100, HOUR>,
    pub(super) idle_timeout: BoundedTime<100, DAY>,
    pub(super) body_progress: BoundedTime<100, HOUR>,
    pub(super) byte_rate_min: ByteSize<0, GIB>,
    pub(super) resize_queue: BoundedInteger<usize, 1, 100_000>,
    pub(super) resize_deadline: BoundedTime<100, HOUR>,
    pub(super) decode_memory: ByteSize<8, { 16 * TIB }>,
    pub(super) cold_rate: BoundedInteger<u32, 0, 10_000>,
    pub(super) upload_rate: BoundedInteger<u32, 0, 10_000>,
    pub(super) trusted_proxies: List<TrustedProxy>,
    pub(super) scrub_every: BoundedTime<0, { 366 * DAY }>,
    pub(super) drain_delay: BoundedTime<0, HOUR>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogValues {
    pub(super) level: LevelFilter,
    pub(super) format: Form,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// In milliseconds, as the bounds of times are.
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

impl Default for NodeValues {
    fn default() -> Self {
        Self {
            name: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            url: None,
            zone: Name::like("default"),
            weight: BoundedInteger(100),
            writable: true,
            data: FilePath("data".into()),
            data_mode: Permissions(DATA_MODE),
            reserve: ByteSize(GIB),
            shards: BoundedInteger(0),
        }
    }
}

impl Default for ClusterValues {
    fn default() -> Self {
        Self {
            name: Name::like("default"),
            secrets: List::default(),
            secret: None,
            secret_file: None,
            join: List::default(),
            replication: BoundedInteger(3),
            min_replication: None,
        }
    }
}

impl Default for ImagesValues {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize(32 * MIB),
            max_pixels: BoundedInteger(100_000_000),
            max_frames: BoundedInteger(1000),
            max_dimension: BoundedInteger(8192),
            max_output_pixels: OutputPixels::default(),
            originals: Originals::AsIs,
            light: LightSetting::Auto,
            upscale: false,
            quality: QualityValues {
                jpeg: BoundedInteger(82),
                webp: BoundedInteger(80),
                avif: BoundedInteger(60),
            },
            presets: Presets::default(),
            only_presets: false,
        }
    }
}

impl Default for CacheValues {
    fn default() -> Self {
        Self { memory: ByteSize(256 * MIB), disk: ByteSize(10 * GIB) }
    }
}

impl Default for AccessValues {
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

impl Default for LimitsValues {
    fn default() -> Self {
        Self {
            connections: BoundedInteger(10_000),
            uploads: BoundedInteger(64),
            background_copies: ByteSize(GIB / 4),
            header_timeout: BoundedTime(Duration::from_secs(5)),
            idle_timeout: BoundedTime(Duration::from_secs(75)),
            body_progress: BoundedTime(Duration::from_secs(10)),
            byte_rate_min: ByteSize(1000),
            resize_queue: BoundedInteger(64),
            resize_deadline: BoundedTime(Duration::from_secs(10)),
            decode_memory: ByteSize(GIB),
            cold_rate: BoundedInteger(0),
            upload_rate: BoundedInteger(0),
            trusted_proxies: List::default(),
            scrub_every: BoundedTime(Duration::from_hours(30 * 24)),
            drain_delay: BoundedTime(Duration::from_secs(1)),
        }
    }
}

impl Default for LogValues {
    fn default() -> Self {
        Self { level: LevelFilter::Info, format: Form::Text }
    }
}
