//! The helper process of a resize worker, as the worker uses it: the real binary behind two pipes.
//!
//! What it makes, that it has nothing to lose, that it can be ended at any time, and what memory it takes ([`peaks`]).

#[path = "../../src/image/tests/corpus.rs"]
mod corpus;
#[cfg(all(feature = "heic", feature = "jxl"))]
mod fixtures;
mod peaks;

use std::cell::Cell;
use std::fs;
use std::time::{Duration, Instant};

use reticulum::image::decoded_planes::DecodedPlanes;
use reticulum::image::encode;
use reticulum::image::header::Limits;
use reticulum::image::light::LightSetting;
use reticulum::image::pixels::{PixelKind, Pixels};
use reticulum::image::recipe::{AnimationMax, Originals, OutputMax, Quality, Recipe, RecipeSettings};
use reticulum::image::shape::Size;
use reticulum::image::small_picture::SmallPicture;
use reticulum::image::{draw, placeholder, variant};
use reticulum::object::{Format, Spec};
use reticulum::shard::resize::helper::{Helper, HelperError, HelperOutput, HelperTask};
use rustix::process::{Pid, Signal, kill_process};

const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 1000 };

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

fn helper() -> Helper {
    Helper::new(env!("CARGO_BIN_EXE_reticulum").into())
}

fn recipe(spec: &str, format: Format) -> Recipe {
    let settings = RecipeSettings {
        quality: Quality { jpeg: 82, webp: 80, avif: 60 },
        upscale: false,
        dimension_max: 16_384,
        animation: AnimationMax { frames: 1000, pixels: 500_000_000 },
        output_max: OutputMax::NONE,
        originals: Originals::AsIs,
        light: LightSetting::Auto,
    };
    Recipe::resolve(&Spec::parse(spec).expect("a spec"), format, &settings).expect("a recipe")
}

/// Does a job that is charged for this much.
fn work_charged(
    helper: &mut Helper,
    source: &[u8],
    recipe: &Recipe,
    memory_bytes: u64,
    keep_going: &dyn Fn() -> bool,
) -> (Result<HelperOutput, HelperError>, Duration) {
    let prepared = variant::prepare(source, recipe, &LIMITS).expect("a variant that nothing forbids");
    let task = HelperTask { prepared: &prepared, is_placeholder: false, memory_bytes };
    helper.work(&task, &mut DecodedPlanes::Ignore, &mut SmallPicture::Unwanted, keep_going)
}

fn work(
    helper: &mut Helper,
    source: &[u8],
    recipe: &Recipe,
    keep_going: &dyn Fn() -> bool,
) -> (Result<HelperOutput, HelperError>, Duration) {
    let prepared = variant::prepare(source, recipe, &LIMITS).expect("a variant that nothing forbids");
    work_charged(helper, source, recipe, prepared.peak_bytes() + source.len() as u64, keep_going)
}

fn in_time(begin: Instant) -> impl Fn() -> bool {
    move || begin.elapsed() < PATIENCE
}

fn photo(width: u32, height: u32) -> Pixels {
    draw::sample(0, Size { width, height }).expect("a picture")
}

fn file(pixels: Pixels, format: Format) -> Vec<u8> {
    encode::encode(pixels, format, Some(90)).expect("a file")
}

/// A picture whose AVIF takes seconds, in a file that is quickly made.
fn costly() -> Vec<u8> {
    let size = Size { width: 2600, height: 2600 };
    let row: Vec<u8> = (0..size.width).flat_map(|x| [x as u8, (x >> 3) as u8, (x * 7) as u8]).collect();
    file(Pixels::new(size, PixelKind::Rgb, row.repeat(size.height as usize)).expect("a picture"), Format::Png)
}

fn is_alive(process: u32) -> bool {
    // One that has ended but was not waited for yet is gone, too.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < PATIENCE, "waited for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_helper_makes_the_same_bytes_as_the_caller_would() {
    let mut helper = helper();
    let picture = photo(90, 60);
    for from in Format::WRITTEN {
        let source = file(picture.clone(), from);
        for to in Format::WRITTEN {
            let recipe = recipe("40w,flip", to);
            let prepared = variant::prepare(&source, &recipe, &LIMITS).expect("a variant");
            let expected = prepared.make(&mut DecodedPlanes::Ignore, &|| true).expect("bytes");
            let made = work(&mut helper, &source, &recipe, &|| true).0.expect("bytes");
            assert!(made.bytes == expected, "{from:?} to {to:?}");
            assert!(made.timings.steps().count() >= 2, "{:?}", made.timings);
        }
        let recipe = placeholder::recipe();
        let prepared = variant::prepare(&source, &recipe, &LIMITS).expect("a placeholder");
        let expected = prepared.placeholder(&mut DecodedPlanes::Ignore, &|| true).expect("a placeholder");
        let task = HelperTask { prepared: &prepared, is_placeholder: true, memory_bytes: 1 << 26 };
        let made = helper
            .work(&task, &mut DecodedPlanes::Ignore, &mut SmallPicture::Unwanted, &|| true)
            .0
            .expect("a placeholder");
        assert_eq!(made.bytes, expected.to_bytes());
    }
}

