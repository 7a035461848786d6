//! What the tests share: nodes, clusters, clients, disks, links and pictures.
//!
//! * [`harness`]: a running node, its directory, its logs. [`client`]: exact bytes in, answer out.
//! * [`nodes`]: several nodes that are one cluster. [`links`]: their connections, to be broken.
//! * [`nginx`]: a reverse proxy before a node. [`disks`]: disks that can be filled, frozen and taken away.
//! * [`pictures`] and [`jpeg`]: images that the tests draw and decode by themselves.

pub(crate) mod client;
pub(crate) mod disks;
pub(crate) mod harness;
pub(crate) mod jpeg;
pub(crate) mod links;
pub(crate) mod nginx;
pub(crate) mod nodes;
pub(crate) mod pictures;
pub(crate) mod ports;
