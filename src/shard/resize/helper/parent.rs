//! The worker's side: starts the helper process, sends it a job, and ends it when the job is not wanted any more.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::wire::{self, HelperRequest, Reply, Samples, SmallShape};
use crate::image::decoded_planes::{self, DecodedPlanes};
use crate::image::progress::RenderStage;
use crate::image::small_picture::SmallPicture;
use crate::image::variant::Prepared;
use crate::shard::timings::StageTimings;

/// The time that the worker waits for the process before it checks again whether the job is wanted.
const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A helper process that is started when it is needed.
#[derive(Debug)]
pub struct Helper {
    program: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// Processor time up to the last job's end.
    used: Duration,
}

/// A job for the helper.
#[derive(Debug)]
pub struct HelperTask<'a> {
    /// The variant, or the small picture that a placeholder is made of.
    pub prepared: &'a Prepared<'a>,
    /// Whether it is the placeholder.
    pub is_placeholder: bool,
    /// Bytes that the job was charged for.
    pub memory_bytes: u64,
}

/// The output of the helper.
#[derive(Debug)]
pub struct HelperOutput {
    /// The variant's bytes, or the placeholder's.
    pub bytes: Vec<u8>,
    /// The timings of its stages.
    pub timings: StageTimings,
}

/// Why the helper has made nothing.
#[derive(Debug)]
pub enum HelperError {
    /// Nobody wanted it any more.
    Stopped,
    /// The image's or the request's fault, in a sentence; a retry gives the same.
    Refused(String),
    /// The process ended during the job, for this reason. Taken as the image's fault.
    Died(String),
    /// There is no process to give the job to: the node's fault.
    Unavailable(io::Error),
}

impl Helper {
    /// One that runs this binary, which must know [`super::ARGUMENT`].
    pub const fn new(program: PathBuf) -> Self {
        Self { program, running: None }
    }

