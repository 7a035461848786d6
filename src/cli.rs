//! The command line as typed. [`crate::config`] says what a node's flags mean.
//!
//! * [`commands`]: the commands that ask a node, and the offline check.
//! * [`address`]: addresses and keys. [`assignment`]: settings of the layout.
//! * [`generate`]: completions and the manual.

pub mod address;
pub mod assignment;
pub mod commands;
pub mod generate;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use self::commands::ClientCommand;
use self::generate::Completions;

/// A distributed image and thumbnail server.
#[derive(Debug, Parser)]
#[command(name = "reticulum", version, about, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node
    Serve(Serve),
    /// Start a cluster on loopback with sample images; it leaves nothing behind
    Demo(Demo),
    /// List all faults of a configuration file, or print the effective configuration
    CheckConfig(CheckConfig),
    /// Ask a node, or check a store.
    #[command(flatten)]
    Client(ClientCommand),
    /// Print completions for a shell, to be loaded by it
    Completions(Completions),
    /// Print the manual in roff: reticulum man | man -l -
    Man,
}

/// Flags of `reticulum serve`; they beat the environment, which beats the file.
#[derive(Args, Clone, Debug, Default)]
pub struct Serve {
    /// Configuration file (TOML) [env: RETICULUM_CONFIG]
    #[arg(long, value_name = "F")]
    pub config: Option<PathBuf>,
    /// Data directory [default: data] [env: RETICULUM_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080] [env: RETICULUM_LISTEN]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<SocketAddr>,
    /// URL at which other nodes reach this one [default: http://LISTEN]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Name of the node, unique in the cluster [default: the host's name]
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// Number of shards; 0 means one per core that the process may use [default: 0]
    #[arg(long, value_name = "N")]
    pub shards: Option<usize>,
    /// URL of a node to join; may be repeated, and replaces the list of the file
    #[arg(long, value_name = "URL")]
    pub join: Vec<String>,
    /// Copies wanted of each image [default: 3]
    #[arg(long, value_name = "R")]
    pub replication: Option<u64>,
    /// End when the process of this number, which started this one, ends
    #[arg(long, value_name = "PID", hide = true)]
    pub with_parent: Option<u32>,
}

/// Arguments of `reticulum check-config`.
#[derive(Args, Clone, Debug)]
pub struct CheckConfig {
    /// Configuration file (TOML)
    #[arg(value_name = "F")]
    pub file: PathBuf,
}

/// Flags of `reticulum demo`.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Number of nodes to start
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub nodes: u8,
    /// Port of the first node; the others take the ports after it
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
}