#[test]
fn the_small_picture_is_left_as_in_the_callers_process_if_it_is_wanted() {
    let mut helper = helper();
    let size = Size { width: 400, height: 300 };
    for (scene, from) in [(0, Format::Jpeg), (3, Format::Png), (0, Format::Avif)] {
        let picture = draw::sample(scene, size).expect("a picture");
        let (source, recipe) = (file(picture, from), recipe("60s", Format::Webp));
        let prepared = variant::prepare(&source, &recipe, &LIMITS).expect("a variant");
        let (mut small, mut expected) = (SmallPicture::Wanted, SmallPicture::Wanted);
        prepared.make_with_small(&mut DecodedPlanes::Ignore, &mut expected, &|| true).expect("bytes");
        let task = HelperTask { prepared: &prepared, is_placeholder: false, memory_bytes: 1 << 28 };
        helper.work(&task, &mut DecodedPlanes::Ignore, &mut small, &|| true).0.expect("bytes");
        assert!(matches!(small, SmallPicture::Left(_)) && small == expected, "{from:?}");
        let mut small = SmallPicture::Unwanted;
        helper.work(&task, &mut DecodedPlanes::Ignore, &mut small, &|| true).0.expect("bytes");
        assert_eq!(small, SmallPicture::Unwanted, "{from:?}");
    }
}

#[test]
fn samples_are_left_and_given_as_in_the_callers_process() {
    let mut helper = helper();
    let (source, recipe) = (file(photo(400, 300), Format::Jpeg), recipe("50w", Format::Avif));
    let prepared = variant::prepare(&source, &recipe, &LIMITS).expect("a variant");
    let task = HelperTask { prepared: &prepared, is_placeholder: false, memory_bytes: 1 << 28 };
    let mut samples = DecodedPlanes::Collect;
    let first = helper.work(&task, &mut samples, &mut SmallPicture::Unwanted, &|| true).0.expect("bytes");
    let DecodedPlanes::Collected(left) = samples else { panic!("no samples were left") };
    let mut given = DecodedPlanes::Reuse(left);
    let second = helper.work(&task, &mut given, &mut SmallPicture::Unwanted, &|| true).0.expect("bytes");
    assert!(first.bytes == second.bytes);
    assert!(matches!(given, DecodedPlanes::Reuse(_)));
}

#[test]
fn what_cannot_be_decoded_is_a_sentence_and_the_process_goes_on() {
    let mut helper = helper();
    let whole = file(photo(90, 60), Format::Avif);
    // What is said of the picture stays, and the picture goes.
    let mut damaged = whole.clone();
    let data = memchr::memmem::find(&whole, b"mdat").expect("its data") + 4;
    damaged[data..].fill(0xFF);
    let recipe = recipe("40w", Format::Png);
    let refused = work(&mut helper, &damaged, &recipe, &|| true).0;
    assert!(
        matches!(&refused, Err(HelperError::Refused(sentence)) if sentence.contains("decoded")),
        "{refused:?}"
    );
    let process = helper.process();
    assert!(work(&mut helper, &whole, &recipe, &|| true).0.is_ok());
    assert_eq!(helper.process(), process);
}

#[test]
fn a_job_that_is_not_wanted_any_more_ends_with_its_process() {
    let mut helper = helper();
    let (source, slow) = (costly(), recipe("full", Format::Avif));
    assert!(work(&mut helper, &file(photo(9, 9), Format::Png), &slow, &|| true).0.is_ok());
    let process = helper.process().expect("a process");
    // Sending the request takes a few questions; after that there is one every 50 ms.
    let asked = Cell::new(0);
    let few = || {
        asked.set(asked.get() + 1);
        asked.get() < 30
    };
    let (outcome, used) = work(&mut helper, &source, &slow, &few);
    assert!(matches!(outcome, Err(HelperError::Stopped)), "{outcome:?} after {used:?}");
    assert_eq!((helper.process(), is_alive(process)), (None, false));
    assert!(work(&mut helper, &file(photo(9, 9), Format::Png), &slow, &|| true).0.is_ok());
}

