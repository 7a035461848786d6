//! Why a command failed.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::harmless::harmless;
use crate::object::ObjectId;
use crate::store::open_error::OpenError;

/// The reason why a command failed. Files that were uploaded and lines that were printed stay; every command can be
/// repeated.
#[derive(Debug)]
pub enum ClientError {
    /// No program answers at that address.
    Unreachable {
        /// The node's address.
        node: String,
        /// The reason.
        cause: String,
    },
    /// The connection ended in the middle; whether the node did what was asked is unknown.
    Broken(String),
    /// The node's refusal.
    Refused {
        /// The status of the answer.
        status: u16,
        /// The type of the refusal, as in the API's table; empty where the answer says none.
        kind: String,
        /// The node's sentence.
        detail: String,
        /// The time to wait before a retry, if the node gives one.
        retry_after: Option<Duration>,
    },
    /// The address answers, but not as a node of this version.
    Strange {
        /// The node's address.
        node: String,
        /// The part of the answer that is unexpected.
        what: &'static str,
    },
    /// The system's error, the action and the file.
    File(&'static str, PathBuf, io::Error),
    /// Neither file nor folder.
    NotAFile,
    /// A link to a folder inside a folder.
    LinkedFolder,
    /// A file changed while it was sent.
    Changed,
    /// Settings of a node and of the cluster, or the wrong ones for what is named: this one.
    Setting(&'static str),
    /// A change of the layout that moves much was not confirmed; the node's sentence about it.
    Unconfirmed(String),
    /// Standard output is a terminal.
    Terminal,
    /// The received bytes do not match this id.
    WrongBytes(ObjectId),
    /// Standard output cannot be written.
    Output(io::Error),
    /// The time of expiry is out of range.
    Expiry,
    /// So many of so many failed; each was reported.
    Some {
        /// The number that failed.
        failed: u64,
        /// Of how many.
        of: u64,
    },
    /// So many faults are left in a store; each was reported.
    Faults(u64),
    /// These nodes did not say what they store.
    Unlisted(BTreeSet<String>),
    /// A scrub after which not all is right: a sentence for each node.
    Scrub(Vec<String>),
    /// The store cannot be checked.
    Store(OpenError),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { node, cause } => {
                write!(f, "cannot reach {node}: {cause}; start a node there, or name another with --node")
            }
            Self::Broken(cause) => write!(f, "the connection to the node broke: {cause}; try again"),
            Self::Refused { status, detail, .. } => write!(f, "refused ({status}): {detail}"),
            Self::Strange { node, what } => {
                write!(f, "what answers at {node} is no node of this version ({what}); look at --node")
            }
            Self::File(doing, path, error) => write!(f, "cannot {doing} {}: {error}", path.display()),
            Self::NotAFile => f.write_str("neither a file nor a folder; name one"),
            Self::LinkedFolder => f.write_str("a link to a folder is not followed; name the folder itself"),
            Self::Changed => f.write_str("the file changed while it was sent; send it again"),
            Self::Setting(key) => write!(
                f,
                "{key} is not a setting of that: a node has weight, zone and writable, and the word cluster has replication and min_replication"
            ),
            Self::Unconfirmed(detail) => {
                write!(f, "nothing was changed: {detail} Confirm it with --yes.")
            }
            Self::Terminal => f.write_str(
                "a terminal cannot show an image; write it to a file with -o FILE, or into a pipe",
            ),
            Self::WrongBytes(id) => {
                write!(f, "the bytes that came do not have the SHA-1 {id}; fetch them again")
            }
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Expiry => f.write_str("--expires is too long; leave it out for a URL that never expires"),
            Self::Some { failed, of } => write!(f, "{failed} of {of} failed; see above"),
            Self::Faults(1) => f.write_str("1 fault is left; see above"),
            Self::Faults(left) => write!(f, "{left} faults are left; see above"),
            Self::Unlisted(nodes) => {
                let nodes = nodes.iter().map(|name| harmless(name)).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "no answer from {nodes}: images that only such a node holds are left out; try again"
                )
            }
            Self::Scrub(sentences) => {
                write!(f, "not all copies are known to be right: {}", harmless(&sentences.join("; ")))
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}
