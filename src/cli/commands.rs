//! The command lines of the commands that ask a node, and of the offline check.
//!
//! Every argument is parsed into its type here. So a wrong id, spec, URL or key is bad usage (exit 2), and the commands
//! begin with valid values.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::address::{BaseUrl, HeaderKey, NodeAddress};
use super::assignment::Assignment;
use crate::object::{Extension, ObjectId, Spec};

/// The node that a command asks by default.
const DEFAULT_NODE: &str = "http://127.0.0.1:8080";

/// The commands that need no node of their own.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Upload files and folders, and print id and URL of each
    Put(Put),
    /// Fetch an image, or a variant of it
    Get(Get),
    /// Print the URL of an image, signed if --sign-key is given
    Url(Url),
    /// Delete images from the whole cluster
    Rm(Rm),
    /// List all images with length, upload time and number of copies
    Ls(Ls),
    /// Show the nodes of the cluster: state, images, bytes, free space
    Status(ReportFlags),
    /// Show the layout of the cluster: weight, share and usable capacity of each node, and what a change waits for
    Layout(ReportFlags),
    /// Have a node hand its share over to the others; activate undoes it
    Drain(RoleFlags),
    /// Have a node own its share again
    Activate(RoleFlags),
    /// Remove a node forever; its name is free then
    Remove(RoleFlags),
    /// Change settings of a node, or of the cluster
    Set(SetFlags),
    /// Have every node read all its copies back now, at full pace, and repair what is wrong
    Scrub(ScrubFlags),
    /// Check a store while no server uses it; exit 0 when it is clean, else 1
    Fsck(Fsck),
    /// Set the store of a removed node aside in lost+found/, so that it can come back as a new node
    Rejoin(Rejoin),
}

/// The node to ask.
#[derive(Args, Clone, Debug)]
pub struct NodeFlags {
    /// URL of the node to ask
    #[arg(long, value_name = "URL", env = "RETICULUM_NODE", default_value = DEFAULT_NODE)]
    pub node: NodeAddress,
}

/// The operator key, for commands that need it.
#[derive(Args, Clone, Debug)]
pub struct Operator {
    /// Operator key [default: for a loopback URL, the one in --data]
    #[arg(long, value_name = "K", env = "RETICULUM_OPERATOR_KEY", hide_env_values = true)]
    pub operator_key: Option<HeaderKey>,
    /// Data directory of a node on this machine, to read its operator.key
    #[arg(long, value_name = "DIR", env = "RETICULUM_DATA", default_value = "data")]
    pub data: PathBuf,
}

/// The node that an operator's command asks, and the key for it.
#[derive(Args, Clone, Debug)]
pub struct AskedFlags {
    /// The node to ask.
    #[command(flatten)]
    pub target: NodeFlags,
    /// The key for it.
    #[command(flatten)]
    pub operator: Operator,
}

