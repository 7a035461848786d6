//! Why a node did not start or did not end in order, with the exit code.

use std::fmt;

use super::cluster::layout_store::LayoutStoreError;
use super::listen::ListenError;
use super::system::SystemError;
use crate::store::open_error::OpenError;

/// Why a node did not start or did not end in order.
#[derive(Debug)]
pub enum RunError {
    /// The kernel does not give what is needed.
    System(SystemError),
    /// The data directory cannot be used.
    Data(OpenError),
    /// The persisted layout cannot be used.
    Cluster(LayoutStoreError),
    /// The address cannot be listened on.
    Listen(ListenError),
    /// The layout names other members, and there is no secret to prove anything to them by.
    NoSecret,
    /// An executor or thread could not be started.
    Start(String),
    /// A shard ended by itself.
    ShardLost(usize),
}

impl RunError {
    /// 78 (a configuration of the system that does not do) for the kernel, else 1.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::System(_)) { 78 } else { 1 }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Data(error) => error.fmt(f),
            Self::Cluster(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::NoSecret => f.write_str(
                "this node has peers but no cluster.secret to prove itself by: set the secret of its cluster",
            ),
            Self::Start(error) => {
                write!(f, "cannot start a thread: {error}; look at the limits of this process")
            }
            Self::ShardLost(shard) => write!(f, "shard {shard} ended by itself; its log lines say why"),
        }
    }
}

impl std::error::Error for RunError {}
