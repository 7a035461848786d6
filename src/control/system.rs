//! Requirements on the kernel: io_uring, locked memory, descriptors, cores. They are checked before anything
//! starts, so that what is missing is one clear sentence instead of a panic inside the runtime.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::io_uring::{io_uring_params, io_uring_setup};
use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::time::{ClockId, clock_gettime};

use crate::telemetry::log::Limited;

/// The runtime's own need.
const LOCKED_BYTES_BASE: u64 = 512 << 10;

/// Bytes that each executor pins: three rings with their registered buffers.
const LOCKED_BYTES_PER_EXECUTOR: u64 = 256 << 10;

/// Descriptors of the process itself: standard streams, lock, log, signals, the watchdog, a journal or two.
const DESCRIPTORS_BASE: u64 = 24;

/// Descriptors that each executor has open: three rings, its waker, the set of its sockets with a copy, its listener.
const DESCRIPTORS_PER_EXECUTOR: u64 = 16;

/// Of all descriptors, one in so many is no connection's: files that are read, uploads, and connections to
/// other nodes need them.
const DESCRIPTORS_KEPT_SHARE: u64 = 4;

/// The least and the largest number of these: no node reads more files than that at the same moment.
const DESCRIPTORS_KEPT: (u64, u64) = (64, 4096);

/// A requirement that the kernel does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemError {
    /// `kernel.io_uring_disabled` has this value.
    Disabled(u8),
    /// A seccomp filter (a container's, most often) blocks it.
    Blocked,
    /// The kernel does not have it.
    TooOld,
    /// Locked memory: the limit in bytes, and what is needed.
    LockedMemory(u64, u64),
    /// Any other refusal of io_uring.
    Refused(Errno),
    /// The process may use no core.
    NoCores,
}

/// The event descriptors that are open at one moment, by number.
#[derive(Debug, Default)]
pub(super) struct OpenEvents(BTreeSet<RawFd>);

impl OpenEvents {
    pub(super) fn now() -> Self {
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().filter_map(number);
        Self(open.filter(|descriptor| is_event(*descriptor)).collect())
    }
}

fn is_event(descriptor: RawFd) -> bool {
    let target = fs::read_link(format!("/proc/self/fd/{descriptor}"));
    target.is_ok_and(|target| target.as_os_str() == "anon_inode:[eventfd]")
}

/// The event descriptors that wake each executor of this process.
///
/// The runtime has a gap: where an executor's thread loses its core just before it takes up its work, for longer than
/// its time slice, it takes the end of the slice for having done all and sleeps, with work in its queue, until
/// something else wakes it; at the start that may be never. So all are woken now and then (see the watchdog).
///
/// The runtime shows nobody its descriptors. They are found as those that were opened while executors were made, and each
/// is duplicated: a wake-up writes only to descriptors that belong to this list, whatever becomes of the others' numbers.
#[derive(Debug)]
pub(crate) struct ExecutorWakers(Vec<OwnedFd>);

impl ExecutorWakers {
    /// Those of all executors that there are, in a process that uses no other event descriptors.
    #[cfg(test)]
    pub(crate) fn of_executors() -> Self {
        Self::opened_since(&OpenEvents::default())
    }

    /// Those of the executors that were made since `before`. An event descriptor that the process began with is not its own.
    pub(super) fn opened_since(before: &OpenEvents) -> Self {
        let opened = OpenEvents::now().0.into_iter().filter(|descriptor| !before.0.contains(descriptor));
        Self(opened.filter_map(own).collect())
    }

    /// Warns when there are fewer wakers than executors: the watchdog then cannot wake some of them.
    pub(super) fn warn_if_fewer_than(&self, executors: usize) {
        let found = self.0.len();
        if found < executors {
            log::warn!(found, executors; "the watchdog does not know the wakers of some executors, so it cannot wake them; mount /proc and restart the node");
        }
    }

