//! Requests of clients and other nodes over HTTP, and their answers.
//!
//! * `server`: from sockets to requests and back. `fast_path`: memory hits of known URLs, answered by the socket.
//! * `service`: dispatch by endpoint. `exchange`: a handler's context and response.
//! * `api`: what clients ask. `peer_api`: what other nodes ask.
//! * [`access`]: keys, signatures, origins. [`live`]: settings that may change while a node runs.
//! * `conditional`: validators and ranges (pure).
//! * `receive`: a request's body, piece by piece. `body`: response bodies.
//! * `reply`: the only table of status codes. `failure`: which of them an error of the shards is.

pub mod access;
mod api;
mod body;
mod conditional;
mod exchange;
mod failure;
mod fast_path;
pub mod live;
mod peer_api;
mod receive;
mod reply;
mod server;
mod service;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use self::access::client::TrustedProxy;
use self::fast_path::FastPath;
use self::live::{Live, Rules};
use self::service::HttpService;
use crate::image::recipe;
use crate::object::Spec;
use crate::object::spec::PresetName;
use crate::shard::Shard;

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

/// Serves clients and other nodes at `listener` until the shard stops, then finishes what runs.
pub async fn serve(shard: Rc<Shard>, live: Arc<Live>, listener: OwnedFd) {
    let rules = Rc::new(Rules::new(live));
    let settings = rules.current().0;
    let fast_path = Rc::new(FastPath::new(Rc::clone(&shard), Rc::clone(&rules), shard.heads_bytes()));
    let service = Rc::new(HttpService::new(Rc::clone(&shard), rules, Rc::clone(&fast_path)));
    server::serve(shard, settings, service, fast_path, listener).await;
}
