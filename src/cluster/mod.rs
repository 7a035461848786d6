//! The cluster core, without input or output: who is a member, who owns what, and what may be answered.
//!
//! Nothing here opens a socket or a file, reads a clock, starts a thread, awaits or logs. Time and random
//! numbers come in as arguments, what is to be done goes out as values, and the same inputs give the same
//! outputs on every build and machine. The peers, the shards and the seeded simulator call the same code.

pub mod core;
pub mod digest;
pub mod erasure;
pub mod layout;
pub mod membership;
pub mod node;
pub mod operator;
pub mod placement;
pub mod protocol;
pub mod random;
pub mod time;
pub mod view;
pub mod wire;
