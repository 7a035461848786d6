//! Telemetry: the log ([`log`]) and the metrics ([`metrics`]). [`invariant`]: broken invariants end the process.

pub mod invariant;
pub mod log;
pub mod metrics;