/// Flags of `reticulum put`.
#[derive(Args, Clone, Debug)]
pub struct Put {
    /// Files and folders; folders are searched recursively
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// The node to ask, and the operator key, where there is no upload key.
    #[command(flatten)]
    pub asked: AskedFlags,
    /// Upload key [default: the operator key]
    #[arg(long, value_name = "K", env = "RETICULUM_KEY", hide_env_values = true)]
    pub key: Option<HeaderKey>,
    /// A variant to make in the background, such as 300w200h,fill; may be repeated
    #[arg(long = "hint", value_name = "SPEC", value_parser = Spec::parse)]
    pub hints: Vec<Spec>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Flags of `reticulum get`.
#[derive(Args, Clone, Debug)]
pub struct Get {
    /// Id of the image: 40 hex digits
    #[arg(value_name = "ID", value_parser = id)]
    pub id: ObjectId,
    /// Spec of the variant, such as 300w or 200s,g-smart; full is the image itself
    #[arg(value_name = "SPEC", default_value = "full", value_parser = Spec::parse)]
    pub spec: Spec,
    /// Format: jpg, png, gif, webp, avif or auto [default: the image's natural format]
    #[arg(long, value_name = "EXT", value_parser = extension)]
    pub format: Option<Extension>,
    /// File to write to; - is standard output [default: standard output, unless that is a terminal]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Sign the request with this key, for nodes that require signatures
    #[arg(long, value_name = "K", value_parser = sign_key)]
    pub sign_key: Option<String>,
    /// The node to ask.
    #[command(flatten)]
    pub target: NodeFlags,
}

/// Flags of `reticulum url`.
#[derive(Args, Clone, Debug)]
pub struct Url {
    /// Id of the image: 40 hex digits
    #[arg(value_name = "ID", value_parser = id)]
    pub id: ObjectId,
    /// Spec of the variant, such as 300w or 200s,g-smart; full is the image itself
    #[arg(value_name = "SPEC", default_value = "full", value_parser = Spec::parse)]
    pub spec: Spec,
    /// Format: jpg, png, gif, webp, avif or auto
    #[arg(long, value_name = "EXT", default_value = "auto", value_parser = extension)]
    pub format: Extension,
    /// Beginning of the URL, before /image, with http or https
    #[arg(long, value_name = "URL", env = "RETICULUM_NODE", default_value = DEFAULT_NODE)]
    pub base: BaseUrl,
    /// Sign the URL with this key
    #[arg(long, value_name = "K", value_parser = sign_key)]
    pub sign_key: Option<String>,
    /// Time until the signature expires, such as 24h or 7d [default: never]
    #[arg(long, value_name = "TIME", requires = "sign_key", value_parser = expiry)]
    pub expires: Option<Duration>,
}

/// Flags of `reticulum rm`.
#[derive(Args, Clone, Debug)]
pub struct Rm {
    /// Ids of the images
    #[arg(value_name = "ID", required = true, value_parser = id)]
    pub ids: Vec<ObjectId>,
    /// Refuse uploads of them from now on, too; needs the operator key
    #[arg(long)]
    pub ban: bool,
    /// The node to ask, and the operator key, where there is no upload key.
    #[command(flatten)]
    pub asked: AskedFlags,
    /// Upload key [default: the operator key]
    #[arg(long, value_name = "K", env = "RETICULUM_KEY", hide_env_values = true)]
    pub key: Option<HeaderKey>,
}

/// Flags of `reticulum ls`.
#[derive(Args, Clone, Debug)]
pub struct Ls {
    /// List only ids after this one
    #[arg(long, value_name = "ID", value_parser = id)]
    pub after: Option<ObjectId>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// The node to ask, and the key for it.
    #[command(flatten)]
    pub asked: AskedFlags,
}

/// Flags of `reticulum status` and `reticulum layout`.
#[derive(Args, Clone, Debug)]
pub struct ReportFlags {
    /// Print the node's whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// The node to ask, and the key for it.
    #[command(flatten)]
    pub asked: AskedFlags,
}

/// Flags of `reticulum drain`, `activate` and `remove`.
#[derive(Args, Clone, Debug)]
pub struct RoleFlags {
    /// Name or id of the node, or the first 8 or more digits of its id
    #[arg(value_name = "NODE", value_parser = member)]
    pub member: String,
    /// Do it although too few nodes or too little weight would be left
    #[arg(long)]
    pub force: bool,
    /// The node to ask, and the key for it.
    #[command(flatten)]
    pub asked: AskedFlags,
}

/// Flags of `reticulum set`.
#[derive(Args, Clone, Debug)]
pub struct SetFlags {
    /// Name or id of the node, or the first 8 or more digits of its id; or the word cluster
    #[arg(value_name = "NODE|cluster", value_parser = member)]
    pub member: String,
    /// weight=N, zone=NAME or writable=true|false of a node; replication=N or min_replication=N of the cluster
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub assignments: Vec<Assignment>,
    /// Do it although more than a tenth of all copies has to be moved or is given up
    #[arg(long)]
    pub yes: bool,
    /// The node to ask, and the key for it.
    #[command(flatten)]
    pub asked: AskedFlags,
}

/// Flags of `reticulum scrub`.
#[derive(Args, Clone, Debug)]
pub struct ScrubFlags {
    /// Show the progress until every node has read all its copies and what was found is repaired; exit 1 if not all is
    #[arg(long)]
    pub wait: bool,
    /// The node to ask, and the key for it.
    #[command(flatten)]
    pub asked: AskedFlags,
}

/// Flags of `reticulum fsck`.
#[derive(Args, Clone, Debug)]
pub struct Fsck {
    /// Data directory
    #[arg(long, value_name = "DIR", env = "RETICULUM_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Move damaged images to quarantine/ and misplaced ones to their place; remove temporary files and what is left of
    /// deleted images; make journals and manifests whole
    #[arg(long)]
    pub repair: bool,
    /// Print one JSON object a line, the sum last
    #[arg(long)]
    pub json: bool,
}

fn member(text: &str) -> Result<String, &'static str> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(is_valid) {
        Ok(text.to_owned())
    } else {
        Err("the name of a node has 1 to 64 letters, digits, '.', '_' and '-'")
    }
}

