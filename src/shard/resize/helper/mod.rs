//! The helper process: renders what cannot be interrupted, and may be killed.
//!
//! A resize worker asks the deadline between steps and rows. Some calls into libraries ask nothing: an AVIF encode, the
//! decode of a large WebP, a resize of a large picture. The AVIF decoder even ends its process when it panics. Such jobs
//! go, whole, to a process of the same binary that the worker starts when it first needs it.
//!
//! * [`Helper`] is the worker's side: it sends the job, looks at least every 50 ms whether anybody still wants it, and
//!   kills the process if not. The next job gets a new one.
//! * [`run`] is the process: it does one job after another until its input ends.
//! * `wire` is what they say to each other, over two pipes.
//!
//! The process has the worker's core and priority. It has no environment, no descriptor but its three, and no secret in its
//! memory; it ends with the worker's thread. A limit on its address space follows from the charge of each job.

mod child;
mod parent;
mod wire;

pub use child::run;
pub use parent::{Helper, HelperError, HelperOutput, HelperTask};

/// The first argument that makes this binary a helper process. Not for people.
pub const ARGUMENT: &str = "resize-helper";
