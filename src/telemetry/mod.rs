//! Telemetry: the log ([`log`]) and the metrics ([`metrics`]).
//! [`occasionally`]: lines that strangers can trigger.

pub mod log;
pub mod metrics;
pub mod occasionally;
