//! Telemetry: the log ([`log`]) and the metrics ([`metrics`]).
//! [`occasionally`]: lines that strangers can trigger. [`invariant`]: broken invariants end the process.

pub mod invariant;
pub mod log;
pub mod metrics;
pub mod occasionally;