    /// The process, if there is one now.
    pub fn process(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Does a job; it leaves planes and the small picture as [`Prepared::make_with_small`] does. Asks `keep_going` at least every 50 ms, and kills the process once it says no. The second result is
    /// the processor time that the process has spent on it.
    pub fn work(
        &mut self,
        task: &HelperTask<'_>,
        planes: &mut DecodedPlanes,
        small: &mut SmallPicture,
        keep_going: &dyn Fn() -> bool,
    ) -> (Result<HelperOutput, HelperError>, Duration) {
        let mut running = match self.running.take().map_or_else(|| self.started(keep_going), Ok) {
            Ok(running) => running,
            Err(error) => return (Err(unless_stopped(error, HelperError::Unavailable)), Duration::ZERO),
        };
        let outcome = running.exchange(task, planes, small, keep_going);
        let used = running.processor_time().unwrap_or(running.used);
        let spent = used.saturating_sub(running.used);
        running.used = used;
        let outcome = match outcome {
            Ok(Reply::Refused(sentence)) => Err(HelperError::Refused(sentence)),
            Ok(Reply::Made { bytes, samples_bytes, small: shape, spent_ns }) => {
                let made = running.receive(task, [bytes, samples_bytes], shape, planes, small, keep_going);
                made.map(|bytes| HelperOutput { bytes, timings: timings(spent_ns) })
            }
            Ok(Reply::Panicked(message)) => Err(HelperError::Died(message)),
            Ok(Reply::Ready) => Err(HelperError::Died("it answered out of turn".to_owned())),
            Err(error) => Err(unless_stopped(error, |error| HelperError::Died(error.to_string()))),
        };
        match outcome {
            Ok(_) | Err(HelperError::Refused(_)) => {
                self.running = Some(running);
                (outcome, spent)
            }
            Err(HelperError::Died(message)) => {
                let why =
                    running.end().map_or(message.clone(), |status| ExitReason(status, &message).to_string());
                (Err(HelperError::Died(why)), spent)
            }
            // Dropping it kills it.
            Err(error) => (Err(error), spent),
        }
    }

    /// Starts the process and waits until it says that it is ready.
    fn started(&self, keep_going: &dyn Fn() -> bool) -> io::Result<Running> {
        let mut command = Command::new(&self.program);
        command.arg0("reticulum-helper").arg(super::ARGUMENT).env_clear();
        // glibc: large blocks are always mappings of their own, so that what a job has freed is given back at once; and
        // the one thread needs one arena.
        command.envs([("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "1048576")]);
        command.env("MALLOC_ARENA_MAX", "1").current_dir("/");
        // A group of its own: what a terminal sends is for the node.
        command.process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut running = Running { child, input, output, used: Duration::ZERO };
        for descriptor in [running.input.as_fd(), running.output.as_fd()] {
            fcntl_setfl(descriptor, fcntl_getfl(descriptor)? | OFlags::NONBLOCK)?;
        }
        match wire::read(&mut InterruptiblePipe { pipe: &mut running.output, keep_going })? {
            Some(Reply::Ready) => Ok(running),
            _ => Err(io::Error::other("the process did not say that it is ready")),
        }
    }
}

impl Running {
    fn exchange(
        &mut self,
        task: &HelperTask<'_>,
        planes: &DecodedPlanes,
        small: &SmallPicture,
        keep_going: &dyn Fn() -> bool,
    ) -> io::Result<Reply> {
        let HelperTask { prepared, is_placeholder, memory_bytes } = *task;
        let (recipe, limits) = (prepared.recipe(), prepared.limits());
        let (samples, given) = match planes {
            DecodedPlanes::Reuse(samples) => (Samples::Given(samples.len() as u64), &samples[..]),
            DecodedPlanes::Collect => (Samples::Wanted, &[][..]),
            DecodedPlanes::Ignore | DecodedPlanes::Collected(_) => (Samples::Unwanted, &[][..]),
        };
        let request = HelperRequest {
            is_placeholder,
            recipe: recipe.key(),
            dimension_max: recipe.dimension_max,
            output_pixels_max: recipe.pixels_max,
            pixels_max: limits.pixels_max,
            frames_max: limits.frames_max,
            memory_bytes,
            source_bytes: prepared.source().len() as u64,
            samples,
            wants_small: *small == SmallPicture::Wanted,
        };
        let mut output = InterruptiblePipe { pipe: &mut self.input, keep_going };
        let sent = wire::write(&mut output, &request, &[prepared.source(), given]);
        // A process that has died of the job may have left its last words.
        if let Err(error) = sent
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(error);
        }
        let reply = wire::read(&mut InterruptiblePipe { pipe: &mut self.output, keep_going })?;
        reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn receive(
        &mut self,
        task: &HelperTask<'_>,
        [bytes, samples_bytes]: [u64; 2],
        shape: Option<SmallShape>,
        planes: &mut DecodedPlanes,
        small: &mut SmallPicture,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, HelperError> {
        let mut input = InterruptiblePipe { pipe: &mut self.output, keep_going };
        let mut read = || {
            // The file is a part of what was charged.
            let bytes = wire::body(&mut input, bytes, task.memory_bytes)?;
            let left = wire::body(&mut input, samples_bytes, decoded_planes::BYTES_MAX)?;
            let picture = shape.map(|shape| wire::small_picture(&mut input, shape)).transpose()?;
            Ok((bytes, left, picture))
        };
        let died = |error| unless_stopped(error, |error| HelperError::Died(error.to_string()));
        let (bytes, left, picture) = read().map_err(died)?;
        if *planes == DecodedPlanes::Collect && !left.is_empty() {
            *planes = DecodedPlanes::Collected(left);
        }
        if let Some(picture) = picture.filter(|_| *small == SmallPicture::Wanted) {
            *small = SmallPicture::Left(picture);
        }
        Ok(bytes)
    }

    /// The processor time of the process since its start, to a hundredth of a second.
    fn processor_time(&self) -> Option<Duration> {
        /// Of the kernel's counters, on every architecture.
        const TICKS_PER_SECOND: u64 = 100;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name in brackets may hold anything; behind it, user and system time are the 12th and 13th.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        Some(Duration::from_millis(ticks()?.saturating_add(ticks()?).saturating_mul(1000 / TICKS_PER_SECOND)))
    }

    /// The exit status of the process; it is killed if it has not ended.
    fn end(&mut self) -> Option<ExitStatus> {
        // One that writes its last words may need a moment, but not forever.
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// A pipe of the process. A read or write waits for it, and fails as timed out once nobody wants the job any more.
struct InterruptiblePipe<'a, P> {
    pipe: &'a mut P,
    keep_going: &'a dyn Fn() -> bool,
}

impl<P: AsFd> InterruptiblePipe<'_, P> {
    fn attempt(
        &mut self,
        ready: PollFlags,
        mut attempt: impl FnMut(&mut P) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            if !(self.keep_going)() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match attempt(self.pipe) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            match poll(&mut [PollFd::new(&self.pipe.as_fd(), ready)], Some(&SLICE)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<P: Read + AsFd> Read for InterruptiblePipe<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.attempt(PollFlags::IN, |pipe| pipe.read(buffer))
    }
}

impl<P: Write + AsFd> Write for InterruptiblePipe<'_, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(PollFlags::OUT, |pipe| pipe.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn timings(spent_ns: [Option<u64>; 3]) -> StageTimings {
    let times = RenderStage::ALL.into_iter().zip(spent_ns);
    times.filter_map(|(step, spent)| Some((step, Duration::from_nanos(spent?)))).collect()
}

fn unless_stopped(error: io::Error, other: impl FnOnce(io::Error) -> HelperError) -> HelperError {
    if error.kind() == io::ErrorKind::TimedOut { HelperError::Stopped } else { other(error) }
}

/// The exit status of a process, and its last words or what was seen of it.
struct ExitReason<'a>(ExitStatus, &'a str);

impl fmt::Display for ExitReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status, message) = self;
        match status.signal() {
            Some(signal) => write!(f, "it ended by signal {signal}: {message}"),
            None => write!(f, "it ended: {message}"),
        }
    }
}
