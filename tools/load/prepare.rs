//! Before the clock starts: images are uploaded, and variants asked for once, so that what is measured is what was meant.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use reticulum::cli::address::NodeAddress;
use reticulum::client::NodeClient;
use reticulum::image::geometry;
use reticulum::image::header::Header;
use reticulum::image::light::LightSetting;
use reticulum::image::recipe::{AnimationMax, Originals, OutputMax, Quality, Recipe, RecipeSettings};
use reticulum::image::shape::Size;
use reticulum::object::{Format, ObjectId, Spec};

use crate::connection::Connection;
use crate::flags::{Flags, Mode};
use crate::pictures::{self, Image};
use crate::tally::Failure;
use crate::verdict::judge;
use crate::work::{Expected, Job, NodeTarget, Target, Workload, popularity};

type PrepareError = Box<dyn std::error::Error>;

/// Tries of one request before the load begins, and the time of each.
const TRIES: usize = 3;
const WITHIN: Duration = Duration::from_secs(30);

/// Makes everything ready.
///
/// # Errors
/// A sentence for what is missing: no node, no image, no right answer.
pub(crate) fn prepare(flags: &Flags) -> Result<Workload, PrepareError> {
    let nodes =
        flags.nodes.iter().map(|node| node_target(node, flags)).collect::<Result<Vec<_>, PrepareError>>()?;
    let images = match (&flags.images, flags.paths.is_empty()) {
        (Some(folder), _) => pictures::of_folder(folder)?,
        (None, true) => pictures::made_up(flags.width)?,
        (None, false) => Vec::new(),
    };
    let targets = if flags.paths.is_empty() { stored(flags, &images)? } else { plain(&flags.paths) };
    let popularity = if flags.cold { Vec::new() } else { popularity(targets.len(), flags.zipf) };
    let work = Workload {
        nodes,
        targets,
        popularity,
        next: AtomicUsize::new(0),
        images,
        upload_percent: flags.upload_percent(),
        verify: flags.verify,
    };
    if !flags.cold && flags.mode != Mode::Upload {
        warm(&work)?;
    }
    Ok(work)
}

fn node_target(node: &NodeAddress, flags: &Flags) -> Result<NodeTarget, PrepareError> {
    let authority = node.as_str().trim_start_matches("http://");
    let host = authority.split('/').next().unwrap_or(authority);
    let with_port = if host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let address: SocketAddr =
        with_port.to_socket_addrs()?.next().ok_or_else(|| format!("{host} has no address"))?;
    let key = flags.key.as_ref().map(|key| format!("Authorization: Bearer {}\r\n", key.as_str()));
    let key = key.unwrap_or_default();
    Ok(NodeTarget {
        address,
        fetch_tail: format!(" HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
        upload_head: format!("POST /image HTTP/1.1\r\nHost: {host}\r\n{key}Content-Length: ").into_bytes(),
    })
}

/// Paths of any server: nothing is known of them.
fn plain(paths: &[String]) -> Vec<Target> {
    let target = |path: &String| Target {
        path: if path.starts_with('/') { path.clone() } else { format!("/{path}") },
        expected: Expected { is_plain: true, ..Expected::default() },
    };
    paths.iter().map(target).collect()
}

/// Uploads `flags.count` images, copies of those that there are, and gives every variant of them to ask for.
fn stored(flags: &Flags, images: &[Image]) -> Result<Vec<Target>, PrepareError> {
    if flags.mode == Mode::Upload {
        return Ok(Vec::new());
    }
    let specs = flags
        .specs
        .iter()
        .map(|text| WantedVariant::parse(text))
        .collect::<Result<Vec<_>, PrepareError>>()?;
    let clients: Vec<_> =
        flags.nodes.iter().map(|node| NodeClient::with_key(node, flags.key.as_ref())).collect();
    let mut targets = Vec::new();
    for number in 0..flags.count.max(images.len()) {
        let image = &images[number % images.len()];
        let mut bytes = image.bytes.to_vec();
        if number >= images.len() || flags.cold {
            // Bytes behind the end of an image make it another one that looks the same.
            let run = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
            bytes.extend((run ^ ((number as u64) << 48)).to_le_bytes());
        }
        let uploaded = clients[number % clients.len()].upload(&bytes)?;
        targets.extend(specs.iter().map(|spec| spec.target(&uploaded.id, &image.header)));
    }
    Ok(targets)
}

/// A variant of every image.
struct WantedVariant {
    spec: Spec,
    /// `None` is `auto`.
    format: Option<Format>,
    text: String,
    extension: String,
}

impl WantedVariant {
    fn parse(text: &str) -> Result<Self, PrepareError> {
        let (spec, extension) =
            text.rsplit_once('.').ok_or_else(|| format!("{text}: no extension, as in 300w.jpg"))?;
        let format = Format::WRITTEN.into_iter().find(|format| format.extension() == extension);
        if format.is_none() && extension != "auto" {
            return Err(format!("{text}: no node makes .{extension}").into());
        }
        let parsed = Spec::parse(spec).map_err(|error| format!("{text}: {error}"))?;
        Ok(Self { text: parsed.to_string(), spec: parsed, format, extension: extension.to_owned() })
    }

    fn target(&self, id: &ObjectId, header: &Header) -> Target {
        let digest = OnceLock::new();
        if self.spec.is_full_plain() && self.format == Some(header.format) {
            digest.get_or_init(|| *id.digest());
        }
        let expected = Expected {
            media_type: self.format.map(Format::media_type),
            size: self.size(header),
            digest,
            is_plain: false,
        };
        Target { path: format!("/image/{id}/{}/x.{}", self.text, self.extension), expected }
    }

    /// The size of the variant; `None` where it depends on pixels or on the node's presets.
    fn size(&self, header: &Header) -> Option<(u32, u32)> {
        let settings = RecipeSettings {
            quality: Quality { jpeg: 80, webp: 80, avif: 80 },
            upscale: false,
            dimension_max: u32::MAX,
            animation: AnimationMax { frames: 0, pixels: 0 },
            output_max: OutputMax::NONE,
            originals: Originals::AsIs,
            light: LightSetting::Auto,
        };
        if self.spec.trim || self.spec.preset().is_some() {
            return None;
        }
        let recipe = Recipe::resolve(&self.spec, self.format.unwrap_or(Format::Jpeg), &settings).ok()?;
        let cut = geometry::cut(header.displayed(), &recipe).ok()?;
        let Size { width, height } = geometry::plan(cut.size(), &recipe, u64::MAX).ok()?.canvas;
        Some((width, height))
    }
}

/// Asks every node for every target once.
fn warm(work: &Workload) -> Result<(), PrepareError> {
    for node in 0..work.nodes.len() {
        for target in 0..work.targets.len() {
            ask(work, node, target)?;
        }
    }
    Ok(())
}

/// Asks until the answer is right, a few times.
fn ask(work: &Workload, node: usize, target: usize) -> Result<(), PrepareError> {
    let mut outcome = Err(Failure::Connect);
    for _ in 0..TRIES {
        let mut connection = Connection::new(node);
        let stream = connection.connect(work)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(WITHIN))?;
        connection.begin(work, Job::Fetch(target), 0);
        if let Some(ended) = connection.advance(work, judge) {
            outcome = ended.outcome;
        }
        if outcome.is_ok() {
            return Ok(());
        }
    }
    let path = &work.targets[target].path;
    let failure = outcome.map_or_else(Failure::name, |()| String::new());
    Err(io::Error::other(format!("{path} before the load: {failure}")).into())
}
