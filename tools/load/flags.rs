//! The command line.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Parser, ValueEnum};
use reticulum::cli::address::{HeaderKey, NodeAddress};

/// Loads nodes with uploads and requests for images, and checks every answer.
///
/// Ends with 0 if every answer was right, with 1 if one was not, with 2 if there was no load.
#[derive(Clone, Debug, Parser)]
#[command(name = "reticulum-load", version, args_override_self = true)]
pub(crate) struct Flags {
    /// What to do: upload new images, fetch variants, or both.
    pub(crate) mode: Mode,
    /// The nodes; connections are spread over them.
    #[arg(long = "node", value_name = "URL", num_args = 1.., default_value = "http://127.0.0.1:8080")]
    pub(crate) nodes: Vec<NodeAddress>,
    /// Connections in all.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000).map(|count| count as usize))]
    pub(crate) connections: usize,
    /// Threads of this tool; one is enough for one core of a node.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64).map(|count| count as usize))]
    pub(crate) threads: usize,
    /// Requests per second, however long answers take (an open loop). Without it, each connection asks again as soon as
    /// it has its answer.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// For how long, as in 30s or 5m.
    #[arg(long, default_value = "10s")]
    pub(crate) duration: humantime::Duration,
    /// A folder of images; without it, images are made up.
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Images that are made up, or copies that are taken of those in the folder until there are as many.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000).map(|count| count as usize))]
    pub(crate) count: usize,
    /// Width of images that are made up, in pixels; they are three quarters as high.
    #[arg(long, default_value_t = 1280, value_parser = clap::value_parser!(u32).range(16..=8192))]
    pub(crate) width: u32,
    /// Variants to ask for, each with its extension, as in 300w.jpg or 200s,q70.webp.
    #[arg(long, value_name = "SPEC.EXT", num_args = 1.., default_value = "300w.jpg")]
    pub(crate) specs: Vec<String>,
    /// Paths to ask for as they are, of any server; nothing is uploaded then.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["images", "specs", "cold"])]
    pub(crate) paths: Vec<String>,
    /// The exponent of popularity: 0 asks for all alike, 1 for the second most popular half as often as for the first.
    #[arg(long, value_name = "EXPONENT", num_args = 0..=1, default_value_t = 0.0, default_missing_value = "1")]
    pub(crate) zipf: f64,
    /// Ask for each variant once, so that each has to be made; ends early when all were.
    #[arg(long, conflicts_with = "zipf")]
    pub(crate) cold: bool,
    /// With mixed: how many of a hundred requests are uploads.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) uploads: u8,
    /// Compare the SHA-1 of uploads with their ids, and of every variant with that of its first answer.
    #[arg(long)]
    pub(crate) verify: bool,
    /// The key for uploads.
    #[arg(long, value_name = "KEY", env = "RETICULUM_KEY", hide_env_values = true)]
    pub(crate) key: Option<HeaderKey>,
    /// Write the result as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the result as a page with charts to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// New images only.
    Upload,
    /// Variants only.
    Fetch,
    /// Variants, and new images among them.
    Mixed,
}

impl Flags {
    /// # Errors
    /// A sentence for a value that makes no load.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_number = |number: f64| number.is_finite() && number > 0.0;
        if self.rate.is_some_and(|rate| !is_number(rate) || rate > 10_000_000.0) {
            return Err("--rate must be above 0 and at most 10000000 requests per second".to_owned());
        }
        if !(0.0..=10.0).contains(&self.zipf) {
            return Err("--zipf must be from 0 to 10".to_owned());
        }
        if self.duration.is_zero() {
            return Err("--duration must be longer than nothing".to_owned());
        }
        if self.connections < self.threads {
            return Err("--connections must be at least --threads".to_owned());
        }
        if !self.paths.is_empty() && self.mode != Mode::Fetch {
            return Err("--paths goes with fetch alone".to_owned());
        }
        Ok(())
    }

    /// The share of uploads among all requests.
    pub(crate) const fn upload_percent(&self) -> u8 {
        match self.mode {
            Mode::Upload => 100,
            Mode::Fetch => 0,
            Mode::Mixed => self.uploads,
        }
    }
}
