//! Why another node gave no answer.

use std::fmt;

use super::auth::AuthError;
use crate::cluster::node::NodeId;

/// Why there is no answer. Whether the question was heard is not known, except as noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// Nobody is there. It was not heard.
    Unreachable,
    /// The connection ended.
    Broken,
    /// The deadline passed.
    Late,
    /// The other node rejected this one, with its cause, which is not authenticated. The question
    /// changed nothing there.
    Refused(Option<AuthError>),
    /// The answer is not the other node's, or not the one that it announced.
    Untrusted(AuthError),
    /// Another node is there. It was not heard.
    OtherNode(NodeId),
    /// The answer is longer than it may be.
    TooLong,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("nobody answers there"),
            Self::Broken => f.write_str("the connection ended"),
            Self::Late => f.write_str("the answer came too late"),
            Self::Refused(None) => f.write_str("the other node refuses this one"),
            Self::Refused(Some(cause)) => write!(f, "the other node refuses this one: {cause}"),
            Self::Untrusted(cause) => write!(f, "what came cannot be believed: {cause}"),
            Self::OtherNode(node) => write!(f, "node {node} is there"),
            Self::TooLong => f.write_str("the answer is too long"),
        }
    }
}

impl std::error::Error for PeerError {}
