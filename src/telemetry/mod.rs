//! What an operator sees of a running node: the log ([`log`]) and the metrics ([`metrics`]).

pub mod log;
pub mod metrics;
