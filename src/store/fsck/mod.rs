//! The check of a store that no server uses: every image hashed, every file in its place, every journal whole, and nothing
//! left of what was deleted.
//!
//! * [`meta`]: looks at the journals and indexes.
//! * [`walk`]: lists the files.
//! * [`examine`]: judges one file.
//! * [`repair`]: repairs a fault.
//!
//! One thread walks, one per core hashes, the caller's repairs and reports, one finding at a time.
//! Memory does not grow with the store, but with the number of deleted images. `cache/` is disposable, `quarantine/` and
//! `lost+found/` are set aside, so that nothing in them is read; but nothing of a deleted image may lie there.
//!
//! Invariants: without repair nothing is changed; no repair removes or overwrites the bytes of an
//! image, right or wrong, unless the image was deleted; what looks foreign is never touched.

mod examine;
mod meta;
mod repair;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;

use self::examine::FileVerdict;
use self::meta::MetaCheck;
use self::repair::Repairs;
use self::walk::WalkItem;
use super::open;
use super::open_error::OpenError;
use super::path::StorePaths;
use crate::object::ObjectId;

/// Files that wait between the threads: enough to keep all busy.
const WAITING_MAX: usize = 256;

/// Whether faults are only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Report.
    Check,
    /// Report and repair.
    Repair,
}

/// An event of a check.
#[derive(Debug)]
pub enum CheckEvent {
    /// An image of so many bytes is right and in its place.
    Right(u64),
    /// Something is wrong.
    Found(CheckFinding),
}

/// A fault, and the outcome of its repair.
#[derive(Debug)]
pub struct CheckFinding {
    /// Where, below the data directory.
    pub path: PathBuf,
    /// The fault.
    pub fault: CheckFault,
    /// The outcome.
    pub outcome: RepairOutcome,
}

/// A fault of a file.
#[derive(Debug)]
pub enum CheckFault {
    /// An image whose bytes have this SHA-1 and not that of its name.
    WrongHash(ObjectId),
    /// A right image that belongs here, below the data directory.
    Misplaced(PathBuf),
    /// The temporary file of an upload that never ended.
    Temporary,
    /// Nothing that a server put here.
    Foreign,
    /// A file of an image that was deleted or banned.
    Deleted,
    /// A journal with anything but whole entries in it.
    DamagedJournal(MetaJournal),
    /// A manifest or the scrub's position, which the node makes again.
    DamagedIndex,
    /// The layout, which only the cluster can give again.
    DamagedLayout,
    /// The disk's or the system's refusal to read it.
    Unreadable(io::Error),
}

/// A journal below `meta/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaJournal {
    /// Of deletions and bans.
    Erasures,
    /// Of misplaced replicas.
    Misplaced,
}

/// The outcome of a repair.
#[derive(Debug)]
pub enum RepairOutcome {
    /// Nothing.
    Left,
    /// The file lies here now, below the data directory.
    Moved(PathBuf),
    /// The file was removed.
    Removed,
    /// The journal was written again, with its whole entries.
    Rewritten,
    /// The repair failed; the file lies where it lay.
    Failed(io::Error),
}

/// The totals of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// Right images in their place (when it ended).
    pub images: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Faults found.
    pub faults: u64,
    /// Faults that are still there.
    pub left: u64,
}

/// Checks the data directory `root`, telling `report` of every file; `report` may end it early.
///
/// # Errors
/// [`OpenError`] when it is no data directory or a server uses it; nothing was checked then.
pub fn check(
    root: &Path,
    mode: Mode,
    mut report: impl FnMut(CheckEvent) -> ControlFlow<()>,
) -> Result<CheckSummary, OpenError> {
    let offline = open::open_offline(root)?;
    let paths = &offline.paths;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (items, to_examine) = flume::bounded(WAITING_MAX);
    let (verdicts, examined) = flume::bounded(WAITING_MAX);
    let MetaCheck { gone, faults } = MetaCheck::new(paths);
    let mut check = StoreCheck { paths, repairs: Repairs::new(paths, mode), sum: CheckSummary::default() };
    for (path, fault) in faults {
        if check.take_verdict(path, FileVerdict::Wrong(fault), &mut report).is_break() {
            return Ok(check.sum);
        }
    }
    let gone = &gone;
    thread::scope(|scope| {
        scope.spawn(move || walk::walk(paths, gone, &mut |item| flow(items.send(item).is_ok())));
        for _ in 0..threads {
            let (to_examine, verdicts) = (to_examine.clone(), verdicts.clone());
            scope.spawn(move || hash(paths, gone, &to_examine, &verdicts));
        }
        // Only the threads hold these now, so that each end is seen by the next.
        drop((to_examine, verdicts));
        let flow =
            examined.iter().try_for_each(|(path, verdict)| check.take_verdict(path, verdict, &mut report));
        drop(examined);
        if flow.is_continue() {
            check.finish(&mut report);
        }
    });
    Ok(check.sum)
}

