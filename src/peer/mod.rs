//! Asking other nodes, and knowing who asks.
//!
//! * [`auth`]: who is at the other end of a connection, and that nothing was changed, skipped or repeated on
//!   the way (pure).
//! * [`call`]: what one node may ask another, as lines of HTTP (pure).
//! * [`comparison`]: the questions of a comparison of two nodes' images (pure).
//! * [`erasure`]: erasure records between nodes, as text and bytes (pure).
//! * `query`: the parameters of a call (pure).
//! * [`requester`]: on whose behalf a node works (pure).
//! * [`pool`]: connections to other nodes, kept between requests.
//! * [`body`]: what is sent to them. [`stream`]: what comes back. [`error`]: why nothing does.
//! * `lease`: the connections to one node. `connection`, `socket`: one of them, and hyper's reads and writes on it.
//!
//! The answers of a node are made elsewhere: `http` takes the request, the shards work on it.
//!
//! Invariants: nothing that came over a connection is accepted before it is authenticated; every call has a deadline;
//! nothing of a connection outlives it.

pub mod auth;
pub mod body;
pub mod call;
pub mod comparison;
mod connection;
pub mod erasure;
pub mod error;
mod lease;
pub mod listing;
pub mod pool;
mod query;
pub mod requester;
mod socket;
pub mod stream;
