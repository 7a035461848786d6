//! `reticulum-simulate`: whole clusters in virtual time, one seed each, with real cores and real rules.
//!
//! Nodes run the very core and the very protocol machines that the program runs; their disks and network are
//! models. Faults strike every twenty seconds; every answer is checked, and at the end everything must have come
//! to rest where it belongs. A seed replays exactly. `--plants` puts bugs in on purpose: all must be found.

mod check;
mod clients;
mod comparison;
mod detection;
mod disk;
mod drive;
mod effects;
mod event;
mod faults;
mod injected_bug;
mod machines;
mod namesakes;
mod network;
mod node;
mod operator;
mod peer;
mod restart;
mod setup;
mod store;
mod strike;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use detection::Detection;
use faults::Kind;
use injected_bug::InjectedBug;
use setup::Choice;
use world::Log;

/// Seeds that are searched for a bug.
const BUG_SEEDS: u64 = 500;

/// Between two lines of progress, in seeds.
const PROGRESS_SEEDS: u64 = 50;

/// Runs seeded worlds and checks every promise in them.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds; 1 if not given, and for each bug of all up to 500.
    #[arg(long)]
    count: Option<u64>,
    /// Faults of one kind only.
    #[arg(long)]
    only: Option<String>,
    /// A bug to put in.
    #[arg(long)]
    plant: Option<String>,
    /// Measure how soon a node that ends is seen down in a cluster of so many nodes, at least 3.
    #[arg(long, value_parser = clap::value_parser!(u64).range(3..=1024))]
    detection: Option<u64>,
    /// Every bug, one after the other, each until it is found or the seeds are used up.
    #[arg(long)]
    plants: bool,
    /// Tell what happens: all that concerns no image, or one whose id begins like this.
    #[arg(long)]
    story: Option<String>,
    /// Every seed twice: both runs must be equal.
    #[arg(long)]
    twice: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let count = arguments.count.unwrap_or(if arguments.plants { BUG_SEEDS } else { 1 });
    let seeds = arguments.seed..arguments.seed + count;
    if let Some(count) = arguments.detection {
        measure_detection(usize::try_from(count).expect("at most 1024"), seeds);
        return ExitCode::SUCCESS;
    }
    match choose(&arguments) {
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::from(2)
        }
        Ok(choice) if arguments.plants => all_bugs(&seeds, choice.only),
        Ok(choice) => run_seeds(seeds, &choice, arguments.twice),
    }
}

/// One line for each seed: times of detection, and what a quiet cluster sends.
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

fn choose(arguments: &Arguments) -> Result<Choice, String> {
    Ok(Choice {
        bug: named(&InjectedBug::ALL, arguments.plant.as_deref(), "plant")?,
        only: named(&Kind::ALL, arguments.only.as_deref(), "fault")?,
        story: arguments.story.clone(),
    })
}

/// The value of this name; `None` if no name was given.
fn named<T: Copy>(all: &[(&str, T)], name: Option<&str>, what: &str) -> Result<Option<T>, String> {
    let Some(name) = name else { return Ok(None) };
    let found = all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| format!("no {what} {name}: take one of {}", names()))
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
        // A bug is found once.
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
        println!("{} never struck", kind.name());
        failed += 1;
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line for a seed. Says whether it passed.
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

/// Every bug, each in the worlds in which it shows. Says on the way how far it is.
fn all_bugs(seeds: &Range<u64>, only: Option<Kind>) -> ExitCode {
    let mut missed = 0;
    for (name, bug) in InjectedBug::ALL {
        let choice = Choice { bug: Some(bug), only: only.or(bug.shows_under()), story: None };
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
