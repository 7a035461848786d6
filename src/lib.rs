//! Reticulum: a distributed image and thumbnail server.
//!
//! # Reading order
//!
//! Data flows one way: socket → [`http`] → [`shard`] → ([`store`] | [`image`]) → [`shard`] → [`http`] → socket.
//!
//! * [`object`]: the nouns all rooms share (id, format, spec); parse and print only.
//! * [`image`]: pure functions on bytes: inspect, size, decode, scale, encode. No I/O, no clock, no log.
//! * [`cluster`]: the grid's core: who is a member, who owns what, what may be answered. No I/O, no clock.
//! * [`store`]: this node's disk.
//! * [`shard`]: one core's room: its mailbox, its in-flight work, its resize lane.
//! * [`peer`]: asking other nodes, and knowing who asks.
//! * [`http`]: accept, stream adapter, endpoint, reply.
//! * [`control`]: one per process: start, signals, stop.
//! * [`telemetry`]: log and metrics.
//! * [`client`]: the commands that ask a node from outside, and print an offline check. No part of a node.
//!
//! # Glossary
//!
//! * **image**: the immutable upload. Its **id** is the lower-case hex SHA-1 of its bytes.
//! * **variant**: anything derived from an image. A **spec** (from the URL) says which; a **recipe** is
//!   a spec with every default filled in, and alone decides the bytes.
//! * **shard**: one core's executor with its slice of ids, its listener and its resize worker.
//! * **owner**: the shard that an id belongs to.
//! * **node**: one running `reticulum serve`.

pub mod cli;
pub mod client;
pub mod cluster;
pub mod config;
pub mod control;
pub mod demo;
pub mod http;
pub mod image;
pub mod object;
pub mod peer;
pub mod shard;
pub mod store;
pub mod telemetry;
