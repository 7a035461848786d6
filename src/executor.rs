//! Work that blocks, beside an executor: on its pool of threads.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The work panicked. What it did before stays done; another try may panic again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs work that blocks on another thread. `name` says in the log what it was, when it panics.
///
/// The work runs to its end, whether or not anybody still waits for it.
///
/// # Errors
/// [`Panicked`]. Without this, glommio would leave its caller waiting forever.
pub async fn run_blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    let work = move || catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked);
    let done = glommio::executor().spawn_blocking(work).await;
    if done.is_err() {
        log::error!(work = name; "blocking work panicked: the operation fails, the shard goes on; report this");
    }
    done
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a panic")
    }
}

impl std::error::Error for Panicked {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_panics_is_an_error_and_the_next_one_runs() {
        let executor = glommio::LocalExecutorBuilder::default().make().expect("an executor");
        executor.run(async {
            assert_eq!(run_blocking("a test", || 7).await, Ok(7));
            let failed: Result<(), _> = run_blocking("a test", || panic!("on purpose")).await;
            assert_eq!(failed, Err(Panicked));
            assert_eq!(run_blocking("a test", || 8).await, Ok(8));
        });
    }
}
