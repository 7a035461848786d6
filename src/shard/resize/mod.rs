//! Making variants: one resize worker beside each shard, and the jobs for it.
//!
//! * [`worker`]: the resize worker. `source`: the stored file that it reads. [`helper`]: the process that does what
//!   cannot be interrupted. [`memory`]: the node-wide budget of decoded pixels.
//! * `feed`: the way of a job from the queue to the worker. `failures`: jobs that are not tried again for a while.
//!   `pace`: how long jobs take.
//! * `single_flight`: making each variant once. `disk`: what was made, on its way to the disk.
//! * `pre_generation`: variants that are made before anybody asks. `placeholder`: ThumbHash and average colour.

pub(super) mod disk;
pub(super) mod failures;
mod feed;
pub mod helper;
pub mod memory;
pub(super) mod pace;
mod placeholder;
pub(super) mod pre_generation;
pub(super) mod single_flight;
mod source;
pub mod worker;