/// Hashes files until there are none, or the receiver has gone.
fn hash(
    paths: &StorePaths,
    gone: &HashSet<ObjectId>,
    items: &flume::Receiver<WalkItem>,
    verdicts: &flume::Sender<(PathBuf, FileVerdict)>,
) {
    for item in items {
        let (path, verdict) = match item {
            WalkItem::Stored(path) => {
                let verdict = examine::examine(paths, gone, &path);
                (path, verdict)
            }
            WalkItem::Faulty(path, fault) => (path, FileVerdict::Wrong(fault)),
        };
        if verdicts.send((path, verdict)).is_err() {
            return;
        }
    }
}

/// A check under way.
struct StoreCheck<'a> {
    paths: &'a StorePaths,
    repairs: Repairs<'a>,
    sum: CheckSummary,
}

type EventSink<'a> = &'a mut dyn FnMut(CheckEvent) -> ControlFlow<()>;

impl StoreCheck<'_> {
    fn take_verdict(
        &mut self,
        path: PathBuf,
        verdict: FileVerdict,
        report: EventSink<'_>,
    ) -> ControlFlow<()> {
        match verdict {
            FileVerdict::Right(bytes) => {
                self.sum.images += 1;
                self.sum.bytes += bytes;
                report(CheckEvent::Right(bytes))
            }
            FileVerdict::Wrong(fault) => match self.repairs.repair(&path, &fault) {
                Some(outcome) => self.report_fault(&path, fault, outcome, report),
                // Told when it is mended, after all others.
                None => ControlFlow::Continue(()),
            },
        }
    }

    /// Moves the misplaced images, which can now be done.
    fn finish(&mut self, report: EventSink<'_>) {
        for (path, to) in self.repairs.take_deferred() {
            let (outcome, bytes) = self.repairs.replace(&path, &to);
            self.sum.images += u64::from(bytes.is_some());
            self.sum.bytes += bytes.unwrap_or(0);
            let fault = CheckFault::Misplaced(self.below(&to));
            if self.report_fault(&path, fault, outcome, report).is_break() {
                return;
            }
        }
    }

    fn report_fault(
        &mut self,
        path: &Path,
        fault: CheckFault,
        outcome: RepairOutcome,
        report: EventSink<'_>,
    ) -> ControlFlow<()> {
        self.sum.faults += 1;
        self.sum.left += u64::from(!outcome.is_repaired());
        report(CheckEvent::Found(CheckFinding { path: self.below(path), fault, outcome }))
    }

    fn below(&self, path: &Path) -> PathBuf {
        below(self.paths, path)
    }
}

/// The path as reported: without the data directory.
fn below(paths: &StorePaths, path: &Path) -> PathBuf {
    path.strip_prefix(paths.root()).unwrap_or(path).to_path_buf()
}

fn flow(goes_on: bool) -> ControlFlow<()> {
    if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

impl CheckFault {
    /// One word for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongHash(_) => "wrong-hash",
            Self::Misplaced(_) => "misplaced",
            Self::Temporary => "temporary",
            Self::Foreign => "foreign",
            Self::Deleted => "deleted",
            Self::DamagedJournal(_) => "damaged-journal",
            Self::DamagedIndex => "damaged-index",
            Self::DamagedLayout => "damaged-layout",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl RepairOutcome {
    /// Whether the fault has gone.
    pub const fn is_repaired(&self) -> bool {
        matches!(self, Self::Moved(_) | Self::Removed | Self::Rewritten)
    }
}

impl fmt::Display for CheckFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.fault {
            CheckFault::WrongHash(actual) => write!(f, "damaged, its SHA-1 is {actual}")?,
            CheckFault::Misplaced(to) => write!(f, "misplaced, it belongs at {}", to.display())?,
            CheckFault::Temporary => f.write_str("left by an upload that never ended")?,
            CheckFault::Foreign => f.write_str("no image that a server stored; take it away by hand")?,
            CheckFault::Deleted => f.write_str("left of an image that was deleted")?,
            CheckFault::DamagedJournal(_) => f.write_str("has damaged entries, which the node skips")?,
            CheckFault::DamagedIndex => f.write_str("damaged, so the node makes it again")?,
            CheckFault::DamagedLayout => {
                f.write_str("damaged; start the node with cluster.join, and its cluster gives it again")?;
            }
            CheckFault::Unreadable(error) => write!(f, "cannot be read: {error}")?,
        }
        match &self.outcome {
            RepairOutcome::Left => Ok(()),
            RepairOutcome::Moved(to) => write!(f, "; moved to {}", to.display()),
            RepairOutcome::Removed => f.write_str("; removed"),
            RepairOutcome::Rewritten => f.write_str("; written again without them"),
            RepairOutcome::Failed(error) => write!(f, "; cannot be mended: {error}"),
        }
    }
}