    /// Their number.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Wakes them all.
    pub(crate) fn wake(&self) {
        static LINES: Limited = Limited::new();
        for waker in &self.0 {
            if let Err(error) = rustix::io::write(waker, &1_u64.to_ne_bytes())
                // A full counter belongs to an executor that has not run for ages, and wakes it all the same.
                && error != Errno::AGAIN
                && let Some(suppressed) = LINES.pass()
            {
                log::warn!(descriptor = waker.as_raw_fd(), error:% = error, suppressed; "the watchdog cannot wake an executor and goes on; report this");
            }
        }
    }
}

/// A duplicate of an event descriptor; `None` where its number means something else by now.
fn own(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: it is borrowed for one call, which changes nothing: it duplicates what is open under this number, or fails.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let own = rustix::io::fcntl_dupfd_cloexec(borrowed, 3).ok()?;
    is_event(own.as_raw_fd()).then_some(own)
}

/// The processor time of this process since its start.
pub(super) fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// From now on this process is killed when its parent ends, which should be process `parent`. False: that one has
/// ended already, or the kernel does not do it.
pub fn end_with(parent: u32) -> bool {
    let is_asked = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let now = getppid().map(|now| now.as_raw_nonzero().get());
    is_asked && now.is_some_and(|now| u32::try_from(now) == Ok(parent))
}

/// Closes all but the three standard descriptors. Call it first in a process that has not opened any of its own.
pub(super) fn close_inherited() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    let number =
        |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok();
    let inherited: Vec<RawFd> = open.filter_map(number).filter(|descriptor| *descriptor > 2).collect();
    for descriptor in inherited {
        // The list's own is not there any more, and to close it again would be a fault of this program.
        if fs::symlink_metadata(format!("/proc/self/fd/{descriptor}")).is_ok() {
            // SAFETY: nothing in this process has opened a descriptor yet that is still open, so that nobody else
            // closes this one or uses it.
            unsafe { rustix::io::close(descriptor) };
        }
    }
}

/// The number of `wanted` connections that there may be with `limit` descriptors, so that files and other nodes are still
/// reached when all of them are in use. At least one.
pub(super) fn connections(limit: u64, executors: usize, wanted: usize) -> usize {
    let (kept_min, kept_max) = DESCRIPTORS_KEPT;
    let kept = (limit / DESCRIPTORS_KEPT_SHARE).clamp(kept_min, kept_max);
    let own = DESCRIPTORS_BASE + DESCRIPTORS_PER_EXECUTOR * executors as u64;
    let left = limit.saturating_sub(own + kept).max(1);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
}

/// Descriptors that this process may have; `None` is no limit.
pub(super) fn descriptors() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the limits as far as they may go and proves that io_uring works for `executors` executors.
///
/// # Errors
/// [`SystemError`]
pub(super) fn prepare(executors: usize) -> Result<(), SystemError> {
    raise(Resource::Nofile);
    let locked = raise(Resource::Memlock);
    let needed = LOCKED_BYTES_BASE + LOCKED_BYTES_PER_EXECUTOR * executors as u64;
    if locked.is_some_and(|locked| locked < needed) {
        return Err(SystemError::LockedMemory(locked.unwrap_or(0), needed));
    }
    let disabled = || fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok();
    match setup() {
        Ok(()) => Ok(()),
        Err(errno) => Err(diagnose(errno, disabled().unwrap_or(0), locked.unwrap_or(u64::MAX), needed)),
    }
}

/// The cores that this process may use.
///
/// # Errors
/// [`SystemError::NoCores`]
pub(super) fn cores() -> Result<Vec<usize>, SystemError> {
    let set = rustix::thread::sched_getaffinity(None).map_err(|_| SystemError::NoCores)?;
    let cores: Vec<_> = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    if cores.is_empty() { Err(SystemError::NoCores) } else { Ok(cores) }
}