/// Flags of `reticulum rejoin`.
#[derive(Args, Clone, Debug)]
pub struct Rejoin {
    /// Data directory
    #[arg(long, value_name = "DIR", env = "RETICULUM_DATA", default_value = "data")]
    pub data: PathBuf,
}

fn id(text: &str) -> Result<ObjectId, &'static str> {
    ObjectId::parse(text).map_err(|_| "an id is the 40 hex digits that the upload answered as \"hash\"")
}

fn extension(text: &str) -> Result<Extension, &'static str> {
    Extension::parse(text).ok_or("use jpg, png, gif, webp, avif or auto")
}

/// An empty key would sign URLs with a key that everybody knows.
fn sign_key(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("an empty key signs nothing; use one of the node's access.sign_keys")
    } else {
        Ok(text.to_owned())
    }
}

fn expiry(text: &str) -> Result<Duration, &'static str> {
    match humantime::parse_duration(text) {
        Ok(time) if time >= Duration::from_secs(1) => Ok(time),
        _ => Err("use a time of at least one second, such as 90s, 24h or 7d"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Arguments;

    const ID: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    fn refused(arguments: &[&str]) -> String {
        Arguments::try_parse_from([&["reticulum"], arguments].concat()).unwrap_err().to_string()
    }

    #[test]
    fn wrong_arguments_are_refused_with_what_is_right() {
        for (arguments, words) in [
            (&["get", "abc"][..], "40 hex digits"),
            (&["get", ID, "200"], "200"),
            (&["get", ID, "--format", "bmp"], "webp"),
            (&["get", ID, "--node", "https://h"], "http://"),
            (&["get", ID, "--node", "h:80"], "http://"),
            (&["url", ID, "--sign-key", "k", "--expires", "0s"], "one second"),
            (&["url", ID, "--expires", "1h"], "--sign-key"),
            (&["url", ID, "--sign-key", ""], "an empty key signs nothing"),
            (&["get", ID, "--sign-key="], "an empty key signs nothing"),
            (&["url", ID, "--base", "ftp://h"], "http"),
            (&["put"], "PATH"),
            (&["put", "x", "--key", "a\nb"], "ASCII"),
            (&["put", "x", "--hint", "fill"], "size"),
            (&["rm"], "ID"),
            (&["drain"], "NODE"),
            (&["remove", "a/b"], "letters"),
            (&["scrub", "n1"], "n1"),
            (&["set", "n1"], "KEY=VALUE"),
            (&["set", "n1", "weight"], "weight=200"),
            (&["set", "n1", "wieght=1"], "weight"),
            (&["set", "n1", "weight=much"], "number"),
            (&["set", "n1", "writable=perhaps"], "true or false"),
        ] {
            let message = refused(arguments);
            assert!(message.contains(words), "{arguments:?}: {message}");
        }
    }
}
