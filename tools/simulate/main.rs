//! `reticulum-simulate`: whole clusters in virtual time, one seed each, with the real cluster core and machines.
//!
//! Nodes run the same core and the same protocol machines as the program; their disks and network are models. A fault
//! is injected every twenty seconds. Every answer is checked, and at the end every copy must be where it belongs. A
//! seed replays exactly. `--injected-bugs` runs known bugs: each must be found.

mod check;
mod clients;
mod comparison;
mod deletions;
mod detection;
mod disk;
mod drive;
mod effects;
mod erasures;
mod event;
mod fault_injection;
mod faults;
mod founding;
mod injected_bug;
mod machines;
mod namesakes;
mod network;
mod node;
mod operator;
mod peer;
mod rebuild;
mod restart;
mod setup;
mod store;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use detection::Detection;
use faults::Kind;
use injected_bug::InjectedBug;
use rebuild::Rebuilt;
use setup::Choice;
use world::Log;

/// Seeds that are searched for an injected bug.
const BUG_SEEDS: u64 = 500;

/// Seeds between two lines of progress.
const PROGRESS_SEEDS: u64 = 50;

/// Runs seeded worlds and checks every promise in them.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of seeds; 1 by default, and at most 500 for each bug of --injected-bugs.
    #[arg(long)]
    count: Option<u64>,
    /// Inject faults of this kind only.
    #[arg(long)]
    only: Option<String>,
    /// Run with this injected bug: the checks must find it.
    #[arg(long, value_name = "NAME")]
    injected_bug: Option<String>,
    /// Measure how soon the members see that a node is down, in a cluster of this many nodes (3 to 1024).
    #[arg(long, value_parser = clap::value_parser!(u64).range(3..=1024))]
    detection: Option<u64>,
    /// Measure how long the copies of a lost node take to be made again, in a cluster of this many nodes (4 to 1024).
    #[arg(long, value_parser = clap::value_parser!(u64).range(4..=1024))]
    rebuild: Option<u64>,
    /// Run every injected bug, one after another, until it is found or the seeds are used up.
    #[arg(long)]
    injected_bugs: bool,
    /// Print a trace: all events without an image, and those of images whose id begins with this prefix.
    #[arg(long, value_name = "ID_PREFIX")]
    trace: Option<String>,
    /// Run every seed twice: both runs must be equal.
    #[arg(long)]
    twice: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let count = arguments.count.unwrap_or(if arguments.injected_bugs { BUG_SEEDS } else { 1 });
    let seeds = arguments.seed..arguments.seed + count;
    if let Some(count) = arguments.detection {
        measure_detection(usize::try_from(count).expect("at most 1024"), seeds);
        return ExitCode::SUCCESS;
    }
    if let Some(count) = arguments.rebuild {
        measure_rebuild(usize::try_from(count).expect("at most 1024"), seeds);
        return ExitCode::SUCCESS;
    }
    match choose(&arguments) {
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::from(2)
        }
        Ok(choice) if arguments.injected_bugs => all_bugs(&seeds, choice.only),
        Ok(choice) => run_seeds(seeds, &choice, arguments.twice),
    }
}

/// Prints two lines for each seed: the times of detection, and the traffic of a quiet cluster.
fn measure_detection(count: usize, seeds: Range<u64>) {
    for seed in seeds {
        let Detection { all, messages, body_bytes, bytes } = detection::measure(count, seed);
        let (least, most) = (all.iter().min().unwrap_or(&0), all.iter().max().unwrap_or(&0));
        println!(
            "seed {seed}, {count} nodes: seen down by all {least} to {most} ms after the end ({} ended)",
            all.len()
        );
        println!(
            "in quiet each node sends {messages:.1} messages a second, {body_bytes:.0} bytes of bodies, {bytes:.0} with heads"
        );
    }
}