#[test]
fn a_process_that_dies_takes_only_its_job_with_it() {
    let mut helper = helper();
    let (source, slow, small) = (costly(), recipe("full", Format::Avif), file(photo(9, 9), Format::Png));
    // A segmentation fault that is none, the standard library's handler lets pass once.
    for signal in [Signal::ABORT, Signal::KILL] {
        assert!(work(&mut helper, &small, &slow, &|| true).0.is_ok());
        let process = helper.process().expect("a process");
        let asked = Cell::new(0);
        let killing = || {
            asked.set(asked.get() + 1);
            if asked.get() == 30 {
                let process = Pid::from_raw(process.try_into().expect("a number")).expect("a process");
                kill_process(process, signal).expect("a signal");
            }
            true
        };
        let outcome = work(&mut helper, &source, &slow, &killing).0;
        let number = signal.as_raw();
        let why = match outcome {
            Err(HelperError::Died(why)) => why,
            outcome => panic!("{:?}", outcome.map(|made| made.timings)),
        };
        assert!(why.contains(&format!("signal {number}")), "{why}");
    }
    assert!(work(&mut helper, &small, &slow, &in_time(Instant::now())).0.is_ok());
}

#[test]
fn the_processor_time_of_the_process_is_told() {
    let mut helper = helper();
    let (outcome, used) = work(&mut helper, &costly(), &recipe("500w", Format::Avif), &|| true);
    assert!(outcome.is_ok() && used >= Duration::from_millis(50), "{used:?}");
    let used = work(&mut helper, &file(photo(9, 9), Format::Png), &recipe("full", Format::Jpeg), &|| true).1;
    assert!(used < Duration::from_millis(50), "that of the job before counts again: {used:?}");
}

#[test]
fn the_process_has_no_environment_and_no_descriptor_of_its_parent() {
    // Inherited unless the process closes it: no flag says that it ends with the exec.
    let open = fs::File::open("/dev/zero").expect("a device");
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).expect("a flag");
    let mut helper = helper();
    work(&mut helper, &file(photo(9, 9), Format::Png), &recipe("full", Format::Jpeg), &|| true)
        .0
        .expect("bytes");
    let process = helper.process().expect("a process");
    let open: Vec<_> = fs::read_dir(format!("/proc/{process}/fd"))
        .expect("its descriptors")
        .map(|entry| fs::read_link(entry.expect("a descriptor").path()).expect("a target"))
        .collect();
    assert!(!open.iter().any(|target| target.ends_with("zero")), "{open:?}");
    let environment = fs::read(format!("/proc/{process}/environ")).expect("its environment");
    let names = environment.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
    assert!(names.clone().all(|variable| variable.starts_with(b"MALLOC_")), "{environment:?}");
}

#[test]
fn the_process_ends_with_the_thread_that_started_it() {
    let started = std::thread::spawn(|| {
        let mut helper = helper();
        let small = file(photo(9, 9), Format::Png);
        work(&mut helper, &small, &recipe("full", Format::Jpeg), &|| true).0.expect("bytes");
        let process = helper.process().expect("a process");
        // Nobody is there to end it, and its pipes stay open, as when a thread is killed.
        std::mem::forget(helper);
        process
    });
    let process = started.join().expect("no panic");
    wait_until("the process to end", || !is_alive(process));
}

#[test]
fn a_job_that_takes_more_than_its_charge_is_ended_by_the_limit() {
    let mut helper = helper();
    let (source, recipe) = (costly(), recipe("full", Format::Avif));
    // Beside this there are 64 MiB: not enough for the picture and its encoder.
    let outcome = work_charged(&mut helper, &source, &recipe, 1 << 20, &|| true).0;
    assert!(matches!(outcome, Err(HelperError::Died(_))), "{outcome:?}");
    let whole = work(&mut helper, &file(photo(90, 60), Format::Png), &recipe, &|| true).0;
    assert!(whole.is_ok(), "{whole:?}");
}

#[test]
fn a_program_that_is_no_helper_is_the_nodes_fault_and_not_the_images() {
    let source = file(photo(9, 9), Format::Png);
    for program in ["/bin/true", "/nowhere/reticulum"] {
        let mut helper = Helper::new(program.into());
        let outcome = work(&mut helper, &source, &recipe("full", Format::Jpeg), &|| true).0;
        assert!(matches!(outcome, Err(HelperError::Unavailable(_))), "{program}: {outcome:?}");
    }
}