/// Raises a soft limit to the hard one; `None` is no limit.
fn raise(resource: Resource) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(resource);
    match setrlimit(resource, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

fn setup() -> Result<(), Errno> {
    let mut params = io_uring_params::default();
    // SAFETY: the call reads and writes `params`, which lives through it, and nothing else; the ring
    // that it makes is closed at once.
    unsafe { io_uring_setup(4, &mut params) }.map(drop)
}

fn diagnose(errno: Errno, disabled: u8, locked: u64, needed: u64) -> SystemError {
    match errno {
        Errno::PERM if disabled != 0 => SystemError::Disabled(disabled),
        Errno::PERM | Errno::ACCESS => SystemError::Blocked,
        Errno::NOSYS => SystemError::TooOld,
        Errno::NOMEM => SystemError::LockedMemory(locked, needed),
        errno => SystemError::Refused(errno),
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled(value) => write!(
                f,
                "io_uring is switched off by the sysctl kernel.io_uring_disabled = {value}: set it to 0"
            ),
            Self::Blocked => f.write_str(
                "io_uring is blocked for this process, most often by a container's seccomp profile: allow io_uring_setup, \
                 io_uring_enter and io_uring_register there",
            ),
            Self::TooOld => f.write_str("this kernel is too old to have io_uring: use Linux 5.8 or newer"),
            Self::LockedMemory(limit, needed) => write!(
                f,
                "the limit of locked memory is {limit} bytes and io_uring needs {needed}: raise it (ulimit -l, LimitMEMLOCK=)"
            ),
            Self::Refused(errno) => write!(f, "the kernel refuses io_uring: {errno}; read the kernel's log (dmesg)"),
            Self::NoCores => f.write_str("this process may use no core: correct its CPU affinity and its cpuset"),
        }
    }
}

impl std::error::Error for SystemError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_told_apart() {
        assert_eq!(diagnose(Errno::PERM, 2, 0, 1), SystemError::Disabled(2));
        assert_eq!(diagnose(Errno::PERM, 0, 0, 1), SystemError::Blocked);
        assert_eq!(diagnose(Errno::NOSYS, 0, 0, 1), SystemError::TooOld);
        assert_eq!(diagnose(Errno::NOMEM, 0, 64, 128), SystemError::LockedMemory(64, 128));
        for (error, word) in [
            (SystemError::Disabled(2), "kernel.io_uring_disabled = 2"),
            (SystemError::Blocked, "seccomp"),
            (SystemError::TooOld, "5.8"),
            (SystemError::LockedMemory(64, 128), "128"),
        ] {
            assert!(error.to_string().contains(word));
        }
    }

    #[test]
    fn every_executor_has_a_waker_and_what_was_open_before_is_none() {
        let builder = glommio::LocalExecutorBuilder::default().io_memory(64 << 10).ring_depth(16);
        let foreign = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap();
        let before = OpenEvents::now();
        assert!(before.0.contains(&foreign.as_raw_fd()));
        let _executor = builder.make().unwrap();
        let wakers = ExecutorWakers::opened_since(&before);
        assert!(wakers.count() > 0 && wakers.0.iter().all(|waker| is_event(waker.as_raw_fd())));
        wakers.wake();
        let mut count = [0; 8];
        assert_eq!(rustix::io::read(&foreign, &mut count), Err(Errno::AGAIN), "it was touched");
    }

    #[test]
    fn what_is_no_event_descriptor_is_not_taken_for_one() {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(own(file.as_raw_fd()).is_none());
    }

    #[test]
    fn descriptors_are_left_for_files_and_nodes() {
        assert_eq!(connections(1 << 20, 9, 10_000), 10_000);
        assert_eq!(connections(256, 2, 10_000), 256 - 24 - 32 - 64);
        assert_eq!(connections(4096, 3, 10_000), 4096 - 24 - 48 - 1024);
        assert_eq!(connections(64, 2, 10_000), 1);
        assert_eq!(connections(256, 2, 5), 5);
    }

    #[test]
    fn this_machine_has_cores() {
        assert!(!cores().unwrap().is_empty());
    }
}
