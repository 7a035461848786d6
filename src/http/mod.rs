//! From sockets to requests and back.
//!
//! * [`connection`]: accept, drive, linger, stop. [`admission`]: slots and waits.
//! * [`poller`]: which sockets are ready. [`listener`], [`socket`]: hyper's reads and writes on them.
//! * [`gate`]: one request at a time for hyper. [`framing`]: where requests end (pure).
//! * [`parser_errors`]: problem bodies for requests that hyper rejects by itself.
//! * [`fast_path`]: memory hits of known URLs, answered by the socket.
//! * [`timeouts`]: connection timeouts by one sweep per shard. [`pace`]: how fast a client must be (pure).
//! * [`endpoint`]: a request's line as a type (pure).
//! * [`access`]: keys, signatures, origins.
//! * [`presets`]: the meaning of a preset's name (pure).
//! * [`service`]: dispatch by endpoint. [`exchange`]: a handler's context and response.
//! * [`cluster`]: the peer API.
//! * [`upload`] (and [`form`], [`unproven_forms`]), [`image`]: the two long answers. [`info`]: a short one. [`listing`]: the ids in order. [`status`]: the cluster.
//! * [`download`]: names of saved files (pure).
//! * [`negotiate`]: the format of an `auto` URL (pure).
//! * [`live`]: settings that may change while a node runs.
//! * [`conditional`]: validators and ranges (pure).
//! * [`body`]: response bodies. [`relay`]: a peer's stream on its way to a client.
//! * [`reply`]: the only table of status codes.

pub mod access;
mod admission;
mod body;
mod cluster;
mod conditional;
pub mod connection;
mod download;
mod endpoint;
mod exchange;
mod fast_path;
mod form;
mod framing;
mod gate;
mod image;
mod info;
mod listener;
mod listing;
pub mod live;
mod negotiate;
mod pace;
mod parser_errors;
mod poller;
mod presets;
mod relay;
mod reply;
mod service;
mod socket;
mod status;
mod timeouts;
mod unproven_forms;
mod upload;

use std::collections::BTreeMap;
use std::time::Duration;

use self::access::client::TrustedProxy;
use crate::image::recipe;
use crate::object::Spec;
use crate::object::spec::PresetName;

/// The settings of the HTTP side.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Defaults for variants where the URL does not say.
    pub recipe: recipe::RecipeSettings,
    /// Named specs.
    pub presets: BTreeMap<PresetName, Spec>,
    /// Whether variants are made by preset only.
    pub only_presets: bool,
    /// Options in canonical form that may follow a preset's name where variants are made by preset only.
    pub preset_overrides: Vec<String>,
    /// Access rules.
    pub access: access::AccessSettings,
    /// Bytes of an upload.
    pub upload_bytes_max: u64,
    /// Uploads at once, all shards together.
    pub uploads_max: usize,
    /// Connections at once, all shards together, those that are kept for other nodes among them.
    pub connections_max: usize,
    /// Proxies whose headers name the client.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// From a request's first byte to the end of its head.
    pub header_timeout: Duration,
    /// Without a request on a connection.
    pub idle_timeout: Duration,
    /// Without a byte while a body is received or an answer sent.
    pub body_progress: Duration,
    /// Bytes a second, on average over ten seconds, while a client owes bytes of a body or has not taken what was
    /// sent; 0 asks for none.
    pub byte_rate_min: u64,
}
