//! Rules between keys.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::bounded_file;
use super::setting::number::size;
use super::setting::text::{Choice, Secret};
use super::values::{self, Values};
use crate::http::access::RequireSignature;
use crate::image::recipe::{Recipe, RecipeError};
use crate::object::Format;

/// The keys that set the cluster's secrets.
pub(super) const SECRETS: [&str; 3] = ["cluster.secrets", "cluster.secret", "cluster.secret_file"];

/// Most bytes of a decoded pixel: four channels of 16 bits.
const PIXEL_BYTES: u64 = 8;

/// Most bytes of a file of secrets: more than enough for a few lines.
const SECRET_FILE_BYTES_MAX: u64 = 1 << 16;

/// A rule that does not hold, with the values that break it.
#[derive(Debug)]
pub(super) enum Rule {
    /// The largest image cannot be decoded.
    DecodeMemory {
        /// Bytes, as configured.
        bytes: u64,
        /// Bytes that are needed.
        least: u64,
    },
    /// An upload would need more copies than an image has.
    MinReplication {
        /// As configured.
        min: u8,
        /// As configured.
        replication: u8,
    },
    /// The secrets are set in several ways.
    SecretsTwice,
    /// The file of the secrets cannot be used.
    SecretFile(PathBuf, SecretFileError),
    /// A node to join, but no secret to authenticate with.
    NoSecret(String),
    /// A URL that no other node can connect to: of this node, or of a node to join.
    Unreachable {
        /// The key that requires it.
        key: &'static str,
        /// The URL.
        url: String,
    },
    /// URLs need a signature, but no key can make one.
    NoSignKey(RequireSignature),
    /// A preset that no URL can use.
    PresetTooLarge {
        /// Its name.
        name: String,
        /// The reason.
        error: RecipeError,
    },
}

/// The reason why a file of secrets cannot be used.
#[derive(Debug)]
pub(super) enum SecretFileError {
    /// The system's error when it is read.
    Unreadable(io::Error),
    /// Longer than [`SECRET_FILE_BYTES_MAX`].
    TooLong,
    /// Blanks only.
    Empty,
    /// This line, counted from 1, is not a valid secret.
    Line(usize),
}

/// Every rule that these values break, in the order of the keys.
pub(super) fn find_broken(values: &Values) -> Vec<Rule> {
    let rules = [secrets_twice, secret_file, no_secret, min_replication, no_sign_key, decode_memory];
    let broken = rules.iter().filter_map(|rule| rule(values));
    broken.chain(unreachable(values)).chain(presets_too_large(values)).collect()
}

fn secrets_twice(values: &Values) -> Option<Rule> {
    let cluster = &values.cluster;
    let said = [!cluster.secrets.0.is_empty(), cluster.secret.is_some(), cluster.secret_file.is_some()];
    (said.iter().filter(|said| **said).count() > 1).then_some(Rule::SecretsTwice)
}

fn secret_file(values: &Values) -> Option<Rule> {
    let path = &values.cluster.secret_file.as_ref()?.0;
    secrets_of(path).err().map(|error| Rule::SecretFile(path.clone(), error))
}

/// The secrets of a file, one on each line; at least one.
fn secrets_of(path: &Path) -> Result<Vec<Secret<16>>, SecretFileError> {
    let bytes = bounded_file::read(path, SECRET_FILE_BYTES_MAX).map_err(SecretFileError::Unreadable)?;
    let bytes = bytes.ok_or(SecretFileError::TooLong)?;
    let mut secrets = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if !line.is_empty() {
            let secret = str::from_utf8(line).ok().and_then(Secret::parse);
            secrets.push(secret.ok_or(SecretFileError::Line(index + 1))?);
        }
    }
    if secrets.is_empty() { Err(SecretFileError::Empty) } else { Ok(secrets) }
}

/// The secrets, from the key that sets them; the rules have checked that they can be read.
pub(super) fn secrets(cluster: &values::ClusterValues) -> Vec<String> {
    let file = cluster.secret_file.as_ref().and_then(|path| secrets_of(&path.0).ok());
    let said = cluster.secrets.0.iter().chain(&cluster.secret).cloned();
    said.chain(file.unwrap_or_default()).map(Secret::into_text).collect()
}

fn no_secret(values: &Values) -> Option<Rule> {
    let cluster = &values.cluster;
    let has_secret =
        !cluster.secrets.0.is_empty() || cluster.secret.is_some() || cluster.secret_file.is_some();
    // On loopback too: a proxy on this machine may forward requests from other machines.
    let joined = cluster.join.0.first()?;
    (!has_secret).then(|| Rule::NoSecret(joined.to_string()))
}

