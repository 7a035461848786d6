//! End-to-end tests: the real binary, asked over real sockets, in a directory of its own.
//!
//! All of them are modules of one binary, which links once. Every test starts its own [`support::harness::Node`]
//! on its own port, so that they run side by side; none sleeps to wait for a state.

mod support;

mod api;
mod cache;
mod cli;
mod cluster;
mod lifecycle;
mod upload;
