//! The helper process itself.
//!
//! It takes what it is given for hostile, and has nothing to lose: its caller has closed what it inherited.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::wire::{self, HelperRequest, Reply, Samples, SmallShape};
use crate::image::decoded_planes::{self, DecodedPlanes};
use crate::image::header::Limits;
use crate::image::pixels::Pixels;
use crate::image::placeholder;
use crate::image::progress::{ProgressSink, RenderStage};
use crate::image::recipe::{OutputMax, Recipe};
use crate::image::small_picture::SmallPicture;
use crate::image::variant::{self, VariantFault};
use crate::shard::timings::{StageTimer, StageTimings};

/// Address space beside the charge: the binary, the allocator's own, tables that do not depend on the picture.
const SPARE_BYTES: u64 = 64 << 20;

/// Longest source: the bound of `images.max_bytes`.
const SOURCE_BYTES_MAX: u64 = 4 << 30;

/// Does jobs until its input ends. Call this first in `main`, before any thread is started.
pub fn run() -> ExitCode {
    // Failing that, it ends when its input does.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // A signal that stops the node may reach the whole group: jobs under way are still wanted then, and the end comes with the
    // worker's.
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let last_words = output.try_clone()?;
    std::panic::set_hook(Box::new(move |panic| {
        let mut output = &last_words;
        let _ = wire::write(&mut output, &Reply::Panicked(panic.to_string()), &[]);
        // Whatever was done when it panicked is of no use, and some of it must not be unwound through.
        std::process::exit(101);
    }));
    wire::write(&mut output, &Reply::Ready, &[])?;
    while let Some(request) = wire::read::<HelperRequest>(&mut input)? {
        limit_memory(&request);
        let source = wire::body(&mut input, request.source_bytes, SOURCE_BYTES_MAX)?;
        let mut planes = match request.samples {
            Samples::Unwanted => DecodedPlanes::Ignore,
            Samples::Wanted => DecodedPlanes::Collect,
            Samples::Given(bytes) => {
                DecodedPlanes::Reuse(wire::body(&mut input, bytes, decoded_planes::BYTES_MAX)?)
            }
        };
        let mut small = if request.wants_small { SmallPicture::Wanted } else { SmallPicture::Unwanted };
        let steps = Following::default();
        match make(&request, &source, &mut planes, &mut small, &steps) {
            Ok(made) => {
                let left = if let DecodedPlanes::Collected(samples) = planes { samples } else { Vec::new() };
                let spent_ns = steps.0.into_inner().end(Instant::now()).nanoseconds();
                let (bytes, samples_bytes, small) =
                    (made.len() as u64, left.len() as u64, small.into_pixels());
                let reply =
                    Reply::Made { bytes, samples_bytes, small: small.as_ref().map(SmallShape::of), spent_ns };
                let small = small.as_ref().map_or(&[][..], Pixels::data);
                wire::write(&mut output, &reply, &[&made, &left, small])?;
            }
            Err(sentence) => wire::write(&mut output, &Reply::Refused(sentence), &[])?,
        }
    }
    Ok(())
}

/// # Errors
/// A sentence for the caller.
fn make(
    request: &HelperRequest,
    source: &[u8],
    planes: &mut DecodedPlanes,
    small: &mut SmallPicture,
    steps: &Following,
) -> Result<Vec<u8>, String> {
    let HelperRequest { dimension_max, output_pixels_max, pixels_max, frames_max, .. } = *request;
    let recipe = if request.is_placeholder {
        placeholder::recipe()
    } else {
        let output_max = OutputMax::all(output_pixels_max);
        Recipe::parse(&request.recipe, dimension_max, output_max).ok_or("The recipe cannot be read.")?
    };
    let sentence = |fault: VariantFault| fault.to_string();
    let prepared = variant::prepare(source, &recipe, &Limits { pixels_max, frames_max }).map_err(sentence)?;
    if request.is_placeholder {
        prepared.placeholder(planes, steps).map(|placeholder| placeholder.to_bytes()).map_err(sentence)
    } else {
        prepared.make_with_small(planes, small, steps).map_err(sentence)
    }
}

/// Nobody is asked whether to go on: who does not want the job any more kills the process.
#[derive(Default)]
struct Following(RefCell<StageTimer>);

impl ProgressSink for Following {
    fn keep_going(&self) -> bool {
        true
    }

    fn enter_stage(&self, step: RenderStage) {
        self.0.borrow_mut().begin(step, Instant::now());
    }
}

impl StageTimings {
    fn nanoseconds(self) -> [Option<u64>; 3] {
        let mut all = [None; 3];
        for (step, spent) in self.steps() {
            all[step as usize] = Some(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX));
        }
        all
    }
}

/// The memory that the process has now, and that the job may take: its charge and a quarter, and the source.
fn limit_memory(request: &HelperRequest) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kilobytes = size.and_then(|size| size.trim().trim_end_matches(" kB").parse::<u64>().ok());
    // Where it is not known, a limit would be a guess.
    let Some(now) = kilobytes.map(|kilobytes| kilobytes << 10) else { return };
    let HelperRequest { memory_bytes, source_bytes, .. } = *request;
    let wanted = memory_bytes.saturating_add(memory_bytes / 4).saturating_add(source_bytes);
    let maximum = getrlimit(Resource::As).maximum;
    let current = now.saturating_add(wanted).saturating_add(SPARE_BYTES).min(maximum.unwrap_or(u64::MAX));
    let _ = setrlimit(Resource::As, Rlimit { current: Some(current), maximum });
}