fn min_replication(values: &Values) -> Option<Rule> {
    let (min, replication) = (values.cluster.min_replication?.0, values.cluster.replication.0);
    (min > replication).then_some(Rule::MinReplication { min, replication })
}

fn no_sign_key(values: &Values) -> Option<Rule> {
    let access = &values.access;
    let asked = access.require_signature != RequireSignature::Off;
    (asked && access.sign_keys.0.is_empty()).then_some(Rule::NoSignKey(access.require_signature))
}

fn decode_memory(values: &Values) -> Option<Rule> {
    let bytes = values.limits.decode_memory.0;
    let least = values.images.max_pixels.0.saturating_mul(PIXEL_BYTES);
    (bytes < least).then_some(Rule::DecodeMemory { bytes, least })
}

fn unreachable(values: &Values) -> impl Iterator<Item = Rule> {
    let join = &values.cluster.join.0;
    // A node without cluster.join may never get requests from other nodes.
    let own = values.node.url.iter().filter(|_| !join.is_empty()).map(|url| ("node.url", url));
    let urls = own.chain(join.iter().map(|url| ("cluster.join", url)));
    urls.filter(|(_, url)| !url.is_reachable())
        .map(|(key, url)| Rule::Unreachable { key, url: url.to_string() })
}

fn presets_too_large(values: &Values) -> impl Iterator<Item = Rule> {
    let settings = values.images.recipe();
    values.images.presets.0.iter().filter_map(move |(name, spec)| {
        let error = Recipe::resolve(spec, Format::Png, &settings).err()?;
        Some(Rule::PresetTooLarge { name: name.as_str().to_owned(), error })
    })
}

impl Rule {
    /// The keys of the rule; the fault is reported at the first one that is set.
    pub(super) fn keys(&self) -> &'static [&'static str] {
        match self {
            Self::DecodeMemory { .. } => &["limits.decode_memory", "images.max_pixels"],
            Self::MinReplication { .. } => &["cluster.min_replication", "cluster.replication"],
            Self::SecretsTwice => &SECRETS,
            Self::SecretFile(..) => &["cluster.secret_file"],
            Self::NoSecret(_) => &["cluster.join", SECRETS[0], SECRETS[1], SECRETS[2]],
            Self::Unreachable { key: "node.url", .. } => &["node.url", "node.listen", "cluster.join"],
            Self::Unreachable { .. } => &["cluster.join"],
            Self::NoSignKey(_) => &["access.require_signature", "access.sign_keys"],
            Self::PresetTooLarge { .. } => &["images.presets", "images.max_dimension"],
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecodeMemory { bytes, least } => write!(
                f,
                "limits.decode_memory = \"{}\" is too small for an image of images.max_pixels: write {least} or more, or lower images.max_pixels",
                size(*bytes)
            ),
            Self::MinReplication { min, replication } => write!(
                f,
                "cluster.min_replication = {min} is greater than cluster.replication = {replication}: write {replication} or less"
            ),
            Self::SecretsTwice => {
                write!(
                    f,
                    "the cluster's secrets are set more than once: keep only one of {}",
                    SECRETS.join(", ")
                )
            }
            Self::SecretFile(path, error) => write!(f, "cluster.secret_file = {path:?} {error}"),
            Self::NoSecret(url) => write!(
                f,
                "cluster.join has {url}, but this node has no secret: set cluster.secret or cluster.secret_file, the same on every node"
            ),
            Self::Unreachable { key, url } => {
                write!(
                    f,
                    "{key} = \"{url}\" is not reachable: write an address and port that other nodes can connect to"
                )
            }
            Self::NoSignKey(required) => write!(
                f,
                "access.require_signature = \"{}\" refuses every image without a key: set access.sign_keys, or write \"off\"",
                required.word()
            ),
            Self::PresetTooLarge { name, error } => {
                write!(f, "images.presets.{name} is invalid: {error}")
            }
        }
    }
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => {
                write!(f, "cannot be read: {error}; write the path of a file that this user may read")
            }
            Self::TooLong => {
                write!(
                    f,
                    "is longer than {SECRET_FILE_BYTES_MAX} bytes: write the path of a file with one secret on each line"
                )
            }
            Self::Empty => f.write_str("holds no secret: write one secret on each line of the file"),
            Self::Line(line) => {
                write!(
                    f,
                    "has an invalid secret in line {line}: write {}",
                    <Secret<16> as super::setting::Value>::takes()
                )
            }
        }
    }
}