/// Prints two lines for each seed: the time until all copies are made again, and the bytes that the nodes move.
fn measure_rebuild(count: usize, seeds: Range<u64>) {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    for seed in seeds {
        let Rebuilt { lost, took_ms, bound_ms, received: (mean, most), sent_max } =
            rebuild::measure(count, seed);
        println!(
            "seed {seed}, {count} nodes, one lost with {lost} copies of 1 MB: all made again after {took_ms} ms; the busiest wire needs {bound_ms} ms"
        );
        println!(
            "each node received {:.1} MB, at most {:.0} MB, and sent at most {:.0} MB",
            megabytes(mean),
            megabytes(most),
            megabytes(sent_max)
        );
    }
}

fn choose(arguments: &Arguments) -> Result<Choice, String> {
    Ok(Choice {
        bug: named(&InjectedBug::ALL, arguments.injected_bug.as_deref(), "injected bug")?,
        only: named(&Kind::ALL, arguments.only.as_deref(), "fault")?,
        traced: arguments.trace.clone(),
    })
}

/// The value of this name; `None` if no name was given.
fn named<T: Copy>(all: &[(&str, T)], name: Option<&str>, what: &str) -> Result<Option<T>, String> {
    let Some(name) = name else { return Ok(None) };
    let found = all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| format!("unknown {what} {name}: use one of {}", names()))
}

fn run_seeds(seeds: Range<u64>, choice: &Choice, twice: bool) -> ExitCode {
    let (began, mut failed, mut milliseconds) = (Instant::now(), 0, 0);
    let (mut faults, mut counts) = (BTreeMap::<Kind, usize>::new(), BTreeMap::<&str, u64>::new());
    let mut count = 0;
    for seed in seeds {
        let log = check::run(seed, choice);
        failed += u64::from(!report(seed, &log));
        count += 1;
        if twice && check::run(seed, choice).trace != log.trace {
            println!("seed {seed}: the second run differs");
            failed += 1;
        }
        milliseconds += log.milliseconds * if twice { 2 } else { 1 };
        log.faults.iter().for_each(|(kind, count)| *faults.entry(*kind).or_default() += count);
        log.counts.iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
        // One seed that finds the bug is enough.
        if choice.bug.is_some() && failed > 0 {
            break;
        }
    }
    for (name, kind) in Kind::ALL {
        println!("{:>8} {name}", faults.get(&kind).copied().unwrap_or(0));
    }
    counts.iter().for_each(|(what, count)| println!("{count:>8} {what}"));
    let speed = milliseconds as f64 / began.elapsed().as_secs_f64() / 1e3;
    println!("{count} seeds, {failed} failed, {speed:.0} times real time");
    if let Some(kind) = choice.only.filter(|kind| !faults.contains_key(kind)) {
        println!("{} was never injected", kind.name());
        failed += 1;
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints one line for a seed; returns whether it passed.
fn report(seed: u64, log: &Log) -> bool {
    let kinds = log.faults.len();
    let faults: usize = log.faults.values().sum();
    let Some(failure) = log.failures.first() else {
        println!("seed {seed}: passed, {faults} faults of {kinds} kinds, trace {:016x}", log.trace);
        return true;
    };
    println!("seed {seed}: FAILED {failure}; version {}", env!("CARGO_PKG_VERSION"));
    false
}

/// Runs every injected bug, each in the worlds in which it shows, and prints the progress.
fn all_bugs(seeds: &Range<u64>, only: Option<Kind>) -> ExitCode {
    let mut missed = 0;
    for (name, bug) in InjectedBug::ALL {
        let choice = Choice { bug: Some(bug), only: only.or(bug.shows_under()), traced: None };
        let find = |seed: u64| {
            if seed > seeds.start && (seed - seeds.start).is_multiple_of(PROGRESS_SEEDS) {
                eprintln!("{name}: {} seeds", seed - seeds.start);
            }
            Some((seed, check::run(seed, &choice).failures.first()?.clone()))
        };
        match seeds.clone().find_map(find) {
            Some((seed, failure)) => println!("{name}: found by seed {seed}: {failure}"),
            None => {
                missed += 1;
                println!("{name}: NOT FOUND");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
